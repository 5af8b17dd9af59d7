"""How somebody would do away with objects of a bucket, or with their locks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from pydantic import JsonValue

from harness.facts import TamperingKind
from harness.seams.drivers import Tampering


def tamperings_of(versions: Iterable[str], until: datetime, now: datetime) -> tuple[Tampering, ...]:
    """The calls against locked versions.

    Args:
        versions: ``key@id`` of each.
        until: when the first of their locks ends.
        now: by the wall clock; S3 takes no lock that ends before it.
    """
    sooner = now + (until - now) / 2
    return tuple(call for version in versions for call in _against(version, sooner))


def _against(version: str, sooner: datetime) -> Iterator[Tampering]:
    key, _, id = version.rpartition("@")
    which: dict[str, JsonValue] = {"key": key, "version": id}

    def call(what: TamperingKind, verb: str, arguments: dict[str, JsonValue]) -> Tampering:
        return Tampering(what, version, "s3", verb, arguments)

    # Only compliance mode counts as locked for everybody.
    shorter: dict[str, JsonValue] = {**which, "mode": "compliance", "until": sooner.isoformat()}
    yield call("overwrite", "put", {"key": key, "body": "not a copy"})
    yield call("shorten", "put-retention", {**shorter, "bypass": True})
    yield call("delete", "delete-object", which)
    yield call("bypass", "delete-object", {**which, "bypass": True})
