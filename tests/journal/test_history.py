"""Reading a run back: everything that was written, or precisely what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock import Stamp
from harness.errors import JournalError
from harness.facts import Action, Fact, Fingerprint, Lease, Outcome, RecoveryPoint, Resource, TableFingerprint
from harness.journal import events
from harness.journal.history import History, read_history, read_lines
from harness.journal.witness import digest_file
from harness.journal.writer import Journal

from .runs import START, TickingClock, ended, started, write_run

AT = Stamp(mono=101.0, wall=datetime(2026, 4, 24, 12, 0, 1, tzinfo=UTC))
CONTENT = Fingerprint(tables=(TableFingerprint(table="orders", rows=3, digest="3-00000000000000ff"),))
POINT = RecoveryPoint(
    id="p1",
    protection="dumps",
    service="db",
    kind="dump",
    taken=AT.wall,
    covers_until=AT.wall,
    place="vault",
    location="dumps/1",
    size=10,
)
THING = Resource(service="db", kind="table", name="orders", environment="production")
REFUSED = Outcome(status="refused", detail="no", began=AT, ended=AT)

ONE_OF_EACH: tuple[Fact, ...] = (
    started(),
    events.PhaseStarted(phase="act"),
    events.PhaseEnded(phase="act", ok=False, detail="why"),
    events.Leased(lease=Lease(run_id="r1", service="db", kind="postgres", directory=Path("/x/db"))),
    events.Provisioned(service="db", kind="postgres", seconds=0.1, description={"version": "18"}),
    events.MarkerRead(service="db", marker="r1/db", ours=True),
    events.Released(service="db"),
    events.SlicePlayed(start=AT.wall, end=AT.wall, rows=5),
    events.PointTaken(point=POINT, content=CONTENT, seconds=0.2),
    events.WorkloadStarted(pid=1, users=2, rate=50.0),
    events.Probed(service="db", up=True, at=AT),
    events.SteadyStateChecked(ok=True, acknowledged=10, failed=0, seconds=2.0),
    events.WitnessTaken(service="db", file="w", sha256="0", content=CONTENT, before=AT, after=AT),
    events.InventoryTaken(moment="before", service="db", resources=(THING,)),
    events.AgentStarted(principal=None, kind="idle", goal="nothing"),
    events.ActionDecided(action=Action(number=1, surface="sql", verb="execute", arguments={"a": [1, None]})),
    events.ActionEnded(
        number=1,
        outcome=Outcome(status="done", detail="", touched=(THING,), began=AT, ended=AT),
        found=("t",),
    ),
    events.AgentEnded(actions=1),
    events.ServiceSeen(service="db", alive=False, damaged=True),
    events.PointSeen(point=POINT),
    events.PointMissing(point_id="p2"),
    events.RecoveryStarted(service="db", strategy="newest-surviving", needed=True, assumed={"detect": 30.0}),
    events.RestoreTried(point_id="p1", purpose="proof", ok=True, parts={"restore": 0.1}),
    events.ContentCompared(point_id="p1", taken=CONTENT, restored=CONTENT, newest=AT.wall),
    events.Reconstructed(
        records=5,
        seconds=1.0,
        tables=(events.RebuiltTable(table="orders", lost=3, rebuilt=2, fields=9, fields_equal=5),),
    ),
    events.Recovered(service="db", ok=True, point_id="p1", at=AT, parts={"restore": 0.1}),
    events.RunbookPlayed(script="restore", exit_code=0, seconds=1.5, log="logs/runbook.log", detail=""),
    events.WorkloadStopped(file="l", sha256="0", entries=5, exit_code=0),
    events.ContentVerified(service="db", content=CONTENT, file="r", sha256="0", rows=0),
    events.InvariantChecked(name="sums", rows=1, sample=("a, b",)),
    events.AccessTried(service="db", principal="p", of="db", target="orders", outcome=REFUSED),
    events.LogRead(
        service="db",
        principal="p",
        mark="m",
        call=REFUSED,
        entries=(events.LogEntry(at=AT.wall, principal="p", text="DELETE"),),
    ),
    events.LogTampered(service="db", principal="p", what="log_statement", outcome=REFUSED),
    events.DeletionTried(
        service="railway",
        call="volumeDelete",
        target="production/data",
        step="alone",
        principal="p",
        answer="waits",
        outcome=REFUSED,
        stands=True,
    ),
    events.TamperingTried(point_id="p1", principal="p", what="delete", target="dumps/1", outcome=REFUSED),
    events.PointChecked(point=POINT, found=None),
    events.Answered(file="guards.json", sha256="0"),
    events.FaultSeen(phase=None, kind="X", detail="y"),
    events.Interrupted(phase="act"),
    ended(),
)


def test_every_kind_of_event_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    union = get_args(events.Event)[0]
    assert {type(event) for event in ONE_OF_EACH} == set(get_args(union))
    with Journal(tmp_path, TickingClock()) as journal:
        for event in ONE_OF_EACH:
            journal.write(event)
    history = read_history(tmp_path)
    assert tuple(entry.body for entry in history.entries) == ONE_OF_EACH
    assert [entry.n for entry in history.entries] == list(range(1, len(ONE_OF_EACH) + 1))


def test_queries_give_the_events_of_one_kind_in_order_with_their_lines() -> None:
    history = History.of_events(
        [
            started(),
            (2.0, events.PhaseStarted(phase="act")),
            events.PhaseStarted(phase="recover"),
            (9.5, ended()),
        ]
    )
    assert [(entry.n, entry.body.phase) for entry in history.of(events.PhaseStarted)] == [
        (2, "act"),
        (3, "recover"),
    ]
    first, last = history.first(events.PhaseStarted), history.last(events.PhaseStarted)
    assert first is not None
    assert last is not None
    assert (first.n, last.n) == (2, 3)
    assert history.first(events.Interrupted) is None
    assert history.entries[3].at.since(history.entries[0].at) == pytest.approx(9.4)
    assert history.problem is None


def test_a_whole_run_folder_has_no_problem_and_brings_its_rows(tmp_path: Path) -> None:
    history = read_history(write_run(tmp_path))
    assert history.problem is None
    assert len(history.witness["orders"]) == 6
    assert {key: row.hash for key, row in history.recovered["orders"].items()} == {"new": None, "o5": None}
    assert [call.state for call in history.ledger.calls] == ["acked", "unanswered"]


FILES = ("journal.jsonl", "ledger.jsonl", "witness.jsonl", "recovered.jsonl", "scenario.json")


@pytest.mark.parametrize("file", FILES)
def test_a_change_of_any_byte_of_any_file_is_noticed(tmp_path: Path, file: str) -> None:
    path = write_run(tmp_path) / file
    data = path.read_bytes()
    for place in range(len(data)):
        flipped = data[place] ^ (1 << place % 8)
        path.write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
        assert read_history(tmp_path).problem, f"byte {place} of {file} was changed"
    path.write_bytes(data)
    assert read_history(tmp_path).problem is None


def test_a_cut_at_any_byte_of_the_journal_is_noticed_and_leaves_the_lines_before_it(tmp_path: Path) -> None:
    path = write_run(tmp_path) / "journal.jsonl"
    data = path.read_bytes()
    for size in range(len(data)):
        entries, problem = read_lines(data[:size])
        assert len(entries) == data[:size].count(b"\n")
        assert (problem is None) == (size == 0 or data[size - 1 : size] == b"\n")
    for size in (place + 1 for place in range(len(data) - 1) if data[place : place + 1] == b"\n"):
        path.write_bytes(data[:size])
        assert read_history(tmp_path).problem == (
            "the journal does not end with the end of the run: it was cut off, or the run was killed"
        )
        path.write_bytes(data[: size - 1])
        problem = read_history(tmp_path).problem
        assert problem is not None
        assert problem.endswith("is cut off: the run was killed")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda lines: [*lines[:2], *lines[3:]], "lines are missing or were added"),
        (lambda lines: [*lines[:3], *lines[2:]], "lines are missing or were added"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "lines are missing or were added"),
        (lambda lines: [*lines[:2], b"", *lines[2:]], "line 3 of the journal is not an event"),
        (lambda lines: [*lines, b'{"n":9}'], "is not an event"),
        (lambda lines: [*lines[:2], b"\xff\xfe\x00", *lines[3:]], "line 3 of the journal is not an event"),
    ],
)
def test_lines_that_are_removed_repeated_swapped_or_added_are_noticed(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], problem: str
) -> None:
    path = write_run(tmp_path) / "journal.jsonl"
    path.write_bytes(b"\n".join(change(path.read_bytes().splitlines())) + b"\n")
    found = read_history(tmp_path).problem
    assert found is not None
    assert problem in found


def test_a_line_that_was_rewritten_with_a_fitting_seal_breaks_the_chain(tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    with Journal(forged, TickingClock()) as journal:
        journal.write(started(scenario="shop/other"))
    path = write_run(tmp_path / "run") / "journal.jsonl"
    lines = path.read_bytes().splitlines()
    lines[0] = (forged / "journal.jsonl").read_bytes().rstrip(b"\n")
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert read_history(path.parent).problem == (
        "the hash chain is broken at line 2: the line before it was changed or removed"
    )


@pytest.mark.parametrize("file", FILES[1:])
def test_a_missing_file_beside_the_journal_is_a_problem_that_names_it(tmp_path: Path, file: str) -> None:
    (write_run(tmp_path) / file).unlink()
    problem = read_history(tmp_path).problem
    assert problem is not None
    assert file in problem


def test_a_journal_that_names_a_file_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    with Journal(tmp_path / "run", TickingClock()) as journal:
        journal.write(started())
        journal.write(events.WorkloadStopped(file="../outside", sha256="0", entries=0, exit_code=0))
        journal.write(ended())
    problem = read_history(tmp_path / "run").problem
    assert problem is not None
    assert "'../outside' is not the name of a file" in problem


def test_a_ledger_that_ends_in_half_a_line_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(b'[1,"sent",1.0,1.0,"u",[]]\n[1,"ack')
    digest = digest_file(tmp_path / "ledger.jsonl")
    with Journal(tmp_path, TickingClock()) as journal:
        journal.write(started())
        journal.write(events.WorkloadStopped(file="ledger.jsonl", sha256=digest, entries=1, exit_code=-9))
        journal.write(ended())
    problem = read_history(tmp_path).problem
    assert problem is not None
    assert "ends in half a line" in problem


def test_a_workload_that_was_never_stopped_leaves_a_ledger_nobody_vouches_for(tmp_path: Path) -> None:
    with Journal(tmp_path, TickingClock()) as journal:
        journal.write(started())
        journal.write(events.WorkloadStarted(pid=1, users=1, rate=1.0))
        journal.write(ended())
    assert read_history(tmp_path).problem == "the workload was never stopped: nothing vouches for its ledger"


def _action(number: int) -> events.ActionDecided:
    return events.ActionDecided(action=Action(number=number, surface="sql", verb="execute"))


def _outcome(number: int, seconds: float = 0.0) -> events.ActionEnded:
    later = Stamp(mono=START.mono + seconds, wall=START.wall)
    return events.ActionEnded(
        number=number, outcome=Outcome(status="done", detail="", began=START, ended=later)
    )


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ([], "the journal does not begin with the start of a run"),
        ([ended()], "the journal does not begin with the start of a run"),
        ([events.PhaseStarted(phase="act"), started(), ended()], "does not begin with the start of a run"),
        ([started()], "does not end with the end of the run"),
        ([started(), events.PhaseStarted(phase="act")], "does not end with the end of the run"),
        ([started(), started(), ended()], "the run starts more than once: lines 1, 2"),
        ([started(), ended(), ended()], "the run ends more than once: lines 2, 3"),
        ([started(), ended(), events.Released(service="x")], "line 3 of the journal comes after the end"),
        ([started(schema_version=2), ended()], "schema version 2; this ninelives reads 1"),
        ([started(), _action(1), _action(1), ended()], "action 1 was decided twice, at line 3 again"),
        ([started(), _outcome(1), ended()], "action 1 ended at line 2, but was not under way"),
        ([started(), _action(1), _outcome(1), _outcome(1), ended()], "action 1 ended at line 4, but was not"),
        ([started(), _action(1), _outcome(1, -1.0), ended()], "action 1 ended before it began, at line 3"),
        ([(5.0, started()), (4.0, ended())], "the clock went backwards at line 2"),
    ],
)
def test_events_out_of_order_are_a_problem_that_says_where(
    body: list[Fact | tuple[float, Fact]], problem: str
) -> None:
    found = History.of_events(body).problem
    assert found is not None
    assert problem in found


def test_a_journal_of_a_later_version_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    line = {"n": 1, "at": {}, "prev": "0" * 64, "body": {"event": "run-started", "schema_version": 7}}
    (tmp_path / "journal.jsonl").write_text(json.dumps(line) + "\n")
    assert read_history(tmp_path).problem == "the journal has schema version 7; this ninelives reads 1"


def test_a_folder_without_a_journal_is_an_error_that_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"holds no journal\.jsonl") as caught:
        read_history(tmp_path)
    assert "reports/latest" in caught.value.hint


def test_an_empty_journal_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b"")
    assert read_history(tmp_path).problem == "the journal does not begin with the start of a run"


@given(st.binary(max_size=400))
def test_no_bytes_at_all_make_the_reader_fail_or_believe_them(data: bytes) -> None:
    entries, problem = read_lines(data)
    assert entries == ()
    assert problem or not data
