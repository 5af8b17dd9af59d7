"""``judge`` and ``report``: a stored run says the same again, from its folder alone, offline."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from harness.cli.places import find_run
from harness.errors import RequestError
from harness.journal.roll import enroll, read_roll
from harness.seams.lookup import BUILT_IN
from tests.archive.runs import NOW, write_verdicts
from tests.cli.conftest import Finished
from tests.drills.command import Installation

REPORTS = ("summary.txt", "verdicts.json", "junit.xml", "index.html")
OFFLINE = """
import socket, subprocess, sys

def refuse(*_, **__):
    raise AssertionError("a stored run needs nobody")

socket.socket.connect = socket.socket.bind = socket.create_connection = refuse
subprocess.Popen.__init__ = refuse
from harness.cli import main
main()
"""

pytestmark = pytest.mark.drill


@pytest.fixture
def stored(finished: Mapping[str, Finished], tmp_path: Path) -> Path:
    """A copy of a run folder, elsewhere, as an auditor gets it years later."""
    folder = finished["two"].folders["shop-surprise"]
    return Path(shutil.copytree(folder, tmp_path / "archive" / folder.name))


def offline(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", OFFLINE, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_judging_again_says_the_same_and_writes_nothing(
    stored: Path, finished: Mapping[str, Finished]
) -> None:
    before = digests(stored)
    first, second = (offline("judge", stored, "--json", cwd=stored.parent) for _ in range(2))
    assert (first.returncode, first.stderr) == (1, "")
    assert first.stdout == second.stdout
    assert json.loads(first.stdout) == json.loads(finished["two"].out.splitlines()[1])
    assert json.loads(first.stdout) == json.loads((stored / "verdicts.json").read_text())
    assert digests(stored) == before


@pytest.mark.parametrize(
    ("scenario", "code"), [("shop-idle", 0), ("shop-surprise", 1), ("shop-misspelt", 2), ("shop-broken", 2)]
)
def test_judge_gives_the_exit_code_of_the_verdicts(
    finished: Mapping[str, Finished], installation: Installation, scenario: str, code: int
) -> None:
    assert installation.call("judge", finished["two"].folders[scenario]).returncode == code


def test_a_run_has_a_name_too(
    finished: Mapping[str, Finished], installation: Installation, tmp_path: Path
) -> None:
    name = finished["two"].folders["shop-surprise"].name
    assert installation.call("judge", name, cwd=tmp_path).returncode == 1
    latest = installation.reports / "latest"
    judged = [installation.call("judge", run, "--json", cwd=tmp_path) for run in ("latest", latest)]
    assert judged[0].stdout == judged[1].stdout != ""
    done = installation.call("report", "latest", "--out", tmp_path / "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for verb in ("judge", "report"):
        missing = installation.call(verb, "lates", cwd=tmp_path)
        assert missing.returncode == 3
        assert missing.stderr == (
            f"error: there is no run folder lates, nor {latest.parent / 'lates'}\n"
            "  hint: did you mean 'latest'?\n"
        )


def test_a_run_is_named_by_its_number_or_how_its_name_begins(tmp_path: Path) -> None:
    for name in ("run-a", "run-b", "other"):
        write_verdicts(tmp_path / name)
        enroll(tmp_path, name, "shop/drill", NOW)
    assert find_run(Path("3"), tmp_path) == tmp_path / "other"
    assert find_run(Path("oth"), tmp_path) == tmp_path / "other"
    for name, told, hint in (
        ("run", "run may be run-a or run-b", "in full"),
        ("4", "no run folder 4", "there are: latest, other, run-a, run-b"),
        ("run-c", "no run folder run-c", "did you mean 'run-"),
    ):
        with pytest.raises(RequestError, match=told) as raised:
            find_run(Path(name), tmp_path)
        assert hint in raised.value.hint
    with pytest.raises(RequestError) as raised:
        find_run(Path("1"), tmp_path / "none")
    assert "play one" in raised.value.hint


def test_reports_come_out_byte_for_byte_as_the_run_wrote_them(stored: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        done = offline("report", stored, "--out", out, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [str(out / name) for name in REPORTS]
    for name in REPORTS:
        first, second = ((out / name).read_bytes() for out in outs)
        assert first == second, name
        assert first == (stored / name).read_bytes(), name


def test_every_format_is_made_from_the_folder_alone_and_the_same_twice(stored: Path, tmp_path: Path) -> None:
    every = sorted(set(BUILT_IN["reporters"]) - {"pdf"})  # which a machine without Pango cannot make
    formats = [option for name in every for option in ("--format", name)]
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        done = offline("report", stored, *formats, "--out", out, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    first, second = map(digests, outs)
    assert first == second
    assert len(first) == len(every) + 1  # OSCAL is a plan and its results


def test_one_format_writes_one_file(stored: Path, tmp_path: Path, installation: Installation) -> None:
    done = installation.call("report", stored, "--format", "junit", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["junit.xml"]
    unknown = installation.call("report", stored, "--format", "junt")
    assert unknown.returncode == 3
    assert "junit" in unknown.stderr


def test_a_site_is_made_offline_of_every_run_that_is_there(stored: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = offline("report", "--site", site, "--reports", stored.parent, cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{site / 'index.html'}\n")
    alone = (stored / "index.html").read_text()
    page = (site / "runs" / f"{stored.name}.html").read_text()
    assert 'href="../index.html"' in page
    assert "index.html" not in alone, "by itself it is one page and leads nowhere"
    assert alone.partition("<main>")[2] == page.partition("<main>")[2], (
        "it is the only one: no run was before"
    )
    assert stored.name in (site / "index.html").read_text()
    told = json.loads(offline("controls", stored, "--format", "json", cwd=tmp_path).stdout)
    about = {claim["framework"] for claim in told if claim["says"] != "not tested"}
    (run,) = json.loads((site / "site.json").read_text())["runs"]
    assert set(run["frameworks"]) == about
    assert "soc2" in about


def test_what_does_not_go_together_is_refused(
    stored: Path, tmp_path: Path, installation: Installation
) -> None:
    for wrong, told in (
        (("report",), "name one run"),
        (("report", stored, stored), "name one run"),
        (("report", "--site", tmp_path / "site", "--format", "csv"), "are not for it"),
        (("report", "--site", stored), "is no site"),
        (("report", "--site", tmp_path / "site", "no-such-run"), "no run folder no-such-run"),
    ):
        done = installation.call(*wrong)
        assert done.returncode == 3, done.stderr
        assert told in done.stderr
    assert not (tmp_path / "site").exists()


def test_a_changed_record_decides_nothing(stored: Path, installation: Installation) -> None:
    journal = stored / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if "restore-tried" not in line))
    judged = installation.call("judge", stored)
    assert judged.returncode == 2
    assert judged.stdout.startswith("UNDECIDED")


@pytest.mark.parametrize("verb", ["judge", "report"])
def test_what_is_no_run_folder_gives_3(installation: Installation, tmp_path: Path, verb: str) -> None:
    done = installation.call(verb, tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {tmp_path} is not a run folder")
    assert "\n  hint: " in done.stderr


def test_reports_that_cannot_be_written_give_4(
    stored: Path, installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    done = installation.call("report", stored, "--out", tmp_path / "file" / "out")
    assert done.returncode == 4
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_gone_changes_no_exit_code(stored: Path, installation: Installation) -> None:
    command = f"set -o pipefail; {installation_program()} judge {stored} | true"
    done = subprocess.run(
        ["bash", "-c", command], env=installation.environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")


def installation_program() -> Path:
    return Path(sys.executable).with_name("ninelives")


def test_runs_of_several_processes_are_all_on_the_roll(
    finished: Mapping[str, Finished], installation: Installation
) -> None:
    lines, problem = read_roll(installation.reports)
    assert problem is None
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    made = {folder for of_call in finished.values() for folder in of_call.folders.values()}
    assert {folder.name for folder in made} <= {line.run_id for line in lines}


def test_a_real_run_is_signed_and_verified_offline_with_its_own_number(
    stored: Path, installation: Installation, tmp_path: Path
) -> None:
    assert installation.call("keygen", "team", cwd=tmp_path).returncode == 0
    signed = installation.call(
        "sign", stored, "--key", "team.key", "--operator", "the night shift", cwd=tmp_path
    )
    assert (signed.returncode, signed.stderr) == (0, "")
    verified = offline("verify", stored, "--key", "team.pub", cwd=tmp_path)
    assert (verified.returncode, verified.stderr) == (0, "")
    (line,) = [line for line in read_roll(installation.reports)[0] if line.run_id == stored.name]
    assert f"run {line.number}, shop/surprise, breached" in verified.stdout
    journal = stored / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[1:]))
    changed = offline("verify", stored, "--key", "team.pub", cwd=tmp_path)
    assert changed.returncode == 1
    assert "line 1 of the journal has the number 2" in changed.stdout


def test_a_stored_run_tells_what_it_says_of_controls(stored: Path) -> None:
    said = offline("controls", stored, "--framework", "nist-800-53", "--format", "json", cwd=stored.parent)
    assert (said.returncode, said.stderr) == (0, "")
    claims = {claim["id"]: claim for claim in json.loads(said.stdout)}
    verdicts = {
        v["objective"]: v["value"] for v in json.loads((stored / "verdicts.json").read_text())["verdicts"]
    }
    assert verdicts["rpo"] == "breached"
    assert claims["CP-9(5)"]["says"] == "contradicts"
    assert claims["CP-9(5)"]["runs"] == [stored.name]
    assert claims["CP-9(7)"]["says"] == "not tested"
