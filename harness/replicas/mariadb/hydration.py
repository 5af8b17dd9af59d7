"""Fills a fresh MariaDB from a backup file of the user's, with the client that they would take for it."""

from __future__ import annotations

from pathlib import Path

from harness.errors import DumpError
from harness.facts import OPERATOR, Endpoint
from harness.sandbox import Sandbox
from harness.scenario.other_dumps import check_mariadb_dump, unpacked
from harness.seams.mariadb_tools import binary

SCRIPT = "hydrate.sql"
SECONDS = 3600.0


def hydrate(endpoint: Endpoint, dump: Path, sandbox: Sandbox) -> None:
    """Load a dump into an empty database; views and routines become its operator's.

    Args:
        endpoint: of a server that runs.
        dump: what ``mysqldump`` or ``mariadb-dump`` wrote of one database, gzipped or not.
        sandbox: of the run.

    Raises:
        DumpError: it is cut off, or the server refuses it.
        MissingToolError: MariaDB's client is not installed.
    """
    check_mariadb_dump(dump, str(dump))
    script = endpoint.lease.directory / SCRIPT
    with script.open("wb") as file:
        for chunk in unpacked(dump):
            file.write(chunk)
    operator = endpoint.credentials[OPERATOR]
    command: list[str | Path] = [
        binary("mariadb"),
        "--no-defaults",
        "--protocol=tcp",
        # From 11.4 on a client wants it, and a server before that has none.
        "--skip-ssl",
        f"--host={endpoint.host}",
        f"--port={endpoint.port}",
        f"--user={operator.name}",
        "--binary-mode",
        "--batch",
        endpoint.name,
    ]
    # Arguments are visible to everybody; the environment is not.
    environment = {"MYSQL_PWD": operator.secret.reveal()}
    ran = sandbox.call(command, environment=environment, timeout=SECONDS, stdin=script)
    script.unlink()
    if ran.returncode != 0:
        lines = ran.stderr.strip().splitlines()
        said = next((line for line in lines if line.startswith("ERROR")), " ".join(lines[-1:]))
        raise DumpError(
            f"{dump}: the server of {endpoint.service} refuses it: {said}",
            hint="a dump of one database is wanted, without CREATE DATABASE; does it restore elsewhere?",
        )
