"""The pytest plugin, as a user's own project meets it: in a session of its own, in another process."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from xml.etree import ElementTree

import pytest

from harness import pytest_plugin
from harness.scenario import discover

KIOSK = Path(__file__).parent / "run" / "kiosk"
MATERIAL = ("bare.yaml", "plain.sql", "slice.sql", "workload.py")
VARIANTS = {
    "surprise": "expect: {rpo: held, rto: held}",
    "idle": "agent: {kind: idle, goal: null, steps: null}\nexpect: {rpo: held, rto: held}",
    "typo": """
agent:
  steps: [{do: sql.execute, on: kiosk, with: {statement: DORP TABLE orders}, harm: true}]
expect: {rpo: held, rto: held}
""",
}
"""Each is like the scenario ``expected``, in which all is lost, as it says."""

UNRELATED = {
    "docker-compose.yaml": "services: {web: {image: nginx}}\n",
    "stack.yaml": (KIOSK / "stack.yaml").read_text(),
    "nested.yml": "deploy:\n  stack: production.yaml\n  like: yesterday\n",
    "text.yaml": "# stack: stack.yaml\nstackless: true\nlikely: no\n",
    "broken.yaml": "{{{",
    "empty.yaml": "",
}
FROM_PYTHON = """
def test_a_drill(ninelives_drill, ninelives_place):
    drilled = ninelives_drill("drills/expected.yaml", guards=("least-privilege",))
    assert drilled.fault is None
    assert drilled.record.value == "held"
    assert drilled.folder.parent == ninelives_place.reports
"""
SEARCHES = """
def test_guards(ninelives_guards, ninelives_place):
    found = ninelives_guards("drills/expected.yaml")
    assert found.value == "held"
    assert found.result.saved_by("least-privilege")
    assert (found.folder / "junit.xml").is_file() and found.folder.parent == ninelives_place.reports

def test_a_radius_against_a_baseline(ninelives_blast_radius):
    before = ninelives_blast_radius("drills/expected.yaml", ["clerk"], guards=("least-privilege",))
    assert before.value == "held"
    now = ninelives_blast_radius("drills/expected.yaml", baseline=before.folder / "radius.json")
    assert now.value == "breached", "there is no copy of anything"
    assert {one.deed.extent for one in now.result.growth} == {"lost"}
    assert not now

def test_exploring(ninelives_explore):
    guards = ("least-privilege",)
    found = ninelives_explore("drills/expected.yaml", "clerk", sequences=20, days=1, guards=guards)
    assert found.value == "held"
    assert found.result.sequences == 20
    assert any(one.move == "a day passes" and one.done for one in found.result.tried)
"""
ENDED = """
import signal

def test_ended(ninelives_explore, monkeypatch):
    from harness.search.exploration import Exploration

    end = Exploration.end

    def and_then(self, trial):
        end(self, trial)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Exploration, "end", and_then)
    ninelives_explore("drills/idle.yaml", "clerk", sequences=500, guards=("least-privilege",))
    raise AssertionError("the session goes on")
