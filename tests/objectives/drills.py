"""Hand-written drills: a small shop, a plain run of it, and ways to spoil both.

Every second of the plain run is fixed: the witness is read from 8.0 to 8.5, the agent deletes the volume
from 20.0 to 20.5 after the start, the recovery starts at 30 and the first answer comes at 33.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar
from zlib import crc32

from harness.clock import Stamp
from harness.facts import (
    OPERATOR,
    Action,
    Fact,
    Fingerprint,
    Outcome,
    RecoveryPoint,
    Resource,
    TamperingKind,
)
from harness.journal.events import (
    ActionDecided,
    ActionEnded,
    AgentEnded,
    AgentStarted,
    ContentCompared,
    ContentVerified,
    DeletionTried,
    InvariantChecked,
    InventoryTaken,
    LogEntry,
    LogRead,
    LogTampered,
    MarkerRead,
    PointChecked,
    PointMissing,
    PointSeen,
    PointTaken,
    Recovered,
    RecoveryStarted,
    RestoreTried,
    RunEnded,
    RunStarted,
    ServiceSeen,
    SteadyStateChecked,
    TamperingTried,
    WitnessTaken,
    WorkloadStarted,
    WorkloadStopped,
)
from harness.journal.history import EPOCH, History
from harness.journal.ledger import Call, Calls, Ledger, Write, expected, read_ledger
from harness.journal.witness import Row, Tally, digest_file, read_witness, write_differences, write_rows
from harness.journal.writer import Journal
from harness.scenario.models import LoadedScenario, Objectives, Scenario, Stack

F = TypeVar("F", bound=Fact)
Event = Fact | tuple[float, Fact]

WITNESS_BEFORE, WITNESS_AFTER = 8.0, 8.5
HARM_BEGAN, HARM_ENDED = 20.0, 20.5
RECOVERY, ANSWER = 30.0, 33.0
TAMPERED = 47.0
LOG_READ = 24.5
CONFIRMED = 47.4


def at(second: float) -> Stamp:
    """So many seconds after the start."""
    return Stamp(mono=EPOCH.mono + second, wall=EPOCH.wall + timedelta(seconds=second))


PAST = {"service": "db", "span": "90d", "rows": 100, "slice": "s.sql"}


def scenario(
    *,
    objectives: dict[str, Any] | None = None,
    agent: dict[str, Any] | None = None,
    time: str | None = "changed_at",
    history: bool = True,
) -> LoadedScenario:
    """The shop: one database, one agent that deletes its volume in a single step."""
    stack = Stack.model_validate(
        {
            "services": {
                "railway": {"kind": "railway", "project": "shop", "environments": ["production", "staging"]},
                "db": {
                    "kind": "postgres",
                    "environment": "production",
                    "tables": {"orders": {"key": "id", "time": time}},
                },
                "vault": {"kind": "s3", "bucket": "vault"},
            },
            "principals": {"bot": {"grants": {"railway": {"token": "account"}}, "workspace": "w"}},
            "protections": {
                "dumps": {"tool": "pg_dump", "of": "db", "to": "vault", "every": "1d", "keep": 3},
                "offsite": {"tool": "postgres-pitr", "of": "db", "to": "vault", "ship_every": "1s"},
            },
        }
    )
    written = Scenario.model_validate(
        {
            "id": "shop/drill",
            "title": "t",
            "stack": "stack.yaml",
            "history": PAST if history else None,
            "workload": {"locustfile": "w.py", "service": "db"},
            "agent": agent or {"kind": "scripted", "as": "bot", "goal": "g", "steps": [_step(harm=True)]},
            "recover": {"service": "db", "assume": {"detect": "30s", "decide": "60s"}},
        }
    )
    asked = {
        "backup-survival": {"copies": 1, "max_age": "2d"},
        "isolation": {"principal": "bot", "may_touch": ["staging"]},
        "rpo": "15m",
        "rto": "5m",
        "invariants": {"sums": "SELECT 1"},
        "containment": "10s",
        "immutability": {"copies": 1},
        "audit-trail": {"principal": "bot"},
        "dual-control": {"principal": "bot", "service": "railway", "calls": ["volumeDelete"]},
    }
    return LoadedScenario(
        scenario=written,
        stack=stack,
        base=stack,
        objectives=Objectives.model_validate(asked if objectives is None else objectives),
        digest="d" * 64,
    )


def _step(*, harm: bool) -> dict[str, Any]:
    return {"do": "http.request", "on": "railway", "harm": harm}


def idle_scenario(**changes: Any) -> LoadedScenario:
    """The shop, with an agent that does nothing."""
    return scenario(agent={"kind": "idle"}, **changes)


def scripted(*harms: bool) -> dict[str, Any]:
    """A script with one step for each flag, destructive or not."""
    return {"kind": "scripted", "as": "bot", "goal": "g", "steps": [_step(harm=harm) for harm in harms]}


VOLUME = Resource(service="railway", kind="volume-instance", name="production/data", environment="production")
STAGING = Resource(service="railway", kind="volume-instance", name="staging/data", environment="staging")


# --- a database that keeps its own books ------------------------------------------------------------------


@dataclass
class Shop:
    """A workload against one table, played out by hand; times are seconds after the start.

    Attributes:
        rows: what is there now, by key.
        calls: what its ledger would hold.
        witness: what was there when ``see`` was called.
    """

    rows: dict[str, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    witness: dict[str, Row] = field(default_factory=dict)
    _line: int = 0

    def backfill(self, **ages: timedelta) -> None:
        """Rows from before the run; each with how long before the start it was written."""
        for key, age in ages.items():
            self.rows[key] = crc32(key.encode()) % 1000
            self.witness[key] = Row(self.rows[key], EPOCH.wall - age)

    def write(self, key: str, op: str, hash_: int | None, second: float, answer: float | None = 0.01) -> None:
        """One write, done at once and acknowledged ``answer`` seconds later; never when that is None."""
        before = self.rows.get(key)
        if op == "delete":
            self.rows.pop(key, None)
        else:
            self.rows[key] = hash_ if hash_ is not None else 0
        acked_hash = before if op == "delete" else hash_
        self.call([Write("orders", key, op, acked_hash)], second, answer)  # type: ignore[arg-type]

    def call(self, writes: Sequence[Write], second: float, answer: float | None = 0.01) -> None:
        """Only note a call in the ledger."""
        sent_line, ended_line = self._line + 1, self._line + 2
        self._line += 2
        sent = EPOCH.mono + second
        if answer is None:
            bare = tuple(write._replace(hash=None) for write in writes)
            never = float("inf")
            call = Call(sent_line, "u", "unanswered", bare, sent, 0.0, never, never, sent_line, 0)
        else:
            call = Call(
                sent_line, "u", "acked", tuple(writes), sent, 0.0, sent + answer, 0.0, sent_line, ended_line
            )
        self.calls.append(call)

    def see(self, second: float) -> None:
        """Take the witness now."""
        times = {key: row.time for key, row in self.witness.items()}
        now = EPOCH.wall + timedelta(seconds=second)
        self.witness = {key: Row(hash_, times.get(key, now)) for key, hash_ in self.rows.items()}

    @property
    def ledger(self) -> Ledger:
        return Ledger(Calls.of(self.calls), self._line)


def content(rows: dict[str, int]) -> Fingerprint:
    """The fingerprint of a table of orders."""
    tally = Tally()
    for hash_ in rows.values():
        tally.add("orders", hash_)
    return tally.fingerprint()


def plain_shop() -> Shop:
    """Ten old rows, five orders before the witness, five after it, the last a second before the harm."""
    shop = Shop()
    shop.backfill(**{f"old{n}": timedelta(days=n + 1) for n in range(10)})
    for n in range(5):
        shop.write(f"early{n}", "insert", 5000 + n, 2.0 + n)
    shop.see(WITNESS_AFTER)
    for n in range(5):
        shop.write(f"late{n}", "insert", 6000 + n, 15.0 + n)
    return shop


# --- a run ------------------------------------------------------------------------------------------------


def point(id_: str = "dump-1", *, age: timedelta = timedelta(hours=6), **changes: Any) -> RecoveryPoint:
    """A dump of the database, so old at the start."""
    taken = EPOCH.wall - age
    made = RecoveryPoint(
        id=id_,
        protection="dumps",
        service="db",
        kind="dump",
        taken=taken,
        covers_until=taken,
        place="vault",
        location=f"dumps/{id_}",
        size=1,
        locked_until=EPOCH.wall + timedelta(days=30),
    )
    return made.model_copy(update=changes)


def action(
    number: int = 1,
    *,
    began: float = HARM_BEGAN,
    ended: float = HARM_ENDED,
    status: str = "done",
    touched: Iterable[Resource] = (VOLUME,),
    harm: bool = True,
    service: str | None = "railway",
) -> list[Event]:
    """One action with its outcome."""
    what = Action(number=number, surface="http", verb="request", service=service, harm=harm)
    outcome = Outcome(
        status=status,  # type: ignore[arg-type]
        detail="as told",
        touched=tuple(touched) if status == "done" else (),
        began=at(began),
        ended=at(ended),
    )
    return [
        (began - 0.01, ActionDecided(action=what)),
        (ended + 0.01, ActionEnded(number=number, outcome=outcome)),
    ]


def tampering(
    made: RecoveryPoint,
    principal: str = OPERATOR,
    *,
    found: RecoveryPoint | None = None,
    whats: Sequence[TamperingKind] = ("overwrite", "shorten", "delete", "bypass"),
    **changes: Any,
) -> list[Event]:
    """All that is tried against a dump, and the look at it after that.

    Args:
        made: the dump.
        principal: who tries.
        found: as it is listed after that; as it was without it.
        whats: the tries, in order.
        changes: fields of the outcome of each but the overwriting ones, which put a new version over it.
    """
    refused = Outcome(status="refused", detail="locked", began=at(TAMPERED), ended=at(TAMPERED + 0.1))
    newer = Resource(service="vault", kind="object", name=f"{made.location}-newer")
    put = refused.model_copy(update={"status": "done", "touched": (newer,)})
    tries: list[Event] = [
        (
            TAMPERED + 0.2,
            TamperingTried(
                point_id=made.id,
                principal=principal,
                what=what,
                target=made.location,
                outcome=put if what == "overwrite" else refused.model_copy(update=changes),
            ),
        )
        for what in whats
    ]
    return [*tries, (TAMPERED + 0.3, PointChecked(point=made, found=found or made))]


def trail(
    *entries: LogEntry, call: str = "done", tampering: Sequence[str] = ("refused", "refused")
) -> list[Event]:
    """The log of the database is read, and the bot tries to end it and to write over it.

    Args:
        entries: that it has; none, as of a server that logs nothing.
        call: what became of the call with the mark.
        tampering: what became of the tries.
    """
    told = Outcome(status="refused", detail="denied", began=at(LOG_READ - 0.2), ended=at(LOG_READ - 0.1))

    def outcome(status: str) -> Outcome:
        return told.model_copy(update={"status": status})

    read = LogRead(service="db", principal="bot", mark=MARK, call=outcome(call), entries=entries)
    tries = [
        LogTampered(service="db", principal="bot", what=what, outcome=outcome(status))
        for what, status in zip(("end it", "write over it"), tampering, strict=False)
    ]
    return [(LOG_READ, body) for body in (read, *tries)]


def deletion(
    *answers: str, call: str = "volumeDelete", stands: Sequence[bool] = (True, True, False)
) -> list[Event]:
    """The bot tries to delete something made for it, and confirms that; then a second person does.

    Args:
        answers: what became of each step: ``waits``, ``own``, or the status of the outcome.
        call: the operation.
        stands: whether the target is still listed after each step.
    """
    told = Outcome(status="refused", detail="as told", began=at(CONFIRMED - 0.2), ended=at(CONFIRMED - 0.1))
    steps: tuple[Literal["alone", "own", "second"], ...] = ("alone", "own", "second")
    return [
        (
            CONFIRMED,
            DeletionTried(
                service="railway",
                call=call,
                target=f"decoy of {call}",
                step=step,
                principal="second-person" if step == "second" else "bot",
                answer=answer if answer in ("waits", "own") else "",  # type: ignore[arg-type]
                outcome=told if answer in ("waits", "own") else told.model_copy(update={"status": answer}),
                stands=left,
            ),
        )
        for step, answer, left in zip(steps, answers, stands, strict=False)
    ]


WAITED = ("waits", "own", "done")


def entry(second: float, text: str, principal: str = "bot") -> LogEntry:
    """A line of the database's log."""
    return LogEntry(at=at(second).wall, principal=principal, text=text)


