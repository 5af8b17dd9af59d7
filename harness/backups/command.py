"""The team's own backup scripts: one takes a backup, one lists what there is, one restores.

Nothing is believed of them but what they list. A backup counts as taken when the list has one more; what
it holds shows when it is restored.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from harness.backups.schedule import every
from harness.errors import BackupError, ProvisionError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import CommandBackup, Protection
from harness.seams.drivers import Due, PartTimer, Setting, Store, Vessel
from harness.seams.scripts import Ran, Script, script_environment

ID, AT = "NINELIVES_ID", "NINELIVES_AT"


class Listed(BaseModel):
    """One line that the list script prints.

    Attributes:
        id: what the restore script is told.
        taken: when its content was read; with a time zone.
        size: bytes.
        locked_until: until then nobody can delete it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=1024)
    taken: AwareDatetime
    size: int = Field(0, ge=0)
    locked_until: AwareDatetime | None = None


class CommandTool:
    """Backups that scripts of the team's own take, every ``every``, of which they keep the newest ``keep``.

    Every script runs in a directory of its own below the source's lease, with the environment of
    ``script_environment``. A restore script finds an empty server; it may print steps.

    Args:
        name: of the protection.
        protection: of tool ``command``.
        source: the service that is backed up.
        store: how to restore into it; not needed, since the script does it.
        setting: has the other services among its peers.

    Raises:
        BackupError: a script failed, took too long, or lists what makes no sense.
        RestoreError: the restore script failed or took too long.
    """

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        del store
        if not isinstance(protection, CommandBackup):
            raise BackupError(
                f"the protection {name} is not one of tool command",
                hint="a protection with `tool: command` has `of`, `every`, `keep` and three scripts",
            )
        self._name = name
        self._protection = protection
        self._source = source
        self._setting = setting
        self._directory = source.lease.directory / name

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """The newest ``keep`` of the last ``span``; see ``schedule.every``."""
        label = f"backup of {self._source.service}"
        return every(self._protection.every, self._protection.keep, now, span, label)

    def take(self, due: Due) -> RecoveryPoint:
        """Have the script take one, and find it in the list."""
        before = {point.id for point in self.points()}
        self._run(self._protection.backup, {AT: due.at.astimezone(UTC).isoformat()})
        new = [point for point in self.points() if point.id not in before]
        if len(new) != 1:
            raise BackupError(
                f"{self._protection.backup} ended well; {self._protection.list_} lists {len(new)} new ones",
                hint="each backup must be listed once, under an id of its own, as soon as it is taken",
            )
        return new[0]

    def start(self) -> None:
        """Nothing runs all the time."""

    def stop(self) -> None:
        """Nothing to end."""

    def points(self) -> tuple[RecoveryPoint, ...]:
        """What the list script prints, newest first."""
        ran = self._run(self._protection.list_, {})
        lines = [line for line in ran.output.splitlines() if line.lstrip().startswith("{")]
        found = [self._point(line) for line in lines]
        return tuple(sorted(found, key=lambda point: point.covers_until, reverse=True))

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Start an empty server and have the script restore into it."""
        mark("provision")
        endpoint = into.start()
        directory = into.lease.directory / self._name
        directory.mkdir()
        mark("restore")
        environment = {**script_environment(endpoint, self._setting.peers), ID: point.location}
        name = self._protection.restore
        ran = self._script(name).run(directory, self._log(name), environment, mark)
        if ran.complaint:
            raise RestoreError(ran.complaint, hint=f"its log is {ran.log}")
        return endpoint

    def _run(self, name: str, told: dict[str, str]) -> Ran:
        directory = self._directory / "work"
        directory.mkdir(parents=True, exist_ok=True)
        environment = {**script_environment(self._source, self._setting.peers), **told}
        try:
            ran = self._script(name).run(directory, self._log(name), environment)
        except ProvisionError as error:
            raise BackupError(error.message, hint=error.hint) from error
        if ran.complaint:
            raise BackupError(ran.complaint, hint=f"its log is {ran.log}")
        return ran

    def _script(self, name: str) -> Script:
        program = self._setting.folder.resolve() / name
        timeout = self._protection.timeout.total_seconds()
        return Script(program, self._setting.sandbox, self._setting.clock, timeout)

    def _log(self, name: str) -> Path:
        """Beside the source, so that it outlives what is restored."""
        return self._directory / f"{PurePath(name).name}.log"

    def _point(self, line: str) -> RecoveryPoint:
        try:
            listed = Listed.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            raise BackupError(
                f"{self._protection.list_} prints a line that is no backup: "
                f"{'.'.join(map(str, first['loc']))} {first['msg']}",
                hint='print a line such as {"id": "dump-1", "taken": "2026-04-24T12:00:00Z", "size": 1000}',
            ) from error
        return RecoveryPoint(
            id=f"{self._name}/{listed.id}",
            protection=self._name,
            service=self._source.service,
            kind="dump",
            taken=listed.taken,
            covers_until=listed.taken,
            place=self._protection.to,
            location=listed.id,
            size=listed.size,
            locked_until=listed.locked_until,
        )
