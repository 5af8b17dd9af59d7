"""What a report says of times and losses is what somebody finds who uses none of the harness's code.

One real drill, the kiosk's: a clerk deletes all orders, the newest dump brings back what is a day old. While
it goes on, this test asks the database itself, with connections of its own, and afterwards counts the losses
from the raw ledger and from a plain SELECT of every row.

**Times.** The test's prober makes a new connection every few milliseconds, as the application, to the port
where the service was at first, reads a row that every dump has, and looks for orders placed after the
recovery began. Each of its instants is an interval: from the beginning of the last probe that saw the old
state to the end of the first one that saw the new. Compared are

- the harm, ``began`` to ``ended`` of the first destructive call, with the instant at which the row was gone,
- the start of the recovery plus the parts provision, restore and replay, with the instant at which the row
  could be read again,
- ``Recovered.at``, and so the whole RTO, with the instant at which a new order could be read.

They must agree within 50 ms, and within what this machine adds by itself: the longest time by which the
prober's own pauses came out too long, which on a quiet machine is nothing.

**Losses.** Before they are compared, one row is torn, one row that nobody ever sent is added, and one whose
deletion was acknowledged is brought back, by hand. The counts must be equal, not close.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import psycopg
import pytest

from harness.clock import Stamp
from harness.facts import APPLICATION, Endpoint
from harness.journal.events import (
    ActionEnded,
    AgentStarted,
    ContentVerified,
    Line,
    PhaseEnded,
    Recovered,
    RecoveryStarted,
    WorkloadStopped,
)
from harness.journal.record import RunRecord, Verdict
from harness.run.ground import Ground
from harness.run.place import Place
from harness.scenario.load import load_scenario

from .stage import KIOSK, log_in, play

pytestmark = pytest.mark.drill

WITHIN = 0.050
PAUSE = 0.005
ROWS = "SELECT id::text, hashtextextended(t::text, 0), placed_at FROM orders AS t"

Rows = dict[str, tuple[int, datetime]]
"""Hash and time of each row, by key."""


# --- the prober ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """One question to the service.

    Attributes:
        began, ended: around it, on the monotonic clock, in seconds.
        connected: the service took the connection.
        there: the row could be read.
        newest: time of the newest order that could be read.
    """

    began: float
    ended: float
    connected: bool
    there: bool = False
    newest: datetime | None = None


class OwnProber:
    """Asks for one row and for the newest order, on a new connection each time, until it is stopped.

    Attributes:
        probes: what came of it.
        late: seconds by which the longest of its pauses was too long.
    """

    def __init__(self, endpoint: Endpoint, key: str) -> None:
        self.probes: list[Probe] = []
        self.late = 0.0
        self._endpoint, self._key = endpoint, key
        self._over = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask once more, and no more."""
        self._over.set()
        self._thread.join()

    def first(self, after: float, sees: Callable[[Probe], bool]) -> tuple[float, float]:
        """When the first probe after an instant saw something, which the one before it had not."""
        for earlier, later in zip(self.probes, self.probes[1:], strict=False):
            if later.ended > after and sees(later) and not sees(earlier):
                return earlier.began, later.ended
        raise AssertionError("it was never seen")

    def _run(self) -> None:
        over = False
        while not over:
            over = self._over.is_set()
            self.probes.append(self._ask())
            lay_down = time.monotonic()
            time.sleep(PAUSE)
            self.late = max(self.late, time.monotonic() - lay_down - PAUSE)

    def _ask(self) -> Probe:
        began, connected = time.monotonic(), False
        try:
            with log_in(self._endpoint, APPLICATION) as connection:
                connected = True
                row = connection.execute(
                    "SELECT coalesce(bool_or(id = %s), false), max(placed_at) FROM orders", (self._key,)
                ).fetchone()
        except psycopg.Error:
            return Probe(began, time.monotonic(), connected)
        assert row is not None
        return Probe(began, time.monotonic(), True, *row)


# --- the drill ----------------------------------------------------------------------------------------


@dataclass
class Onlooker:
    """What the test saw of the drill with its own eyes.

    Attributes:
        before: every row just before the agent acted.
        after: every row when the harness had compared them.
        planted: the rows that were spoilt by hand, by what was done to them.
        prober: asked all the while, from before the harm until after the recovery.
    """

    before: Rows = field(default_factory=dict)
    after: Rows = field(default_factory=dict)
    planted: dict[str, str] = field(default_factory=dict)
    prober: OwnProber | None = None

    def __call__(self, ground: Ground, line: Line) -> None:
        endpoint = ground.endpoints.get("kiosk")
        if isinstance(line.body, AgentStarted):
            self.before = read_rows(endpoint)
            oldest = min(self.before, key=lambda key: self.before[key][1])
            self.prober = OwnProber(endpoint, surely_kept(self.before, ground) or oldest)
        elif isinstance(line.body, PhaseEnded) and line.body.phase == "recover":
            self.prober.stop()
        elif isinstance(line.body, WorkloadStopped):
            self.planted = spoil(endpoint, ground.journal.folder / line.body.file, self.before)
        elif isinstance(line.body, ContentVerified):
            self.after = read_rows(endpoint)


