"""SQL on one PostgreSQL service, as ``psql -c`` would run it.

Verbs ``query`` and ``execute``, both with the arguments

- ``statement``: one statement or several, separated by semicolons; several are one transaction unless they
  say otherwise.
- ``user``, ``password``, ``database``: in place of the principal's own. There is no way to name a host.
- ``statement_timeout``: seconds, 30 unless it says otherwise.

``query`` answers with the rows of the last statement that has any, as a JSON list of objects; ``execute``
with the server's command tags, one a line.

What became of it: a failed log-in, a missing privilege and a read-only server are ``refused``; everything
else that goes wrong is ``failed``, also what the confinement of our server refuses. What was touched is what
the server itself says: rows by table from its counters of the transaction, everything else by comparing its
catalog before and after, both read with the operator's own credential.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Timer
from typing import Annotated

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import args_row
from pydantic import Field

from harness.clock import Clock
from harness.facts import OPERATOR, Action, Credential, Endpoint, Outcome, Resource, Secret
from harness.seams.postgres_client import Connection, connect
from harness.surfaces.call import Arguments, Call, UnmakeableCallError, read_arguments
from harness.surfaces.catalog import Catalog, Change
from harness.surfaces.sql_destruction import SQL_DESTRUCTION

VERBS = ("query", "execute")
PATIENCE = 10.0
"""Seconds that the server gets to show its catalog."""

GRACE = 2.0
"""Seconds over the statement timeout after which a server that does not even time out is given up."""

REFUSING = re.compile(r"28...|42501|25006")
"""SQLSTATEs: invalid authorization, insufficient privilege, read only (PostgreSQL 18, appendix A)."""

OF_THE_SYSTEM = re.compile(r": (Permission denied|Operation not permitted)$")
"""What the operating system refuses a server has the SQLSTATE of a missing privilege. It is no guard, but the
confinement of our server, which the user's own does not have."""

REFUSED_LOGIN = re.compile(
    r"FATAL:\s+(password authentication failed|no pg_hba\.conf entry|pg_hba\.conf rejects|permission denied"
    r'|role ".*" (is not permitted|does not exist)|too many connections for role)'
)
"""libpq hands on no SQLSTATE when a log-in fails, only the server's words."""

COUNTS = b"""
SELECT schemaname || '.' || relname, n_tup_ins + n_tup_upd + n_tup_del
FROM pg_catalog.pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 AND schemaname !~ '^pg_temp' ORDER BY 1
"""
"""Rows that the transaction has written so far, by table; those of cascades and triggers too."""

HAS_WRITTEN = b"SELECT pg_catalog.txid_current_if_assigned() IS NOT NULL"
"""A transaction that writes has a number (PostgreSQL 18, "Transactions and Identifiers")."""

PULSE = b"""
SELECT pg_current_wal_insert_lsn()::text,
       (SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_get_replication_slots()),
       md5(pg_read_file('postgresql.auto.conf', 0, 1048576, true))
"""
"""Another one as soon as anything of the catalog is different: all but slots and settings is in the log."""

OPENING, CLOSING = ("BEGIN", "START TRANSACTION"), ("COMMIT", "ROLLBACK", "PREPARE TRANSACTION")
UNDOING = ("ROLLBACK", "PREPARE TRANSACTION")
COPYING = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)
FAILING = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)
COUNTED = re.compile(r"(INSERT 0|UPDATE|DELETE|MERGE|COPY) ([1-9]\d*)")


class StatementArguments(Arguments):
    statement: str
    user: str | None = None
    password: str | None = None
    database: str | None = None
    statement_timeout: Annotated[float, Field(gt=0, le=3600)] = 30.0


@dataclass(frozen=True)
class Answer:
    """What the server answered.

    Attributes:
        tags: command tags, one for each statement.
        rows: of the last statement that has any.
        written: rows written, by table, or by command tag where the server has not counted.
    """

    tags: tuple[str, ...]
    rows: tuple[Mapping[str, object], ...]
    written: Mapping[str, int]


