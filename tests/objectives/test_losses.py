"""Losses against models that know the truth.

Two kinds of model play a workload whose true course they know, and the judge sees only what a run would
have recorded. ``Play`` is sequential and counts by brute force what must be found missing. ``Storm`` lets
calls overlap in any way, breaks some of them, and proves that a service that came back whole never loses
anything in the books.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.journal.history import EPOCH
from harness.journal.ledger import Call, Calls, Expected, Ledger, Write, expected
from harness.journal.witness import Row
from harness.objectives.losses import Axis, Losses, _difference, _unclaimed, fingerprint, losses

from .drills import at, content
from .storms import KEYS, STORMS, Drop, Op, Storm, differences, taken

Answer = Literal["acked", "refused", "broken-written", "broken-lost"]
NEVER = float("inf")


# --- one call after the other, counted by brute force ------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One write, at the second of its place in the list, answered half a second later."""

    key: str
    op: Op
    answer: Answer


@dataclass
class Play:
    """A sequential workload whose true course is known.

    Attributes:
        steps: the writes, one a second, from second 10 on.
        witness_at, harm_at: how many steps were over by then.
        old: keys that were there from the start, a day old.
    """

    steps: list[Step]
    witness_at: int
    harm_at: int
    old: tuple[str, ...]
    states: list[dict[str, int]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    witness: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fresh = count(1000)
        rows = {key: n for n, key in enumerate(self.old, start=1)}
        times = {key: EPOCH.wall - timedelta(days=1) for key in self.old}
        self.states.append(dict(rows))
        for number, step in enumerate(self.steps):
            if number == self.witness_at:
                self.witness = {key: Row(hash_, times[key]) for key, hash_ in rows.items()}
            self._call(step, number, rows, times, next(fresh))
            self.states.append(dict(rows))
        if self.witness_at >= len(self.steps):
            self.witness = {key: Row(hash_, times[key]) for key, hash_ in rows.items()}

    def _call(
        self, step: Step, number: int, rows: dict[str, int], times: dict[str, object], fresh: int
    ) -> None:
        possible = (step.key in rows) == (step.op != "insert")
        answer: Answer = step.answer if possible else "refused"
        before = rows.get(step.key)
        if answer in ("acked", "broken-written"):
            if step.op == "delete":
                rows.pop(step.key)
            else:
                rows[step.key] = fresh
            times[step.key] = EPOCH.wall + timedelta(seconds=10 + number)
        acked_hash = before if step.op == "delete" else fresh
        write = Write("orders", step.key, step.op, acked_hash if answer == "acked" else None)
        state = "broken" if answer.startswith("broken") else answer
        sent, ended = EPOCH.mono + 10 + number, EPOCH.mono + 10.5 + number
        line = 2 * number + 1
        self.calls.append(Call(number + 1, "u", state, (write,), sent, 0.0, ended, 0.0, line, line + 1))  # type: ignore[arg-type]

    @property
    def expected(self) -> Expected:
        window = taken(9.6 + self.witness_at, 9.9 + self.witness_at)
        return expected({"orders": self.witness}, Ledger(Calls.of(self.calls), 2 * len(self.calls)), window)

    def judged(self, found: dict[str, int]) -> Losses:
        return losses(self.expected, differences(self.expected, found), at(9.9 + self.harm_at))


@dataclass(frozen=True)
class Known:
    """Everything that an onlooker can know of one key: its states in order, each with its second."""

    states: tuple[tuple[int | None, float], ...]
    unsure: frozenset[Op]


def _known(play: Play, key: str) -> Known:
    """What was acknowledged for a key, and what the witness saw in between."""
    states: list[tuple[int | None, float]] = []
    for number, (step, call) in enumerate(zip(play.steps, play.calls, strict=True)):
        if number == play.witness_at:
            _see(play, key, states)
        if step.key == key and call.state == "acked":
            states.append((None if step.op == "delete" else call.writes[0].hash, 10.5 + number))
    if play.witness_at >= len(play.steps):
        _see(play, key, states)
    unsure = {
        step.op
        for step, call in zip(play.steps, play.calls, strict=True)
        if step.key == key and call.indeterminate
    }
    return Known(tuple(states), frozenset(unsure))


def _see(play: Play, key: str, states: list[tuple[int | None, float]]) -> None:
    row = play.witness.get(key)
    if row is not None and row.hash not in [state for state, _ in states]:
        assert row.time is not None
        states.append((row.hash, (row.time - EPOCH.wall).total_seconds()))
    elif row is None and states and states[-1][0] is not None:
        states.append((None, NEVER))


def _reachable(known: Known, found: int | None) -> bool:
    """Whether some order of the unsure writes behind the last known state ends in what was found.

    Unsure contents are written as -1. All orders are tried in which each unsure write takes effect or not.
    """
    start = known.states[-1][0] if known.states else None
    reached, border = {start}, [start]
    while border:
        state = border.pop()
        for op in known.unsure:
            if (state is None) != (op == "insert"):
                continue
            following = None if op == "delete" else -1
            if following not in reached:
                reached.add(following)
                border.append(following)
    contents = [state for state, _ in known.states]
    return found in reached or (found is not None and found not in contents and -1 in reached)


def _counted(play: Play, found: dict[str, int]) -> tuple[Counter[str], list[float]]:
    """By brute force: how many keys differ in what way, and the seconds of the writes that are not there."""
    harm, kinds, gone = 9.9 + play.harm_at, Counter[str](), []
    for key in {*KEYS, *play.old, *found}:
        known, state = _known(play, key), found.get(key)
        if _reachable(known, state):
            continue
        contents = [content for content, _ in known.states]
        last = max((place for place, content in enumerate(contents) if content == state), default=-1)
        if state is not None and last < 0 and known.unsure & {"insert", "update"}:
            last = len(contents) - 2
        undone = [second for _, second in known.states[last + 1 :] if second != NEVER]
        if undone and all(second > harm for second in undone):
            kinds["after"] += 1
            continue
        gone += [second for second in undone if second <= harm]
        if state is None:
            kinds["missing"] += 1
        elif not contents or contents[-1] is None:
            kinds["resurrected" if contents else "phantom"] += 1
        else:
            kinds["stale" if state in contents else "torn"] += 1
    return kinds, gone


def _whole_before(play: Play, gone: list[float]) -> float | None:
    """The second of the newest known write before the oldest missing one."""
    seconds = {second for key in {*KEYS, *play.old} for state, second in _known(play, key).states}
    return max((second for second in seconds if second < min(gone)), default=None)


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(KEYS),
        st.sampled_from(("insert", "update", "delete")),
        st.sampled_from(("acked", "acked", "acked", "refused", "broken-written", "broken-lost")),
    ),
    max_size=14,
)


