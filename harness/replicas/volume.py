"""A disposable tree of files, as a volume of a server or a container has it.

It lies at ``<lease>/mount/volume``, which is where the application has it mounted; what replaces it after a
disaster is mounted at the same place. Beside it lies the file with the lease's marker.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import DatabaseError, ProvisionError
from harness.facts import Endpoint, Fingerprint, Lease, Resource
from harness.replicas.grants import mounts
from harness.replicas.leases import note_place, reap
from harness.replicas.spec import spec_of
from harness.replicas.tree_copy import copy_tree
from harness.replicas.tree_memory import FOLDER, TreeMemory
from harness.scenario.models import Stack, VolumeService
from harness.seams.drivers import Memory, Row, Setting, Vessel
from harness.seams.items import Item, content_hash, fingerprint_of
from harness.seams.volume_client import READ_ONLY, READ_WRITE, SNAPSHOTS, read_items

MOUNT = "mount"
VOLUME = "volume"
MARKER_FILE = "volume.lease"
FENCED = "fenced"
PASSABLE = 0o755
"""The server of a database that lies on the volume has an account of its own, and must get to its files."""


@dataclass
class VolumeReplica:
    """Replicas of kind ``volume``."""

    _collections: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing else must be there first."""
        del stack, service
        return ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Make the tree, with an empty folder for each collection.

        Raises:
            ProvisionError: it cannot be made.
        """
        spec = spec_of(setting.stack, lease.service, VolumeService)
        mount = lease.directory / MOUNT
        root = mount / VOLUME
        try:
            root.mkdir(parents=True)
            if spec.data is not None:
                copy_tree(setting.folder / spec.data.tree, root, f"the tree of {lease.service}")
            for place in (mount, root):
                place.chmod(PASSABLE)
            for collection in spec.collections:
                (root / collection).mkdir(exist_ok=True)
            _mark(mount, lease)
        except OSError as error:
            raise ProvisionError(
                f"cannot make the volume of {lease.service}: {error}",
                hint="free some space, or `ninelives sweep`",
            ) from error
        self._collections[lease.service] = spec.collections
        return Endpoint(
            lease=lease,
            kind=spec.kind,
            host="",
            port=0,
            name=VOLUME,
            environment=spec.environment,
            path=root,
            credentials=mounts(setting.stack, lease.service, writing=READ_WRITE, reading=READ_ONLY),
        )

    def destroy(self, lease: Lease) -> None:
        """Leave no process and no file. Idempotent; works from the lease alone.

        Raises:
            LeftoverError: a file cannot be removed.
        """
        reap(lease)

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker of the lease, from the file beside the tree; empty when it is gone."""
        marker = endpoint.path.with_name(MARKER_FILE)
        return marker.read_text(encoding="utf-8") if marker.is_file() else ""

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """The volume, and what lies at the top of it."""
        if not endpoint.path.is_dir():
            return ()
        found = [("volume", endpoint.name)]
        with os.scandir(endpoint.path) as entries:
            found += sorted(("folder" if entry.is_dir() else "file", entry.name) for entry in entries)
        return tuple(
            Resource(service=endpoint.service, kind=kind, name=name, environment=endpoint.environment)
            for kind, name in found
        )

    def remember(self, endpoint: Endpoint, setting: Setting) -> Memory:
        """Keep a copy of it and of its snapshots, but for folders of a database, which remembers them itself.

        Raises:
            ProvisionError: there is no room.
        """
        places = (getattr(service, "volume", None) or "" for service in setting.stack.services.values())
        parts = (place.split("/") for place in places)
        databases = frozenset(part[1] for part in parts if part[0] == endpoint.service and len(part) > 1)
        return VolumeMemory(endpoint, databases)

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """What a write is worth when it is acknowledged."""
        del endpoint
        return {
            "version": "a tree of files",
            "durability": "file and folder are synced before a write counts",
        }

    def probe(self, endpoint: Endpoint) -> None:
        """See that its folders are there.

        Raises:
            DatabaseError: one is not.
        """
        for folder in (".", *self._collections.get(endpoint.service, ())):
            if not (endpoint.path / folder).is_dir():
                raise DatabaseError(
                    f"{endpoint.service}: there is no folder {folder!r}",
                    hint="it was deleted, or never restored",
                )

    def alive(self, endpoint: Endpoint) -> bool:
        """Whether all its folders are there."""
        try:
            self.probe(endpoint)
        except DatabaseError:
            return False
        return True

    def fill(self, endpoint: Endpoint, items: Iterable[Item]) -> None:
        """Write files with the dates of the past.

        Raises:
            DatabaseError: one cannot be written.
        """
        try:
            for item in items:
                path = endpoint.path / item.collection / item.key
                path.write_bytes(item.body)
                os.utime(path, (item.time.timestamp(),) * 2)
        except OSError as error:
            raise DatabaseError(f"{endpoint.service}: {error}", hint="is there room on the disk?") from error

    def fingerprint(self, endpoint: Endpoint, tables: Sequence[str]) -> Fingerprint:
        """The content of some folders; nobody may write to them meanwhile.

        Raises:
            DatabaseError: a folder is missing.
        """
        return fingerprint_of((table, self.rows(endpoint, table, "", "")) for table in tables)

    def rows(self, endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Row]:
        """Every file of a folder: its name, the hash of its content, when it was last written.

        Raises:
            DatabaseError: there is no such folder, or a file cannot be read.
        """
        del key, time
        if not (endpoint.path / table).is_dir():
            raise DatabaseError(
                f"{endpoint.service}: there is no folder {table!r}", hint="it was deleted, or never restored"
            )
        try:
            for item in read_items(endpoint.path, table):
                yield Row(item.key, content_hash(item.body), item.time)
        except OSError as error:
            raise DatabaseError(f"{endpoint.service}: {error}", hint="see what it says") from error

    def fence(self, endpoint: Endpoint) -> None:
        """Take the tree away from where it is mounted, so that nothing more is written. Idempotent."""
        if endpoint.path.is_dir():
            shutil.rmtree(endpoint.lease.directory / FENCED, ignore_errors=True)
            endpoint.path.rename(endpoint.lease.directory / FENCED)

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """An empty tree for a restore; arguments as in ``harness.seams.drivers.Store``."""
        del setting
        directory = like.path if replace else lease.directory / MOUNT / VOLUME
        if replace:
            note_place(lease, directory)
        directory.mkdir(parents=True)
        return VolumeVessel(lease, directory, like)


