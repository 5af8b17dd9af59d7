"""Whatever fails, nothing of a run stays; and what cannot be removed can be found again."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.clock import SystemClock
from harness.errors import BackupError, HarnessError, JournalError, LeftoverError, ProvisionError
from harness.facts import Credential, Endpoint, Lease, Secret
from harness.interrupts import gentle_interrupts
from harness.journal.events import FaultSeen, Released
from harness.journal.history import read_history
from harness.journal.writer import Journal
from harness.run.ground import Ground
from harness.run.place import Place, abandoned_runs, workplace
from harness.run.provision import provisioned
from harness.sandbox import has_ended
from tests.faults.test_secrets import shows


class StubReplica:
    """A replica without a server: a folder, and notes of what was asked of it."""

    def __init__(self, notes: list[str], *, fails: str = "") -> None:
        self._notes, self._fails = notes, fails

    def provision(self, lease: Lease, _: object) -> Endpoint:
        self._notes.append(f"provision {lease.service}")
        if self._fails == "provision":
            raise ProvisionError("it does not start", hint="none")
        return Endpoint(lease, "stub", "127.0.0.1", 1, "", None, lease.directory, {})

    def destroy(self, lease: Lease) -> None:
        self._notes.append(f"destroy {lease.service}")
        if self._fails == "destroy":
            raise LeftoverError(f"{lease.service} does not die", hint="none")

    def describe(self, _: Endpoint) -> dict[str, str]:
        return {}

    def read_marker(self, endpoint: Endpoint) -> str:
        return endpoint.lease.marker


def ground_of(journal: Journal, sandbox: Any, **replicas: StubReplica) -> Ground:
    services = {name: SimpleNamespace(kind="postgres") for name in replicas}
    scenario = SimpleNamespace(recover=SimpleNamespace(assume=()), history="some")
    stack = SimpleNamespace(services=services, protections={})
    loaded = SimpleNamespace(stack=stack, scenario=scenario, folder=Path())
    plan: Any = SimpleNamespace(
        runs_containers=False,
        drivers=dict.fromkeys(replicas, "postgres"),
        replicas=replicas,
        requires=dict.fromkeys(replicas, ()),
        backups={},
        loaded=loaded,
    )
    return Ground(plan, sandbox, journal, SystemClock())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(reports=tmp_path / "reports", work=tmp_path / "work", cache=tmp_path / "cache")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "reports" / "run", SystemClock())


def test_replicas_are_destroyed_newest_first_each_with_its_line(place: Place, journal: Journal) -> None:
    notes: list[str] = []
    with workplace(place, "run") as sandbox, journal:
        ground = ground_of(journal, sandbox, one=StubReplica(notes), two=StubReplica(notes))
        with provisioned(ground):
            ground.lease("one", "proof")
    assert notes[-3:] == ["destroy one@proof", "destroy two", "destroy one"]
    released = [entry.body.service for entry in read_history(journal.folder).of(Released)]
    assert released == ["one@proof", "two", "one"]


def test_one_replica_that_does_not_come_up_takes_all_others_down(place: Place, journal: Journal) -> None:
    notes: list[str] = []
    with workplace(place, "run") as sandbox, journal:
        ground = ground_of(
            journal, sandbox, one=StubReplica(notes), two=StubReplica(notes, fails="provision")
        )
        with pytest.raises(ProvisionError), provisioned(ground):
            pytest.fail("the drill went on")
    assert {"destroy one", "destroy two"} <= set(notes)


def test_one_replica_that_does_not_die_spares_no_other(place: Place, journal: Journal) -> None:
    notes: list[str] = []
    with workplace(place, "run") as sandbox, journal:
        ground = ground_of(journal, sandbox, one=StubReplica(notes), two=StubReplica(notes, fails="destroy"))
        with pytest.raises(LeftoverError, match="two does not die"), provisioned(ground):
            pass
    assert "destroy one" in notes


def test_a_tool_that_does_not_stop_spares_no_replica(place: Place, journal: Journal) -> None:
    notes: list[str] = []

    def stuck() -> None:
        raise BackupError("it hangs", hint="none")

    with workplace(place, "run") as sandbox, journal:
        ground = ground_of(journal, sandbox, one=StubReplica(notes))
        stopping: Any = SimpleNamespace(stop=lambda: notes.append("stop"))
        hanging: Any = SimpleNamespace(stop=stuck)
        with pytest.raises(BackupError), provisioned(ground):
            ground.tools = {"a": stopping, "b": hanging, "c": stopping}
    assert notes[1:] == ["stop", "stop", "destroy one"]


def test_a_journal_that_takes_nothing_more_spares_no_replica(place: Place, journal: Journal) -> None:
    notes: list[str] = []
    with workplace(place, "run") as sandbox:
        ground = ground_of(journal, sandbox, one=StubReplica(notes), two=StubReplica(notes))
        with pytest.raises(JournalError), provisioned(ground):
            journal.close()
    assert notes[-2:] == ["destroy two", "destroy one"]


def test_the_processes_of_all_replicas_are_gone_before_the_first_is_destroyed(
    place: Place, journal: Journal
) -> None:
    running: list[subprocess.Popen[bytes]] = []
    ended: list[bool] = []

    class WatchingReplica(StubReplica):
        def destroy(self, lease: Lease) -> None:
            ended.extend(map(has_ended, running))
            super().destroy(lease)

    with workplace(place, "run") as sandbox, journal:
        ground = ground_of(journal, sandbox, one=WatchingReplica([]), two=WatchingReplica([]))
        with provisioned(ground):
            for lease in ground.leases:
                log = lease.directory / "log"
                running.append(sandbox.start(["sleep", "60"], log=log, directory=lease.directory))
    assert ended == [True] * 4
    assert {process.wait() for process in running} == {-signal.SIGKILL}


class LaggingReplica(StubReplica):
    """A replica that is still coming up when the signal arrives."""

    def __init__(self, notes: list[str], interrupted: threading.Event) -> None:
        super().__init__(notes)
        self._interrupted = interrupted

    def provision(self, lease: Lease, _: object) -> Endpoint:
        assert self._interrupted.wait(10)
        SystemClock().sleep(0.1)
        return super().provision(lease, _)


def test_what_still_comes_up_when_a_signal_arrives_is_waited_for_before_it_is_destroyed(
    place: Place, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    interrupted = threading.Event()
    start = threading.Thread.start

    def start_and_interrupt(thread: threading.Thread) -> None:
        start(thread)
        if thread.name.startswith("provision"):
            os.kill(os.getpid(), signal.SIGINT)
            interrupted.set()

    def play() -> None:
        with (
            workplace(place, "run") as sandbox,
            journal,
            gentle_interrupts(),
            provisioned(ground_of(journal, sandbox, one=LaggingReplica(notes, interrupted))),
        ):
            pytest.fail("the drill went on")

    monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            play()
    finally:
        interrupted.set()
    assert notes == ["provision one", "destroy one"]


def test_a_run_that_left_something_keeps_its_leases_for_the_sweep(place: Place, journal: Journal) -> None:
    def play() -> None:
        with workplace(place, "run") as sandbox:
            replicas = {"first": StubReplica([]), "stays": StubReplica([], fails="destroy")}
            with provisioned(ground_of(journal, sandbox, **replicas)):
                journal.close()

    # The last thing to fail is the journal, when it is told that the first replica is gone.
    with pytest.raises(JournalError):
        play()
    (found,) = abandoned_runs(place)
    assert [lease.service for lease in found.leases] == ["first", "stays"]


class DyingReplica(StubReplica):
    """A replica that does not come up, and says where it logged why."""

    def provision(self, lease: Lease, _: object) -> Endpoint:
        (lease.directory / "server.log").write_text("no port\n", encoding="utf-8")
        raise ProvisionError("it does not start", hint=f"its logs are {lease.directory}/*.log")

    def destroy(self, lease: Lease) -> None:
        shutil.rmtree(lease.directory)


def test_a_log_that_a_hint_names_is_there_when_the_hint_is_read(place: Place, journal: Journal) -> None:
    with workplace(place, "run") as sandbox, journal:
        ground = ground_of(journal, sandbox, db=DyingReplica([]))
        with pytest.raises(ProvisionError) as caught, provisioned(ground):
            pytest.fail("the drill went on")
    assert caught.value.hint == f"its logs are {journal.folder}/logs/db/*.log"
    assert (journal.folder / "logs" / "db" / "server.log").read_text(encoding="utf-8") == "no port\n"
    (fault,) = read_history(journal.folder).of(FaultSeen)
    assert fault.body.hint == caught.value.hint


class TalkingReplica(StubReplica):
    """A replica that comes up, and answers the question whose it is with an exception."""

    def __init__(self, secret: Secret, error: Exception) -> None:
        super().__init__([])
        self._secret, self._error = secret, error

    def provision(self, lease: Lease, _: object) -> Endpoint:
        credentials = {"bob": Credential("bob", "password", "bob", self._secret)}
        return Endpoint(lease, "stub", "127.0.0.1", 1, "", None, lease.directory, credentials)

    def read_marker(self, _: Endpoint) -> str:
        raise self._error


@pytest.mark.parametrize("known", [True, False])
def test_no_credential_of_whatever_is_raised_is_in_the_journal(
    place: Place, journal: Journal, known: bool
) -> None:
    secret = Secret.mint()
    coded = base64.b64encode(b"bob:" + secret.reveal().encode()).decode()
    text = f"{coded} {secret.reveal()} {'.' * 350} {secret.reveal()}{secret.reveal()}"
    error = HarnessError(text, hint=text) if known else RuntimeError(text)
    with workplace(place, "run") as sandbox, journal:
        ground = ground_of(journal, sandbox, db=TalkingReplica(secret, error))
        with pytest.raises(type(error)), provisioned(ground):
            pytest.fail("the drill went on")
    (fault,) = read_history(journal.folder).of(FaultSeen)
    for told in (fault.body.detail, *([fault.body.hint] if known else [])):
        assert told.count("[secret of bob]") == 4
        assert not shows(told.encode(), secret.reveal())
        assert not any(secret.reveal()[:n] in told for n in (8, 16))


def test_a_tool_that_hangs_is_told_as_that_in_the_journal_too(place: Place, journal: Journal) -> None:
    with workplace(place, "run") as sandbox, journal:
        ground = ground_of(journal, sandbox, db=StubReplica([]))
        with pytest.raises(HarnessError, match=r"^sleep did not end within 0\.05 s"), provisioned(ground):
            sandbox.call(["/bin/sleep", "60"], timeout=0.05)
    (fault,) = read_history(journal.folder).of(FaultSeen)
    assert fault.body.kind == "ProvisionError"
    assert fault.body.hint
