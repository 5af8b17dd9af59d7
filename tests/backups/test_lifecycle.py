"""What is set to be deleted is seen, by the rules of S3 and from the answers of real servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.backups.lifecycle import gone_at
from harness.backups.object_store import ObjectStore

from .conftest import Estate

PUT = datetime(2026, 4, 24, 12, tzinfo=UTC)
HIDE, PURGE = {"Expiration": {"Days": 3}}, {"NoncurrentVersionExpiration": {"NoncurrentDays": 2}}


def rule(prefix: str = "", status: str = "Enabled", **actions: Any) -> dict[str, Any]:
    return {"ID": "r", "Status": status, "Filter": {"Prefix": prefix}, **actions}


@pytest.mark.parametrize(
    ("rules", "versioned", "days"),
    [
        ([], False, None),
        ([rule(**HIDE)], False, 3),
        ([rule(**HIDE)], True, None),
        ([rule(**PURGE)], True, None),
        ([rule(**HIDE, **PURGE)], True, 5),
        ([rule(**HIDE), rule("dumps/", **PURGE)], True, 5),
        ([rule("other/", **HIDE)], False, None),
        ([rule(status="Disabled", **HIDE)], False, None),
        ([rule(**HIDE), rule(Expiration={"Days": 1})], False, 1),
        ([rule(Expiration={"Date": PUT + timedelta(days=7)})], False, 7),
        ([{"Status": "Enabled", "Prefix": "dumps", **HIDE}], False, 3),
        ([{"Status": "Enabled", "Filter": {"And": {"Prefix": "logs", "Tags": []}}, **HIDE}], False, None),
    ],
)
def test_rules_delete_what_they_match_and_in_a_versioned_bucket_only_with_a_purge(
    rules: list[dict[str, Any]], versioned: bool, days: int | None
) -> None:
    gone = gone_at(rules, "dumps/1", PUT, versioned=versioned)
    assert gone == (None if days is None else PUT + timedelta(days=days))


def test_a_rule_of_the_bucket_dooms_its_objects(estate: Estate, tmp_path: Path) -> None:
    store, client = ObjectStore(estate.setting.peers["plain"]), estate.client("plain")
    source = tmp_path / "source"
    source.write_bytes(b"dump")
    version = store.put_file(source, "doomed/1", {}, None)
    assert store.gone_at([version]) is None
    client.put_bucket_lifecycle_configuration(
        Bucket=estate.bucket("plain"), LifecycleConfiguration={"Rules": [rule("doomed/", **HIDE)]}
    )
    try:
        assert store.gone_at([version], PUT) == PUT + timedelta(days=3)
    finally:
        client.delete_bucket_lifecycle(Bucket=estate.bucket("plain"))
    assert store.gone_at([version]) is None
