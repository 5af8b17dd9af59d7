"""What a stack says of its databases, held against the schema as the server has it.

It is asked as soon as the schema is there: a name that is misspelt would otherwise be noticed when the past
has been played, and a broken invariant when the whole drill is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.errors import Problem, ScenarioError
from harness.run.backfill import content, tracked
from harness.run.faults import blaming
from harness.run.ground import Ground
from harness.run.verify import as_one_query
from harness.scenario.models import MariadbService, PostgresService, data_of, tracked_of
from harness.scenario.positions import KeyPath, dotted
from harness.scenario.tracking import misnamed
from harness.scenario.whereabouts import place_of

COLUMNS = """
    SELECT c.relname, a.attname
    FROM pg_class AS c
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    ORDER BY c.relname, a.attnum
"""

MARIADB_COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position
"""
IS_KEY = """
    SELECT EXISTS (
        SELECT FROM pg_index AS i
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = format('public.%I', :table)::regclass AND a.attname = :key AND a.attnotnull
        AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL
    )
"""
REPEATS = """
    SELECT EXISTS (SELECT FROM public."{table}" GROUP BY "{key}" HAVING count(*) > 1 OR "{key}" IS NULL)
"""


def check_against_schema(ground: Ground) -> None:
    """Look for tracked tables and columns that are not there, and invariants that cannot be asked.

    Raises:
        ScenarioError: tables or columns are not in the schema, or a dump has no row of them; all of them.
        ScenarioFileError: the database refuses an invariant.
    """
    problems: list[Problem] = []
    for service, model in ground.plan.loaded.stack.services.items():
        if isinstance(model, PostgresService | MariadbService):
            problems += misnamed(ground.plan.loaded, service, _columns(ground, service))
    if problems:
        raise ScenarioError(tuple(problems))
    problems += _of_dumps(ground)
    if problems:
        raise ScenarioError(tuple(problems))
    for service, model in ground.plan.loaded.stack.services.items():
        if isinstance(model, PostgresService | MariadbService) and service == ground.plan.target:
            _check_invariants(ground, service)


def _of_dumps(ground: Ground) -> Iterator[Problem]:
    """What shows of a dump when it is there: not one row in the tracked tables, or a key that is none."""
    for service, model in ground.plan.loaded.stack.services.items():
        data, tables = data_of(model), tracked_of(model)
        if data is None or not tables:
            continue
        key, file = data
        if content(ground, service).rows == 0:
            message = f"{file} holds nothing of {', '.join(sorted(tables))}"
            hint = "it is of a schema alone, of an empty database, or of another one; name one with the data"
            yield _problem(ground, ("services", service, "data", key), message, hint)
        if not isinstance(model, PostgresService):
            continue
        for table, (key, _) in tracked(ground, service).items():
            if _repeats(ground, service, table, key):
                message = f"the column {key!r} is no key of {table!r}: it has a value twice, or none at all"
                hint = "name a column that tells every row from every other"
                yield _problem(ground, ("services", service, "tables", table, "key"), message, hint)


def _repeats(ground: Ground, service: str, table: str, key: str) -> bool:
    """Whether rows cannot be told apart by a column; where the schema rules that out nobody looks at them."""
    database, endpoint = ground.plan.database(service), ground.endpoints[service]
    ((is_key,),) = database.query(endpoint, IS_KEY, {"table": table, "key": key})
    if is_key:
        return False
    ((repeats,),) = database.query(endpoint, REPEATS.format(table=table, key=key), {})
    return bool(repeats)


def _problem(ground: Ground, path: KeyPath, message: str, hint: str) -> Problem:
    place = place_of(ground.plan.loaded, path)
    return Problem(place.file, place.line, place.column, dotted(path), message, hint)


def _columns(ground: Ground, service: str) -> Mapping[str, Sequence[str]]:
    columns: dict[str, list[str]] = {}
    maria = isinstance(ground.plan.loaded.stack.services[service], MariadbService)
    statement = MARIADB_COLUMNS if maria else COLUMNS
    for table, column in ground.plan.database(service).query(ground.endpoints[service], statement, {}):
        columns.setdefault(str(table), []).extend([str(column)] if column is not None else [])
    return columns


def _check_invariants(ground: Ground, service: str) -> None:
    """Have the server plan each; nothing is read, so an empty table cannot make one fail."""
    loaded = ground.plan.loaded
    database, endpoint = ground.plan.database(service), ground.endpoints[service]
    for name, statement in (loaded.objectives.invariants or {}).items():
        text = loaded.files.get(statement)
        if text is None:
            place, first = str(place_of(loaded, ("objectives", "invariants", name))), None
        else:
            place, first = str(loaded.folder / statement), text[: -len(text.lstrip())].count("\n")
        with blaming(place, f"the invariant {name}", first_line=first):
            # The statement comes after one line of ours, and begins where its own blank lines end.
            database.query(endpoint, f"EXPLAIN {as_one_query(text or statement)}", {})
