"""What can go wrong, said so that the reader knows what happened, where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class HarnessError(Exception):
    """Base of every error that a user can meet.

    Args:
        message: what happened, with the object it happened to.
        hint: what the reader can do about it; never empty.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}"


@dataclass(frozen=True, order=True)
class Problem:
    """One defect of one file.

    ``line`` and ``column`` count from 1, as editors do. ``key`` is the dotted path of the value.
    """

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        key = f" {self.key}:" if self.key else ""
        return f"{where}:{key} {self.message}\n  hint: {self.hint}"


class ScenarioError(HarnessError):
    """A scenario or stack file cannot be used. Carries every problem of the file, not the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__(
            "\n".join(str(problem) for problem in self.problems),
            hint="`ninelives schema` prints the JSON Schema that editors can check files with",
        )

    def __str__(self) -> str:
        return self.message


class RequestError(HarnessError):
    """What the user named is not there, or not what it should be."""


class ScenarioFileError(RequestError):
    """What a scenario names does not work once it is used: SQL that the database refuses, a locustfile
    that raises."""


class UnknownDriverError(RequestError):
    """No driver of that kind has that name."""


class MissingToolError(HarnessError):
    """A program or package that a driver needs is not on this machine."""


class ProvisionError(HarnessError):
    """A replica could not be brought up."""


class DumpError(ProvisionError):
    """A backup file that a database is to be hydrated with is not what it must be."""


class StackLostError(HarnessError):
    """A stack can be used no more, in the middle of a search: no new one comes up, or a driver failed."""


class LeftoverError(HarnessError):
    """Something of a replica could not be removed: a process that does not die, a file that stays."""


class WithheldError(HarnessError):
    """A call cannot be made, because a guard refused the earlier one that would have told what it needs."""


class DatabaseError(HarnessError):
    """A database did not answer, or refused a statement."""


class StatementError(DatabaseError):
    """A database refused a statement for what it says, not for the state that the server is in.

    Args:
        message, hint: as for every error.
        reason: what the database said, in one line.
        line: of the script, from 1; None where the database named none.
    """

    def __init__(self, message: str, *, hint: str, reason: str, line: int | None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.line = line


class NotOursError(HarnessError):
    """An endpoint does not carry this run's marker. Nothing destructive may be sent to it."""


class BackupError(HarnessError):
    """A recovery point could not be taken or listed."""


class RestoreError(HarnessError):
    """A recovery point could not be restored: truncated, empty, missing, or refused by its tool."""


class Failure(Protocol):
    """The kind of error that the failing of a program becomes, ``BackupError`` for instance."""

    def __call__(self, message: str, *, hint: str) -> HarnessError: ...


class WorkloadError(HarnessError):
    """The workload's child process did not start, or died."""


class JournalError(HarnessError):
    """The journal cannot be written or read: a full disk, a missing file, an unknown version."""


class HistoryError(HarnessError):
    """The history of runs cannot be read or written: a spoilt file, a server that does not answer."""


USERS_MISTAKES: tuple[type[HarnessError], ...] = (
    ScenarioError,
    RequestError,
    ScenarioFileError,
    UnknownDriverError,
)
"""Errors that are the user's to mend, and no fault of ours. A record names an error by its class alone, so
each of them stands here."""


def in_one_line(error: BaseException) -> str:
    """What an error says, for a sentence; one that is none of ours says its name, and both what was noted."""
    said = error.message if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
    return " ".join("; ".join((said, *getattr(error, "__notes__", ()))).split())
