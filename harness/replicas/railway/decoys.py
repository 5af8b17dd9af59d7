"""What the owner makes on a control plane so that somebody else can try to delete it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from pydantic import JsonValue

from harness.clock import Clock
from harness.errors import ProvisionError
from harness.facts import OPERATOR, Endpoint, Outcome, Resource
from harness.replicas.railway.refusals import OWN, WAITS
from harness.seams.drivers import Decoy, Request
from harness.seams.http_client import NoAnswerError
from harness.seams.railway_client import API, CONFIRM, SaidNoError, ask

SECONDS = 30.0
POLL_SECONDS = 0.05
WAITING = re.compile(WAITS + ": ([0-9a-f-]{36})")

PROJECT = """mutation ($name: String!) {
  projectCreate(input: {name: $name, defaultEnvironmentName: $name}) { id baseEnvironment { id } }
}"""
SERVICE = """mutation ($project: String!, $environment: String!) {
  serviceCreate(input: {projectId: $project, environmentId: $environment, name: "decoy"}) { id }
}"""
VOLUME = """mutation ($project: String!, $environment: String!) {
  volumeCreate(input: {projectId: $project, environmentId: $environment, mountPath: "/data"}) {
    id name volumeInstances { edges { node { id } } }
  }
}"""
BACKUP = "mutation ($id: String!) { volumeInstanceBackupCreate(volumeInstanceId: $id) { workflowId } }"
BACKUPS = "query ($id: String!) { volumeInstanceBackupList(volumeInstanceId: $id) { id } }"
STATUS = "query ($id: String!) { workflowStatus(workflowId: $id) { status error } }"


@dataclass(frozen=True)
class DecoyProject:
    """A project of its own with one of everything, so that nothing of the stack is at stake."""

    endpoint: Endpoint
    name: str
    project: str
    environment: str
    service: str
    volume: str
    volume_name: str
    instance: str
    backup: str

    def decoys(self, calls: Sequence[str]) -> tuple[Decoy, ...]:
        """Those that the calls delete, from the inside to the outside."""
        every = (
            self._decoy(
                "volumeInstanceBackupDelete",
                f'volumeInstanceId: "{self.instance}", volumeInstanceBackupId: "{self.backup}"',
                ("volume-backup", f"{self.name}/{self.volume_name}/{self.backup}"),
                "{ workflowId }",
            ),
            self._decoy(
                "volumeDelete",
                f'volumeId: "{self.volume}"',
                ("volume-instance", f"{self.name}/{self.volume_name}"),
            ),
            self._decoy("serviceDelete", f'id: "{self.service}"', ("service", f"{self.name}/decoy")),
            self._decoy("environmentDelete", f'id: "{self.environment}"', ("environment", self.name)),
            self._decoy("projectDelete", f'id: "{self.project}"', ("project", self.name)),
        )
        return tuple(decoy for decoy in every if decoy.call in calls)

    def _decoy(self, call: str, arguments: str, named: tuple[str, str], fields: str = "") -> Decoy:
        kind, name = named
        place = None if kind == "project" else self.name
        return Decoy(
            call,
            Resource(service=self.endpoint.service, kind=kind, name=name, environment=place),
            _request({"query": f"mutation {{ {call}({arguments}) {fields} }}"}),
        )


def make_project(endpoint: Endpoint, clock: Clock) -> DecoyProject:
    """Make one of everything, as the owner of the account.

    Raises:
        ProvisionError: the control plane does not answer, or does not make it.
    """
    name = f"decoys-{token_hex(4)}"
    made = _ask(endpoint, clock, PROJECT, name=name)["projectCreate"]
    inside = {"project": made["id"], "environment": made["baseEnvironment"]["id"]}
    service = _ask(endpoint, clock, SERVICE, **inside)["serviceCreate"]
    volume = _ask(endpoint, clock, VOLUME, **inside)["volumeCreate"]
    instance = volume["volumeInstances"]["edges"][0]["node"]["id"]
    backup = _back_up(endpoint, instance, clock)
    return DecoyProject(
        endpoint,
        name,
        **inside,
        service=service["id"],
        volume=volume["id"],
        volume_name=volume["name"],
        instance=instance,
        backup=backup,
    )


def waiting(outcome: Outcome) -> str | None:
    """Under which id a refused call waits."""
    found = WAITING.search(outcome.detail) if outcome.status == "refused" else None
    return found[1] if found else None


def is_own(outcome: Outcome) -> bool:
    """Whether somebody's own confirmation was refused."""
    return outcome.status == "refused" and OWN in outcome.detail


def confirmation(id: str) -> Request:
    """Of what waits."""
    return _request({"query": CONFIRM, "variables": {"id": id}})


def _back_up(endpoint: Endpoint, instance: str, clock: Clock) -> str:
    workflow = _ask(endpoint, clock, BACKUP, id=instance)["volumeInstanceBackupCreate"]["workflowId"]
    while (status := _ask(endpoint, clock, STATUS, id=workflow)["workflowStatus"])["status"] == "Running":
        clock.sleep(POLL_SECONDS)
    if status["status"] != "Complete":
        raise _unmade(endpoint, str(status["error"]))
    return str(_ask(endpoint, clock, BACKUPS, id=instance)["volumeInstanceBackupList"][0]["id"])


def _request(body: Mapping[str, JsonValue]) -> Request:
    return Request("http", "request", {"method": "POST", "path": API, "json": dict(body)})


def _ask(endpoint: Endpoint, clock: Clock, document: str, **variables: str) -> Any:
    try:
        return ask(endpoint, OPERATOR, document, variables, clock=clock, timeout=SECONDS)
    except (NoAnswerError, SaidNoError, ValueError) as error:
        raise _unmade(endpoint, str(error)) from error


def _unmade(endpoint: Endpoint, reason: str) -> ProvisionError:
    return ProvisionError(
        f"nothing could be made on {endpoint.service} to be deleted: {reason}",
        hint="the control plane's log lies in the lease's directory",
    )
