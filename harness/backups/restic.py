"""``pg_dump`` piped into a restic repository in an S3 service.

The repository is encrypted with a password of the run, which no file and no argument holds. It is read as
it lies in the bucket, without a cache of its own, so that what is gone from there is gone.

A pipe hides that its first end has failed: restic stores whatever has come until then. So a snapshot counts
only when ``pg_dump`` has ended well, and is forgotten when it has not.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter

from harness.backups.object_store import StoredVersion, store_of
from harness.backups.piping import End, pipe
from harness.backups.programs import Printed, installed, refuse_failure
from harness.backups.schedule import coming, every
from harness.errors import BackupError, Failure, RestoreError
from harness.facts import OPERATOR, Endpoint, RecoveryPoint, Secret
from harness.scenario.models import Protection, Restic
from harness.seams.drivers import Due, PartTimer, Setting, Store, Vessel
from harness.seams.postgres_tools import binary, connection_environment, connection_options
from harness.seams.s3_client import REGION

PROGRAM = "restic"
INSTALL = "install it: apt-get install restic, brew install restic, or see https://restic.net"
CONFIG = "config"
SHORT_SECONDS = 120.0
"""For a command that reads no content. restic goes on asking a store that does not answer for a quarter of
an hour."""

UNOPENABLE = re.compile(
    "no key found|wrong password|unable to open config|config cannot be loaded|Is there a repository"
)
RETRYING = re.compile(r"returned error, retrying after [^\n]*\n")
"""restic asks again for what is gone or cut short, for a quarter of an hour; a replica's store has no bad
moments."""

HINT = "see what it says; does the server still run, and is the bucket still there?"
OLDER = "an older snapshot may be whole; `restic check` tells what the repository lacks"


class Snapshot(Printed):
    """A snapshot as ``restic snapshots --json`` lists it."""

    id: str
    time: datetime
    paths: tuple[str, ...]


SNAPSHOTS: TypeAdapter[tuple[Snapshot, ...]] = TypeAdapter(tuple[Snapshot, ...])


class ResticTool:
    """Dumps in a restic repository, every ``every``, of which the newest ``keep`` are kept.

    Args:
        name: of the protection; its repository lies below that prefix.
        protection: of tool ``restic``.
        source: the service that is dumped.
        store: how to restore into it; not needed.
        setting: has the S3 service among its peers.

    Raises:
        BackupError: a snapshot could not be taken, or the repository not be listed.
        RestoreError: a snapshot is gone, a pack of the repository is missing or damaged, or ``pg_restore``
            refuses what comes out.
        MissingToolError: restic, or PostgreSQL's client programs, are not installed.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        del store
        if not isinstance(protection, Restic):
            raise BackupError(
                f"the protection {name} is not one of tool restic",
                hint="a protection with `tool: restic` has `of`, `to`, `every` and `keep`",
            )
        self._name = name
        self._protection = protection
        self._source = source
        self._setting = setting
        self._store = store_of(protection.to, setting)
        self._place = setting.peers[protection.to]
        self._program = installed(PROGRAM, INSTALL)

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The newest ``keep`` of the last ``span``; see ``schedule.every``."""
        label = f"snapshot of {self._source.service}"
        return every(self._protection.every, self._protection.keep, now, span, label)

    def take(self, due: Due) -> RecoveryPoint:
        """Dump the service as it is now into a snapshot dated ``due.at``."""
        if not self._is_there(self._objects()):
            self._run(["init"], BackupError)
        dump = End(
            [
                binary("pg_dump"),
                *connection_options(self._source),
                # restic packs and shares what does not change, which it cannot see in what is packed already.
                *("--format=custom", "--compress=0", f"--dbname={self._source.name}"),
            ],
            connection_environment(self._source),
        )
        date = due.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        options = ["backup", "--stdin", f"--stdin-filename={self._file}", f"--time={date}", "--json"]
        keep = End(self._command([*options, f"--host={self._source.service}"]), self._environment())
        piped = pipe(self._setting.sandbox, self._setting.clock, dump, keep, BackupError, HINT)
        taken = _snapshot_id(piped.output)
        if piped.complaint or taken is None:
            if taken is not None:
                self._run(["forget", taken], BackupError)
            raise BackupError(
                f"no snapshot of {self._source.service}: {piped.complaint or 'restic names none'}", hint=HINT
            )
        for point in self.points():
            if point.location.startswith(taken):  # restic before 0.15 tells eight digits
                return point
        raise BackupError(
            f"the snapshot {taken} cannot be found again in {self._protection.to}",
            hint="something deletes what is written there; look at its lifecycle rules",
        )

    def coming(self, present: datetime, since: datetime, until: datetime) -> tuple[Due, ...]:
        """One every ``every``; see ``schedule.coming``."""
        label = f"snapshot of {self._source.service}"
        return coming(self._protection.every, present, since, until, label)

    def expire(self, now: datetime, *, taken: bool) -> None:
        """Have restic forget all but the newest ``keep``, and remove what only those needed."""
        del now
        if taken and len(self.points()) > self._protection.keep:
            keep = f"--keep-last={self._protection.keep}"
            self._run(["forget", keep, "--group-by=", "--prune"], BackupError)

    def start(self) -> None:
        """Nothing runs all the time."""

    def stop(self) -> None:
        """Nothing to end."""

    def points(self) -> tuple[RecoveryPoint, ...]:
        """Every snapshot that the repository lists, newest first; none when it cannot be opened any more."""
        objects = self._objects()
        if not self._is_there(objects):
            return ()
        ran = self._call(["snapshots", "--json", "--no-lock"])
        if ran.returncode != 0 and UNOPENABLE.search(ran.stderr):
            return ()
        refuse_failure(ran, "restic snapshots", BackupError, HINT)
        doomed = self._store.doom().at(objects)
        size = sum(version.size for version in objects)
        found = [self._point(snapshot, size, doomed) for snapshot in SNAPSHOTS.validate_json(ran.stdout)]
        return tuple(sorted(found, key=lambda point: point.covers_until, reverse=True))

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Start an empty server, and pipe the snapshot's dump into ``pg_restore``, as one transaction."""
        mark("provision")
        endpoint = into.start()
        mark("restore")
        dump = End(
            self._command(["dump", "--no-lock", point.location, f"/{self._file}"]),
            self._environment(),
            hopeless=RETRYING,
        )
        load = End(
            [
                binary("pg_restore"),
                *connection_options(endpoint),
                *("--exit-on-error", "--single-transaction", f"--dbname={endpoint.name}"),
            ],
            connection_environment(endpoint),
        )
        piped = pipe(self._setting.sandbox, self._setting.clock, dump, load, RestoreError, OLDER)
        if piped.complaint:
            raise RestoreError(
                f"the snapshot {point.location[:8]} cannot be restored: {piped.complaint}", hint=OLDER
            )
        return endpoint

    def _point(self, snapshot: Snapshot, size: int, doomed: datetime | None) -> RecoveryPoint:
        taken = snapshot.time.astimezone(UTC)
        return RecoveryPoint(
            id=f"{self._name}/{snapshot.id}",
            protection=self._name,
            service=self._source.service,
            kind="dump",
            taken=taken,
            covers_until=taken,
            place=self._protection.to,
            location=snapshot.id,
            size=size,
            doomed_at=doomed,
        )

    @property
    def _file(self) -> str:
        return f"{self._source.service}.dump"

    def _objects(self) -> tuple[StoredVersion, ...]:
        """The objects that restic sees: those that are not hidden."""
        return tuple(each for each in self._store.versions(f"{self._name}/") if each.hidden is None)

    def _is_there(self, objects: Iterable[StoredVersion]) -> bool:
        return any(each.key == f"{self._name}/{CONFIG}" for each in objects)

    def _environment(self) -> dict[str, str]:
        """Where the repository is, and everything that opens it."""
        access = self._place.credentials[OPERATOR]
        return {
            "RESTIC_REPOSITORY": f"s3:{self._place.url}/{self._place.name}/{self._name}",
            "RESTIC_PASSWORD": self._password().reveal(),
            "AWS_ACCESS_KEY_ID": access.name,
            "AWS_SECRET_ACCESS_KEY": access.secret.reveal(),
            "AWS_DEFAULT_REGION": REGION,
        }

    def _password(self) -> Secret:
        """Made from a credential of the run, so that whoever acts for the team comes to the same one."""
        secret = self._place.credentials[OPERATOR].secret.reveal().encode()
        return Secret(hmac.digest(secret, f"restic {self._name}".encode(), hashlib.sha256).hex())

    def _command(self, options: Sequence[str]) -> list[str | Path]:
        return [self._program, "--no-cache", "--option=s3.bucket-lookup=path", *options]

    def _call(self, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return self._setting.sandbox.call(
            self._command(options),
            environment=self._environment(),
            timeout=SHORT_SECONDS,
            failure=BackupError,
        )

    def _run(self, options: Sequence[str], failure: Failure) -> str:
        ran = self._call(options)
        refuse_failure(ran, f"restic {options[0]}", failure, HINT)
        return ran.stdout


def _snapshot_id(output: str) -> str | None:
    """The id that ``restic backup --json`` ends with; None when it made no snapshot."""
    for line in reversed(output.splitlines()):
        if '"snapshot_id"' in line:
            return str(json.loads(line)["snapshot_id"])
    return None