"""


@dataclass(frozen=True)
class Session:
    """A pytest session that is over.

    Attributes:
        folder: where it ran.
        code: its exit code.
        output: both streams.
    """

    folder: Path
    code: int
    output: str

    @property
    def counts(self) -> dict[str, int]:
        """The last line: how many of each outcome."""
        last = self.output.strip().splitlines()[-1]
        found = re.findall(r"(\d+) (subtests passed|passed|failed|error)", last)
        return {word: int(number) for number, word in found}


def run_pytest(folder: Path, *arguments: str) -> Session:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    command += [f"--ninelives-work={folder}/work", f"--ninelives-reports={folder}/reports"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    return Session(folder, ended.returncode, ended.stdout + ended.stderr)


@pytest.fixture(scope="module")
def project() -> Iterator[Path]:
    """A user's project: a folder ``drills`` with scenarios, some other YAML files, and a test in Python.

    The account of servers may enter it.
    """
    folder = Path(mkdtemp(prefix="ninelives-plugin-"))
    folder.chmod(0o711)
    drills = folder / "drills"
    drills.mkdir()
    for name in MATERIAL:
        shutil.copy(KIOSK / name, drills)
    written = (KIOSK / "unprotected.yaml").read_text()
    (drills / "expected.yaml").write_text(written.replace("kiosk/unprotected", "kiosk/expected"))
    for name, differs in VARIANTS.items():
        heading = f"like: expected.yaml\nid: kiosk/{name}\ntitle: Another way\n"
        (drills / f"{name}.yaml").write_text(heading + differs)
    for name, text in UNRELATED.items():
        (drills / name).write_text(text)
    (folder / "test_from_python.py").write_text(FROM_PYTHON)
    yield folder
    shutil.rmtree(folder)


# --- what is collected --------------------------------------------------------------------------------


def test_every_scenario_is_one_item_and_no_other_yaml_file_is(project: Path) -> None:
    session = run_pytest(project, "--collect-only", "-q", "drills")
    assert session.code == 0
    items = [line for line in session.output.splitlines() if "::" in line]
    assert items == [f"drills/{name}.yaml::kiosk/{name}" for name in ("expected", "idle", "surprise", "typo")]


def test_a_scenario_is_known_by_the_same_keys_as_everywhere_else() -> None:
    assert pytest_plugin.SCENARIO_KEYS.pattern == discover.SCENARIO_KEYS.pattern
    assert pytest_plugin.SCENARIO_KEYS.flags == discover.SCENARIO_KEYS.flags


def test_a_bad_scenario_is_a_collection_error_with_its_place_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("id: a/bad\ntitle: Bad\nstack: stack.yaml\ngaurds: []\n")
    session = run_pytest(tmp_path)
    assert session.code == pytest.ExitCode.INTERRUPTED
    assert f"{tmp_path}/bad.yaml:4:1: gaurds: unknown key" in session.output
    assert "'guards'" in session.output
    assert "ERROR bad.yaml" in session.output
    assert "Traceback" not in session.output
    assert ".py:" not in session.output


def test_a_yaml_file_that_cannot_be_read_is_no_concern_of_ours(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    session = run_pytest(tmp_path)
    assert session.code == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_session_without_scenarios_loads_nothing_of_the_product(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("some: thing\n")
    (tmp_path / "test_theirs.py").write_text("def test_theirs(): pass\n")
    program = (
        "import sys, pytest; before = set(sys.modules); code = pytest.main(['-q', '-p', 'no:cacheprovider']);"
        "print(code.value, *sorted(set(sys.modules) - before))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    code, *modules = ended.stdout.splitlines()[-1].split()
    assert code == "0"
    assert "harness.pytest_plugin" in modules
    loaded = {name.partition(".")[0] for name in modules}
    assert [name for name in modules if name.startswith("harness.") and name != "harness.pytest_plugin"] == []
    assert loaded.isdisjoint(
        {"pydantic", "psycopg", "botocore", "s3transfer", "httpx", "yaml", "psutil", "gevent"}
    )


# --- what is played -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session(project: Path) -> Session:
    """Every scenario of the project, and the test in Python."""
    return run_pytest(project, "-v", "--junitxml=junit.xml")


@pytest.mark.drill
def test_each_objective_is_a_subtest_of_its_scenario(session: Session) -> None:
    for name in ("expected", "idle"):
        item = re.escape(f"drills/{name}.yaml::kiosk/{name}")
        for objective in ("rpo", "rto", "containment"):
            assert re.search(rf"^{item} SUBPASSED\[{objective}\]", session.output, re.MULTILINE)
        assert re.search(rf"^{item} PASSED", session.output, re.MULTILINE)


@pytest.mark.drill
def test_a_breach_that_was_not_expected_fails(session: Session) -> None:
    assert (
        "SUBFAILED[rpo] drills/surprise.yaml::kiosk/surprise - rpo breached, expected held" in session.output
    )
    assert "FAILED drills/surprise.yaml::kiosk/surprise - " in session.output
    assert "not as expected: rpo breached, rto breached" in session.output
    assert (
        "SUBPASSED[containment]" in session.output.partition("kiosk/surprise")[2].partition("kiosk/typo")[0]
    )


@pytest.mark.drill
def test_a_run_that_decides_nothing_is_an_error_and_no_failure(session: Session) -> None:
    assert "ERROR at setup of scenario kiosk/typo [rpo]" in session.output
    assert "ERROR at setup of scenario kiosk/typo _" in session.output
    assert "FAILED drills/typo.yaml" not in session.output


@pytest.mark.drill
def test_verdicts_are_told_without_a_traceback(session: Session) -> None:
    assert "Traceback" not in session.output
    assert "pytest_plugin.py" not in session.output
    assert "/index.html" in session.output


@pytest.mark.drill
def test_the_session_counts_items_and_subtests_and_fails(session: Session) -> None:
    assert session.code == pytest.ExitCode.TESTS_FAILED
    assert session.counts == {"failed": 3, "passed": 3, "error": 4, "subtests passed": 7}


@pytest.mark.drill
def test_junit_has_every_scenario_with_its_outcome(session: Session) -> None:
    suite = ElementTree.parse(session.folder / "junit.xml").getroot()[0]
    outcomes: dict[str, set[str]] = {}
    for case in suite.iter("testcase"):
        outcomes.setdefault(case.get("name", ""), set()).update(child.tag for child in case)
    told = {name.partition(" ")[0]: tags - {"system-out"} for name, tags in outcomes.items()}
    assert told["kiosk/expected"] == set()
    assert told["kiosk/surprise"] == {"failure"}
    assert told["kiosk/typo"] == {"error"}


@pytest.mark.drill
def test_a_drill_can_be_played_from_python_with_other_guards(session: Session) -> None:
    assert re.search(r"^test_from_python.py::test_a_drill PASSED", session.output, re.MULTILINE)


@pytest.mark.drill
def test_every_drill_leaves_its_run_folder(session: Session) -> None:
    runs = {path.name.split("-", 1)[1].rsplit("-", 1)[0] for path in (session.folder / "reports").glob("2*")}
    assert runs == {"kiosk-expected", "kiosk-idle", "kiosk-surprise", "kiosk-typo"}
    assert [path for path in (session.folder / "work").iterdir() if path.is_dir()] == []


@pytest.mark.drill
def test_a_terminal_shows_the_phase_that_goes_on_and_then_the_outcome(project: Path) -> None:
    columns = 200
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "drills/idle.yaml"]
    command += [f"--ninelives-work={project}/work", f"--ninelives-reports={project}/shown"]
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    running = subprocess.Popen(command, cwd=project, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # so Linux tells the end of a terminal
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    assert running.wait() == 0
    lines = [line.rstrip() for line in shown.decode().replace("\r\n", "\n").replace("\r", "\n").splitlines()]
    item = "drills/idle.yaml::kiosk/idle"
    live = [line for line in lines if line.startswith(f"{item} (")]
    assert live[0] == f"{item} (provision)"
    assert live[-1] == f"{item} (teardown)"
    assert all(len(line) < columns for line in live)
    assert any(line.startswith(f"{item} PASSED") for line in lines)


@pytest.mark.drill
def test_a_drill_shows_in_a_failing_test_what_came_out_of_it(project: Path) -> None:
    failing = "def test_it(ninelives_drill):\n    assert not ninelives_drill('drills/surprise.yaml')\n"
    (project / "test_failing.py").write_text(failing, encoding="utf-8")
    try:
        failed = run_pytest(project, "test_failing.py")
    finally:
        (project / "test_failing.py").unlink()
    assert failed.code == pytest.ExitCode.TESTS_FAILED
    told = "<drill of kiosk/surprise: breached; not as expected: rpo breached, rto breached; see /"
    assert f"assert not {told}" in failed.output


@pytest.mark.drill
def test_searches_can_be_asked_for_from_python_and_tell_what_they_found(project: Path) -> None:
    (project / "test_searching.py").write_text(SEARCHES, encoding="utf-8")
    try:
        asked = run_pytest(project, "-v", "test_searching.py")
    finally:
        (project / "test_searching.py").unlink()
    assert asked.counts == {"failed": 1, "passed": 2}, asked.output
    assert "assert not <blast-radius of drills/expected.yaml: breached; " in asked.output
    assert [path for path in (project / "work").iterdir() if path.is_dir()] == []


@pytest.mark.drill
def test_a_search_that_somebody_ends_ends_the_session(project: Path) -> None:
    (project / "test_ended.py").write_text(ENDED, encoding="utf-8")
    try:
        ended = run_pytest(project, "test_ended.py")
    finally:
        (project / "test_ended.py").unlink()
    assert ended.code == pytest.ExitCode.INTERRUPTED, ended.output
    (folder,) = (project / "reports").glob("*-kiosk-idle-explore-*")
    assert '"interrupted":true' in (folder / "explored.json").read_text().replace(" ", "")


@pytest.mark.drill
def test_scenarios_can_be_shared_among_processes(session: Session, project: Path) -> None:
    shared = run_pytest(project, "-n", "2", "drills/idle.yaml", "drills/surprise.yaml")
    assert shared.code == pytest.ExitCode.TESTS_FAILED
    assert shared.counts == {"failed": 3, "passed": 1}
    assert "rpo breached, expected held" in shared.output
