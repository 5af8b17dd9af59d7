"""A policy: what the history of runs must show before a release may pass. A YAML file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from harness.controls.catalogue import SEPARATOR, frameworks, mistaken
from harness.errors import ScenarioError
from harness.scenario.models import SCENARIO_ID, Model, Period
from harness.scenario.problems import BUILT_IN, Finding, nearest
from harness.scenario.schema import Schema, schema_of
from harness.scenario.sheet import read_sheet
from harness.seams.lookup import names

PERCENT = r"^[0-9]{1,4}(\.[0-9]{1,2})?%$"
ANY = "any"
RESTORE_CADENCE = "restore-cadence"
"""The rule that decides whether restoring was tested within its period, which no single run can."""

RETESTS = "retests"
"""The rule that decides whether each failure was followed by a run that shows it mended."""

ScenarioId = Annotated[str, StringConstraints(pattern=SCENARIO_ID, max_length=255)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=500)]


def parse_percent(value: Any) -> float:
    """Turn ``20%`` into 0.2.

    Raises:
        ValueError: the text is no number with a percent sign.
    """
    if not isinstance(value, str) or not re.fullmatch(PERCENT, value):
        raise PydanticCustomError("percent", "a share such as 20%")
    return float(value[:-1]) / 100


Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    PlainSerializer(lambda share: f"{share * 100:g}%", return_type=str),
    WithJsonSchema({"type": "string", "pattern": PERCENT, "examples": ["20%"]}),
]


class Required(Model):
    """A scenario that must have been played, not too long ago, and come out well."""

    scenario: ScenarioId = Field(description="id of the scenario")
    every: Period = Field(description="its newest run that ended is at most so old")
    must: Literal["be-as-expected", "hold"] = Field(
        "be-as-expected",
        description="hold: every objective held, whatever the scenario expects",
    )

    @property
    def rule(self) -> str:
        """The name of the rule."""
        return f"required:{self.scenario}"


class RestoreCadence(Model):
    """A restore must have been tested within its period: a copy was restored and its content compared."""

    scenario: ScenarioId | None = Field(None, description="in runs of that scenario; of any without it")
    every: Period = Field(description="the last such run is at most so old")

    @property
    def rule(self) -> str:
        """The name of the rule."""
        return f"{RESTORE_CADENCE}:{self.scenario or ANY}"


class Retests(Model):
    """What was not as expected was tested again in time, and was then as expected."""

    scenario: ScenarioId | None = Field(None, description="runs of that scenario; of every one without it")
    within: Period = Field(description="at most so long after the run that was not as expected")
    over: Period = Field(description="runs count that are at most so old; longer than `within`")

    @model_validator(mode="after")
    def _can_be_breached(self) -> Self:
        if self.over <= self.within:
            raise PydanticCustomError("retests", "`over` longer than `within`, or nothing is ever late")
        return self

    @property
    def rule(self) -> str:
        """The name of the rule."""
        return f"{RETESTS}:{self.scenario or ANY}"


class Framework(Model):
    """Runs contradict no control of a framework, and support those that are named."""

    framework: Line = Field(description="short name, as `ninelives controls` has it")
    every: Period = Field(description="of each scenario, the newest run that is at most so old counts")
    controls: tuple[Line, ...] = Field(
        (), description="identifiers that must be supported; without any, one of them must be"
    )
    scenarios: tuple[ScenarioId, ...] = Field(
        (), description="whose runs count; without any, those of every scenario"
    )

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of its rules: one a control that is named, or one for all."""
        if not self.controls:
            return (f"framework:{self.framework}",)
        return tuple(f"framework:{self.framework}{SEPARATOR}{control}" for control in self.controls)


class Regression(Model):
    """A figure of a scenario's newest run may have grown so much against the median of those before."""

    scenario: ScenarioId = Field(description="id of the scenario")
    objective: Line = Field(description="whose figure it is, such as rto")
    figure: Line | None = Field(None, description="its name in verdicts.json; the objective's without it")
    may_grow: Percent = Field(alias="may-grow", description="at most, against the median: 20%")
    last: Annotated[int, Field(ge=1, le=1000)] = Field(10, description="runs before it that are looked at")
    at_least: Annotated[int, Field(ge=1, le=1000)] = Field(
        3, alias="at-least", description="with fewer runs before it, the rule is undecided"
    )

    @property
    def rule(self) -> str:
        """The name of the rule."""
        figure = f".{self.figure}" if self.figure else ""
        return f"regression:{self.objective}{figure}:{self.scenario}"


