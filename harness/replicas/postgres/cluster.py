"""The prepared cluster: made once for a machine, copied for every replica, known to nobody.

Its superuser has no password at all, and it admits nobody. A copy gets its roles and passwords from a
single-user server, which listens nowhere, before it is first started; so there is no moment at which a
replica could be entered with anything but a password minted for it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from harness.errors import ProvisionError
from harness.facts import OPERATOR, Credential
from harness.replicas.cache import discard, prepared
from harness.replicas.postgres.programs import require_reach, server_programs, wheel_version
from harness.replicas.postgres.roles import (
    MAINTENANCE_DATABASE,
    PREPARE_CLUSTER,
    PREPARE_DATABASE,
    PREPARED_DATABASE,
    setup_statements,
)
from harness.sandbox import Sandbox

INITDB_OPTIONS = (
    f"--username={OPERATOR}",
    # There is no password to check yet; each replica's own hba_file asks for one.
    "--auth=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    # Every volume backup carries the WAL along: small segments make small copies, and ship sooner.
    "--wal-segsize=1",
    "--no-sync",
    "--no-instructions",
)
EDITION = 2
"""To be raised when clusters are prepared in another way that the options above do not show."""

SINGLE_USER_OPTIONS = (
    "--single",
    "-F",
    *("-c", "exit_on_error=on"),
    *("-c", "shared_buffers=1MB"),
    *("-c", "max_connections=10"),
    *("-c", "log_checkpoints=off"),
    *("-c", "log_statement=none"),
    *("-c", "log_min_error_statement=panic"),
    *("-c", f"config_file={os.devnull}"),
)


class ClusterRefusedError(ProvisionError):
    """A copy of the prepared cluster does not start, or does not take its roles."""


def clone_cluster(sandbox: Sandbox, into: Path) -> None:
    """Copy the prepared cluster, by reflink where the file system can.

    Args:
        sandbox: of the run; the prepared cluster lies in its cache.
        into: the data directory: empty, or not there yet.

    Raises:
        ProvisionError: the cluster cannot be made, or not be copied.
    """
    with _prepared_cluster(sandbox) as content:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(sandbox, content, into)


def discard_cluster(sandbox: Sandbox) -> None:
    """Have the prepared cluster made anew: it looks whole, but a server did not start from it."""
    discard(_place(sandbox))


def set_up(
    sandbox: Sandbox,
    data: Path,
    database: str,
    credentials: Mapping[str, Credential],
    grants: Mapping[str, str],
) -> None:
    """Give a fresh copy its database, roles and passwords.

    Args:
        sandbox: of the run.
        data: the copy's data directory.
        database, credentials, grants: as for ``setup_statements``.

    Raises:
        ClusterRefusedError: no server starts from it, or a statement was refused.
    """
    with server_programs(sandbox) as programs:
        statements = setup_statements(database, credentials, grants)
        _run_single_user(sandbox, programs, data, MAINTENANCE_DATABASE, statements)


@contextmanager
def _prepared_cluster(sandbox: Sandbox) -> Iterator[Path]:
    require_reach(sandbox.account, sandbox.cache, "the cache directory")

    def build(content: Path) -> None:
        with server_programs(sandbox) as programs:
            _make(sandbox, programs, content)

    with prepared(_place(sandbox), build) as content:
        yield content


def _place(sandbox: Sandbox) -> Path:
    """Keyed by everything that the cluster depends on, the account that owns its files included."""
    owner = sandbox.account.uid if sandbox.account else os.geteuid()
    recipe = repr((INITDB_OPTIONS, PREPARE_CLUSTER, PREPARE_DATABASE, EDITION, owner))
    return sandbox.cache / f"postgres-{wheel_version()}-{sha256(recipe.encode()).hexdigest()[:12]}"


def _make(sandbox: Sandbox, programs: Path, content: Path) -> None:
    content.chmod(0o700)
    sandbox.give(content)
    made = sandbox.call(
        [programs / "initdb", f"--pgdata={content}", *INITDB_OPTIONS], directory=content, drop=True
    )
    if made.returncode != 0:
        raise ProvisionError(
            f"initdb could not make a cluster in {content}: {_last_lines(made.stderr)}",
            hint="free some space, or see what the message says",
        )
    _run_single_user(sandbox, programs, content, MAINTENANCE_DATABASE, PREPARE_CLUSTER)
    _run_single_user(sandbox, programs, content, PREPARED_DATABASE, PREPARE_DATABASE)
    _drop_maps(content)


def _drop_maps(content: Path) -> None:
    """Remove free space and visibility maps: a quarter of all files, which every copy and backup would carry.

    The server writes them anew when it vacuums (PostgreSQL 18, sections 66.3 and 66.4).
    """
    for pattern in ("base/*/*_fsm", "base/*/*_vm", "global/*_fsm", "global/*_vm"):
        for path in content.glob(pattern):
            path.unlink()


def _run_single_user(
    sandbox: Sandbox, programs: Path, data: Path, database: str, statements: Iterable[str]
) -> None:
    """Run statements, one a line, in a server that nobody can connect to (postgres(1), single-user mode)."""
    ran = sandbox.call(
        [programs / "postgres", *SINGLE_USER_OPTIONS, "-D", data, database],
        directory=data,
        drop=True,
        stdin="".join(f"{statement};\n" for statement in statements),
    )
    if ran.returncode != 0:
        raise ClusterRefusedError(
            f"PostgreSQL refused to set up {data}: {_last_lines(ran.stderr)}",
            hint="if the message names a role or database, rename that principal or service",
        )


def _copy(sandbox: Sandbox, source: Path, target: Path) -> None:
    """By ``cp``, which can share blocks; a ``cp`` without that option gives way to Python."""
    clone = ("cp", "-a", "-c") if sys.platform == "darwin" else ("cp", "-a", "--reflink=auto")
    try:
        if sandbox.call([*clone, f"{source}/.", target]).returncode == 0:
            return
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        sandbox.give(target)
    except (OSError, shutil.Error) as error:
        raise ProvisionError(
            f"cannot copy the prepared cluster to {target}: {error}", hint="free some space"
        ) from error


def _last_lines(text: str) -> str:
    return " ".join(text.split("\n")[-4:]).strip()
