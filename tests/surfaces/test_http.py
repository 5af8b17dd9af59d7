"""The HTTP surface against a server that answers as it is told, with an audit log as the replica has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.clock import SystemClock
from harness.facts import BACK_DOOR, Action, Credential, CredentialKind, Endpoint, Lease, Outcome, Secret
from harness.sandbox import LOOPBACK, free_port
from harness.surfaces import http
from harness.surfaces.http import HttpSurface

Perform = Callable[..., Outcome]
BACK_DOOR_SECRET = "the-back-door-secret"
INSTANCE = {"kind": "volume-instance", "name": "production/bookings-data", "environment": "production"}


PATIENCE = 30.0
"""Seconds for which a service hangs."""


class ControlPlane(ThreadingHTTPServer):
    """Answers every request with ``answer``, remembers it, and notes ``changes`` in its audit log."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Handler)
        self.answer: tuple[int, str, dict[str, str]] = (200, "{}", {})
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.audit: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.outcome = "done"
        self.entries: list[tuple[str | None, str]] = []
        self.silent = False
        self.chunked = False

    def note(self, outcome: str, resources: list[dict[str, Any]], principal: str | None = "agent") -> None:
        entry = {
            "seq": len(self.audit) + 1,
            "at": "2026-04-24T12:00:00Z",
            "principal": principal,
            "token_kind": "account-token",
            "operation": "volumeDelete",
            "outcome": outcome,
            "resources": resources,
        }
        self.audit.append(entry)