class VolumeMemory:
    """A volume as it is when this is made.

    Args:
        endpoint: of the volume.
        databases: folders of it that are somebody else's to remember.

    Raises:
        ProvisionError: there is no room for a copy.
    """

    def __init__(self, endpoint: Endpoint, databases: frozenset[str]) -> None:
        shelf, beside = endpoint.lease.directory / FOLDER, endpoint.path.with_name(SNAPSHOTS)
        # A folder of none is as good as none.
        beside.mkdir(parents=True, exist_ok=True)
        self._trees = (
            TreeMemory(endpoint.path, shelf, databases),
            TreeMemory(beside, shelf.with_name(f"{FOLDER}-{SNAPSHOTS}")),
        )

    def changed(self) -> bool:
        """Whether any file is not as it was left."""
        return any(tree.changed() for tree in self._trees)

    def reset(self) -> None:
        """Put every file back.

        Raises:
            ProvisionError: that cannot be done.
        """
        for tree in self._trees:
            if tree.changed():
                tree.reset()


@dataclass(frozen=True)
class VolumeVessel:
    """A tree that a backup is restored into.

    Attributes:
        lease: of the new replica.
        directory: the tree, empty.
        like: the endpoint that it stands in for.
    """

    lease: Lease
    directory: Path
    like: Endpoint

    def start(self, settings: Mapping[str, str] | None = None, *, timeout: float = 600.0) -> Endpoint:
        """Mark the tree as this lease's; there is no server to wait for."""
        del settings, timeout
        _mark(self.directory.parent, self.lease)
        return replace(self.like, lease=self.lease, path=self.directory)

    def discard(self) -> None:
        """Remove everything. Idempotent."""
        reap(self.lease)


def _mark(mount: Path, lease: Lease) -> None:
    (mount / MARKER_FILE).write_text(lease.marker, encoding="utf-8")
