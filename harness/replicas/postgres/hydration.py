"""Fills a fresh replica from a backup file of the user's, with the programs that they would take for it.

What the dump makes belongs to the group that owns the data, whoever owned it where it was taken: the roles
of the original are not those of the stack.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from psycopg import sql

from harness.clock import Clock
from harness.errors import DumpError, ProvisionError
from harness.facts import Endpoint
from harness.interrupts import interrupted
from harness.replicas.postgres.plain_dump import without_owners
from harness.replicas.postgres.roles import OWNER, READER, WRITER
from harness.replicas.postgres.server import DISK_FULL, LOG_FILE
from harness.replicas.postgres.session import session
from harness.sandbox import Sandbox, end_session
from harness.scenario.dump_file import ENDS, HEAD_BYTES, TAIL_BYTES, cut_off, dump_format, unpacking
from harness.seams.postgres_client import Connection
from harness.seams.postgres_tools import binary, connection_environment, connection_options

SCRIPT, SAID = "restore.sql", "restore.out"
POLL_SECONDS = 0.02
JOBS = 2
"""Tables that are loaded side by side."""

PATIENCE_SECONDS = 600.0
SLOWEST = 1_000_000
"""Bytes of a dump a second, below which loading it is given up: a tenth of what a slow disk does."""

WRITTEN_BY = re.compile(r"[Dd]umped by pg_dump version:? ([0-9]+)")
SAID_BY_PSQL = re.compile(r"psql:[^\n]*?:([0-9]+): (?:ERROR:  )?([^\n]*)")
COMPLAINT = re.compile(r"(?:pg_restore|psql): error: (?:could not execute query: )?(?:ERROR:  )?([^\n]*)")
LOST = "server closed the connection"
HINT = "as a backup it brings nothing back here; does it restore where it comes from?"
TOO_NEW = "unsupported version"
TAKEN_WITH = "take it with pg_dump {release} or older; dumps of a newer release are not for older servers"
RELEASE = "SELECT current_setting('server_version_num')::int / 10000"
SCHEMAS = """
    SELECT nspname FROM pg_namespace
    WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%' ORDER BY 1
