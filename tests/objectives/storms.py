"""Workloads whose true course is known, although the calls overlap in any way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Literal

from hypothesis import strategies as st

from harness.facts import Fingerprint
from harness.journal.events import WitnessTaken
from harness.journal.history import EPOCH
from harness.journal.ledger import Call, Calls, Expected, Ledger, Write, expected
from harness.journal.witness import Row

from .drills import at

Op = Literal["insert", "update", "delete"]
KEYS = ("a", "b", "c", "d")


def taken(before: float, after: float) -> WitnessTaken:
    """The event of a witness that was read between two seconds."""
    return WitnessTaken(
        service="db", file="w", sha256="", content=Fingerprint(tables=()), before=at(before), after=at(after)
    )


def differences(called_for: Expected, rows: dict[str, int]) -> dict[str, dict[str, Row]]:
    """The list that a comparison of ``rows`` with what is called for would leave."""
    keys = {*rows, *called_for.keys("orders")}
    found = {
        key: Row(rows.get(key), None) for key in keys if called_for.state("orders", key) != rows.get(key)
    }
    return {"orders": found}


@dataclass(frozen=True)
class Drop:
    """One call of a storm: sent, written at some time (or never), and answered at some later time."""

    key: str
    op: Op
    sent: float
    wait: float
    delay: float
    written: bool
    answered: bool


@dataclass
class Storm:
    """Calls that overlap. The server takes each at one instant, which nobody sees.

    Attributes:
        drops: the calls.
        witness: three seconds; the witness is read at the middle one, and said to be read between the others.
        old: keys that were there from the start, a day old.
        true: the rows after each instant at which they changed, with that second.
        sent: when each content was sent.
        expected: what witness and ledger call for.
    """

    drops: list[Drop]
    witness: tuple[float, float, float]
    old: tuple[str, ...]

    def __post_init__(self) -> None:
        fresh = count(1000)
        rows = {key: n for n, key in enumerate(self.old, start=1)}
        self.true: list[tuple[float, dict[str, int]]] = [(0.0, dict(rows))]
        self.sent = dict.fromkeys(rows.values(), -86_400.0)
        seen: dict[str, int] | None = None
        answers: dict[int, tuple[str, int | None]] = {}
        order = sorted(range(len(self.drops)), key=lambda n: self.drops[n].sent + self.drops[n].wait)
        before, snapshot, after = sorted(self.witness)
        for number in order:
            drop = self.drops[number]
            if seen is None and drop.sent + drop.wait > snapshot:
                seen = dict(rows)
            hash_ = next(fresh)
            self.sent[hash_] = drop.sent
            answers[number] = self._take(drop, rows, hash_)
            self.true.append((drop.sent + drop.wait, dict(rows)))
        seen = dict(rows) if seen is None else seen
        window = taken(before, after)
        witness = {"orders": {key: Row(hash_, at(self.sent[hash_]).wall) for key, hash_ in seen.items()}}
        self.expected = expected(witness, self._ledger(answers), window)

    def rows_at(self, second: float) -> dict[str, int]:
        """What the server truly held."""
        return [rows for instant, rows in self.true if instant <= second][-1]

    def _take(self, drop: Drop, rows: dict[str, int], fresh: int) -> tuple[str, int | None]:
        if (drop.key in rows) != (drop.op != "insert"):
            return ("refused" if drop.answered else "broken"), None
        if not drop.written:
            return "broken", None
        before = rows.get(drop.key)
        if drop.op == "delete":
            rows.pop(drop.key)
        else:
            rows[drop.key] = fresh
        return ("acked" if drop.answered else "broken"), (before if drop.op == "delete" else fresh)

    def _ledger(self, answers: dict[int, tuple[str, int | None]]) -> Ledger:
        instants = [(drop.sent, 0, n) for n, drop in enumerate(self.drops)]
        instants += [(drop.sent + drop.wait + drop.delay, 1, n) for n, drop in enumerate(self.drops)]
        lines = {(kind, n): line for line, (_, kind, n) in enumerate(sorted(instants), start=1)}
        calls = []
        for n, drop in enumerate(self.drops):
            state, hash_ = answers[n]
            write = Write("orders", drop.key, drop.op, hash_ if state == "acked" else None)
            ended = EPOCH.mono + drop.sent + drop.wait + drop.delay
            calls.append(
                Call(
                    n, "u", state, (write,), EPOCH.mono + drop.sent, 0.0, ended, 0.0, lines[0, n], lines[1, n]
                )  # type: ignore[arg-type]
            )
        return Ledger(Calls.of(calls), 2 * len(calls))


SECONDS = st.integers(0, 40).map(lambda tenths: tenths / 10)
STORMS = st.builds(
    Storm,
    st.lists(
        st.builds(
            Drop,
            st.sampled_from(KEYS[:2]),
            st.sampled_from(("insert", "update", "delete")),
            SECONDS,
            st.sampled_from((0.05, 0.35, 1.15)),
            st.sampled_from((0.01, 0.3, 1.1)),
            st.sampled_from((True, True, True, False)),
            st.sampled_from((True, True, True, False)),
        ),
        max_size=8,
    ),
    st.tuples(SECONDS, SECONDS, SECONDS),
    st.sampled_from([(), ("a",), ("a", "b")]),
)
