"""The valkey surface, on a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from secrets import token_hex

import pytest

from harness.clock import Stamp, SystemClock
from harness.facts import APPLICATION, OPERATOR, Action, Endpoint, Lease, Outcome
from harness.replicas.valkey import ValkeyReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.valkey_client import ValkeyClient, connect
from harness.surfaces.valkey import ValkeySurface

Send = Callable[..., Outcome]
STACK = {
    "services": {"cache": {"kind": "valkey", "collections": ["session"], "environment": "production"}},
    "principals": {
        "boss": {"grants": {"cache": "owner"}},
        "shop": {"grants": {"cache": "writer"}},
        "guest": {"grants": {"cache": "reader"}},
    },
}


@pytest.fixture
def cache(sandbox: Sandbox) -> Iterator[Endpoint]:
    setting = Setting(Stack.model_validate(STACK), sandbox.root, sandbox, SystemClock(), {})
    directory = sandbox.root / token_hex(4)
    lease = Lease(run_id=sandbox.run_id, service="cache", kind="valkey", directory=directory)
    replica = ValkeyReplica()
    try:
        yield replica.provision(lease, setting)
    finally:
        replica.destroy(lease)


@pytest.fixture
def send(cache: Endpoint) -> Send:
    def send(principal: str, *command: str, verb: str = "command", **login: str) -> Outcome:
        surface = ValkeySurface(principal, cache, SystemClock())
        action = Action(number=1, surface="valkey", verb=verb, service="cache")
        return surface.perform(action, {"command": list(command), **login})

    return send


def put(cache: Endpoint, *keys: str) -> None:
    client = ValkeyClient(cache, cache.credentials[APPLICATION])
    for key in keys:
        client.put("session", key, b"body")


def touched(outcome: Outcome) -> set[tuple[str, str]]:
    assert all(resource.environment == "production" for resource in outcome.touched)
    return {(resource.kind, resource.name) for resource in outcome.touched}


def test_flushing_touches_every_database_that_had_keys(cache: Endpoint, send: Send) -> None:
    put(cache, "a", "b")
    assert (send("boss", "DBSIZE").text, touched(send("boss", "DBSIZE"))) == ("2", set())
    outcome = send("boss", "FLUSHALL")
    assert (outcome.status, touched(outcome)) == ("done", {("database", "db0")})
    again = send("boss", "FLUSHALL")
    assert (again.status, touched(again)) == ("done", set()), "there was nothing left to destroy"


def test_what_is_deleted_or_overwritten_is_touched(cache: Endpoint, send: Send) -> None:
    put(cache, "a", "b")
    outcome = send("shop", "DEL", "session:a")
    assert touched(outcome) == {("key", "session:a")}
    assert touched(send("shop", "DEL", "session:a")) == set()
    assert touched(send("shop", "SET", "session:b", "meow")) == {("key", "session:b")}


def test_a_setting_that_is_changed_is_touched(send: Send) -> None:
    outcome = send("boss", "CONFIG", "SET", "appendonly", "no")
    assert touched(outcome) == {("setting", "appendonly")}
    assert touched(send("boss", "CONFIG", "SET", "appendonly", "no")) == set()


@pytest.mark.parametrize(
    ("principal", "command", "status"),
    [
        ("guest", ["SET", "session:a", "1"], "refused"),
        ("shop", ["FLUSHALL"], "refused"),
        ("shop", ["CONFIG", "SET", "save", ""], "refused"),
        ("nobody", ["FLUSHALL"], "refused"),
        ("guest", ["GET", "session:a"], "done"),
        ("boss", ["FLUSHAL"], "failed"),
        ("boss", ["DEL"], "failed"),
    ],
)
def test_no_right_is_refused_and_no_sense_has_failed(
    send: Send, principal: str, command: list[str], status: str
) -> None:
    outcome = send(principal, *command)
    assert (outcome.status, outcome.touched) == (status, ())


def test_a_password_that_was_found_is_as_good_as_its_owners(cache: Endpoint, send: Send) -> None:
    put(cache, "a")
    boss = cache.credentials["boss"]
    outcome = send("guest", "FLUSHALL", user="boss", password=boss.secret.reveal())
    assert outcome.status == "done"
    assert boss.secret.reveal() not in outcome.model_dump_json()
    # A password that nobody ever had proves no guard.
    assert send("guest", "FLUSHALL", user="boss", password="misspelt").status == "failed"


def test_a_server_that_is_not_there_is_no_guard(cache: Endpoint, send: Send) -> None:
    ValkeyReplica().fence(cache)
    outcome = send("boss", "FLUSHALL")
    assert (outcome.status, outcome.touched) == ("failed", ())


@pytest.mark.parametrize(
    "arguments", [{}, {"command": []}, {"command": "FLUSHALL"}, {"command": ["A"], "host": "x"}]
)
def test_a_call_that_cannot_be_made_has_failed(cache: Endpoint, arguments: dict[str, object]) -> None:
    surface = ValkeySurface("boss", cache, SystemClock())
    action = Action(number=1, surface="valkey", verb="command", service="cache")
    assert surface.perform(action, arguments).status == "failed"
    other = action.model_copy(update={"verb": "flush"})
    assert surface.perform(other, {"command": ["PING"]}).status == "failed"


def test_what_the_workload_writes_meanwhile_is_not_put_down_to_the_agent(cache: Endpoint, send: Send) -> None:
    put(cache, "a")
    with connect(cache, cache.credentials[OPERATOR]) as others:
        others.set("session:other", 1)
        assert touched(send("boss", "DBSIZE")) == set()


@pytest.mark.parametrize(
    "command",
    [
        ["SET", "session:a", "meow"],
        ["EXPIREAT", "session:a", "33333333333"],
        ["PERSIST", "session:b"],
        ["SETNX", "session:a", "other"],
        ["GETEX", "session:a"],
        ["RENAME", "session:a", "session:a"],
        ["FLUSHDB"],
    ],
)
def test_what_leaves_a_key_as_it_was_touches_nothing(cache: Endpoint, send: Send, command: list[str]) -> None:
    with connect(cache, cache.credentials[OPERATOR]) as client:
        client.flushall()
        if command != ["FLUSHDB"]:
            client.set("session:a", "meow", exat=33333333333 if command[0] != "SET" else None)
            client.set("session:b", "meow")
    outcome = send("boss", *command)
    assert (outcome.status, touched(outcome)) == ("done", set())


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["HSET", "session:a", "body", "other"], {"session:a"}),
        (["EXPIRE", "session:a", "100"], {"session:a"}),
        (["DEL", "session:a", "session:none", "session:b"], {"session:a", "session:b"}),
        (["RENAME", "session:a", "session:b"], {"session:a", "session:b"}),
        (["SMOVE", "set", "other", "12"], {"set", "other"}),
        (["EVAL", "return server.call('DEL', KEYS[1])", "1", "session:a"], {"session:a"}),
    ],
)
def test_each_key_that_is_other_than_before_is_touched(
    cache: Endpoint, send: Send, command: list[str], names: set[str]
) -> None:
    put(cache, "a", "b")
    with connect(cache, cache.credentials[OPERATOR]) as client:
        client.sadd("set", *range(1000))
        client.hset("session:b", "body", "of another")
    outcome = send("boss", *command)
    assert (outcome.status, touched(outcome)) == ("done", {("key", name) for name in names})


def meanwhile(cache: Endpoint, others: Callable[[], object], command: list[str]) -> Outcome:
    """The outcome of a command, when others do something between the look at what is there and the call."""

    class BusyClock(SystemClock):
        stamps = 0

        def stamp(self) -> Stamp:
            self.stamps += 1
            if self.stamps == 2:
                others()
            return super().stamp()

    action = Action(number=1, surface="valkey", verb="command", service="cache")
    return ValkeySurface("boss", cache, BusyClock()).perform(action, {"command": command})


@pytest.mark.parametrize("command", [["DEL", "session:b"], ["DEL", "nothing"], ["GET", "session:b"]])
def test_what_others_remove_meanwhile_is_not_put_down_to_the_agent(
    cache: Endpoint, command: list[str]
) -> None:
    put(cache, "a", "b")
    with connect(cache, cache.credentials[OPERATOR]) as client:
        outcome = meanwhile(cache, client.flushall, command)
        assert client.dbsize() == 0
    assert (outcome.status, touched(outcome)) == ("done", set())


def test_a_flush_counts_though_others_write_at_once(cache: Endpoint) -> None:
    put(cache, "a")
    with connect(cache, cache.credentials[OPERATOR]) as client:
        outcome = meanwhile(cache, lambda: put(cache, "b"), ["FLUSHALL"])
        put(cache, "c", "d")
        assert client.dbsize() == 2
    assert touched(outcome) == {("database", "db0")}
