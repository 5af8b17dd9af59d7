"""A stack that is brought up once, for many trials: each finds it exactly as the one before did.

    with Arena(loaded, place, run_id, journal, clock) as stack:
        for ...:
            outcomes = [stack.perform(action, arguments, principal) for ...]
            left = stack.look(outcomes)      # harness.search.remains: what is left, as frozen facts
            stack.reset()                    # only what was touched; always before the next trial

What it holds has a small past: some hundred rows or items, and the newest recovery points of each
protection. Every copy has been restored once and its content compared when the block begins; from then on a
copy counts as long as it is listed and the bytes that it consists of are the ones that were restored.
Backup tools are at rest, and the date is the one at which everything was remembered, until a trial lets time
pass: then schedules take copies of whatever is there, as in the past that was played.

A replica that is not ``Resettable`` takes part too: when it was touched, the whole stack is destroyed and
brought up again, since its credentials and addresses are new then. ``Arena.rebuilds`` says why each time.

Loaded scenarios come from ``harness.run.loading.load``; guards are chosen there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from graphlib import TopologicalSorter
from typing import Self

from harness.clock import Clock, Stamp
from harness.errors import (
    BackupError,
    DatabaseError,
    HarnessError,
    MissingToolError,
    RestoreError,
    StackLostError,
    in_one_line,
)
from harness.facts import WORKSPACE_SUFFIX, Action, Fingerprint, Outcome, RecoveryPoint, Resource
from harness.journal.rebuilds import Rebuild
from harness.journal.writer import Journal
from harness.run.assess import Copy, list_points
from harness.run.backfill import backfill, content, tracked
from harness.run.ground import Ground
from harness.run.passing import pass_time
from harness.run.place import Place, workplace
from harness.run.plan import Plan, plan
from harness.run.provision import provisioned
from harness.run.restore import Stopwatch, vessel
from harness.scenario.models import PASSING, LoadedScenario, PostgresService, parse_duration
from harness.seams.container_engine import connect
from harness.seams.drivers import Due, Lingering, Memory, Resettable, Rotating, Surface, SurfaceFactory
from harness.seams.lookup import lookup, names, needs_engine
from harness.search.application import IdleApplication
from harness.search.remains import DOOM, CopyLeft, Remains, ServiceLeft, Standing, State

MOST_ROWS = 300
"""Rows of the past: enough to tell contents apart, few enough to be copied in no time."""

MOST_POINTS = 2
"""Recovery points of the past for each protection, the newest ones."""

SIDE_BY_SIDE = 4
"""Replicas that are reset at a time."""

READS = frozenset(
    {
        ("files", "list"),
        ("files", "read"),
        ("files", "search"),
        ("s3", "list"),
        ("s3", "list-versions"),
        ("s3", "get"),
        ("git", "branches"),
        ("git", "log"),
    }
)
"""Calls that change nothing whatever they are given, so that nothing has to be looked at after them."""


@dataclass(frozen=True)
class Known:
    """What a stack holds at the moment that every trial begins with.

    Attributes:
        at: that moment; ages of copies are counted from it.
        inventory: what can be deleted, by service.
        content: of each service that has tracked tables or collections.
        copies: every recovery point, newest first.
    """

    at: datetime
    inventory: Mapping[str, tuple[Resource, ...]]
    content: Mapping[str, Fingerprint]
    copies: tuple[Copy, ...]


@dataclass
class Seconds:
    """How long what took, over all trials.

    Attributes:
        reset, actions, checks: seconds.
    """

    reset: float = 0.0
    actions: float = 0.0
    checks: float = 0.0


class Arena:
    """The stack, from the beginning of a ``with`` block to its end.

    Args:
        loaded: a scenario over the stack: its history is the past, shortened; neither its agent nor its
            workload plays.
        place: where to work.
        run_id: names the working directory.
        journal: is told of what is brought up; not of trials.
        clock: where time comes from.
        days_pass: time will pass, so the past has the newest point of every schedule: which copies are the
            last to go depends on how long each is kept.

    Attributes:
        ground: plan, endpoints and tools of the stack as it is now; exchanged when it is rebuilt.
        known: what every trial begins with.
        seconds: how long what took.
        rebuilds: why the whole stack had to be made again, each time that it came up.
    """

    ground: Ground
    known: Known

    def __init__(
        self,
        loaded: LoadedScenario,
        place: Place,
        run_id: str,
        journal: Journal,
        clock: Clock,
        *,
        days_pass: bool = False,
    ) -> None:
        self._days_pass = days_pass
        self._plan = _plan_with_every_surface(loaded)
        self._order = tuple(TopologicalSorter(self._plan.requires).static_order())
        self._place = place
        self._run_id = run_id
        self._journal = journal
        self._clock = clock
        self._up = ExitStack()
        self._memories: dict[str, Memory] = {}
        self._surfaces: dict[tuple[str, str, str], Surface] = {}
        self._application = IdleApplication()
        self._aimed: set[str] = set()
        self._evidence: dict[str, object] = {}
        self._renewed: dict[str, object] = {}
        self._unproven: dict[str, str] = {}
        self._taken: dict[str, Standing] = {}
        self._restored_beside: dict[tuple[str, tuple[tuple[str, str], ...]], bool] = {}
        self._attempts = 0
        self.seconds = Seconds()
        self.rebuilds: list[Rebuild] = []

    @property
    def rebuilt(self) -> int:
        """How often the whole stack was made again."""
        return len(self.rebuilds)

    @property
    def loaded(self) -> LoadedScenario:
        """The scenario as it is played here, with its small past."""
        return self._plan.loaded

    def __enter__(self) -> Self:
        """Bring it up.

        Raises:
            HarnessError: it does not come up; nothing of it is left.
        """
        with ExitStack() as failed:
            failed.callback(self.take_down)
            self.bring_up()
            failed.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Destroy all of it."""
        self.take_down()

    def bring_up(self) -> None:
        """Make the whole stack, its past, and the proof of its copies, and remember all of it.

        Raises:
            HarnessError: something does not come up, or a copy that cannot be restored cannot be listed.
            MissingToolError: it needs a container engine, and there is none.
        """
        if self._plan.runs_containers:
            connect()
        run_id = f"{self._run_id}-{self._attempts}" if self._attempts else self._run_id
        self._attempts += 1
        sandbox = self._up.enter_context(workplace(self._place, run_id))
        self.ground = Ground(self._plan, sandbox, self._journal, self._clock)
        self._up.enter_context(provisioned(self.ground))
        backfill(self.ground, lambda: None, most=MOST_POINTS, every_schedule=self._days_pass)
        for tool in self.ground.tools.values():
            tool.start()
        for tool in self.ground.tools.values():
            tool.stop()
        self._remember()

    def take_down(self) -> None:
        """Destroy all of it. Idempotent."""
        self._leave({service for _, _, service in self._surfaces})
        self._application.leave()
        self._memories.clear()
        self._aimed.clear()
        self._up.close()

    def surface(self, name: str, principal: str, service: str) -> Surface:
        """A surface of one principal, another one after each reset of the service.

        Raises:
            HarnessError: there is no such surface, or no such service.
        """
        key = (name, principal, service)
        if key not in self._surfaces:
            factory, endpoint = self._plan.surfaces.get(name), self.ground.endpoints.get(service)
            if factory is None or endpoint is None:
                raise HarnessError(
                    f"there is no surface {name} of {service} here", hint="name a service of the stack"
                )
            # What another's keeps open would be in the way of whoever drops a database.
            self._leave({service}, but=principal)
            made = self._surfaces[key] = factory(principal, endpoint, self._clock)
            if isinstance(made, Lingering):
                made.linger()
        return self._surfaces[key]

    def perform(self, action: Action, arguments: Mapping[str, object], principal: str) -> Outcome:
        """Make a call for real.

        Args:
            action: what to do; ``service`` None means the principal's workspace.
            arguments: with found values put in.
            principal: whose credentials are shown unless the arguments have others.

        Raises:
            StackLostError: it could not even be tried.
        """
        with self._in_use(f"the call {action.surface}.{action.verb}"):
            return self._perform(action, arguments, principal)

    def _perform(self, action: Action, arguments: Mapping[str, object], principal: str) -> Outcome:
        if f"{action.surface}.{action.verb}" == PASSING:
            return self._pass(parse_duration(arguments.get("for")))
        service = action.service or principal + WORKSPACE_SUFFIX
        if (action.surface, action.verb) not in READS:
            self._aimed.add(service)
        began = self._clock.stamp()
        outcome = self.surface(action.surface, principal, service).perform(action, arguments)
        self.seconds.actions += self._since(began)
        self._aimed |= {resource.service for resource in outcome.touched}
        return outcome

    def _pass(self, span: timedelta) -> Outcome:
        """Let time pass, and remember of what each copy was taken."""
        began = self._clock.stamp()
        for protection, tool in self.ground.tools.items():
            if isinstance(tool, Rotating):
                self._aimed |= self._places(protection)
        whole = tuple(self._whole_in_common())
        try:
            detail = pass_time(self.ground, span, self._take)
        except BackupError as error:
            detail = error.message
        # The tool itself has rewritten what they share: what it still lists of them is as whole as before.
        self._renewed |= {point.id: self._bytes_of(point) for point in whole}
        ended = self._clock.stamp()
        self.seconds.actions += ended.since(began)
        return Outcome(status="done", detail=detail, began=began, ended=ended)

    def _whole_in_common(self) -> Iterator[RecoveryPoint]:
        """Points that share objects of a bucket with newer ones, as in a repository, and are as proven."""
        for copy in self.known.copies:
            point, tool = copy.point, self.ground.tools[copy.protection]
            place = self.ground.endpoints.get(point.place)
            if place is None or place.kind != "s3" or not isinstance(tool, Rotating):
                continue
            proven = self._renewed.get(point.id, self._evidence[point.id])
            if "@" not in point.location and self._bytes_of(point) == proven:
                yield point

    def _take(self, protection: str, due: Due) -> None:
        source = self._plan.loaded.stack.protections[protection].of
        self._aimed.add(source)
        tool = self.ground.tools[protection]
        try:
            point = tool.take(due)
        finally:
            tool.stop()
        then = self.known.content.get(source)
        if then is None:
            # It has nothing that is tracked, so nobody could tell whether the copy holds what it should.
            self._taken[point.id] = "unproven"
            return
        held = content(self.ground, source)
        self._taken[point.id] = "sufficient" if held == then else "damaged" if held.rows else "altered"

    def look(self, outcomes: Sequence[Outcome]) -> Remains:
        """What is left now: services and copies.

        Args:
            outcomes: of the trial's actions so far.

        Raises:
            StackLostError: it cannot be seen.
        """
        with self._in_use("the look at what is left"):
            return self._look(outcomes)

    def _look(self, outcomes: Sequence[Outcome]) -> Remains:
        began = self._clock.stamp()
        changed = self._changed()
        services = tuple(
            ServiceLeft(service=service, state=self._state(service) if service in changed else "intact")
            for service in sorted(self.known.content)
        )
        remains = Remains(
            services=services,
            copies=self._copies(changed, frozenset(one.service for one in services if one.state == "intact")),
            touched=tuple({resource: None for outcome in outcomes for resource in outcome.touched}),
        )
        self.seconds.checks += self._since(began)
        return remains

    def gone(self, touched: Sequence[Resource]) -> tuple[Resource, ...]:
        """What of the services that were touched was there and is not any more.

        Raises:
            StackLostError: it cannot be seen.
        """
        services = sorted({one.service for one in touched} & self.known.inventory.keys())
        with self._in_use("the look at what is gone"):
            return tuple(
                resource
                for service in services
                for resource in set(self.known.inventory[service]) - set(self._inventory(service))
            )

    def reset(self) -> tuple[str, ...]:
        """Make everything as it was before the first trial.

        Returns:
            What had to be reset, in that order; every service when the whole stack was made again.

        Raises:
            StackLostError: not even a new stack comes up.
        """
        with self._in_use("the reset"):
            return self._reset_or_rebuild()

    @contextmanager
    def _in_use(self, what: str) -> Iterator[None]:
        """Whatever goes wrong within the block ends the search, and not what it has found."""
        try:
            yield
        except StackLostError:
            raise
        except Exception as error:
            raise StackLostError(
                f"{what} failed: {self.ground.redactor().clean_log(in_one_line(error))}",
                hint="what was found until then is kept",
            ) from error

    def _reset_or_rebuild(self) -> tuple[str, ...]:
        began = self._clock.stamp()
        changed = self._changed()
        dirty = [service for service in self._order if service in changed]
        # They remember how far they have read a log that will be shorter again.
        self._leave(changed)
        try:
            self._reset(changed)
        except NotResetError as error:
            # For instance since somebody else has its port by now, or it is none that can be reset.
            self._rebuild(Rebuild(service=error.service, why=error.why))
            dirty = list(self._order)
        self._aimed.clear()
        self._renewed.clear()
        self._taken.clear()
        self.ground.passed = timedelta(0)
        self.seconds.reset += self._since(began)
        return tuple(dirty)

    def _rebuild(self, reason: Rebuild) -> None:
        # It will be stored, and drivers say what they like.
        reason = reason.model_copy(update={"why": self.ground.redactor().clean_log(reason.why)})
        try:
            self.take_down()
            self.bring_up()
        except Exception as error:
            told = self.ground.redactor().clean_log(in_one_line(error))
            raise StackLostError(
                f"{reason.service} could not be reset ({reason.why}),"
                f" and the stack could not be made again ({told})",
                hint="what was found until then is kept; look at the machine, and search again",
            ) from error
        self.rebuilds.append(reason)

    def _reset(self, dirty: frozenset[str]) -> None:
        """Each after what it requires; those that do not need each other side by side."""
        sorter = TopologicalSorter(self._plan.requires)
        sorter.prepare()
        while sorter.is_active():
            ready = sorter.get_ready()
            services = sorted(dirty.intersection(ready))
            if len(services) > 1:
                with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="reset") as pool:
                    tuple(pool.map(self._reset_one, services))
            for service in services if len(services) == 1 else ():
                self._reset_one(service)
            sorter.done(*ready)

    def _reset_one(self, service: str) -> None:
        try:
            self._memories[service].reset()
            self._attend(service)
        except Exception as error:
            # A third party's driver raises what it likes; whatever it is, there is another way.
            raise NotResetError(service, in_one_line(error)) from error

    def _attend(self, service: str) -> None:
        """Have the application connected where it works; a reset ends its session."""
        if service == self._plan.loaded.scenario.workload.service:
            self._application.attend(self.ground.endpoints[service])

    def _leave(self, services: Collection[str], but: str = "") -> None:
        """Give up the surfaces of some services, but for those of one principal."""
        for key in [key for key in self._surfaces if key[2] in services and key[1] != but]:
            surface = self._surfaces.pop(key)
            if isinstance(surface, Lingering):
                surface.leave()

    def _changed(self) -> frozenset[str]:
        """Services that may be different now: of those that were aimed at, and those that need them."""
        reached: set[str] = set()
        for service in self._order:
            if service in self._aimed or reached.intersection(self._plan.requires[service]):
                reached.add(service)
        return frozenset(service for service in reached if self._memories[service].changed())

    def _remember(self) -> None:
        setting = self.ground.setting()
        for service in self._order:
            replica = self._plan.replicas[service]
            if isinstance(replica, Resettable) and not needs_engine(self._plan.drivers[service]):
                self._memories[service] = replica.remember(self.ground.endpoints[service], setting)
            else:
                self._memories[service] = NoMemory(self._plan.drivers[service])
        at = self._clock.stamp().wall
        listed = list_points(self.ground)
        services = [name for name in self._plan.loaded.stack.services if tracked(self.ground, name)]
        self.known = Known(
            at=at,
            inventory={name: self._inventory(name) for name in self._order},
            content={name: content(self.ground, name) for name in services},
            copies=listed,
        )
        self._evidence = {copy.point.id: self._bytes_of(copy.point) for copy in listed}
        self._unproven = {copy.point.id: self._prove(copy) for copy in listed}
        self._restored_beside.clear()
        for memory in self._memories.values():
            if not isinstance(memory, NoMemory) and memory.changed():
                memory.reset()
        self._attend(self._plan.loaded.scenario.workload.service)

    def _prove(self, copy: Copy) -> str:
        """Restore a copy beside its source and compare it; returns what is wrong with it, if anything."""
        service, ground = copy.point.service, self.ground
        into = vessel(ground, service, f"proof-{len(ground.leases)}", replace=False)
        original = ground.taken.get(copy.point.id) if copy.point.kind != "continuous" else None
        try:
            endpoint = ground.tools[copy.protection].restore(copy.point, into, Stopwatch(self._clock))
            restored = content(ground, service, endpoint)
        except (RestoreError, BackupError, DatabaseError) as error:
            return error.message
        finally:
            into.discard()
        if restored.rows == 0 or restored != (original or self.known.content[service]):
            return "it restores, and does not hold what it should"
        return ""

    def _copies(self, changed: frozenset[str], intact: frozenset[str]) -> tuple[CopyLeft, ...]:
        """Copies that lie where nothing has changed are as they were, and nobody is asked for them."""
        asked = {name for name in self.ground.tools if self._places(name) & changed}
        then = {copy.point.id: copy.point for copy in self.known.copies}
        now = {copy.point.id: copy.point for copy in self.known.copies if copy.protection not in asked}
        listed = {copy.point.id: copy.point for copy in self._list(asked)}
        self._renew(point for point in listed.values() if point.service in intact)
        now |= listed
        left = (self._copy_left(then.get(id), now.get(id), changed) for id in {**now, **then})
        return tuple(sorted(left, key=lambda copy: (copy.lacks, copy.point.id)))

    def _copy_left(
        self, then: RecoveryPoint | None, now: RecoveryPoint | None, changed: frozenset[str]
    ) -> CopyLeft:
        point = now or then
        assert point is not None, "it was listed, then or now"
        lacks = max((self.known.at - point.covers_until).total_seconds(), 0.0)
        return CopyLeft(point=point, standing=self._standing(then, now, changed), lacks=lacks)

    def _standing(
        self, then: RecoveryPoint | None, now: RecoveryPoint | None, changed: frozenset[str]
    ) -> Standing:
        if now is None:
            return "gone"
        if now.doomed_at is not None:
            ends = max(now.doomed_at, now.locked_until or now.doomed_at)
            if ends <= self._clock.stamp().wall + DOOM:
                return "doomed"
        if then is None:
            # A deletion that can be taken back brings all of it back; a copy of a damaged service does not.
            return self._taken.get(now.id, "sufficient" if now.kind == "undo" else "unproven")
        if self._unproven.get(now.id):
            return "unproven"
        known = self._renewed.get(now.id, self._evidence[now.id])
        held = self._bytes_of(now) if now.place in changed else known
        return "sufficient" if held == known or self._restores_beside(then, known, held) else "altered"

    def _restores_beside(self, point: RecoveryPoint, known: object, held: object) -> bool:
        """Whether a copy is whole although other versions were put beside or over it.

        All that it consisted of has to be there, and then it is restored and compared again: once for what
        now lies there, since whoever writes the same in another trial gets another version of the same tag.
        """
        if not (isinstance(known, tuple) and isinstance(held, tuple) and {*known} <= {*held}):
            return False
        lies_there = point.id, tuple(sorted((key, tag) for key, _, tag in held))
        if lies_there not in self._restored_beside:
            protection = next(copy.protection for copy in self.known.copies if copy.point.id == point.id)
            self._restored_beside[lies_there] = not self._prove(Copy(protection, point))
        return self._restored_beside[lies_there]

    def _renew(self, points: Iterable[RecoveryPoint]) -> None:
        """A file that a server has begun anew holds all that the server held then, if it held all of it."""
        for point in points:
            on_its_disk = point.place == point.service and self.ground.endpoints[point.place].kind != "s3"
            if on_its_disk and _grows_with_source(point):
                self._renewed[point.id] = self._bytes_of(point)

    def _list(self, protections: Collection[str]) -> tuple[Copy, ...]:
        """Every recovery point that is listed; a tool that cannot list has none."""
        found: list[Copy] = []
        for name in protections:
            with suppress(BackupError, RestoreError, DatabaseError):
                found += [Copy(name, point) for point in self.ground.tools[name].points()]
        return tuple(found)

    def _bytes_of(self, point: RecoveryPoint) -> object:
        """What a copy consists of: in a bucket another version has another name, and another tag.

        A tool whose location is no key may use any object of the bucket.
        """
        endpoint = self.ground.endpoints.get(point.place)
        if endpoint is None or endpoint.kind != "s3":
            return point.location
        with suppress(HarnessError):
            store = self.ground.store(point.place)
            key, at, _ = point.location.rpartition("@")
            versions = store.versions(key if at else point.location) or store.versions("")
            return tuple(sorted((one.key, one.id, one.tag) for one in versions))
        return "not to be listed"

    def _places(self, protection: str) -> frozenset[str]:
        """Where the copies of a protection lie: those that were seen, or as far as its model says."""
        stack = self._plan.loaded.stack
        model = stack.protections[protection]
        volume = getattr(stack.services.get(model.of), "volume", None) or ""
        seen = [copy.point for copy in self.known.copies if copy.protection == protection]
        places = {point.place for point in seen}
        # Such a one is dumps elsewhere together with a log that its source keeps.
        places |= {point.service for point in seen if _grows_with_source(point)}
        places |= {getattr(model, "to", None) or volume.partition("/")[0]}
        # One that keeps its copies with itself, as a standby does, hangs on its source.
        return frozenset(places & {*self._order} or {model.of})

    def _state(self, service: str) -> State:
        endpoint, store = self.ground.endpoints[service], self._plan.store(service)
        if not store.alive(endpoint):
            return "gone"
        try:
            same = content(self.ground, service) == self.known.content[service]
        except DatabaseError:
            return "changed"
        return "intact" if same and self._inventory(service) == self.known.inventory[service] else "changed"

    def _inventory(self, service: str) -> tuple[Resource, ...]:
        return self._plan.replicas[service].inventory(self.ground.endpoints[service])

    def _since(self, began: Stamp) -> float:
        return self._clock.stamp().since(began)


