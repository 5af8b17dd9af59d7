"""Railway's volume backups as a protection: what retention has kept, and that each point comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.backups.railway_volume import RHYTHMS, RailwayVolumeBackupTool, Schedule, kept
from harness.errors import BackupError, RestoreError
from harness.facts import Endpoint, Lease, RecoveryPoint
from harness.replicas.leases import stop
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import Sandbox
from harness.scenario.models import PgDump, RailwayVolumeBackup
from harness.seams.drivers import Due, Vessel
from harness.seams.lookup import lookup
from tests.replicas.railway.conftest import ControlPlane, control_plane
from tests.replicas.railway.test_live_database import Writers, bring_up_database, connect, rows

pytestmark = pytest.mark.slow

NOW = datetime(2026, 4, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EVERY: tuple[Schedule, ...] = ("daily", "weekly", "monthly")
NUMBERS = count()

schedules = st.lists(st.sampled_from(EVERY), min_size=1, max_size=5)
spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))
moments = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.just(UTC))


class TestRetention:
    def test_ninety_days_of_every_schedule_leave_what_railway_documents(self) -> None:
        points = kept(EVERY, NOW, 90 * DAY)
        ages = {kind: [(NOW - due.at) / DAY for due in points if due.label == kind] for kind in EVERY}
        assert ages == {
            "daily": [6, 5, 4, 3, 2, 1],
            "weekly": [28, 21, 14, 7],
            "monthly": [90, 60, 30],
        }

    def test_a_point_exactly_at_the_limit_is_kept_and_one_just_beyond_is_not(self) -> None:
        limit = RHYTHMS["monthly"].keep
        assert kept(["monthly"], NOW, limit)[0].at == NOW - limit
        assert kept(["monthly"], NOW, limit - timedelta(microseconds=1))[0].at == NOW - 60 * DAY

    @given(schedules, moments, spans)
    def test_no_point_is_older_than_its_schedule_keeps_or_the_history_goes_back(
        self, on: list[Schedule], now: datetime, span: timedelta
    ) -> None:
        for due in kept(on, now, span):
            assert timedelta(0) < now - due.at <= min(RHYTHMS[due.label].keep, span)  # type: ignore[index]

    @given(schedules, moments, spans)
    def test_points_are_oldest_first_and_one_interval_apart(
        self, on: list[Schedule], now: datetime, span: timedelta
    ) -> None:
        points = kept(on, now, span)
        assert [due.at for due in points] == sorted(due.at for due in points)
        for kind in EVERY:
            dates = [due.at for due in points if due.label == kind]
            gaps = {later - earlier for earlier, later in pairwise(dates)}
            assert gaps <= {RHYTHMS[kind].every}
            assert not dates or now - dates[-1] == RHYTHMS[kind].every

    @given(schedules, moments, spans)
    def test_nothing_that_retention_keeps_is_left_out(
        self, on: list[Schedule], now: datetime, span: timedelta
    ) -> None:
        points = kept(on, now, span)
        for kind in EVERY:
            dates = [due.at for due in points if due.label == kind]
            assert kind in on or not dates
            if kind in on:
                oldest = dates[0] if dates else now
                assert oldest - RHYTHMS[kind].every < now - min(RHYTHMS[kind].keep, span)

    @given(schedules, moments, spans)
    def test_a_schedule_counts_once_and_alone(
        self, on: list[Schedule], now: datetime, span: timedelta
    ) -> None:
        together = kept(on, now, span)
        alone = [due for kind in set(on) for due in kept([kind], now, span)]
        assert sorted(together, key=repr) == sorted(alone, key=repr)


@dataclass
class Parts:
    """Remembers which parts of a recovery began."""

    told: list[str] = field(default_factory=list)

    def __call__(self, part: str) -> None:
        self.told.append(part)


@dataclass
class Drill:
    """A database on a volume, with its volume backups as a protection."""

    plane: ControlPlane
    replica: PostgresReplica
    endpoint: Endpoint
    tool: RailwayVolumeBackupTool

    def write(self, number: int) -> set[int]:
        with connect(self.endpoint) as connection:
            connection.execute(
                "INSERT INTO written (body) SELECT repeat('x', 100) FROM generate_series(1, %s)", (number,)
            )
        return rows(self.endpoint)

    def due(self, age: timedelta, label: str = "daily") -> Due:
        return Due(datetime.now(UTC).replace(microsecond=0) - age, label)

    def vessel(self) -> Vessel:
        number = next(NUMBERS)
        lease = Lease(
            run_id=self.endpoint.lease.run_id,
            service=f"bookings@restore-{number}",
            kind="postgres",
            directory=self.plane.setting.sandbox.root / f"restore-{number}",
        )
        return self.replica.vessel(lease, self.endpoint, self.plane.setting, replace=False)

    @contextmanager
    def restored(self, point: RecoveryPoint, parts: Parts | None = None) -> Iterator[set[int]]:
        """The rows that come back."""
        vessel = self.vessel()
        try:
            yield rows(self.tool.restore(point, vessel, parts or Parts()))
        finally:
            vessel.discard()

    def delete_volume(self) -> None:
        assert self.plane.client().volume_delete(self.plane.volume()["volumeId"]) is True


@contextmanager
def drilled(sandbox: Sandbox, profile: str) -> Iterator[Drill]:
    with (
        control_plane(sandbox, profile, name=f"backup-{next(NUMBERS)}") as plane,
        bring_up_database(plane) as (replica, endpoint),
    ):
        yield Drill(plane, replica, endpoint, tool(plane, replica, endpoint))


@pytest.fixture(scope="module")
def shared(sandbox: Sandbox) -> Iterator[Drill]:
    with drilled(sandbox, "legacy") as made:
        yield made


@pytest.fixture
def drill(shared: Drill) -> Drill:
    """A database with no backup, for tests that leave the volume where it is."""
    client, instance = shared.plane.client(), shared.plane.volume()["id"]
    for backup in client.volume_instance_backup_list(instance):
        started = client.volume_instance_backup_delete(backup.id, instance)
        assert shared.plane.await_workflow(client, started.workflow_id) is None
    return shared


@pytest.fixture
def doomed(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Drill]:
    """One that a test may destroy."""
    with drilled(sandbox, request.param) as made:
        yield made


def tool(plane: ControlPlane, replica: PostgresReplica, endpoint: Endpoint) -> RailwayVolumeBackupTool:
    protection = RailwayVolumeBackup(tool="railway-volume-backup", of="bookings", schedule=EVERY)
    return RailwayVolumeBackupTool("volume-backups", protection, endpoint, replica, plane.setting)


in_legacy = pytest.mark.parametrize("doomed", ["legacy"], indirect=True)
in_current = pytest.mark.parametrize("doomed", ["current"], indirect=True)


def test_points_are_listed_as_they_were_taken_and_each_comes_back(drill: Drill) -> None:
    assert drill.tool.due(NOW, 90 * DAY) == kept(EVERY, NOW, 90 * DAY)
    assert drill.tool.points() == ()
    taken, content = [], []
    for age in (30, 2, 1):
        content.append(drill.write(100))
        taken.append(drill.tool.take(drill.due(age * DAY, "monthly" if age == 30 else "daily")))
    drill.write(50)

    assert list(drill.tool.points()) == taken[::-1]
    assert drill.tool.points() == drill.tool.points()
    for point in taken:
        assert (point.kind, point.place, point.service) == ("snapshot", "railway", "bookings")
        assert point.shares_fate
        assert point.locked_until is None
        assert point.taken == point.covers_until
        assert 20_000_000 < point.size < 500_000_000
    assert len({point.id for point in taken}) == 3

    parts = Parts()
    for point, held in zip(taken[::-1], content[::-1], strict=True):
        with drill.restored(point, parts) as back:
            assert back == held
    assert parts.told == ["restore", "replay"] * 3
    assert drill.replica.alive(drill.endpoint), "the service itself was not touched"


def test_a_backup_under_load_holds_every_write_acknowledged_before_it(drill: Drill) -> None:
    earlier = rows(drill.endpoint)
    with Writers(drill.endpoint) as writers:
        writers.await_rows(200)
        before = earlier | set(writers.acknowledged)
        point = drill.tool.take(drill.due(DAY))
        writers.await_rows(len(writers.acknowledged) + 100)
    with drill.restored(point) as back:
        assert before <= back < earlier | writers.acknowledged


def test_restoring_a_point_takes_newer_ones_away_so_newest_first_loses_none(drill: Drill) -> None:
    older, newer = drill.tool.take(drill.due(2 * DAY)), drill.tool.take(drill.due(DAY))
    with drill.restored(older):
        assert drill.tool.points() == (older,)
    with pytest.raises(RestoreError, match="not found") as refused:
        drill.tool.restore(newer, drill.vessel(), Parts())
    assert "another point" in refused.value.hint


@in_legacy
def test_a_deleted_volume_leaves_no_point(doomed: Drill) -> None:
    point = doomed.tool.take(doomed.due(DAY))
    doomed.delete_volume()
    assert doomed.tool.points() == ()
    with pytest.raises(RestoreError) as refused:
        doomed.tool.restore(point, doomed.vessel(), Parts())
    assert point.id in refused.value.message
    assert "went with its volume" in refused.value.hint
    with pytest.raises(BackupError):
        doomed.tool.take(doomed.due(DAY))
    fresh = tool(doomed.plane, doomed.replica, doomed.endpoint)
    assert fresh.points() == (), "one that never saw the volume finds nothing either"


@in_current
def test_a_deletion_that_can_be_taken_back_is_a_point_and_brings_everything_back(doomed: Drill) -> None:
    doomed.write(100)
    backup = doomed.tool.take(doomed.due(DAY))
    held = doomed.write(200)
    began = datetime.now(UTC)
    doomed.delete_volume()
    ended = datetime.now(UTC)

    (undo,) = doomed.tool.points()
    assert undo.kind == "undo"
    assert undo.shares_fate
    assert began - timedelta(milliseconds=1) <= undo.taken == undo.covers_until <= ended
    assert undo.size > 20_000_000
    assert doomed.tool.points() == (undo,)

    with doomed.restored(undo) as back:
        assert back == held
    assert doomed.tool.points() == (backup,), "the volume is back, with its backups"
    with doomed.restored(undo) as again:
        assert again == held, "a second restore needs no second link"
    with doomed.restored(backup) as older:
        assert older < held


@pytest.mark.parametrize("doomed", ["legacy", "current"], indirect=True)
def test_backups_of_a_project_that_is_scheduled_for_deletion_say_until_when(doomed: Drill) -> None:
    doomed.tool.take(doomed.due(DAY))
    found = doomed.plane.ask(
        "query ($id: String!) { volumeInstance(id: $id) { volume { projectId } } }",
        id=doomed.plane.volume()["id"],
    )
    project = found.data["volumeInstance"]["volume"]["projectId"]
    before = datetime.now(UTC)
    doomed.plane.ask("mutation ($id: String!) { projectScheduleDelete(id: $id) }", id=project)
    (point,) = doomed.tool.points()
    assert point.doomed_at is not None
    assert timedelta(0) <= point.doomed_at - before - timedelta(hours=48) < timedelta(seconds=10)
    doomed.plane.ask("mutation ($id: String!) { projectScheduleDeleteCancel(id: $id) }", id=project)
    (spared,) = doomed.tool.points()
    assert spared.doomed_at is None


@in_current
def test_an_undo_whose_time_is_over_is_gone(doomed: Drill) -> None:
    doomed.delete_volume()
    (undo,) = doomed.tool.points()
    doomed.plane.tell("advance", {"seconds": 48 * 3600 + 1})
    assert doomed.tool.points() == ()
    with pytest.raises(RestoreError):
        doomed.tool.restore(undo, doomed.vessel(), Parts())


def test_a_damaged_copy_is_refused_by_the_server_that_starts_from_it(drill: Drill) -> None:
    point = drill.tool.take(drill.due(DAY))
    shelf = drill.plane.endpoint.path / ".backups"
    (control,) = shelf.glob(f"*/{point.location}/pgdata/global/pg_control")
    control.write_bytes(control.read_bytes()[:100])
    vessel = drill.vessel()
    with pytest.raises(RestoreError):
        drill.tool.restore(point, vessel, Parts())
    vessel.discard()


def test_a_copy_without_a_database_is_named_so(drill: Drill) -> None:
    point = drill.tool.take(drill.due(DAY))
    (version,) = (drill.plane.endpoint.path / ".backups").glob(f"*/{point.location}/pgdata/PG_VERSION")
    version.unlink()
    with pytest.raises(RestoreError, match="holds no database"):
        drill.tool.restore(point, drill.vessel(), Parts())


def test_a_point_that_retention_would_have_removed_is_an_error_not_a_point(drill: Drill) -> None:
    with pytest.raises(BackupError, match="not listed"):
        drill.tool.take(drill.due(7 * DAY))


@in_legacy
def test_a_control_plane_that_is_gone_is_an_error_not_an_empty_list(doomed: Drill) -> None:
    doomed.tool.take(doomed.due(DAY))
    stop(doomed.plane.endpoint.lease)
    with pytest.raises(BackupError, match="does not answer"):
        doomed.tool.points()


def test_it_refuses_what_it_cannot_protect(drill: Drill) -> None:
    assert lookup("backups", "railway-volume-backup") is RailwayVolumeBackupTool
    dump = PgDump(tool="pg_dump", of="bookings", to="vault", every=DAY, keep=1)
    with pytest.raises(BackupError, match="not one of tool railway-volume-backup"):
        RailwayVolumeBackupTool("x", dump, drill.endpoint, drill.replica, drill.plane.setting)
    elsewhere = drill.plane.setting.stack.model_copy(update={"services": {}})
    setting = type(drill.plane.setting)(
        elsewhere, Path(), drill.plane.setting.sandbox, drill.plane.setting.clock, {}
    )
    protection = RailwayVolumeBackup(tool="railway-volume-backup", of="bookings", schedule=("daily",))
    with pytest.raises(BackupError, match="does not lie on a volume"):
        RailwayVolumeBackupTool("x", protection, drill.endpoint, drill.replica, setting)
