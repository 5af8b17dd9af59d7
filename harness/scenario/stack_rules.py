"""What must be true of a stack as a whole: names that exist, grants that fit, places that are not shared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from harness.facts import APPLICATION, OPERATOR, SECOND_PERSON, WORKSPACE_SUFFIX
from harness.scenario.models import (
    Archive,
    AwsBackup,
    AwsService,
    CommandBackup,
    ContainerService,
    DualControl,
    Dumps,
    EbsSnapshots,
    Isolation,
    Lock,
    MariadbService,
    Objectives,
    PgBackRest,
    PolicyGrant,
    PostgresPitr,
    PostgresService,
    RailwayService,
    RailwayVolumeBackup,
    RdsSnapshots,
    Restic,
    S3Replication,
    S3Service,
    S3Versions,
    Stack,
    TokenGrant,
    VolumeService,
    VolumeSnapshot,
)
from harness.scenario.positions import KeyPath
from harness.scenario.problems import BUILT_IN, Finding, Known, nearest

CONFIRMING = ("railway",)
"""Kinds of service whose replica can have a deletion confirmed."""

RESERVED = (OPERATOR, SECOND_PERSON, APPLICATION)
ROLES = {
    "postgres": ("owner", "writer", "reader"),
    "mariadb": ("owner", "writer", "reader", "admin"),
    "s3": ("admin", "writer", "reader"),
    "volume": ("writer", "reader"),
    "git": ("writer", "reader"),
    "valkey": ("owner", "writer", "reader"),
    "container": ("admin",),
}
HOLDING_VOLUMES = ("railway", "aws", "volume")
"""The kinds of service that the data of a database can lie on."""

SQL = ("postgres", "mariadb")
"""The kinds of service that speak SQL."""

ITEMS = ("volume", "valkey", "git", "s3", "container")
"""The kinds of service that hold items."""

SOURCES: Mapping[str, str | Sequence[str]] = {
    "railway-volume-backup": "postgres",
    "rds-snapshots": "postgres",
    "ebs-snapshots": "postgres",
    "aws-backup": "postgres",
    "pg_dump": "postgres",
    "postgres-pitr": "postgres",
    "pgbackrest": "postgres",
    "delayed-replica": "postgres",
    "restic": "postgres",
    "command": ("postgres", "container"),
    "archive": "volume",
    "volume-snapshot": "volume",
    "valkey-rdb": "valkey",
    "valkey-aof": "valkey",
    "git-bundle": "git",
    "mariadb-dump": "mariadb",
    "mariadb-binlogs": "mariadb",
    "s3-versions": "s3",
    "s3-replication": "s3",
}
"""The kind of service that each backup tool is for."""


def stack_findings(stack: Stack, known: Known) -> tuple[Finding, ...]:
    """Every defect of a stack that its models cannot see."""
    return tuple(finding for rule in RULES for finding in rule(stack, known))


def environments(stack: Stack) -> tuple[str, ...]:
    """The environments that there are."""
    return tuple(
        dict.fromkeys(
            name
            for service in stack.services.values()
            for name in (
                service.environments
                if isinstance(service, RailwayService | AwsService)
                else (service.environment,)
                if service.environment
                else ()
            )
        )
    )


def services_of(stack: Stack, *kinds: str) -> tuple[str, ...]:
    """The names of the services of some kinds."""
    return tuple(name for name, service in stack.services.items() if service.kind in kinds)


def wrong_service(stack: Stack, name: str, kinds: str | Sequence[str], path: KeyPath) -> Iterator[Finding]:
    """A reference to a service that is not there, or is of another kind."""
    fitting = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    there, wanted = services_of(stack, *fitting), " or ".join(fitting)
    hint = nearest(name, there, f"add one of kind {wanted}")
    if name not in stack.services:
        yield Finding(path, f"no service is called {name!r}", hint)
    elif name not in there:
        found = stack.services[name].kind
        yield Finding(path, f"{name!r} is of kind {found}; only {wanted} fits here", hint)


def repeated(names: Sequence[str], path: KeyPath) -> Iterator[Finding]:
    """Each name that stands in a list twice, at its second place."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Finding((*path, index), f"{name!r} stands here twice", "keep one of the two")
        seen.add(name)


# --- services ---------------------------------------------------------------------------------------