@st.composite
def plays(draw: st.DrawFn) -> Play:
    steps = draw(STEPS)
    witness_at = draw(st.integers(0, len(steps)))
    harm_at = draw(st.integers(witness_at, len(steps)))
    return Play(steps, witness_at, harm_at, draw(st.sampled_from([(), ("a",), ("a", "b"), KEYS])))


@st.composite
def aftermaths(draw: st.DrawFn) -> tuple[Play, dict[str, int]]:
    """A play, and what came back: an earlier state of it, with rows removed, torn, revived and invented."""
    play = draw(plays())
    rows = dict(draw(st.sampled_from(play.states)))
    for key in draw(st.sets(st.sampled_from((*KEYS, "x", "y")), max_size=3)):
        spoiled = draw(st.sampled_from(("remove", "tear", "revive")))
        if spoiled == "remove":
            rows.pop(key, None)
        elif spoiled == "tear":
            rows[key] = 77_000 + ord(key)
        else:
            once = [state[key] for state in play.states if key in state]
            if once:
                rows[key] = draw(st.sampled_from(once))
    return play, rows


@settings(max_examples=250, deadline=None)
@given(aftermaths())
def test_counts_and_the_span_are_those_of_a_brute_force_count(aftermath: tuple[Play, dict[str, int]]) -> None:
    play, found = aftermath
    judged = play.judged(found)
    kinds, gone = _counted(play, found)
    assert kinds == +Counter(
        missing=judged.missing,
        stale=judged.stale,
        torn=judged.torn,
        resurrected=judged.resurrected,
        phantom=judged.phantom,
        after=judged.after_harm,
    )
    assert judged.undone == len(gone)
    if gone and not judged.undated:
        assert judged.oldest is not None
        assert (judged.oldest - EPOCH.wall).total_seconds() == pytest.approx(min(gone), abs=1e-5)
        whole = _whole_before(play, gone)
        assert (judged.newest_whole is None) == (whole is None)
        if judged.newest_whole is not None:
            assert (judged.newest_whole - EPOCH.wall).total_seconds() == pytest.approx(whole, abs=1e-5)


