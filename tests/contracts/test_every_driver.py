"""No built-in replica, surface or backup tool is left out of the contracts."""

from __future__ import annotations

from collections.abc import Iterator

from harness.contracts import BackupContract, Contract, ReplicaContract, SurfaceContract
from harness.scenario.models import Stack, driver_of
from harness.seams.lookup import BUILT_IN

from . import test_backups, test_replicas, test_surfaces

NEVER_TAKEN = {"valkey-aof", "s3-versions"}
"""The contract takes copies, and these are never taken; `tests/backups/test_valkey_tools.py` and
`tests/backups/test_s3_tools.py` have their tests."""

SERVICES_THEMSELVES = {"docker"}
"""The contract destroys a thing in a service and looks into it after; here the service itself goes.
`tests/surfaces/test_docker.py` has its tests."""


def contracts(base: type[Contract]) -> Iterator[type[Contract]]:
    """The classes in this folder that are collected."""
    for module in (test_backups, test_replicas, test_surfaces):
        for name, found in vars(module).items():
            if name.startswith("Test") and isinstance(found, type) and issubclass(found, base):
                yield found


def test_every_replica_keeps_to_the_contract() -> None:
    held = set()
    for contract in contracts(ReplicaContract):
        service = Stack.model_validate(contract.stack).services.get(contract.service)
        held.add("files" if service is None else driver_of(service))
    assert held >= set(BUILT_IN["replicas"])


def test_every_surface_keeps_to_the_contract() -> None:
    held = {contract.surface for contract in contracts(SurfaceContract)}
    assert held | SERVICES_THEMSELVES >= set(BUILT_IN["surfaces"])


def test_every_backup_tool_keeps_to_the_contract() -> None:
    held = {
        Stack.model_validate(contract.stack).protections[contract.protection].tool
        for contract in contracts(BackupContract)
    }
    assert held | NEVER_TAKEN >= set(BUILT_IN["backups"])
