"""What must be true of a scenario over its stack: names that exist, steps that can be made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from harness.scenario.files import exports_of
from harness.scenario.models import (
    IDENTIFIER,
    PASSING,
    ContainerService,
    ItemService,
    MariadbService,
    OtherService,
    PostgresService,
    Scenario,
    ScriptedAgent,
    Stack,
    Step,
    begins_filled,
    data_of,
    parse_duration,
)
from harness.scenario.positions import KeyPath
from harness.scenario.problems import Finding, Known, nearest
from harness.scenario.stack_rules import (
    ITEMS,
    SQL,
    objective_findings,
    repeated,
    wrong_principal,
    wrong_service,
)
from harness.scenario.tightening import loosened, names_in_force, tightened

FILES, SHELL = "files", "shell"
VERBS = {
    SHELL: ("run",),
    "git": ("branches", "log", "write", "commit", "push", "reset", "clean", "expire"),
    FILES: ("list", "search", "read", "write", "move", "delete"),
    "http": ("request",),
    "sql": ("query", "execute"),
    "valkey": ("command",),
    "docker": ("ps", "volume-ls", "rm", "volume-rm", "volume-prune", "system-prune", "compose-down"),
    "mariadb": ("query", "execute"),
    "s3": (
        "list",
        "get",
        "put",
        "delete-object",
        "delete-objects",
        "delete-bucket",
        "list-versions",
        "put-lifecycle",
        "put-versioning",
        "put-retention",
    ),
}
SPEAKS = {
    "http": "railway",
    "sql": "postgres",
    "s3": "s3",
    "aws": "aws",
    "valkey": "valkey",
    "mariadb": "mariadb",
    "git": "git",
    "docker": "container",
}
"""The kind of service that each surface with a service talks to."""

PLACEHOLDER = re.compile(r"\$\{([^}]{0,100})\}")
JSON_PATH = re.compile(
    r"\$(\.[A-Za-z_][A-Za-z0-9_-]*|\[-?[0-9]{1,9}\]|\[\?[A-Za-z_][A-Za-z0-9_.-]*=[^\]]*\])*"
)


@dataclass(frozen=True)
class Case:
    """A scenario in its surroundings.

    Attributes:
        scenario: as written.
        stack: with the scenario's guards applied.
        stem: the file's name without its suffix.
        known: the drivers that there are.
    """

    scenario: Scenario
    stack: Stack
    stem: str
    known: Known


def scenario_findings(case: Case) -> tuple[Finding, ...]:
    """Every defect of a scenario that its models cannot see."""
    return tuple(finding for rule in RULES for finding in rule(case))


# --- names ------------------------------------------------------------------------------------------


def _id(case: Case) -> Iterator[Finding]:
    *folder, last = case.scenario.id.split("/")
    if last != case.stem:
        wanted = "/".join([*folder, case.stem])
        yield Finding(
            ("id",), f"the last part is not the name of the file, {case.stem!r}", f"write id: {wanted}"
        )


def _guards(case: Case) -> Iterator[Finding]:
    yield from repeated(case.scenario.guards, ("guards",))
    for index, name in enumerate(case.scenario.guards):
        if name not in case.stack.guards:
            yield Finding(
                ("guards", index),
                f"the stack has no guard {name!r}",
                nearest(name, case.stack.guards, "add one under guards of the stack"),
            )


def _controls(case: Case) -> Iterator[Finding]:
    if not case.scenario.controls:
        return
    # Most scenarios name none, and need not wait for the catalogue.
    from harness.controls.catalogue import mistaken

    yield from repeated(case.scenario.controls, ("controls",))
    for index, name in enumerate(case.scenario.controls):
        if (mistake := mistaken(name)) is not None:
            message, choices = mistake
            yield Finding(("controls", index), message, nearest(name, choices))


def _services(case: Case) -> Iterator[Finding]:
    scenario = case.scenario
    named = {"workload": scenario.workload.service, "recover": scenario.recover.service}
    if scenario.history is not None:
        named = {"history": scenario.history.service, **named}
    for part, name in named.items():
        path: KeyPath = (part, "service")
        yield from wrong_service(case.stack, name, (*SQL, *ITEMS), path)
        service = case.stack.services.get(name)
        if isinstance(service, ItemService) and not service.collections:
            yield Finding(
                path,
                f"{name!r} has no collections, so nothing could be found missing",
                f"list collections under services.{name} of the stack",
            )
        if isinstance(service, PostgresService | MariadbService) and not service.tables:
            yield Finding(
                path,
                f"{name!r} has no tracked tables, so nothing could be found missing",
                f"list tables under services.{name} of the stack",
            )


def _history(case: Case) -> Iterator[Finding]:
    history = case.scenario.history
    if history is None:
        name = case.scenario.recover.service
        if name in case.stack.services and not begins_filled(case.stack.services[name]):
            hint = "write history: {service: ..., span: ..., rows: ..., slice: <file>.sql}, or give it data"
            yield Finding(("history",), f"missing: {name!r} begins empty", hint, of_key=True)
        return
    path: KeyPath = ("history", "rows")
    speaks_sql = not isinstance(case.stack.services.get(history.service), ItemService)
    if not history.rows and history.slice is not None and speaks_sql:
        message = "missing: without rows the slice is not played"
        yield Finding(path, message, "say how many, or leave slice out", of_key=True)
    elif not history.rows and not begins_filled(case.stack.services.get(history.service)):
        yield Finding(path, f"missing: {history.service!r} begins empty", "say how many", of_key=True)
    elif history.rows and history.slice is None and speaks_sql:
        hint = "write slice: backfill.sql, a file that inserts one slice of the past"
        yield Finding(("history", "slice"), "missing: the past is played by it", hint, of_key=True)
    service = case.stack.services.get(history.service)
    if history.rows and isinstance(service, ContainerService) and service.put is None:
        message = f"{history.service!r} has no `put`, by which its past would be played"
        yield Finding(path, message, "give the service put, or seed and no rows")


def _dump_of(case: Case, name: str) -> str | None:
    """The backup file that a service's data come from; None when it begins empty."""
    data = data_of(case.stack.services.get(name))
    return data[1] if data else None


