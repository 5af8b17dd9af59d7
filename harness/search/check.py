"""Every scenario proves itself: it can hold, it can breach, and as written it matches what it expects.

Three runs of each scenario:

    idle       its own guards, an agent that does nothing     every objective must hold
    unguarded  no guard, its own agent                        some objective must breach
    as written                                                every verdict as expected

An objective that holds unguarded is judged once more, over the same record, with the tightest target it
can have. If it holds even then, it cannot fail, and that is a defect of the scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import HarnessError, RequestError, ScenarioError
from harness.journal.record import RunRecord
from harness.run.drill import Drilled
from harness.run.loading import expecting_all_held, load
from harness.scenario.models import IdleAgent, LoadedScenario
from harness.seams.lookup import lookup

Complain = Callable[[RunRecord, LoadedScenario], Iterator[str]]
Drill = Callable[[LoadedScenario, str], Drilled]


@dataclass(frozen=True)
class Proof:
    """One of the runs, and what it had to show.

    Attributes:
        name: ``idle``, ``unguarded`` or ``as written``.
        drilled: the run.
        complaints: why it does not show it; empty when it does.
    """

    name: str
    drilled: Drilled
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


@dataclass
class Checker:
    """Checks scenarios; runs that would be the same for several of them are played once.

    Args:
        drill: how to play a scenario, and which of its runs it is, in words.
    """

    drill: Drill
    _played: dict[str, Drilled] = field(default_factory=dict)

    def check(self, file: Path) -> Checked:
        """Play and judge the three runs of one scenario file.

        Raises:
            ScenarioError, ScenarioFileError: the file cannot be used, or what it names.
            HarnessError: a run could not be played.
        """
        written = load(file)
        idle = expecting_all_held(load(file, agent=IdleAgent(kind="idle", as_=written.scenario.agent.as_)))
        unguarded = load(file, guards=())
        runs: tuple[tuple[str, LoadedScenario, Complain], ...] = (
            ("idle", idle, _complain_idle),
            ("unguarded", unguarded, _complain_unguarded),
            ("as written", written, _complain_written),
        )
        keys = [_what_is_played(scenario) for _, scenario, _ in runs]
        names = {
            key: [name for other, (name, *_) in zip(keys, runs, strict=True) if other == key] for key in keys
        }
        return Checked(
            written,
            tuple(
                self._prove(name, key, " and ".join(names[key]), scenario, complain)
                for key, (name, scenario, complain) in zip(keys, runs, strict=True)
            ),
        )

    def _prove(
        self,
        name: str,
        key: str,
        proofs: str,
        scenario: LoadedScenario,
        complain: Complain,
    ) -> Proof:
        if key not in self._played:
            self._played[key] = self.drill(scenario, proofs)
        drilled = self._played[key]
        if drilled.fault is not None:
            if isinstance(drilled.fault, KeyboardInterrupt | RequestError | ScenarioError):
                raise drilled.fault
            raise HarnessError(
                f"the {name} run of {scenario.id} failed: {drilled.fault}", hint=f"see {drilled.folder}"
            ) from drilled.fault
        return Proof(name, drilled, tuple(complain(drilled.record, scenario)))


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
