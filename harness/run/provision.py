"""Brings the replicas up, side by side as far as they do not need each other, and always takes them down."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from graphlib import TopologicalSorter

from harness.facts import Endpoint, Lease
from harness.interrupts import deferred_interrupts
from harness.journal.events import Provisioned
from harness.replicas.containers.engine import remove_run
from harness.run.faults import blaming_dump
from harness.run.ground import Ground, phase, told
from harness.run.schema import check_against_schema
from harness.seams.drivers import BackupTool


@contextmanager
def provisioned(ground: Ground) -> Iterator[None]:
    """All services of the stack, each with its lease journalled before it exists.

    Raises:
        ProvisionError: a replica did not come up. What had come up is destroyed.
        ScenarioError: the stack names what the schema does not have.
        ScenarioFileError: a statement of the stack does not fit its schema.
    """
    try:
        with told(ground):
            with phase(ground, "provision"):
                _bring_up(ground, {service: ground.lease(service) for service in ground.plan.replicas})
                for service in ground.endpoints:
                    ground.check_marker(service)
                check_against_schema(ground)
                ground.tools = {name: _tool(ground, name) for name in ground.plan.backups}
            yield
    finally:
        _take_down(ground)


def _take_down(ground: Ground) -> None:
    """Nothing may stay, whatever else fails: a tool that does not stop, a journal that takes nothing more."""
    with ExitStack() as in_any_case:
        if ground.plan.runs_containers:
            # A tool's own standby belongs to no lease of the run.
            in_any_case.callback(remove_run, ground.sandbox.run_id, ground.sandbox.root)
        in_any_case.callback(ground.release_all)
        with phase(ground, "teardown"), deferred_interrupts(), ExitStack() as steps:
            steps.callback(ground.release_all)
            steps.callback(ground.keep_script_logs)
            for tool in ground.tools.values():
                steps.callback(tool.stop)


def _bring_up(ground: Ground, leases: dict[str, Lease]) -> None:
    futures: dict[str, Future[Endpoint]] = {}

    def bring_up(service: str) -> Endpoint:
        for needed in ground.plan.requires[service]:
            ground.endpoints[needed] = futures[needed].result()
        began = ground.clock.stamp()
        replica = ground.plan.replicas[service]
        try:
            with blaming_dump(ground.plan.loaded, service):
                endpoint = replica.provision(leases[service], ground.setting())
        except Exception as error:
            # A third party's driver need not say whose error it is.
            error.add_note(f"{service} was being brought up")
            raise
        ground.journal.write(
            Provisioned(
                service=service,
                kind=leases[service].kind,
                seconds=ground.clock.stamp().since(began),
                description=replica.describe(endpoint),
            )
        )
        return endpoint

    with _side_by_side(len(leases)) as pool:
        with deferred_interrupts():
            for service in _in_order(ground):
                futures[service] = pool.submit(bring_up, service)
        for service in leases:
            ground.endpoints[service] = futures[service].result()


@contextmanager
def _side_by_side(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads, all of which have ended when the block is left: what they still bring up could not be removed.

    A signal may interrupt neither their start, of which the pool would then not know, nor the wait for them.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="provision")
    try:
        yield pool
    finally:
        with deferred_interrupts():
            pool.shutdown()


def _tool(ground: Ground, protection: str) -> BackupTool:
    model = ground.plan.loaded.stack.protections[protection]
    return ground.plan.backups[protection](
        protection, model, ground.endpoints[model.of], ground.plan.store(model.of), ground.setting()
    )


def _in_order(ground: Ground) -> tuple[str, ...]:
    """Services so that each comes after what it requires, because a task waits for those futures."""
    return tuple(TopologicalSorter(ground.plan.requires).static_order())
