"""Frameworks, their controls, and the observations that support or contradict each.

The files beside this module are data: identifiers of the issuers, and what each asks for in our own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from harness.facts import Fact

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is there in most installations, and takes an eighth of the time."""

OBSERVATIONS = "observations.yaml"
SEPARATOR = ":"
"""Between a framework and an identifier, as in ``nist-800-53:CP-9(7)``."""

Text = Annotated[str, StringConstraints(min_length=1)]
Observed = Annotated[str, StringConstraints(pattern=r"^O[1-9][0-9]?$")]


class Counted(Fact):
    """An observation that is made of what an objective has counted, whatever its verdict.

    Attributes:
        objective: whose figures they are.
        right, wrong: names of the figures; any that is wrong decides, else any that is right.
    """

    objective: Text
    right: tuple[Text, ...]
    wrong: tuple[Text, ...]


class Observation(Fact):
    """Something that a drill can see.

    Attributes:
        says: what is the case when it is made.
        objectives: whose verdicts decide it; none yet where there is none.
        counted: the figures that decide it instead.
        gate: the rule of a gate that decides it, over many runs; no single one can.
    """

    says: Text
    objectives: tuple[Text, ...]
    counted: Counted | None = None
    gate: Text | None = None


class Determination(Fact):
    """A statement of the issuer's own assessment procedure, narrow enough for observations to decide it.

    Attributes:
        id: the issuer's.
        by: the observations that must all be made; one that is not decides against it.
    """

    id: Text
    by: Annotated[tuple[Observed, ...], Field(min_length=1)]


class Control(Fact):
    """One thing that a framework asks for.

    Attributes:
        id: the issuer's.
        asks: what it asks for, in our words.
        shown_by: the observations that support or contradict it.
        decides: what of the issuer's assessment procedure they decide; mostly nothing.
    """

    id: Text
    asks: Text
    shown_by: Annotated[tuple[Observed, ...], Field(min_length=1)]
    decides: tuple[Determination, ...] = ()

    @model_validator(mode="after")
    def _is_decided_by_what_shows_it(self) -> Self:
        for determination in self.decides:
            if other := sorted(set(determination.by) - set(self.shown_by)):
                raise ValueError(f"{determination.id} rests on {other}, which do not show {self.id}")
        return self


class Technique(Fact):
    """One way to do harm, to tag scenarios with; nothing that could be supported.

    Attributes:
        id: the issuer's.
        is_: what is done, in our words.
    """

    id: Text
    is_: Text = Field(alias="is")


class Never(Fact):
    """Something that a replica can never show.

    Attributes:
        id: the issuer's.
        because: why not.
    """

    id: Text
    because: Text


class Framework(Fact):
    """One framework in one version.

    Attributes:
        framework: short name, which is the file's too.
        title: the issuer's.
        version: of the issuer.
        link: where the issuer publishes it.
        sure: A: read in the issuer's own file or the legal text; B: a third party's copy, or titles only.
        notice: what the issuer wants to be said with it.
        ids: regular expression of its identifiers: of those that the issuer has, where they are counted, else
            of their shape.
        issued: those that the issuer has, where there are too many for that: by family, the numbers, and in
            brackets those of enhancements, such as ``1 2(1-9,11)``.
        withdrawn: identifiers that the issuer has taken back.
        controls, techniques, never: what it has; identifiers are unique.
    """

    framework: Text
    title: Text
    version: Text
    link: Annotated[str, StringConstraints(pattern=r"^https://")]
    sure: Literal["A", "B"]
    notice: str = ""
    ids: Text
    issued: dict[Text, Text] = {}
    withdrawn: tuple[Text, ...] = ()
    controls: tuple[Control, ...] = ()
    techniques: tuple[Technique, ...] = ()
    never: tuple[Never, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """Every identifier that may be named."""
        named: tuple[Control | Technique | Never, ...] = (*self.controls, *self.techniques, *self.never)
        return tuple(one.id for one in named)

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        issued = frozenset(written_out(self.issued))
        for identifier in self.known:
            if identifier in self.withdrawn:
                raise ValueError(f"{identifier} is withdrawn from {self.title} {self.version}")
            if not re.fullmatch(self.ids, identifier) or (issued and identifier not in issued):
                raise ValueError(f"{identifier} is no identifier of {self.title} {self.version}")
            if self.known.count(identifier) > 1:
                raise ValueError(f"{identifier} stands twice in {self.framework}")
        return self


def written_out(issued: Mapping[str, str]) -> Iterator[str]:
    """Every identifier of what ``Framework.issued`` has in short."""
    for family, members in issued.items():
        for member in members.split():
            number, _, enhancements = member.rstrip(")").partition("(")
            yield f"{family}-{number}"
            for span in filter(None, enhancements.split(",")):
                first, _, last = span.partition("-")
                yield from (f"{family}-{number}({n})" for n in range(int(first), int(last or first) + 1))


@cache
def observations() -> Mapping[str, Observation]:
    """What a drill can see, by its short name."""
    text = (files(__package__) / OBSERVATIONS).read_text(encoding="utf-8")
    return TypeAdapter(dict[Observed, Observation]).validate_python(_read(text))


@cache
def frameworks() -> Mapping[str, Framework]:
    """The shipped frameworks, by their short names, in alphabetical order.

    Raises:
        ValueError: a file names an observation that there is not, or is not named as its framework.
    """
    return {framework.framework: framework for framework in _shipped()}


def _read(text: str) -> object:
    return yaml.load(text, LOADER)  # noqa: S506 - a safe one, and our own files


def _shipped() -> Iterator[Framework]:
    for file in sorted(files(__package__).iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".yaml") or file.name == OBSERVATIONS:
            continue
        framework = Framework.model_validate(_read(file.read_text(encoding="utf-8")))
        if file.name != f"{framework.framework}.yaml":
            raise ValueError(f"{file.name} is about {framework.framework}")
        for control in framework.controls:
            if unknown := set(control.shown_by) - observations().keys():
                raise ValueError(
                    f"{framework.framework} {control.id}: no such observation: {sorted(unknown)}"
                )
        yield framework


def mistaken(named: str) -> tuple[str, tuple[str, ...]] | None:
    """What is wrong with a control as a scenario names it.

    Args:
        named: such as ``nist-800-53:CP-9(7)``. A name of a framework that is not shipped is somebody's own.

    Returns:
        What is wrong, and the names to choose from; None when nothing is.
    """
    framework = frameworks().get(named.partition(SEPARATOR)[0])
    identifier = named.partition(SEPARATOR)[2].strip()
    if framework is None or identifier in framework.known:
        return None
    choices = tuple(f"{framework.framework}{SEPARATOR}{known}" for known in framework.known)
    if identifier in framework.withdrawn:
        return f"{identifier} is withdrawn from {framework.title} {framework.version}", choices
    return f"the catalogue has no {identifier or 'empty name'} of {framework.title}", choices