def _sql_only(case: Case) -> Iterator[Finding]:
    """What asks for SQL of a service that does not speak it."""
    scenario = case.scenario
    history = scenario.history
    if history is not None and isinstance(case.stack.services.get(history.service), ItemService):
        for key in ("slice", "exports"):
            if getattr(history, key):
                yield Finding(
                    ("history", key),
                    f"{history.service!r} does not speak SQL",
                    "leave it out: its past is made up, `rows` items of `size` bytes",
                    of_key=True,
                )
    for service, of in (
        (history.service if history else "", "exports"),
        (scenario.recover.service, "recover"),
    ):
        if isinstance(case.stack.services.get(service), MariadbService):
            yield from _postgres_only(scenario, service, of)
    if isinstance(case.stack.services.get(scenario.recover.service), ItemService):
        wrong = {
            ("recover", "reconstruct"): scenario.recover.reconstruct,
            ("recover", "run"): scenario.recover.run,
            ("objectives", "invariants"): scenario.objectives.invariants,
        }
        if isinstance(case.stack.services[scenario.recover.service], ContainerService):
            del wrong["recover", "run"]
        for path, value in wrong.items():
            if value is not None:
                message = f"{scenario.recover.service!r} does not speak SQL"
                yield Finding(path, message, "leave it out", of_key=True)


def _postgres_only(scenario: Scenario, service: str, of: str) -> Iterator[Finding]:
    """What is done in PostgreSQL's own SQL."""
    wrong: dict[KeyPath, object] = {("recover", "reconstruct"): scenario.recover.reconstruct}
    wrong[("recover", "run")] = scenario.recover.run
    if of == "exports":
        wrong = {("history", "exports"): exports_of(scenario)}
    for path, value in wrong.items():
        if value:
            message = f"{service!r} is of kind mariadb; only postgres can do that"
            yield Finding(path, message, "leave it out", of_key=True)


def _exports(case: Case) -> Iterator[Finding]:
    for index, export in enumerate(exports_of(case.scenario)):
        yield from wrong_service(case.stack, export.to, "s3", ("history", "exports", index, "to"))


