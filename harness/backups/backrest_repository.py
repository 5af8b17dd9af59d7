"""Where a pgBackRest repository lies, an S3 service or a volume, and what lies in it.

pgBackRest itself writes it, reads it and checks its content. Here it is only looked at as anybody could who
has the place: which files there are, and until when they are locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Protocol

from harness.backups.object_store import ObjectStore, Retention, StoredVersion, store_of
from harness.errors import BackupError, RestoreError
from harness.facts import OPERATOR, Endpoint
from harness.scenario.models import Lock, S3Service
from harness.seams.drivers import Setting
from harness.seams.s3_client import REGION
from harness.seams.s3_items import UNVERSIONED

AUTHORITY = "ca.crt"
"""Beside the configuration: what the server's certificate is checked against."""

TICK = timedelta(seconds=1)
"""Listings of a store give whole seconds."""


class Repository(Protocol):
    """Where one protection's repository lies."""

    def settings(self, directory: Path) -> Mapping[str, str]:
        """What pgBackRest is told of the place; files that it needs for that are written to ``directory``."""
        ...

    def files(self) -> Mapping[str, int]:
        """Bytes of each file, by its name below the repository; none when the place is gone.

        Raises:
            BackupError: it cannot be listed.
        """
        ...

    def read(self, name: str) -> bytes:
        """One of them.

        Raises:
            RestoreError: it is gone.
        """
        ...

    def instant(self) -> datetime | None:
        """The instant as of which pgBackRest has to look at it; None for now."""
        ...

    def changing(self) -> AbstractContextManager[None]:
        """Within the block pgBackRest replaces and retires files; what is hidden after it, others hide."""
        ...

    def lock(self, lock: Lock, taken: datetime) -> None:
        """Lock every file that is not yet, from ``taken`` on.

        Raises:
            BackupError: the place refuses.
        """
        ...

    def lock_what_comes(self, lock: Lock) -> None:
        """Have whatever is written from now on locked as it comes.

        Raises:
            BackupError: the place refuses.
        """
        ...

    def locked_until(self, names: Iterable[str], now: datetime) -> datetime | None:
        """Until when nobody at all can delete any of those files; None unless all of them are locked."""
        ...

    def doomed_at(self) -> datetime | None:
        """When rules of the place will have deleted the first file; None when they never do."""
        ...


def repository_of(place: str, name: str, setting: Setting) -> Repository:
    """The repository of the protection ``name`` in the service ``place``.

    Raises:
        BackupError: the stack has no such service, or it is of a kind that holds no repository.
    """
    endpoint = setting.peers.get(place)
    if endpoint is not None and endpoint.kind == "volume":
        return FolderRepository(endpoint.path / name, setting)
    store = store_of(place, setting)
    return BucketRepository(store, setting.peers[place], name, setting)


class FolderRepository:
    """A repository in a folder of a volume.

    Args:
        root: of the repository.
        setting: says whose the files are to be.
    """

    def __init__(self, root: Path, setting: Setting) -> None:
        self._root = root
        self._setting = setting

    def settings(self, directory: Path) -> Mapping[str, str]:
        """Its path, which the account that the server runs as can write to."""
        del directory
        if self._root.parent.is_dir() and not self._root.exists():
            self._root.mkdir(mode=0o750)
            self._setting.sandbox.give(self._root)
        return {"repo1-type": "posix", "repo1-path": str(self._root)}

    def files(self) -> Mapping[str, int]:
        """Bytes of each file; none when the volume is gone."""
        try:
            return {
                str(path.relative_to(self._root)): path.stat().st_size
                for path in self._root.rglob("*")
                if path.is_file()
            }
        except OSError as error:
            raise BackupError(
                f"{self._root} cannot be listed: {error}", hint="is something deleting there just now?"
            ) from error

    def read(self, name: str) -> bytes:
        """One file."""
        try:
            return (self._root / name).read_bytes()
        except OSError as error:
            raise RestoreError(f"{name} cannot be read: {error}", hint="see which points are left") from error

    def instant(self) -> datetime | None:
        """A volume has no past."""
        return None

    def changing(self) -> AbstractContextManager[None]:
        """Nothing to note."""
        return nullcontext()

    def lock(self, lock: Lock, taken: datetime) -> None:
        """Files cannot be locked; a stack that asks for it is refused when it is read."""

    def lock_what_comes(self, lock: Lock) -> None:
        """As ``lock``."""

    def locked_until(self, names: Iterable[str], now: datetime) -> datetime | None:
        """Never."""
        del names, now
        return None

    def doomed_at(self) -> datetime | None:
        """A volume has no rules."""
        return None


