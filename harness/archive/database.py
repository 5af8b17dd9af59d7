"""The database of the history: a file beside the run folders, or a team's PostgreSQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Row,
    Select,
    and_,
    case,
    create_engine,
    delete,
    event,
    exists,
    func,
    inspect,
    make_url,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from harness.archive.kept import Kept, KeptVerdict
from harness.archive.tables import LAST_MIGRATION, ROLLS, RUNS, VERDICTS, VERSION_TABLE
from harness.errors import HistoryError, RequestError
from harness.journal.history import LATEST
from harness.journal.record import Figure
from harness.journal.roll import Enrolled

CONNECTING = "15"
"""Seconds to wait for a server to answer, where the URL has no other."""

LOCK = 0x6E696E65
"""Of the advisory lock that writers of a team's database hold; a number that others are unlikely to take."""

READING = "reading"
"""Whether a transaction only reads; it waits for no writer then. An option of ours for connections."""

AMBIGUOUS = 3
NUL, REPLACEMENT = "\0", "\ufffd"
_FIGURES = TypeAdapter(tuple[Figure, ...])
_CONTROLS = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True)
class Reached:
    """How far a roll was read.

    Attributes:
        position: bytes from its beginning.
        last: the line that ends there; None at the beginning.
    """

    position: int
    last: Enrolled | None


BEGINNING = Reached(0, None)


@dataclass(frozen=True)
class Failure:
    """A run that was not as its scenario expects.

    Attributes:
        scenario: that was played.
        run_id: the name of its folder.
        started: when.
        retested: when the next run of that scenario began that was as expected; None if there is none yet.
    """

    scenario: str
    run_id: str
    started: datetime
    retested: datetime | None


