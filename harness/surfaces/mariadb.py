"""SQL on one MariaDB service, as ``mariadb -e`` would run it.

Verbs ``query`` and ``execute``, both with the arguments

- ``statement``: one statement or several, separated by semicolons, each committed by itself as MariaDB does.
- ``user``, ``password``, ``database``: in place of the principal's own. There is no way to name a host.
- ``statement_timeout``: seconds, 30 unless it says otherwise.

``query`` answers with the rows of the last statement that has any, as a JSON list; ``execute`` with how many
rows each statement has changed. A failed log-in, a missing privilege and a read-only server are ``refused``;
everything else that goes wrong is ``failed``. What was touched is what the server itself says: databases,
tables and binary logs that are gone, as the operator sees them before and after, and the rows that were
changed and committed. A transaction that is open at the end is rolled back with its connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated

import pymysql
from pydantic import Field
from pymysql.constants import ER
from pymysql.cursors import Cursor

from harness.clock import Clock
from harness.facts import (
    OPERATOR,
    Action,
    Aim,
    Credential,
    Destruction,
    Endpoint,
    Listing,
    Outcome,
    Resource,
    Secret,
)
from harness.seams.mariadb_client import Connection, connect, in_transaction
from harness.surfaces.call import Arguments, Call, UnmakeableCallError, read_arguments
from harness.surfaces.mariadb_writes import COUNTERS, Step, UnclearWritesError, kept_rows

VERBS = ("query", "execute")
REFUSING = (
    ER.ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    ER.OPTION_PREVENTS_STATEMENT,
)
"""Error codes of a refused log-in, a missing privilege, and a read-only server."""

TAKING_BACK = ((ER.LOCK_DEADLOCK,), (ER.LOCK_WAIT_TIMEOUT,))
"""Error codes with which the server rolls the whole transaction back, the second if it is set to."""

EYES_SECONDS = 10.0
TABLES = """
    SELECT REPLACE(name, '/', '.'), table_id FROM information_schema.innodb_sys_tables
    WHERE name LIKE '%/%' AND name NOT LIKE 'mysql/%' AND name NOT LIKE '%/#%'
"""
"""InnoDB gives a table another number when it makes it anew, as TRUNCATE does."""
EVIDENCE = "tests/surfaces/test_mariadb.py::"

OWN_TABLES = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY 1
"""
TABLE = Listing("table", "query", {"statement": " ".join(OWN_TABLES.split())}, each="$[*][0]", lasting=True)
PURGE = "FLUSH BINARY LOGS; DO SLEEP(0.5); PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY"
"""The log that is written to is never purged, so another is begun; the old one is held a moment longer."""

OVERWRITE = """
    SET @it = (
        SELECT CONCAT('UPDATE `{name}` SET `', c, '` = (SELECT MAX(`', c, '`) FROM `{name}`)')
        FROM (SELECT MIN(column_name) AS c FROM information_schema.columns
              WHERE table_schema = DATABASE() AND table_name = '{name}' AND column_key = '') AS plain);
    EXECUTE IMMEDIATE @it
"""
"""Gives every row the same value in one column, whatever its type is."""


def _on_each(what: str, statement: str) -> Aim:
    """A statement about each table, whatever refers to it."""
    return Aim(f"{what} {{name}}", {"statement": f"SET foreign_key_checks = 0; {statement}"}, TABLE)


class StatementArguments(Arguments):
    statement: str
    user: str | None = None
    password: str | None = None
    database: str | None = None
    statement_timeout: Annotated[float, Field(gt=0, le=3600)] = 30.0


@dataclass
class Answer:
    """What the server has answered so far.

    Attributes:
        steps: one for each statement.
        rows: of the last statement that has any.
        counters: of the session at its end; none when it did not answer any more.
    """

    steps: list[Step] = field(default_factory=list)
    rows: list[tuple[object, ...]] = field(default_factory=list)
    counters: Mapping[str, int] = field(default_factory=dict)