class BucketRepository:
    """A repository below a prefix of a bucket.

    Where versions are kept, whoever deletes only hides. pgBackRest can look at a bucket as it was
    (``repo-target-time``), so what others have hidden since its own last backup does not count as gone.

    Args:
        store: the bucket.
        place: the S3 service, with a TLS listener.
        prefix: of every key.
        setting: has the clock.
    """

    def __init__(self, store: ObjectStore, place: Endpoint, prefix: str, setting: Setting) -> None:
        self._store = store
        self._place = place
        self._prefix = prefix
        self._clock = setting.clock
        service = setting.stack.services.get(place.service)
        self._bucket_lock = service.lock if isinstance(service, S3Service) else None
        self._settled: datetime | None = None
        self._locked: dict[str, datetime] = {}

    def settings(self, directory: Path) -> Mapping[str, str]:
        """Address, keys, and the certificate to expect."""
        tls, access = self._place.tls, self._place.credentials[OPERATOR]
        if tls is None:
            raise BackupError(
                f"{self._place.service} does not speak TLS, and pgBackRest speaks nothing else",
                hint="an S3 service of the stack does when a protection of tool pgbackrest names it in `to`",
            )
        authority = directory / AUTHORITY
        authority.write_bytes(tls.certificate.read_bytes())
        return {
            "repo1-type": "s3",
            "repo1-path": f"/{self._prefix}",
            "repo1-s3-bucket": self._place.name,
            "repo1-s3-endpoint": self._place.host,
            "repo1-s3-uri-style": "path",
            "repo1-s3-region": REGION,
            "repo1-s3-key": access.name,
            "repo1-s3-key-secret": access.secret.reveal(),
            "repo1-storage-port": str(tls.port),
            "repo1-storage-ca-file": str(authority),
        }

    def files(self) -> Mapping[str, int]:
        """Bytes of each object that pgBackRest can read; none when the bucket is gone."""
        return {name: version.size for name, version in self._visible().items()}

    def read(self, name: str) -> bytes:
        """One object."""
        version = self._visible().get(name)
        if version is None:
            raise RestoreError(f"{name} is gone", hint="see which points are left")
        return self._store.read(version)

    def instant(self) -> datetime | None:
        """Just before the first object was hidden by somebody else."""
        return self._instant(self._versions())

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Note the time at its end."""
        self._settled = None
        yield
        if any(version.id != UNVERSIONED for version in self._versions()):
            self._settle()

    def _settle(self) -> None:
        """Of two things in the same second none could be told to be the first, so the next one begins."""
        now = self._clock.stamp().wall
        begin = now.replace(microsecond=0) + TICK
        self._clock.sleep((begin - now).total_seconds())
        self._settled = begin

    def lock(self, lock: Lock, taken: datetime) -> None:
        """Lock every version that is not yet."""
        now = self._clock.stamp().wall
        retention = Retention.of(lock, taken, now)
        if retention is None:
            return
        for version in self._versions():
            if self._store.facts(version).retention is None:
                self._store.retain(version, retention)

    def lock_what_comes(self, lock: Lock) -> None:
        """Have the bucket lock what comes, in whole days, unless it does so for longer already."""
        if self._bucket_lock is not None and self._bucket_lock.for_ >= lock.for_:
            return
        self._store.retain_by_default(lock.mode.upper(), ceil(lock.for_ / timedelta(days=1)))

    def locked_until(self, names: Iterable[str], now: datetime) -> datetime | None:
        """The earliest end of their locks."""
        visible = self._visible()
        held = [self._lock_of(visible[name], now) for name in names]
        ends = [end for end in held if end is not None]
        return min(ends) if ends and len(ends) == len(held) else None

    def doomed_at(self) -> datetime | None:
        """When lifecycle rules take the first."""
        return self._store.doom().at(self._visible().values())

    def _lock_of(self, version: StoredVersion, now: datetime) -> datetime | None:
        """A compliance lock can only get longer, so it is asked for once."""
        if version.name not in self._locked:
            until = self._store.facts(version).locked_until(now)
            if until is None:
                return None
            self._locked[version.name] = until
        until = self._locked[version.name]
        return until if until > now else None

    def _versions(self) -> tuple[StoredVersion, ...]:
        return self._store.versions(f"{self._prefix}/")

    def _instant(self, versions: Iterable[StoredVersion]) -> datetime | None:
        settled = self._settled
        if settled is None:
            return None
        hidden = [
            version.hidden
            for version in versions
            if version.id != UNVERSIONED and version.hidden is not None and version.hidden >= settled
        ]
        return min(hidden) - TICK if hidden else None

    def _visible(self) -> dict[str, StoredVersion]:
        """What is there, or was there at the instant; by name."""
        versions = self._versions()
        at = self._instant(versions)
        return {
            version.key.removeprefix(f"{self._prefix}/"): version
            for version in versions
            if (version.hidden is None if at is None else _was_there(version, at))
        }


def _was_there(version: StoredVersion, at: datetime) -> bool:
    return version.modified <= at and (version.hidden is None or version.hidden > at)
