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
        ([{"Status": "Enabled", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, **HIDE}], False, None),
    ],
)
def test_rules_delete_what_they_match_and_in_a_versioned_bucket_only_with_a_purge(
    rules: list[dict[str, Any]], versioned: bool, days: int | None
) -> None:
    gone = gone_at(rules, "dumps/1", PUT, versioned=versioned)
    assert gone == (None if days is None else PUT + timedelta(days=days))


def test_a_version_that_is_hidden_already_only_waits_for_the_purge() -> None:
    hidden = PUT + timedelta(hours=1)
    for rules in ([rule(**HIDE, **PURGE)], [rule(**PURGE)]):
        gone = gone_at(rules, "dumps/1", PUT, versioned=True, hidden=hidden)
        assert gone == hidden + timedelta(days=2)
    assert gone_at([rule(**HIDE)], "dumps/1", PUT, versioned=True, hidden=hidden) is None


def test_a_rule_of_the_bucket_dooms_its_objects(estate: Estate, tmp_path: Path) -> None:
    store, client = ObjectStore(estate.setting.peers["plain"]), estate.client("plain")
    source = tmp_path / "source"
    source.write_bytes(b"dump")
    version = store.put_file(source, "doomed/1", {}, None)
    assert store.doom().at([version]) is None
    client.put_bucket_lifecycle_configuration(
        Bucket=estate.bucket("plain"), LifecycleConfiguration={"Rules": [rule("doomed/", **HIDE)]}
    )
    try:
        assert store.doom().at([version], PUT) == PUT + timedelta(days=3)
    finally:
        client.delete_bucket_lifecycle(Bucket=estate.bucket("plain"))
    assert store.doom().at([version]) is None


def test_a_deleted_or_overwritten_version_says_since_when_it_is_hidden(
    estate: Estate, tmp_path: Path
) -> None:
    store, client = ObjectStore(estate.setting.peers["vault"]), estate.client("vault")
    source = tmp_path / "source"
    for content in (b"first", b"second"):
        source.write_bytes(content)
        store.put_file(source, "hidden/1", {}, None)
    newest, oldest = sorted(store.versions("hidden/"), key=lambda version: version.hidden is not None)
    assert newest.hidden is None
    assert oldest.hidden is not None
    assert oldest.hidden >= oldest.modified
    client.delete_object(Bucket=estate.bucket("vault"), Key="hidden/1")
    assert all(version.hidden is not None for version in store.versions("hidden/"))
