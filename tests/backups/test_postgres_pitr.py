"""Base backups and shipped log on real servers: gapless, locked, restored to any instant, and damaged."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from harness.backups.postgres_pitr import PostgresPitrTool
from harness.clock import SystemClock
from harness.errors import BackupError, RestoreError
from harness.facts import Fingerprint, RecoveryPoint
from harness.sandbox import free_port
from harness.scenario.models import PostgresPitr
from harness.seams.drivers import Due

from .conftest import TABLES, Estate

pytestmark = pytest.mark.slow

NOW = datetime(2026, 4, 24, 10, 12, tzinfo=UTC)
CLOCK = SystemClock()
DROP_SLOT = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = :slot"


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for what another process does; fails when it does not."""
    began = CLOCK.stamp()
    while not condition():
        assert CLOCK.stamp().since(began) < seconds, "it did not happen"
        CLOCK.sleep(0.1)


def new_name() -> str:
    """Object Lock keeps what tests wrote, so each has protections of its own."""
    return f"offsite-{secrets.token_hex(4)}"


def make(estate: Estate, name: str, **settings: Any) -> PostgresPitrTool:
    protection = PostgresPitr.model_validate(
        {"tool": "postgres-pitr", "of": "bookings", "to": "vault", "ship_every": "200ms"} | settings
    )
    return PostgresPitrTool(name, protection, estate.bookings, estate.replica, estate.setting)


def finish(estate: Estate, tool: PostgresPitrTool) -> None:
    """End shipping, and give up the slot: it keeps all log of the server that the tests share."""
    tool.stop()
    estate.replica.query(estate.bookings, DROP_SLOT, {"slot": tool._slot})


@pytest.fixture
def make_tool(estate: Estate) -> Iterator[Callable[..., PostgresPitrTool]]:
    tools: list[PostgresPitrTool] = []

    def call(name: str = "", **settings: Any) -> PostgresPitrTool:
        tools.append(make(estate, name or new_name(), **settings))
        return tools[-1]

    yield call
    for tool in tools:
        finish(estate, tool)


def days_ago(days: float) -> Due:
    return Due(datetime.now(UTC) - timedelta(days=days), "base backup")


def objects(estate: Estate, prefix: str, place: str = "vault") -> list[tuple[str, str]]:
    """Keys and version ids below a prefix, in order of their keys."""
    listed = estate.client(place).list_object_versions(Bucket=estate.bucket(place), Prefix=prefix)
    return sorted((item["Key"], item["VersionId"]) for item in listed.get("Versions", ()))


def delete(estate: Estate, found: tuple[str, str], place: str = "vault") -> None:
    estate.client(place).delete_object(Bucket=estate.bucket(place), Key=found[0], VersionId=found[1])


def switch_segment(estate: Estate) -> None:
    """Have the server begin a new segment, as it does by itself every 16 MiB."""
    estate.replica.query(estate.bookings, "SELECT pg_switch_wal()", {})


def server_time(estate: Estate) -> datetime:
    ((now,),) = estate.replica.query(estate.bookings, "SELECT clock_timestamp()", {})
    assert isinstance(now, datetime)
    return now


@dataclass(frozen=True)
class Archive:
    """An archive that was written once, for tests that only read copies of it.

    Two base backups, 14 and 7 days old, with 300 rows each; then 10 rows in each of three segments; then
    the payments were dropped, and 5 more rows written.
    """

    name: str
    older: RecoveryPoint
    newer: RecoveryPoint
    before_the_drop: datetime
    content_then: Fingerprint
    begun: tuple[datetime, ...]
    commits: tuple[datetime, ...]
    objects: tuple[tuple[str, bytes, dict[str, str]], ...]


@pytest.fixture(scope="module")
def archive(servers: Estate) -> Archive:
    servers.empty()
    tool = make(servers, "master", ship_every="5s")
    servers.book(1, 300)
    older, newer = tool.take(days_ago(14)), tool.take(days_ago(7))
    begun, commits = [], []
    for first in (301, 311, 321):
        begun.append(server_time(servers))
        servers.book(first, 10)
        commits.append(server_time(servers))
        switch_segment(servers)
    content = servers.replica.fingerprint(servers.bookings, TABLES)
    before = server_time(servers)
    servers.replica.execute(servers.bookings, "DROP TABLE payments", {})
    script = "INSERT INTO reservations SELECT n, 'late', 1 FROM generate_series(901, 905) AS n"
    servers.replica.execute(servers.bookings, script, {})
    finish(servers, tool)
    schema = (servers.setting.folder / "schema.sql").read_text()
    payments = schema[schema.index("CREATE TABLE payments") :]
    servers.replica.execute(servers.bookings, f"SET ROLE data_owner; {payments}", {})
    return Archive(
        "master",
        older,
        newer,
        before,
        content,
        tuple(begun),
        tuple(commits),
        tuple(read_all(servers, "master/")),
    )