def _service_names(stack: Stack, _: Known) -> Iterator[Finding]:
    for name in stack.services:
        if name.endswith(WORKSPACE_SUFFIX):
            yield Finding(
                ("services", name),
                f"names that end in {WORKSPACE_SUFFIX!r} belong to the workspaces of principals",
                f"call it {name.removesuffix(WORKSPACE_SUFFIX)!r}",
                of_key=True,
            )


def _environments(stack: Stack, _: Known) -> Iterator[Finding]:
    planes = [service for service in stack.services.values() if isinstance(service, RailwayService)]
    declared = [
        name
        for service in stack.services.values()
        if isinstance(service, RailwayService | AwsService)
        for name in service.environments
    ]
    for name, service in stack.services.items():
        if isinstance(service, RailwayService | AwsService):
            yield from repeated(service.environments, ("services", name, "environments"))
        elif planes and service.environment is not None and service.environment not in declared:
            yield Finding(
                ("services", name, "environment"),
                f"no railway service has an environment {service.environment!r}",
                nearest(service.environment, declared),
            )


def _volumes(stack: Stack, _: Known) -> Iterator[Finding]:
    taken: dict[tuple[str, str | None], str] = {}
    for name, service in stack.services.items():
        if not isinstance(service, PostgresService) or service.volume is None:
            continue
        path: KeyPath = ("services", name, "volume")
        owner, place = service.volume.split("/")
        holder = stack.services.get(owner)
        alone = isinstance(holder, AwsService | VolumeService)
        yield from wrong_service(stack, owner, HOLDING_VOLUMES, path)
        if isinstance(holder, VolumeService) and place in holder.collections:
            message = f"{place!r} is a collection of {owner!r}, full of its items"
            yield Finding(path, message, "name another folder of it")
        if service.environment is None and not alone:
            yield Finding(
                ("services", name, "environment"),
                "missing: a volume has one instance in each environment",
                "say in which environment this service stands",
                of_key=True,
            )
            continue
        other = taken.setdefault((service.volume, None if alone else service.environment), name)
        if other != name:
            where = "" if alone else f" in {service.environment!r}"
            yield Finding(
                path,
                f"{other!r} lies on this volume{where} already",
                f"give each service a volume{'' if alone else ' or an environment'} of its own",
            )


def _drivers(stack: Stack, known: Known) -> Iterator[Finding]:
    built_in = BUILT_IN.of("replicas")
    others = [name for name in known.of("replicas") if name not in built_in]
    for name, service in stack.services.items():
        if not isinstance(service, PostgresService):
            continue
        path: KeyPath = ("services", name, "driver")
        if service.driver is None and service.settings:
            message = "missing: the built-in driver takes no settings"
            yield Finding(path, message, "name the driver that they are for", of_key=True)
        elif service.driver in built_in:
            message = f"{service.driver!r} is built in; only drivers of other packages are named here"
            yield Finding(path, message, "leave it out")
        elif service.driver is not None and service.driver not in others:
            hint = nearest(service.driver, others, "install the package that has it")
            yield Finding(path, f"no package offers a driver {service.driver!r}", hint)


def _schema_or_data(stack: Stack, _: Known) -> Iterator[Finding]:
    for name, service in stack.services.items():
        if not isinstance(service, PostgresService | MariadbService):
            continue
        if service.schema_ is not None and service.data is not None:
            yield Finding(
                ("services", name, "data"),
                "stands in place of schema, and both are there",
                "leave one out: a dump brings its own schema",
                of_key=True,
            )


def _rds_instances(stack: Stack, _: Known) -> Iterator[Finding]:
    bound = {service.volume for service in stack.services.values() if isinstance(service, PostgresService)}
    for name, service in stack.services.items():
        for instance in service.databases if isinstance(service, AwsService) else ():
            if f"{name}/{instance}" not in bound:
                yield Finding(
                    ("services", name, "databases", instance),
                    "no postgres service lies on this RDS instance",
                    f"give one of them `volume: {name}/{instance}`",
                    of_key=True,
                )


