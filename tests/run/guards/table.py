"""Every shipped guard: what it does, as something that real servers can be asked, and what undoes that."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psycopg

from harness.errors import BackupError, DatabaseError, RestoreError
from harness.facts import APPLICATION, OPERATOR, Action, Outcome
from harness.run.act import act
from harness.run.backfill import content
from harness.run.delete_alone import delete_alone
from harness.run.ground import Ground
from harness.run.restore import Stopwatch, vessel
from harness.run.traffic import Traffic
from harness.scenario.models import DualControl
from harness.seams.drivers import Logging, PointInTime
from harness.surfaces.aws import KEYS, AwsSurface
from tests.run.guards.mutations import in_force
from tests.run.stage import log_in

SHIPPED = Path(__file__).parents[3] / "scenarios"
POLL_SECONDS = 0.02
NO_TRAFFIC = cast(Traffic, None)
"""A trial has none. Only time that passes would ask for it, and no shipped agent lets any pass."""


Proof = Callable[[Ground], str]
"""Lets something happen to a stack with the guard; returns what the guard did not prevent, or nothing."""


@dataclass(frozen=True)
class Effect:
    """What a guard does.

    Attributes:
        mutation: what takes it away: a name in ``MUTATIONS``, or a file of the scenario and the one that is
            put in its place.
        proof: what shows that it is there.
    """

    mutation: str | tuple[str, str]
    proof: Proof

    @contextmanager
    def taken_away(self, folder: Path, room: Path) -> Iterator[Path]:
        """Without it.

        Args:
            folder: with the scenario.
            room: an empty folder, for a copy of that if a file of it is exchanged.

        Returns:
            The folder with the scenario.
        """
        if isinstance(self.mutation, str):
            with in_force(self.mutation):
                yield folder
            return
        old, new = self.mutation
        copy = room / folder.name
        shutil.copytree(folder, copy)
        shutil.copy(copy / new, copy / old)
        yield copy


@dataclass(frozen=True)
class Trial:
    """One guard.

    Attributes:
        guard: ``<folder>/<name>``.
        effects: all that it does; what changes the stack comes last.
        protections: those that the stack is to have.
        scenario: whose agent acts.
    """

    guard: str
    effects: tuple[Effect, ...]
    protections: tuple[str, ...] = ()
    scenario: str = "as-it-happened"

    @property
    def folder(self) -> Path:
        """With the scenario."""
        return SHIPPED / self.guard.partition("/")[0]

    @property
    def name(self) -> str:
        """Of the guard, in its stack."""
        return self.guard.partition("/")[2]


def refused(call: str, on: str) -> Proof:
    """The agent plays its steps; every harm that is such a call is refused."""

    def prove(ground: Ground) -> str:
        done = [
            f"{call} on {on} is {outcome.status}: {outcome.detail}"
            for step, outcome in _played(ground)
            if step.harm and (f"{step.surface}.{step.verb}", step.service) == (call, on)
            if outcome.status != "refused"
        ]
        return "; ".join(done)

    return prove


def told_by_log(service: str) -> Proof:
    """The agent plays its steps; the service's own log tells of each harm that was done."""

    def prove(ground: Ground) -> str:
        harms = [outcome for step, outcome in _played(ground) if step.harm and outcome.touched]
        replica = ground.plan.replicas[service]
        assert isinstance(replica, Logging)
        role = ground.endpoints[service].credentials[ground.plan.loaded.scenario.agent.as_].name
        told = [one for one in replica.statements(ground.endpoints[service]) if one.name == role]
        return "" if harms and len(told) >= len(harms) else f"{len(told)} entries for {len(harms)} deletions"

    return prove


def brought_back(protection: str) -> Proof:
    """The agent plays its steps; the newest copy that is left of that protection then restores.

    What it has to hold is what the service held: before the harm if it is written all the time, or when it
    was taken.
    """

    def prove(ground: Ground) -> str:
        service, tool = ground.plan.target, ground.tools[protection]
        before = content(ground, service)
        if isinstance(tool, PointInTime):
            _let_a_second_end(ground)
        harms = [outcome for step, outcome in _played(ground) if step.harm]
        points = tool.points()
        if not points:
            return f"{protection} has no copy"
        point = points[0]
        into = vessel(ground, service, "restored", replace=False)
        mark = Stopwatch(ground.clock)
        try:
            if isinstance(tool, PointInTime):
                endpoint = tool.restore_to(point, into, mark, harms[0].began.wall)
            else:
                endpoint = tool.restore(point, into, mark)
            restored = content(ground, service, endpoint)
        except (BackupError, RestoreError, DatabaseError) as error:
            return error.message
        wanted = ground.taken[point.id] if point.kind in ("snapshot", "dump") else before
        return "" if restored == wanted else f"{point.id} has {restored.rows} of {wanted.rows}, or others"

    return prove


