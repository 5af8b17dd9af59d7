"""Brings up replicas of a small stack outside of any run, and takes every one of them down again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir, mkdtemp

import psutil

from harness.clock import SystemClock
from harness.facts import WORKSPACE_SUFFIX, Endpoint, Lease
from harness.sandbox import MARK, Sandbox, unprivileged_account
from harness.scenario.models import Stack, driver_of
from harness.seams.container_engine import objects_of
from harness.seams.drivers import BackupTool, Database, Replica, Setting, Store, Surface, Vessel
from harness.seams.lookup import Provider, driver_with, lookup

FOLDER = "stack"
"""Where the files lie that a stack names."""


class Bench:
    """The replicas of one stack, in a run of their own.

    Args:
        stack: what is there, and who may do what.
        sandbox: where; its root exists and is empty.
        files: what the stack's relative paths name, by path; all of them can be executed.
        provider: what replicas run on.
    """

    def __init__(
        self, stack: Stack, sandbox: Sandbox, files: Mapping[str, str], provider: Provider = "embedded"
    ) -> None:
        self.provider = provider
        self.stack = stack
        self.sandbox = sandbox
        self.clock = SystemClock()
        self.endpoints: dict[str, Endpoint] = {}
        self.leases: list[Lease] = []
        self._drivers: dict[Lease, Replica] = {}
        self._tools: list[BackupTool] = []
        self.folder = sandbox.root / FOLDER
        self.folder.mkdir()
        self.folder.chmod(0o755)
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)

    def setting(self) -> Setting:
        """What a driver is given now."""
        return Setting(self.stack, self.folder, self.sandbox, self.clock, dict(self.endpoints))

    def driver(self, service: str) -> Replica:
        """A fresh instance of the driver of a service, found by its name."""
        name = self._kind(service)
        driver: Replica = lookup("replicas", name)()
        return driver

    def store(self, service: str) -> Store:
        """As ``driver``, of a service whose content can be compared."""
        driver = self.driver(service)
        assert isinstance(driver, Store), f"{type(driver).__name__} has not all of Store"
        return driver

    def database(self, service: str) -> Database:
        """As ``driver``, of a service that speaks SQL."""
        driver = self.driver(service)
        assert isinstance(driver, Database), f"{type(driver).__name__} has not all of Database"
        return driver

    def driver_of(self, endpoint: Endpoint) -> Store:
        """The instance that brought a replica up, which a run asks as long as it lives."""
        driver = self._drivers[endpoint.lease]
        assert isinstance(driver, Store), f"{type(driver).__name__} has not all of Store"
        return driver

    def replica_at(self, endpoint: Endpoint) -> Replica:
        """As ``driver_of``, of any service."""
        return self._drivers[endpoint.lease]

    def lease(self, service: str, purpose: str = "") -> Lease:
        """A lease with an empty directory, as a run makes it."""
        name = f"{service}@{purpose}" if purpose else service
        directory = self.sandbox.root / name
        lease = Lease(run_id=self.sandbox.run_id, service=name, kind=self._kind(service), directory=directory)
        directory.mkdir()
        directory.chmod(0o711)
        self.leases.append(lease)
        return lease

    def provision(self, service: str) -> Endpoint:
        """Bring a service up, what it requires first; once."""
        if service in self.endpoints:
            return self.endpoints[service]
        driver = self.driver(service)
        for needed in driver.requires(self.stack, service):
            self.provision(needed)
        lease = self.lease(service)
        self._drivers[lease] = driver
        self.endpoints[service] = driver.provision(lease, self.setting())
        return self.endpoints[service]

    def vessel(self, like: Endpoint, *, replace: bool = False) -> Vessel:
        """A fresh, empty replica for a restore, of a database that has been provisioned."""
        driver = self.store(like.service)
        lease = self.lease(like.service, token_hex(3))
        self._drivers[lease] = driver
        return driver.vessel(lease, like, self.setting(), replace=replace)

    def tool(self, protection: str) -> BackupTool:
        """A fresh instance of the tool of a protection; what it needs is brought up."""
        model = self.stack.protections[protection]
        source = self.provision(model.of)
        for place in filter(None, [getattr(model, "to", None)]):
            self.provision(place)
        tool: BackupTool = lookup("backups", model.tool)(
            protection, model, source, self.store(model.of), self.setting()
        )
        self._tools.append(tool)
        return tool

    def surface(self, name: str, principal: str, endpoint: Endpoint) -> Surface:
        """A fresh instance of the surface of one principal."""
        surface: Surface = lookup("surfaces", name)(principal, endpoint, self.clock)
        return surface

    def processes(self) -> dict[int, str]:
        """Ids and names of the processes of this run: they carry its mark, or work in its directory."""
        named = {}
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):  # it may end before it is asked for its name
                named[process.pid] = process.name()
        return named

    def kill(self) -> None:
        """End all of them at once, as the kernel does when memory runs out."""
        processes = list(self._processes())
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # a backend may end by itself meanwhile
                process.kill()
        psutil.wait_procs(processes, timeout=10)

    def destroy(self) -> None:
        """Destroy every replica with a fresh instance of its driver, the newest first."""
        for lease in reversed(self.leases):
            self.driver(lease.service.partition("@")[0]).destroy(lease)

    def remains(self) -> list[str]:
        """What is still there of its replicas, one line each."""
        files = (path for path in self.sandbox.root.rglob("*") if self.folder not in (path, *path.parents))
        return [
            *(f"process {pid} ({name})" for pid, name in self.processes().items()),
            *(f"file {path}" for path in files),
            *(objects_of(self.sandbox.run_id) if self._uses_an_engine else ()),
        ]

    def close(self) -> None:
        """Leave nothing, whatever else fails."""
        with ExitStack() as each:
            each.callback(shutil.rmtree, self.sandbox.root, ignore_errors=True)
            each.callback(self.kill)
            for lease in self.leases:
                driver = self._drivers.get(lease) or self.driver(lease.service.partition("@")[0])
                each.callback(driver.destroy, lease)
            for tool in self._tools:
                each.callback(tool.stop)

    @property
    def _uses_an_engine(self) -> bool:
        return self.provider == "docker" or any(kind == "container" for kind in self._kinds())

    def _kinds(self) -> Iterator[str]:
        return (driver_of(service) for service in self.stack.services.values())

    def _kind(self, service: str) -> str:
        model = self.stack.services.get(service)
        if model is None and service.endswith(WORKSPACE_SUFFIX):
            return "files"
        assert model is not None, f"the stack has no service {service!r}"
        return driver_with(self.provider, driver_of(model))

    def _processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if self._owns(process):
                    yield process
            except psutil.Error:
                continue

    def _owns(self, process: psutil.Process) -> bool:
        if Path(process.cwd()).is_relative_to(self.sandbox.root):
            return True
        return process.environ().get(MARK) == self.sandbox.run_id


@contextmanager
def temporary_sandbox() -> Iterator[Sandbox]:
    """A run's own place for as long as the block runs; prepared servers are kept for the next."""
    account = unprivileged_account()
    temporary = Path(gettempdir())
    # pytest's own temporary folders are closed to the account that servers run as when we are root.
    root = Path(mkdtemp(prefix="ninelives-contract-", dir=temporary))
    root.chmod(0o711)
    cache = temporary / f"ninelives-contracts-cache-{os.geteuid()}"
    cache.mkdir(exist_ok=True)
    try:
        yield Sandbox(run_id=f"contract-{token_hex(4)}", root=root, cache=cache, account=account)
    finally:
        shutil.rmtree(root, ignore_errors=True)
