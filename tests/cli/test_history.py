"""``history``, ``compare`` and ``gate`` as somebody calls them; the runs are written by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from tests.archive.runs import SHOP, play
from tests.cli.terminal import run_on_terminal
from tests.drills.command import PROGRAM, Installation

POLICY = f"""\
required:
  - {{scenario: {SHOP}, every: 7d}}
regressions:
  - {{scenario: {SHOP}, objective: rto, may-grow: 20%, at-least: 1}}
"""
WITHOUT = """
import sys
sys.modules["sqlalchemy"] = None
from harness.cli import main
main()
"""


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A roll with two runs; the second took longer to come back."""
    now = datetime.now(UTC)
    play(tmp_path / "reports", "run-a", at=now - timedelta(days=1), rto=60.0)
    play(tmp_path / "reports", "run-b", at=now, rto=90.0)
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path


def test_runs_are_listed_compared_and_let_pass_or_not(folder: Path) -> None:
    listed = call(folder, "history", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [json.loads(line)["run_id"] for line in listed.stdout.splitlines()] == ["run-b", "run-a"]

    compared = call(folder, "compare", "1", "reports/run-b")
    assert (compared.returncode, compared.stderr) == (0, "")
    assert "rto: 1m -> 1m30s (+50 %)" in compared.stdout

    summary = folder / "summary.md"
    summary.write_text("# Job\n")
    refused = call(folder, "gate", "--policy", "policy.yaml", "--markdown", "summary.md")
    assert (refused.returncode, refused.stderr) == (1, "")
    assert f"held       required:{SHOP}: as expected" in refused.stdout
    assert f"breached   regression:rto:{SHOP}: 1m30s" in refused.stdout
    assert summary.read_text().startswith("# Job\n## ")

    (folder / "policy.yaml").write_text(POLICY.replace("required", "requird"))
    wrong = call(folder, "gate", "--policy", "policy.yaml")
    assert wrong.returncode == 3
    assert "policy.yaml:1:1: requird: unknown key 'requird'\n  hint: did you mean 'required'?" in wrong.stderr


def test_a_spoilt_history_is_told_and_made_anew(folder: Path) -> None:
    (folder / "reports" / "history.sqlite").write_bytes(b"spoilt" * 1000)
    told = call(folder, "history")
    assert told.returncode == 4
    assert "--rebuild" in told.stderr
    again = call(folder, "history", "--rebuild")
    assert again.returncode == 0
    assert "history.sqlite.aside" in again.stderr
    assert again.stdout.endswith("2 of 2 runs\n")


def test_four_that_make_it_anew_at_once_lose_nothing(folder: Path) -> None:
    (folder / "reports" / "history.sqlite").write_bytes(b"spoilt" * 1000)
    command = [str(PROGRAM), "history", "--rebuild"]
    four = [
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [each.communicate(timeout=60) for each in four]
    assert [each.returncode for each in four] == [0] * 4, said
    assert all(out.endswith("2 of 2 runs\n") for out, _ in said)


def test_a_run_without_verdicts_is_not_compared(folder: Path) -> None:
    (folder / "reports" / "run-b" / "verdicts.json").unlink()
    compared = call(folder, "compare", "1", "2")
    assert compared.returncode == 2
    assert compared.stdout.splitlines()[-3:] == [
        "note: run-b did not end",
        "note: run-b: it has no verdicts.json: it was killed, or is still going on",
        "nothing to compare: run-b has no verdict",
    ]


def test_a_policy_that_asks_for_nothing_it_could_get_names_what_is_meant(folder: Path) -> None:
    for wrong, told in (
        (POLICY.replace("objective: rto", "objective: rt0"), "did you mean 'rto'?"),
        ("", "docs/history.md for policies"),
        (POLICY.replace(f"scenario: {SHOP}, every", f"scenario: {SHOP}s, every"), f"or write {SHOP} if"),
    ):
        (folder / "policy.yaml").write_text(wrong)
        done = call(folder, "gate", "--policy", "policy.yaml")
        assert told in done.stdout + done.stderr


@pytest.mark.parametrize(
    "verb",
    [("history",), ("compare", "1", "2"), ("gate", "--policy", "policy.yaml")],
    ids=lambda verb: verb[0],
)
def test_a_narrow_terminal_has_whole_words(
    folder: Path, installation: Installation, verb: tuple[str, ...]
) -> None:
    (folder / "policy.yaml").write_text(POLICY)
    reports = ("--reports", folder / "reports")
    _, shown = run_on_terminal(
        installation, 60, *(folder / v if v == "policy.yaml" else v for v in verb), *reports
    )
    assert "run-b" in shown
    assert all(len(line) <= 60 for line in shown.splitlines()), shown


def test_controls_tell_of_the_history_when_a_policy_says_by_which_period(folder: Path) -> None:
    (folder / "policy.yaml").write_text("restore-cadence: [{every: 1d}]\n")

    def says(*options: str) -> str:
        done = call(folder, "controls", "--framework", "iso-22301", "--format", "json", *options)
        assert (done.returncode, done.stderr) == (0, "")
        (exercised,) = (claim for claim in json.loads(done.stdout) if claim["id"] == "8.5")
        return str(exercised["says"])

    assert says() == "not tested"
    assert says("--policy", "policy.yaml") == "contradicts", "no run has restored anything"


def test_a_secret_that_is_not_set_is_no_database(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NINELIVES_DATABASE", "")
    assert call(folder, "history").returncode == 0


def test_without_the_packages_the_extra_is_named(folder: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, "history"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "pip install 'ninelives[history]'" in done.stderr


def test_the_schema_of_policies_takes_one_and_refuses_a_wrong_key(folder: Path) -> None:
    done = call(folder, "schema", "policy")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid(yaml.safe_load(POLICY))
    assert not validator.is_valid(yaml.safe_load(POLICY.replace("required", "requird")))
