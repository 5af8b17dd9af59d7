"""A standby that stays behind: what it can bring back, what it cannot, and that it shares nothing."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from harness.backups.delayed_replica import DelayedReplicaTool
from harness.clock import SystemClock
from harness.errors import BackupError, RestoreError
from harness.facts import OPERATOR, Endpoint, Lease
from harness.scenario.models import DelayedReplica, Stack
from harness.seams.drivers import Due
from harness.seams.postgres_tools import binary

from .conftest import TABLES, Estate

pytestmark = pytest.mark.slow

NOW = datetime(2026, 4, 24, 10, 12, tzinfo=UTC)
CLOCK = SystemClock()
ACTIVE = "SELECT FROM pg_replication_slots WHERE active"
DROP = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"


@dataclass
class Standbys:
    """Makes standbys of a source, and removes them after the test."""

    estate: Estate
    tools: list[DelayedReplicaTool] = field(default_factory=list)

    def make(
        self, delay: str = "1h", *, assumed: timedelta = timedelta(0), source: Endpoint | None = None
    ) -> DelayedReplicaTool:
        protection = DelayedReplica.model_validate(
            {"tool": "delayed-replica", "of": "bookings", "delay": delay}
        )
        setting = replace(self.estate.setting, assumed=assumed)
        name = f"behind-{secrets.token_hex(4)}"
        tool = DelayedReplicaTool(
            name, protection, source or self.estate.bookings, self.estate.replica, setting
        )
        self.tools.append(tool)
        return tool

    def follow(self, delay: str = "1h", *, assumed: timedelta = timedelta(0)) -> DelayedReplicaTool:
        tool = self.make(delay, assumed=assumed)
        tool.take(Due(datetime.now(UTC), "standby"))
        tool.start()
        return tool


@pytest.fixture
def standbys(estate: Estate) -> Iterator[Standbys]:
    made = Standbys(estate)
    yield made
    for tool in made.tools:
        tool.stop()
        shutil.rmtree(tool._lease.directory, ignore_errors=True)
    # The server notices a moment later that nobody reads from a slot any more.
    await_condition(lambda: not estate.replica.query(estate.bookings, ACTIVE, {}))
    estate.replica.execute(estate.bookings, DROP, {})


def standby_of(tool: DelayedReplicaTool) -> Endpoint:
    endpoint = tool._standby
    assert endpoint is not None
    return endpoint


def count(estate: Estate, endpoint: Endpoint) -> int:
    return estate.count(endpoint)


def await_condition(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    began = CLOCK.stamp()
    while not condition():
        assert CLOCK.stamp().since(began) < seconds
        CLOCK.sleep(0.02)


def test_the_standby_is_as_old_as_its_delay_or_as_the_past(standbys: Standbys) -> None:
    tool = standbys.make("2h")
    assert [NOW - due.at for due in tool.due(NOW, timedelta(days=9))] == [timedelta(hours=2)]
    assert [NOW - due.at for due in tool.due(NOW, timedelta(hours=1))] == [timedelta(hours=1)]


def test_a_harm_younger_than_the_delay_is_not_in_what_comes_back(estate: Estate, standbys: Standbys) -> None:
    estate.book(1, 300)
    tool = standbys.follow()
    estate.book(301, 200)
    then = estate.replica.fingerprint(estate.bookings, TABLES)
    until = datetime.now(UTC)
    estate.empty()
    estate.book(9000, 1)
    (point,) = await_covered(tool)
    assert count(estate, standby_of(tool)) == 300
    restored = tool.restore_to(point, estate.vessel(), estate.mark, until)
    assert estate.replica.fingerprint(restored, TABLES) == then
    assert estate.parts == ["provision", "restore", "replay"]
    estate.replica.execute(restored, "INSERT INTO reservations VALUES (7777, 'after', 1)", {})


def test_a_harm_that_came_after_the_point_was_listed_is_not_in_what_comes_back(
    estate: Estate, standbys: Standbys
) -> None:
    estate.book(1, 20)
    tool = standbys.follow()
    tool.start()
    (listed,) = tool.points()
    then, until = estate.replica.fingerprint(estate.bookings, TABLES), datetime.now(UTC)
    estate.empty()
    tool.start()
    restored = tool.restore_to(listed, estate.vessel(), estate.mark, until)
    assert estate.replica.fingerprint(restored, TABLES) == then


def await_covered(tool: DelayedReplicaTool) -> tuple[object, ...]:
    tool.start()
    return tool.points()


def test_without_an_instant_everything_that_was_received_comes_back(
    estate: Estate, standbys: Standbys
) -> None:
    estate.book(1, 10)
    tool = standbys.follow()
    estate.book(11, 10)
    tool.start()
    (point,) = tool.points()
    for _ in range(2):
        assert estate.same_content(tool.restore(point, estate.vessel(), estate.mark))


@pytest.mark.slow
def test_a_harm_that_has_been_applied_cannot_be_taken_back(estate: Estate, standbys: Standbys) -> None:
    """It waits until the standby has applied it, which is a second after it was done."""
    estate.book(1, 50)
    tool = standbys.follow("1s")
    await_condition(lambda: count(estate, standby_of(tool)) == 50)
    until = datetime.now(UTC)
    estate.empty()
    await_condition(lambda: count(estate, standby_of(tool)) == 0)
    (point,) = tool.points()
    with pytest.raises(RestoreError, match=r"in the standby too: it was .* and the standby is 1s"):
        tool.restore_to(point, estate.vessel(), estate.mark, until)


@pytest.mark.parametrize(("assumed", "saved"), [("59m", True), ("60m", False), ("3h", False)])
def test_the_time_that_people_take_until_the_recovery_counts(
    estate: Estate, standbys: Standbys, assumed: str, saved: bool
) -> None:
    minutes = {"59m": 59, "60m": 60, "3h": 180}[assumed]
    estate.book(1, 5)
    tool = standbys.follow("1h", assumed=timedelta(minutes=minutes))
    until = datetime.now(UTC)
    estate.empty()
    tool.start()
    (point,) = tool.points()
    if saved:
        assert count(estate, tool.restore_to(point, estate.vessel(), estate.mark, until)) == 5
        return
    with pytest.raises(RestoreError, match="of it assumed, and the standby is 1h behind") as caught:
        tool.restore_to(point, estate.vessel(), estate.mark, until)
    assert caught.value.hint


def test_what_a_point_covers_goes_on_with_what_is_received_and_not_with_what_is_applied(
    estate: Estate, standbys: Standbys
) -> None:
    tool = standbys.follow()
    (before,) = tool.points()
    assert (before.kind, before.service, before.shares_fate) == ("continuous", "bookings", False)
    began = datetime.now(UTC)
    estate.book(1, 5)
    ended = datetime.now(UTC)
    tool.start()
    (after,) = tool.points()
    assert after.id == before.id
    assert after.taken == before.taken
    assert began <= after.covers_until <= ended
    assert count(estate, standby_of(tool)) == 0


def test_it_outlives_its_source_with_all_that_was_acknowledged(estate: Estate, standbys: Standbys) -> None:
    services = {"doomed": estate.setting.stack.services["bookings"]}
    stack = Stack(services=services)
    setting = replace(estate.setting, stack=stack)
    root = setting.sandbox.root
    lease = Lease(run_id=setting.sandbox.run_id, service="doomed", kind="postgres", directory=root / "doomed")
    doomed = estate.replica.provision(lease, setting)
    standbys.estate = replace(estate, setting=setting)
    tool = standbys.make(source=doomed)
    fresh = lease.model_copy(update={"service": "doomed@fresh", "directory": root / "fresh"})
    try:
        tool.take(Due(datetime.now(UTC), "standby"))
        estate.replica.execute(doomed, "INSERT INTO reservations VALUES (1, 'a car', 10)", {})
        tool.start()
    finally:
        estate.replica.destroy(lease)
    (point,) = tool.points()
    assert estate.replica.alive(standby_of(tool))
    into = estate.replica.vessel(fresh, doomed, setting, replace=False)
    try:
        assert count(estate, tool.restore(point, into, estate.mark)) == 1
    finally:
        into.discard()


def test_a_standby_whose_files_are_gone_is_no_point(estate: Estate, standbys: Standbys) -> None:
    tool = standbys.follow()
    (point,) = tool.points()
    shutil.rmtree(standby_of(tool).path)
    assert tool.points() == ()
    with pytest.raises(RestoreError, match="is gone"):
        tool.restore(point, estate.vessel(), estate.mark)


def test_nothing_of_it_runs_after_the_end_and_it_can_still_be_restored(
    estate: Estate, standbys: Standbys
) -> None:
    estate.book(1, 3)
    tool = standbys.follow()
    place = standby_of(tool).lease.directory
    tool.stop()
    tool.stop()
    running = [process.info["cwd"] or "" for process in psutil.process_iter(["cwd"])]
    assert not [directory for directory in running if directory.startswith(str(place))]
    (point,) = tool.points()
    assert estate.same_content(tool.restore(point, estate.vessel(), estate.mark))


def test_the_password_stands_in_no_file_and_no_argument(estate: Estate, standbys: Standbys) -> None:
    tool = standbys.follow()
    secret = estate.bookings.credentials[OPERATOR].secret.reveal().encode()
    place = standby_of(tool).lease.directory
    for path in place.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path
    for process in psutil.process_iter(["cmdline"]):
        assert not any(secret.decode() in part for part in process.info["cmdline"] or ())


def test_a_source_that_is_gone_is_a_backup_error(estate: Estate, standbys: Standbys) -> None:
    from harness.sandbox import free_port

    tool = standbys.make(source=replace(estate.bookings, port=free_port()))
    with pytest.raises(BackupError, match="no replication slot can be made on bookings"):
        tool.take(Due(datetime.now(UTC), "standby"))
    assert tool.points() == ()


def test_a_copy_that_was_damaged_is_a_restore_error(estate: Estate, standbys: Standbys) -> None:
    tool = standbys.follow()
    (point,) = tool.points()
    (standby_of(tool).path / "global" / "pg_control").write_bytes(b"nothing")
    with pytest.raises(RestoreError):
        tool.restore(point, estate.vessel(), estate.mark)


def test_commits_are_dated_by_the_log_itself(estate: Estate, standbys: Standbys) -> None:
    """In words of pg_waldump that a release could change."""
    assert binary("pg_waldump").is_file()
    tool = standbys.follow()
    began = datetime.now(UTC)
    estate.book(1, 1)
    tool.start()
    newest = tool._newest_commit(standby_of(tool).path)
    assert newest is not None
    assert began < newest < datetime.now(UTC)
