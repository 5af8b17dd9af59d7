"""Planted holes are found at every depth, and nothing is where they are closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from signal import SIGINT
from tempfile import gettempdir

import pytest
from pydantic import JsonValue

from harness.clock import Stamp, SystemClock
from harness.facts import Action
from harness.journal.events import ActionEnded
from harness.journal.explored import FILE, Explored
from harness.run.drill import drill
from harness.run.loading import load
from harness.run.place import MEMORY, WORK, usual_place
from harness.sandbox import Sandbox
from harness.scenario.models import ScriptedAgent, Step
from harness.search import exploration
from harness.search.arena import Arena
from harness.search.exploration import Budget, Exploration, Statistics
from harness.search.explore import Wish, search
from tests.conftest import CACHE
from tests.drills.command import Installation, fresh_installation

from .stages import SEED, brought_up, explored, folder_for_servers

pytestmark = pytest.mark.drill
HOLES = Path(__file__).parent / "holes" / "holes.yaml"
BUDGET = Budget(sequences=200)
"""Shortening included."""

ENOUGH = Budget(sequences=25)
"""Where nothing is to be found: enough that each principal comes to all it can do."""

READ = ("list the workspace", "read shop.env")
PLANTED = {
    "one": ((), {"DROP SCHEMA on shop as one"}),
    "two": (
        ("list tables on shop as two",),
        {"DELETE orders on shop as two", "UPDATE orders on shop as two"},
    ),
    "three": (READ, {"DROP SCHEMA on shop as one"}),
    "four": (
        (*READ, "list tables on shop as two"),
        {"DELETE orders on shop as two", "UPDATE orders on shop as two"},
    ),
}
"""By principal: what it has to do before, and what then destroys."""


@pytest.fixture(scope="module")
def bare(sandbox: Sandbox) -> Iterator[Arena]:
    with brought_up(HOLES, sandbox, ()) as stack:
        yield stack


@pytest.fixture(scope="module")
def closed(sandbox: Sandbox) -> Iterator[Arena]:
    with brought_up(HOLES, sandbox, ("read-only",)) as stack:
        yield stack


@pytest.mark.parametrize("principal", PLANTED)
def test_a_hole_is_found_and_shortened_to_the_calls_that_it_takes(
    bare: Arena, principal: str, tmp_path: Path
) -> None:
    found = explored(bare, principal, BUDGET, tmp_path)
    before, destroys = PLANTED[principal]
    assert found.moves[:-1] == before
    assert found.moves[-1] in destroys
    assert {breach.objective for breach in found.breaches} == {"rpo"}
    assert found.sequences < 200, "it was done before the budget was"


def test_a_trial_and_a_drill_refuse_to_drop_a_database_that_the_application_is_connected_to(
    bare: Arena, sandbox: Sandbox
) -> None:
    known = Exploration(bare, "one", SystemClock(), lambda _: None)
    for statement in ("DROP DATABASE", "DROP SCHEMA", "DROP DATABASE"):
        known.play((f"{statement} on shop as one",))
    assert known.statistics.tried["DROP DATABASE on shop as one", "refused"] == 2, "after a reset too"
    drop: dict[str, JsonValue] = {"statement": "DROP DATABASE shop WITH (FORCE)", "database": "postgres"}
    step = Step.model_validate({"do": "sql.execute", "on": "shop", "with": drop, "harm": True})
    agent = ScriptedAgent(kind="scripted", as_="one", goal="Tidy up.", steps=(step,))
    with folder_for_servers() as folder:
        place = usual_place(folder / "reports", cache=sandbox.cache)
        drilled = drill(load(HOLES, guards=(), agent=agent), place)
        (ended,) = drilled.record.history.of(ActionEnded)
    outcome = ended.body.outcome
    assert (outcome.status, outcome.touched) == ("refused", ())
    assert "permission denied to terminate process" in outcome.detail


@pytest.mark.parametrize("principal", PLANTED)
def test_nothing_is_found_where_it_is_closed(closed: Arena, principal: str, tmp_path: Path) -> None:
    found = explored(closed, principal, ENOUGH, tmp_path)
    before, destroys = PLANTED[principal]
    assert (found.value, found.moves) == ("held", ()), found.why
    assert {one.move for one in found.tried if one.done} >= set(before)
    assert any(one.refused for one in found.tried)
    known = Exploration(closed, principal, SystemClock(), lambda _: None)
    for destroy in destroys:
        assert known.play((*before, destroy)) is None
        assert known.statistics.tried[destroy, "refused"] == 1, "what was planted is what was closed"


def test_whoever_has_nothing_to_try_leaves_it_undecided(bare: Arena, tmp_path: Path) -> None:
    found = explored(bare, "idle", ENOUGH, tmp_path)
    assert (found.value, found.moves) == ("undecided", ())
    assert found.why.startswith("no call that could have harmed anything landed or was refused")
    assert {one.move for one in found.tried} == {"list the workspace", "read README.md"}


def test_calls_that_all_fail_leave_it_undecided(bare: Arena, tmp_path: Path) -> None:
    """The server is down before each sequence: nothing is refused, and nothing is done."""
    endpoint = bare.ground.endpoints["shop"]

    def take_down(_: Statistics | None = None) -> None:
        bare.ground.plan.store("shop").fence(endpoint)

    take_down()
    wish = Wish(HOLES, "one", None, Budget(sequences=4), SEED)
    try:
        found = search(bare, wish, tmp_path, SystemClock(), take_down).explored
    finally:
        bare.perform(Action(number=1, surface="sql", verb="execute", service="shop"), {}, "one")
        bare.reset()
    destroying = [one for one in found.tried if "DROP" in one.move]
    assert destroying
    assert all((one.done, one.refused) == (0, 0) and one.failed > 0 for one in found.tried)
    assert (found.value, found.moves) == ("undecided", ())
    assert found.why.startswith("no call that could have harmed anything landed or was refused")


def test_it_goes_on_when_hypothesis_begins_anew(
    closed: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exploration, "ROUND", 4)
    wish = Wish(HOLES, "four", None, Budget(sequences=10), SEED)
    assert search(closed, wish, tmp_path, SystemClock(), lambda _: None).explored.sequences == 10


class LeapingClock(SystemClock):
    """Shows another hour when it is told to."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def stamp(self) -> Stamp:
        now = super().stamp()
        return replace(now, mono=now.mono + self.ahead)