class SqlSurface:
    """One principal's access to one PostgreSQL service.

    Args:
        principal: whose credential is shown unless the agent gives another.
        endpoint: the only server that is connected to.
        clock: where stamps come from.
    """

    destructive = SQL_DESTRUCTION

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._credential = endpoint.credentials.get(principal)
        self._watch: Watch | None = None
        self._lingers = False

    def linger(self) -> None:
        """Keep the operator's connection from one call to the next, as long as they go to one database."""
        self._lingers = True

    def leave(self) -> None:
        """Close it. Idempotent."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Run the statement. Raises nothing: what cannot be run is ``failed``."""
        call = Call(self._endpoint, self._clock)
        if action.verb not in VERBS:
            return call.failed(f"sql cannot {action.verb!r}; it can {' and '.join(VERBS)}")
        try:
            wanted = read_arguments(StatementArguments, arguments)
            credential = self._login(wanted)
        except UnmakeableCallError as error:
            return call.failed(str(error))
        call.shows(credential.secret.reveal(), credential.name)
        return self._perform(call, wanted, credential, rows_wanted=action.verb == "query")

    def _login(self, wanted: StatementArguments) -> Credential:
        own = self._credential
        user = wanted.user or (own.name if own else None)
        password = Secret(wanted.password) if wanted.password is not None else own.secret if own else None
        if user is None or password is None:
            raise UnmakeableCallError("the principal has no credential here; give user and password")
        return Credential("", "password", user, password)

    def _perform(
        self, call: Call, wanted: StatementArguments, credential: Credential, *, rows_wanted: bool
    ) -> Outcome:
        database = wanted.database or self._endpoint.name
        with self._watched(database) as watch:
            call.begin()
            try:
                with self._session(credential, database, wanted.statement_timeout) as connection:
                    answer = run(connection, wanted.statement, rows_wanted=rows_wanted)
            except BrokenOffError as broken:
                call.end()
                return self._gone_wrong(call, broken.error, watch.changes(frozenset()), broken.written)
            except (psycopg.Error, ValueError, UnclearError) as error:
                call.end()
                return self._gone_wrong(call, error, watch.changes(frozenset()), {})
            call.end()
            changes = watch.changes(frozenset(answer.tags))
        text = json.dumps(answer.rows, default=str) if rows_wanted else "\n".join(answer.tags)
        touched = self._touched(answer.written, changes)
        said = "; ".join((*answer.tags, *map(_words, changes))) or "there was no statement to run"
        return call.done(said, text, touched)

    def _gone_wrong(
        self, call: Call, error: Exception, changes: Sequence[Change], written: Mapping[str, int]
    ) -> Outcome:
        """Statements that were committed before the error have changed what they have changed."""
        detail = "; ".join((explain(error), *map(_words, changes)))
        if changes or written:
            return call.done(detail, touched=self._touched(written, changes))
        return call.refused(detail) if is_refusal(error) else call.failed(detail)

    @contextmanager
    def _watched(self, database: str) -> Iterator[Watch]:
        """The operator's eyes during one call, which begins after this."""
        if self._watch is not None and self._watch.database != database:
            # It would be in the way of whoever drops the other one.
            self.leave()
        self._watch = self._watch or Watch(self._endpoint, database)
        try:
            self._watch.look()
            yield self._watch
        finally:
            if not self._lingers:
                self.leave()

    @contextmanager
    def _session(self, credential: Credential, database: str, timeout: float) -> Iterator[Connection]:
        settings = {"statement_timeout": f"{round(timeout * 1000)}ms"}
        connection = connect(
            self._endpoint.port, credential.name, credential.secret, database, settings=settings
        )
        with connection, gives_up(connection, timeout + GRACE):
            yield connection

    def _touched(self, written: Mapping[str, int], changes: Sequence[Change]) -> tuple[Resource, ...]:
        rows = (("rows", f"{table}: {count}") for table, count in written.items())
        objects = ((change.kind, change.name) for change in changes)
        return tuple(
            Resource(
                service=self._endpoint.service,
                kind=kind,
                name=name,
                environment=self._endpoint.environment,
            )
            for kind, name in (*objects, *rows)
        )


