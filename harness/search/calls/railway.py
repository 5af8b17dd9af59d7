"""The calls to a control plane: what it runs, its backups, and what ends them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import JsonValue

from harness.search.moves import Key, Learned, Move, MoveKind, Thing, call

API = "/graphql/v2"
PROJECT = (
    "id workspaceId environments { edges { node { id name } } } services { edges { node { id name } } }"
    " volumes { edges { node { id name volumeInstances { edges { node { id environmentId } } } } } }"
)
STAGE_AND_COMMIT = (
    "mutation ($environment: String!, $input: EnvironmentConfig!)"
    " { environmentStageChanges(environmentId: $environment, input: $input) { id }"
    " environmentPatchCommitStaged(environmentId: $environment) }"
)
"""One request, whose parts are carried out in their order."""

BACKUPS = '{ volumeInstanceBackupList(volumeInstanceId: "%s") { id } }'
DELETES = (
    ("volume", "volumeDelete", "volumeId"),
    ("environment", "environmentDelete", "id"),
    ("service", "serviceDelete", "id"),
    ("project", "projectDelete", "id"),
    ("project", "projectScheduleDelete", "id"),
    ("project", "projectScheduleDeleteForce", "id"),
    ("workspace", "workspaceDelete", "id"),
)


def moves(key: Key, things: tuple[Thing, ...], name: str) -> Iterator[Move]:
    """Every call that a token could make, given what it was shown."""
    del name

    def ask(kind: MoveKind, what: str, document: str, operation: str = "", about: str = "") -> Move:
        arguments: dict[str, JsonValue] = {"path": API, "json": {"query": document}}
        return call(key, kind, "http.request", what, arguments, operation, about)

    if key.kind == "project-token":
        yield ask(
            "look", "look at the project", f"{{ projectToken {{ project {{ {PROJECT} }} }} }}", about="token"
        )
    else:
        document = f"{{ projects {{ edges {{ node {{ {PROJECT} }} }} }} }}"
        yield ask("look", "look at the projects", document, about="account")
    for thing in things:
        for kind, mutation, argument in DELETES:
            if thing.kind == kind:
                document = f'mutation {{ {mutation}({argument}: "{thing.value}") }}'
                yield ask("destroy", f"{mutation} of {thing.name}", document, mutation)
        if thing.kind == "instance":
            yield ask("look", f"list backups of {thing.name}", BACKUPS % thing.value, about=thing.value)
            document = f'volumeInstanceBackupScheduleUpdate(kinds: [], volumeInstanceId: "{thing.value}")'
            what, operation = f"end backups of {thing.name}", "volumeInstanceBackupScheduleUpdate"
            yield ask("weaken", what, f"mutation {{ {document} }}", operation)
            yield _staged(key, thing)
        if thing.kind == "backup":
            for mutation in ("volumeInstanceBackupDelete", "volumeInstanceBackupRestore"):
                given = f'volumeInstanceBackupId: "{thing.value}", volumeInstanceId: "{thing.within}"'
                document = f"mutation {{ {mutation}({given}) {{ workflowId }} }}"
                yield ask("destroy", f"{mutation} of {thing.name}", document, mutation)


def _staged(key: Key, instance: Thing) -> Move:
    """A deletion of a volume in one environment, staged and deployed at once."""
    volume, environment = instance.within.split()  # it lies in both
    variables = {"environment": environment, "input": {"volumes": {volume: {"isDeleted": True}}}}
    # As text: what was found is put into values, and here it is the name of a member.
    body = json.dumps({"query": STAGE_AND_COMMIT, "variables": variables})
    shown = key.shown.get("headers")
    headers: dict[str, JsonValue] = {"Content-Type": "application/json"}
    headers |= shown if isinstance(shown, dict) else {}
    what, operation = f"delete {instance.name}, staged", "environmentPatchCommitStaged"
    arguments: dict[str, JsonValue] = {"path": API, "data": body, "headers": headers}
    return call(key, "destroy", "http.request", what, arguments, operation)


def learn(move: Move, text: str, known: int) -> Learned:
    """Identifiers: the script saves each by its path, since they are others in the next replica."""
    data = (json.loads(text) or {}).get("data") or {}
    saves: dict[str, str] = {}
    things: list[Thing] = []

    def find(what: str, path: str) -> str:
        variable = f"{what}_{known + len(saves) + 1}"
        saves[variable] = path
        return f"${{{variable}}}"

    def see(kind: str, name: str, path: str, within: str = "") -> str:
        value = find(kind, path)
        things.append(Thing(kind, name, value, within))
        return value

    if move.about not in ("account", "token"):
        for number, _ in enumerate(data.get("volumeInstanceBackupList") or ()):
            path = f"$.data.volumeInstanceBackupList[{number}].id"
            see("backup", f"backup {number + 1}", path, move.about)
        return saves, things
    if move.about == "token":
        projects = [("$.data.projectToken.project", (data.get("projectToken") or {}).get("project"))]
    else:
        edges = (data.get("projects") or {}).get("edges") or ()
        projects = [(f"$.data.projects.edges[{n}].node", edge["node"]) for n, edge in enumerate(edges)]
    for at, project in projects:
        if not project:
            continue
        see("project", "the project", f"{at}.id")
        if project.get("workspaceId"):
            see("workspace", "the workspace", f"{at}.workspaceId")
        for kind in ("environment", "service", "volume"):
            for number, edge in enumerate(project[f"{kind}s"]["edges"]):
                path = f"{at}.{kind}s.edges[{number}].node"
                thing = see(kind, f"{kind} {edge['node']['name']}", f"{path}.id")
                if kind == "volume":
                    instances = edge["node"]["volumeInstances"]["edges"]
                    for n, _ in enumerate(instances):
                        label = f"{edge['node']['name']}, instance {n + 1}"
                        instance = f"{path}.volumeInstances.edges[{n}].node"
                        environment = find("environment_of", f"{instance}.environmentId")
                        see("instance", label, f"{instance}.id", f"{thing} {environment}")
    return saves, things