def _waits(stack: Stack, _: Known) -> Iterator[Finding]:
    for name, service in stack.services.items():
        wait = service.wait if isinstance(service, ContainerService) else None
        if wait is None or not isinstance(service, ContainerService):
            continue
        path: KeyPath = ("services", name, "wait")
        given = [key for key in ("log", "listens", "http", "command") if getattr(wait, key) is not None]
        if len(given) != 1:
            message = f"says {len(given)} conditions: {', '.join(given)}" if given else "says no condition"
            yield Finding(path, message, "name one of log, listens, http and command")
        if wait.listens is not None and wait.listens not in service.ports:
            message = f"{wait.listens} is none of its ports"
            yield Finding((*path, "listens"), message, f"add it: ports: [{wait.listens}]")
        if wait.http is not None and not service.ports:
            message = "missing: what is asked over HTTP has a port"
            yield Finding(("services", name, "ports"), message, "write ports: [8080]", of_key=True)


def _items_of_containers(stack: Stack, _: Known) -> Iterator[Finding]:
    """What a drill needs of a service of which it knows nothing."""
    for name, service in stack.services.items():
        if not isinstance(service, ContainerService) or not service.collections:
            continue
        missing = {"items": "tells what is in its collections", "ports": "is how its clients find it"}
        for key, why in missing.items():
            if not getattr(service, key):
                hint = "write items: [sh, -c, ...]" if key == "items" else "write ports: [8080]"
                yield Finding(("services", name, key), f"missing: it {why}", hint, of_key=True)
        if service.delete is not None and service.get is None:
            message = "missing: what is deleted is looked at first"
            yield Finding(("services", name, "get"), message, "write get: [sh, -c, ...]", of_key=True)


def _object_locks(stack: Stack, _: Known) -> Iterator[Finding]:
    for name, service in stack.services.items():
        if isinstance(service, S3Service) and service.object_lock and not service.versioning:
            yield Finding(
                ("services", name, "versioning"),
                "object_lock, which is on unless it is switched off, needs versioning",
                "write object_lock: false too, or leave versioning on",
            )
        if isinstance(service, S3Service) and service.lock is not None:
            yield from _bucket_lock(service, service.lock, ("services", name, "lock"))


def _bucket_lock(service: S3Service, lock: Lock, path: KeyPath) -> Iterator[Finding]:
    """A lock that a bucket cannot give to whatever is put into it."""
    if not service.object_lock:
        yield Finding(path, "this bucket has object_lock switched off", "leave object_lock on")
    if lock.for_ % timedelta(days=1):
        yield Finding((*path, "for"), "a bucket locks for whole days", "write for: 1d, or more days")


# --- principals -------------------------------------------------------------------------------------


def _principal_names(stack: Stack, _: Known) -> Iterator[Finding]:
    for name in stack.principals:
        if name in RESERVED:
            yield Finding(
                ("principals", name),
                f"{name!r} is an identity of the harness",
                f"choose another name; {OPERATOR} runs backups, {APPLICATION} is the workload, "
                f"{SECOND_PERSON} confirms deletions",
                of_key=True,
            )


def _grants(stack: Stack, _: Known) -> Iterator[Finding]:
    for name, principal in stack.principals.items():
        for service, grant in principal.grants.items():
            path: KeyPath = ("principals", name, "grants", service)
            if service not in stack.services:
                message = f"no service is called {service!r}"
                yield Finding(path, message, nearest(service, stack.services), of_key=True)
            elif isinstance(grant, TokenGrant):
                yield from _token(stack, service, grant, path)
            elif isinstance(grant, PolicyGrant):
                yield from _policy(stack, service, grant, path)
            else:
                yield from _role(stack, service, grant, path)


def _role(stack: Stack, service: str, role: str, path: KeyPath) -> Iterator[Finding]:
    kind = stack.services[service].kind
    if kind == "railway":
        hint = "write {token: account}, {token: workspace} or {token: project, environment: ...}"
        yield Finding(path, f"a railway service takes a token, not {role!r}", hint)
    elif kind == "aws":
        hint = "write {policy: [{Effect: Allow, Action: 'rds:Describe*'}]}"
        yield Finding(path, f"an aws service takes an IAM policy, not {role!r}", hint)
    elif kind in ROLES and role not in ROLES[kind]:
        yield Finding(path, f"{role!r} is no role on {kind}", f"there are: {', '.join(ROLES[kind])}")


