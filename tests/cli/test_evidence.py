"""``keygen``, ``sign`` and ``verify`` as commands: offline, with the public key alone, by exit code."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drills.command import PROGRAM
from tests.evidence.conftest import OPERATOR, play

OFFLINE = """
import socket, subprocess

def refuse(*_, **__):
    raise AssertionError("evidence needs nobody")

socket.socket.connect = socket.socket.bind = socket.create_connection = refuse
subprocess.Popen.__init__ = refuse
from harness.cli import main
main()
"""
WITHOUT = """
import sys
sys.modules["securesystemslib"] = None
from harness.cli import main
main()
"""


def call(*arguments: str | Path, cwd: Path, script: str = "") -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", script] if script else [str(PROGRAM)]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("NINELIVES_")}
    return subprocess.run(
        [*program, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys and two runs, the first of them signed; not to be changed."""
    root = tmp_path_factory.mktemp("office")
    made = call("keygen", "team", cwd=root)
    assert (made.returncode, made.stderr) == (0, "")
    assert "PRIVATE" not in made.stdout
    for name in ("first", "second"):
        play(root / "reports", name)
    signed = call("sign", "first", "--key", "team.key", "--operator", OPERATOR, cwd=root)
    assert (signed.returncode, signed.stderr) == (0, "")
    assert signed.stdout.startswith("signed reports/first: run 1, ")
    return root


@pytest.fixture
def auditor(office: Path, tmp_path: Path) -> Path:
    """Somebody who has the reports and the public key, and nothing else."""
    shutil.copytree(office / "reports", tmp_path / "reports")
    shutil.copy(office / "team.pub", tmp_path)
    return tmp_path


def test_an_auditor_verifies_offline_with_the_public_key_alone(auditor: Path) -> None:
    done = call("verify", "reports/first", "--key", "team.pub", cwd=auditor, script=OFFLINE)
    assert (done.returncode, done.stderr) == (0, "")
    first, note = done.stdout.splitlines()
    assert first.startswith("MATCHES  reports/first: run 1, shop/drill, breached; ")
    assert OPERATOR in first
    assert note.startswith("the runs before and after it were not looked at")


def test_a_changed_byte_gives_1_and_names_the_file(auditor: Path) -> None:
    path = auditor / "reports/first/summary.txt"
    path.write_text(path.read_text() + " ")
    done = call("verify", "reports/first", "--key", "team.pub", cwd=auditor)
    assert done.returncode == 1
    assert done.stdout.startswith("MISMATCH reports/first: summary.txt: was changed: ")


def test_a_folder_of_reports_must_have_every_run_signed(auditor: Path) -> None:
    done = call("verify", "reports", "--key", "team.pub", cwd=auditor)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == [
        "MISMATCH reports/second: manifest.json: is missing, so the run is not signed",
        "MISMATCH run 2 (second): is missing from the sequence",
    ]


def test_programs_read_the_answer_as_one_document(auditor: Path) -> None:
    done = call("verify", "reports/first", "--key", "team.pub", "--json", cwd=auditor, script=OFFLINE)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    (bundle,) = answer["bundles"]
    assert (answer["schema"], answer["matches"], answer["sequence_checked"]) == (1, True, False)
    assert answer["sequence_mismatches"] == bundle["mismatches"] == []
    assert (bundle["matches"], bundle["number"], bundle["verdict"]) == (True, 1, "breached")
    assert (bundle["scenario"], bundle["operator"]) == ("shop/drill", OPERATOR)
    assert len(bundle["signed_by"]) == 64


