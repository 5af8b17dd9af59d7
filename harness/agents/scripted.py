"""The agent that plays the steps of a scenario as they are written.

Values that one step finds are used in later ones: the script of PocketOS does not know the token, it reads
it from the file in which it lies about. What is found never enters an action, only the arguments that its
surface is called with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from harness.errors import HarnessError, WithheldError
from harness.facts import Action, Outcome
from harness.scenario import models
from harness.scenario.json_path import JsonPath, NothingThereError

PLACEHOLDER = re.compile(r"\$\{([a-z_][a-z0-9_]{0,62})\}")

Finder = Callable[[str], JsonValue]
"""Finds a value in the text of an answer, or raises ``NothingThereError``."""


class ScriptError(HarnessError):
    """A step of the script cannot be understood."""


class MissingValueError(HarnessError):
    """A step needs a value that no earlier step has found."""


class ScriptedAgent:
    """Plays its steps in order; a step that is refused or fails does not stop the next.

    Args:
        model: the steps, of kind ``scripted``.

    Raises:
        ScriptError: what a step saves is neither a regular expression with one group nor a path.
    """

    def __init__(self, model: models.Agent) -> None:
        if not isinstance(model, models.ScriptedAgent):
            raise ScriptError(
                f"an agent of kind {model.kind!r} has no steps to play", hint="use `kind: scripted`"
            )
        self._steps = model.steps
        self._finders = tuple(
            {name: _finder(number, text) for name, text in step.save.items()}
            for number, step in enumerate(model.steps, start=1)
        )
        self._outcomes: Sequence[Outcome] = ()
        self._values: dict[str, JsonValue] = {}
        self._found: list[tuple[str, ...]] = []

    def next_action(self, outcomes: Sequence[Outcome]) -> Action | None:
        """The next step, with placeholders in place of what was found; None after the last.

        Args:
            outcomes: of all its actions so far, in order.
        """
        self._outcomes = outcomes
        self._learn()
        number = len(outcomes) + 1
        if number > len(self._steps):
            return None
        step = self._steps[number - 1]
        surface, _, verb = step.do.partition(".")
        return Action(
            number=number,
            surface=surface,
            verb=verb,
            service=step.on,
            arguments=step.with_,
            why=step.why,
            harm=step.harm,
        )

    def arguments(self, action: Action) -> Mapping[str, object]:
        """The action's arguments with found values put in, wherever a text holds ``${name}``.

        A text that is nothing but one placeholder becomes the value itself, be it a number or a list.

        Raises:
            WithheldError: a value was not found, because the step that finds it was refused.
            MissingValueError: a value was not found for another reason.
        """
        self._learn()
        return {name: self._fill(value, action.number) for name, value in action.arguments.items()}

    def found(self, number: int) -> tuple[str, ...]:
        """Names of the values that the outcome of that action held, in the order of the script."""
        self._learn()
        return self._found[number - 1] if number <= len(self._found) else ()

    def _learn(self) -> None:
        """Take the values out of outcomes that were not seen yet."""
        for outcome, finders in zip(
            self._outcomes[len(self._found) :], self._finders[len(self._found) :], strict=False
        ):
            self._found.append(
                tuple(name for name in finders if self._keep(name, finders[name], outcome.text))
            )

    def _keep(self, name: str, find: Finder, text: str) -> bool:
        # A value of an earlier step must not stand in for one that this step should have found.
        self._values.pop(name, None)
        try:
            self._values[name] = find(text)
        except NothingThereError:
            return False
        return True

    def _fill(self, value: JsonValue, number: int) -> JsonValue:
        if isinstance(value, str):
            return self._fill_text(value, number)
        if isinstance(value, list):
            return [self._fill(element, number) for element in value]
        if isinstance(value, dict):
            return {name: self._fill(member, number) for name, member in value.items()}
        return value

    def _fill_text(self, text: str, number: int) -> JsonValue:
        whole = PLACEHOLDER.fullmatch(text)
        if whole is not None:
            return self._value(whole[1], number)
        return PLACEHOLDER.sub(lambda match: _as_text(self._value(match[1], number)), text)

    def _value(self, name: str, number: int) -> JsonValue:
        if name in self._values:
            return self._values[name]
        sources = [n for n, step in enumerate(self._steps[: number - 1], start=1) if name in step.save]
        source = sources[-1] if sources else 0
        if source and self._outcomes[source - 1].status == "refused":
            raise WithheldError(
                f"action {number} needs the value {name!r}, and action {source}, which finds it, was refused",
                hint="a guard stopped the agent before it came to this",
            )
        raise MissingValueError(
            f"action {number} needs the value {name!r}, which no earlier step has found",
            hint=f"look at the outcome of the step that saves {name!r}: it failed, or answered otherwise",
        )


def _finder(number: int, text: str) -> Finder:
    """Understand what a step saves.

    Raises:
        ScriptError: neither a path nor a regular expression with one group.
    """
    try:
        return _path_finder(JsonPath.parse(text)) if text.startswith("$") else _text_finder(re.compile(text))
    except (re.error, ValueError, RecursionError, OverflowError) as error:
        raise ScriptError(
            f"step {number} cannot save {text!r}: {error}",
            hint="write a regular expression with one group, or a path such as $.data.me.id",
        ) from None


def _path_finder(path: JsonPath) -> Finder:
    def find(text: str) -> JsonValue:
        try:
            value: JsonValue = path.follow(json.loads(text))  # type: ignore[assignment]
        except (ValueError, RecursionError):
            raise NothingThereError("not JSON") from None
        if value is None:
            raise NothingThereError("null")
        return value

    return find


def _text_finder(pattern: re.Pattern[str]) -> Finder:
    if pattern.groups != 1:
        raise ValueError(f"it has {pattern.groups} groups, not one")

    def find(text: str) -> JsonValue:
        match = pattern.search(text)
        if match is None or match[1] is None:
            raise NothingThereError(pattern.pattern)
        return match[1]

    return find


def _as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