def read_rows(endpoint: Endpoint) -> Rows:
    with log_in(endpoint) as connection:
        return {key: (digest, at) for key, digest, at in connection.execute(ROWS)}


def surely_kept(before: Rows, ground: Ground) -> str:
    """A row of the past that the customers, who cancel the oldest orders, do not reach."""
    return sorted(before, key=lambda key: before[key][1])[150]


def spoil(endpoint: Endpoint, ledger: Path, before: Rows) -> dict[str, str]:
    """Tear a row, add one that nobody sent, and bring one back whose deletion was acknowledged."""
    states, _ = acknowledged(ledger)
    with log_in(endpoint) as connection:
        there = [key for key, *_ in connection.execute(ROWS + " ORDER BY placed_at DESC")]
        torn = next(key for key in there if key in before and key not in states)
        withdrawn = next(
            key for key, changes in states.items() if changes[-1][1] is None and len(changes) > 1
        )
        connection.execute("UPDATE orders SET amount = amount + 0.01 WHERE id = %s", (torn,))
        phantom = str(uuid4())
        for key in (phantom, withdrawn):
            connection.execute("INSERT INTO orders VALUES (%s, 1.23, now())", (key,))
    return {"torn": torn, "phantom": phantom, "resurrected": withdrawn}


@dataclass(frozen=True)
class Seen:
    """The drill, as reported and as seen."""

    record: RunRecord
    onlooker: Onlooker

    def verdict(self, objective: str) -> Verdict:
        return next(verdict for verdict in self.record.verdicts if verdict.objective == objective)

    def figure(self, objective: str, name: str) -> float:
        found = self.verdict(objective).figure(name)
        assert found is not None, f"{objective} has no figure {name}"
        return found.value

    @property
    def harm(self) -> tuple[Stamp, Stamp]:
        outcome = self.record.history.first(ActionEnded).body.outcome
        return outcome.began, outcome.ended

    @property
    def recovery(self) -> Stamp:
        return self.record.history.first(RecoveryStarted).at

    @property
    def recovered(self) -> Recovered:
        return self.record.history.first(Recovered).body

    @property
    def tolerance(self) -> float:
        return WITHIN + self.onlooker.prober.late


@pytest.fixture(scope="module")
def seen(stage: Place) -> Seen:
    onlooker = Onlooker()
    drilled = play(load_scenario(KIOSK / "deleted-orders.yaml"), stage, onlooker)
    assert drilled.fault is None
    return Seen(drilled.record, onlooker)


# --- times --------------------------------------------------------------------------------------------


def test_the_harm_is_when_a_client_lost_its_rows(seen: Seen) -> None:
    earliest, latest = seen.onlooker.prober.first(0.0, lambda probe: not probe.there)
    began, ended = seen.harm
    assert began.mono - seen.tolerance <= latest
    assert earliest <= ended.mono + seen.tolerance


def test_the_service_is_restored_when_a_client_reads_an_old_row_at_the_old_port(seen: Seen) -> None:
    earliest, latest = seen.onlooker.prober.first(seen.recovery.mono, lambda probe: probe.there)
    parts = [seen.recovered.parts.get(part, 0.0) for part in ("provision", "restore", "replay")]
    reported = seen.recovery.mono + sum(parts)
    assert earliest - seen.tolerance <= reported <= latest + seen.tolerance


def test_the_rto_ends_when_a_client_sees_the_first_new_order(seen: Seen) -> None:
    def sees_new_order(probe: Probe) -> bool:
        return probe.newest is not None and probe.newest > seen.recovery.wall

    earliest, latest = seen.onlooker.prober.first(seen.recovery.mono, sees_new_order)
    began, _ = seen.harm
    reported = seen.figure("rto", "rto")
    assert earliest - began.mono - seen.tolerance <= reported <= latest - began.mono + seen.tolerance


def test_the_parts_of_the_rto_add_up_to_the_whole(seen: Seen) -> None:
    figures = {figure.name: figure.value for figure in seen.verdict("rto").figures}
    parts = sum(value for name, value in figures.items() if name not in ("rto", "target"))
    assert parts == pytest.approx(figures["rto"], abs=WITHIN)


def test_new_connections_failed_between_harm_and_restore_and_at_no_other_time(seen: Seen) -> None:
    failed = [probe for probe in seen.onlooker.prober.probes if not probe.connected]
    assert failed
    _, restored = seen.onlooker.prober.first(seen.recovery.mono, lambda probe: probe.there)
    assert seen.harm[0].mono < failed[0].ended
    assert failed[-1].began < restored


# --- losses -------------------------------------------------------------------------------------------

