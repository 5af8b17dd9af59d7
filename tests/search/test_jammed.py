"""A stack that cannot be reset in the middle of a search costs nothing of what was found until then."""

from __future__ import annotations

import json

import pytest

from harness.journal.explored import FILE as EXPLORED
from harness.journal.explored import Explored
from harness.journal.radius import FILE as RADIUS
from harness.journal.radius import BlastRadius
from harness.journal.rebuilds import Rebuild
from harness.render.html import FILE as PAGE
from harness.render.wording import plain
from tests.drills.command import Installation

from .shelves import flat, newest, scenario_of

pytestmark = pytest.mark.drill
SEARCH = ("--budget", "4", "--seed", "1")
LOST = "shelf could not be reset (ValueError: the shelf is stuck)"
NONE_LEFT = (
    "and the stack could not be made again (RuntimeError: no shelf is left; shelf was being brought up)"
)
FOUND = ["list every file on shelf as janitor", "delete file 1 on shelf as janitor"]


def test_what_was_found_is_kept_and_confirmed_when_no_other_stack_comes_up(installed: Installation) -> None:
    file = scenario_of(installed, "jammed", "found")
    done = installed.call("explore", file, "--principal", "janitor", *SEARCH)
    assert done.returncode == 1, done.stderr
    folder = newest(installed, EXPLORED)
    found = Explored.model_validate_json((folder / EXPLORED).read_bytes())
    assert list(found.moves) == FOUND
    assert found.confirmed == ("backup-survival",), found.why
    assert found.stopped == f"{LOST}, {NONE_LEFT}"
    assert (found.rebuilt, found.rebuilds) == (0, ())
    assert "perhaps fewer: the stack was lost before they were shortened" in flat(done.stdout)
    assert f"it could not go on: {found.stopped}" in flat(done.stdout)
    assert f"It could not go on: <bdi>{LOST}" in (folder / PAGE).read_text(encoding="utf-8")
    assert LOST in (folder / "junit.xml").read_text(encoding="utf-8")
    assert installed.at_work() == ()


def test_a_search_that_was_cut_short_before_it_found_anything_holds_nothing(installed: Installation) -> None:
    file = scenario_of(installed, "jammed", "nothing")
    asked = ("--principal", "clerk", "--guards", "least-privilege", "--json", *SEARCH)
    done = installed.call("explore", file, *asked)
    assert done.returncode == 2, done.stderr
    found = Explored.model_validate_json(done.stdout)
    assert (found.value, found.moves) == ("undecided", ())
    assert found.landed > 0, "or it would be undecided anyway"
    assert found.stopped.startswith(LOST)
    assert found.judged(()).value == "undecided", "whoever judges it again says the same"


def test_a_blast_radius_keeps_every_call_until_then(installed: Installation) -> None:
    file = scenario_of(installed, "jammed", "radius")
    done = installed.call("blast-radius", file, "--principal", "janitor")
    assert done.returncode == 2, done.stderr
    folder = newest(installed, RADIUS)
    radius = BlastRadius.model_validate_json((folder / RADIUS).read_bytes())
    assert [deed.name for deed in radius.deeds] == ["delete file 1"]
    assert radius.stopped == f"{LOST}, {NONE_LEFT}"
    assert f"It could not go on: {radius.stopped}" in flat(done.stdout)
    assert f"It could not go on: <bdi>{LOST}" in (folder / PAGE).read_text(encoding="utf-8")
    assert installed.at_work() == ()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("stuck", "ValueError: the shelf is stuck"),
        ("stiff", "a service of kind stiff cannot be reset here"),
    ],
)
def test_every_stack_that_was_made_again_is_counted_and_says_why(
    installed: Installation, kind: str, why: str
) -> None:
    file = scenario_of(installed, kind, kind)
    asked = ("--principal", "clerk", "--guards", "least-privilege", *SEARCH)
    done = installed.call("explore", file, *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = newest(installed, EXPLORED)
    found = Explored.model_validate_json((folder / EXPLORED).read_bytes())
    assert found.rebuilt > 1
    assert found.rebuilds == (Rebuild(service="shelf", why=why, times=found.rebuilt),)
    said = f"made again {found.rebuilt} times, as shelf could not be reset: {why}"
    assert said in flat(done.stdout)
    assert said in plain((folder / PAGE).read_text(encoding="utf-8"))
    assert said in (folder / "junit.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("verb", "file"), [("explore", EXPLORED), ("blast-radius", RADIUS)])
def test_what_was_found_is_kept_when_the_stack_cannot_be_taken_down(
    installed: Installation, verb: str, file: str
) -> None:
    asked = SEARCH if verb == "explore" else ()
    scenario = scenario_of(installed, "glued", f"glued-{verb}")
    done = installed.call(verb, scenario, "--principal", "janitor", *asked)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "the shelf is glued to the wall" in flat(done.stderr)
    kept = json.loads((newest(installed, file) / file).read_bytes())
    found = kept["moves"] if verb == "explore" else [deed["name"] for deed in kept["deeds"]]
    assert FOUND[1].partition(" on ")[0] in " ".join(found)