"""
RIGHTS = (
    ("USAGE ON SCHEMA", (WRITER, READER)),
    ("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA", (WRITER,)),
    ("USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA", (WRITER,)),
    ("SELECT ON ALL TABLES IN SCHEMA", (READER,)),
    ("SELECT ON ALL SEQUENCES IN SCHEMA", (READER,)),
)


def hydrate(endpoint: Endpoint, dump: Path, sandbox: Sandbox, clock: Clock) -> None:
    """Load a dump into an empty database.

    Args:
        endpoint: of a server that runs.
        dump: a file or directory that ``pg_dump`` wrote.
        sandbox: of the run.
        clock: to wait by.

    Raises:
        DumpError: it is empty, cut off, encrypted, of a newer pg_dump, or refused by the server.
        ProvisionError: the disk is full, the server ended, or somebody has asked for the end of the run; or
            it takes longer than ten minutes and a second for each megabyte.
        MissingToolError: PostgreSQL's client programs are not installed.
    """
    form = dump_format(dump, str(dump))
    with session(endpoint) as connection:
        ((release,),) = connection.execute(RELEASE).fetchall()
    loading = _Loading(endpoint, dump, sandbox, clock, int(str(release)))
    if form == "archive":
        loading.load_archive()
    else:
        loading.load_script(packed=form == "gzip")
    with session(endpoint) as connection:
        _grant(connection)
        connection.execute("ANALYZE")


@dataclass(frozen=True)
class _Loading:
    """One dump on its way into one database of a server of some major release; else as for ``hydrate``."""

    endpoint: Endpoint
    dump: Path
    sandbox: Sandbox
    clock: Clock
    release: int

    def load_archive(self) -> None:
        """What ``pg_restore`` reads, without owners and rights."""
        listing = self.sandbox.call([binary("pg_restore"), "--list", self.dump], directory=self._place)
        if listing.returncode != 0:
            raise self._refused(listing.stderr)
        self._refuse_newer(listing.stdout)
        options: list[str | Path] = ["--exit-on-error", "--no-owner", "--no-acl"]
        if "Format: TAR" not in listing.stdout:
            options.append(f"--jobs={JOBS}")
        self._run("pg_restore", [*options, self.dump], _size(self.dump))

    def load_script(self, *, packed: bool) -> None:
        """Plain SQL, by ``psql``."""
        script = self._place / SCRIPT
        self._write_script(script, packed=packed)
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--output={os.devnull}"]
        # A meta-command would run whatever it names under our own account.
        options.append(f"--command=\\restrict {token_hex(16)}")
        self._run("psql", [*options, f"--file={script}"], script.stat().st_size)
        script.unlink()

    @property
    def _place(self) -> Path:
        """Where ``destroy`` finds whatever is left."""
        return self.endpoint.lease.directory

    def _write_script(self, script: Path, *, packed: bool) -> None:
        """What of a plain dump is to be loaded; while it is written shows whether it is whole."""
        head = tail = b""
        with (
            unpacking(str(self.dump)),
            gzip.open(self.dump) if packed else self.dump.open("rb") as lines,
            script.open("wb") as out,
        ):
            for line in without_owners(lines):
                out.write(line)
                if len(head) < HEAD_BYTES:
                    head += line
                tail = tail[-TAIL_BYTES:] + line
                if interrupted():
                    raise self._given_up("as somebody has asked")
        if ENDS not in tail.replace(b"\r\n", b"\n"):
            raise cut_off(str(self.dump))
        self._refuse_newer(head.decode(errors="replace"))

    def _run(self, program: str, options: Sequence[str | Path], size: int) -> None:
        """Run a program to its end as the group that owns the data.

        Args:
            program: one of PostgreSQL's.
            options: but for those that say which server to ask.
            size: bytes that it has to load.
        """
        said, began = self._place / SAID, self.clock.stamp()
        patience = PATIENCE_SECONDS + size / SLOWEST
        server = [*connection_options(self.endpoint), f"--dbname={self.endpoint.name}"]
        process = self.sandbox.start(
            [binary(program), *server, *options],
            log=said,
            directory=self._place,
            environment={**connection_environment(self.endpoint), "PGOPTIONS": f"-c role={OWNER}"},
        )
        try:
            while process.poll() is None:
                if interrupted():
                    raise self._given_up("as somebody has asked")
                if self.clock.stamp().since(began) > patience:
                    raise self._given_up(f"since {program} was not done after {patience:.0f} s")
                self.clock.sleep(POLL_SECONDS)
        finally:
            end_session(process)
        if process.returncode != 0:
            raise self._refused(said.read_text(encoding="utf-8", errors="replace"))
        said.unlink()

    def _given_up(self, why: str) -> ProvisionError:
        return ProvisionError(
            f"{self.dump} was not loaded to its end, {why}",
            hint="run the drill again; a smaller dump is faster",
        )

    def _refused(self, text: str) -> ProvisionError:
        """What to say of a program that failed, from what it said."""
        if DISK_FULL in text:
            return ProvisionError(
                f"{self.dump} was not loaded because the disk is full", hint="free some space"
            )
        if LOST in text:
            return ProvisionError(
                f"the server of {self.endpoint.service} ended while {self.dump} was loaded",
                hint=f"its log is {self._place / LOG_FILE}",
            )
        where, why = _said(text)
        hint = TAKEN_WITH.format(release=self.release) if TOO_NEW in why else HINT
        return DumpError(f"{self.dump}{where} cannot be loaded: {why}", hint=hint)

    def _refuse_newer(self, text: str) -> None:
        """A dump of a newer release can hold what this one does not know, and may load without saying so."""
        theirs, ours = WRITTEN_BY.search(text), self.release
        if theirs is not None and int(theirs[1]) > ours:
            raise DumpError(
                f"{self.dump} was written by pg_dump {theirs[1]}, and the replica is PostgreSQL {ours}",
                hint=TAKEN_WITH.format(release=ours),
            )


def _said(text: str) -> tuple[str, str]:
    """The line that a program complains of, if it is one of a script, and its complaint."""
    found = SAID_BY_PSQL.search(text)
    if found:
        return f":{found[1]}", found[2]
    complaint = COMPLAINT.search(text)
    return "", complaint[1] if complaint else " ".join(text.split()) or "the program said nothing"


def _size(dump: Path) -> int:
    return sum(each.stat().st_size for each in ([dump] if dump.is_file() else dump.iterdir()))


def _grant(connection: Connection) -> None:
    """What default privileges give in the schema ``public``, in every schema that the dump has made."""
    for (schema,) in connection.execute(SCHEMAS).fetchall():
        for rights, groups in RIGHTS:
            connection.execute(
                sql.SQL("GRANT {} {} TO {}").format(
                    sql.SQL(rights),
                    sql.Identifier(str(schema)),
                    sql.SQL(", ").join(map(sql.Identifier, groups)),
                )
            )