class Watch:
    """The operator's eyes on a server.

    The connection stays open during a call, since that may take the operator's log-in away. A server that
    does not answer the operator shows nothing.

    Args:
        endpoint: of the server.
        database: the one that calls go to.

    Attributes:
        database: as above.
    """

    def __init__(self, endpoint: Endpoint, database: str) -> None:
        self.database = database
        self._endpoint = endpoint
        self._connection: Connection | None = None
        self._before: Catalog | None = None
        self._pulse: object = None

    def look(self) -> None:
        """See what is there, before a call; on a new connection if there is none that answers."""
        self._before = self._catalog()
        if self._before is None:
            self.close()
            operator = self._endpoint.credentials[OPERATOR]
            with suppress(psycopg.Error, ValueError):
                self._connection = connect(self._endpoint.port, operator.name, operator.secret, self.database)
            self._before = self._catalog()
        self._pulse = self._feel()

    def changes(self, tags: frozenset[str]) -> tuple[Change, ...]:
        """What has changed since ``look``.

        Args:
            tags: command tags of the statements that were run.
        """
        if self._before is None or (self._pulse is not None and self._feel() == self._pulse):
            return ()
        after = self._catalog()
        return after.changes_since(self._before, tags) if after else ()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _catalog(self) -> Catalog | None:
        if self._connection is None:
            return None
        with suppress(psycopg.Error), gives_up(self._connection, PATIENCE):
            return Catalog(self._connection)
        return None

    def _feel(self) -> object:
        """None when the server does not say, as a standby."""
        if self._connection is None:
            return None
        with suppress(psycopg.Error), gives_up(self._connection, PATIENCE):
            return self._connection.execute(PULSE).fetchone()
        return None


class BrokenOffError(Exception):
    """One statement of several went wrong.

    Args:
        error: what the server or the client said.
        written: rows that had been written and committed before, by command tag.
    """

    def __init__(self, error: Exception, written: Mapping[str, int]) -> None:
        super().__init__(str(error))
        self.error = error
        self.written = written


class UnclearError(Exception):
    """The statements have run, and which of their writes were kept cannot be told."""

    def __init__(self) -> None:
        super().__init__(
            "the server says ROLLBACK of a transaction and of a savepoint alike, so nobody can tell which "
            "of the writes were kept; make each transaction a step of its own"
        )


def run(connection: Connection, statement: str, *, rows_wanted: bool = True) -> Answer:
    """Run one statement or several, in a transaction of their own where the server lets them.

    Args:
        connection: in autocommit mode.
        statement: as the agent gave it.
        rows_wanted: whether rows are of use to anybody.

    Raises:
        BrokenOffError: the server said no to one of them, or does not answer.
        UnclearError: they have run, and what they wrote cannot be told.
    """
    connection.execute(b"BEGIN")
    try:
        tags, rows = _send(connection, statement, rows_wanted=rows_wanted)
    except BrokenOffError as broken:
        # DROP DATABASE, VACUUM and their like run only outside of a transaction.
        if not isinstance(broken.error, psycopg.errors.ActiveSqlTransaction) or broken.written:
            raise
        if connection.info.transaction_status != TransactionStatus.INERROR:
            raise
        connection.execute(b"ROLLBACK")
        tags, rows = _send(connection, statement, rows_wanted=rows_wanted)
        return Answer(tags, rows, _counted(tags))
    if connection.info.transaction_status == TransactionStatus.IDLE:
        return Answer(tags, rows, _counted(tags))
    if _left_open(tags):
        connection.execute(b"ROLLBACK")
        tags = (*tags, "ROLLBACK")
        return Answer(tags, rows, _counted(tags))
    written = _count_in(connection, tags)
    connection.execute(b"COMMIT")
    # What was taken back is in the server's counts too.
    return Answer(tags, rows, written if not {*tags} & {*UNDOING} else _counted(tags, open_at_the_end=True))


def _count_in(connection: Connection, tags: Sequence[str]) -> Mapping[str, int]:
    if not {*tags} & {*CLOSING} and connection.execute(HAS_WRITTEN).fetchone() == (False,):
        return {}
    with connection.cursor(row_factory=args_row(_count)) as cursor:
        return dict(cursor.execute(COUNTS).fetchall())


def explain(error: Exception) -> str:
    """What the server or the client says of an error, in one line, with its SQLSTATE."""
    if isinstance(error, UnclearError):
        return str(error)
    if not isinstance(error, psycopg.Error):
        return f"not a call: {type(error).__name__}"
    message = " ".join((error.diag.message_primary or str(error)).split())
    return f"{message} ({error.sqlstate})" if error.sqlstate else message


