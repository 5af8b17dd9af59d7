"""The life of the workload's process: told what to do through pipes, and never longer than the harness's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from harness.clock import SystemClock
from harness.errors import HarnessError, ScenarioFileError, WorkloadError
from harness.facts import APPLICATION, Endpoint, Lease, Secret
from harness.journal.ledger import read_ledger
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import MARK, Sandbox
from harness.seams.drivers import Setting
from harness.workload.assignment import Access, Assignment
from harness.workload.mistake import LONGEST, Mistake
from harness.workload.process import LAST_WORDS, Workload
from tests.workload.conftest import HEAD, KEYS, Make
from tests.workload.observing import stored, wait_for_acknowledgements, wait_until, written

BOOK = """
class Customer(LedgerUser):
    @task
    def book(self):
        with self.transaction() as tx:
            tx.insert("bookings", self.key(), seats=1)
"""
PARENT = """
import sys
from collections.abc import Iterator
from pathlib import Path
import psutil
from harness.clock import SystemClock
from harness.facts import APPLICATION, Credential, Endpoint, Lease, Secret
from harness.sandbox import LOOPBACK, Sandbox
from harness.workload.process import Workload

root, port, secret = Path(sys.argv[1]), int(sys.argv[2]), sys.stdin.readline().strip()
endpoint = Endpoint(
    Lease(run_id="parent", service="bookings", kind="postgres", directory=root), "postgres", LOOPBACK, port,
    "bookings", None, root, {APPLICATION: Credential(APPLICATION, "password", APPLICATION, Secret(secret))},
)
workload = Workload(
    sandbox=Sandbox("parent", root, root, None), locustfile=root / "users.py", endpoint=endpoint, stores=[],
    keys={"bookings": "id"}, ledger=root / "ledger.jsonl", users=4, rate=100,
)
workload.start()
workload.go()
print(workload.pid, flush=True)
SystemClock().sleep(60)
"""


def test_nothing_is_sent_before_go_and_only_what_is_under_way_after_pause(
    database: Endpoint, replica: PostgresReplica, make: Make, ledger: Path
) -> None:
    workload = make(database, BOOK, users=4, rate=400)
    workload.pause()
    assert len(read_ledger(ledger)) == 0
    workload.go()
    wait_for_acknowledgements(ledger, 20)
    workload.pause()
    sent = len(read_ledger(ledger).calls)
    SystemClock().sleep(0.2)  # in which 80 would be sent
    kept = read_ledger(ledger)
    assert len(kept.calls) - sent <= 4
    assert not tuple(kept.indeterminate())
    lines = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ninelives workload'"
    assert replica.query(database, lines, {}) == [(0,)], "no old line is kept for after the recovery"
    workload.go()
    wait_for_acknowledgements(ledger, 20)
    assert workload.alive()
    assert workload.stop() == 0
    assert not workload.alive()
    assert not tuple(read_ledger(ledger).indeterminate())
    assert workload.stop() == 0, "stopping twice is stopping once"


def test_sigterm_is_as_good_as_stop(database: Endpoint, make: Make, ledger: Path) -> None:
    workload = make(database, BOOK)
    workload.go()
    wait_for_acknowledgements(ledger, 5)
    os.kill(workload.pid, signal.SIGTERM)
    wait_until(lambda: not workload.alive(), "the child ends")
    assert workload.stop() == 0
    assert not tuple(read_ledger(ledger).indeterminate())


def test_a_child_that_still_loads_is_stopped_at_once(database: Endpoint, make: Make, ledger: Path) -> None:
    workload = make(database, "import time\ntime.sleep(30)\n" + BOOK)
    workload.stop()
    assert not workload.alive()
    assert len(read_ledger(ledger)) == 0


def test_a_killed_child_leaves_whole_lines_and_no_row_that_was_not_announced(
    database: Endpoint, replica: PostgresReplica, make: Make, ledger: Path
) -> None:
    workload = make(database, BOOK, users=8, rate=1000)
    workload.go()
    wait_for_acknowledgements(ledger, 200)
    os.kill(workload.pid, signal.SIGKILL)
    assert workload.stop() == -signal.SIGKILL
    for line in ledger.read_bytes().splitlines(keepends=True):
        assert json.loads(line)
        assert line.endswith(b"\n")
    kept = read_ledger(ledger)
    unsure = {write.key for call in kept.indeterminate() for write in call.writes}
    there = stored(replica, database, "bookings", "id", "booked_at")
    acknowledged = written(kept, "bookings")
    assert acknowledged.items() <= there.items()
    assert there.keys() - acknowledged.keys() <= unsure
    with pytest.raises(WorkloadError, match="died"):
        workload.go()


def test_a_child_does_not_outlive_the_harness(database: Endpoint, sandbox: Sandbox, tmp_path: Path) -> None:
    root = tmp_path / "run"
    root.mkdir()
    (root / "users.py").write_text(HEAD + BOOK)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, root, str(database.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin
    assert parent.stdout
    parent.stdin.write(database.credentials[APPLICATION].secret.reveal() + "\n")
    parent.stdin.flush()
    child = psutil.Process(int(parent.stdout.readline()))
    wait_for_acknowledgements(root / "ledger.jsonl", 5)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the child ends")
    assert not tuple(read_ledger(root / "ledger.jsonl").indeterminate())


@pytest.fixture(scope="module")
def busy(sandbox: Sandbox, setting: Setting, replica: PostgresReplica) -> Iterator[Endpoint]:
    """A database of its own for the workload that goes on while other tests look at theirs."""
    lease = Lease(run_id=sandbox.run_id, service="own", kind="postgres", directory=sandbox.root / "own")
    try:
        yield replica.provision(lease, setting)
    finally:
        replica.destroy(lease)


@pytest.fixture(scope="module")
def running(busy: Endpoint, sandbox: Sandbox) -> Iterator[Workload]:
    """A workload at work, in a folder of its own, started from an environment full of decoys."""
    folder = sandbox.root / "running"
    folder.mkdir()
    (folder / "prices.py").write_text("SEATS = 3\n")
    (folder / "users.py").write_text(HEAD + "from prices import SEATS\n" + BOOK)
    workload = Workload(
        sandbox=sandbox,
        locustfile=folder / "users.py",
        endpoint=busy,
        stores=(),
        keys=KEYS,
        ledger=folder / "ledger.jsonl",
        users=4,
        rate=50,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "PGHOST", "PGPASSWORD", "AWS_ACCESS_KEY_ID", "LOCUST_HOST"):
            patch.setenv(name, "decoy")
        workload.start()
    try:
        workload.go()
        wait_for_acknowledgements(folder / "ledger.jsonl", 20)
        yield workload
    finally:
        assert workload.stop() == 0


def test_no_secret_is_in_the_childs_arguments_environment_or_files(
    running: Workload, busy: Endpoint, sandbox: Sandbox
) -> None:
    secret = busy.credentials[APPLICATION].secret.reveal()
    child = psutil.Process(running.pid)
    assert secret not in " ".join((*child.cmdline(), *child.environ().values()))
    files = [path for name in ("running", "workload") for path in (sandbox.root / name).rglob("*")]
    assert len(files) >= 4
    assert all(secret.encode() not in path.read_bytes() for path in files if path.is_file())


def test_the_childs_environment_is_made_from_nothing(running: Workload, sandbox: Sandbox) -> None:
    environment = psutil.Process(running.pid).environ()
    assert environment[MARK] == sandbox.run_id
    assert "decoy" not in environment.values()


def test_the_child_talks_to_its_database_and_listens_to_nobody(running: Workload, busy: Endpoint) -> None:
    connections = psutil.Process(running.pid).net_connections("all")
    inet = [c for c in connections if c.raddr or c.status == psutil.CONN_LISTEN]
    assert {(c.raddr.ip, c.raddr.port) for c in inet} == {("127.0.0.1", busy.port)}


def test_a_locustfile_may_import_its_neighbours_and_leaves_nothing_beside_them(
    running: Workload, sandbox: Sandbox
) -> None:
    names = {path.name for path in (sandbox.root / "running").iterdir()}
    assert names == {"users.py", "prices.py", "ledger.jsonl"}


UNFIT = {
    "def broken(:": "SyntaxError",
    "raise RuntimeError('not today')": "RuntimeError: not today",
    "raise SystemExit(3)": "SystemExit",
    "import nowhere_to_be_found": "nowhere_to_be_found",
    "": "no user",
    "from locust import User\nclass Other(User):\n    @task\n    def t(self): ...\n": "Other keep no ledger",
    BOOK
    + "from locust import LoadTestShape\nclass S(LoadTestShape):\n    def tick(self): ...\n": "load shape",
}
JUDGE = """
import os, sys
from harness.workload.child import main
for assignment in sys.stdin:
    (orders, give), (hear, answers) = os.pipe(), os.pipe()
    os.write(give, assignment.encode())
    print(main(orders, answers), os.read(hear, 10_000).decode().strip(), flush=True)
