"""The tracked tables of a stack, held against the tables and columns that a schema really has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.errors import Problem
from harness.scenario.models import LoadedScenario, MariadbService, PostgresService
from harness.scenario.positions import KeyPath, dotted
from harness.scenario.problems import nearest
from harness.scenario.whereabouts import place_of


def misnamed(loaded: LoadedScenario, service: str, columns: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Each tracked table, key and time column of a service that its schema does not have.

    Args:
        loaded: the scenario.
        service: one that speaks SQL.
        columns: of each table that there is, as the database names them.
    """
    model = loaded.stack.services[service]
    if not isinstance(model, PostgresService | MariadbService):
        return
    for table, tracked in model.tables.items():
        path: KeyPath = ("services", service, "tables", table)
        if table not in columns:
            message = f"{_source(model)} has no table {table!r}"
            yield _problem(loaded, path, message, nearest(table, columns, "it makes none"), True)
            continue
        for role, column in (("key", tracked.key), ("time", tracked.time)):
            if column is not None and column not in columns[table]:
                message = f"the table {table!r} has no column {column!r}"
                hint = nearest(column, columns[table], "the table has no columns")
                yield _problem(loaded, (*path, role), message, hint, False)


def _source(model: PostgresService | MariadbService) -> str:
    return f"the dump {model.data.dump}" if model.data is not None else "the schema"


def _problem(loaded: LoadedScenario, path: KeyPath, message: str, hint: str, of_key: bool) -> Problem:
    place = place_of(loaded, path, of_key=of_key)
    return Problem(place.file, place.line, place.column, dotted(path), message, hint)
