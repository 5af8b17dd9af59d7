"""What a machine does to any program is told as that, and not as a defect of ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness import errors
from harness.cli.exits import Exit, exit_of_error, explain
from harness.errors import DatabaseError, HarnessError, ScenarioFileError, StatementError
from harness.journal.events import FaultSeen
from harness.run.faults import blaming, in_plain_words


def test_a_full_disk_is_told_with_what_could_not_be_written() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        Path("/dev/full").write_text("x", encoding="utf-8")
    plain = in_plain_words(caught.value)
    assert isinstance(plain, HarnessError)
    assert plain.message == "cannot write: No space left on device"
    assert plain.hint.startswith("free some space")
    assert "defect" not in explain(caught.value)
    full_folder = in_plain_words(OSError(28, "No space left on device", "/srv/work"))
    assert str(full_folder).startswith("cannot write /srv/work: ")


def test_a_tool_that_hangs_is_named_without_its_arguments() -> None:
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        subprocess.run(["/bin/sleep", "60"], timeout=0.05, check=False, capture_output=True)
    plain = in_plain_words(caught.value)
    assert isinstance(plain, HarnessError)
    assert plain.message == "sleep did not end within 0.05 s, and was given up"
    assert "defect" not in explain(caught.value)


@pytest.mark.parametrize("error", [ValueError("x"), OSError(2, "no such file"), KeyboardInterrupt()])
def test_everything_else_stays_what_it_is(error: BaseException) -> None:
    assert in_plain_words(error) is error


def test_a_refused_statement_is_blamed_on_its_file_and_a_dead_server_is_not() -> None:
    refusal = StatementError("db: line 3: no", hint="look", reason="no", line=3)
    with pytest.raises(ScenarioFileError) as caught, blaming(Path("a.sql"), "the slice", first_line=2):
        raise refusal
    assert caught.value.message == "a.sql:4: the database refuses the slice: no"
    with (
        pytest.raises(ScenarioFileError, match=r"^a\.sql: the database"),
        blaming(Path("a.sql"), "it", first_line=-2),
    ):
        raise refusal
    with (
        pytest.raises(ScenarioFileError, match=r"^stack.yaml:7:1: the database"),
        blaming("stack.yaml:7:1", "it", None),
    ):
        raise refusal
    with pytest.raises(DatabaseError), blaming(Path("a.sql"), "the slice"):
        raise DatabaseError("db: gone", hint="look")
    assert exit_of_error(caught.value) is Exit.USAGE
    assert exit_of_error(refusal) is Exit.FAULT


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HarnessError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_exit_code_and_record_agree_on_whose_mistake_an_error_is(kind: type[HarnessError]) -> None:
    error = kind.__new__(kind)
    seen = FaultSeen(phase=None, kind=kind.__name__, detail="")
    assert seen.users is (exit_of_error(error) is Exit.USAGE)
    assert seen.users is issubclass(kind, errors.RequestError | errors.ScenarioError)