def test_programs_read_what_does_not_match(auditor: Path) -> None:
    (auditor / "reports/first/summary.txt").write_text("changed")
    done = call("verify", "reports", "--key", "team.pub", "--json", cwd=auditor)
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    changed, unsigned = answer["bundles"]
    assert (answer["matches"], answer["sequence_checked"]) == (False, True)
    # Of a bundle that was changed nothing is believed, its number neither.
    assert answer["sequence_mismatches"] == [
        f"run {number} ({name}): is missing from the sequence"
        for number, name in ((1, "first"), (2, "second"))
    ]
    assert changed["mismatches"][0].startswith("summary.txt: was changed: ")
    assert (changed["matches"], changed["verdict"], changed["run"]) == (False, None, "first")
    assert (unsigned["matches"], unsigned["run"]) == (False, None)


def test_of_a_folder_of_reports_what_is_over_and_unsigned_is_signed(office: Path, auditor: Path) -> None:
    key = ("--key", office / "team.key", "--operator", OPERATOR)
    with (auditor / "reports/second/journal.jsonl").open("rb") as played:
        fcntl.flock(played, fcntl.LOCK_EX)
        assert call("sign", "reports", *key, cwd=auditor).stdout == ""
        alone = call("sign", "second", *key, cwd=auditor)
        assert (alone.returncode, alone.stderr.splitlines()[0]) == (
            3,
            "error: the run in reports/second is still being played",
        )
    signed = call("sign", "reports", *key, cwd=auditor)
    assert (signed.returncode, len(signed.stdout.splitlines())) == (0, 1)
    assert signed.stdout.startswith("signed reports/second: run 2, ")
    done = call("verify", "reports", "--key", "team.pub", cwd=auditor)
    assert (done.returncode, done.stdout.count("MATCHES")) == (0, 2)


def test_what_cannot_be_done_gives_3_with_a_hint(office: Path, auditor: Path, tmp_path: Path) -> None:
    lone = tmp_path / "nothing"
    lone.mkdir()
    private = tmp_path / "team.key"
    shutil.copy(office / "team.key", private)
    private.chmod(0o640)
    for arguments, said in (
        (("verify", "nothing", "--key", "team.pub"), "error: there is no signed run in nothing"),
        (("verify", "reports/first", "--key", "team.key"), "error: team.key is a private key"),
        (("sign", "second", "--key", "team.key", "--operator", "x"), "error: team.key can be read by others"),
    ):
        done = call(*arguments, cwd=auditor)
        assert (done.returncode, done.stdout) == (3, ""), arguments
        assert done.stderr.startswith(said)
        assert "\n  hint: " in done.stderr


def test_one_run_that_cannot_be_signed_keeps_no_other_from_it(office: Path, auditor: Path) -> None:
    play(auditor / "reports", "third")
    (auditor / "reports/second/stray").symlink_to("/nowhere")
    done = call("sign", "reports", "--key", office / "team.key", "--operator", "x", cwd=auditor)
    assert done.returncode == 3
    assert done.stderr.startswith("error: reports/second/stray is no ordinary file")
    assert done.stdout.startswith("signed reports/third: run 3, ")


def test_nothing_is_written_into_a_signed_run(auditor: Path) -> None:
    done = call("report", "first", "--format", "csv", cwd=auditor)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: reports/first is signed")
    assert call("report", "first", "--format", "csv", "--out", "elsewhere", cwd=auditor).returncode == 0
    assert call("verify", "reports/first", "--key", "team.pub", cwd=auditor).returncode == 0


def test_a_key_in_the_run_folder_is_not_signed_with(auditor: Path, office: Path) -> None:
    shutil.copy(office / "team.key", auditor / "reports/second/team.key")
    done = call("sign", "second", "--key", "reports/second/team.key", "--operator", "x", cwd=auditor)
    assert done.returncode == 3
    assert done.stderr.startswith("error: reports/second/team.key lies in reports/second\n")


def test_without_its_packages_it_says_which_extra_has_them(auditor: Path) -> None:
    done = call("verify", "reports/first", "--key", "team.pub", cwd=auditor, script=WITHOUT)
    assert done.returncode == 4
    assert "needs the package securesystemslib" in done.stderr
    assert "pip install 'ninelives[evidence]'" in done.stderr
