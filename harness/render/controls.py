"""The claims of runs on controls, as text, JSON and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import TypeAdapter

from harness.controls.catalogue import Framework, observations
from harness.journal.claims import Claim, Population

EVERY_CLAIM = TypeAdapter(tuple[Claim, ...])
COLUMNS = (
    *("control", "asks", "runs say", "seen", "not seen"),
    *("planned", "run", "passed", "failed", "not tested", "aborted"),
)
NO_MORE = "A drill gives evidence. It says nothing of whether an organisation complies with anything."
HYPOTHETICAL = "rests in part on a guard that no provider offers"


def claims_text(claims: Iterable[Claim], listed: Iterable[Framework]) -> Iterator[str]:
    """Lines for people: each framework with what is said of its controls, and what no replica can show."""
    every = tuple(claims)
    for framework in listed:
        yield f"{framework.title}, {framework.version}"
        yield from _notice(framework)
        for claim in every:
            if claim.framework == framework.framework:
                yield f"  {claim.says:<12} {claim.id}: {claim.asks}"
                yield f"               {_because(claim)}"
        yield from (f"  {'never shown':<12} {one.id}: {one.because}" for one in framework.never)
        yield ""
    yield NO_MORE


def claims_markdown(claims: Iterable[Claim], listed: Iterable[Framework]) -> Iterator[str]:
    """A table a framework."""
    every = tuple(claims)
    for framework in listed:
        yield f"## [{_cell(framework.title)}]({framework.link}), {_cell(framework.version)}"
        yield ""
        yield from _notice(framework)
        yield f"| {' | '.join(COLUMNS)} |"
        yield f"|{'---|' * len(COLUMNS)}"
        for claim in every:
            if claim.framework == framework.framework:
                says = f"{claim.says}, {HYPOTHETICAL}" if claim.hypothetical else claim.says
                numbers = " | ".join(str(number) for number in _numbers(claim.population))
                seen, unseen = " ".join(claim.seen), " ".join(claim.unseen)
                yield f"| {_cell(claim.id)} | {_cell(claim.asks)} | {says} | {seen} | {unseen} | {numbers} |"
        yield from (
            f"| {one.id} | {_cell(one.because)} | never shown |" + " |" * 8 for one in framework.never
        )
        yield ""
    can_be_seen = (f"{name}: {one.says}" for name, one in observations().items())
    yield f"Observations. {'; '.join(can_be_seen)}."
    yield ""
    yield NO_MORE


def claims_json(claims: Iterable[Claim]) -> str:
    """One document: an array of claims."""
    return EVERY_CLAIM.dump_json(tuple(claims), indent=1).decode()


def _notice(framework: Framework) -> tuple[str, ...]:
    return (framework.notice, "") if framework.notice else ()


def _because(claim: Claim) -> str:
    said = claim.population
    if not said.planned:
        return f"no check is about it; it would take {' '.join(claim.unseen)}"
    text = f"{said.passed} of {said.planned} checks passed, {said.failed} failed"
    text += f", {said.not_tested} undecided" if said.not_tested else ""
    text += f", {said.aborted} aborted" if said.aborted else ""
    text += f"; seen {' '.join(claim.seen)}" if claim.seen else ""
    text += f"; not seen {' '.join(claim.unseen)}" if claim.unseen else ""
    return text + (f"; {HYPOTHETICAL}" if claim.hypothetical else "")


def _numbers(said: Population) -> tuple[int, ...]:
    return (said.planned, said.run, said.passed, said.failed, said.not_tested, said.aborted)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
