"""Decides by IAM policies whether a call is allowed. Pure.

Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements". An explicit deny wins over
every allow; without an allow the answer is no. Every resource that a call is about must be allowed. moto
itself looks at actions only, so that a deny on one database, or a condition, would mean nothing.

Left out: permission boundaries, session policies, service control policies, resource policies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any

Values = tuple[str, ...]
Test = Callable[[str, str], bool]

VARIABLE = re.compile(r"\$\{([^}]*)\}")
PLAIN = {"*": "*", "?": "?", "$": "$"}


class Decision(Enum):
    """What policies say of a call."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "no identity-based policy allows it"
    DENIED = "an explicit deny in an identity-based policy"


@dataclass(frozen=True)
class Asked:
    """What is to be decided.

    Attributes:
        action: ``rds:DeleteDBInstance``.
        resources: ARNs that the call is about; ``*`` when it is about none in particular.
        context: condition keys with their values, names in lower case.
    """

    action: str
    resources: Values
    context: Mapping[str, Values] = field(default_factory=dict)


class PolicyError(ValueError):
    """A policy that cannot be read."""


def read_policy(document: str | Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The statements of a policy.

    Raises:
        PolicyError: it is none, or uses what is not known here.
    """
    try:
        policy = json.loads(document) if isinstance(document, str) else document
        statements = policy["Statement"]
    except (ValueError, KeyError, TypeError):
        raise PolicyError("a policy is JSON with a Statement") from None
    found = tuple(statements) if isinstance(statements, list) else (statements,)
    for statement in found:
        _check(statement)
    return found


def decide(statements: Iterable[Mapping[str, Any]], asked: Asked) -> Decision:
    """Whether a call is allowed by all these statements together."""
    every = tuple(statements)
    decisions = [_decide_one(every, asked, resource) for resource in asked.resources]
    for decision in (Decision.DENIED, Decision.NOT_ALLOWED):
        if decision in decisions:
            return decision
    return Decision.ALLOWED


def _decide_one(statements: tuple[Mapping[str, Any], ...], asked: Asked, resource: str) -> Decision:
    matching = {one["Effect"] for one in statements if _matches(one, asked, resource)}
    if "Deny" in matching:
        return Decision.DENIED
    return Decision.ALLOWED if "Allow" in matching else Decision.NOT_ALLOWED


def _matches(statement: Mapping[str, Any], asked: Asked, resource: str) -> bool:
    return (
        _concerns_action(statement, asked.action)
        and _concerns_resource(statement, resource, asked.context)
        and all(
            _holds(operator, key, _list(values), asked.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _concerns_action(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not any(_like(action.lower(), one.lower()) for one in _list(statement["NotAction"]))
    return any(_like(action.lower(), one.lower()) for one in _list(statement["Action"]))


def _concerns_resource(statement: Mapping[str, Any], resource: str, context: Mapping[str, Values]) -> bool:
    negated = "NotResource" in statement
    patterns = _list(statement["NotResource" if negated else "Resource"])
    found = any(_like(resource, _filled_in(pattern, context)) for pattern in patterns)
    return found != negated


def _filled_in(text: str, context: Mapping[str, Values]) -> str:
    """Policy variables such as ``${aws:username}`` put in; one without a value matches nothing."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        values = context.get(name.lower(), ())
        return PLAIN.get(name) or (values[0] if len(values) == 1 else "\0")

    return VARIABLE.sub(value, text)


def _like(text: str, pattern: str) -> bool:
    """``*`` and ``?``, and no other magic."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))


# --- conditions -------------------------------------------------------------------------------------


def _same_time(compare: Callable[[float, float], bool]) -> Test:
    def test(value: str, wanted: str) -> bool:
        try:
            return compare(_moment(value), _moment(wanted))
        except ValueError:
            return False

    return test


def _number(compare: Callable[[float, float], bool]) -> Test:
    def test(value: str, wanted: str) -> bool:
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return test


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()


def _in_network(value: str, wanted: str) -> bool:
    try:
        return ip_address(value) in ip_network(wanted, strict=False)
    except ValueError:
        return False


def _equals(value: str, wanted: str) -> bool:
    return value == wanted


def _equals_whatever_the_case(value: str, wanted: str) -> bool:
    return value.lower() == wanted.lower()


COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}
TESTS: Mapping[str, Test] = {
    "StringEquals": _equals,
    "StringEqualsIgnoreCase": _equals_whatever_the_case,
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": _equals_whatever_the_case,
    "IpAddress": _in_network,
    **{f"Numeric{name}": _number(compare) for name, compare in COMPARISONS.items()},
    **{f"Date{name}": _same_time(compare) for name, compare in COMPARISONS.items()},
}
NEGATED: Mapping[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
ALL, ANY, IF_EXISTS = "ForAllValues:", "ForAnyValue:", "IfExists"


def _base(operator: str) -> str:
    return operator.removeprefix(ALL).removeprefix(ANY).removesuffix(IF_EXISTS)


def _holds(operator: str, key: str, wanted: Values, context: Mapping[str, Values]) -> bool:
    """Whether one condition is met (IAM User Guide, "Conditions with multiple context keys or values")."""
    values = context.get(key.lower())
    base = _base(operator)
    if base == "Null":
        return (values is None) == (wanted[0].lower() == "true")
    if values is None:
        return operator.endswith(IF_EXISTS) or operator.startswith(ALL) or base in NEGATED
    filled = tuple(_filled_in(one, context) for one in wanted)
    fits = [_fits(base, value, filled) for value in values]
    return any(fits) if operator.startswith(ANY) else all(fits)


def _fits(base: str, value: str, wanted: Values) -> bool:
    if base in NEGATED:
        return not any(TESTS[NEGATED[base]](value, one) for one in wanted)
    return any(TESTS[base](value, one) for one in wanted)


# --- is it a policy? --------------------------------------------------------------------------------


def _check(statement: Any) -> None:
    if not isinstance(statement, Mapping) or statement.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError("a statement has an Effect, Allow or Deny")
    for name in ("Action", "Resource"):
        if (name in statement) == (f"Not{name}" in statement):
            raise PolicyError(f"a statement has either {name} or Not{name}")
    for operator, keys in statement.get("Condition", {}).items():
        base = _base(operator)
        if base not in TESTS and base not in NEGATED and base != "Null":
            raise PolicyError(f"{operator} is no condition operator that is known here")
        if not isinstance(keys, Mapping):
            raise PolicyError(f"{operator} holds condition keys with their values")


def _list(value: Any) -> Values:
    each = value if isinstance(value, list | tuple) else (value,)
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in each)