def _recover(case: Case) -> Iterator[Finding]:
    recover = case.scenario.recover
    path: KeyPath = ("recover", "reconstruct")
    if recover.reconstruct is None:
        if recover.strategy == "reconstruct":
            hint = "write reconstruct: {from: <s3 service>, script: <file>.sql}"
            yield Finding(path, "missing: the strategy reconstruct needs it", hint, of_key=True)
        return
    if recover.strategy != "reconstruct":
        yield Finding(
            path,
            f"the strategy {recover.strategy} does not use it",
            "write strategy: reconstruct, or leave it out",
            of_key=True,
        )
    if _dump_of(case, recover.service) is not None:
        message = f"the data of {recover.service!r} come from a dump, and rows are rebuilt over a schema"
        yield Finding(
            path, message, "give the service a schema and a history, or restore copies", of_key=True
        )
    yield from wrong_service(case.stack, recover.reconstruct.from_, "s3", (*path, "from"))
    yield from _nothing_to_rebuild_from(case, recover.reconstruct.from_, recover.reconstruct.prefix)


def _runbook(case: Case) -> Iterator[Finding]:
    recover = case.scenario.recover
    if recover.strategy == "runbook" and recover.run is None:
        yield Finding(
            ("recover", "run"), "missing: the strategy runbook needs it", "write run: restore.sh", of_key=True
        )
    for name, value in (("run", recover.run), ("timeout", recover.timeout)):
        if recover.strategy != "runbook" and value is not None:
            yield Finding(
                ("recover", name),
                f"the strategy {recover.strategy} does not use it",
                "write strategy: runbook, or leave it out",
                of_key=True,
            )


def _nothing_to_rebuild_from(case: Case, source: str, prefix: str) -> Iterator[Finding]:
    exports = exports_of(case.scenario)
    if source in case.stack.services and not any(export.to == source for export in exports):
        yield Finding(
            ("recover", "reconstruct", "from"),
            f"no records are exported to {source!r}",
            nearest(source, {export.to for export in exports}, "add exports to the history"),
        )
    elif not any(export.to == source and export.prefix.startswith(prefix) for export in exports):
        prefixes = {export.prefix for export in exports if export.to == source}
        if prefixes:
            message = f"no records are exported under {prefix!r}"
            yield Finding(("recover", "reconstruct", "prefix"), message, nearest(prefix, prefixes))


# --- the agent --------------------------------------------------------------------------------------


def _acts_as(case: Case) -> Iterator[Finding]:
    if case.scenario.agent.as_ is not None:
        yield from wrong_principal(case.stack, case.scenario.agent.as_, ("agent", "as"))


def _steps(case: Case) -> Iterator[Finding]:
    agent = case.scenario.agent
    if not isinstance(agent, ScriptedAgent):
        return
    saved: set[str] = set()
    for index, step in enumerate(agent.steps):
        path: KeyPath = ("agent", "steps", index)
        yield from _call(case, agent.as_, step, path)
        yield from _unsaved(step.with_, saved, (*path, "with"))
        yield from _expressions(step, path)
        saved |= step.save.keys()
    if not any(step.harm for step in agent.steps):
        yield Finding(
            ("agent", "steps"),
            "no step is marked harm: true, so the drill would prove nothing",
            "mark the step that is meant to destroy something; an agent of kind idle does none",
            of_key=True,
        )


def _span(step: Step, path: KeyPath) -> Iterator[Finding]:
    hint = "write with: {for: 2d}, and nothing else"
    try:
        passes = parse_duration(step.with_.get("for"))
    except ValueError as error:
        yield Finding((*path, "with"), f"it takes {error}", hint)
        return
    if not passes or step.with_.keys() != {"for"} or step.on is not None or step.harm:
        yield Finding((*path, "do"), "time passes for a while, is aimed at nothing and does no harm", hint)


def _call(case: Case, principal: str, step: Step, path: KeyPath) -> Iterator[Finding]:
    if step.do == PASSING:
        yield from _span(step, path)
        return
    surface, _, verb = step.do.partition(".")
    if surface not in case.known.surfaces:
        yield Finding((*path, "do"), f"unknown surface {surface!r}", nearest(surface, case.known.surfaces))
        return
    if surface in VERBS and verb not in VERBS[surface]:
        yield Finding((*path, "do"), f"{surface} has no verb {verb!r}", nearest(verb, VERBS[surface]))
    if surface in (FILES, SHELL):
        yield from _own_files(case, principal, step, path)
    elif step.on is not None:
        yield from _target(case, surface, step.on, (*path, "on"))
    elif surface in SPEAKS:
        message = f"missing: {surface} calls go to a service"
        yield Finding((*path, "on"), message, f"name one of kind {SPEAKS[surface]}", of_key=True)