def _policy(stack: Stack, service: str, grant: PolicyGrant, path: KeyPath) -> Iterator[Finding]:
    kind = stack.services[service].kind
    if kind in (*ROLES, "railway"):
        hint = f"write one of: {', '.join(ROLES[kind])}" if kind in ROLES else "write {token: ...}"
        yield Finding(path, f"only aws services take IAM policies, and {service!r} is of kind {kind}", hint)
    for index, statement in enumerate(grant.policy):
        if (statement.action is None) == (statement.not_action is None):
            message = "a statement has either Action or NotAction"
            yield Finding((*path, "policy", index), message, "write Action: 'rds:*', or the actions you mean")


def _token(stack: Stack, service: str, grant: TokenGrant, path: KeyPath) -> Iterator[Finding]:
    plane = stack.services[service]
    if isinstance(plane, AwsService):
        hint = "write {policy: [{Effect: Allow, Action: 'rds:Describe*'}]}"
        yield Finding(path, "an aws service takes an IAM policy, no token", hint)
    if plane.kind in ROLES:
        yield Finding(
            path, f"{plane.kind} has roles, no tokens", f"write one of: {', '.join(ROLES[plane.kind])}"
        )
    if not isinstance(plane, RailwayService):
        return
    if grant.token == "project" and grant.environment is None:  # noqa: S105 - a kind of token, not one
        message = "missing: a project token reaches one environment"
        hint = f"write one of: {', '.join(plane.environments)}"
        yield Finding((*path, "environment"), message, hint, of_key=True)
    elif grant.environment is not None and grant.token != "project":  # noqa: S105
        message = f"{grant.token} tokens are not bound to an environment"
        yield Finding((*path, "environment"), message, "leave it out, or write token: project")
    elif grant.environment is not None and grant.environment not in plane.environments:
        message = f"{service!r} has no environment {grant.environment!r}"
        yield Finding((*path, "environment"), message, nearest(grant.environment, plane.environments))
    if grant.allow and grant.token != "scoped":  # noqa: S105
        yield Finding((*path, "allow"), "only scoped tokens are limited to operations", "write token: scoped")
    if not grant.allow and grant.token == "scoped":  # noqa: S105
        message = "missing: a scoped token can do nothing but this"
        hint = "write operations such as [customDomainCreate]"
        yield Finding((*path, "allow"), message, hint, of_key=True)


# --- protections ------------------------------------------------------------------------------------


def _sources(stack: Stack, _: Known) -> Iterator[Finding]:
    for name, protection in stack.protections.items():
        path: KeyPath = ("protections", name, "of")
        if protection.tool in SOURCES:
            yield from wrong_service(stack, protection.of, SOURCES[protection.tool], path)
        elif protection.of not in stack.services:
            message = f"no service is called {protection.of!r}"
            yield Finding(path, message, nearest(protection.of, stack.services))
        if isinstance(protection, RailwayVolumeBackup):
            yield from repeated(protection.schedule, ("protections", name, "schedule"))
            service = stack.services.get(protection.of)
            if isinstance(service, PostgresService):
                yield from _not_on_railway(stack, protection.of, service.volume, path)
        if isinstance(protection, RdsSnapshots | EbsSnapshots | AwsBackup):
            yield from _in_account(stack, protection, path)
        if isinstance(protection, AwsBackup):
            yield from _vault(stack, protection, ("protections", name))
        if isinstance(protection, Archive | VolumeSnapshot):
            yield from _under_a_server(stack, protection.of, path)
        if isinstance(protection, PgBackRest):
            yield from _archived_twice(stack, name, protection, path)


def _under_a_server(stack: Stack, volume: str, path: KeyPath) -> Iterator[Finding]:
    """Copies of a volume while a server writes to it, which no server need start from."""
    databases = [
        repr(name)
        for name, service in stack.services.items()
        if isinstance(service, PostgresService) and (service.volume or "").partition("/")[0] == volume
    ]
    if databases:
        message = (
            f"a server writes to {volume!r} all the while, {', '.join(databases)}: no copy of it is whole"
        )
        yield Finding(path, message, "back databases up with a tool for postgres; give files another volume")


def _archived_twice(stack: Stack, name: str, protection: PgBackRest, path: KeyPath) -> Iterator[Finding]:
    """A server has one command that archives its log."""
    others = [
        other
        for other, model in stack.protections.items()
        if isinstance(model, PgBackRest) and model.of == protection.of
    ]
    if others[0] != name:
        message = f"{protection.of!r} archives its log already, for {others[0]!r}"
        yield Finding(path, message, "a server has one pgBackRest repository; copy it with another tool")