class Handler(BaseHTTPRequestHandler):
    server: ControlPlane

    def do(self) -> None:
        body = self.read_chunks() if self.server.chunked else self.read_whole()
        address = urlsplit(self.path)
        if address.path == "/_replica/audit":
            return self.show_audit(int(parse_qs(address.query)["after"][0]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, self.path, headers, body))
        if self.server.changes:
            self.server.note(self.server.outcome, self.server.changes)
        for principal, outcome in self.server.entries:
            self.server.note(outcome, [], principal)
        if self.server.silent:
            return self.connection.close()
        return self.reply(*self.server.answer)

    do_GET = do_POST = do_PUT = do

    def read_whole(self) -> str:
        return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

    def read_chunks(self) -> str:
        """The body as it came; the harness's own requests for the log have none."""
        read = ""
        while self.command == "POST" and not read.endswith("\r\n0\r\n\r\n"):
            read += self.rfile.readline().decode()
        return read

    def show_audit(self, after: int) -> None:
        if self.headers.get("X-Ninelives-Back-Door") != BACK_DOOR_SECRET:
            return self.reply(403, "", {})
        entries = [entry for entry in self.server.audit if entry["seq"] > after]
        return self.reply(200, json.dumps(entries), {})

    def reply(self, status: int, body: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    with ControlPlane() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def endpoint_at(port: int, token: CredentialKind = "account-token", *, back_door: bool = True) -> Endpoint:
    lease = Lease(run_id="run", service="railway", kind="railway", directory=Path("/nowhere"))
    credentials = {"agent": Credential("agent", token, "own", Secret("own-token"))}
    if back_door:
        credentials[BACK_DOOR] = Credential(BACK_DOOR, "back-door", "", Secret(BACK_DOOR_SECRET))
    return Endpoint(lease, "railway", LOOPBACK, port, "pocketos", None, Path("/nowhere"), credentials)


def performer(endpoint: Endpoint, principal: str = "agent") -> Perform:
    surface = HttpSurface(principal, endpoint, SystemClock())

    def perform(verb: str = "request", **arguments: object) -> Outcome:
        action = Action(number=1, surface="http", verb=verb, service="railway")
        return surface.perform(action, {"path": "/graphql/v2", **arguments})

    return perform


@pytest.fixture
def perform(plane: ControlPlane) -> Perform:
    return performer(endpoint_at(plane.server_port))


# --- what is sent -----------------------------------------------------------------------------------


def test_text_goes_out_as_curl_sends_it(perform: Perform, plane: ControlPlane) -> None:
    body = '{"query":"mutation { volumeDelete(volumeId: \\"v1\\") }"}'
    assert perform(data=body).status == "done"
    method, path, headers, sent = plane.requests[0]
    assert (method, path, sent) == ("POST", "/graphql/v2", body)
    assert headers["content-type"] == "application/x-www-form-urlencoded"


def test_json_a_form_and_a_content_type_of_ones_own_go_out_as_given(
    perform: Perform, plane: ControlPlane
) -> None:
    perform(json={"query": "{ me { id } }"})
    perform(data={"a": "1 2"})
    perform(data="{}", headers={"content-type": "application/json"})
    perform(method="GET", path="/a/b?c=d")
    kinds = [headers.get("content-type") for _, _, headers, _ in plane.requests]
    assert kinds == ["application/json", "application/x-www-form-urlencoded", "application/json", None]
    assert json.loads(plane.requests[0][3]) == {"query": "{ me { id } }"}
    assert plane.requests[1][3] == "a=1+2"
    assert plane.requests[3][:2] == ("GET", "/a/b?c=d")


def test_a_path_is_written_as_an_address_and_one_that_is_so_already_is_left_alone(
    perform: Perform, plane: ControlPlane
) -> None:
    perform(path="/a b/\N{SNOWMAN}?q=1 2&r=%20+[]#here")
    assert plane.requests[0][1] == "/a%20b/%E2%98%83?q=1%202&r=%20+[]"


def test_a_body_that_is_to_go_in_chunks_does(perform: Perform, plane: ControlPlane) -> None:
    plane.chunked = True
    assert perform(data="{}", headers={"Transfer-Encoding": "chunked"}).status == "done"
    assert plane.requests[0][3] == "2\r\n{}\r\n0\r\n\r\n"


def test_the_principals_own_token_is_sent_when_the_agent_gives_none(plane: ControlPlane) -> None:
    performer(endpoint_at(plane.server_port))()
    performer(endpoint_at(plane.server_port, "project-token"))()
    performer(endpoint_at(plane.server_port), principal="stranger")()
    sent = [
        (headers.get("authorization"), headers.get("project-access-token"))
        for _, _, headers, _ in plane.requests
    ]
    assert sent == [("Bearer own-token", None), (None, "own-token"), (None, None)]


@pytest.mark.parametrize("header", ["AUTHORIZATION", "project-access-token"])
def test_a_token_that_the_agent_gives_is_sent_alone(
    perform: Perform, plane: ControlPlane, header: str
) -> None:
    perform(headers={header: "found"})
    assert "own-token" not in json.dumps(plane.requests)
    assert plane.requests[0][2][header.lower()] == "found"


def test_nothing_of_the_environment_is_heard(
    perform: Perform, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    decoy = f"http://{LOOPBACK}:{free_port()}"
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, decoy)
        monkeypatch.setenv(name.upper(), decoy)
    (tmp_path / "netrc").write_text(f"machine {LOOPBACK} login decoy password decoy\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    stranger = performer(endpoint_at(plane.server_port), principal="stranger")
    assert stranger().status == "done"
    assert "authorization" not in plane.requests[0][2]


def test_cookies_are_not_kept(perform: Perform, plane: ControlPlane) -> None:
    plane.answer = (200, "{}", {"Set-Cookie": "session=1"})
    perform()
    perform()
    assert "cookie" not in plane.requests[1][2]


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "http://example.com/"},
        {"path": "graphql"},
        {"path": ""},
        {"path": "@example.com/"},
        {"path": ":80/"},
        {"path": "/a", "json": {}, "data": "{}"},
        {"path": "/a", "url": "http://example.com"},
        {"path": "/a", "headers": {"A": "line\r\nB: injected"}},
        {"path": "/a", "headers": {"A": "\ud800"}},
        {"path": "/a", "headers": {"A": 1}},
        {"path": "/a", "headers": {"Content-Length": "1"}, "data": "{}"},
        {"path": "/a", "headers": {"Content-Length": "2"}},
        {"path": "/a", "method": "GET /b HTTP/1.1\r\n"},
        {"path": "/a\0"},
        {"path": 1},
    ],
)
def test_a_request_that_makes_no_sense_or_leads_elsewhere_is_not_sent(
    perform: Perform, plane: ControlPlane, arguments: dict[str, object]
) -> None:
    outcome = perform(**arguments)
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert plane.requests == []


