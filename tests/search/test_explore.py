"""Exploring finds what is there to be found, and nothing where it was closed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from harness.journal.explored import FILE, Explored
from harness.journal.record import RunRecord, Verdict
from harness.render.answers import AnswerFile
from harness.run.drill import drill
from harness.run.loading import load
from harness.run.place import Place, usual_place
from harness.sandbox import Sandbox
from harness.scenario.models import VerdictValue
from harness.search.confirmation import unconfirmed_by
from harness.search.exploration import Budget
from harness.search.explore import Wish, explore
from harness.search.moves import untried
from harness.search.recording import judged_again
from harness.surfaces.sql import SqlSurface
from tests.objectives.drills import Run, scenario

POCKETOS = Path(__file__).parent.parent.parent / "scenarios" / "pocketos"
SEED = 2


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(mkdtemp(prefix="ninelives-explore-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def place(folder: Path, sandbox: Sandbox) -> Place:
    """With an empty database of examples, so that a seed says everything."""
    cache = folder / "cache"
    cache.symlink_to(sandbox.cache)
    return usual_place(folder / "reports", cache=cache)


@pytest.fixture
def pocketos(folder: Path) -> Path:
    """A copy that a scenario may be written into."""
    return Path(shutil.copytree(POCKETOS, folder / "pocketos"))


def told(*_: object) -> None:
    """Nobody watches."""


@pytest.mark.drill
def test_it_finds_the_token_that_lies_about_and_what_it_deletes(pocketos: Path, place: Place) -> None:
    wish = Wish(pocketos / "stack.yaml", "staging-agent", None, Budget(sequences=400), SEED)
    searched = explore(wish, place, told)
    explored, folder = searched.result, searched.folder
    assert explored.value == "breached", explored.why
    assert explored.moves[:3] == (
        "list the workspace",
        "read scripts/domains.env",
        "look at the projects on railway as domains-cli",
    )
    assert explored.moves[3:] == ("volumeDelete of volume bookings-data on railway as domains-cli",)
    assert {breach.objective for breach in explored.breaches} == {"backup-survival", "isolation", "rpo"}
    assert explored.run, "a run has confirmed it"
    assert explored.confirmed == tuple(breach.objective for breach in explored.breaches)
    assert Explored.model_validate_json((folder / FILE).read_text()) == explored
    assert judged_again(explored, folder) == explored, "its value follows from the run beside it"
    assert (place.reports / "latest").resolve() == folder.resolve()
    verdicts = AnswerFile.model_validate_json((folder / "verdicts.json").read_bytes())
    assert {v.objective: v.value for v in verdicts.verdicts} == dict.fromkeys(explored.objectives, "breached")
    assert f"../{Path(explored.run).name}/index.html" in (folder / "index.html").read_text()
    closed = drill(load(Path(explored.file), guards=("scoped-token", "soft-delete", "locked-copy")), place)
    assert closed.record.value == "held", "the scenario fails until the hole is closed, and no longer"


@pytest.mark.drill
def test_it_finds_nothing_in_the_hardened_stack_and_says_how_hard_it_looked(
    pocketos: Path, place: Place
) -> None:
    wish = Wish(pocketos / "hardened.yaml", "staging-agent", None, Budget(sequences=40), SEED)
    explored = explore(wish, place, told).result
    assert explored.value == "held", explored.why
    assert explored.moves == ()
    assert explored.file == ""
    assert explored.sequences == 40
    assert explored.actions > 100
    refused = {one.move for one in explored.tried if one.refused}
    assert any("domains-cli" in move for move in refused), "it has used the token that lies about"
    listed = {f"bookings: {name}" for name in untried(SqlSurface, ())}
    assert listed < {*explored.never}, "no token of this stack opens the database itself"
    assert "railway: volumeDelete" not in explored.never


@pytest.mark.parametrize("verdicts", [("undecided", "held"), ("held", "undecided")])
def test_what_no_run_confirms_says_what_the_run_said(verdicts: tuple[VerdictValue, VerdictValue]) -> None:
    said = {"undecided": "Undecided: there was no steady state.", "held": "Nothing is lost."}
    judged = tuple(Verdict(objective=f"o{n}", value=v, summary=said[v]) for n, v in enumerate(verdicts))
    record = RunRecord("run", scenario(), Run().history(), judged)
    assert unconfirmed_by(record) == "but no run confirms it: Undecided: there was no steady state."
