"""What a backup tool must do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import ClassVar

import pytest

from harness.contracts.bench import Bench
from harness.contracts.contract import Contract
from harness.contracts.things import POSTGRES, SCHEMA_FILE, Content, SqlThings, fingerprint
from harness.errors import BackupError, HarnessError, RestoreError
from harness.facts import OPERATOR, Action, Endpoint, Fingerprint, RecoveryPoint
from harness.seams.drivers import BackupTool, PointInTime, Rotating, Store, Tamperable, Vessel
from harness.seams.lookup import lookup

DAY = timedelta(days=1)
LONG = 3650 * DAY
ROWS = 200


class Parts(list[str]):
    """Which parts of a recovery have begun."""

    def __call__(self, part: str) -> None:
        self.append(part)


class BackupContract(Contract):
    """A backup tool lists what exists, brings it back as it was, and never passes off a bad copy as good.

    The protected service says ``**THINGS``, or ``collections: [things]``.

    Attributes:
        protection: of the stack, whose tool is tried.
        content: how things get into the protected service.
        checks: the tool itself notices a copy that was cut short. One without checksums says False: then the
            content that comes back must tell, or not come back.
        things: how many the service holds; fewer where each takes long to write.
    """

    protection: ClassVar[str]
    content: ClassVar[Content] = SqlThings()
    checks: ClassVar[bool] = True
    things: ClassVar[int] = ROWS
    files = {SCHEMA_FILE: POSTGRES.schema}

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        """Delete a copy from where it lies, as somebody would who has the keys."""
        raise NotImplementedError

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        """Leave only the beginning of a copy, or of a part that it cannot do without."""
        raise NotImplementedError

    def first_over(self, points: list[str]) -> str:
        """Which of the points that are kept retention ends next: the oldest, unless some are kept longer.

        Args:
            points: their ids, the newest first.
        """
        return points[-1]

    @pytest.fixture
    def source(self, bench: Bench) -> Endpoint:
        """The protected service."""
        return bench.provision(bench.stack.protections[self.protection].of)

    @pytest.fixture
    def store(self, bench: Bench, source: Endpoint) -> Store:
        """A fresh instance of its driver."""
        return bench.store(source.service)

    @pytest.fixture
    def tool(self, bench: Bench, source: Endpoint, store: Store) -> Iterator[BackupTool]:
        """A fresh instance of the tool, of a service that holds rows."""
        self.content.empty(store, source)
        self.content.write(store, source, 1, self.things)
        tool = bench.tool(self.protection)
        yield tool
        tool.stop()

    def take(self, bench: Bench, tool: BackupTool) -> RecoveryPoint:
        """Take the newest one that is due now."""
        return tool.take(tool.due(bench.clock.stamp().wall, LONG)[-1])

    def test_what_retention_keeps_is_due(self, bench: Bench, tool: BackupTool) -> None:
        now = bench.clock.stamp().wall
        everything = tool.due(now, LONG)
        assert everything
        assert [due.at for due in everything] == sorted(due.at for due in everything)
        assert all(now - LONG <= due.at <= now for due in everything)
        assert all(due.label for due in everything)
        assert tool.due(now, 2 * LONG)[-len(everything) :] == everything or isinstance(tool, PointInTime)
        assert len(tool.due(now, 2 * LONG)) == len(everything), "retention has an end"
        later = tool.due(now + DAY, LONG)
        assert [due.at - DAY for due in later] == [due.at for due in everything]
        assert all(due.at >= now - DAY for due in tool.due(now, DAY))

    def test_what_is_taken_is_listed(self, bench: Bench, tool: BackupTool) -> None:
        before = {point.id for point in tool.points()}
        due = tool.due(bench.clock.stamp().wall, LONG)[-1]
        point = tool.take(due)
        assert point.id not in before
        assert point.protection == self.protection
        assert point.service == bench.stack.protections[self.protection].of
        assert point.place in (*bench.stack.services, self.protection), "a service, or a place of its own"
        assert abs(point.taken - due.at) < timedelta(seconds=1)
        assert point.covers_until >= point.taken
        assert point.location
        assert point.size >= 0
        listed = tool.points()
        assert [each.id for each in listed].count(point.id) == 1
        assert [each.id for each in tool.points()] == [each.id for each in listed]
        ends = [each.covers_until for each in listed]
        assert ends == sorted(ends, reverse=True), "the newest comes first"
        assert {each.id for each in listed} >= before, "taking one does not cost another"

    def test_the_calls_that_would_destroy_a_copy_destroy_one_that_is_not_locked(
        self, bench: Bench, tool: BackupTool
    ) -> None:
        """Else the refusal of such a call would say nothing of a lock."""
        if not isinstance(tool, Tamperable):
            return
        point = self.take(bench, tool)
        deletions = [call for call in tool.tamperings(point) if call.what == "delete"]
        assert deletions
        for call in deletions:
            assert call.target
            surface = lookup("surfaces", call.surface)(OPERATOR, bench.endpoints[point.place], bench.clock)
            action = Action(number=1, surface=call.surface, verb=call.verb, service=point.place)
            outcome = surface.perform(action, call.arguments)
            assert (outcome.status, bool(outcome.touched)) == ("done", True), outcome.detail
        assert point.id not in {each.id for each in tool.points()}

    def test_a_fresh_instance_brings_back_what_was_taken(
        self, bench: Bench, tool: BackupTool, source: Endpoint, store: Store
    ) -> None:
        then = fingerprint(store, source)
        point = self.take(bench, tool)
        tool.start()
        until = bench.clock.stamp().wall
        self.content.write(store, source, self.things + 1, 2 * self.things)
        now = fingerprint(store, source)
        tool.stop()
        other = bench.tool(self.protection)
        (found,) = [each for each in other.points() if each.id == point.id]
        parts = Parts()
        with self._place(bench, source) as vessel:
            if isinstance(other, PointInTime):
                restored = other.restore_to(found, vessel, parts, until)
            else:
                restored = other.restore(found, vessel, parts)
            self._holds(store, restored, then)
        assert parts, "the parts of a recovery are timed, so it must say when they begin"
        if isinstance(other, PointInTime):
            with self._place(bench, source) as vessel:
                self._holds(store, other.restore(found, vessel, parts), now)
        assert fingerprint(store, source) == now, "a restore changes nothing at its source"

    def test_a_lost_copy_is_not_listed_and_not_restored(
        self, bench: Bench, tool: BackupTool, source: Endpoint
    ) -> None:
        point = self.take(bench, tool)
        self.lose(bench, point)
        assert point.id not in {each.id for each in tool.points()}
        self._is_not_restored(bench, source, point)

    def test_a_copy_that_was_cut_short_does_not_pass_for_a_whole_one(
        self, bench: Bench, tool: BackupTool, source: Endpoint, store: Store
    ) -> None:
        then = fingerprint(store, source)
        before = {each.id for each in tool.points()}
        point = self.take(bench, tool)
        tool.stop()
        self.cut(bench, point)
        # Of one copy there may be several points. AWS dates by the second, so a date alone tells no copy.
        same = [each for each in tool.points() if each.taken == point.taken and each.id not in before]
        for each in (point, *same):
            if self.checks:
                self._is_not_restored(bench, source, each)
            else:
                assert self._content(bench, source, each) != then

    def test_as_time_passes_the_newest_take_the_place_of_the_oldest(self) -> None:
        """On a bench of its own: whoever keeps the copies is told of dates to come."""
        with self.fresh_bench() as bench:
            source = bench.provision(bench.stack.protections[self.protection].of)
            store, tool = bench.store(source.service), bench.tool(self.protection)
            self.content.write(store, source, 1, self.things)
            if isinstance(tool, Rotating):
                self._rotate(bench, tool)
            tool.stop()

    def _rotate(self, bench: Bench, tool: Rotating) -> None:
        present = bench.clock.stamp().wall
        kept = tool.due(present, LONG)
        interval = present - kept[-1].at
        assert tool.coming(present, present, present + interval / 2) == ()
        due = tool.coming(present, present, present + 2 * interval)
        assert [one.at for one in due] == [present + interval, present + 2 * interval]
        assert tool.coming(present, present + interval, present + 2 * interval) == due[1:]
        for one in kept:
            tool.take(one)
            tool.expire(one.at, taken=True)
        tool.expire(present, taken=False)
        before = _as_taken(tool)
        assert len(before) == len(kept)
        new = tool.take(due[0])
        over = self.first_over(before)
        for _ in range(2):
            tool.expire(due[0].at, taken=True)
            assert _as_taken(tool) == [new.id, *(id for id in before if id != over)]

    def test_it_can_be_stopped_at_any_time(self, tool: BackupTool) -> None:
        tool.stop()
        tool.start()
        tool.stop()
        tool.stop()

    def test_nothing_taken_of_a_service_that_is_gone_passes_for_a_copy(self) -> None:
        with self.fresh_bench() as bench:
            tool = bench.tool(self.protection)
            source = bench.provision(bench.stack.protections[self.protection].of)
            bench.driver(source.service).destroy(source.lease)
            with suppress(BackupError):  # a provider that copies volumes takes what is there
                self._is_not_restored(bench, source, self.take(bench, tool))
            tool.stop()
            bench.destroy()
            assert bench.remains() == []

    @contextmanager
    def _place(self, bench: Bench, source: Endpoint) -> Iterator[Vessel]:
        vessel = bench.vessel(source)
        try:
            yield vessel
        finally:
            vessel.discard()

    def _holds(self, store: Store, restored: Endpoint, content: Fingerprint) -> None:
        assert store.alive(restored)
        assert fingerprint(store, restored) == content

    def _content(self, bench: Bench, source: Endpoint, point: RecoveryPoint) -> Fingerprint | None:
        """What comes back; None when nothing does."""
        with self._place(bench, source) as vessel, suppress(HarnessError):
            restored = bench.tool(self.protection).restore(point, vessel, Parts())
            return fingerprint(bench.store(source.service), restored)
        return None

    def _is_not_restored(self, bench: Bench, source: Endpoint, point: RecoveryPoint) -> None:
        with self._place(bench, source) as vessel, pytest.raises(RestoreError) as caught:
            bench.tool(self.protection).restore(point, vessel, Parts())
        assert caught.value.hint


def _as_taken(tool: BackupTool) -> list[str]:
    """What it lists, the one that was taken last first."""
    points = sorted(tool.points(), key=lambda point: point.taken, reverse=True)
    return [point.id for point in points]
