"""Copies of buckets, volumes, repositories and Valkey by hand: files are laid where they belong, objects put
again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from random import Random
from typing import Any, ClassVar

from valkey.exceptions import ValkeyError

from harness.facts import OPERATOR, Endpoint
from harness.replicas.valkey.server import program
from harness.sandbox import LOOPBACK, free_port
from harness.seams.drivers import Vessel
from harness.seams.git_client import git
from harness.seams.items import Item
from harness.seams.s3_client import open_client
from harness.seams.valkey_client import connect

from .case import COPIES, VAULT, Case

THINGS = "things"
MEGABYTE = 1_000_000
AT_ONCE = 10
"""Objects that somebody's script copies at once, as many as `aws s3` does."""

LOT = 50
"""Items that are committed together: git has a minute for each lot."""

VERSIONED = {"kind": "s3", "versioning": True, "object_lock": False}
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


class ItemsCase(Case):
    """What is alike in stores of items.

    Attributes:
        size: bytes of an item.
    """

    size: ClassVar[int] = MEGABYTE

    def fill(self) -> None:
        self.bench.store(self.service).fill(self.source, self._items())

    def count(self, endpoint: Endpoint) -> int:
        return sum(1 for _ in self.bench.driver_of(endpoint).rows(endpoint, THINGS, "", ""))

    def _items(self) -> Iterator[Item]:
        content = Random(1)
        for number in range(self.megabytes * MEGABYTE // self.size):
            yield Item(THINGS, f"thing-{number:07}", content.randbytes(self.size), WHEN)


class VolumeCase(ItemsCase):
    """What is alike in copies of a tree of files."""

    services: ClassVar[dict[str, Any]] = {"uploads": {"kind": "volume", "collections": [THINGS]}}
    size = 100_000
    empty = False

    def mounted(self, vessel: Vessel) -> Endpoint:
        """What lies there now."""
        return replace(self.source, lease=vessel.lease, path=vessel.directory)

    def count(self, endpoint: Endpoint) -> int:
        return sum(1 for _ in (endpoint.path / THINGS).iterdir())


class VolumeSnapshot(VolumeCase):
    """The tree is copied back."""

    protection = {"tool": "volume-snapshot", "every": "1d", "keep": 1}

    def lay_out(self, vessel: Vessel) -> Endpoint:
        (snapshot,) = self.source.path.parent.rglob(self.point.location)
        vessel.directory.rmdir()
        self.run(["cp", "-a", "--reflink=auto", snapshot, vessel.directory])
        return self.mounted(vessel)


class Archive(VolumeCase):
    """The archive is downloaded, and ``tar`` unpacks it."""

    services = {**VolumeCase.services, "vault": VAULT}
    protection = {"tool": "archive", "to": "vault", "every": "1d", "keep": 1}

    def lay_out(self, vessel: Vessel) -> Endpoint:
        archive = vessel.lease.directory / "by-hand.tar.gz"
        self.download(self.point.location.partition("@")[0], archive)
        self.run(["tar", "--extract", "--gzip", f"--file={archive}", f"--directory={vessel.directory}"])
        return self.mounted(vessel)


class GitBundle(ItemsCase):
    """The bundle is downloaded and cloned."""

    services = {"code": {"kind": "git", "collections": [THINGS]}, "vault": VAULT}
    protection = {"tool": "git-bundle", "to": "vault", "every": "1d", "keep": 1}
    empty = False

    def fill(self) -> None:
        items = self._items()
        while some := tuple(islice(items, LOT)):
            self.bench.store(self.service).fill(self.source, some)

    def lay_out(self, vessel: Vessel) -> Endpoint:
        bundle = vessel.lease.directory / "by-hand.bundle"
        self.download(self.point.location.partition("@")[0], bundle)
        self.run(["git", "clone", "--quiet", "--mirror", bundle, vessel.directory])
        return replace(self.source, lease=vessel.lease, path=vessel.directory)

    def count(self, endpoint: Endpoint) -> int:
        shown = git(endpoint.path, "ls-tree", "-r", "--name-only", THINGS, run_id=endpoint.lease.run_id)
        return len(shown.stdout.splitlines())


class ValkeyRdb(ItemsCase):
    """The dump is downloaded to where a server looks for it."""

    services = {
        "cache": {"kind": "valkey", "collections": [THINGS], "persistence": "none"},
        "vault": VAULT,
    }
    protection = {"tool": "valkey-rdb", "to": "vault", "every": "1d", "keep": 1}
    size = 10_000
    empty = False

    def lay_out(self, vessel: Vessel) -> Endpoint:
        self.download(self.point.location.partition("@")[0], vessel.directory / "dump.rdb")
        return self.serve(vessel, "no")

    def count(self, endpoint: Endpoint) -> int:
        with connect(endpoint, endpoint.credentials.get(OPERATOR)) as client:
            return int(client.dbsize())

    def serve(self, vessel: Vessel, appends: str) -> Endpoint:
        """Start a server on what lies there, and wait until it has loaded all of it."""
        place, port = vessel.lease.directory, free_port()
        self.bench.sandbox.give(vessel.directory)
        options = {"bind": LOOPBACK, "port": str(port), "dir": str(vessel.directory), "save": ""}
        options |= {"appendonly": appends, "aof-timestamp-enabled": "yes", "set-proc-title": "no"}
        told = [part for name, value in options.items() for part in (f"--{name}", value)]
        log = place / "by-hand.log"
        process = self.bench.sandbox.start([program(), *told], log=log, directory=place, drop=True)
        endpoint = replace(self.source, lease=vessel.lease, port=port, path=vessel.directory, credentials={})
        while not _is_loaded(endpoint):
            assert process.poll() is None, log.read_text()
            self.pause()
        return endpoint


class ValkeyAof(ValkeyRdb):
    """The append-only file is copied to where a server looks for it."""

    services = {"cache": {"kind": "valkey", "collections": [THINGS], "persistence": "aof"}}
    protection = {"tool": "valkey-aof"}

    def lay_out(self, vessel: Vessel) -> Endpoint:
        self.run(["cp", "-a", self.source.path / "appendonlydir", vessel.directory])
        return self.serve(vessel, "yes")


class S3Versions(ItemsCase):
    """A script reads every object's newest version and puts it into the fresh bucket."""

    services = {"files": {**VERSIONED, "bucket": "files", "collections": [THINGS]}}
    protection: ClassVar[dict[str, Any]] = {"tool": "s3-versions"}

    def load(self, endpoint: Endpoint) -> None:
        self.copy("files", "files", "", endpoint)

    def copy(self, service: str, bucket: str, prefix: str, endpoint: Endpoint) -> None:
        """Copy the newest versions below a prefix."""
        source = self.client(service)
        target = open_client(endpoint, endpoint.credentials[OPERATOR])
        pages = source.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        wanted = [each for page in pages for each in page.get("Versions", ()) if each["IsLatest"]]

        def bring(each: dict[str, Any]) -> None:
            found = source.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
            key, body = each["Key"].removeprefix(prefix), found["Body"].read()
            target.put_object(Bucket=endpoint.name, Key=key, Body=body, Metadata=found["Metadata"])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(bring, wanted))

    def count(self, endpoint: Endpoint) -> int:
        client = open_client(endpoint, endpoint.credentials[OPERATOR])
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=endpoint.name)
        return sum(len(page.get("Contents", ())) for page in pages)


class S3Replication(S3Versions):
    """The same, from the bucket of the second account."""

    services = {**S3Versions.services, "other": {**VERSIONED, "bucket": "other"}}
    protection: ClassVar[dict[str, Any]] = {"tool": "s3-replication", "to": "other"}

    def load(self, endpoint: Endpoint) -> None:
        self.copy("other", "other", f"{COPIES}/", endpoint)


def _is_loaded(endpoint: Endpoint) -> bool:
    try:
        with connect(endpoint, None) as client:
            return bool(client.ping())
    except ValkeyError:
        return False
