"""Control planes for tests, and a way to talk to them as a client would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from railway import RailwayClient

from harness.clock import SystemClock
from harness.facts import BACK_DOOR, OPERATOR, Endpoint, Lease
from harness.replicas.railway import RailwayReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting

CLOCK = SystemClock()
DRIVERS = 40
"""Accounts that take turns, so that no test meets the rate limit of another."""


@dataclass
class Answer:
    """One answer of the API."""

    status: int
    headers: Mapping[str, str]
    data: Any
    errors: list[dict[str, Any]]

    @property
    def message(self) -> str:
        """``errors[0].message``, or nothing."""
        return str(self.errors[0]["message"]) if self.errors else ""


@dataclass
class ControlPlane:
    """A running control plane."""

    endpoint: Endpoint
    setting: Setting
    http: httpx.Client
    clients: dict[str, RailwayClient] = field(default_factory=dict)

    @property
    def graphql(self) -> str:
        return f"{self.endpoint.url}/graphql/v2"

    def secret(self, principal: str) -> str:
        return self.endpoint.credentials[principal].secret.reveal()

    def headers(self, principal: str) -> dict[str, str]:
        credential = self.endpoint.credentials[principal]
        if credential.kind == "project-token":
            return {"Project-Access-Token": credential.secret.reveal()}
        return {"Authorization": f"Bearer {credential.secret.reveal()}"}

    def ask(self, query: str, principal: str = OPERATOR, **variables: Any) -> Answer:
        """Send a document with the principal's own token."""
        return self.send({"query": query, "variables": variables}, self.headers(principal))

    def send(self, body: Any, headers: Mapping[str, str]) -> Answer:
        """Send a body as JSON."""
        return read(self.http.post(self.graphql, json=body, headers=dict(headers)))

    def client(self, principal: str = OPERATOR) -> RailwayClient:
        """The client from PyPI, as it is. Kept open: making one takes longer than a test."""
        if principal not in self.clients:
            self.clients[principal] = self._connect(principal)
        return self.clients[principal]

    def _connect(self, principal: str) -> RailwayClient:
        secret = self.secret(principal)
        if self.endpoint.credentials[principal].kind == "project-token":
            return RailwayClient(project_token=secret, endpoint=self.graphql)
        return RailwayClient(api_token=secret, endpoint=self.graphql)

    def look(self, what: str) -> Any:
        """What the back door tells."""
        return self._back_door("GET", what)

    def tell(self, what: str, body: Any) -> Any:
        """Ask the back door to do something."""
        return self._back_door("POST", what, body)

    def volume(self, name: str = "bookings-data", environment: str = "production") -> dict[str, Any]:
        """One volume instance, as the back door describes it."""
        found = [
            one for one in self.look("volumes") if (one["volume"], one["environment"]) == (name, environment)
        ]
        assert found, (name, environment, self.look("volumes"))
        return dict(found[0])

    def await_workflow(self, client: RailwayClient, workflow_id: str | None) -> str | None:
        """Wait until a workflow is over; returns its error."""
        query = "query ($id: String!) { workflowStatus(workflowId: $id) { status error } }"
        for _ in range(2000):
            status = client._execute(query, {"id": workflow_id})["workflowStatus"]
            if status["status"] != "Running":
                assert (status["status"] == "Complete") == (status["error"] is None)
                return status["error"]
            CLOCK.sleep(0.03)  # the API allows 50 requests a second
        raise AssertionError("the workflow does not end")

    def _back_door(self, method: str, what: str, body: Any = None) -> Any:
        answer = self.http.request(
            method,
            f"{self.endpoint.url}/_replica/{what}",
            json=body,
            headers={"X-Ninelives-Back-Door": self.secret(BACK_DOOR)},
        )
        answer.raise_for_status()
        return answer.json()


def read(response: httpx.Response) -> Answer:
    """Take an HTTP answer apart."""
    body = response.json()
    return Answer(response.status_code, response.headers, body.get("data"), body.get("errors", []))


def stack(profile: str, plan: str = "pro", confirmations: str = "none") -> Stack:
    """Two environments, a database in each, all on one volume, and every kind of token."""
    tokens = {
        "account": {"token": "account"},
        "workspace": {"token": "workspace"},
        "staging": {"token": "project", "environment": "staging"},
        "production": {"token": "project", "environment": "production"},
        "domains": {"token": "scoped", "allow": ["customDomainCreate", "customDomainDelete", "domains"]},
    }
    tokens |= {f"driver-{number}": {"token": "account"} for number in range(DRIVERS)}
    database = {"kind": "postgres", "volume": "railway/bookings-data", "fsync": False}
    return Stack.model_validate(
        {
            "services": {
                "railway": {
                    "kind": "railway",
                    "profile": profile,
                    "plan": plan,
                    "confirmations": confirmations,
                    "project": "pocketos",
                    "environments": ["production", "staging"],
                },
                "bookings": {**database, "environment": "production"},
                "bookings-staging": {**database, "environment": "staging"},
            },
            "principals": {name: {"grants": {"railway": grant}} for name, grant in tokens.items()},
        }
    )


@contextmanager
def control_plane(
    sandbox: Sandbox,
    profile: str,
    plan: str = "pro",
    name: str = "railway",
    confirmations: str = "none",
) -> Iterator[ControlPlane]:
    """A control plane for as long as the block runs."""
    model = stack(profile, plan, confirmations)
    setting = Setting(model, sandbox.root, sandbox, CLOCK, {})
    purpose = f"@{name}" if name != "railway" else ""
    lease = Lease(
        run_id=sandbox.run_id,
        service=f"railway{purpose}",
        kind="railway",
        directory=sandbox.root / f"{name}-{profile}-{plan}",
    )
    replica = RailwayReplica()
    try:
        endpoint = replica.provision(lease, setting)
        with httpx.Client(trust_env=False, timeout=60) as http:
            setting = Setting(model, sandbox.root, sandbox, CLOCK, {"railway": endpoint})
            yield ControlPlane(endpoint, setting, http)
    finally:
        replica.destroy(lease)
    assert not lease.directory.exists()


@pytest.fixture(scope="module")
def legacy(sandbox: Sandbox) -> Iterator[ControlPlane]:
    with control_plane(sandbox, "legacy") as plane:
        yield plane


@pytest.fixture(scope="module")
def current(sandbox: Sandbox) -> Iterator[ControlPlane]:
    with control_plane(sandbox, "current") as plane:
        yield plane


@pytest.fixture(scope="module", params=["legacy", "current"])
def either(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[ControlPlane]:
    """Each profile in turn."""
    with control_plane(sandbox, request.param, name="either") as plane:
        yield plane


@pytest.fixture
def home(sandbox: Sandbox) -> Path:
    """The run's own directory."""
    return sandbox.root
