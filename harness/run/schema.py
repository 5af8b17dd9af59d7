"""What a stack says of its databases, held against the schema as the server has it.

It is asked as soon as the schema is there: a name that is misspelt would otherwise be noticed when the past
has been played, and a broken invariant when the whole drill is over.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Problem, ScenarioError
from harness.run.backfill import content
from harness.run.faults import blaming
from harness.run.ground import Ground
from harness.run.verify import as_one_query
from harness.scenario.models import ContainerService, data_of, tracked_of
from harness.scenario.positions import KeyPath, dotted
from harness.scenario.tracking import misnamed
from harness.scenario.whereabouts import place_of
from harness.seams.drivers import Database


def check_against_schema(ground: Ground) -> None:
    """Look for tracked tables and columns that are not there, and invariants that cannot be asked.

    Raises:
        ScenarioError: tables or columns are not in the schema, or a dump has no row of them; all of them.
        ScenarioFileError: the database refuses an invariant.
    """
    problems: list[Problem] = []
    for service, database in _databases(ground):
        columns = database.columns(ground.endpoints[service])
        problems += misnamed(ground.plan.loaded, service, columns)
    if problems:
        raise ScenarioError(tuple(problems))
    problems += [*_of_dumps(ground), *_of_seeds(ground)]
    if problems:
        raise ScenarioError(tuple(problems))
    for service, database in _databases(ground):
        if service == ground.plan.target:
            _check_invariants(ground, service, database)


def _databases(ground: Ground) -> Iterator[tuple[str, Database]]:
    """The services that speak SQL and have tables which are compared."""
    for service, model in ground.plan.loaded.stack.services.items():
        replica = ground.plan.replicas[service]
        if tracked_of(model) and isinstance(replica, Database):
            yield service, replica


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
        database = ground.plan.replicas[service]
        if not isinstance(database, Database):
            continue
        for table, (key, _) in tables.items():
            if not database.tells_apart(ground.endpoints[service], table, key):
                message = f"the column {key!r} is no key of {table!r}: it has a value twice, or none at all"
                hint = "name a column that tells every row from every other"
                yield _problem(ground, ("services", service, "tables", table, "key"), message, hint)


def _of_seeds(ground: Ground) -> Iterator[Problem]:
    """A seed that makes nothing of what is compared, in place of a past."""
    if ground.plan.loaded.scenario.history is not None:
        return
    service = ground.plan.target
    model = ground.plan.loaded.stack.services[service]
    if isinstance(model, ContainerService) and model.seed and content(ground, service).rows == 0:
        message = f"it makes nothing in {', '.join(sorted(model.collections))}"
        hint = "have it put items there, or give the scenario a history and the service `put`"
        yield _problem(ground, ("services", service, "seed"), message, hint)


def _problem(ground: Ground, path: KeyPath, message: str, hint: str) -> Problem:
    place = place_of(ground.plan.loaded, path)
    return Problem(place.file, place.line, place.column, dotted(path), message, hint)


def _check_invariants(ground: Ground, service: str, database: Database) -> None:
    """Have the server plan each; nothing is read, so an empty table cannot make one fail."""
    loaded = ground.plan.loaded
    endpoint = ground.endpoints[service]
    for name, statement in (loaded.objectives.invariants or {}).items():
        text = loaded.files.get(statement)
        if text is None:
            place, first = str(place_of(loaded, ("objectives", "invariants", name))), None
        else:
            place, first = str(loaded.folder / statement), text[: -len(text.lstrip())].count("\n")
        with blaming(place, f"the invariant {name}", first_line=first):
            # The statement comes after one line of ours, and begins where its own blank lines end.
            database.query(endpoint, f"EXPLAIN {as_one_query(text or statement)}", {})