def _grows_with_source(point: RecoveryPoint) -> bool:
    """Whether it lies with its source, all or in part, and has every write to it."""
    return point.kind == "continuous" and point.shares_fate


class NoMemory:
    """Of a replica that cannot be reset: what was aimed at it may have changed it, so it is made again.

    Args:
        kind: of the replica.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def changed(self) -> bool:
        """Nobody can tell."""
        return True

    def reset(self) -> None:
        """Raises HarnessError: there is no way back."""
        raise HarnessError(f"a service of kind {self._kind} cannot be reset here", hint="make a new one")


class NotResetError(Exception):
    """A service could not be brought back to what it was.

    Args:
        service: which.
        why: what was said, in one line.
    """

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"{service}: {why}")
        self.service = service
        self.why = why


def at_rest(loaded: LoadedScenario) -> LoadedScenario:
    """A scenario with a small past, and servers that do not wait for the disk: nobody pulls the plug here."""
    scenario, stack = loaded.scenario, loaded.stack
    history = scenario.history
    if history is not None:
        history = history.model_copy(update={"rows": min(history.rows, MOST_ROWS)})
    services = {
        name: service.model_copy(update={"fsync": False}) if isinstance(service, PostgresService) else service
        for name, service in stack.services.items()
    }
    changes = {
        "scenario": scenario.model_copy(update={"history": history}),
        "stack": stack.model_copy(update={"services": services}),
    }
    return loaded.model_copy(update=changes)


def _plan_with_every_surface(loaded: LoadedScenario) -> Plan:
    planned = plan(at_rest(loaded))
    return replace(planned, surfaces=dict(_importable_surfaces()))


def _importable_surfaces() -> Iterator[tuple[str, SurfaceFactory]]:
    """Those whose packages are installed."""
    for name in names("surfaces"):
        with suppress(MissingToolError):
            yield name, lookup("surfaces", name)
