"""Dumps on real servers: taken, dated, locked, listed, lost, and restored."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.backups import pg_dump
from harness.backups.pg_dump import PgDumpTool
from harness.errors import BackupError, RestoreError
from harness.facts import BACK_DOOR, RecoveryPoint
from harness.scenario.models import PgDump
from harness.seams.drivers import Due
from harness.seams.s3_client import open_client

from .conftest import Estate

NOW = datetime(2026, 4, 24, 10, 12, tzinfo=UTC)


def make_tool(estate: Estate, name: str = "", **settings: Any) -> PgDumpTool:
    protection = PgDump.model_validate(
        {"tool": "pg_dump", "of": "bookings", "to": "vault", "every": "1d", "keep": 3} | settings
    )
    # Object Lock keeps what other tests wrote: each test has a protection of its own.
    name = name or f"dumps-{secrets.token_hex(4)}"
    return PgDumpTool(name, protection, estate.bookings, estate.replica, estate.setting)


def days_ago(days: float) -> Due:
    return Due(datetime.now(UTC) - timedelta(days=days), "dump")


def key_of(point: RecoveryPoint) -> str:
    return point.location.rpartition("@")[0]


def version_of(point: RecoveryPoint) -> str:
    return point.location.rpartition("@")[2]


def test_a_server_that_takes_no_dump_back_is_told_before_one_is_taken(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours is the newest there is, so it is the limit that moves."""
    tool = make_tool(estate)
    monkeypatch.setattr(pg_dump, "OLDEST", 99)
    with pytest.raises(BackupError, match=r"dumps of PostgreSQL \d+ cannot be restored") as caught:
        tool.take(days_ago(1))
    assert "postgres-pitr" in caught.value.hint
    assert tool.points() == ()


@pytest.mark.parametrize(
    ("every", "keep", "span", "days"),
    [
        ("1d", 3, 90, [3, 2, 1]),
        ("1d", 3, 2, [2, 1]),
        ("90d", 1, 90, [90]),
        ("90d", 1, 89.99, []),
        ("30d", 5, 90, [90, 60, 30]),
    ],
)
def test_due_are_the_dumps_that_retention_would_have_kept(
    estate: Estate, every: str, keep: int, span: float, days: list[int]
) -> None:
    due = make_tool(estate, every=every, keep=keep).due(NOW, timedelta(days=span))
    assert [NOW - each.at for each in due] == [timedelta(days=day) for day in days]


def test_a_dump_brings_back_what_the_service_held_when_it_was_taken(estate: Estate) -> None:
    estate.book(1, 500)
    then = estate.replica.fingerprint(estate.bookings, ("payments", "reservations"))
    tool = make_tool(estate)
    point = tool.take(days_ago(0))
    estate.book(501, 10)

    restored = tool.restore(point, estate.vessel(), estate.mark)

    assert estate.replica.fingerprint(restored, ("payments", "reservations")) == then
    assert estate.parts == ["provision", "restore"]
    assert restored.service == "bookings"
    assert restored.credentials == estate.bookings.credentials


def test_owners_and_rights_come_back_too(estate: Estate) -> None:
    estate.book(1, 1)
    rights = """
        SELECT c.relname, pg_get_userbyid(c.relowner), c.relacl::text FROM pg_class AS c
        WHERE c.relname IN ('payments', 'reservations') ORDER BY 1
    """
    defaults = "SELECT defaclrole::regrole::text, defaclacl::text FROM pg_default_acl ORDER BY 1, 2"
    tool = make_tool(estate)
    restored = tool.restore(tool.take(days_ago(0)), estate.vessel(), estate.mark)
    for question in (rights, defaults):
        here = estate.replica.query(estate.bookings, question, {})
        assert here
        assert estate.replica.query(restored, question, {}) == here