def _not_on_railway(stack: Stack, name: str, volume: str | None, path: KeyPath) -> Iterator[Finding]:
    """A service whose volume Railway does not back up."""
    if volume is None:
        hint = f"give services.{name} a volume, or use another tool"
        yield Finding(path, f"{name!r} lies on no volume", hint)
        return
    holder = stack.services.get(volume.partition("/")[0])
    if isinstance(holder, AwsService | VolumeService):
        message = f"{name!r} lies on a service of kind {holder.kind}, which Railway does not back up"
        yield Finding(path, message, "use another tool")


def _destinations(stack: Stack, _: Known) -> Iterator[Finding]:
    for name, protection in stack.protections.items():
        if isinstance(protection, CommandBackup) and protection.to not in stack.services:
            message = f"no service is called {protection.to!r}"
            yield Finding(("protections", name, "to"), message, nearest(protection.to, stack.services))
        if isinstance(protection, Restic):
            yield from wrong_service(stack, protection.to, "s3", ("protections", name, "to"))
        if isinstance(protection, VolumeSnapshot) and protection.to is not None:
            yield from wrong_service(stack, protection.to, "volume", ("protections", name, "to"))
        if isinstance(protection, S3Replication):
            yield from _two_buckets(stack, protection, ("protections", name))
        if isinstance(protection, S3Versions | S3Replication):
            yield from _keeps_versions(stack, protection.of, ("protections", name, "of"))
        if not isinstance(protection, Dumps | PostgresPitr | PgBackRest | S3Replication):
            continue
        bucket = stack.services.get(protection.to)
        if isinstance(protection, PgBackRest) and isinstance(bucket, VolumeService):
            if protection.lock:
                yield Finding(
                    ("protections", name, "lock"),
                    f"{protection.to!r} is a volume, and files cannot be locked",
                    "keep the repository on a service of kind s3, or leave the lock out",
                )
            continue
        yield from wrong_service(stack, protection.to, "s3", ("protections", name, "to"))
        if protection.lock and isinstance(bucket, S3Service) and not bucket.object_lock:
            yield Finding(
                ("protections", name, "lock"),
                f"{protection.to!r} has object_lock switched off",
                f"leave object_lock of services.{protection.to} on",
            )


def _two_buckets(stack: Stack, protection: S3Replication, path: KeyPath) -> Iterator[Finding]:
    """A copy of a bucket in itself, or where a later copy would end the one before."""
    if protection.to == protection.of:
        yield Finding((*path, "to"), f"{protection.to!r} is what is copied", "name another s3 service")
    yield from _keeps_versions(stack, protection.to, (*path, "to"))


def _keeps_versions(stack: Stack, name: str, path: KeyPath) -> Iterator[Finding]:
    bucket = stack.services.get(name)
    if isinstance(bucket, S3Service) and not bucket.versioning:
        message = f"{name!r} has versioning switched off"
        yield Finding(path, message, f"leave versioning of services.{name} on")


def _in_account(
    stack: Stack, protection: RdsSnapshots | EbsSnapshots | AwsBackup, path: KeyPath
) -> Iterator[Finding]:
    """A database that AWS cannot take copies of."""
    service = stack.services.get(protection.of)
    if not isinstance(service, PostgresService):
        return
    name, _, lodging = (service.volume or "").partition("/")
    account = stack.services.get(name)
    on_volume = isinstance(account, AwsService) and lodging in account.volumes
    wanted = {"rds-snapshots": "RDS instance", "ebs-snapshots": "EBS volume"}.get(protection.tool)
    fits = wanted is None or on_volume == (wanted == "EBS volume")
    if not isinstance(account, AwsService) or not fits:
        hint = f"give services.{protection.of} a volume: <aws service>/<name>"
        if wanted == "EBS volume":
            hint += ", and list the name under volumes of the aws service"
        message = f"{protection.of!r} lies on no {wanted or 'RDS instance or EBS volume'}"
        yield Finding(path, message, hint)


