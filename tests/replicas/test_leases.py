"""A lease leaves nothing, and takes nothing that is not its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.clock import SystemClock
from harness.facts import Endpoint, Lease
from harness.replicas.leases import KILL_SECONDS, note_place, reap, stop
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import MARK, Sandbox
from tests.replicas.postgres_stack import lease as make_lease
from tests.replicas.postgres_stack import login, setting, stack

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
BUSY = "SELECT count(*) FROM generate_series(1, 1e12::bigint)"


@pytest.fixture
def lease(sandbox: Sandbox) -> Iterator[Lease]:
    lease = make_lease(sandbox, "thing")
    yield lease
    reap(lease)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes that are ended after the test, whatever it does."""
    started: list[subprocess.Popen[bytes]] = []

    def start(directory: Path, run_id: str | None) -> subprocess.Popen[bytes]:
        environment = {MARK: run_id} if run_id else {}
        started.append(subprocess.Popen(SLEEP, cwd=directory, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    clock = SystemClock()
    began = clock.stamp()
    while not condition():
        assert clock.stamp().since(began) < seconds, "it never became true"
        clock.sleep(0.01)


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def servers_in(directory: Path) -> list[psutil.Process]:
    """Every process called postgres that works in ``directory`` or below."""
    found = []
    for process in psutil.process_iter(["name", "cwd", "status"]):
        cwd = process.info["cwd"]
        if process.info["name"] == "postgres" and cwd and Path(cwd).is_relative_to(directory.resolve()):
            found.append(process)
    return found


def test_a_marked_process_in_the_directory_is_killed_and_the_directory_removed(lease, start):
    process = start(lease.directory, lease.run_id)
    reap(lease)
    assert process.wait(timeout=1) is not None
    assert not lease.directory.exists()


def test_a_process_whose_directory_was_deleted_is_killed(lease, start):
    below = lease.directory / "below"
    below.mkdir()
    process = start(below, lease.run_id)
    below.rmdir()
    reap(lease)
    assert process.wait(timeout=1) is not None


@pytest.mark.parametrize("run_id", [None, "another-run"])
def test_a_process_without_the_runs_mark_is_left_alone(lease, start, run_id):
    process = start(lease.directory, run_id)
    reap(lease)
    assert process.poll() is None


def test_a_marked_process_of_another_lease_is_left_alone(lease, start, sandbox):
    process = start(sandbox.root, lease.run_id)
    reap(lease)
    assert process.poll() is None


def test_a_directory_whose_name_begins_alike_is_not_the_leases(lease, start, sandbox):
    twin = sandbox.root / f"{lease.directory.name}@recovery"
    twin.mkdir()
    process = start(twin, lease.run_id)
    reap(lease)
    assert process.poll() is None
    assert twin.exists()
    twin.rmdir()


def test_a_child_that_changed_directory_and_environment_goes_with_its_parent(lease):
    script = "import os, subprocess; subprocess.run(['sleep', '600'], cwd='/', env={})"
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=lease.directory, env={MARK: lease.run_id})
    wait_until(lambda: bool(psutil.Process(parent.pid).children()))
    (child,) = psutil.Process(parent.pid).children()
    reap(lease)
    parent.wait()
    assert not runs(child)


def test_the_reaping_process_itself_is_spared(lease):
    """Even when it was started from inside the lease, with the mark."""
    script = (
        "from harness.facts import Lease; from harness.replicas.leases import reap; import sys;"
        "reap(Lease.model_validate_json(sys.argv[1])); print('survived')"
    )
    modules = ":".join(sys.path)
    ran = subprocess.run(
        [sys.executable, "-c", script, lease.model_dump_json()],
        cwd=lease.directory,
        env={MARK: lease.run_id, "PYTHONPATH": modules},
        capture_output=True,
        text=True,
    )
    assert ran.stdout.strip() == "survived", ran.stderr


def test_reaping_twice_or_what_never_was_is_fine(sandbox):
    nothing = Lease(run_id=sandbox.run_id, service="nil", kind="files", directory=sandbox.root / "nil")
    reap(nothing)
    reap(nothing)
    assert not nothing.directory.exists()


def test_a_dead_child_that_nobody_waited_for_does_not_hold_it_up(lease, start):
    process = start(lease.directory, lease.run_id)
    process.kill()
    began = SystemClock().stamp()
    reap(lease)
    assert SystemClock().stamp().since(began) < KILL_SECONDS, "it is not waited for"


def test_a_stopped_process_is_killed(lease, start):
    process = start(lease.directory, lease.run_id)
    process.send_signal(signal.SIGSTOP)
    reap(lease)
    assert process.wait(timeout=1) == -signal.SIGKILL


def test_a_process_is_found_while_its_program_is_being_loaded(lease, start, monkeypatch):
    """The kernel shows it so for microseconds, a few times in a thousand starts; here for three looks."""
    process = start(lease.directory, lease.run_id)
    looks: list[dict[str, str]] = [{}, {}, {}]
    read = psutil.Process.environ
    monkeypatch.setattr(psutil.Process, "environ", lambda asked: looks.pop() if looks else read(asked))
    reap(lease)
    assert process.wait(timeout=10) == -signal.SIGKILL


def test_files_that_nobody_may_write_are_removed(lease):
    folder = lease.directory / "locked"
    folder.mkdir()
    (folder / "file").write_text("x")
    folder.chmod(0o500)
    reap(lease)
    assert not lease.directory.exists()


def test_a_noted_place_is_removed_too(lease, sandbox):
    place = sandbox.root / "volumes" / "data"
    place.mkdir(parents=True)
    note_place(lease, place)
    reap(lease)
    assert not place.exists()
    assert place.parent.exists()


def test_a_note_cannot_lead_out_of_the_runs_directory(lease, tmp_path):
    (tmp_path / "precious").write_text("x")
    note_place(lease, tmp_path)
    reap(lease)
    assert (tmp_path / "precious").exists()


class TestServer:
    """With a real PostgreSQL, whose backends hide the mark in their environment."""

    @pytest.fixture
    def endpoint(self, sandbox: Sandbox) -> Iterator[Endpoint]:
        replica = PostgresReplica()
        lease = make_lease(sandbox, "bookings")
        yield replica.provision(lease, setting(sandbox, stack()))
        replica.destroy(lease)

    def test_a_backend_whose_server_was_killed_is_found(self, endpoint):
        postmaster, backend = self._busy(endpoint)
        postmaster.kill()
        wait_until(lambda: backend.ppid() != postmaster.pid)
        assert backend.is_running()
        reap(endpoint.lease)
        assert servers_in(endpoint.path) == []
        assert not endpoint.lease.directory.exists()

    def test_a_server_whose_data_was_moved_away_is_found(self, endpoint, sandbox):
        postmaster, backend = self._busy(endpoint)
        elsewhere = sandbox.root / "elsewhere"
        endpoint.path.rename(elsewhere)
        stop(endpoint.lease)
        assert not runs(postmaster)
        assert not runs(backend)
        assert servers_in(elsewhere) == []

    def test_a_fresh_process_can_do_it_from_the_lease_alone(self, endpoint):
        script = (
            "from harness.facts import Lease; from harness.seams.lookup import lookup; import sys;"
            "lease = Lease.model_validate_json(sys.argv[1]); lookup('replicas', lease.kind)().destroy(lease)"
        )
        self._busy(endpoint)
        command = [sys.executable, "-c", script, endpoint.lease.model_dump_json()]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
        assert servers_in(endpoint.path) == []
        assert not endpoint.lease.directory.exists()

    def test_another_leases_server_on_a_noted_place_is_left_alone(self, endpoint, lease):
        note_place(lease, endpoint.path)
        stop(lease)
        with login(endpoint, "operator") as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)

    @pytest.mark.skipif(not Path("/proc/sysvipc/shm").exists(), reason="tells by Linux's /proc")
    def test_no_shared_memory_is_left(self, endpoint):
        shared = _shared_memory_of(servers_in(endpoint.path))
        assert shared
        reap(endpoint.lease)
        assert not shared & _shared_memory().keys()

    @pytest.mark.skipif(not Path("/proc/sysvipc/shm").exists(), reason="tells by Linux's /proc")
    def test_no_shared_memory_is_left_of_a_frozen_server(self, endpoint):
        """As it is while its volume is copied, and the copying was cut short."""
        self._busy(endpoint)
        processes = servers_in(endpoint.path)
        shared = _shared_memory_of(processes)
        assert shared
        for process in processes:
            process.suspend()
        reap(endpoint.lease)
        assert not shared & _shared_memory().keys()
        assert servers_in(endpoint.path) == []

    def _busy(self, endpoint: Endpoint) -> tuple[psutil.Process, psutil.Process]:
        """The server and one backend of it that computes, and so does not notice a dead server."""
        connection = login(endpoint, "application")
        pid = connection.info.backend_pid
        connection.pgconn.send_query(BUSY.encode())
        backend = psutil.Process(pid)
        postmaster = backend.parent()
        assert postmaster is not None
        wait_until(lambda: backend.cpu_times().user > 0.05)
        return postmaster, backend


def _shared_memory() -> dict[int, tuple[int, int]]:
    """System V segments by id: the creator's process id, and how many processes use it (proc(5))."""
    lines = (line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:])
    return {int(line[1]): (int(line[4]), int(line[6])) for line in lines}


def _shared_memory_of(processes: list[psutil.Process]) -> set[int]:
    """The segments that they made and use; one that nobody uses was left by others with these numbers."""
    pids = {process.pid for process in processes}
    return {id for id, (creator, users) in _shared_memory().items() if creator in pids and users > 0}