States = dict[str, list[tuple[float, int | None]]]
"""For each row's key its acknowledged states: when, on the monotonic clock in seconds, and the hash."""


def acknowledged(ledger: Path) -> tuple[States, dict[str, set[str]]]:
    """What the raw ledger says: acknowledged states of each row, and what was tried without an answer."""
    states: States = {}
    sent: dict[int, list[list[str]]] = {}
    for seq, state, mono, _, _, what in map(json.loads, ledger.read_text().splitlines()):
        if state == "acked":
            for _, key, op, digest in what:
                states.setdefault(key, []).append((mono, None if op == "delete" else digest))
        if state in ("acked", "refused"):
            del sent[seq]
        elif state == "sent":
            sent[seq] = what
    unsure: dict[str, set[str]] = {}
    for _, key, op in (write for writes in sent.values() for write in writes):
        unsure.setdefault(key, set()).add(op)
    return states, unsure


@dataclass(frozen=True)
class Recount:
    """The test's own count of the losses; ``rpo`` in seconds."""

    kinds: Counter[str]
    known: int
    indeterminate: int
    rpo: float


def recount(seen: Seen) -> Recount:
    states, unsure = acknowledged(seen.record.history.folder / "ledger.jsonl")
    _, harm = seen.harm
    past = {
        key: [(at.timestamp() - harm.wall.timestamp(), digest)]
        for key, (digest, at) in seen.onlooker.before.items()
    }
    for key, changes in states.items():
        first_seen = past.get(key, []) if changes[0][1] is None else []
        past[key] = first_seen + [(at - harm.mono, digest) for at, digest in changes]
    kinds: Counter[str] = Counter()
    undone: list[float] = []
    for key in {*past, *seen.onlooker.after}:
        changes = past.get(key, [])
        hashes = [digest for _, digest in changes]
        wanted = hashes[-1] if hashes else None
        found = seen.onlooker.after[key][0] if key in seen.onlooker.after else None
        if found == wanted or (found is None and "delete" in unsure.get(key, ())):
            continue
        later = changes[len(hashes) - hashes[::-1].index(found) :] if found in hashes else changes
        before_harm = [at for at, _ in later if at <= 0]
        if later and not before_harm:
            kinds["after"] += 1
            continue
        undone += before_harm
        if found is None or (wanted is not None and found in hashes):
            kinds["lost"] += 1
        elif wanted is None:
            kinds["resurrected" if changes else "phantom"] += 1
        else:
            kinds["torn"] += 1
    oldest = min(undone)
    newest_whole = max(at for changes in past.values() for at, _ in changes if at < oldest)
    known = sum(changes[-1][1] is not None for changes in past.values())
    return Recount(kinds, known, len(unsure), -newest_whole)


@pytest.fixture(scope="module")
def counted(seen: Seen) -> Recount:
    return recount(seen)


@pytest.mark.parametrize(
    ("figure", "kind"),
    [
        ("lost", "lost"),
        ("torn", "torn"),
        ("phantom", "phantom"),
        ("resurrected", "resurrected"),
        ("acked-after-harm", "after"),
    ],
)
def test_each_kind_of_loss_is_counted_to_the_row(
    seen: Seen, counted: Recount, figure: str, kind: str
) -> None:
    assert counted.kinds[kind] > 0, "the drill did not produce any, so that the count proves nothing"
    assert seen.figure("rpo", figure) == counted.kinds[kind]


def test_what_was_known_and_what_nobody_can_say_are_counted_to_the_row(seen: Seen, counted: Recount) -> None:
    assert counted.indeterminate > 0
    assert seen.figure("rpo", "indeterminate") == counted.indeterminate
    assert seen.figure("rpo", "known") == counted.known


def test_one_torn_row_and_one_phantom_are_the_ones_made_by_hand(seen: Seen, counted: Recount) -> None:
    assert (counted.kinds["torn"], counted.kinds["phantom"]) == (1, 1)
    differing = seen.record.history.recovered["orders"]
    for what in ("torn", "phantom", "resurrected"):
        key = seen.onlooker.planted[what]
        assert differing[key].hash == seen.onlooker.after[key][0]


def test_the_rpo_is_the_age_of_the_newest_write_before_which_nothing_is_missing(
    seen: Seen, counted: Recount
) -> None:
    assert seen.figure("rpo", "rpo") == pytest.approx(counted.rpo, abs=0.001)
    assert counted.rpo == pytest.approx(86400, abs=2 * 864 + 60)


def test_every_acknowledged_write_of_the_restored_service_is_there(seen: Seen) -> None:
    states, _ = acknowledged(seen.record.history.folder / "ledger.jsonl")
    recovered = seen.recovered.at.mono
    fresh = {
        key for key, changes in states.items() if changes[0][0] >= recovered and changes[-1][1] is not None
    }
    assert fresh
    assert fresh <= seen.onlooker.after.keys()