def test_a_point_says_when_it_was_taken_and_where_it_lies(estate: Estate) -> None:
    tool = make_tool(estate, "nightly")
    due = days_ago(2)
    point = tool.take(due)
    assert (point.protection, point.service, point.kind, point.place) == (
        "nightly",
        "bookings",
        "dump",
        "vault",
    )
    assert (point.taken, point.covers_until) == (due.at, due.at)
    assert point.shares_fate is False
    assert key_of(point) == f"nightly/{due.at:%Y-%m-%dT%H:%M:%S.%fZ}.dump"
    stored = estate.client("vault").head_object(Bucket="bookings-vault", Key=key_of(point))
    assert (stored["ContentLength"], stored["VersionId"]) == (point.size, version_of(point))
    assert tool.points() == (point,)


def test_points_are_listed_newest_first_and_stay_the_same(estate: Estate) -> None:
    tool = make_tool(estate)
    taken = [tool.take(days_ago(days)) for days in (3, 1, 2)]
    assert tool.points() == (taken[1], taken[2], taken[0])
    assert tool.points() == tool.points()


def test_protections_do_not_see_each_others_dumps(estate: Estate) -> None:
    longer, shorter = make_tool(estate, "hourly-more"), make_tool(estate, "hourly")
    longer.take(days_ago(1))
    assert shorter.points() == ()


def test_a_lock_holds_from_the_day_of_the_dump_and_has_run_out_for_old_ones(estate: Estate) -> None:
    tool = make_tool(estate, lock={"mode": "compliance", "for": "7d"})
    old, new = tool.take(days_ago(8)), tool.take(days_ago(1))
    assert old.locked_until is None
    assert new.locked_until is not None
    assert abs(new.locked_until - (new.taken + timedelta(days=7))) < timedelta(seconds=1)
    vault = estate.client("vault")
    with pytest.raises(ClientError, match="AccessDenied"):
        vault.delete_object(Bucket="bookings-vault", Key=key_of(new), VersionId=version_of(new))
    vault.delete_object(Bucket="bookings-vault", Key=key_of(old), VersionId=version_of(old))
    assert tool.points() == (new,)


def test_a_lock_in_governance_mode_is_not_counted_as_one_that_holds_against_everybody(
    estate: Estate,
) -> None:
    tool = make_tool(estate, lock={"mode": "governance", "for": "7d"})
    point = tool.take(days_ago(1))
    assert point.locked_until is None
    vault = estate.client("vault")
    target = {"Bucket": "bookings-vault", "Key": key_of(point), "VersionId": version_of(point)}
    with pytest.raises(ClientError, match="AccessDenied"):
        vault.delete_object(**target)
    vault.delete_object(**target, BypassGovernanceRetention=True)
    assert tool.points() == ()


def test_a_dump_that_is_hidden_or_overwritten_is_still_restored_by_its_version(estate: Estate) -> None:
    estate.book(1, 20)
    tool = make_tool(estate)
    point = tool.take(days_ago(1))
    vault = estate.client("vault")
    vault.put_object(Bucket="bookings-vault", Key=key_of(point), Body=b"nothing")
    vault.delete_object(Bucket="bookings-vault", Key=key_of(point))
    listed = tool.points()
    assert point in listed
    assert len(listed) == 2
    restored = tool.restore(point, estate.vessel(), estate.mark)
    assert estate.same_content(restored)
    impostor = next(each for each in listed if each != point)
    with pytest.raises(RestoreError, match="pg_restore failed"):
        tool.restore(impostor, estate.vessel(), estate.mark)


def test_a_deleted_dump_is_no_point_and_cannot_be_restored(estate: Estate) -> None:
    tool = make_tool(estate)
    point = tool.take(days_ago(1))
    estate.client("vault").delete_object(
        Bucket="bookings-vault", Key=key_of(point), VersionId=version_of(point)
    )
    assert tool.points() == ()
    with pytest.raises(RestoreError, match="is no longer in vault") as caught:
        tool.restore(point, estate.vessel(), estate.mark)
    assert caught.value.hint