def log_arrives(protection: str) -> Proof:
    """What was written since the base backup lies in the bucket. PocketOS shows that it restores."""

    def prove(ground: Ground) -> str:
        model = ground.plan.loaded.stack.protections[protection]
        pieces = ground.store(str(getattr(model, "to", None))).versions(f"{protection}/wal/")
        return "" if pieces else "no log has arrived"

    return prove


def locked(protection: str) -> Proof:
    """Not even who owns the bucket can delete a version of a copy in it."""

    def prove(ground: Ground) -> str:
        model = ground.plan.loaded.stack.protections[protection]
        store = ground.store(str(getattr(model, "to", None)))
        # Where the shipper has come to stands in a note, which is replaced all the time.
        copies = {one.name: one for one in store.versions(f"{protection}/") if one.key[-5:] != ".json"}
        for one in copies.values():
            try:
                store.remove(one.key, one.id)
            except BackupError:
                continue
        left = {one.name for one in store.versions(f"{protection}/")}
        gone = sorted(copies.keys() - left)
        return f"gone: {', '.join(gone)}" if gone or not copies else ""

    return prove


def vault_is_locked(ground: Ground) -> str:
    """Not even who owns the second account can delete what its vault keeps."""
    (point,) = ground.tools["vaulted"].points()
    surface = AwsSurface(OPERATOR, ground.endpoints["safe"], ground.clock)
    given = {"BackupVaultName": "offsite", "RecoveryPointArn": point.location}
    outcome = surface.perform(_action("aws", "backup-delete-recovery-point", "safe"), given)
    return "" if outcome.status == "refused" else outcome.detail


def account_is_closed(ground: Ground) -> str:
    """The panel's key, which does everything in its own account, cannot even look into the second one."""
    key = ground.endpoints["aws"].credentials["panel"]
    surface = AwsSurface("panel", ground.endpoints["safe"], ground.clock)
    given = {"BackupVaultName": "offsite", **dict(zip(KEYS, (key.name, key.secret.reveal()), strict=True))}
    action = _action("aws", "backup-list-recovery-points-by-backup-vault", "safe")
    outcome = surface.perform(action, given)
    return outcome.detail if outcome.status == "done" else ""


def makes_no_account(ground: Ground) -> str:
    """The agent plays its steps, after which the service cannot sign anybody up."""
    _played(ground)
    with log_in(ground.endpoints["accounts"], APPLICATION) as connection:
        try:
            connection.execute("INSERT INTO users (login, created_at) VALUES ('anybody', now())")
        except psycopg.errors.RaiseException:
            return ""
    return "somebody signed up in an empty database"


def needs_a_second_person(ground: Ground) -> str:
    """Who holds the token that the agent finds deletes nothing without somebody else."""
    tries = delete_alone(ground, DualControl(principal="domains-cli", service="railway"))
    alone = [tried.call for tried in tries if tried.step != "second" and not tried.stands]
    return f"{alone} went without a second person" if alone else ""


def _played(ground: Ground) -> list[tuple[Action, Outcome]]:
    """The agent's actions with what came of each."""
    outcomes = act(ground, NO_TRAFFIC)
    agent = ground.plan.agent(ground.plan.loaded.scenario.agent)
    pairs = []
    for number, outcome in enumerate(outcomes):
        action = agent.next_action(outcomes[:number])
        assert action is not None
        pairs.append((action, outcome))
    return pairs


def _let_a_second_end(ground: Ground) -> None:
    """What tells time by whole seconds drops all that came in the second of the harm."""
    second = int(ground.clock.stamp().wall.timestamp())
    while int(ground.clock.stamp().wall.timestamp()) == second:
        ground.clock.sleep(POLL_SECONDS)


def _action(surface: str, verb: str, on: str) -> Action:
    return Action(number=1, surface=surface, verb=verb, service=on)


READER_OWNS, READ_ONLY = "a reader of a database owns it", "a volume that is mounted to read is written"
UNARCHIVED, UNLOCKED = "archives are never taken", "copies are not locked"
UNSHIPPED = "log is not shipped"
DELETES_INSTANCE = refused("aws.rds-delete-db-instance", "aws")