class Waiver(Model):
    """A rule that does not count for a while, and who answers for that."""

    rule: Line = Field(description="name of the rule, as `ninelives gate` writes it")
    reason: Line = Field(description="why it does not count")
    owner: Line = Field(description="who answers for it")
    until: date = Field(description="the last day on which it does not count, in UTC")


class Policy(Model):
    """What the history must show."""

    required: tuple[Required, ...] = Field((), description="scenarios that must be played and come out well")
    restore_cadence: tuple[RestoreCadence, ...] = Field(
        (), alias=RESTORE_CADENCE, description="how often a restore must be tested"
    )
    retests: tuple[Retests, ...] = Field((), description="how soon failures must be tested again")
    frameworks: tuple[Framework, ...] = Field((), description="controls that runs must support")
    regressions: tuple[Regression, ...] = Field((), description="how much figures may grow")
    waivers: tuple[Waiver, ...] = Field((), description="rules that do not count for a while")

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of all rules, in the order of the file."""
        return (
            *(one.rule for one in self.required),
            *(one.rule for one in self.restore_cadence),
            *(one.rule for one in self.retests),
            *(rule for one in self.frameworks for rule in one.rules),
            *(one.rule for one in self.regressions),
        )


def policy_schema() -> Schema:
    """The JSON Schema of a policy file."""
    return schema_of(Policy, "Ninelives policy")


def read_policy(path: Path) -> Policy:
    """Read a policy.

    Args:
        path: of the file.

    Raises:
        ScenarioError: with every problem of the file.
    """
    sheet = read_sheet(path, Policy, BUILT_IN)
    policy = sheet.built.model
    problems = (*sheet.problems, *(sheet.at(_findings(policy)) if policy else ()))
    if problems or policy is None:
        raise ScenarioError(problems)
    return policy


def _findings(policy: Policy) -> Iterator[Finding]:
    if not policy.rules:
        hint = (
            f"write at least one rule under required, {RESTORE_CADENCE}, {RETESTS}, frameworks or regressions"
        )
        yield Finding((), "asks for nothing", hint)
    for index, framework in enumerate(policy.frameworks):
        yield from _of_framework(framework, index)
    for index, regression in enumerate(policy.regressions):
        if regression.objective not in names("objectives"):
            message = f"unknown objective {regression.objective!r}"
            hint = nearest(regression.objective, names("objectives"))
            yield Finding(("regressions", index, "objective"), message, hint)
    for rule in sorted({rule for rule in policy.rules if policy.rules.count(rule) > 1}):
        yield Finding((), f"the rule {rule} stands here twice", "keep one of the two")
    for index, waiver in enumerate(policy.waivers):
        if waiver.rule not in policy.rules:
            message = f"waives {waiver.rule!r}, which is no rule of this policy"
            yield Finding(("waivers", index, "rule"), message, nearest(waiver.rule, policy.rules))


def _of_framework(framework: Framework, index: int) -> Iterator[Finding]:
    if framework.framework not in frameworks():
        message = f"unknown framework {framework.framework!r}"
        yield Finding(("frameworks", index, "framework"), message, nearest(framework.framework, frameworks()))
        return
    for n, control in enumerate(framework.controls):
        wrong = mistaken(f"{framework.framework}{SEPARATOR}{control}")
        if wrong is not None:
            known = (name.partition(SEPARATOR)[2] for name in wrong[1])
            yield Finding(("frameworks", index, "controls", n), wrong[0], nearest(control, known))
        elif control not in {one.id for one in frameworks()[framework.framework].controls}:
            message = f"{control} is nothing that a drill could support"
            supportable = (one.id for one in frameworks()[framework.framework].controls)
            yield Finding(("frameworks", index, "controls", n), message, nearest(control, supportable))