def read_all(estate: Estate, prefix: str) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Key, content and metadata of every version, oldest first within a key."""
    client, bucket = estate.client("vault"), estate.bucket("vault")
    for key, version in reversed(objects(estate, prefix)):
        found = client.get_object(Bucket=bucket, Key=key, VersionId=version)
        yield key, found["Body"].read(), found["Metadata"]


@pytest.fixture
def copy(estate: Estate, archive: Archive) -> Callable[..., PostgresPitrTool]:
    """Makes a tool whose archive is a copy of the one that was written once, to be damaged at will."""

    def call(place: str = "vault") -> PostgresPitrTool:
        name = new_name()
        for key, content, metadata in archive.objects:
            estate.client(place).put_object(
                Bucket=estate.bucket(place),
                Key=name + key.removeprefix(archive.name),
                Body=content,
                Metadata=metadata,
            )
        return make(estate, name, to=place)

    return call


def segments(estate: Estate, tool: PostgresPitrTool) -> list[str]:
    return sorted({key.split("/")[2] for key, _ in objects(estate, f"{tool._name}/wal/")})


def delete_segment(estate: Estate, tool: PostgresPitrTool, number: int) -> None:
    for found in objects(estate, f"{tool._name}/wal/{segments(estate, tool)[number]}/"):
        delete(estate, found)


# --- what retention keeps -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "keep", "span", "days"),
    [
        ("7d", 2, 90, [14, 7]),
        ("7d", 2, 14, [14, 7]),
        ("7d", 2, 13, [7]),
        ("7d", 2, 7, [7]),
        ("7d", 2, 3, [3]),
        ("1d", 3, 90, [3, 2, 1]),
    ],
)
def test_due_are_the_base_backups_that_retention_would_have_kept_and_at_least_one(
    make_tool: Callable[..., PostgresPitrTool], every: str, keep: int, span: float, days: list[int]
) -> None:
    due = make_tool(base_every=every, keep=keep).due(NOW, timedelta(days=span))
    assert [NOW - each.at for each in due] == [timedelta(days=day) for day in days]


def test_a_point_says_what_it_is_and_stays_the_same(
    estate: Estate, archive: Archive, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool = copy()
    listed = tool.points()
    assert listed == tool.points()
    assert [point.taken for point in listed] == [archive.newer.taken, archive.older.taken]
    assert {(p.protection, p.service, p.kind, p.place, p.shares_fate) for p in listed} == {
        (tool._name, "bookings", "continuous", "vault", False)
    }
    assert archive.newer.location == f"master/base/{archive.newer.taken:%Y-%m-%dT%H:%M:%S.%fZ}/"
    assert listed[0].id == archive.newer.id.replace("master", tool._name)
    assert len({point.id for point in listed}) == 2
    stored = {key.rpartition("/")[2] for key, _ in objects(estate, listed[0].location)}
    assert stored == {"base.tar.gz", "pg_wal.tar.gz", "backup_manifest", "backup.json"}
    assert archive.commits[-1] < archive.before_the_drop < listed[0].covers_until < datetime.now(UTC)
    assert listed[0].locked_until is None


# --- restoring ------------------------------------------------------------------------------------------


def test_everything_that_was_written_comes_back_from_either_base_backup(
    estate: Estate, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool = copy()
    for point in tool.points():
        estate.parts.clear()
        restored = tool.restore(point, estate.vessel(), estate.mark)
        assert estate.parts == ["provision", "restore", "replay"]
        assert estate.count(restored) == 335
        gone = "SELECT to_regclass('payments')"
        assert estate.replica.query(restored, gone, {}) == [(None,)]
    assert restored.credentials == estate.bookings.credentials
    estate.replica.execute(restored, "INSERT INTO reservations VALUES (9999, 'x', 1)", {})


def test_a_dropped_table_is_undone_by_restoring_to_the_instant_before(
    estate: Estate, archive: Archive, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool = copy()
    point = tool.points()[0]
    undone = tool.restore_to(point, estate.vessel(), estate.mark, archive.before_the_drop)
    assert estate.replica.fingerprint(undone, TABLES) == archive.content_then
    earlier = tool.restore_to(point, estate.vessel(), estate.mark, archive.commits[0])
    assert estate.count(earlier) == 310


def test_a_harm_that_was_shipped_after_the_point_was_listed_is_undone_too(
    estate: Estate, archive: Archive, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool = copy()
    covered = archive.before_the_drop - timedelta(seconds=1)
    listed = tool.points()[0].model_copy(update={"covers_until": covered})
    undone = tool.restore_to(listed, estate.vessel(), estate.mark, archive.before_the_drop)
    assert estate.replica.fingerprint(undone, TABLES) == archive.content_then


def test_an_instant_that_the_log_does_not_reach_brings_back_everything_there_is(
    estate: Estate, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool, later = copy(), datetime.now(UTC) + timedelta(hours=1)
    point = tool.points()[0]
    assert estate.count(tool.restore_to(point, estate.vessel(), estate.mark, later)) == 335
    # Nothing was committed between the last row and the end, so the server finds no commit to stop before.
    last = point.covers_until - timedelta(microseconds=1)
    assert estate.count(tool.restore_to(point, estate.vessel(), estate.mark, last)) == 335


def test_what_is_hidden_or_overwritten_in_the_vault_is_still_restored(
    estate: Estate, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool = copy()
    before = tool.points()
    client = estate.client("vault")
    for number, (key, version) in enumerate(objects(estate, f"{tool._name}/")):
        if key.endswith("backup.json"):
            record = client.get_object(Bucket="bookings-vault", Key=key, VersionId=version)["Body"].read()
            forged = record.replace(b'"timeline":1', b'"timeline":7')
            assert forged != record
            client.put_object(Bucket="bookings-vault", Key=key, Body=forged)
        elif number % 2:
            client.put_object(Bucket="bookings-vault", Key=key, Body=b"{}")
        else:
            client.delete_object(Bucket="bookings-vault", Key=key)
    assert tool.points() == before
    assert estate.count(tool.restore(before[0], estate.vessel(), estate.mark)) == 335


# --- damage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["base.tar.gz", "pg_wal.tar.gz", "backup_manifest", "backup.json"])
def test_a_base_backup_without_one_of_its_files_is_no_point_and_the_older_one_is(
    estate: Estate, copy: Callable[..., PostgresPitrTool], file: str
) -> None:
    tool = copy()
    newer, older = tool.points()
    (found,) = objects(estate, newer.location + file)
    delete(estate, found)
    assert tool.points() == (older,)
    with pytest.raises(RestoreError, match="is not whole") as caught:
        tool.restore(newer, estate.vessel(), estate.mark)
    assert caught.value.hint


@pytest.mark.parametrize("change", ["cut short", "altered", "empty"])
def test_a_damaged_base_backup_is_no_point_in_a_bucket_without_versions(
    estate: Estate, copy: Callable[..., PostgresPitrTool], change: str
) -> None:
    tool = copy("plain")
    newer, older = tool.points()
    client, key = estate.client("plain"), f"{newer.location}base.tar.gz"
    content = client.get_object(Bucket="plain", Key=key)["Body"].read()
    middle = len(content) // 2
    damaged = {
        "cut short": content[:middle],
        "altered": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
    }
    client.put_object(Bucket="plain", Key=key, Body=damaged[change])
    assert tool.points() == (older,)
    with pytest.raises(RestoreError, match="is not whole"):
        tool.restore(newer, estate.vessel(), estate.mark)


def test_a_missing_segment_ends_what_the_point_covers_and_the_restore_goes_that_far(
    estate: Estate, archive: Archive, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool = copy()
    whole = tool.points()[0]
    assert len(segments(estate, tool)) >= 4
    delete_segment(estate, tool, -2)
    cut = tool.points()[0]
    assert cut.id == whole.id
    # A byte is dated when it is received: after the commit, but not always after whoever asked the time then.
    assert archive.begun[1] <= cut.covers_until < whole.covers_until
    restored = tool.restore(cut, estate.vessel(), estate.mark)
    assert estate.replica.query(restored, "SELECT max(id), count(*) FROM reservations", {}) == [(320, 320)]


def test_without_any_log_a_base_backup_brings_back_what_it_held_itself(
    estate: Estate, archive: Archive, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool = copy()
    for _ in segments(estate, tool):
        delete_segment(estate, tool, 0)
    point = tool.points()[0]
    assert point.covers_until < archive.commits[0]
    assert estate.count(tool.restore(point, estate.vessel(), estate.mark)) == 300


def test_altered_log_does_not_count_as_log(
    estate: Estate, archive: Archive, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool = copy("plain")
    whole = tool.points()[0]
    client = estate.client("plain")
    key, _ = objects(estate, f"{tool._name}/wal/", "plain")[-1]
    content = client.get_object(Bucket="plain", Key=key)["Body"].read()
    for damaged in (content[: len(content) // 2], b"", content[:-1] + bytes([content[-1] ^ 1])):
        client.put_object(Bucket="plain", Key=key, Body=damaged)
        cut = tool.points()[0]
        assert cut.size == whole.size - len(content)
        assert cut.covers_until < whole.covers_until
    assert estate.count(tool.restore(cut, estate.vessel(), estate.mark)) >= 330


def test_log_that_changes_between_listing_and_reading_is_a_restore_error(
    estate: Estate, copy: Callable[..., PostgresPitrTool], monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = copy("plain")
    point = tool.points()[0]
    key, _ = objects(estate, f"{tool._name}/wal/", "plain")[-1]
    listed = tool._archive.pieces()
    monkeypatch.setattr(tool._archive, "pieces", lambda: listed)
    estate.client("plain").put_object(Bucket="plain", Key=key, Body=b"other")
    with pytest.raises(RestoreError, match=r"write-ahead log .* is not what was written"):
        tool.restore(point, estate.vessel(), estate.mark)


def rewrite_record(estate: Estate, point: RecoveryPoint, change: Callable[[dict[str, Any]], None]) -> None:
    """Replace a record for good, as a faulty writer would have written it."""
    client, key = estate.client("plain"), f"{point.location}backup.json"
    record = json.loads(client.get_object(Bucket="plain", Key=key)["Body"].read())
    change(record)
    client.put_object(Bucket="plain", Key=key, Body=json.dumps(record).encode())


def test_a_backup_of_another_release_is_refused_before_it_is_fetched(
    estate: Estate, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool, vessel = copy("plain"), estate.vessel()
    rewrite_record(estate, tool.points()[0], lambda record: record.update(server_version=170004))
    with pytest.raises(RestoreError, match="backup of PostgreSQL 17; here is PostgreSQL 18") as caught:
        tool.restore(tool.points()[0], vessel, estate.mark)
    assert "install PostgreSQL 17" in caught.value.hint
    assert not any(vessel.directory.iterdir())


def test_content_that_does_not_match_its_digest_is_a_restore_error(
    estate: Estate, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool = copy("plain")
    rewrite_record(
        estate, tool.points()[0], lambda record: record["files"][1].update(sha256=sha256(b"").hexdigest())
    )
    with pytest.raises(RestoreError, match="its SHA-256 is another"):
        tool.restore(tool.points()[0], estate.vessel(), estate.mark)


def test_content_that_does_not_match_its_manifest_is_refused_by_pg_verifybackup(
    estate: Estate, copy: Callable[..., PostgresPitrTool]
) -> None:
    tool = copy("plain")
    point = tool.points()[0]
    client, key = estate.client("plain"), f"{point.location}backup_manifest"
    manifest = client.get_object(Bucket="plain", Key=key)["Body"].read()
    other = manifest.replace(b'"Path": "PG_VERSION", "Size": 3', b'"Path": "PG_VERSION", "Size": 4')
    assert other != manifest
    tag = client.put_object(Bucket="plain", Key=key, Body=other)["ETag"].strip('"')

    def name_the_other_manifest(record: dict[str, Any]) -> None:
        file = next(each for each in record["files"] if each["name"] == "backup_manifest")
        file.update(tag=tag, sha256=sha256(other).hexdigest(), size=len(other))

    rewrite_record(estate, point, name_the_other_manifest)
    with pytest.raises(RestoreError, match="pg_verifybackup failed with exit code 1"):
        tool.restore(tool.points()[0], estate.vessel(), estate.mark)


# --- shipping -----------------------------------------------------------------------------------------------


def shippers(estate: Estate) -> list[psutil.Process]:
    """The shippers of this run and what they started."""
    root = estate.setting.sandbox.root / "shippers"
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(root):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def is_over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def receivers(estate: Estate) -> list[psutil.Process]:
    return [each for each in shippers(estate) if each.name() == "pg_receivewal"]


@pytest.mark.slow
def test_a_write_is_shipped_while_the_service_runs_and_covers_until_follows_the_clock(
    estate: Estate, make_tool: Callable[..., PostgresPitrTool]
) -> None:
    tool = make_tool()
    taken = tool.take(days_ago(7))
    estate.book(1, 5)
    written = server_time(estate)
    until(lambda: tool.points()[0].covers_until > written)
    point = tool.points()[0]
    assert point.id == taken.id
    assert point.covers_until <= datetime.now(UTC)
    assert estate.count(tool.restore(point, estate.vessel(), estate.mark)) == 5
    quiet = server_time(estate)
    until(lambda: tool.points()[0].covers_until > quiet + timedelta(seconds=1))
    assert tool.points()[0].covers_until <= datetime.now(UTC)


@pytest.mark.slow
def test_retention_leaves_what_is_locked_and_the_log_that_it_needs(
    estate: Estate, make_tool: Callable[..., PostgresPitrTool]
) -> None:
    tool = make_tool(lock={"mode": "compliance", "for": "9d"}, keep=1)
    over, locked, new = (days_ago(days) for days in (14, 7, 0))
    for due in (over, locked, new):
        estate.book(round((new.at - due.at) / timedelta(days=1)) + 1, 1)
        tool.take(due)
    tool.stop()
    tool.expire(new.at, taken=True)
    points = tool.points()
    assert {point.taken for point in points} == {locked.at, new.at}
    assert all(point.covers_until == points[0].covers_until for point in points)
    assert estate.count(tool.restore(points[-1], estate.vessel(), estate.mark)) == 3


@pytest.mark.slow
def test_base_backups_and_log_are_locked_as_the_protection_says(
    estate: Estate, make_tool: Callable[..., PostgresPitrTool]
) -> None:
    tool = make_tool(lock={"mode": "compliance", "for": "9d"})
    old, new = days_ago(14), days_ago(7)
    tool.take(old)
    tool.take(new)
    estate.book(1, 5)
    tool.stop()
    points = tool.points()
    assert points[1].locked_until is None
    assert points[0].locked_until is not None
    assert abs(points[0].locked_until - (new.at + timedelta(days=9))) < timedelta(seconds=1)
    held = [*objects(estate, points[0].location), *objects(estate, f"{tool._name}/wal/")]
    assert len(held) > 4
    for found in held:
        with pytest.raises(ClientError, match="AccessDenied"):
            delete(estate, found)
    for found in (*objects(estate, points[1].location), *objects(estate, f"{tool._name}/position")):
        delete(estate, found)
    assert [point.id for point in tool.points()] == [points[0].id]
    assert estate.count(tool.restore(tool.points()[0], estate.vessel(), estate.mark)) == 5


@pytest.mark.slow
def test_shipping_goes_on_where_it_was_after_a_stop_and_a_lost_receiver(
    estate: Estate, make_tool: Callable[..., PostgresPitrTool]
) -> None:
    tool = make_tool()
    tool.take(days_ago(7))
    estate.book(1, 10)
    tool.stop()
    assert shippers(estate) == []
    estate.book(11, 10)
    switch_segment(estate)
    estate.book(21, 5)
    tool.start()
    estate.book(26, 5)
    tool.start()
    assert len(shippers(estate)) == 2
    estate.book(31, 10)
    receivers(estate)[0].kill()
    estate.book(41, 10)
    until(lambda: receivers(estate))
    tool.stop()
    tool.stop()
    restored = tool.restore(tool.points()[0], estate.vessel(), estate.mark)
    assert estate.same_content(restored)
    assert estate.count(restored) == 50


@pytest.mark.slow
def test_start_returns_when_everything_is_in_the_archive_and_a_shipper_that_dies_after_that_is_noticed(
    estate: Estate, make_tool: Callable[..., PostgresPitrTool]
) -> None:
    tool = make_tool(ship_every="2s")
    tool.take(days_ago(7))
    estate.book(1, 40)
    tool.start()
    for process in shippers(estate):
        process.kill()
    with pytest.raises(BackupError, match="ended with exit code -9"):
        tool.stop()
    tool.stop()
    assert estate.count(tool.restore(tool.points()[0], estate.vessel(), estate.mark)) == 40


@pytest.mark.slow
def test_secrets_are_neither_in_arguments_nor_in_files_of_the_shipper(
    estate: Estate, make_tool: Callable[..., PostgresPitrTool]
) -> None:
    make_tool().start()
    hidden = [
        credential.secret.reveal()
        for endpoint in estate.setting.peers.values()
        for credential in endpoint.credentials.values()
    ]
    receiver, shipper = sorted(shippers(estate), key=lambda each: each.name() != "pg_receivewal")
    told = [*receiver.cmdline(), *shipper.cmdline(), *shipper.environ().values()]
    assert not [text for text in told if any(secret in text for secret in hidden)]
    files = [path for path in (estate.setting.sandbox.root / "shippers").rglob("*") if path.is_file()]
    assert any(path.name == "shipper.log" for path in files)
    assert not [path for path in files if any(word.encode() in path.read_bytes() for word in hidden)]


HOLD_THE_PIPE = """
import os, subprocess, sys, time
reading, writing = os.pipe()
line = sys.stdin.buffer.readline()
child = subprocess.Popen(
    [sys.executable, "-P", "-m", "harness.backups.wal_shipper", str(reading)],
    pass_fds=(reading,), cwd=sys.argv[1], start_new_session=True,
)
os.write(writing, line)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_a_shipper_whose_harness_is_killed_ships_what_it_has_and_ends(
    estate: Estate, make_tool: Callable[..., PostgresPitrTool], monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = make_tool(ship_every="1h")
    tool.take(days_ago(7))
    tool.stop()
    orders: list[bytes] = []
    monkeypatch.setattr(tool._shipping, "start", lambda order: orders.append(order.to_line()))
    tool._begin_shipping()
    directory = estate.setting.sandbox.root / "shippers" / tool._name
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_PIPE, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as harness:
        assert harness.stdin is not None
        assert harness.stdout is not None
        harness.stdin.write(orders[0])
        harness.stdin.flush()
        shipper = psutil.Process(int(harness.stdout.readline()))
        until(lambda: receivers(estate))
        estate.book(1, 25)
        received = "SELECT r.write_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication AS r"
        until(lambda: (True,) in estate.replica.query(estate.bookings, received, {}))
        assert shipper.is_running()
        harness.send_signal(signal.SIGKILL)
    until(lambda: is_over(shipper) and not receivers(estate))
    assert estate.count(tool.restore(tool.points()[0], estate.vessel(), estate.mark)) == 25


@pytest.mark.slow
def test_log_of_another_server_at_the_same_port_is_not_mixed_in(
    estate: Estate, make_tool: Callable[..., PostgresPitrTool]
) -> None:
    tool = make_tool()
    tool.start()
    estate.book(1, 10)
    tool.stop()
    shipped = objects(estate, f"{tool._name}/wal/")
    assert shipped
    tool._source = replace(
        estate.bookings, lease=estate.bookings.lease.model_copy(update={"service": "bookings@restore"})
    )
    tool._begin_shipping()
    estate.book(11, 10)
    log = estate.setting.sandbox.root / "shippers" / tool._name / "shipper.log"
    until(lambda: "another server answers" in log.read_text())
    tool.stop()
    assert objects(estate, f"{tool._name}/wal/") == shipped


@pytest.mark.slow
def test_a_store_that_is_gone_keeps_the_log_and_is_told_at_the_stop(
    estate: Estate, make_tool: Callable[..., PostgresPitrTool], monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = make_tool()
    tool.take(days_ago(7))
    tool.stop()
    vault = estate.setting.peers["vault"]
    gone = {**estate.setting.peers, "vault": replace(vault, port=free_port())}
    monkeypatch.setattr(tool, "_setting", replace(estate.setting, peers=gone))
    away = server_time(estate)
    tool._begin_shipping()
    estate.book(1, 10)
    log = estate.setting.sandbox.root / "shippers" / tool._name / "shipper.log"
    until(lambda: "from vault" in log.read_text() and receivers(estate))
    with pytest.raises(BackupError, match=r"ended with exit code 1, .*vault"):
        tool.stop()
    assert tool.points()[0].covers_until < away
    monkeypatch.setattr(tool, "_setting", estate.setting)
    tool.start()
    tool.stop()
    assert estate.count(tool.restore(tool.points()[0], estate.vessel(), estate.mark)) == 10


def test_a_server_that_is_gone_is_a_backup_error(
    estate: Estate, make_tool: Callable[..., PostgresPitrTool], monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = make_tool()
    monkeypatch.setattr(tool, "_source", replace(estate.bookings, port=free_port()))
    with pytest.raises(BackupError, match="no replication slot can be made on bookings"):
        tool.take(days_ago(0))
    assert tool.points() == ()
    monkeypatch.undo()
