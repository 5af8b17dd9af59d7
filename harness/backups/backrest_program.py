"""The program ``pgbackrest`` of this machine: its configuration, and how it is called for one server."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.backups.programs import TOOL_SECONDS, installed, refuse_failure, tail
from harness.errors import BackupError, Failure, MissingToolError
from harness.facts import OPERATOR, Endpoint
from harness.sandbox import Sandbox
from harness.seams.postgres_tools import connection_environment

PROGRAM = "pgbackrest"
INSTALL = "install it: apt-get install pgbackrest, or see https://pgbackrest.org; PostgreSQL 18 takes 2.55.1"
CONFIGURATION = "pgbackrest.conf"
UNKNOWN_RELEASE = re.compile(r"unexpected control version = (\d+)|VersionNotSupportedError")
HINT = "see what it says; does the server still run, and is the repository's place still there?"
OLDER = "an older backup may be whole; `pgbackrest verify` tells what the repository lacks"


@dataclass(frozen=True)
class Program:
    """pgBackRest, for one server.

    Attributes:
        path: where it is.
        server: the service that is backed up.
        sandbox: of the run.
    """

    path: Path
    server: Endpoint
    sandbox: Sandbox

    @staticmethod
    def of(server: Endpoint, sandbox: Sandbox) -> Program:
        """The one that is installed.

        Raises:
            MissingToolError: it is not, or does not know the server's release.
        """
        program = Program(installed(PROGRAM, INSTALL), server, sandbox)
        program._refuse_unknown_release()
        return program

    @property
    def stanza(self) -> str:
        """What it calls the server."""
        return self.server.service

    def configure(self, directory: Path, repository: Mapping[str, str], keep: int = 1) -> Path:
        """Write a configuration for the account that the server runs as, and nobody else.

        Args:
            directory: whatever pgBackRest would put elsewhere on the machine goes there too.
            repository: settings of its place, keys included.
            keep: full backups that are kept.
        """
        settings = {
            **repository,
            "repo1-bundle": "y",
            "repo1-retention-full": str(keep),
            "compress-type": "gz",
            "compress-level": "1",
            "start-fast": "y",
            "io-timeout": "20",
            # What is gone or cut short would be asked for again after 15 s; a replica's store has no bad
            # moments.
            "job-retry": "0",
            "log-level-file": "off",
            "log-level-console": "off",
            "log-level-stderr": "warn",
            "log-timestamp": "n",
            "lock-path": str(directory / "lock"),
            "log-path": str(directory / "log"),
            "spool-path": str(directory / "spool"),
        }
        configuration = directory / CONFIGURATION
        configuration.touch(mode=0o600)
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        configuration.write_text("".join(["[global]\n", *lines]), encoding="utf-8")
        self.sandbox.give(directory)
        return configuration

    def command(self, configuration: Path) -> list[str]:
        """How it is called, but for verb and options."""
        return [str(self.path), f"--config={configuration}", f"--stanza={self.stanza}"]

    def run(
        self,
        configuration: Path,
        verb: str,
        options: Sequence[str] = (),
        failure: Failure = BackupError,
        *,
        connects: bool = False,
    ) -> str:
        """Call it to its end; returns what it printed.

        Args:
            configuration: from ``configure``.
            verb: ``backup``, ``info``, ...
            options: of the verb.
            failure: what its failing raises.
            connects: it asks the server, as its operator.

        Raises:
            BackupError, RestoreError: it failed, or took too long; with the end of what it said.
        """
        ran = self._call(configuration, verb, options, failure, connects)
        refuse_failure(ran, f"pgbackrest {verb}", failure, OLDER if verb == "restore" else HINT)
        return ran.stdout

    def _call(
        self, configuration: Path, verb: str, options: Sequence[str], failure: Failure, connects: bool
    ) -> subprocess.CompletedProcess[str]:
        """As the account that owns the server's files."""
        server, environment = self.server, {}
        if connects:
            options = [
                *options,
                f"--pg1-path={server.path}",
                f"--pg1-port={server.port}",
                f"--pg1-user={server.credentials[OPERATOR].name}",
            ]
            # libpq is not told a host by pgBackRest, which would use a socket in the file system.
            environment = {**connection_environment(server), "PGHOST": server.host}
        return self.sandbox.call(
            [*self.command(configuration), *options, verb],
            environment=environment,
            drop=True,
            timeout=TOOL_SECONDS,
            failure=failure,
        )

    def _refuse_unknown_release(self) -> None:
        """Raises MissingToolError unless it can read the server's files; nothing stays of trying."""
        with TemporaryDirectory(prefix="pgbackrest-", dir=self.sandbox.root) as place:
            configuration = self.configure(Path(place), {"repo1-type": "posix", "repo1-path": place})
            options = ["--no-online", f"--pg1-path={self.server.path}"]
            try:
                ran = self._call(configuration, "stanza-create", options, BackupError, False)
            except PermissionError as error:
                raise MissingToolError(
                    f"the account that servers run as may not run {self.path}: {error}",
                    hint="put it where everybody may, such as /usr/local/bin",
                ) from error
        if UNKNOWN_RELEASE.search(ran.stderr):
            raise MissingToolError(
                f"{self.path} does not know the PostgreSQL release of {self.server.service}: "
                f"{tail(ran.stderr)}",
                hint=INSTALL,
            )
        refuse_failure(ran, "pgbackrest stanza-create", BackupError, HINT)