def _vault(stack: Stack, protection: AwsBackup, path: KeyPath) -> Iterator[Finding]:
    """A vault that is not there."""
    service = stack.services.get(protection.of)
    home = service.volume if isinstance(service, PostgresService) else None
    if protection.to is not None:
        yield from wrong_service(stack, protection.to, "aws", (*path, "to"))
    place = protection.to or (home or "").partition("/")[0]
    account = stack.services.get(place)
    if isinstance(account, AwsService) and protection.vault not in account.vaults:
        message = f"{place!r} has no vault {protection.vault!r}"
        yield Finding((*path, "vault"), message, nearest(protection.vault, account.vaults, "add it"))


# --- guards -----------------------------------------------------------------------------------------

PATCHABLE = ("services", "principals", "protections")


def _guard_patches(stack: Stack, _: Known) -> Iterator[Finding]:
    for name, guard in stack.guards.items():
        path: KeyPath = ("guards", name, "patch")
        for key in guard.patch:
            if key not in PATCHABLE:
                yield Finding(
                    (*path, key),
                    f"a guard changes the stack, and {key!r} is no part of it",
                    nearest(key, PATCHABLE),
                    of_key=True,
                )


# --- objectives -------------------------------------------------------------------------------------


def _objectives(stack: Stack, known: Known) -> Iterator[Finding]:
    yield from objective_findings(stack.objectives, stack, known)


def objective_findings(objectives: Objectives, stack: Stack, known: Known) -> Iterator[Finding]:
    """Objectives that nobody judges, or about what is not in the stack."""
    if objectives.isolation is not None:
        yield from _isolation(objectives.isolation, stack)
    if objectives.audit_trail is not None:
        principal = objectives.audit_trail.principal
        yield from wrong_principal(stack, principal, ("objectives", "audit-trail", "principal"))
    if objectives.dual_control is not None:
        yield from _dual_control(objectives.dual_control, stack)
    for name in objectives.other:
        if name in Known().objectives:
            message = f"{name!r} is built in and has a key of its own"
            yield Finding(("objectives", "other", name), message, f"write objectives.{name}", of_key=True)
        elif name not in known.objectives:
            message = f"unknown objective {name!r}"
            yield Finding(
                ("objectives", "other", name), message, nearest(name, known.objectives), of_key=True
            )


def _isolation(isolation: Isolation, stack: Stack) -> Iterator[Finding]:
    path: KeyPath = ("objectives", "isolation")
    yield from wrong_principal(stack, isolation.principal, (*path, "principal"))
    yield from repeated(isolation.may_touch, (*path, "may_touch"))
    reachable = {*environments(stack), *stack.services}
    for index, name in enumerate(isolation.may_touch):
        if name not in reachable:
            yield Finding(
                (*path, "may_touch", index),
                f"no environment and no service is called {name!r}",
                nearest(name, reachable),
            )


def _dual_control(asked: DualControl, stack: Stack) -> Iterator[Finding]:
    path: KeyPath = ("objectives", "dual-control")
    service, principal = stack.services.get(asked.service), stack.principals.get(asked.principal)
    yield from wrong_principal(stack, asked.principal, (*path, "principal"))
    yield from repeated(asked.calls, (*path, "calls"))
    if service is not None and service.kind not in CONFIRMING:
        kinds = " or ".join(CONFIRMING)
        yield Finding(
            (*path, "service"),
            f"{asked.service!r} is of kind {service.kind}, which has nobody to confirm a deletion",
            f"a second confirmer can be tried on services of kind {kinds} only",
        )
        return
    yield from wrong_service(stack, asked.service, CONFIRMING, (*path, "service"))
    if service is not None and principal is not None and asked.service not in principal.grants:
        yield Finding(
            (*path, "principal"),
            f"{asked.principal!r} has no credential for {asked.service!r}, so nothing can be tried with it",
            f"name a principal with a grant on {asked.service}",
        )


def wrong_principal(stack: Stack, name: str, path: KeyPath) -> Iterator[Finding]:
    """A reference to a principal that is not there."""
    if name not in stack.principals:
        yield Finding(
            path,
            f"no principal is called {name!r}",
            nearest(name, stack.principals, "add one under principals of the stack"),
        )


RULES: tuple[Callable[[Stack, Known], Iterable[Finding]], ...] = (
    _service_names,
    _environments,
    _volumes,
    _rds_instances,
    _drivers,
    _schema_or_data,
    _waits,
    _items_of_containers,
    _object_locks,
    _principal_names,
    _grants,
    _sources,
    _destinations,
    _guard_patches,
    _objectives,
)
