"""Connections that hear nothing of what the user's environment says."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from psycopg import pq

from harness.clock import SystemClock
from harness.facts import APPLICATION, Endpoint, Lease, Secret
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import LOOPBACK, Sandbox, free_port
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.postgres_client import GIVEN, HASH_SETTINGS, UNHEARD, connect

STACK = Stack.model_validate({"services": {"shop": {"kind": "postgres", "fsync": False}}})
OF_CONNECT = {
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "connect_timeout",
}
IN_OPEN_OR_ACCESS = 0x20 | 0x1


@pytest.fixture(scope="module")
def shop(sandbox: Sandbox) -> Iterator[Endpoint]:
    lease = Lease(run_id=sandbox.run_id, service="shop", kind="postgres", directory=sandbox.root / "shop")
    replica = PostgresReplica()
    try:
        yield replica.provision(lease, Setting(STACK, sandbox.root, sandbox, SystemClock(), {}))
    finally:
        replica.destroy(lease)


@pytest.fixture
def decoy() -> Iterator[socket.socket]:
    """A server that must never be reached."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.setblocking(False)
        yield listener
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.fixture
def decoy_files(tmp_path: Path) -> Iterator[Path]:
    """Files that must never be opened; the kernel tells."""
    for name in ("pgpass", ".pgpass", "services", ".pg_service.conf", "pg_service.conf"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o600)
    kernel = ctypes.CDLL(None, use_errno=True)
    watch = kernel.inotify_init1(os.O_NONBLOCK)
    assert kernel.inotify_add_watch(watch, os.fsencode(tmp_path), IN_OPEN_OR_ACCESS) >= 0
    yield tmp_path
    with pytest.raises(BlockingIOError):
        os.read(watch, 4096)
    os.close(watch)


@pytest.fixture
def decoy_environment(
    decoy: socket.socket, decoy_files: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    port = str(decoy.getsockname()[1])
    wrong = {option.envvar.decode(): "decoy" for option in pq.Conninfo.get_defaults() if option.envvar}
    wrong |= {
        "PGHOST": LOOPBACK,
        "PGHOSTADDR": LOOPBACK,
        "PGPORT": port,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "system",
        "PGGSSENCMODE": "require",
        "PGTARGETSESSIONATTRS": "standby",
        "PGOPTIONS": "-c work_mem=77MB",
        "PGPASSFILE": str(decoy_files / "pgpass"),
        "PGSERVICE": "decoy",
        "PGSERVICEFILE": str(decoy_files / "services"),
        "PGSYSCONFDIR": str(decoy_files),
        "PGTZ": "Asia/Tokyo",
        "PGDATESTYLE": "German",
        "PGGEQO": "off",
        "HOME": str(decoy_files),
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    return wrong


def session(shop: Endpoint, password: Secret | None = None) -> psycopg.Connection[tuple[object, ...]]:
    application = shop.credentials[APPLICATION]
    return connect(shop.port, application.name, password or application.secret, shop.name)


def test_every_parameter_that_has_a_variable_is_given() -> None:
    heard = {option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.envvar}
    assert heard - OF_CONNECT - set(GIVEN) == {"service"}
    assert "PGSERVICE" in UNHEARD


def test_no_variable_leads_elsewhere_or_changes_the_session(
    shop: Endpoint, decoy_environment: dict[str, str]
) -> None:
    with session(shop) as connection:
        asked = "SELECT inet_server_port(), current_user::text, current_database()::text"
        assert connection.execute(asked).fetchone() == (shop.port, APPLICATION, "shop")
        settings = ("work_mem", "TimeZone", "DateStyle", "geqo", "application_name")
        for setting in settings:
            shown = connection.execute(b"SHOW " + setting.encode()).fetchone()
            assert shown == (
                {
                    "work_mem": "4MB",
                    "TimeZone": "UTC",
                    "DateStyle": "ISO, MDY",
                    "geqo": "on",
                    "application_name": "ninelives",
                }[setting],
            )


def test_the_variables_are_back_afterwards(shop: Endpoint, decoy_environment: dict[str, str]) -> None:
    session(shop).close()
    with pytest.raises(psycopg.OperationalError):
        connect(free_port(), "nobody", Secret("x"), "nowhere")
    assert {name: os.environ.get(name) for name in decoy_environment} == decoy_environment


def test_an_empty_password_is_not_looked_up_in_a_file(
    shop: Endpoint, decoy_files: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PGPASSFILE", str(decoy_files / "pgpass"))
    monkeypatch.setenv("HOME", str(decoy_files))
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        session(shop, Secret(""))
    assert capfd.readouterr().err == ""


def test_a_server_that_asks_for_the_password_itself_does_not_get_it() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        heard = bytearray()

        def ask_in_the_clear() -> None:
            line, _ = listener.accept()
            with line:
                heard.extend(line.recv(4096))
                line.sendall(b"R" + (8).to_bytes(4) + (3).to_bytes(4))
                heard.extend(line.recv(4096))

        server = Thread(target=ask_in_the_clear)
        server.start()
        with pytest.raises(psycopg.OperationalError):
            connect(listener.getsockname()[1], "reader", Secret("hunter2"), "shop")
        server.join()
    assert b"hunter2" not in heard


@pytest.mark.parametrize("field", ["user", "password", "database"])
def test_a_nul_character_cannot_cut_the_parameters_short(shop: Endpoint, field: str) -> None:
    values = {"user": "reader", "password": "x", "database": "shop", field: "a\0b"}
    with pytest.raises(ValueError, match="NUL"):
        connect(shop.port, values["user"], Secret(values["password"]), values["database"])


def test_settings_of_the_session_may_hold_spaces(shop: Endpoint) -> None:
    application = shop.credentials[APPLICATION]
    settings = {**HASH_SETTINGS, "application_name": "two words \\ and more"}
    with connect(shop.port, application.name, application.secret, shop.name, settings=settings) as connection:
        assert connection.execute("SHOW DateStyle").fetchone() == ("ISO, MDY",)
        assert connection.info.parameter_status("TimeZone") == "UTC"
