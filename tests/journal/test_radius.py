"""A blast radius, what of it is beyond recovery, and whether it has grown."""

from __future__ import annotations

import pytest

from harness.journal.radius import BlastRadius, Deed, Extent, grown


def deed(name: str, extent: Extent, *unrecoverable: str, owner: str = "bot") -> Deed:
    return Deed(
        principal="bot", owner=owner, service="db", name=name, extent=extent, unrecoverable=unrecoverable
    )


def radius(*deeds: Deed) -> BlastRadius:
    return BlastRadius(stack="stack.yaml", deeds=deeds)


def changes(before: BlastRadius, now: BlastRadius) -> list[tuple[str, str | None]]:
    return [(one.deed.name, one.before) for one in grown(before, now)]


def test_the_kill_set_is_what_makes_something_unrecoverable() -> None:
    copy = deed("delete a copy", "lost")
    table = deed("drop a table", "lost", "db")
    volume = deed("delete the volume", "lost with its backups", "db")
    assert radius(copy, table, volume).kill_set == (table, volume)


@pytest.mark.parametrize(
    ("extents", "value"),
    [
        ((), "undecided"),
        (("failed",), "undecided"),
        (("nothing", "failed"), "undecided"),
        (("failed", "refused"), "held"),
        (("contained",), "held"),
    ],
)
def test_calls_that_failed_or_did_nothing_decide_nothing(extents: tuple[Extent, ...], value: str) -> None:
    made = radius(*(deed(str(n), extent) for n, extent in enumerate(extents)))
    assert made.value == value
    assert made.model_copy(update={"interrupted": True}).value == "undecided"


def test_it_grows_by_a_call_that_reaches_further_and_by_one_that_is_new() -> None:
    before = radius(deed("a", "refused"), deed("b", "reversible"), deed("c", "lost", "db"))
    now = radius(deed("a", "lost", "db"), deed("b", "reversible"), deed("c", "refused"), deed("d", "lost"))
    assert changes(before, now) == [("a", "refused"), ("d", None)]
    assert changes(before, before) == []


def test_what_stays_within_bounds_is_no_growth() -> None:
    assert changes(radius(deed("a", "refused")), radius(deed("a", "contained"), deed("b", "contained"))) == []


def test_another_service_that_cannot_come_back_is_growth() -> None:
    assert changes(radius(deed("a", "lost", "db")), radius(deed("a", "lost", "db", "cache"))) == [
        ("a", "lost")
    ]


def test_the_same_call_with_another_credential_is_another_call() -> None:
    assert changes(radius(deed("a", "lost", "db")), radius(deed("a", "lost", "db", owner="root"))) == [
        ("a", None)
    ]


def test_it_is_read_back_as_it_was_written() -> None:
    made = radius(deed("a", "lost", "db"))
    assert BlastRadius.model_validate_json(made.model_dump_json()) == made
