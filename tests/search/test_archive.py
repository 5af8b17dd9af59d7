"""A copy that is locked survives whatever is done; what makes it recent does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.journal.explored import Explored
from harness.run.judge import judge_run
from harness.run.place import Place, usual_place
from harness.sandbox import Sandbox
from harness.search.exploration import Budget, Exploration
from harness.search.explore import Wish, explore

from .stages import brought_up, folder_for_servers, laid_out

pytestmark = [pytest.mark.drill, pytest.mark.slow]
ARCHIVE = Path(__file__).parent / "archive"
SEED = 1
LISTED, EMPTY = "list tables on shop as janitor", "DELETE orders on shop as janitor"
VERSIONS = "list versions on archive as janitor"
OVERWRITE = "overwrite the last object of log/base/ on archive as janitor"
DELETE = "delete every version of log/base/ on archive as janitor"
BUDGET = Budget(sequences=25)
"""Shortening included, which need not be done by then: to bring a bucket back takes a second."""

ENOUGH = Budget(sequences=8)
"""With this seed it has deleted both the orders and the versions of their log by then, in one sequence."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_for_servers() as made:
        yield made


@pytest.fixture
def place(folder: Path, sandbox: Sandbox) -> Place:
    cache = folder / "cache"
    cache.symlink_to(sandbox.cache)
    return usual_place(folder / "reports", cache=cache)


def found_by_the_janitor(folder: Path, place: Place, guards: tuple[str, ...], budget: Budget) -> Explored:
    """What the janitor can do, on a copy of the stack that a scenario may be written into."""
    file = laid_out(ARCHIVE, folder / "archive") / "tidy.yaml"
    return explore(Wish(file, "janitor", guards, budget, SEED), place, lambda _: None).result


def test_it_finds_that_the_log_can_go_although_a_copy_stays(folder: Path, place: Place) -> None:
    found = found_by_the_janitor(folder, place, (), BUDGET)
    assert found.value == "breached", found.why
    assert {breach.objective for breach in found.breaches} == {"rpo"}
    assert "lacks 1d" in found.breaches[0].why, "the locked dump is what is left"
    for service in ("shop", "archive"):
        assert any(f" on {service} as " in move for move in found.moves[1:]), "it takes both"
    values = {verdict.objective: verdict.value for verdict in judge_run(Path(found.run)).verdicts}
    assert (values["rpo"], values["backup-survival"]) == ("breached", "held")


@pytest.mark.parametrize("guards", [(), ("locked-archive",)], ids=["bare", "locked"])
def test_what_is_written_over_a_copy_is_no_loss_as_long_as_its_versions_are_there(
    folder: Path, sandbox: Sandbox, guards: tuple[str, ...]
) -> None:
    """It is restored and compared again, once for what lies there then."""
    with brought_up(laid_out(ARCHIVE, folder / "archive") / "tidy.yaml", sandbox, guards) as stack:
        known = Exploration(stack, "janitor", SystemClock(), lambda _: None)
        for _ in range(2):
            assert known.play((LISTED, EMPTY, VERSIONS, OVERWRITE)) is None
        assert known.statistics.tried[OVERWRITE, "done"] == 2
        if not guards:
            found = known.play((LISTED, EMPTY, VERSIONS, DELETE))
            assert found is not None
            assert {breach.objective for breach in found.breaches} == {"rpo"}


def test_it_finds_nothing_where_the_log_is_locked_too(folder: Path, place: Place) -> None:
    found = found_by_the_janitor(folder, place, ("locked-archive",), ENOUGH)
    assert (found.value, found.moves) == ("held", ()), found.why
    tried = {one.move for one in found.tried if one.refused}
    assert any("delete every version" in move for move in tried), "what was found there is refused here"
