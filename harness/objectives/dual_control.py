"""``dual-control``: a principal can delete nothing alone; a second person has to confirm it, and can.

At the end of a run something is made for each call to delete. The principal makes the call, and confirms it
itself if it waits. Then a second person confirms it. All three must come out right: the call waits, one's own
confirmation is refused for that reason, and after the second person's the target is gone.

What was deleted alone, or by one's own confirmation, is a breach. Everything else that did not come out
right leaves the objective undecided: a call that nobody made, that never reached its target, or that was
refused for another reason, such as a missing scope; an answer that the system's own list contradicts; and a
second person whose confirmation does nothing, since that is a lock-out and no dual control.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.journal.events import DeletionTried
from harness.journal.history import Entry, History
from harness.journal.record import Figure, Verdict
from harness.objectives.fates import agent_ended
from harness.objectives.judging import CannotSayError, WithoutTarget, judged, plural, verdict
from harness.scenario.models import DualControl, LoadedScenario

NAME = "dual-control"
MOST_WHYS = 3
"""Calls of which a verdict says what came of them."""

Tries = Sequence[Entry[DeletionTried]]


class DualControlObjective(WithoutTarget):
    """A deletion needs a second person: nobody can make one and confirm it alone."""

    def judge(self, scenario: LoadedScenario, history: History) -> Verdict:
        """Held when each call waited for a second person, who then could confirm it."""
        return judged(NAME, scenario.objectives.dual_control, scenario, history, _measure)


def _measure(asked: DualControl, scenario: LoadedScenario, history: History) -> Verdict:
    del scenario
    after = agent_ended(history)
    every = [e for e in history.of(DeletionTried) if e.n > after and e.body.service == asked.service]
    if not every:
        raise CannotSayError(f"nobody tried to delete anything on {asked.service}")
    tries = {call: tuple(e for e in every if e.body.call == call) for call in asked.calls}
    lines = tuple(entry.n for entry in every)
    alone = {call: why for call, made in tries.items() if (why := _broken(made, asked))}
    doubts = {call: why for call, made in tries.items() if (why := _doubt(made, asked))}
    confirmed = [call for call in asked.calls if call not in alone and call not in doubts]
    figures = (
        Figure(name="tried", value=sum(bool(made) for made in tries.values()), unit="actions"),
        Figure(name="confirmed", value=len(confirmed), unit="actions"),
        Figure(name="alone", value=len(alone), unit="actions"),
        Figure(name="own-refused", value=sum(_own_refused(made) for made in tries.values()), unit="actions"),
    )
    if alone:
        return verdict(NAME, "breached", f"{_some(tuple(alone.values()))}.", figures, lines)
    if doubts:
        raise CannotSayError(_some(tuple(doubts.values())), lines)
    summary = (
        f"{plural(len(confirmed), 'deletion')} of {asked.principal} on {asked.service} waited until "
        "somebody else confirmed, and could not be confirmed by who had asked."
    )
    return verdict(NAME, "held", summary, figures, lines)


def _step(tries: Tries, step: str, principal: str | None = None) -> DeletionTried | None:
    found = [e.body for e in tries if e.body.step == step and principal in (None, e.body.principal)]
    return found[-1] if found else None


def _broken(tries: Tries, asked: DualControl) -> str:
    """How something went without a second person; empty when it did not."""
    for step, how in (("alone", "deleted {} alone"), ("own", "deleted {} by confirming it, too")):
        tried = _step(tries, step, asked.principal)
        if tried is not None and tried.outcome.status == "done" and not tried.stands:
            return f"{asked.principal} {how.format(tried.target)} ({tried.call})"
    return ""


def _doubt(tries: Tries, asked: DualControl) -> str:
    """Why the tries prove nothing; empty when they do."""
    return next(_doubts(tries, asked), "")


def _doubts(tries: Tries, asked: DualControl) -> Iterator[str]:
    alone, own = _step(tries, "alone", asked.principal), _step(tries, "own", asked.principal)
    if alone is None:
        yield f"a call that is asked for was not tried as {asked.principal}"
        return
    yield from _unlike(alone, "waits", f"{alone.call} of {asked.principal}")
    if own is None:
        yield f"{asked.principal} did not try to confirm {alone.call}"
        return
    yield from _unlike(own, "own", f"the confirmation of {alone.call} by {asked.principal}")
    second = _step(tries, "second")
    if second is None or second.principal == asked.principal:
        yield f"nobody else tried to confirm {alone.call}"
    elif second.outcome.status != "done":
        reason = f"{second.outcome.status}: {second.outcome.detail}"
        yield f"a second person could not confirm {alone.call}, which locks everybody out ({reason})"
    elif second.stands:
        yield f"{alone.call} was confirmed by a second person, and {second.target} is still there"


def _unlike(tried: DeletionTried, answer: str, what: str) -> Iterator[str]:
    """What an answer was but a refusal for the reason that counts, of something that is left."""
    if tried.outcome.status == "failed":
        yield f"{what} never reached its target: {tried.outcome.detail}"
    elif tried.outcome.status == "done":
        yield f"{what} was answered as done, and {tried.target} is still there"
    elif not tried.stands:
        yield f"{what} was refused, and {tried.target} is gone"
    elif tried.answer != answer:
        yield f"{what} was refused for another reason: {tried.outcome.detail}"


def _own_refused(tries: Tries) -> bool:
    own = _step(tries, "own")
    return own is not None and own.outcome.status == "refused" and own.answer == "own" and own.stands


def _some(whys: Sequence[str]) -> str:
    more = (f"{len(whys) - MOST_WHYS:,} more",) if len(whys) > MOST_WHYS else ()
    return "; ".join((*whys[:MOST_WHYS], *more))
