"""How a stack compares with production, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.render.wording import clean, listing, plain, quantity
from harness.scenario.models import Fidelity, Setting

MOST_NAMED = 3
_LONGEST = 80


def faithful(fidelity: Fidelity | None) -> str:
    """The result in a sentence or two.

    Args:
        fidelity: None when nothing of production was supplied.
    """
    if fidelity is None:
        return (
            "Nothing of production was supplied, so nothing tells whether this stack is like it: "
            "name a file of it as `production:` in the stack."
        )
    different, rest = fidelity.of("different"), len(fidelity.of("not supplied"))
    same = f"{quantity(len(fidelity.of('same')), 'setting')} the same on {fidelity.taken.isoformat()}"
    missing = f"{quantity(rest, 'setting')} not supplied"
    if not different:
        return f"Against production: {same}, {missing}."
    named = listing([_difference(each) for each in different], MOST_NAMED)
    return f"Production differs in {quantity(len(different), 'setting')}: {named}. {same}, {missing}."


def _difference(setting: Setting) -> str:
    here, there = clean(setting.here, _LONGEST), clean(setting.there or "", _LONGEST)
    return f"{setting.name} is {here} here and {there} there"


def fidelity_text(fidelity: Fidelity) -> Iterator[str]:
    """Lines for a terminal: each setting that differs or is not known, then what it comes to."""
    yield from _section("different", fidelity.of("different"))
    yield from _section("same", fidelity.of("same"))
    yield from _section("not supplied", fidelity.of("not supplied"))
    yield plain(faithful(fidelity))


def _section(fate: str, settings: Sequence[Setting]) -> Iterator[str]:
    if not settings:
        return
    yield f"{fate.upper()}"
    for each in settings:
        yield f"  {clean(each.name, 200)}"
        yield f"      here   {clean(each.here, _LONGEST)}"
        if each.there is not None:
            source = clean(each.source, 200) if each.source is not None else "stated, not exported"
            yield f"      there  {clean(each.there, _LONGEST)} ({source})"
    yield ""
