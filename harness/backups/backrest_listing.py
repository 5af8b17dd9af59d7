"""What ``pgbackrest info --output=json`` tells of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import Field, TypeAdapter

from harness.backups.programs import Printed, tail

TAKEN = "taken"
"""The annotation with a backup's date in scenario time; pgBackRest's own are those of the clock."""

TROUBLE = 99
"""``info`` ends well whatever happens, and then says this of the repository."""

UNREADABLE = "unable to load info file"
"""The list of backups is damaged, and so is its copy: nothing can be restored from there."""


class Archived(Printed):
    """The log that a backup needs to be consistent: its first segment, and its last."""

    start: str
    stop: str


class Stamps(Printed):
    """When a backup began and ended, in seconds since 1970."""

    start: int
    stop: int


class Delta(Printed):
    """Bytes that a backup added to the repository."""

    delta: int = 0


class Sizes(Printed):
    """How large a backup is."""

    repository: Delta = Delta()


class Backup(Printed):
    """A backup."""

    label: str
    type: str
    archive: Archived
    timestamp: Stamps
    info: Sizes = Sizes()
    annotation: Mapping[str, str] = Field(default_factory=dict)
    reference: tuple[str, ...] | None = None

    @property
    def taken(self) -> datetime:
        """Its date in scenario time."""
        noted = self.annotation.get(TAKEN)
        return datetime.fromisoformat(noted) if noted else self.finished

    @property
    def finished(self) -> datetime:
        """When it was complete, by the wall clock: it brings back everything up to then."""
        return datetime.fromtimestamp(self.timestamp.stop, UTC)

    @property
    def labels(self) -> tuple[str, ...]:
        """Its own, and those of the backups that it builds on."""
        return (self.label, *(self.reference or ()))


class Status(Printed):
    """What became of looking at a repository."""

    code: int
    message: str


class Look(Printed):
    """One look at a repository."""

    status: Status


class Stanza(Printed):
    """All backups of one server."""

    backup: tuple[Backup, ...] = ()
    repo: tuple[Look, ...] = ()

    @property
    def trouble(self) -> str:
        """Why nobody knows which backups there are; empty when that is known."""
        looks = [look.status.message for look in self.repo if look.status.code == TROUBLE]
        return next((tail(told) for told in looks if UNREADABLE not in told), "")


STANZAS: TypeAdapter[tuple[Stanza, ...]] = TypeAdapter(tuple[Stanza, ...])
