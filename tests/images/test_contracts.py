"""The images of ``make images`` keep the contract of the official ones. Each runs without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import pytest

from harness.clock import SystemClock
from harness.replicas.s3.seaweedfs import release
from harness.seams.container_engine import NAMESPACE, connect

pytestmark = pytest.mark.docker
LABEL = "ninelives.test"
PATIENCE = 60.0
NAMELESS = "12345:12345"
"""An account that no image knows."""

Run = Callable[..., Any]


@pytest.fixture
def run() -> Iterator[Run]:
    """Starts containers, and removes them."""
    engine, mark = connect(), token_hex(8)

    def start(image: str, *command: str, **options: Any) -> Any:
        return engine.containers.run(
            f"{NAMESPACE}{image}",
            list(command) or None,
            detach=True,
            labels={LABEL: mark},
            network_mode="none",
            **options,
        )

    yield start
    for container in engine.containers.list(all=True, filters={"label": f"{LABEL}={mark}"}):
        container.remove(force=True, v=True)


def said(container: Any, *command: str) -> str:
    """What a command prints in there, as soon as it ends well."""
    clock = SystemClock()
    began = clock.stamp()
    while True:
        code, output = container.exec_run(list(command))
        if code == 0:
            return str(output.decode().strip())
        container.reload()
        running = container.status == "running"
        if not running or clock.stamp().since(began) > PATIENCE:
            pytest.fail(f"{command} ends with {code}: {output.decode()}\n{container.logs().decode()}")
        clock.sleep(0.05)


def psql(container: Any, statement: str, user: str, database: str) -> str:
    url = f"postgresql://{user}:s3cret@127.0.0.1/{database}"
    return said(container, "psql", "--no-psqlrc", "-tA", url, "-c", statement)


@pytest.mark.parametrize("user", [None, NAMELESS])
def test_postgres_takes_user_database_options_and_arguments(run: Run, user: str | None) -> None:
    given = {
        "POSTGRES_USER": "boss",
        "POSTGRES_PASSWORD": "s3cret",
        "POSTGRES_DB": "shop",
        "POSTGRES_INITDB_ARGS": "--wal-segsize=1 --data-checksums",
        "PGDATA": "/var/lib/postgresql/data/inside",
    }
    server = run("postgres", "-c", "work_mem=5MB", environment=given, user=user)
    told = "SELECT current_user, current_database(), current_setting('wal_segment_size'),"
    told += "current_setting('work_mem'), current_setting('data_directory')"
    assert psql(server, told, "boss", "shop") == "boss|shop|1MB|5MB|/var/lib/postgresql/data/inside"


def test_postgres_runs_what_lies_in_its_folder_once(run: Run) -> None:
    script = "echo 'CREATE TABLE made (by text)' > /docker-entrypoint-initdb.d/a.sql;"
    script += 'echo "psql -c \\"INSERT INTO made VALUES (\'b\')\\"" > /docker-entrypoint-initdb.d/b.sh;'
    start = ["sh", "-c", f"{script} exec docker-entrypoint.sh postgres"]
    server = run("postgres", entrypoint=start, environment={"POSTGRES_PASSWORD": "s3cret"})
    assert psql(server, "SELECT by FROM made", "postgres", "postgres") == "b"
    server.restart(timeout=20)
    assert psql(server, "SELECT by FROM made", "postgres", "postgres") == "b"


def test_postgres_without_a_password_does_not_begin(run: Run) -> None:
    server = run("postgres")
    assert server.wait(timeout=PATIENCE)["StatusCode"] == 1
    assert "POSTGRES_PASSWORD is needed" in server.logs().decode()


@pytest.mark.parametrize("user", [None, NAMELESS])
def test_mariadb_takes_passwords_database_and_arguments(run: Run, user: str | None) -> None:
    given = {
        "MARIADB_ROOT_PASSWORD": "r00t's",
        "MARIADB_DATABASE": "shop",
        "MARIADB_USER": "clerk",
        "MARIADB_PASSWORD": "s3cret",
    }
    server = run("mariadb", "--max-connections=77", environment=given, user=user)
    clerk = ("mariadb", "-h127.0.0.1", "-uclerk", "-ps3cret", "shop", "-Ne")
    assert said(server, *clerk, "SELECT CONCAT(DATABASE(), @@max_connections)") == "shop77"
    assert said(server, "mariadb", "-h127.0.0.1", "-uroot", "-pr00t's", "-Ne", "SELECT 1") == "1"


def test_valkey_takes_arguments_and_never_runs_as_root(run: Run) -> None:
    server = run("valkey", "--requirepass", "s3cret")
    assert said(server, "valkey-cli", "--no-auth-warning", "-a", "s3cret", "ping") == "PONG"
    assert said(server, "sh", "-c", "grep ^Uid: /proc/1/status").split()[1] == "65534"


def test_s3_has_the_server_of_the_wheel(run: Run) -> None:
    server = run("s3", "version")
    assert server.wait(timeout=PATIENCE)["StatusCode"] == 0
    assert f" {release()} " in server.logs().decode()