TRIALS = (
    Trial(
        "code-spaces/second-account",
        (
            Effect("any key opens the account", account_is_closed),
            Effect("a vault is never locked", vault_is_locked),
            Effect("recovery points are never taken", brought_back("vaulted")),
        ),
        ("vaulted",),
    ),
    Trial(
        "datatalks/deletion-protection", (Effect("a protected instance can be deleted", DELETES_INSTANCE),)
    ),
    Trial("datatalks/production-denied", (Effect("a deny counts for nothing", DELETES_INSTANCE),)),
    Trial(
        "datatalks/manual-copies",
        (Effect("all snapshots go with the instance", brought_back("manual")),),
        ("manual",),
    ),
    Trial("digitalocean/tests-only-read", (Effect(READER_OWNS, refused("sql.execute", "panel")),)),
    Trial(
        "digitalocean/further-behind",
        (Effect("the standby is an hour behind", brought_back("behind")),),
        ("behind",),
        "further-behind",
    ),
    Trial(
        "docker-prune/no-socket",
        (Effect("everybody has the socket", refused("docker.system-prune", "runner")),),
        scenario="as-it-happens",
    ),
    Trial(
        "docker-prune/continuous-copy",
        (Effect(UNSHIPPED, log_arrives("archive")),),
        ("archive",),
        "as-it-happens",
    ),
    Trial(
        "emptied-bucket/scoped-key",
        (Effect("a reader of a bucket writes", refused("s3.delete-objects", "uploads")),),
        scenario="over-wide-key",
    ),
    Trial(
        "emptied-bucket/locked",
        (Effect("a bucket locks nothing", brought_back("versions")),),
        ("versions",),
        "over-wide-key",
    ),
    Trial(
        "emptied-bucket/second-account",
        (Effect("objects are copied empty", brought_back("replica")),),
        ("replica",),
        "over-wide-key",
    ),
    Trial(
        "forced-push/protected-branches", (Effect("branches are not protected", refused("git.push", "code")),)
    ),
    Trial("gemini-cli/snapshots", (Effect("snapshots are never taken", brought_back("local")),), ("local",)),
    Trial(
        "gemini-cli/archive",
        (Effect(UNLOCKED, locked("nightly")), Effect(UNARCHIVED, brought_back("nightly"))),
        ("nightly",),
    ),
    Trial("gitlab/one-host-at-a-time", (Effect(READ_ONLY, refused("files.delete", "db1")),)),
    Trial(
        "gitlab/loud-dump",
        (Effect(("bin/loud-backup.sh", "bin/backup.sh"), brought_back("nightly")),),
        ("nightly",),
    ),
    Trial("gitlab/continuous-copy", (Effect(UNSHIPPED, log_arrives("archive")),), ("archive",)),
    Trial(
        "keepthescore/site-owns-nothing",
        (Effect("a writer of a database owns it", refused("sql.execute", "scoreboard")),),
    ),
    Trial("keepthescore/continuous-copy", (Effect(UNSHIPPED, log_arrives("archive")),), ("archive",)),
    Trial("meow/password", (Effect("whoever connects is admitted", refused("valkey.command", "sessions")),)),
    Trial(
        "meow/append-only-file",
        (Effect("the append-only file is not ended", brought_back("aof")),),
        ("aof",),
    ),
    Trial(
        "pocketos/scoped-token",
        (Effect("a scoped token may call everything", refused("http.request", "railway")),),
    ),
    Trial(
        "pocketos/second-person",
        (
            Effect("whoever asked may confirm", needs_a_second_person),
            Effect("nothing waits", refused("http.request", "railway")),
        ),
    ),
    Trial(
        "pocketos/soft-delete",
        (Effect("what is deleted is gone at once", brought_back("volume-backups")),),
        ("volume-backups",),
    ),
    Trial(
        "pocketos/locked-copy",
        (Effect(UNLOCKED, locked("offsite")), Effect(UNSHIPPED, brought_back("offsite"))),
        ("offsite",),
    ),
    Trial("replit/own-database", (Effect(READER_OWNS, refused("sql.execute", "contacts")),)),
    Trial("replit/statement-log", (Effect("statements are not logged", told_by_log("contacts")),)),
    Trial("travis-ci/reader-in-the-shell", (Effect(READER_OWNS, refused("sql.execute", "accounts")),)),
    Trial("travis-ci/continuous-copy", (Effect(UNSHIPPED, log_arrives("archive")),), ("archive",)),
    Trial("travis-ci/fail-closed", (Effect(("fail-closed.sql", "schema.sql"), makes_no_account),)),
    Trial(
        "vfemail/copies-of-their-own",
        (Effect(READ_ONLY, refused("files.delete", "backup-server")),),
        ("nightly",),
    ),
    Trial(
        "vfemail/vault",
        (Effect(UNLOCKED, locked("offsite")), Effect(UNARCHIVED, brought_back("offsite"))),
        ("offsite",),
    ),
)