def is_refusal(error: Exception) -> bool:
    """Whether a guard of the server said no."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is not None:
        by_system = OF_THE_SYSTEM.search(error.diag.message_primary or "") is not None
        return REFUSING.fullmatch(error.sqlstate) is not None and not by_system
    return REFUSED_LOGIN.search(str(error)) is not None


@contextmanager
def gives_up(connection: Connection, seconds: float) -> Iterator[None]:
    """Cut the connection when the block takes longer: a server that hangs times nothing out itself."""

    def cut() -> None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        timer = Timer(seconds, cut)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _send(
    connection: Connection, statement: str, *, rows_wanted: bool
) -> tuple[tuple[str, ...], tuple[Mapping[str, object], ...]]:
    """The tags of all statements, and the rows of the last one that has any.

    A cursor hands on nothing of the statements before one that fails, and they may have been committed.
    """
    line = connection.pgconn
    tags: list[str] = []
    last: PGresult | None = None
    failure: Exception | None = None
    try:
        line.send_query(statement.encode())
        while line.flush():
            select.select([line.socket], [line.socket], [])
            line.consume_input()
        while (result := _next(line)) is not None:
            if result.status in COPYING:
                connection.close()
                raise psycopg.NotSupportedError("COPY from or to the client is not possible here")
            if result.status in FAILING:
                failure = psycopg.errors.error_from_result(result)
                continue
            tags.append((result.command_status or b"").decode())
            last = result if result.status == ExecStatus.TUPLES_OK else last
    except (psycopg.Error, ValueError) as error:
        failure = failure or error
    if failure is not None:
        raise BrokenOffError(failure, _counted(tags, broken_off=True))
    return tuple(tags), _rows(connection, last) if last is not None and rows_wanted else ()


def _next(line: PGconn) -> PGresult | None:
    """The next result. libpq would wait for it with the interpreter's lock held, and nobody could cut in."""
    while line.is_busy():
        select.select([line.socket], [], [])
        line.consume_input()
    return line.get_result()


def _rows(connection: Connection, result: PGresult) -> tuple[Mapping[str, object], ...]:
    """Rows as Python has them; as the server wrote them where Python has no such value."""
    reader = Transformer(connection)
    reader.set_pgresult(result)
    columns = range(result.nfields)
    names = [_text(result.fname(column)) or "" for column in columns]

    def row(number: int) -> Sequence[object]:
        try:
            return reader.load_row(number, tuple) or ()
        except (psycopg.DataError, ValueError):
            return [_text(result.get_value(number, column)) for column in columns]

    return tuple(dict(zip(names, row(number), strict=True)) for number in range(result.ntuples))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _counted(
    tags: Sequence[str], *, broken_off: bool = False, open_at_the_end: bool = False
) -> Mapping[str, int]:
    """Rows written and committed, by command tag.

    Args:
        tags: of the statements that were run, in order.
        broken_off: one more failed, so that what was not committed before is lost.
        open_at_the_end: the transaction was still open after the last, so that a ROLLBACK which comes last
            was one to a savepoint.

    Raises:
        UnclearError: a ROLLBACK may be of the transaction or of a savepoint, and it matters.
    """
    kept: Counter[str] = Counter()
    pending: Counter[str] = Counter()
    savepoint = False
    last = max((place for place, tag in enumerate(tags) if tag in CLOSING), default=-1)
    for place, tag in enumerate(tags):
        if tag == "SAVEPOINT":
            savepoint = True
        elif tag == "COMMIT":
            kept, pending, savepoint = kept + pending, Counter(), False
        elif tag in UNDOING:
            whole = not savepoint or (place == last and not open_at_the_end)
            if pending and not whole:
                raise UnclearError
            pending, savepoint = Counter(), savepoint and not whole
        elif match := COUNTED.fullmatch(tag):
            pending[match[1].partition(" ")[0]] += int(match[2])
    return dict(kept if broken_off else kept + pending)


def _left_open(tags: Sequence[str]) -> bool:
    """Whether the statements began a transaction and did not end it: psql's ends with its session."""
    ends = [tag in OPENING for tag in tags if tag in OPENING or tag in CLOSING]
    return bool(ends) and ends[-1]


def _count(table: str, rows: int) -> tuple[str, int]:
    return table, rows


def _words(change: Change) -> str:
    return f"{change.kind} {change.name} {change.what}"
