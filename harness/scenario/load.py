"""From a scenario file to frozen models: everything it names is found, everything wrong with it is said.

``load_scenario`` reads the scenario and its stack, applies the guards, checks both against each other and
against the files they name, and either returns a ``LoadedScenario`` or raises a ``ScenarioError`` with
every problem of all files. It opens files in the scenario's folder and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import JsonValue, ValidationError

from harness.errors import Problem, ScenarioError
from harness.scenario.fidelity import compare
from harness.scenario.files import (
    digest,
    missing_files,
    named_by_scenario,
    named_by_stack,
    sql_texts,
    unreadable_code,
)
from harness.scenario.likeness import read_scenario
from harness.scenario.models import Agent, Fidelity, LoadedScenario, Scenario, Stack
from harness.scenario.positions import value_at
from harness.scenario.problems import BUILT_IN, Finding, Known
from harness.scenario.scenario_rules import Case, scenario_findings
from harness.scenario.sheet import Sheet
from harness.scenario.source import nearest_file
from harness.scenario.stack_file import StackFile, read_stack
from harness.scenario.tightening import tightened

MOST_PROBLEMS = 100


def load_scenario(
    path: Path,
    *,
    guards: tuple[str, ...] | None = None,
    agent: Agent | None = None,
    known: Known = BUILT_IN,
) -> LoadedScenario:
    """Read a scenario and its stack.

    Args:
        path: of the scenario file; its stack and all other files lie in the same folder.
        guards: switched on instead of the scenario's own.
        agent: acts instead of the scenario's own.
        known: names of the drivers that there are; the built-in ones if nothing is said.

    Raises:
        ScenarioError: with every problem of the scenario, its stack and the files they name.
    """
    sheet = read_scenario(path, known)
    problems = [*sheet.problems]
    stack, found = _stack_beside(path, sheet, known)
    problems += found
    written = sheet.built.model
    if written is None or stack is None or stack.base is None:
        raise _refusal(problems)
    drill = _Drill(path, sheet, stack, stack.base, known)
    problems += drill.problems(written)
    wanted = _replaced(written, guards, agent)
    if not problems and wanted is not written:
        problems += drill.problems(wanted)
    if problems:
        raise _refusal(problems)
    return drill.loaded(wanted).model_copy(update={"replaced": _unlike(written, wanted)})


def _refusal(problems: Iterable[Problem]) -> ScenarioError:
    """Each problem once; of very many, as hostile files have them, the first."""
    ordered = sorted(set(problems))
    if len(ordered) > MOST_PROBLEMS:
        last = ordered[MOST_PROBLEMS - 1]
        rest = f"{len(ordered) - MOST_PROBLEMS} more problems after this one"
        ordered = [*ordered[:MOST_PROBLEMS], replace(last, key="", message=rest, hint="mend the first ones")]
    return ScenarioError(tuple(ordered))


def restore_scenario(text: str, folder: Path | None = None) -> LoadedScenario:
    """Read back what ``LoadedScenario.model_dump_json(by_alias=True)`` wrote into a run folder.

    Args:
        text: the JSON.
        folder: where the scenario's files lie; only needed to play it again.

    Raises:
        ScenarioError: it is no such text.
    """
    try:
        loaded = LoadedScenario.model_validate_json(text)
    except ValidationError as error:
        raise ScenarioError(tuple(_unrestored(error))) from None
    loaded._folder = folder or Path()
    return loaded


def _unrestored(error: ValidationError) -> Iterator[Problem]:
    hint = "scenario.json is written by the run that it describes, and not meant to be changed"
    for details in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in details["loc"])
        yield Problem("scenario.json", 1, 1, key, details["msg"], hint)


def _replaced(scenario: Scenario, guards: tuple[str, ...] | None, agent: Agent | None) -> Scenario:
    changes = {"guards": guards, "agent": agent}
    changes = {key: value for key, value in changes.items() if value is not None}
    return scenario.model_copy(update=changes) if changes else scenario


def _unlike(written: Scenario, wanted: Scenario) -> tuple[Literal["agent", "guards"], ...]:
    agent: tuple[Literal["agent"], ...] = () if wanted.agent == written.agent else ("agent",)
    guards: tuple[Literal["guards"], ...] = () if wanted.guards == written.guards else ("guards",)
    return (*agent, *guards)


def _stack_beside(
    path: Path, sheet: Sheet[Scenario], known: Known
) -> tuple[StackFile | None, tuple[Problem, ...]]:
    """The stack that a scenario names, even if the scenario has other mistakes, and what is wrong with it."""
    name = value_at(sheet.built.tree, ("stack",))
    if not isinstance(name, str) or any(finding.path == ("stack",) for finding in sheet.built.findings):
        return None, ()
    beside = path.parent / name
    if not os.path.lexists(beside):
        missing = Finding(("stack",), f"there is no file {name!r} next to this one", nearest_file(beside))
        return None, sheet.at([missing])
    try:
        stack = read_stack(beside, known)
    except ScenarioError as error:
        return None, error.problems
    return stack, stack.problems


@dataclass(frozen=True)
class _Drill:
    """Both files of a scenario, read; each is good enough to be looked at together with the other."""

    path: Path
    sheet: Sheet[Scenario]
    stack: StackFile
    base: Stack
    known: Known

    def problems(self, scenario: Scenario) -> tuple[Problem, ...]:
        """What is wrong with the scenario over its stack, beyond what is wrong with each alone."""
        guarded = self.stack.guarded(scenario.guards)
        case = Case(scenario, guarded.stack or self.base, self.path.stem, self.known)
        files = tuple(missing_files(named_by_scenario(scenario), self.path.parent))
        files = files or tuple(unreadable_code(scenario, self.path.parent))
        return (*guarded.problems, *self.sheet.at((*scenario_findings(case), *files)))

    def loaded(self, scenario: Scenario) -> LoadedScenario:
        """The scenario with everything that a run needs; there must be no problems.

        Raises:
            ScenarioError: a file that it names is no text, or something is wrong with that of production.
        """
        stack = self.stack.guarded(scenario.guards).stack or self.base
        named = [*named_by_scenario(scenario), *named_by_stack(self.base), *named_by_stack(stack)]
        loaded = LoadedScenario(
            scenario=scenario,
            stack=stack,
            base=self.base,
            objectives=tightened(stack.objectives, scenario.objectives),
            digest=digest([_content(scenario), _content(self.base)], named, self.path.parent),
            files=sql_texts(named, self.path.parent),
            fidelity=self._fidelity(stack),
            lines=self.stack.lines(scenario.guards),
        )
        loaded._folder = self.path.parent
        loaded._file = self.path
        return loaded

    def _fidelity(self, stack: Stack) -> Fidelity | None:
        if stack.production is None:
            return None
        return compare(stack, self.path.parent / stack.production, self.known)


def _content(model: Scenario | Stack) -> JsonValue:
    """All that decides how it is played: what production has does not."""
    content: JsonValue = model.model_dump(mode="json", by_alias=True, exclude={"production"})
    return content
