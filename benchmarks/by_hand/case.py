"""A store with content, a tool that has a copy of it, and the two ways to bring that back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from harness.contracts.bench import Bench
from harness.facts import OPERATOR, Endpoint, Lease
from harness.sandbox import MARK
from harness.scenario.models import Stack
from harness.seams.drivers import Vessel
from harness.seams.s3_client import open_client

LONG = timedelta(days=3650)
READ_BYTES = 1 << 20
COPIES = "copies"
"""The protection that is measured."""

VAULT = {"kind": "s3", "bucket": "vault", "versioning": False, "object_lock": False}


@dataclass
class Watch:
    """Seconds of each part of a restore, as the tool tells them.

    Attributes:
        now: the time.
        parts: by name.
    """

    now: Callable[[], float]
    parts: dict[str, float] = field(default_factory=dict)
    _part: str = ""
    _since: float = 0.0

    def __call__(self, part: str) -> None:
        now = self.now()
        if self._part:
            self.parts[self._part] = self.parts.get(self._part, 0.0) + now - self._since
        self._part, self._since = part, now


@dataclass
class Clocked:
    """A vessel that knows how long its start took.

    Attributes:
        vessel: the real one.
        now: the time.
        seconds: that ``start`` took.
    """

    vessel: Vessel
    now: Callable[[], float]
    seconds: float = 0.0

    @property
    def lease(self) -> Lease:
        return self.vessel.lease

    @property
    def directory(self) -> Path:
        return self.vessel.directory

    def start(self, settings: Mapping[str, str] | None = None, *, timeout: float = 600.0) -> Endpoint:
        began = self.now()
        try:
            return self.vessel.start(settings, timeout=timeout)
        finally:
            self.seconds += self.now() - began

    def discard(self) -> None:
        self.vessel.discard()


class Case:
    """A store with content, in a stack of its own, and a copy of it.

    Attributes:
        services: of the stack; the first is the one that is restored.
        protection: what takes the copy.
        files: that the stack names.
        empty: whether a restore begins at an empty server, which is not counted in either way.
    """

    services: ClassVar[Mapping[str, Any]]
    protection: ClassVar[Mapping[str, Any]]
    files: ClassVar[Mapping[str, str]] = {}
    empty: ClassVar[bool] = True

    def __init__(self, bench: Bench, megabytes: int) -> None:
        self.bench = bench
        self.megabytes = megabytes
        self.service = next(iter(self.services))
        self.source = bench.provision(self.service)
        self._clock = bench.clock
        self.fill()
        self.tool: Any = bench.tool(COPIES)
        for due in self.tool.due(self._clock.stamp().wall, LONG)[-1:]:
            self.tool.take(due)
        self.fill_after()
        self.tool.start()
        self.tool.stop()
        self.point = self.tool.points()[0]
        self.expected = self.count(self.source)

    @classmethod
    def stack(cls) -> Stack:
        """What it is about, as a scenario would say it."""
        copies = {"of": next(iter(cls.services)), **cls.protection}
        return Stack.model_validate({"services": cls.services, "protections": {COPIES: copies}})

    def fill(self) -> None:
        """Write the content."""
        raise NotImplementedError

    def fill_after(self) -> None:
        """Write what comes after the copy, if the tool has that too."""

    def count(self, endpoint: Endpoint) -> int:
        """How many rows or items are there."""
        raise NotImplementedError

    def load(self, endpoint: Endpoint) -> None:
        """Restore by hand into an empty server; where ``empty`` is so."""
        raise NotImplementedError

    def lay_out(self, vessel: Vessel) -> Endpoint:
        """Restore the files by hand and have them served; where ``empty`` is not so.

        Returns:
            Where the restored service answers.
        """
        raise NotImplementedError

    def by_harness(self) -> tuple[float, dict[str, float]]:
        """Seconds of a restore by the tool, and of its parts; without the start of an empty server."""
        watch = Watch(self.now)
        with self._place() as vessel:
            clocked = Clocked(vessel, self.now)
            began = self.now()
            endpoint = self.tool.restore(self.point, clocked if self.empty else vessel, watch)
            watch("")
            taken = self.now() - began
            self._check(endpoint)
        if self.empty:
            watch.parts["provision"] = watch.parts.get("provision", 0.0) - clocked.seconds
        return taken - (clocked.seconds if self.empty else 0.0), watch.parts

    def by_person(self) -> float:
        """Seconds of the same with nothing but the programs."""
        with self._place() as vessel:
            server = vessel.start() if self.empty else None
            began = self.now()
            if server is None:
                server = self.lay_out(vessel)
            else:
                self.load(server)
            taken = self.now() - began
            self._check(server)
        return taken

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return self._clock.stamp().mono

    def pause(self) -> None:
        """Before something is looked at again."""
        self._clock.sleep(0.01)

    def run(
        self, command: list[str | Path], environment: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        """Run a program to its end, as somebody would in a terminal, and no longer than the run."""
        sandbox = self.bench.sandbox
        own = {"PATH": os.environ["PATH"], "HOME": str(sandbox.root), MARK: sandbox.run_id}
        told = {**own, **(environment or {})}
        line = [str(part) for part in command]
        ran = subprocess.run(line, env=told, check=False, stderr=subprocess.PIPE, **options)
        assert ran.returncode == 0, (command, ran.stderr.decode(errors="replace")[-2000:])

    def client(self, service: str = "vault") -> Any:
        """S3, as the operator."""
        place = self.bench.endpoints[service]
        return open_client(place, place.credentials[OPERATOR])

    def keys(self, prefix: str) -> list[str]:
        """Of the objects in the vault."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket="vault", Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def download(self, key: str, path: Path) -> None:
        """An object of the vault."""
        body = self.client().get_object(Bucket="vault", Key=key)["Body"]
        with path.open("xb") as file:
            while chunk := body.read(READ_BYTES):
                file.write(chunk)

    def _check(self, endpoint: Endpoint) -> None:
        found = self.count(endpoint)
        assert found == self.expected, (type(self).__name__, found, self.expected)

    @contextmanager
    def _place(self) -> Iterator[Vessel]:
        vessel = self.bench.vessel(self.source)
        try:
            yield vessel
        finally:
            vessel.discard()
            shutil.rmtree(vessel.lease.directory, ignore_errors=True)
