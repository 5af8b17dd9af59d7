"""Brings up the replica of a service: its data directory, its server, its schema."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from harness.errors import DatabaseError, ProvisionError, ScenarioFileError, StatementError
from harness.facts import Endpoint, Lease
from harness.replicas.leases import note_place
from harness.replicas.placement import spread_out
from harness.replicas.postgres.cluster import ClusterRefusedError, clone_cluster, discard_cluster, set_up
from harness.replicas.postgres.hydration import hydrate
from harness.replicas.postgres.roles import OWNER, database_name, grants_on, mint_credentials
from harness.replicas.postgres.server import PORT_TRIES, PortTakenError, Server, ServerExitedError, Serving
from harness.replicas.postgres.session import session
from harness.sandbox import LOOPBACK
from harness.scenario.models import PostgresService
from harness.seams.drivers import Setting

DATA = "pgdata"
START_SECONDS = 60.0


def provision(
    lease: Lease, spec: PostgresService, setting: Setting, choose_port: Callable[[], int]
) -> Serving:
    """Bring up a server with the service's roles and database, and its schema or its data.

    Args:
        lease: of the replica.
        spec: the service as the stack has it.
        setting: what it is provisioned into.
        choose_port: gives a port for each try.

    Raises:
        ProvisionError: no place, no port, a grant that PostgreSQL does not take.
        ScenarioFileError: a schema that PostgreSQL does not take.
        DumpError: a backup file that brings nothing back.
        MissingToolError: the wheel with the server is not installed.
    """
    place = Endpoint(
        lease=lease,
        kind=spec.kind,
        host=LOOPBACK,
        port=0,
        name=database_name(lease.service),
        environment=spec.environment,
        path=_data_directory(lease, spec, setting),
        credentials=mint_credentials(grants_on(setting.stack, lease.service)),
    )
    lease.directory.mkdir(parents=True, exist_ok=True)
    lease.directory.chmod(0o711)
    if spec.volume is not None:
        note_place(lease, place.path)
        place.path.parent.mkdir(parents=True, exist_ok=True)
    spread_out(place.path.parent)
    serving = _bring_up(place, spec, setting, choose_port)
    if spec.schema_ is not None:
        _create_schema(serving.endpoint, setting.folder / spec.schema_)
    if spec.data is not None:
        dump = (setting.folder / spec.data.dump).absolute()
        hydrate(serving.endpoint, dump, setting.sandbox, setting.clock)
    return serving


def _data_directory(lease: Lease, spec: PostgresService, setting: Setting) -> Path:
    """In the lease's directory, on a volume, ``<volumes>/<environment>/<volume>/pgdata``, or on an RDS
    instance, ``<instances>/<identifier>/pgdata``."""
    if spec.volume is None:
        return lease.directory / DATA
    plane, _, volume = spec.volume.partition("/")
    peer = setting.peers.get(plane)
    if peer is not None and peer.kind == "aws":
        return peer.path / volume / DATA
    if peer is None or not volume or spec.environment is None:
        raise ProvisionError(
            f"{lease.service} cannot lie on the volume {spec.volume!r} in the environment {spec.environment}",
            hint="`volume` is <railway service>/<volume>, and the service needs an `environment`",
        )
    return peer.path / spec.environment / volume / DATA


def _bring_up(
    place: Endpoint, spec: PostgresService, setting: Setting, choose_port: Callable[[], int]
) -> Serving:
    try:
        return _serve_copy(place, spec, setting, choose_port)
    except ClusterRefusedError:
        # Little can be wrong with a fresh copy but what it was copied from.
        discard_cluster(setting.sandbox)
        shutil.rmtree(place.path)
    return _serve_copy(place, spec, setting, choose_port)


def _serve_copy(
    place: Endpoint, spec: PostgresService, setting: Setting, choose_port: Callable[[], int]
) -> Serving:
    _lay_out(place, setting)
    server = Server(place.lease, place.path, spec.fsync, setting.sandbox, setting.clock)
    try:
        return server.serve(place, choose_port, timeout=START_SECONDS)
    except PortTakenError as error:
        raise ProvisionError(
            f"{PORT_TRIES} ports in a row, {error} the last, were taken before {place.service} had them",
            hint="something takes every free port on this machine; end it and run the drill again",
        ) from error
    except ServerExitedError as error:
        raise ClusterRefusedError(
            f"the server of {place.service} does not start: {error}",
            hint="see what its log says; `ninelives doctor` checks the machine",
        ) from error
    except DatabaseError as error:
        raise ProvisionError(error.message, hint=error.hint) from error


def _lay_out(place: Endpoint, setting: Setting) -> None:
    if place.path.exists() and any(place.path.iterdir()):
        raise ProvisionError(
            f"there are files in {place.path} already", hint="end the run they belong to: `ninelives sweep`"
        )
    clone_cluster(setting.sandbox, place.path)
    grants = grants_on(setting.stack, place.service)
    set_up(setting.sandbox, place.path, place.name, place.credentials, grants)


def _create_schema(endpoint: Endpoint, file: Path) -> None:
    """Run the schema file as the group that owns the data, so that its members can drop what it makes."""
    try:
        script = file.read_text(encoding="utf-8")
        with session(endpoint) as connection:
            connection.execute(f"SET ROLE {OWNER}")
            connection.execute(script)
    except StatementError as error:
        line = f":{error.line}" if error.line else ""
        raise ScenarioFileError(
            f"{file}{line}: the database refuses the schema of {endpoint.service}: {error.reason}",
            hint="it must be plain SQL that the owner of a database may run; no psql commands",
        ) from error
    except (OSError, UnicodeDecodeError, DatabaseError) as error:
        message = error.message if isinstance(error, DatabaseError) else error
        raise ProvisionError(
            f"the schema {file} of {endpoint.service} cannot be created: {message}",
            hint="it must be plain SQL that the owner of a database may run; no psql commands",
        ) from error