@pytest.mark.parametrize(("keep", "message"), [(0, "is empty"), (900, "SHA-256 is another")])
@pytest.mark.parametrize("place", ["vault", "plain"])
def test_a_dump_that_was_cut_short_is_a_restore_error(
    estate: Estate, place: str, keep: int, message: str
) -> None:
    estate.book(1, 100)
    tool = make_tool(estate, to=place)
    point = tool.take(days_ago(1))
    client, bucket = estate.client(place), estate.bucket(place)
    whole = client.get_object(Bucket=bucket, Key=key_of(point))
    content = whole["Body"].read()
    assert len(content) > keep
    client.put_object(Bucket=bucket, Key=key_of(point), Body=content[:keep], Metadata=whole["Metadata"])
    truncated = next(each for each in tool.points() if each.size == keep)
    with pytest.raises(RestoreError, match=message) as caught:
        tool.restore(truncated, estate.vessel(), estate.mark)
    assert caught.value.hint


def test_a_dump_that_lost_its_metadata_is_judged_by_pg_restore(estate: Estate) -> None:
    estate.book(1, 100)
    tool = make_tool(estate, to="plain")
    point = tool.take(days_ago(1))
    client = estate.client("plain")
    content = client.get_object(Bucket="plain", Key=key_of(point))["Body"].read()
    client.put_object(Bucket="plain", Key=key_of(point), Body=content)
    assert estate.same_content(tool.restore(tool.points()[0], estate.vessel(), estate.mark))
    client.put_object(Bucket="plain", Key=key_of(point), Body=content[:-200])
    with pytest.raises(RestoreError, match="pg_restore failed with exit code 1: pg_restore: error"):
        tool.restore(tool.points()[0], estate.vessel(), estate.mark)


def test_a_bucket_that_is_gone_holds_no_points(estate: Estate) -> None:
    tool = make_tool(estate, to="plain")
    point = tool.take(days_ago(1))
    plain = estate.setting.peers["plain"]
    owner = open_client(plain, plain.credentials[BACK_DOOR])
    for item in owner.list_objects_v2(Bucket="plain")["Contents"]:
        owner.delete_object(Bucket="plain", Key=item["Key"])
    owner.delete_bucket(Bucket="plain")
    try:
        assert tool.points() == ()
        with pytest.raises(RestoreError, match="is no longer in plain"):
            tool.restore(point, estate.vessel(), estate.mark)
        with pytest.raises(BackupError, match="cannot write"):
            tool.take(days_ago(0))
    finally:
        owner.create_bucket(Bucket="plain")


def test_nothing_is_left_behind_by_taking_and_restoring(
    estate: Estate, no_leftovers: Callable[[], set[Path]]
) -> None:
    estate.book(1, 10)
    tool = make_tool(estate)
    before = {path for path in no_leftovers() if path.name.startswith("pg_dump")}
    point = tool.take(days_ago(0))
    vessel = estate.vessel()
    tool.restore(point, vessel, estate.mark)
    after = {path for path in no_leftovers() if path.name.startswith("pg_dump")}
    assert after == before
    assert not (vessel.lease.directory / "restore.dump").exists()


def test_a_server_that_is_gone_is_a_backup_error_with_what_pg_dump_says(estate: Estate) -> None:
    from dataclasses import replace

    from harness.sandbox import free_port

    gone = replace(estate.bookings, port=free_port())
    protection = PgDump.model_validate(
        {"tool": "pg_dump", "of": "bookings", "to": "vault", "every": "1d", "keep": 1}
    )
    tool = PgDumpTool("gone", protection, gone, estate.replica, estate.setting)
    with pytest.raises(BackupError, match=r"pg_dump failed with exit code 1: .*refused") as caught:
        tool.take(days_ago(0))
    assert estate.bookings.credentials["operator"].secret.reveal() not in str(caught.value)
    assert tool.points() == ()


def test_a_lock_on_a_bucket_without_object_lock_is_a_backup_error(estate: Estate) -> None:
    tool = make_tool(estate, to="plain", lock={"mode": "compliance", "for": "7d"})
    with pytest.raises(BackupError, match="cannot write") as caught:
        tool.take(days_ago(0))
    assert "object_lock: true" in caught.value.hint
    assert tool.points() == ()


def test_a_place_that_is_no_s3_service_is_refused(estate: Estate) -> None:
    with pytest.raises(BackupError, match="bookings: it is not an S3 service"):
        make_tool(estate, to="bookings")
