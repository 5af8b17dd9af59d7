"""Recycle Bin: what its rules keep of deleted EBS volumes and snapshots.

Source: Recycle Bin User Guide, "Retention rules" and "Lock a retention rule". A rule without tags covers all
resources of its type but those with an excluded tag; one with tags covers what has one of them. What is in
the bin stays for the retention of the rule that put it there, whatever becomes of the rule. A locked rule can
be neither changed nor deleted; unlocking it takes effect after its delay, 7 days at least.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from harness.replicas.aws.audit import Touched
from harness.replicas.aws.calendar import Calendar
from harness.replicas.aws.parts import Check, Own
from harness.replicas.aws.wire import ApiCall, ApiError

VOLUME, SNAPSHOT = "EBS_VOLUME", "EBS_SNAPSHOT"
SHORTEST_DELAY, LONGEST_DELAY = 7, 30
LONGEST_RETENTION = 365
"""Days (Recycle Bin API Reference, UnlockDelay and RetentionPeriod)."""

Tags = Mapping[str, str]


@dataclass
class Rule:
    """A retention rule.

    Attributes:
        tags: of what it covers; empty for everything of its type.
        excluded: tags of what it does not cover.
        delay: how long unlocking takes; None when it is not locked.
        unlocks_at: when an unlocking takes effect.
    """

    id: str
    arn: str
    type: str
    days: int
    description: str
    tags: tuple[tuple[str, str], ...]
    excluded: tuple[tuple[str, str], ...]
    delay: timedelta | None = None
    unlocks_at: datetime | None = None

    def covers(self, type: str, tags: Tags) -> bool:
        """Whether it keeps a resource of that type with those tags."""
        if type != self.type or any(_has(tags, tag) for tag in self.excluded):
            return False
        return not self.tags or any(_has(tags, tag) for tag in self.tags)

    def state(self, now: datetime) -> str:
        """``locked``, ``pending_unlock`` or ``unlocked``."""
        if self.delay is None:
            return "unlocked"
        if self.unlocks_at is None:
            return "locked"
        return "pending_unlock" if now < self.unlocks_at else "unlocked"


class RecycleBin:
    """The rules of one account in one region.

    Args:
        account, region: that they belong to.
        calendar: the present.
    """

    def __init__(self, account: str, region: str, calendar: Calendar) -> None:
        self._prefix = f"arn:aws:rbin:{region}:{account}:rule/"
        self._calendar = calendar
        self._rules: dict[str, Rule] = {}

    @property
    def checks(self) -> Mapping[str, Check]:
        return {}

    @property
    def own(self) -> Mapping[str, Own]:
        return {
            "rbin.CreateRule": self._create,
            "rbin.GetRule": lambda call: self._show(self._get(call)),
            "rbin.ListRules": self._list,
            "rbin.UpdateRule": self._update,
            "rbin.DeleteRule": self._delete,
            "rbin.LockRule": self._lock,
            "rbin.UnlockRule": self._unlock,
        }

    def settle(self, call: ApiCall) -> None:
        """Rules have nothing real; what they keep is kept by whoever deletes."""

    def pass_time(self) -> None:
        """Nothing falls due: the state of a lock is computed."""

    def listing(self) -> Iterator[tuple[Touched, str]]:
        """The rules."""
        for rule in self._rules.values():
            state = rule.state(self._calendar.now())
            yield Touched("recycle-bin-rule", rule.id), f"{rule.days} {rule.tags} {rule.excluded} {state}"

    def keeps_until(self, type: str, tags: Tags) -> datetime | None:
        """Until when a resource that is deleted now is kept; None when no rule covers it."""
        days = [rule.days for rule in self._rules.values() if rule.covers(type, tags)]
        return self._calendar.now() + timedelta(days=max(days)) if days else None

    def _create(self, call: ApiCall) -> Mapping[str, Any]:
        id = secrets.token_hex(6)[:11]
        rule = Rule(
            id=id,
            arn=self._prefix + id,
            type=call.parameters["ResourceType"],
            days=_days(call),
            description=call.get("Description", ""),
            tags=_pairs(call.get("ResourceTags")),
            excluded=_pairs(call.get("ExcludeResourceTags")),
        )
        if call.get("LockConfiguration"):
            rule.delay = _delay(call, rule)
        self._rules[id] = rule
        return self._show(rule)

    def _list(self, call: ApiCall) -> Mapping[str, Any]:
        found = [rule for rule in self._rules.values() if rule.type == call.parameters["ResourceType"]]
        return {"Rules": [self._show(rule) for rule in found]}

    def _update(self, call: ApiCall) -> Mapping[str, Any]:
        rule = self._unlocked(call)
        if call.get("RetentionPeriod"):
            rule.days = _days(call)
        if "ResourceTags" in call.parameters:
            rule.tags = _pairs(call.get("ResourceTags"))
        if "ExcludeResourceTags" in call.parameters:
            rule.excluded = _pairs(call.get("ExcludeResourceTags"))
        rule.description = call.get("Description", rule.description)
        return self._show(rule)

    def _delete(self, call: ApiCall) -> Mapping[str, Any]:
        del self._rules[self._unlocked(call).id]
        return {}

    def _lock(self, call: ApiCall) -> Mapping[str, Any]:
        rule = self._unlocked(call)
        rule.delay, rule.unlocks_at = _delay(call, rule), None
        return self._show(rule)

    def _unlock(self, call: ApiCall) -> Mapping[str, Any]:
        rule = self._get(call)
        if rule.delay is None or rule.state(self._calendar.now()) != "locked":
            raise ApiError("ConflictException", f"The rule {rule.id} is not locked.", HTTPStatus.CONFLICT)
        rule.unlocks_at = self._calendar.now() + rule.delay
        return self._show(rule)

    def _get(self, call: ApiCall) -> Rule:
        rule = self._rules.get(call.parameters["Identifier"])
        if rule is None:
            raise ApiError(
                "ResourceNotFoundException",
                f"Rule {call.parameters['Identifier']} not found.",
                HTTPStatus.NOT_FOUND,
            )
        return rule

    def _unlocked(self, call: ApiCall) -> Rule:
        rule = self._get(call)
        if rule.state(self._calendar.now()) != "unlocked":
            raise ApiError(
                "ConflictException",
                f"The rule {rule.id} is locked.",
                HTTPStatus.CONFLICT,
                refused=True,
            )
        return rule

    def _show(self, rule: Rule) -> Mapping[str, Any]:
        shown: dict[str, Any] = {
            "Identifier": rule.id,
            "RuleArn": rule.arn,
            "ResourceType": rule.type,
            "RetentionPeriod": {"RetentionPeriodValue": rule.days, "RetentionPeriodUnit": "DAYS"},
            "Description": rule.description,
            "ResourceTags": _shown(rule.tags),
            "ExcludeResourceTags": _shown(rule.excluded),
            "Status": "available",
            "LockState": rule.state(self._calendar.now()),
        }
        if rule.delay is not None:
            delay = {"UnlockDelayValue": rule.delay.days, "UnlockDelayUnit": "DAYS"}
            shown["LockConfiguration"] = {"UnlockDelay": delay}
        if rule.unlocks_at is not None:
            shown["LockEndTime"] = rule.unlocks_at
        return shown


def _days(call: ApiCall) -> int:
    days = int(call.parameters["RetentionPeriod"]["RetentionPeriodValue"])
    if not 1 <= days <= LONGEST_RETENTION:
        raise ApiError("ValidationException", f"The retention period is 1 to {LONGEST_RETENTION} days.")
    return days


def _delay(call: ApiCall, rule: Rule) -> timedelta:
    days = int(call.parameters["LockConfiguration"]["UnlockDelay"]["UnlockDelayValue"])
    if not SHORTEST_DELAY <= days <= LONGEST_DELAY:
        raise ApiError("ValidationException", f"The delay is {SHORTEST_DELAY} to {LONGEST_DELAY} days.")
    if rule.tags:
        raise ApiError("ValidationException", "Only rules without resource tags can be locked.")
    return timedelta(days=days)


def _pairs(tags: Iterable[Mapping[str, str]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((tag["ResourceTagKey"], tag.get("ResourceTagValue", "")) for tag in tags or ())


def _shown(tags: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"ResourceTagKey": key, "ResourceTagValue": value} for key, value in tags]


def _has(tags: Tags, wanted: tuple[str, str]) -> bool:
    key, value = wanted
    return key in tags and value in ("", tags[key])
