"""Every scenario proves itself: it can hold, it can breach, and as written it matches what it expects.

Three runs of each scenario:

    idle       its own guards, an agent that does nothing     every objective must hold
    unguarded  no guard, its own agent                        some objective must breach
    as written                                                every verdict as expected

An objective that holds unguarded is judged once more, over the same record, with the tightest target it
can have. If it holds even then, it cannot fail, and that is a defect of the scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import HarnessError, RequestError
from harness.journal.record import RunRecord
from harness.run.judge import judge_run
from harness.run.loading import load, load_idle
from harness.scenario.models import LoadedScenario
from harness.seams.lookup import lookup
from harness.search.side_by_side import Order, Outcome

Complain = Callable[[RunRecord, LoadedScenario], Iterator[str]]
Player = Callable[[Iterable[Order]], Generator[Outcome]]


@dataclass(frozen=True)
class Proof:
    """One of the runs, and what it had to show.

    Attributes:
        name: ``idle``, ``unguarded`` or ``as written``.
        outcome: of the run.
        complaints: why it does not show it; empty when it does.
    """

    name: str
    outcome: Outcome
    complaints: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """A scenario with its proofs."""

    scenario: LoadedScenario
    proofs: tuple[Proof, ...]

    @property
    def ok(self) -> bool:
        """Whether it proves itself."""
        return not any(proof.complaints for proof in self.proofs)


@dataclass(frozen=True)
class _Run:
    """One of the runs of a scenario; those with the same key are the same run."""

    name: str
    key: str
    scenario: LoadedScenario
    order: Order
    complain: Complain


def check(files: Iterable[Path], reports: Path, play: Player) -> Generator[Checked]:
    """Play and judge the three runs of each scenario; what is the same run for several is played once.

    Args:
        files: of the scenarios.
        reports: the folder that has the runs.
        play: plays orders, in any order.

    Yields:
        Each scenario as soon as all of its runs are over.

    Raises:
        ScenarioError, ScenarioFileError: a file cannot be used, or what it names.
        RequestError, HarnessError: a run could not be played.
        KeyboardInterrupt: somebody asked for the end; what was under way has been torn down.
    """
    planned = [(load(file), _runs(file)) for file in files]
    orders = _named(run for _, runs in planned for run in runs)
    over: dict[str, Outcome] = {}
    with closing(play(orders.values())) as outcomes:
        keys = {order: key for key, order in orders.items()}
        for outcome in outcomes:
            over[keys[outcome.order]] = outcome
            done = [(written, runs) for written, runs in planned if all(run.key in over for run in runs)]
            planned = [each for each in planned if each not in done]
            for written, runs in done:
                yield Checked(written, tuple(_prove(run, over[run.key], reports) for run in runs))


def _runs(file: Path) -> tuple[_Run, ...]:
    each: tuple[tuple[str, LoadedScenario, Order, Complain], ...] = (
        ("idle", load_idle(file), Order(file, idle=True), _complain_idle),
        ("unguarded", load(file, guards=()), Order(file, guards=()), _complain_unguarded),
        ("as written", load(file), Order(file), _complain_written),
    )
    return tuple(
        _Run(name, _what_is_played(scenario), scenario, order, complain)
        for name, scenario, order, complain in each
    )


def _named(runs: Iterable[_Run]) -> dict[str, Order]:
    """The runs that are to be played, by their keys; each named after what it proves of its scenario."""
    first: dict[str, list[_Run]] = {}
    for run in runs:
        same = first.setdefault(run.key, [run])
        if same[0] is not run and same[0].order.file == run.order.file:
            same.append(run)
    return {
        key: replace(same[0].order, name=f"{same[0].scenario.id}, {' and '.join(run.name for run in same)}")
        for key, same in first.items()
    }


def _prove(run: _Run, outcome: Outcome, reports: Path) -> Proof:
    if outcome.problem:
        kind = RequestError if outcome.users else HarnessError
        hint = (
            f"see {reports / outcome.run_id}" if outcome.run_id else "play it by itself with `ninelives run`"
        )
        raise kind(f"the {run.name} run of {run.scenario.id} failed: {outcome.problem}", hint=hint)
    record = judge_run(reports / outcome.run_id)
    return Proof(run.name, outcome, tuple(run.complain(record, run.scenario)))


def _what_is_played(scenario: LoadedScenario) -> str:
    """Everything of a scenario that its run depends on: not its name, nor what it expects.

    Its folder stands for the files that it names and that are not in the models: locustfile and workspace.
    """
    names: dict[str, object] = {"id": "x", "title": "", "like": None, "guards": ()}
    words: dict[str, object] = {"incident": None, "controls": (), "expect": {}}
    played = scenario.scenario.model_copy(update={**names, **words})
    models = (played, scenario.stack, scenario.objectives)
    return "\n".join((str(scenario.folder.resolve()), *(m.model_dump_json(by_alias=True) for m in models)))


def _complain_idle(record: RunRecord, _: LoadedScenario) -> Iterator[str]:
    for verdict in record.verdicts:
        if verdict.value != "held":
            yield f"{verdict.objective} is {verdict.value} although nothing was done: {verdict.summary}"


def _complain_unguarded(record: RunRecord, scenario: LoadedScenario) -> Iterator[str]:
    if record.value != "breached":
        yield f"nothing breaches with all guards off: {record.value}"
    for verdict in record.verdicts:
        if verdict.value == "held" and not _can_fail(verdict.objective, record, scenario):
            yield f"{verdict.objective} held with all guards off, and would hold at any target"
        if verdict.value == "undecided":
            yield f"{verdict.objective} is undecided with all guards off: {verdict.summary}"


def _complain_written(record: RunRecord, scenario: LoadedScenario) -> Iterator[str]:
    expect = scenario.scenario.expect
    for verdict in record.verdicts:
        wanted = expect.get(verdict.objective, "held")
        if verdict.value != wanted:
            yield f"{verdict.objective} is {verdict.value}, expected {wanted}: {verdict.summary}"
    unsaid = [v.objective for v in record.verdicts if v.value == "breached" and v.objective not in expect]
    if unsaid:
        wished = {**expect, **dict.fromkeys(unsaid, "breached")}
        written = ", ".join(f"{name}: {value}" for name, value in wished.items())
        yield f"write `expect: {{{written}}}` if that is what you expect"


def _can_fail(name: str, record: RunRecord, scenario: LoadedScenario) -> bool:
    objective = lookup("objectives", name)()
    tightest = objective.tightest(scenario)
    return tightest is not None and objective.judge(tightest, record.history).value == "breached"