class Archive:
    """The history of runs.

    Every method is one transaction. Each raises a HistoryError when the database does not do as it should.
    """

    def __init__(self, engine: Engine, reader: Engine, where: str, hint: str) -> None:
        """Take a database; ``opened`` and ``harness.archive.file.opened_file`` do that.

        Args:
            engine: of SQLAlchemy; its transactions come one after the other.
            reader: the same, for transactions that only read. Each sees one moment, and waits for no writer.
            where: how errors name it; never with a password.
            hint: what to do when it fails.
        """
        self._engine = engine
        self._reader = reader
        self._where = where
        self._hint = hint

    def keep(self, runs: Iterable[Kept]) -> None:
        """Record runs, in place of what was recorded of them; never an open one for one that is closed."""
        # Whatever yields them may ask the history too, which it cannot while it is being written.
        kept = tuple(runs)
        if kept:
            with self._writing() as connection:
                _keep(connection, kept)

    def advance(self, roll: str, before: Reached, runs: Iterable[Kept], after: Reached) -> None:
        """Record the next runs of a roll, and how far it has been read now; as a whole, or not at all.

        Args:
            roll: its name.
            before: where they begin. If another process has read on from there, how far that came stays.
            runs: that stand there.
            after: where they end.
        """
        kept = tuple(runs)
        with self._writing() as connection:
            _keep(connection, kept)
            if _reached(connection, roll) == before:
                _move(connection, roll, after)

    def reached(self, roll: str) -> Reached:
        """How far a roll was read."""
        with self._reading() as connection:
            return _reached(connection, roll)

    def known(self, roll: str, run_ids: Collection[str]) -> frozenset[str]:
        """Those of some runs of a roll that are recorded."""
        statement = select(RUNS.c.run_id).where(RUNS.c.roll == roll, RUNS.c.run_id.in_(run_ids))
        with self._reading() as connection:
            return frozenset(connection.execute(statement).scalars())

    def unclosed(self, roll: str) -> tuple[Kept, ...]:
        """The runs of a roll that went on, or had been killed, when they were last looked at."""
        with self._reading() as connection:
            return _load(connection, select(RUNS).where(~RUNS.c.closed, RUNS.c.roll == roll))

    def newest(
        self,
        count: int,
        scenario: str | None = None,
        *,
        counting: bool = False,
        provider: str | None = None,
        objective: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[Kept, ...]:
        """The newest runs, the newest first.

        Args:
            count: at most so many.
            scenario: of that one only.
            counting: those only that came to their end, of the scenario as it was written.
            provider: those only whose replicas ran on it.
            objective: those only that have a verdict of it.
            since: those only that began then or later.
            until: those only that began then or earlier.
        """
        statement = select(RUNS).order_by(RUNS.c.started.desc(), RUNS.c.id.desc()).limit(count)
        if scenario is not None:
            statement = statement.where(RUNS.c.scenario == scenario)
        if counting:
            statement = statement.where(RUNS.c.ended, ~RUNS.c.supposed)
        if provider is not None:
            statement = statement.where(RUNS.c.provider == provider)
        if objective is not None:
            judged = exists().where(VERDICTS.c.run == RUNS.c.id, VERDICTS.c.objective == objective)
            statement = statement.where(judged)
        if since is not None:
            statement = statement.where(RUNS.c.started >= since)
        if until is not None:
            statement = statement.where(RUNS.c.started <= until)
        with self._reading() as connection:
            return _load(connection, statement)

    def failures(self, scenario: str | None, *, since: datetime, until: datetime) -> tuple[Failure, ...]:
        """The runs that ended otherwise than expected, the newest first; of the scenario as it was written.

        Args:
            scenario: of that one only.
            since, until: that began then, or between.
        """
        good = and_(RUNS.c.as_expected, RUNS.c.problem.is_(None))
        asked = and_(RUNS.c.ended, ~RUNS.c.supposed, RUNS.c.started >= since, RUNS.c.started <= until)
        if scenario is not None:
            asked = and_(asked, RUNS.c.scenario == scenario)
        # The newest first, so that each row has those after it behind it already.
        after = func.min(case((good, RUNS.c.started))).over(
            partition_by=RUNS.c.scenario, order_by=(RUNS.c.started.desc(), RUNS.c.id.desc()), rows=(None, -1)
        )
        counted = select(
            RUNS.c.id,
            RUNS.c.scenario,
            RUNS.c.run_id,
            RUNS.c.started,
            good.label("good"),
            after.label("retested"),
        ).where(asked, RUNS.c.scenario.in_(select(RUNS.c.scenario).where(asked, ~good)))
        each = counted.subquery()
        bad = select(each).where(~each.c.good).order_by(each.c.started.desc(), each.c.id.desc())
        with self._reading() as connection:
            rows = connection.execute(bad).all()
        return tuple(Failure(row.scenario, row.run_id, row.started, row.retested) for row in rows)

    def count(self, scenario: str | None = None) -> int:
        """How many runs are recorded, of a scenario or of all."""
        statement = select(func.count()).select_from(RUNS)
        if scenario is not None:
            statement = statement.where(RUNS.c.scenario == scenario)
        with self._reading() as connection:
            return connection.execute(statement).scalar_one()

    def scenarios(self) -> tuple[str, ...]:
        """The ids of all scenarios that were played, sorted."""
        with self._reading() as connection:
            return tuple(sorted(connection.execute(select(RUNS.c.scenario).distinct()).scalars()))

    def find(self, name: str) -> Kept:
        """The run of that name: its number, its id or how that begins, or ``latest``.

        Raises:
            RequestError: there is none, or there are several.
        """
        if name == LATEST:
            found = self.newest(1)
        else:
            meant = RUNS.c.run_id.startswith(name, autoescape=True)
            if name.isascii() and name.isdigit() and len(name) < 10:
                meant = RUNS.c.number == int(name)
            with self._reading() as connection:
                some = select(RUNS).order_by(RUNS.c.id).limit(AMBIGUOUS)
                found = _load(connection, some.where(RUNS.c.run_id == name))
                found = found or _load(connection, some.where(meant))
        if not found:
            raise RequestError(
                f"the history has no run {name}",
                hint="name one as `ninelives history` does, by number or id, or the folder of a run",
            )
        if len(found) > 1:
            raise RequestError(
                f"{name} may be {' or '.join(run.run_id for run in found)}", hint="write the id in full"
            )
        return found[0]

    def check(self) -> None:
        """Bring the tables up to date, before anything else is asked."""
        with self._reading() as connection:
            if _version(connection) == LAST_MIGRATION:
                return
        with self._writing() as connection:
            _migrate(connection, self._where, self._hint)

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._transaction(self._reader)

    def _writing(self) -> AbstractContextManager[Connection]:
        return self._transaction(self._engine)

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        # The others than the first: SQLite gives what stands in a spoilt page, of whatever type and content.
        except (SQLAlchemyError, ValueError, TypeError, LookupError) as error:
            first = str(getattr(error, "orig", None) or error).partition("\n")[0]
            password = self._engine.url.password
            if password:
                first = first.replace(str(password), "***")
            raise HistoryError(
                f"the history in {self._where} cannot be used: {first}", hint=self._hint
            ) from error


@contextmanager
def opened(url: str) -> Iterator[Archive]:
    """A team's history; its tables are made if they are not there.

    Args:
        url: of a PostgreSQL database, with user and password.

    Raises:
        RequestError: it is no such URL.
        HistoryError: the database cannot be used.
    """
    engine = create_engine(_of_postgres(url))
    event.listen(engine, "begin", _one_writer_at_a_time)
    # Not with user and query, which may hold a password.
    place = URL.create("postgresql", host=engine.url.host, port=engine.url.port, database=engine.url.database)
    shown = place.render_as_string()
    with disposed(engine) as engine:
        reader = reader_of(engine, isolation_level="REPEATABLE READ")
        archive = Archive(engine, reader, shown, "check the address, the server and the rights of that user")
        archive.check()
        yield archive


def reader_of(engine: Engine, **options: str) -> Engine:
    """The same database for transactions that only read.

    Args:
        engine: of SQLAlchemy.
        options: more of them for its connections.
    """
    return engine.execution_options(**{READING: True, **options})


@contextmanager
def disposed(engine: Engine) -> Iterator[Engine]:
    """Close its connections when the block is left."""
    try:
        yield engine
    finally:
        engine.dispose()


def _of_postgres(url: str) -> URL:
    hint = "write postgresql://user:password@host/database"
    try:
        made = make_url(url)
    except (ArgumentError, ValueError):
        # The text may hold a password, so it is not repeated.
        raise RequestError("the URL of the history's database cannot be read", hint=hint) from None
    if made.get_backend_name() not in ("postgresql", "postgres"):
        raise RequestError(f"the history cannot be kept in {made.get_backend_name()!r}", hint=hint)
    if "@" in (made.host or ""):
        # What stands before it is the end of a password.
        raise RequestError(
            "the URL of the history's database has more than one @",
            hint=f"{hint}, and %40 for an @ of a password",
        )
    waiting = (
        made if "connect_timeout" in made.query else made.update_query_dict({"connect_timeout": CONNECTING})
    )
    return waiting.set(drivername="postgresql+psycopg")


def _one_writer_at_a_time(connection: Connection) -> None:
    if not only_reads(connection):
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


def only_reads(connection: Connection) -> bool:
    """Whether the transaction that begins is one of a reader."""
    return bool(connection.get_execution_options().get(READING))


def _version(connection: Connection) -> str | None:
    """The migration that the tables have; None where there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our own name


def _migrate(connection: Connection, where: str, hint: str) -> None:
    version = _version(connection)
    if version == LAST_MIGRATION:
        return
    if version is not None and version > LAST_MIGRATION:
        raise HistoryError(
            f"the history in {where} was written by a newer ninelives (its tables are {version})",
            hint="upgrade ninelives here",
        )
    # Takes a while to import, and is needed once.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise HistoryError(
            f"the tables of the history in {where} cannot be brought up to date: {error}", hint=hint
        ) from error


def _reached(connection: Connection, roll: str) -> Reached:
    row = connection.execute(select(ROLLS).where(ROLLS.c.roll == roll)).one_or_none()
    if row is None or row.last is None:
        return BEGINNING
    return Reached(int(row.position), Enrolled.model_validate_json(row.last))


def _move(connection: Connection, roll: str, to: Reached) -> None:
    statement = _insert(connection)(ROLLS).values(
        roll=roll, position=to.position, last=to.last.model_dump_json() if to.last else None
    )
    changed = {"position": statement.excluded.position, "last": statement.excluded.last}
    connection.execute(statement.on_conflict_do_update(index_elements=["roll"], set_=changed))


def _insert(connection: Connection) -> Callable[..., sqlite.Insert]:
    """The INSERT of this database that can update instead; both are used in the same way."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert
    # Takes a while to import, and brings asyncio.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert  # type: ignore[return-value]


def _keep(connection: Connection, runs: Iterable[Kept]) -> None:
    once = {(run.roll, run.run_id): run for run in runs}
    if not once:
        return
    statement = _insert(connection)(RUNS)
    given = {column.name: statement.excluded[column.name] for column in RUNS.columns if column.name != "id"}
    upsert = statement.on_conflict_do_update(
        index_elements=["roll", "run_id"], set_=given, where=or_(~RUNS.c.closed, statement.excluded.closed)
    ).returning(RUNS.c.id, RUNS.c.roll, RUNS.c.run_id)
    rows = connection.execute(upsert, [_row(run) for run in once.values()]).all()
    ids = {row.id: once[row.roll, row.run_id] for row in rows}
    if not ids:
        return
    connection.execute(delete(VERDICTS).where(VERDICTS.c.run.in_(ids)))
    verdicts = [row for id_, run in ids.items() for row in _verdict_rows(id_, run)]
    if verdicts:
        connection.execute(VERDICTS.insert(), verdicts)


def _row(run: Kept) -> dict[str, object]:
    row = {column.name: getattr(run, column.name) for column in RUNS.columns if column.name != "id"}
    return _storable({**row, "controls": _CONTROLS.dump_json(run.controls).decode()})


def _verdict_rows(id_: int, run: Kept) -> Iterator[dict[str, object]]:
    for place, one in enumerate(run.verdicts):
        yield _storable(
            {
                "run": id_,
                "place": place,
                "objective": one.objective,
                "value": one.value,
                "expected": one.expected,
                "summary": one.summary,
                "figures": _FIGURES.dump_json(one.figures).decode(),
            }
        )


def _storable(row: Mapping[str, object]) -> dict[str, object]:
    """What a run says may be of a stranger's making, and PostgreSQL takes no text with a NUL in it."""
    return {
        name: value.replace(NUL, REPLACEMENT) if isinstance(value, str) else value
        for name, value in row.items()
    }


def _load(connection: Connection, statement: Select[*tuple[object, ...]]) -> tuple[Kept, ...]:
    rows = connection.execute(statement).all()
    # Asked in the same way, not by their numbers: a statement can only take so many of these.
    asked = select(VERDICTS).where(VERDICTS.c.run.in_(statement.with_only_columns(RUNS.c.id)))
    verdicts: dict[int, list[KeptVerdict]] = defaultdict(list)
    for one in connection.execute(asked.order_by(VERDICTS.c.run, VERDICTS.c.place)):
        verdicts[one.run].append(_verdict_of(one))
    return tuple(_run_of(row, tuple(verdicts[row.id])) for row in rows)


def _verdict_of(row: Row[*tuple[object, ...]]) -> KeptVerdict:
    return KeptVerdict(
        objective=row.objective,
        value=row.value,
        summary=row.summary,
        expected=row.expected,
        figures=_FIGURES.validate_json(row.figures),
    )


def _run_of(row: Row[*tuple[object, ...]], verdicts: tuple[KeptVerdict, ...]) -> Kept:
    told = {name: value for name, value in row._mapping.items() if name != "id"}
    told["controls"] = _CONTROLS.validate_json(row.controls)
    return Kept(**told, verdicts=verdicts)