class MariadbSurface:
    """One principal's access to one MariaDB service.

    Args:
        principal: whose credential is shown unless the agent gives another.
        endpoint: the only server that is connected to.
        clock: where stamps come from.
    """

    destructive = (
        Destruction(
            operation="`DROP DATABASE`, `DROP TABLE`, `TRUNCATE`",
            verb="execute",
            undo="from a dump and the binary logs since; a statement of this sort commits by itself",
            takes_along="",
            guard="an account that may only read and write rows",
            basis="observed",
            evidence=f"{EVIDENCE}test_what_is_dropped_or_emptied_is_touched",
            aims=(
                Aim("DROP DATABASE", {"statement": "DROP DATABASE `{home}`"}),
                _on_each("DROP TABLE", "DROP TABLE `{name}`"),
                _on_each("TRUNCATE", "TRUNCATE `{name}`"),
            ),
        ),
        Destruction(
            operation="`DELETE` or `UPDATE` without a condition",
            verb="execute",
            undo="from a dump and the binary logs since",
            takes_along="",
            guard="an account that only reads",
            basis="observed",
            evidence=f"{EVIDENCE}test_rows_that_were_changed_are_counted",
            aims=(
                _on_each("DELETE", "DELETE FROM `{name}`"),
                _on_each("UPDATE", " ".join(OVERWRITE.split())),
            ),
        ),
        Destruction(
            operation="`RESET MASTER`; `PURGE BINARY LOGS` where no replica has to be connected for it",
            verb="execute",
            undo="",
            takes_along="the way from the last dump to any later instant",
            guard="an account without BINLOG ADMIN; binary logs that are kept elsewhere too",
            basis="observed",
            evidence=f"{EVIDENCE}test_binary_logs_that_are_reset_are_touched",
            aims=(
                Aim("RESET MASTER", {"statement": "RESET MASTER"}, weakens=True),
                Aim("PURGE BINARY LOGS", {"statement": PURGE}, weakens=True),
            ),
        ),
    )

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._credential = endpoint.credentials.get(principal)

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Run the statement. Raises nothing: what cannot be run is ``failed``."""
        call = Call(self._endpoint, self._clock)
        if action.verb not in VERBS:
            return call.failed(f"mariadb cannot {action.verb!r}; it can {' and '.join(VERBS)}")
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
        before, answer = self._look(), Answer()
        call.begin()
        error = self._run(wanted, credential, answer)
        call.end()
        gone = self._gone(before, self._look())
        unclear = ""
        try:
            touched = (*gone, *self._rows(kept_rows(answer.steps, answer.counters)))
        except UnclearWritesError as doubt:
            touched, unclear = gone, str(doubt)
        if error is None:
            if unclear and not touched:
                return call.failed(unclear)
            changed = [step.changed for step in answer.steps]
            text = json.dumps(answer.rows, default=str) if rows_wanted else "\n".join(map(str, changed))
            return call.done(f"{len(changed)} statements", text, touched)
        detail = " ".join(str(error.args[-1] if error.args else error).split())
        if touched:
            return call.done(detail, touched=touched)  # what came before the error was committed
        refused = not unclear and bool(error.args) and error.args[0] in REFUSING
        return call.refused(detail) if refused else call.failed("; ".join(filter(None, (detail, unclear))))

    def _run(
        self, wanted: StatementArguments, credential: Credential, answer: Answer
    ) -> pymysql.Error | None:
        """Run the statements into an answer; returns what ended them early."""
        try:
            connection = connect(
                self._endpoint,
                credential,
                database=wanted.database,
                statement_seconds=wanted.statement_timeout,
            )
            with connection, connection.cursor() as cursor:
                try:
                    _send(connection, cursor, wanted.statement, answer)
                except pymysql.Error as error:
                    if error.args[:1] not in TAKING_BACK:
                        _see_the_end(connection, cursor, answer)
                    raise
                finally:
                    _count(cursor, answer)
        except pymysql.Error as error:
            return error
        except UnicodeError as error:
            return pymysql.InterfaceError(str(error))
        return None

    def _look(self) -> Mapping[tuple[str, str], int]:
        """Databases, tables with their numbers, binary logs; nothing when it does not answer."""
        found: dict[tuple[str, str], int] = {}
        operator = self._endpoint.credentials[OPERATOR]
        with (
            suppress(pymysql.Error),
            connect(
                self._endpoint, operator, database="", seconds=EYES_SECONDS, statement_seconds=EYES_SECONDS
            ) as eyes,
            eyes.cursor() as cursor,
        ):
            cursor.execute(TABLES)
            own = f"{self._endpoint.name}."
            tables = {
                ("table", str(name).removeprefix(own)): int(number) for name, number in cursor.fetchall()
            }
            cursor.execute("SHOW DATABASES")
            databases = {("database", str(name)): 0 for (name,) in cursor.fetchall()}
            cursor.execute("SHOW BINARY LOGS")
            found = {
                **databases,
                **tables,
                **{("binary-log", str(row[0])): int(row[1]) for row in cursor.fetchall()},
            }
        return found

    def _gone(
        self, before: Mapping[tuple[str, str], int], after: Mapping[tuple[str, str], int]
    ) -> tuple[Resource, ...]:
        """What is there no more, or is another one of the same name: TRUNCATE makes a table anew, RESET
        MASTER a log that is shorter."""
        if not after:
            return ()
        return tuple(
            self._resource(kind, name)
            for (kind, name), was in before.items()
            if (kind, name) not in after
            or (kind == "table" and after[kind, name] != was)
            or (kind == "binary-log" and after[kind, name] < was)
        )

    def _rows(self, count: int) -> tuple[Resource, ...]:
        return (self._resource("rows", f"{self._endpoint.name}: {count}"),) if count else ()

    def _resource(self, kind: str, name: str) -> Resource:
        return Resource(
            service=self._endpoint.service, kind=kind, name=name, environment=self._endpoint.environment
        )


def _send(connection: Connection[Cursor], cursor: Cursor, statement: str, answer: Answer) -> None:
    """Run the statements, each into the answer as soon as it is there."""
    cursor.execute(statement)
    while True:
        if cursor.description:
            answer.rows = list(cursor.fetchall())
        changed = 0 if cursor.description else cursor.rowcount
        answer.steps.append(Step(changed, in_transaction(connection)))
        if not cursor.nextset():
            return


def _see_the_end(connection: Connection[Cursor], cursor: Cursor, answer: Answer) -> None:
    """Whether an error left the transaction open: DROP TABLE commits before it looks for its table."""
    with suppress(pymysql.Error):
        cursor.execute("DO 0")
        answer.steps.append(Step(0, in_transaction(connection)))


def _count(cursor: Cursor, answer: Answer) -> None:
    with suppress(pymysql.Error, UnicodeError):
        cursor.execute(COUNTERS)
        answer.counters = {str(name): int(value) for name, value in cursor.fetchall()}
