"""From what is wrong with a value to a message that says where, what was expected and what to do.

``Finding`` is a defect at a path of a file's content; ``at_positions`` gives it line and column.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import JsonValue

from harness.errors import Problem
from harness.scenario.patch import vain_removals
from harness.scenario.positions import Document, KeyPath, dotted, shortened

MOST_NAMED = 12
MOST_COMPARED = 1000


@dataclass(frozen=True)
class Known:
    """Names of drivers that a file may use. The default is what is built in."""

    replicas: tuple[str, ...] = (
        "postgres",
        "mariadb",
        "s3",
        "railway",
        "aws",
        "volume",
        "valkey",
        "git",
        "container",
    )
    surfaces: tuple[str, ...] = (
        "files",
        "http",
        "sql",
        "s3",
        "shell",
        "valkey",
        "mariadb",
        "aws",
        "git",
        "docker",
    )
    backups: tuple[str, ...] = (
        "railway-volume-backup",
        "rds-snapshots",
        "ebs-snapshots",
        "aws-backup",
        "pg_dump",
        "postgres-pitr",
        "pgbackrest",
        "delayed-replica",
        "restic",
        "command",
        "archive",
        "volume-snapshot",
        "valkey-rdb",
        "valkey-aof",
        "git-bundle",
        "mariadb-dump",
        "mariadb-binlogs",
        "s3-versions",
        "s3-replication",
    )
    agents: tuple[str, ...] = ("scripted", "idle")
    objectives: tuple[str, ...] = (
        "backup-survival",
        "isolation",
        "rpo",
        "rto",
        "invariants",
        "containment",
        "immutability",
        "audit-trail",
        "dual-control",
    )

    def of(self, driver: str) -> tuple[str, ...]:
        """The names of one kind of driver, as ``harness.seams.lookup`` calls the kinds.

        ``files`` is left out of the replicas: it makes the workspaces of principals, and is no service.
        """
        names: tuple[str, ...] = getattr(self, driver)
        return tuple(name for name in names if (driver, name) != ("replicas", "files"))


BUILT_IN = Known()


@dataclass(frozen=True)
class Finding:
    """A defect at a path of a file's content.

    Attributes:
        path: of the value; of the key that is missing, if one is.
        message: what is wrong, with the object it is wrong with.
        hint: what to do.
        of_key: it is about the key, not its value.
    """

    path: KeyPath
    message: str
    hint: str
    of_key: bool = False


def at_positions(findings: Iterable[Finding], document: Document) -> tuple[Problem, ...]:
    """The findings with line and column, but for what was not read as it is written."""
    return tuple(
        _at_position(finding, document) for finding in findings if not document.is_broken(finding.path)
    )


def _at_position(finding: Finding, document: Document) -> Problem:
    mark = document.mark(finding.path, of_key=finding.of_key)
    file = mark.file or document.file
    message, hint = shortened(finding.message), shortened(finding.hint)
    return Problem(file, mark.line, mark.column, dotted(finding.path), message, hint)


def nearest(word: str, words: Iterable[str], otherwise: str = "there is none to choose from") -> str:
    """A hint: the word that may have been meant, or else all there are."""
    choices = sorted(set(words))
    near = get_close_matches(word, choices, n=1) if len(choices) <= MOST_COMPARED else ()
    if near:
        return f"did you mean {near[0]!r}?"
    more = ", ..." if len(choices) > MOST_NAMED else ""
    return f"there are: {', '.join(choices[:MOST_NAMED])}{more}" if choices else otherwise


def removes_nothing(target: JsonValue, patch: JsonValue, root: KeyPath = ()) -> Iterator[Finding]:
    """What to say of each null in a patch that removes nothing.

    Args:
        target: what is patched.
        patch: the patch.
        root: where the patch stands in its file.
    """
    for path, there in vain_removals(target, patch):
        hint = nearest(str(path[-1]), there, "there is nothing to remove here")
        yield Finding((*root, *path), f"removes {path[-1]!r}, which is not there", hint, of_key=True)


def shown(value: JsonValue) -> str:
    """A value as messages show it, shortened."""
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