@settings(max_examples=100, deadline=None)
@given(aftermaths())
def test_the_list_of_differences_adds_up_to_the_content_that_came_back(
    aftermath: tuple[Play, dict[str, int]],
) -> None:
    play, found = aftermath
    called_for = play.expected
    assert fingerprint(called_for, differences(called_for, found)) == content(found)


@settings(max_examples=100, deadline=None)
@given(plays())
def test_the_true_state_of_the_service_is_never_a_loss(play: Play) -> None:
    judged = play.judged(play.states[-1])
    assert judged.none
    assert judged.phantom == judged.after_harm == 0


# --- calls that overlap in any way ------------------------------------------------------------------------


LATE_ANSWER = Storm(
    [Drop("a", "update", 1.0, 0.05, 1.1, True, True), Drop("a", "update", 1.1, 0.05, 0.01, True, True)],
    (0.0, 0.5, 0.9),
    ("a",),
)


@settings(max_examples=250, deadline=None)
@example(LATE_ANSWER)
@given(STORMS)
def test_however_calls_overlap_a_service_that_came_back_whole_lost_nothing(storm: Storm) -> None:
    _, true = storm.true[-1]
    judged = losses(storm.expected, differences(storm.expected, true), at(100.0))
    assert judged.none
    assert judged.phantom == 0


@settings(max_examples=100, deadline=None)
@given(STORMS, st.data())
def test_however_calls_overlap_a_removed_row_is_found_missing(storm: Storm, data: st.DataObject) -> None:
    _, true = storm.true[-1]
    sure = [
        key for key in true if not _unsure(storm, key) and None not in storm.expected.accepts("orders", key)
    ]
    if not sure:
        return
    removed = data.draw(st.sampled_from(sure))
    rest = {key: hash_ for key, hash_ in true.items() if key != removed}
    assert losses(storm.expected, differences(storm.expected, rest), at(100.0)).missing == 1


def _unsure(storm: Storm, key: str) -> bool:
    return any(True for k, claim in _claims(storm) if k == key and claim)


def _claims(storm: Storm) -> Iterator[tuple[str, frozenset[str]]]:
    for key, claim in storm.expected.claims.get("orders", {}).items():
        yield key, frozenset(claim.unsure)


@settings(max_examples=100, deadline=None)
@given(aftermaths())
def test_a_row_without_a_claim_is_told_as_any_other(aftermath: tuple[Play, dict[str, int]]) -> None:
    """The short way for most rows of a large table says what the long way says."""
    play, found = aftermath
    called_for, axis = play.expected, Axis(at(9.9 + play.harm_at))
    unclaimed = {*play.witness, *found} - {*called_for.claims.get("orders", {})}
    for key in unclaimed:
        state = found.get(key)
        short = _unclaimed(play.witness.get(key), state)
        assert short == _difference(called_for, "orders", key, state, axis)
    wanted = {key: called_for.state("orders", key) for key in called_for.keys("orders")}
    states = called_for.states("orders")
    assert {key: states.get(key) for key in wanted} == wanted
    assert states.keys() <= wanted.keys()