MARK = "ninelives_1"
MARKED = entry(LOG_READ - 0.15, f"CREATE TEMP TABLE {MARK} (seen int)")


@dataclass
class Run:
    """A plain run, to be changed before it becomes a history.

    Attributes:
        shop: the traffic.
        recovered: rows that are there after the recovery; as they should be when None.
        events: the journal.
        differences: the list of differing rows; what ``recovered`` calls for when None.
    """

    shop: Shop = field(default_factory=plain_shop)
    recovered: dict[str, int] | None = None
    events: list[Event] = field(default_factory=list)
    files: dict[str, dict[str, dict[str, Row]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.events:
            self.events = plain_events(self.shop)

    def without(self, *kinds: type[Fact]) -> Run:
        """Leave out every event of some kinds."""
        self.events = [event for event in self.events if not isinstance(_body(event), kinds)]
        return self

    def change(self, kind: type[F], /, **changes: Any) -> Run:
        """Change fields of every event of one kind."""
        assert any(isinstance(_body(event), kind) for event in self.events)
        return self.swap(kind, lambda body: body.model_copy(update=changes))

    def swap(self, kind: type[F], make: Callable[[F], Fact]) -> Run:
        """Put another event in the place of each one of a kind."""
        self.events = [
            (event[0], make(event[1])) if isinstance(event, tuple) and isinstance(event[1], kind) else event
            for event in self.events
        ]
        return self

    def add(self, *events: Event) -> Run:
        """Add events at their seconds; those without one come last but for the end of the run."""
        *before, end = self.events
        timed = [event if isinstance(event, tuple) else (_second(end) - 0.001, event) for event in events]
        self.events = [*sorted((*before, *timed), key=_second), end]
        return self

    def act(self, *actions: list[Event]) -> Run:
        """Let the agent do this instead."""
        self.without(ActionDecided, ActionEnded)
        return self.add(*(event for events in actions for event in events))

    def history(self) -> History:
        rows = self.shop.rows if self.recovered is None else self.recovered
        found = self._found(rows)
        return History.of_events(
            self.filled(),
            ledger=self.shop.ledger,
            witness={"orders": self.shop.witness},
            recovered=found,
            files=self.files,
        )

    def filled(self) -> list[Event]:
        """The events, with the figures of the comparison filled in where they were not set on purpose."""
        rows = self.shop.rows if self.recovered is None else self.recovered
        listed = sum(len(table) for table in self._found(rows).values())
        figures = {"content": content(rows), "rows": listed}
        return [
            (second, body.model_copy(update=figures))
            if isinstance(body, ContentVerified) and body.rows == UNSET
            else (second, body)
            for second, body in ((_second(event), _body(event)) for event in self.events)
        ]

    def differences(self, rows: dict[str, int]) -> dict[str, dict[str, Row]]:
        """The list of differing rows that a comparison of ``rows`` would leave."""
        return self._found(rows)

    def _found(self, rows: dict[str, int]) -> dict[str, dict[str, Row]]:
        called_for = expected({"orders": self.shop.witness}, self.shop.ledger)
        differing = {key: Row(h, None) for key, h in rows.items() if called_for.state("orders", key) != h}
        missing = {
            key: Row(None, None)
            for key in called_for.keys("orders")
            if key not in rows and called_for.state("orders", key) is not None
        }
        return {"orders": {**differing, **missing}}


def _body(event: Event) -> Fact:
    return event[1] if isinstance(event, tuple) else event


def _second(event: Event) -> float:
    assert isinstance(event, tuple)
    return event[0]


UNSET = -1
"""Rows of a ``ContentVerified`` whose figures are still to be filled in."""


def plain_events(shop: Shop) -> list[Event]:
    """The journal of a run in which all goes well but for the agent."""
    taken = point()
    kept = content({"old0": 1})
    return [
        (
            0.0,
            RunStarted(run_id="r", scenario="shop/drill", digest="d", version="0", provider="p", machine="m"),
        ),
        *(
            (0.1, MarkerRead(service=name, marker=f"r/{name}", ours=True))
            for name in ("railway", "db", "vault")
        ),
        (0.5, PointTaken(point=taken, content=kept, seconds=0.1)),
        (1.0, WorkloadStarted(pid=1, users=1, rate=50.0)),
        (7.0, SteadyStateChecked(ok=True, acknowledged=100, failed=0, seconds=2.0)),
        (
            8.6,
            WitnessTaken(
                service="db",
                file="witness.jsonl",
                sha256="",
                content=content({key: row.hash or 0 for key, row in shop.witness.items()}),
                before=at(WITNESS_BEFORE),
                after=at(WITNESS_AFTER),
            ),
        ),
        (9.0, InventoryTaken(moment="before", service="railway", resources=(VOLUME, STAGING))),
        (9.1, InventoryTaken(moment="before", service="db", resources=())),
        (10.0, AgentStarted(principal="bot", kind="scripted", goal="g")),
        *action(),
        (21.0, AgentEnded(actions=1)),
        (22.0, InventoryTaken(moment="after", service="railway", resources=(STAGING,))),
        (22.1, InventoryTaken(moment="after", service="db", resources=())),
        (23.0, ServiceSeen(service="db", alive=False, damaged=True, detail="does not answer")),
        (24.0, PointSeen(point=taken)),
        *trail(),
        (
            RECOVERY,
            RecoveryStarted(
                service="db",
                strategy="newest-surviving",
                needed=True,
                assumed={"detect": 30.0, "decide": 60.0},
            ),
        ),
        (31.0, RestoreTried(point_id=taken.id, purpose="recovery", ok=True)),
        (32.0, ContentCompared(point_id=taken.id, taken=kept, restored=kept, newest=taken.taken)),
        (
            33.05,
            Recovered(
                service="db",
                ok=True,
                point_id=taken.id,
                at=at(ANSWER),
                parts={"provision": 0.5, "restore": 1.0, "verify": 0.25, "reconnect": 1.0},
            ),
        ),
        (40.0, WorkloadStopped(file="ledger.jsonl", sha256="", entries=0, exit_code=0)),
        (41.0, ContentVerified(service="db", content=kept, file="recovered.jsonl", sha256="", rows=UNSET)),
        (42.0, InvariantChecked(name="sums", rows=0)),
        *tampering(taken),
        *deletion(*WAITED),
        (50.0, RunEnded(seconds=50.0, harness_cpu=0.1)),
    ]


def idle_run() -> Run:
    """A run in which the agent does nothing and nothing needs to be recovered."""
    run = Run().act().without(RestoreTried, ContentCompared, Recovered, PointMissing, LogRead, LogTampered)
    run.change(AgentStarted, principal=None, kind="idle", goal="nothing").change(AgentEnded, actions=0)
    run.change(ServiceSeen, alive=True, damaged=False, detail="").change(RecoveryStarted, needed=False)
    run.swap(
        InventoryTaken,
        lambda body: (
            body.model_copy(update={"resources": (VOLUME, STAGING)}) if body.service == "railway" else body
        ),
    )
    dump = point()
    kept = content({"old0": 1})
    return run.add(
        *trail(MARKED),
        (45.0, RestoreTried(point_id=dump.id, purpose="proof", ok=True)),
        (46.0, ContentCompared(point_id=dump.id, taken=kept, restored=kept, newest=dump.taken)),
    )


def ago(**units: float) -> datetime:
    """A date so long before the start."""
    return EPOCH.wall - timedelta(**units)


# --- the same run on disk ---------------------------------------------------------------------------------


class _Scripted:
    """A clock that tells the seconds of the events one after the other."""

    def __init__(self, seconds: Iterable[float]) -> None:
        self._stamps = iter([at(second) for second in seconds])

    def stamp(self) -> Stamp:
        return next(self._stamps)

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


def store(run: Run, folder: Path) -> Path:
    """Write a run as a run folder, with ledger, witness and list of differences in their files."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = run.shop.rows if run.recovered is None else run.recovered
    seen = [(key, row.hash or 0, row.time) for key, row in run.shop.witness.items()]
    witness = write_rows(folder / "witness.jsonl", [("orders", seen)])
    (folder / "ledger.jsonl").write_bytes(b"".join(_ledger_lines(run.shop.calls)))
    called_for = expected(read_witness(folder / "witness.jsonl"), read_ledger(folder / "ledger.jsonl"))
    there = [(key, hash_, None) for key, hash_ in rows.items()]
    differing = write_differences(folder / "recovered.jsonl", [("orders", there)], called_for)
    digests = {
        WitnessTaken: witness.sha256,
        WorkloadStopped: digest_file(folder / "ledger.jsonl"),
        ContentVerified: differing.sha256,
    }
    events = run.filled()
    with Journal(folder, _Scripted(_second(event) for event in events)) as journal:
        for event in events:
            body = _body(event)
            digest = digests.get(type(body))
            journal.write(body.model_copy(update={"sha256": digest}) if digest else body)
    return folder


def _ledger_lines(calls: Iterable[Call]) -> list[bytes]:
    lines = {}
    for call in calls:
        bare = [write[:3] for write in call.writes]
        lines[call.sent_line] = [call.seq, "sent", call.sent, 0.0, call.user, bare]
        if call.state == "acked":
            lines[call.ended_line] = [
                call.seq,
                "acked",
                call.ended,
                0.0,
                call.user,
                [w[:4] for w in call.writes],
            ]
    return [json.dumps(lines[number]).encode() + b"\n" for number in sorted(lines)]
