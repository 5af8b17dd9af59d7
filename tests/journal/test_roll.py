"""``enroll``: every run gets a number, and none is given twice or skipped."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import JournalError
from harness.journal.roll import ROLL_FILE, Enrolled, enroll, read_roll

NOW = datetime(2026, 4, 24, 12, 0, 0, 123456, tzinfo=UTC)
PROCESSES = 4
EACH = 50
MANY = f"""
import sys
from datetime import UTC, datetime
from pathlib import Path
from harness.journal.roll import enroll

for n in range({EACH}):
    enroll(Path(sys.argv[1]), f"{{sys.argv[2]}}-{{n}}", "shop/drill", datetime.now(UTC))
"""


def three(reports: Path) -> list[Enrolled]:
    return [enroll(reports, f"run-{n}", "shop/drill", NOW) for n in (1, 2, 3)]


def test_runs_are_numbered_from_one_and_each_line_vouches_for_the_one_before(tmp_path: Path) -> None:
    lines = three(tmp_path / "reports")
    assert [line.number for line in lines] == [1, 2, 3]
    assert [line.prev for line in lines] == ["0" * 64, lines[0].digest, lines[1].digest]
    assert len({line.roll for line in lines}) == 1
    assert read_roll(tmp_path / "reports") == (tuple(lines), None)
    assert enroll(tmp_path / "others", "run", "shop/drill", NOW).roll != lines[0].roll


def test_a_line_has_the_same_digest_after_it_was_read(tmp_path: Path) -> None:
    for line in three(tmp_path):
        assert Enrolled.model_validate_json(line.model_dump_json()).digest == line.digest


def test_processes_at_once_get_every_number_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MANY, str(tmp_path)]
    started = [subprocess.Popen([*command, str(n)]) for n in range(PROCESSES)]
    assert [process.wait() for process in started] == [0] * PROCESSES
    lines, problem = read_roll(tmp_path)
    assert problem is None
    assert [line.number for line in lines] == list(range(1, PROCESSES * EACH + 1))
    assert len({line.run_id for line in lines}) == PROCESSES * EACH


def test_a_line_that_was_cut_off_while_it_was_written_gave_no_number(tmp_path: Path) -> None:
    lines = three(tmp_path)
    path = tmp_path / ROLL_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert read_roll(tmp_path) == (tuple(lines[:2]), "line 3 of runs.jsonl is cut off")
    assert enroll(tmp_path, "run-4", "shop/drill", NOW).number == 3
    assert read_roll(tmp_path)[1] is None


@pytest.mark.parametrize("line", [1, 2])
def test_a_line_that_was_removed_or_changed_is_named(tmp_path: Path, line: int) -> None:
    three(tmp_path)
    path = tmp_path / ROLL_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: line - 1] + lines[line:]))
    read, problem = read_roll(tmp_path)
    assert (len(read), problem) == (
        line - 1,
        f"line {line} of runs.jsonl does not follow: a line was changed or removed",
    )
    lines[line - 1] = lines[line - 1].replace(b"shop/drill", b"shop/other")
    path.write_bytes(b"".join(lines))
    assert f"line {line + 1} of runs.jsonl does not follow" in (read_roll(tmp_path)[1] or "")


def test_after_a_spoilt_line_no_number_is_given(tmp_path: Path) -> None:
    three(tmp_path)
    path = tmp_path / ROLL_FILE
    path.write_bytes(path.read_bytes() + b"spoilt\n")
    with pytest.raises(JournalError, match="is not as it was written") as raised:
        enroll(tmp_path, "run-4", "shop/drill", NOW)
    assert "a new roll begins" in raised.value.hint
    assert read_roll(tmp_path)[1] == "line 4 of runs.jsonl is not as it was written"


def test_a_long_roll_is_gone_on_with(tmp_path: Path) -> None:
    """Only its end is read; one line more than that has to make no difference."""
    for n in range(400):
        last = enroll(tmp_path, f"run-{n}-{'x' * 100}", "shop/drill", NOW)
    assert (tmp_path / ROLL_FILE).stat().st_size > 64 * 1024
    assert last.number == 400
    assert read_roll(tmp_path)[1] is None


def test_a_folder_without_a_roll_has_no_runs(tmp_path: Path) -> None:
    assert read_roll(tmp_path) == ((), None)


def test_a_roll_that_cannot_be_written_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / ROLL_FILE).mkdir()
    for use in (lambda: enroll(tmp_path, "run", "shop/drill", NOW), lambda: read_roll(tmp_path)):
        with pytest.raises(JournalError, match=str(tmp_path / ROLL_FILE)):
            use()