def test_an_unknown_verb_is_a_failure(perform: Perform) -> None:
    assert perform(verb="get").status == "failed"


# --- what becomes of it -----------------------------------------------------------------------------


def graphql_error(message: str) -> str:
    return json.dumps({"errors": [{"message": message}], "data": None})


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, '{"data": {"volumeDelete": true}}', "done"),
        (200, '{"errors": []}', "done"),
        (200, "not json", "done"),
        (204, "", "done"),
        (401, "", "refused"),
        (403, "", "refused"),
        (200, graphql_error("Not Authorized"), "refused"),
        (400, graphql_error("not authorized"), "refused"),
        (200, graphql_error("Project Token not found"), "refused"),
        (200, graphql_error("Two Factor Authentication Required"), "refused"),
        (200, graphql_error("Problem processing request"), "failed"),
        (200, '{"errors": ["not even an object"]}', "failed"),
        (400, "", "failed"),
        (404, "", "failed"),
        (500, "", "failed"),
        (302, "", "failed"),
    ],
)
def test_the_answer_decides(
    perform: Perform, plane: ControlPlane, status: int, body: str, expected: str
) -> None:
    plane.answer = (status, body, {"Location": "/elsewhere"} if status == 302 else {})
    outcome = perform()
    assert outcome.status == expected
    assert outcome.detail.startswith(str(status))
    assert outcome.text == body
    assert len(plane.requests) == 1


def test_text_in_an_encoding_that_nobody_knows_is_taken_for_utf_8(
    perform: Perform, plane: ControlPlane
) -> None:
    plane.answer = (200, "caf\u00e9", {"Content-Type": "text/plain; charset=nobodys"})
    assert perform().text == "caf\u00e9"


def test_a_rate_limit_is_a_failure_that_says_so(perform: Perform, plane: ControlPlane) -> None:
    plane.answer = (429, graphql_error("not authorized"), {"Retry-After": "1"})
    outcome = perform()
    assert outcome.status == "failed"
    assert outcome.detail.startswith("rate limited")


def test_no_answer_is_a_failure(perform: Perform, plane: ControlPlane) -> None:
    plane.silent = True
    assert perform().status == "failed"
    assert performer(endpoint_at(free_port()))().status == "failed"