def _own_files(case: Case, name: str, step: Step, path: KeyPath) -> Iterator[Finding]:
    if step.on is not None and step.do.startswith(SHELL):
        message = "a command line runs in the principal's own workspace"
        yield Finding((*path, "on"), message, "leave it out; files.move and files.delete change a volume")
        return
    if step.on is not None:
        yield from wrong_service(case.stack, step.on, "volume", (*path, "on"))
        return
    principal = case.stack.principals.get(name)
    if principal is not None and principal.workspace is None:
        yield Finding(
            (*path, "do"), f"{name!r} has no workspace", f"give principals.{name} of the stack a workspace"
        )


def _target(case: Case, surface: str, name: str, path: KeyPath) -> Iterator[Finding]:
    service = case.stack.services.get(name)
    if isinstance(service, OtherService):
        return
    if surface in SPEAKS:
        yield from wrong_service(case.stack, name, SPEAKS[surface], path)
    elif service is None:
        yield Finding(path, f"no service is called {name!r}", nearest(name, case.stack.services))


def _unsaved(value: JsonValue, saved: set[str], path: KeyPath) -> Iterator[Finding]:
    """Each placeholder in the arguments of a step for which no earlier step found a value."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _unsaved(child, saved, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _unsaved(child, saved, (*path, index))
    elif isinstance(value, str):
        for name in dict.fromkeys(PLACEHOLDER.findall(value)):
            if name not in saved:
                yield _not_saved(name, saved, path)


def _not_saved(name: str, saved: set[str], path: KeyPath) -> Finding:
    if not re.fullmatch(IDENTIFIER, name):
        return Finding(
            path,
            f"${{{name}}} is no name of a value",
            "names have lower-case letters, digits and underscores",
        )
    hint = nearest(name, saved, f"save it in an earlier step: save: {{{name}: ...}}")
    return Finding(path, f"no earlier step saves ${{{name}}}", hint)


def _expressions(step: Step, path: KeyPath) -> Iterator[Finding]:
    for name, expression in step.save.items():
        defect = _defect_of_path(expression) if expression.startswith("$") else _defect_of_regex(expression)
        if defect:
            yield Finding((*path, "save", name), *defect)


def _defect_of_path(expression: str) -> tuple[str, str] | None:
    if JSON_PATH.fullmatch(expression):
        return None
    return (
        f"{expression!r} is no path into JSON",
        "write $.data.edges[0].node.id or $.edges[?name=bookings].id",
    )


def _defect_of_regex(expression: str) -> tuple[str, str] | None:
    try:
        groups = re.compile(expression).groups
    except (re.error, OverflowError, RecursionError) as error:
        return (
            f"not a regular expression: {error}",
            "it is Python's re syntax; single quotes keep backslashes",
        )
    if groups == 1:
        return None
    return (
        f"a regular expression with {groups} groups; the value kept is the text of exactly one",
        "put (...) around the part to keep, and (?:...) around others",
    )


# --- objectives -------------------------------------------------------------------------------------


def _objectives(case: Case) -> Iterator[Finding]:
    yield from objective_findings(case.scenario.objectives, case.stack, case.known)
    yield from loosened(case.stack.objectives, case.scenario.objectives)
    if not names_in_force(tightened(case.stack.objectives, case.scenario.objectives)):
        yield Finding(
            ("objectives",),
            "missing: neither the scenario nor its stack asks for anything",
            f"there are: {', '.join(case.known.objectives)}",
            of_key=True,
        )


def _expectations(case: Case) -> Iterator[Finding]:
    in_force = names_in_force(tightened(case.stack.objectives, case.scenario.objectives))
    for name in case.scenario.expect:
        if name not in in_force:
            message = f"no objective {name!r} is in force"
            yield Finding(("expect", name), message, nearest(name, in_force), of_key=True)


RULES: tuple[Callable[[Case], Iterable[Finding]], ...] = (
    _id,
    _guards,
    _services,
    _history,
    _sql_only,
    _exports,
    _recover,
    _runbook,
    _acts_as,
    _steps,
    _objectives,
    _expectations,
    _controls,
)