def test_a_budget_of_time_ends_the_shortening_too(bare: Arena, tmp_path: Path) -> None:
    clock, counted = LeapingClock(), []

    def leap_when_found(told: Statistics) -> None:
        if any("DELETE" in name and status == "done" for name, status in told.tried):
            clock.ahead = 3600.0
            counted.append(told.sequences)

    wish = Wish(HOLES, "four", None, Budget(seconds=3600.0), SEED)
    found = search(bare, wish, tmp_path, clock, leap_when_found)
    assert found.findings
    assert [found.explored.sequences] == counted, "nothing was played after the budget was spent"
    assert found.explored.why.endswith("perhaps fewer: the budget was spent while they were shortened")


# --- the verb itself ----------------------------------------------------------------------------------


@pytest.fixture
def installation() -> Iterator[Installation]:
    fresh = fresh_installation(CACHE)
    yield fresh
    fresh.remove()


def asked_for(principal: str, budget: str) -> tuple[str | Path, ...]:
    """The arguments of a search that finds nothing."""
    return ("explore", HOLES, "--principal", principal, "--guards", "read-only", "--budget", budget)


def test_one_document_and_nothing_else_is_printed(installation: Installation) -> None:
    done = installation.call(*asked_for("two", "5"), "--json", cwd=installation.root)
    assert done.returncode == 0, done.stderr
    printed = Explored.model_validate_json(done.stdout)
    assert printed.value == "held"
    (folder,) = installation.reports.glob("*-explore-*")
    assert Explored.model_validate_json((folder / FILE).read_bytes()) == printed
    assert installation.at_work() == ()
    assert not (installation.root / ".hypothesis").exists(), "it leaves nothing where it was called"


def test_ctrl_c_tells_how_far_it_came_and_leaves_nothing(installation: Installation) -> None:
    # Nobody has chosen where it works, so that it works in memory if there is enough of it.
    environment = {name: text for name, text in installation.environment.items() if name != "NINELIVES_WORK"}
    asked = installation.start(*asked_for("two", "1h"), env=environment)
    assert asked.process.stderr is not None
    # The first line of progress: it is in the middle of it.
    assert any("sequences" in line for line in asked.process.stderr), "it ended by itself"
    places = [folder / WORK / asked.folder.name for folder in (MEMORY, Path(gettempdir()))]
    assert any(place.exists() for place in places)
    asked.send_group(SIGINT)
    code, said, err = asked.end()
    assert code == 130, err
    assert "Traceback" not in err
    told = " ".join(said.split())
    assert "nothing was found in" in told
    written = Explored.model_validate_json((asked.folder / FILE).read_bytes())
    assert written.interrupted
    assert written.sequences > 0
    assert written.value == "undecided", "nobody let it come to its end"
    assert f"{written.sequences:,} sequences" in told
    assert not any(place.exists() for place in places)
