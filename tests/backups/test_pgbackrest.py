"""Real pgBackRest repositories: taken, expired, locked, damaged, lost, and restored to any instant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from harness.backups.backrest_repository import BucketRepository
from harness.backups.pgbackrest import PgBackRestTool
from harness.contracts import POSTGRES, THINGS, Bench
from harness.contracts.things import SCHEMA_FILE
from harness.errors import BackupError, MissingToolError, RestoreError
from harness.facts import OPERATOR, Endpoint, Fingerprint, RecoveryPoint
from harness.scenario.models import Stack
from harness.seams.drivers import Due
from harness.seams.s3_client import open_client
from tests.conftest import fresh_sandbox

pytestmark = [pytest.mark.pgbackrest, pytest.mark.slow]

PLAIN = {"kind": "s3", "bucket": "vault", "versioning": False, "object_lock": False}
LOCKED = {"kind": "s3", "bucket": "vault"}


@dataclass
class Shop:
    """A database and a place for its repository, and what tests do with them."""

    bench: Bench
    source: Endpoint
    tool: PgBackRestTool
    parts: list[str] = field(default_factory=list)

    def write(self, first: int, last: int) -> None:
        self.bench.database("shop").execute(self.source, POSTGRES.write, {"first": first, "last": last})

    def holds(self, endpoint: Endpoint | None = None) -> Fingerprint:
        return self.bench.store("shop").fingerprint(endpoint or self.source, ("things",))

    def archive(self) -> None:
        """Have what was written archived, and the segment of the log closed."""
        self.tool._archiving.flush()

    @contextmanager
    def restored(self, point: RecoveryPoint, until: datetime | None = None) -> Iterator[Endpoint]:
        vessel = self.bench.vessel(self.source)
        try:
            yield self.tool.restore_to(point, vessel, self.parts.append, until)
        finally:
            vessel.discard()

    def refusal(self, point: RecoveryPoint) -> str:
        """Why a point does not restore."""
        with pytest.raises(RestoreError) as caught, self.restored(point):
            pass
        assert caught.value.hint
        return caught.value.message

    @property
    def client(self) -> Any:
        vault = self.bench.endpoints["vault"]
        return open_client(vault, vault.credentials[OPERATOR])

    def keys(self, below: str = "") -> list[str]:
        listed = self.client.list_objects_v2(Bucket="vault", Prefix=f"copies/{below}")
        return sorted(item["Key"] for item in listed.get("Contents", ()))

    def segments(self) -> list[str]:
        return [key for key in self.keys("archive/shop/") if key.endswith(".gz")]

    def damage(self, key: str) -> None:
        content = self.client.get_object(Bucket="vault", Key=key)["Body"].read()
        self.client.put_object(Bucket="vault", Key=key, Body=content[: len(content) // 2])

    def remove(self, keys: list[str]) -> None:
        for key in keys:
            self.client.delete_object(Bucket="vault", Key=key)


@contextmanager
def opened(place: dict[str, Any], **settings: Any) -> Iterator[Shop]:
    stack = {
        "services": {"shop": {"kind": "postgres", "fsync": False, **THINGS}, "vault": place},
        "protections": {"copies": {"tool": "pgbackrest", "of": "shop", "to": "vault", **settings}},
    }
    with fresh_sandbox() as sandbox:
        bench = Bench(Stack.model_validate(stack), sandbox, {SCHEMA_FILE: POSTGRES.schema})
        try:
            tool = bench.tool("copies")
            assert isinstance(tool, PgBackRestTool)
            yield Shop(bench, bench.endpoints["shop"], tool)
        finally:
            bench.close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    with opened(PLAIN) as made:
        yield made


def due(days: float) -> Due:
    return Due(datetime.now(UTC) - timedelta(days=days), "backup")


def test_a_schedule_is_kept_and_what_it_retires_is_gone() -> None:
    """Full, differential and incremental ones, each when its time comes; a full one takes its own along."""
    intervals = {"full_every": "3d", "differential_every": "2d", "incremental_every": "1d", "keep": 1}
    with opened(PLAIN, **intervals) as shop:
        now = datetime.now(UTC)
        assert [now - each.at for each in shop.tool.due(now, timedelta(days=30))] == [
            timedelta(days=days) for days in (3, 2, 1)
        ]
        held, taken = [], []
        for number, days in enumerate((7, 6, 5)):
            shop.write(number * 100 + 1, number * 100 + 100)
            taken.append(shop.tool.take(due(days)))
            held.append(shop.holds())
        assert [re.sub(r"[\d-]", "", point.location) for point in taken] == ["F", "F_I", "F_D"]
        with shop.restored(taken[1], taken[1].covers_until) as there:
            assert shop.holds(there) == held[1]
        with shop.restored(taken[2]) as there:
            assert shop.holds(there) == held[2]
        assert shop.parts == ["provision", "restore", "replay"] * 2
        shop.write(1001, 1100)
        newest = shop.tool.take(due(3))
        assert re.sub(r"[\d-]", "", newest.location) == "F"
        assert [point.id for point in shop.tool.points()] == [newest.id]
        with shop.restored(newest) as there:
            assert shop.holds(there) == shop.holds()
        assert "is gone" in shop.refusal(taken[2])


def test_log_goes_on_to_any_instant_and_says_how_far(shop: Shop) -> None:
    shop.write(1, 100)
    point = shop.tool.take(due(1))
    shop.tool.start()
    first = shop.holds()
    before = datetime.now(UTC)
    shop.write(101, 200)
    second = shop.holds()
    between = datetime.now(UTC)
    shop.write(201, 300)
    shop.archive()
    (after,) = shop.tool.points()
    assert after.id == point.id
    assert between < after.covers_until <= datetime.now(UTC)
    for until, content in ((before, first), (between, second), (None, shop.holds())):
        with shop.restored(after, until) as there:
            assert shop.holds(there) == content


def test_what_is_not_archived_is_not_claimed(shop: Shop) -> None:
    shop.write(1, 100)
    shop.tool.take(due(1))
    shop.tool.start()
    shop.write(101, 200)
    archived = shop.holds()
    shop.archive()
    (point,) = shop.tool.points()
    shop.write(201, 210)
    assert shop.tool.points()[0].covers_until == point.covers_until
    with shop.restored(shop.tool.points()[0]) as there:
        assert shop.holds(there) == archived


def prolonged(shop: Shop) -> list[Fingerprint]:
    """Take a backup, then write and archive three times; what there was after each."""
    shop.write(1, 100)
    shop.tool.take(due(1))
    held = [shop.holds()]
    for number in (1, 2, 3):
        shop.write(number * 1000, number * 1000 + 99)
        held.append(shop.holds())
        shop.archive()
    return held


def test_log_ends_at_a_gap(shop: Shop) -> None:
    held = prolonged(shop)
    whole = shop.tool.points()[0].covers_until
    shop.remove([shop.segments()[-2]])
    (point,) = shop.tool.points()
    assert point.covers_until < whole
    with shop.restored(point) as there:
        assert shop.holds(there) == held[1]


def test_log_that_is_cut_short_on_the_way_fails_instead_of_ending_early(shop: Shop) -> None:
    """PostgreSQL takes a segment that it cannot get for the end of the log, and would begin to serve."""
    prolonged(shop)
    shop.damage(shop.segments()[-2])
    (point,) = shop.tool.points()
    assert "before configured recovery target was reached" in shop.refusal(point)


def test_log_that_is_cut_short_at_its_end_covers_less(shop: Shop) -> None:
    held = prolonged(shop)
    whole = shop.tool.points()[0].covers_until
    shop.damage(shop.segments()[-1])
    (point,) = shop.tool.points()
    assert point.covers_until < whole
    with shop.restored(point) as there:
        assert shop.holds(there) == held[2]


def test_a_backup_is_gone_with_the_one_that_it_builds_on() -> None:
    with opened(PLAIN, incremental_every="1d") as shop:
        shop.write(1, 100)
        full, partial = shop.tool.take(due(3)), shop.tool.take(due(2))
        assert partial.location.startswith(full.location)
        shop.remove(shop.keys(f"backup/shop/{full.location}/"))
        assert shop.tool.points() == ()
        assert "is gone" in shop.refusal(partial)


def test_a_list_of_backups_that_is_damaged_lists_none(shop: Shop) -> None:
    point = shop.tool.take(due(1))
    for key in shop.keys("backup/shop/backup.info"):
        shop.damage(key)
    assert shop.tool.points() == ()
    assert shop.refusal(point)


@pytest.mark.parametrize("part", ["backup/shop/backup.info", ""])
def test_a_repository_that_cannot_be_opened_any_more_holds_nothing(shop: Shop, part: str) -> None:
    shop.write(1, 100)
    point = shop.tool.take(due(1))
    shop.remove(shop.keys(part))
    assert shop.tool.points() == ()
    assert shop.refusal(point)


def test_a_locked_repository_outlives_whoever_deletes_it_with_the_operators_keys() -> None:
    settings = {"lock": {"mode": "compliance", "for": "7d"}, "incremental_every": "1d"}
    with opened(LOCKED, **settings) as shop:
        shop.write(1, 100)
        full = shop.tool.take(due(3))
        taken = shop.tool.take(due(2))
        assert taken.location.startswith(f"{full.location}_")
        assert taken.locked_until is not None
        assert timedelta(days=3) < taken.locked_until - datetime.now(UTC) < timedelta(days=4), (
            "as its full one"
        )
        shop.tool.start()
        shop.write(101, 200)
        shop.archive()
        (before, _) = shop.tool.points()
        newest = shop.client.list_object_versions(Bucket="vault", Prefix=shop.segments()[-1])["Versions"][0]
        with pytest.raises(ClientError, match=r"(?i)denied|worm|retention|lock"):
            shop.client.delete_object(Bucket="vault", Key=newest["Key"], VersionId=newest["VersionId"])
        last = max(
            each["LastModified"]
            for each in shop.client.list_object_versions(Bucket="vault", Prefix="copies/")["Versions"]
        )
        while datetime.now(UTC) < last + timedelta(seconds=2):
            shop.bench.clock.sleep(0.05)  # what comes in the second of a deletion is not told from it
        shop.remove(shop.keys())
        assert shop.keys() == []
        (after, older) = shop.tool.points()
        assert (after.id, after.covers_until) == (before.id, before.covers_until)
        assert (after.locked_until, older.id) == (taken.locked_until, full.id)
        with shop.restored(after) as there:
            assert shop.holds(there) == shop.holds()


def test_a_lock_that_has_run_out_by_now_locks_nothing() -> None:
    with opened(LOCKED, lock={"mode": "compliance", "for": "7d"}) as shop:
        assert shop.tool.take(due(8)).locked_until is None


def test_the_real_pgbackrest_finds_nothing_wrong_with_it(shop: Shop) -> None:
    shop.write(1, 100)
    shop.tool.take(due(1))
    with shop.tool._configured() as configuration:
        shop.tool._program.run(configuration, "verify", ["--output=text", "--verbose"])
        shop.damage(shop.segments()[0])
        told = shop.tool._program.run(configuration, "verify", ["--output=text", "--verbose"])
    assert "status: error" in told, "so the first one looked"


def test_keys_are_readable_by_the_servers_account_only_and_as_long_as_it_archives(shop: Shop) -> None:
    secret = shop.bench.endpoints["vault"].credentials[OPERATOR].secret.reveal()
    shop.tool.take(due(1))
    (configuration,) = shop.bench.sandbox.root.glob("pgbackrest-*/pgbackrest.conf")
    assert secret in configuration.read_text()
    assert configuration.stat().st_mode & 0o077 == 0
    assert configuration.parent.stat().st_mode & 0o077 == 0
    for process in psutil.process_iter():
        try:
            assert not any(secret in part for part in process.cmdline())
        except psutil.Error:
            continue
    shop.tool.stop()
    assert not list(shop.bench.sandbox.root.glob("pgbackrest*"))
    ((command,),) = shop.bench.database("shop").query(shop.source, "SHOW archive_command", {})
    assert "pgbackrest" not in str(command)


def test_a_certificate_that_is_not_the_stores_is_refused(shop: Shop, tmp_path: Path) -> None:
    with opened(PLAIN) as other:
        theirs = other.bench.endpoints["vault"].tls
        assert theirs is not None
        stranger = tmp_path / "stranger.crt"
        stranger.write_bytes(theirs.certificate.read_bytes())
    vault = shop.bench.endpoints["vault"]
    assert vault.tls is not None
    mistaken = replace(vault, tls=replace(vault.tls, certificate=stranger))
    repository = shop.tool._repository
    assert isinstance(repository, BucketRepository)
    shop.tool.take(due(1))
    shop.tool._repository = BucketRepository(repository._store, mistaken, "copies", shop.bench.setting())
    with pytest.raises(BackupError, match="certificate"):
        shop.tool.points()


def test_a_release_that_it_does_not_know_is_told_before_anything_is_backed_up(
    shop: Shop, tmp_path: Path
) -> None:
    """The files of a server whose release is made up; the program is the real one."""
    control = shop.source.path / "global" / "pg_control"
    future = shop.bench.sandbox.root / "future"
    (future / "global").mkdir(parents=True)
    content = bytearray(control.read_bytes())
    content[8:12] = (9900).to_bytes(4, "little")
    (future / "global" / "pg_control").write_bytes(content)
    shop.bench.sandbox.give(future)
    source = replace(shop.source, path=future)
    with pytest.raises(MissingToolError, match="does not know the PostgreSQL release of shop") as caught:
        PgBackRestTool(
            "copies", shop.tool._protection, source, shop.bench.database("shop"), shop.bench.setting()
        )
    assert "2.55.1" in caught.value.hint


def test_a_server_that_was_not_started_to_archive_is_refused(shop: Shop) -> None:
    with opened(PLAIN) as other:
        bare = Stack.model_validate({"services": {"shop": {"kind": "postgres", **THINGS}}})
        with fresh_sandbox() as sandbox:
            bench = Bench(bare, sandbox, {SCHEMA_FILE: POSTGRES.schema})
            try:
                source = bench.provision("shop")
                with pytest.raises(BackupError, match="archive_mode is off") as caught:
                    PgBackRestTool(
                        "copies",
                        other.tool._protection,
                        source,
                        bench.database("shop"),
                        other.bench.setting(),
                    )
            finally:
                bench.close()
    assert "--provider docker" in caught.value.hint


def test_without_pgbackrest_it_is_told_how_to_install_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingToolError, match="pgbackrest is not installed") as caught:
        shop.bench.tool("copies")
    assert "apt-get install pgbackrest" in caught.value.hint