"""


def test_a_locustfile_that_does_not_fit_is_named_with_what_is_wrong(
    database: Endpoint, tmp_path: Path, sandbox: Sandbox
) -> None:
    assignments = []
    for number, text in enumerate(UNFIT):
        (tmp_path / f"users{number}.py").write_text(HEAD + text)
        assignment = Assignment(
            locustfile=tmp_path / f"users{number}.py",
            database=Access.of_application(database),
            keys=KEYS,
            stores=(),
            ledger=tmp_path / "ledger.jsonl",
            users=1,
            rate=1,
            seed=0,
        )
        assignments.append(assignment.model_dump_json())
    answers = subprocess.run(
        [sys.executable, "-c", JUDGE],
        input="".join(f"{line}\n" for line in assignments),
        timeout=60,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for number, (answer, complaint) in enumerate(zip(answers, UNFIT.values(), strict=True)):
        assert answer.startswith("2 unfit ")
        message, hint = json.loads(answer.removeprefix("2 unfit "))
        assert message.startswith(f"{tmp_path}/users{number}.py:")
        assert complaint in message
        assert hint


def test_a_child_that_cannot_start_says_why(database: Endpoint, make: Make) -> None:
    workload = make(database, "raise RuntimeError('not today')")

    def told() -> bool:
        with suppress(ScenarioFileError):
            workload.look()
            return False
        return True

    wait_until(told, "the child says so without being asked")
    workload = make(database, "raise RuntimeError('not today')")
    with pytest.raises(ScenarioFileError, match=r"users\.py:5: .*RuntimeError: not today"):
        workload.go()
    assert workload.stop() == 2


def test_without_a_ledger_nothing_is_written(
    database: Endpoint, replica: PostgresReplica, make: Make
) -> None:
    workload = make(database, BOOK, ledger=Path("/dev/full"))
    workload.go()
    wait_until(lambda: not workload.alive(), "the child ends")
    assert workload.stop() == 3
    assert "cannot write the ledger" in workload.last_words()
    assert replica.query(database, "SELECT count(*) FROM bookings", {}) == [(0,)]


def test_a_database_without_the_application_is_an_error(database: Endpoint, make: Make) -> None:
    stranger = Endpoint(**{**vars(database), "credentials": {}})
    with pytest.raises(WorkloadError, match="the application has no credential on bookings"):
        make(stranger, BOOK)


def test_orders_out_of_turn_are_errors(sandbox: Sandbox, database: Endpoint, tmp_path: Path) -> None:
    workload = Workload(
        sandbox=sandbox,
        locustfile=tmp_path / "users.py",
        endpoint=database,
        stores=(),
        keys=KEYS,
        ledger=tmp_path / "ledger.jsonl",
        users=1,
        rate=1,
    )
    assert not workload.alive()
    assert workload.stop() == 0
    for order in (workload.go, lambda: workload.pid):
        with pytest.raises(HarnessError, match="never started"):
            order()
    workload.start()
    with pytest.raises(HarnessError, match="started before"):
        workload.start()
    workload.stop()


def test_the_harness_itself_never_loads_locust() -> None:
    code = (
        "import sys, harness.workload.process, harness.workload;"
        "print(sorted({'locust', 'gevent', 'flask'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_last_words_and_mistakes_are_cut_between_words(database: Endpoint, make: Make) -> None:
    workload = make(database, BOOK)
    secret = Secret.mint().reveal()
    for length in (LAST_WORDS - 16, LAST_WORDS, LAST_WORDS + 16):
        workload.log.write_text(f"{secret} {'x' * (length - 33)}", encoding="utf-8")
        words = workload.last_words()
        assert secret in words or secret[-8:] not in words
    workload.log.write_text("x" * 2 * LAST_WORDS, encoding="utf-8")
    assert workload.last_words() == ""
    for length in (LONGEST - 16, LONGEST, LONGEST + 16):
        what = Mistake.of("users.py:1", f"ValueError: {'x' * (length - 45)} {secret}").what
        assert secret in what or secret[:8] not in what