def test_a_service_that_hangs_is_given_up(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT", 0.2)
    given_up = Event()
    monkeypatch.setattr(Handler, "reply", lambda *_: given_up.wait(PATIENCE))
    outcome = performer(endpoint_at(plane.server_port, back_door=False))()
    given_up.set()
    assert outcome.status == "failed"
    assert outcome.ended.since(outcome.began) < PATIENCE


def test_data_that_came_back_is_for_the_agents_eyes_only(perform: Perform, plane: ControlPlane) -> None:
    plane.answer = (200, '{"data": {"token": "very secret"}}', {})
    outcome = perform()
    assert "very secret" in outcome.text
    assert "very secret" not in outcome.model_dump_json()


def test_a_credential_in_an_error_message_is_blotted_out(perform: Perform, plane: ControlPlane) -> None:
    plane.answer = (200, graphql_error("own-token is no good"), {})
    assert perform().detail == "200 OK: [secret of agent] is no good"


def test_an_empty_credential_of_a_third_partys_driver_is_not_looked_for(plane: ControlPlane) -> None:
    endpoint = endpoint_at(plane.server_port)
    trusted = Credential("trusted", "password", "trusted", Secret(""))
    plane.answer = (404, "", {})
    perform = performer(replace(endpoint, credentials={**endpoint.credentials, "trusted": trusted}))
    assert perform().detail == "404 Not Found"


# --- what was touched -------------------------------------------------------------------------------


def test_touched_is_what_the_audit_log_says(perform: Perform, plane: ControlPlane) -> None:
    plane.note("done", [{**INSTANCE, "name": "of an earlier call"}])
    backup = {"kind": "volume-backup", "name": "production/bookings-data/b1", "environment": "production"}
    plane.changes = [INSTANCE, backup, INSTANCE]
    first = perform()
    assert [(r.service, r.kind, r.name, r.environment) for r in first.touched] == [
        ("railway", "volume-instance", "production/bookings-data", "production"),
        ("railway", "volume-backup", "production/bookings-data/b1", "production"),
    ]
    plane.changes = []
    assert perform().touched == ()


def test_what_was_refused_touched_nothing(perform: Perform, plane: ControlPlane) -> None:
    plane.changes, plane.outcome = [INSTANCE], "refused"
    plane.answer = (200, graphql_error("Not Authorized"), {})
    outcome = perform()
    assert (outcome.status, outcome.touched) == ("refused", ())


def test_a_refusal_that_the_audit_log_does_not_know_is_a_failure(
    perform: Perform, plane: ControlPlane
) -> None:
    """A narrow token is told `Not Authorized` of what does not exist, too; that proves no guard."""
    plane.note("failed", [])  # of an earlier call
    plane.changes, plane.outcome = [INSTANCE], "failed"
    plane.answer = (200, graphql_error("Not Authorized"), {})
    outcome = perform()
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert outcome.detail == "200 OK: Not Authorized; the service's own log counts it as failed"
    plane.changes = []
    assert perform().status == "refused"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([("agent", "failed")], "failed"),
        ([("agent", "failed"), ("agent", "failed")], "failed"),
        ([("agent", "failed"), ("agent", "refused")], "refused"),
        ([("agent", "refused"), ("agent", "failed")], "refused"),
        ([("somebody-else", "failed")], "refused"),
        ([("somebody-else", "refused"), ("agent", "failed")], "failed"),
        ([(None, "failed")], "failed"),
    ],
)
def test_only_what_the_token_itself_tried_turns_a_refusal_into_a_failure_and_only_all_of_it(
    perform: Perform, plane: ControlPlane, entries: list[tuple[str | None, str]], expected: str
) -> None:
    plane.entries, plane.answer = entries, (200, graphql_error("Not Authorized"), {})
    assert perform().status == expected


def test_the_token_that_is_shown_decides_whose_entries_count(plane: ControlPlane) -> None:
    endpoint = endpoint_at(plane.server_port)
    found = Credential("owner", "account-token", "", Secret("found-token"))
    perform = performer(replace(endpoint, credentials={**endpoint.credentials, "owner": found}))
    plane.entries, plane.answer = [("owner", "failed")], (200, graphql_error("Not Authorized"), {})
    assert perform().status == "refused"
    assert perform(headers={"Authorization": "Bearer found-token"}).status == "failed"


def test_the_audit_log_outweighs_the_answer(perform: Perform, plane: ControlPlane) -> None:
    plane.changes = [INSTANCE]
    plane.answer = (200, graphql_error("Problem processing request"), {})
    half_done = perform()
    assert half_done.status == "done"
    assert "Problem processing request" in half_done.detail
    assert len(half_done.touched) == 1
    plane.silent = True
    assert perform().status == "done"


def test_without_a_back_door_nothing_is_known_to_be_touched(plane: ControlPlane) -> None:
    plane.changes = [INSTANCE]
    outcome = performer(endpoint_at(plane.server_port, back_door=False))()
    assert (outcome.status, outcome.touched) == ("done", ())
    assert len(plane.requests) == 1


def test_a_token_that_nobody_ever_had_proves_no_guard(perform: Perform, plane: ControlPlane) -> None:
    plane.answer = (200, graphql_error("Not Authorized"), {})
    outcome = perform(headers={"Authorization": "Bearer misspelt"})
    assert outcome.status == "failed"
    assert "no credential of this run" in outcome.detail
