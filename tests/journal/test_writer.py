"""The writer: whole lines or an error, one chain whoever writes, nothing after a failure."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.errors import JournalError
from harness.journal.events import FaultSeen, Line, PhaseStarted, Provisioned, RunStarted
from harness.journal.history import read_history
from harness.journal.ledger import LedgerWriter, Write
from harness.journal.witness import write_rows
from harness.journal.writer import Journal

from .runs import TickingClock, ended, started

ROOT = Path(__file__).parents[2]


def test_every_line_carries_the_hash_of_the_line_before_and_its_own(tmp_path: Path) -> None:
    with Journal(tmp_path, SystemClock()) as journal:
        journal.write(started())
        journal.write(FaultSeen(phase="act", kind="X", detail="snow ☃ and\nnewline"))
        journal.write(ended())
    before = b"0" * 64
    for n, line in enumerate((tmp_path / "journal.jsonl").read_bytes().splitlines(), start=1):
        record = json.loads(line)
        assert record["n"] == n
        assert record["prev"].encode() == before
        assert line.endswith(f'"own":"{record["own"]}"}}'.encode())
        assert sha256(line.replace(record["own"].encode(), b"")).hexdigest() == record["own"]
        before = sha256(line).hexdigest().encode()


def test_threads_that_write_at_once_leave_one_unbroken_chain(tmp_path: Path) -> None:
    threads, each = 8, 50
    with Journal(tmp_path, SystemClock()) as journal:
        journal.write(started())

        def write(name: str) -> None:
            for n in range(each):
                journal.write(FaultSeen(phase=None, kind=name, detail=str(n)))

        workers = [threading.Thread(target=write, args=(f"t{n}",)) for n in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        journal.write(ended())
    history = read_history(tmp_path)
    assert history.problem is None
    for n in range(threads):
        own = [entry.body.detail for entry in history.of(FaultSeen) if entry.body.kind == f"t{n}"]
        assert own == [str(count) for count in range(each)]


def test_listeners_are_shown_every_line_in_order_as_it_stands_in_the_file(tmp_path: Path) -> None:
    seen: list[Line] = []
    with Journal(tmp_path, SystemClock(), [seen.append]) as journal:
        written = [journal.write(event) for event in (started(), PhaseStarted(phase="act"), ended())]
    assert seen == written
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines()
    assert [Line.model_validate_json(line) for line in lines] == seen


def test_a_journal_is_never_continued_or_overwritten(tmp_path: Path) -> None:
    with Journal(tmp_path, SystemClock()) as journal:
        journal.write(started())
    content = (tmp_path / "journal.jsonl").read_bytes()
    with pytest.raises(JournalError, match="is there already") as caught:
        Journal(tmp_path, SystemClock())
    assert "folder of its own" in caught.value.hint
    assert (tmp_path / "journal.jsonl").read_bytes() == content


def test_a_folder_that_cannot_be_made_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot write") as caught:
        Journal(tmp_path / "file" / "run", SystemClock())
    assert "permissions" in caught.value.hint


def test_an_event_that_could_not_be_read_back_is_refused_and_leaves_no_gap(tmp_path: Path) -> None:
    with Journal(tmp_path, SystemClock()) as journal:
        journal.write(started())
        with pytest.raises(JournalError, match="Provisioned cannot be written"):
            journal.write(Provisioned(service="db", kind="postgres", seconds=float("nan")))
        journal.write(ended())
    history = read_history(tmp_path)
    assert history.problem is None
    assert len(history.entries) == 2


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SystemClock())
    journal.write(started())
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="is closed"):
        journal.write(ended())


WRITE_INTO_LIMIT = """
    import resource, sys
    from pathlib import Path
    from harness.clock import SystemClock
    from harness.errors import JournalError
    from harness.journal.events import FaultSeen
    from harness.journal.writer import Journal
    from journal.runs import started, ended

    journal = Journal(Path(sys.argv[1]), SystemClock())
    journal.write(started())
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
    errors = []
    for n in range(20):
        try:
            journal.write(FaultSeen(phase=None, kind="k", detail="x" * 100))
        except JournalError as error:
            errors.append(str(error))
    try:
        journal.write(ended())
    except JournalError as error:
        errors.append(str(error))
    try:
        journal.sync()
    except JournalError as error:
        errors.append(str(error))
    journal.close()
    print("\\x00".join(errors))
"""


def test_a_full_disk_is_an_error_and_what_was_written_before_it_can_be_read(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 2500
    done = _python(WRITE_INTO_LIMIT, tmp_path)
    errors = done.stdout.rstrip("\n").split("\x00")
    assert "cannot write" in errors[0]
    assert "hint: check free space" in errors[0]
    assert all("takes nothing more since a write failed" in error for error in errors[1:])
    data = (tmp_path / "journal.jsonl").read_bytes()
    assert len(data) == 2500, "the last line was cut in the middle"
    history = read_history(tmp_path)
    assert len(history.entries) == data.count(b"\n") == 20 + 3 - len(errors) >= 3
    assert history.problem is not None
    assert "is cut off" in history.problem


def test_a_full_device_is_an_error_of_the_ledger_and_of_the_witness_too(tmp_path: Path) -> None:
    full = Path("/dev/full")
    ledger = LedgerWriter(full, SystemClock())
    with pytest.raises(JournalError, match="No space left") as caught:
        ledger.sent("user", [Write("orders", "1", "insert")])
    assert "free space" in caught.value.hint
    with pytest.raises(JournalError, match="No space left"):
        write_rows(full, [("orders", [("1", 1, None)])])
    with pytest.raises(JournalError, match="cannot write"):
        write_rows(tmp_path / "no" / "folder", [])
    with pytest.raises(JournalError, match="cannot write the ledger"):
        LedgerWriter(tmp_path / "no" / "folder", SystemClock())


WRITE_FOR_EVER = """
    import sys
    from pathlib import Path
    from harness.clock import SystemClock
    from harness.journal.events import FaultSeen
    from harness.journal.writer import Journal
    from journal.runs import started

    with Journal(Path(sys.argv[1]), SystemClock()) as journal:
        journal.write(started())
        while True:
            journal.write(FaultSeen(phase=None, kind="k", detail="x" * 500))
"""


def test_a_killed_run_leaves_a_journal_that_can_be_read_to_its_last_line(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    child = subprocess.Popen(_command(WRITE_FOR_EVER, folder), env=_environment())
    try:
        while not (folder / "journal.jsonl").exists() or (folder / "journal.jsonl").stat().st_size < 50_000:
            assert child.poll() is None, "the child must still be writing"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    history = read_history(folder)
    whole = (folder / "journal.jsonl").read_bytes().count(b"\n")
    assert len(history.entries) == whole > 50
    assert isinstance(history.entries[0].body, RunStarted)
    assert history.problem is not None
    assert "killed" in history.problem


def test_stamps_never_go_backwards_within_a_journal(tmp_path: Path) -> None:
    clock = TickingClock()
    with Journal(tmp_path, clock) as journal:
        journal.write(started())
        clock.set_back(5.0)
        journal.write(ended())
    assert read_history(tmp_path).problem == "the clock went backwards at line 2"


def _python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(code, folder), env=_environment(), capture_output=True, text=True, check=True, timeout=60
    )


def _command(code: str, folder: Path) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code), str(folder)]


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
