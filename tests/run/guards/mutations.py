"""What takes the effect out of a guard: one function or attribute of a driver, exchanged.

Control planes and companions are processes of their own. While a mutation is in force their command goes
through ``altered``, which makes the same exchange there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from importlib import import_module
from typing import Any
from unittest.mock import patch

from harness.facts import OPERATOR
from harness.sandbox import Sandbox

MODULE = [sys.executable, "-P", "-m"]
"""How a process of our own is started."""


@dataclass(frozen=True)
class Mutation:
    """One exchange.

    Attributes:
        target: ``module:name`` or ``module:Class.name``.
        alter: makes what takes its place from what is there.
    """

    target: str
    alter: Callable[[Any], Any]

    def place(self) -> tuple[Any, str]:
        """The module or class, and the name in it."""
        module, _, path = self.target.partition(":")
        *owners, name = path.split(".")
        return reduce(getattr, owners, import_module(module)), name

    def exchange(self) -> None:
        """For good, in this process."""
        owner, name = self.place()
        setattr(owner, name, self.alter(getattr(owner, name)))


@contextmanager
def in_force(name: str) -> Iterator[None]:
    """A mutation, in this process and in those of ours that it starts."""
    mutation, start = MUTATIONS[name], Sandbox.start
    owner, attribute = mutation.place()

    def start_altered(self: Sandbox, command: Sequence[Any], **given: Any) -> Any:
        if list(command[:3]) == MODULE:
            command = [*MODULE, f"{__package__}.altered", name, *command[3:]]
        return start(self, command, **given)

    with (
        patch.object(owner, attribute, mutation.alter(getattr(owner, attribute))),
        patch.object(Sandbox, "start", start_altered),
    ):
        yield


def _nothing(_: Any) -> Any:
    return lambda *arguments, **named: None


def _never_due(_: Any) -> Any:
    return lambda *arguments: ()


def _with(changes: Mapping[str, object]) -> Callable[[Any], Any]:
    """Of a function: the model among its arguments says something else."""

    def alter(original: Any) -> Any:
        def changed(*arguments: Any) -> Any:
            return original(
                *(
                    one.model_copy(update=dict(changes)) if type(one).__name__.endswith("Service") else one
                    for one in arguments
                )
            )

        return changed

    return alter


def _an_hour(original: Any) -> Any:
    def made(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        self._delay = timedelta(hours=1)

    return made


def _as_operator(original: Any) -> Any:
    return lambda self, principal, endpoint, clock: original(self, OPERATOR, endpoint, clock)


def _unprotected(original: Any) -> Any:
    def check(self: Any, call: Any) -> None:
        self._rds.databases[call.parameters["DBInstanceIdentifier"]].deletion_protection = False
        original(self, call)

    return check


def _without_denies(original: Any) -> Any:
    return lambda statements, asked: original([one for one in statements if one["Effect"] != "Deny"], asked)


def _snapshots_follow_instances(original: Any) -> Any:
    def settle(self: Any, call: Any) -> None:
        if call.name == "rds.DeleteDBInstance":
            for snapshot in list(self._rds.database_snapshots.values()):
                self._rds.delete_db_snapshot(snapshot.db_snapshot_identifier)
        original(self, call)

    return settle


def _whoever_asks_is_the_owner(original: Any) -> Any:
    from harness.replicas.aws.identities import Caller
    from harness.replicas.aws.wire import ApiError

    def authenticate(self: Any, received: Any, scope: Any, now: Any) -> Caller:
        try:
            return original(self, received, scope, now)
        except ApiError:
            return Caller(OPERATOR, self._account, f"arn:aws:iam::{self._account}:root", None)

    return authenticate


def _whatever_is_scoped(original: Any) -> Any:
    def admit(self: Any, operation: str) -> None:
        if self.token.kind != "scoped":
            original(self, operation)

    return admit


def _by_whoever_asked(original: Any) -> Any:
    def pending(self: Any, id: str, confirmer: str) -> Any:
        self.rule = "anyone"
        return original(self, id, confirmer)

    return pending


def _at_once(original: Any) -> Any:
    return lambda self, title, doom, **_: original(self, title, doom, at_once=True)


def _empty_copy(_: Any) -> Any:
    from harness.backups.object_store import date_text
    from harness.backups.s3_follower import PUT, VERSION

    def copy(self: Any, listed: Any) -> None:
        notes = {PUT: date_text(listed.modified), VERSION: listed.id}
        self._place.put(b"", f"{self._order.protection}/{listed.key}", notes, None)

    return copy


MUTATIONS: Mapping[str, Mutation] = {
    "a reader of a database owns it": Mutation(
        "harness.replicas.postgres.roles:GROUPS", lambda groups: {**groups, "reader": groups["owner"]}
    ),
    "statements are not logged": Mutation(
        "harness.replicas.postgres.provisioning:Provisioning._settings",
        lambda settings: property(lambda self: {**settings.fget(self), "log_statement": "none"}),
    ),
    "a writer of a database owns it": Mutation(
        "harness.replicas.postgres.roles:GROUPS", lambda groups: {**groups, "writer": groups["owner"]}
    ),
    "a reader of a bucket writes": Mutation(
        "harness.replicas.s3.access:ACTIONS", lambda actions: {**actions, "reader": actions["writer"]}
    ),
    "a volume that is mounted to read is written": Mutation("harness.surfaces.files:CHANGES", lambda _: ()),
    "branches are not protected": Mutation(
        "harness.replicas.git:_settle", _with({"deny_force": False, "deny_deletes": False})
    ),
    "whoever connects is admitted": Mutation(
        "harness.replicas.valkey.access:acl_lines", _with({"auth": False})
    ),
    "everybody has the socket": Mutation("harness.surfaces.docker:DockerSurface.__init__", _as_operator),
    "a bucket locks nothing": Mutation("harness.replicas.s3.replica:_Furnishing._lock", _nothing),
    "copies are not locked": Mutation(
        "harness.backups.object_store:Retention.as_arguments", lambda _: lambda self: {}
    ),
    "log is not shipped": Mutation("harness.backups.wal_archive:WalArchive.write", _nothing),
    "archives are never taken": Mutation("harness.backups.dumps:DumpTool.due", _never_due),
    "snapshots are never taken": Mutation(
        "harness.backups.volume_snapshot:VolumeSnapshotTool.due", _never_due
    ),
    "the append-only file is not ended": Mutation("harness.backups.valkey_aof:_cut", _nothing),
    "objects are copied empty": Mutation("harness.backups.s3_follower:Follower._copy", _empty_copy),
    "the standby is an hour behind": Mutation(
        "harness.backups.delayed_replica:DelayedReplicaTool.__init__", _an_hour
    ),
    "a protected instance can be deleted": Mutation(
        "harness.replicas.aws.databases:Databases._check_delete", _unprotected
    ),
    "a deny counts for nothing": Mutation("harness.replicas.aws.door:decide", _without_denies),
    "all snapshots go with the instance": Mutation(
        "harness.replicas.aws.databases:Databases.settle", _snapshots_follow_instances
    ),
    "recovery points are never taken": Mutation("harness.backups.aws_backup:AwsBackupTool.due", _never_due),
    "a vault is never locked": Mutation(
        "harness.replicas.aws.vaults:Vaults._unlocked", lambda _: lambda self, call: self._get(call)
    ),
    "any key opens the account": Mutation(
        "harness.replicas.aws.identities:Identities.authenticate", _whoever_asks_is_the_owner
    ),
    "nothing waits": Mutation("harness.replicas.railway.confirmation:Confirmations.check", _nothing),
    "whoever asked may confirm": Mutation(
        "harness.replicas.railway.confirmation:Confirmations.pending", _by_whoever_asked
    ),
    "a scoped token may call everything": Mutation(
        "harness.replicas.railway.authority:Authority.admit", _whatever_is_scoped
    ),
    "what is deleted is gone at once": Mutation(
        "harness.replicas.railway.deletion:Deletions.delete", _at_once
    ),
}
"""By what is so then."""
