"""What has no backups, or does not all come back, is never called harmless."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.facts import Action
from harness.journal.explored import FILE, Breach, Explored
from harness.journal.radius import BlastRadius, Deed
from harness.journal.rebuilds import Rebuild
from harness.render.radius import headline
from harness.run.place import usual_place
from harness.sandbox import Sandbox
from harness.search.arena import Arena
from harness.search.exploration import Budget, Exploration, Finding
from harness.search.explore import Wish, explore
from harness.search.radius import blast_radius

from .stages import brought_up, laid_out

pytestmark = pytest.mark.drill
GAPS = Path(__file__).parent / "gaps"
LOOK = "list tables on attic as janitor"


@pytest.fixture(scope="module")
def stack(folder: Path, sandbox: Sandbox) -> Iterator[Arena]:
    with brought_up(laid_out(GAPS, folder / "gaps") / "quiet.yaml", sandbox) as up:
        yield up


@pytest.fixture(scope="module")
def radius(stack: Arena) -> BlastRadius:
    return blast_radius(stack, "gaps")


def of(radius: BlastRadius, principal: str) -> dict[str, Deed]:
    return {deed.name: deed for deed in radius.deeds if deed.principal == principal}


def search(stack: Arena) -> Exploration:
    """Of what the janitor can break, before anything was tried."""
    exploration = Exploration(stack, "janitor", SystemClock(), lambda _: None)
    exploration.allow(Budget())
    return exploration


def test_what_never_had_a_copy_is_lost_for_good(radius: BlastRadius) -> None:
    deeds = of(radius, "clerk")
    for call in ("DELETE entries", "TRUNCATE entries", "DROP TABLE entries"):
        assert (deeds[call].extent, deeds[call].undo) == ("lost", ""), call
        assert deeds[call].unrecoverable == ("ledger",), call
        assert deeds[call] in radius.kill_set
    assert radius.value == "breached"
    assert deeds["DELETE drafts"].extent == "nothing"


def test_what_nobody_compares_does_not_come_back_by_itself(radius: BlastRadius) -> None:
    deeds = of(radius, "janitor")
    delete = deeds["DELETE entries"]
    assert (delete.extent, delete.unrecoverable) == ("lost", ())
    alone = radius.model_copy(update={"deeds": tuple(deeds.values())})
    assert headline(alone).startswith("No single call makes a service unrecoverable; ")
    assert headline(alone).endswith("something else, with no way back seen.")


def test_a_copy_of_one_service_brings_back_no_project(radius: BlastRadius) -> None:
    deeds = of(radius, "intern")
    back = "shop from dumps in vault"
    volume, project = deeds["volumeDelete of volume shop-data"], deeds["projectDelete of the project"]
    assert (volume.extent, volume.undo) == ("reversible", back)
    assert (project.extent, project.undo, project.unrecoverable) == ("lost", back, ())


def test_a_copy_of_what_nobody_compares_proves_nothing(stack: Arena) -> None:
    before = {copy.point.id for copy in stack.look([]).copies}
    outcome = stack.perform(Action(number=1, surface="time", verb="pass"), {"for": "1d"}, "clerk")
    assert outcome.status == "done", outcome.detail
    new = {copy.point.service: copy.standing for copy in stack.look([]).copies if copy.point.id not in before}
    stack.reset()
    assert new == {"shop": "sufficient", "attic": "unproven"}


def test_a_call_that_did_nothing_has_not_landed(stack: Arena) -> None:
    exploration = search(stack)
    exploration.play((LOOK, "DELETE drafts on attic as janitor"))
    assert exploration.statistics.tried["DELETE drafts on attic as janitor", "done"] == 1
    assert exploration.statistics.landed == 0, "or it would hold against a harm that never was one"
    exploration.play((LOOK, "DELETE entries on attic as janitor"))
    assert exploration.statistics.landed == 1
    exploration.play((LOOK, "DROP TABLE entries on attic as janitor"))
    assert exploration.statistics.landed == 2, "a refusal is what a guard is for"


def test_a_sequence_that_cannot_be_made_again_is_kept_as_it_was_found(stack: Arena) -> None:
    names = ("a call that is not there any more", "DELETE entries on attic as janitor")
    found = Finding((), names, (Breach(objective="rpo", why="it was lost once"),), 1)
    exploration = search(stack)
    exploration._shorten(found)
    assert exploration.finding == found


def test_what_a_search_found_is_kept_when_no_run_can_be_made_of_it(folder: Path, sandbox: Sandbox) -> None:
    file = laid_out(GAPS, folder / "removed") / "quiet.yaml"
    place = usual_place(folder / "searched", cache=folder / "cache")
    place.cache.symlink_to(sandbox.cache)
    explored = explore(
        Wish(file, "clerk", (), Budget(sequences=30), 1),
        place,
        lambda _: shutil.rmtree(file.parent, ignore_errors=True),
    ).result
    (stored,) = (place.reports / "latest").resolve().glob(FILE)
    assert Explored.model_validate_json(stored.read_bytes()) == explored
    assert explored.value == "undecided"
    assert {breach.objective for breach in explored.breaches} == {"isolation"}
    assert ", but no run could be made of it: " in explored.why
    assert Path(explored.file).parent == stored.parent


def test_a_call_that_is_not_found_again_is_told(stack: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    missing: list[str] = []

    def tell(deed: Deed) -> None:
        if not missing:
            # As a stack that was made anew, in which a table has another name.
            missing.append("drafts" if deed.name.endswith("entries") else "entries")
            stack.reset()
            rename = Action(number=1, surface="sql", verb="execute", service="ledger")
            surface = stack.surface("sql", "clerk", "ledger")
            surface.perform(rename, {"statement": f"ALTER TABLE {missing[0]} RENAME TO plans"})
            monkeypatch.setattr(stack, "rebuilds", [Rebuild(service="ledger", why="")])

    deeds = of(blast_radius(stack, "gaps", ("clerk",), tell), "clerk")
    unmade = deeds[f"DELETE {missing[0]}"]
    assert unmade.extent == "failed"
    assert "not found again" in unmade.said


def test_what_was_opened_for_one_principal_keeps_no_other_out(stack: Arena) -> None:
    """The operator's session, through which changes are seen, is the harness's own."""
    stack.reset()
    read = Action(number=1, surface="sql", verb="query", service="ledger")
    assert stack.perform(read, {"statement": "SELECT 1"}, "auditor").status == "done"
    drop = {"statement": 'DROP DATABASE "ledger" WITH (FORCE)', "database": "postgres"}
    outcome = stack.perform(read.model_copy(update={"verb": "execute"}), drop, "clerk")
    assert outcome.status == "done", outcome.detail
    stack.reset()
    assert stack.rebuilt == 0
