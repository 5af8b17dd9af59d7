"""``ninelives run``: exit codes, and what goes to which stream."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Finished
from tests.cli.terminal import run_on_terminal
from tests.drills.command import SHOP, Installation

PRUNE = SHOP.parents[2] / "scenarios" / "docker-prune" / "as-it-happens.yaml"

PHASES = ("bringing up replicas", "playing the past", "watching the workload", "tearing down")
VERBS = ("run", "check", "judge", "report", "list", "schema", "doctor", "sweep")
ESCAPE = "\x1b"


@pytest.mark.drill
def test_a_verdict_that_is_not_as_expected_gives_1_whatever_else_went_well(
    finished: Mapping[str, Finished],
) -> None:
    assert finished["two"].code == 1


@pytest.mark.drill
def test_json_is_one_document_a_run_and_nothing_else(finished: Mapping[str, Finished]) -> None:
    two = finished["two"]
    documents = [json.loads(line) for line in two.out.splitlines()]
    assert [document["scenario"]["id"] for document in documents] == ["shop/idle", "shop/surprise"]
    assert [document["value"] for document in documents] == ["held", "breached"]
    assert two.err == ""


@pytest.mark.drill
def test_a_harm_that_misses_its_target_gives_2(finished: Mapping[str, Finished]) -> None:
    misspelt = finished["misspelt"]
    assert misspelt.code == 2
    assert misspelt.out.startswith("UNDECIDED")
    assert "odrers" in misspelt.out


@pytest.mark.drill
def test_what_is_no_terminal_gets_plain_lines(finished: Mapping[str, Finished]) -> None:
    misspelt = finished["misspelt"]
    assert ESCAPE not in misspelt.out + misspelt.err
    assert "\r" not in misspelt.out + misspelt.err
    lines = misspelt.err.splitlines()
    assert lines[0] == "shop/misspelt  The harm misses its target"
    assert [line[2:30].strip() for line in lines[1:4]] == list(PHASES[:3])
    assert all(re.fullmatch(r"  \S.{27} ok +[\d.]+m?s", line) for line in lines[1:])
    assert all(line == line.rstrip() for line in (misspelt.out + misspelt.err).splitlines())


@pytest.mark.drill
def test_a_schema_that_is_not_sql_gives_3_with_its_place_and_a_hint(
    finished: Mapping[str, Finished], scenarios: Path
) -> None:
    broken = finished["broken"]
    assert broken.code == 3
    assert broken.err.startswith(f"error: {scenarios}/broken/broken.sql:1: the database refuses the schema")
    assert "TABEL" in broken.err
    assert "\n  hint: " in broken.err
    assert "Traceback" not in broken.err
    assert broken.out.startswith("UNDECIDED")


@pytest.mark.drill
def test_an_empty_line_stands_between_two_summaries(installation: Installation, scenarios: Path) -> None:
    folder = scenarios / "broken"
    done = installation.call("run", folder / "broken.yaml", folder / "too.yaml", "--quiet")
    assert done.stdout.count("UNDECIDED") == done.stdout.count("\n\nUNDECIDED") + 1 == 2
    assert not done.stdout.endswith("\n\n")


@pytest.mark.drill
def test_quiet_shows_no_progress(finished: Mapping[str, Finished]) -> None:
    broken = finished["broken"]
    assert not any(phase in broken.out + broken.err for phase in PHASES)


@pytest.mark.drill
def test_as_expected_gives_0_and_a_terminal_of_40_columns_breaks_nothing(installation: Installation) -> None:
    code, shown = run_on_terminal(installation, 40, "run", SHOP / "emptied-dump.yaml")
    assert code == 0, shown
    assert "Traceback" not in shown
    assert all(phase in shown for phase in PHASES)
    # Whatever hid the cursor has shown it again.
    assert shown.count(f"{ESCAPE}[?25l") == shown.count(f"{ESCAPE}[?25h") > 0
    summary = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown[shown.index("BREACHED") :]).splitlines()
    assert all(len(line) <= 40 for line in summary[:-1]), summary
    assert summary[-2] == "Report"
    assert Path(summary[-1]).is_file()
    # Neither the moving line nor what stays of it is broken by the terminal.
    moving = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown[: shown.index("BREACHED")])
    assert all(len(line) <= 40 for line in re.split(r"[\r\n]", moving)), moving
    assert moving.count("\N{HORIZONTAL ELLIPSIS}") > 0, "no line was long enough to show anything"
    assert summary[0] == "BREACHED, AS THE SCENARIO EXPECTS"


@pytest.mark.drill
def test_ctrl_c_gives_130(installation: Installation) -> None:
    run = installation.start("run", SHOP / "emptied-dump.yaml", "--quiet")
    run.wait_for("provision")
    run.send(signal.SIGINT)
    code, _, err = run.end()
    assert (code, err) == (130, "interrupted; everything has been torn down\n")
    assert not (installation.reports / "latest").exists() or (
        (installation.reports / "latest").resolve() != run.folder.resolve()
    )


@pytest.mark.drill
def test_an_interrupted_phase_is_not_called_failed(installation: Installation) -> None:
    run = installation.start("run", SHOP / "emptied-dump.yaml")
    run.wait_for("provision")
    run.send(signal.SIGINT)
    code, out, err = run.end()
    assert code == 130
    assert out.startswith("INTERRUPTED: THIS RUN PROVES NOTHING\n")
    assert re.search(r"^  bringing up replicas +interrupted ", err, re.MULTILINE)
    assert "failed" not in err


@pytest.mark.drill
def test_the_end_does_not_depend_on_anybody_reading_it(installation: Installation, scenarios: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        run = installation.start("run", scenarios / "broken" / "broken.yaml", stdout=writer, stderr=writer)
    finally:
        os.close(writer)
    assert run.end()[0] == 3
    assert (run.folder / "summary.txt").read_text().startswith("UNDECIDED")
    assert installation.at_work() == ()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(installation: Installation, verb: str) -> None:
    done = installation.call(verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: ninelives {verb}")


def test_a_typo_is_shown_with_its_place_and_nothing_is_touched(tmp_path: Path, scenarios: Path) -> None:
    file = scenarios / "two" / "emptied-dump.yaml"
    text = file.read_text().replace("users: 4", "user: 4")
    wrong = scenarios / "two" / "wrong.yaml"
    wrong.write_text(text)
    fresh = Installation(tmp_path / "fresh", tmp_path / "cache")
    try:
        done = fresh.call("run", wrong, scenarios / "two" / "idle.yaml")
    finally:
        wrong.unlink()
    line = 1 + text[: text.index("user: 4")].count("\n")
    column = 1 + text.splitlines()[line - 1].index("user: 4")
    assert done.returncode == 3
    assert done.stdout == ""
    assert f"{wrong}:{line}:{column}: workload.user:" in done.stderr
    assert "hint: did you mean 'users'?" in done.stderr
    assert not (tmp_path / "fresh").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("arguments", [["run"], ["check"], ["list"]], ids=" ".join)
def test_without_arguments_in_an_empty_folder_one_is_told_what_to_name(
    tmp_path: Path, arguments: list[str]
) -> None:
    fresh = Installation(tmp_path / "fresh", tmp_path / "cache")
    (tmp_path / "empty").mkdir()
    done = fresh.call(*arguments, cwd=tmp_path / "empty")
    assert (done.returncode, done.stdout) == (3, "")
    assert (
        done.stderr == "error: scenarios does not exist\n  hint: name scenario files, or folders with some\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_folder_without_scenarios_is_an_error(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "stack.yaml").write_text("services: {}\n")
    done = installation.call("run", tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: no scenario in {tmp_path}\n  hint: ")


@pytest.mark.parametrize(
    "arguments", [["rum"], ["run", "--jsno"], []], ids=lambda arguments: " ".join(arguments)
)
def test_a_wrong_call_gives_3_and_shows_how(installation: Installation, arguments: list[str]) -> None:
    done = installation.call(*arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Usage: ninelives")


def test_reports_that_cannot_be_written_give_4_and_name_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    installation = Installation(tmp_path, tmp_path / "cache")
    done = installation.call("run", SHOP / "guarded.yaml", "--reports", tmp_path / "file" / "reports")
    assert (done.returncode, done.stdout) == (4, "")
    assert str(tmp_path / "file" / "reports") in done.stderr
    assert "hint: choose another place with --reports" in done.stderr
    assert installation.at_work() == ()


def test_a_work_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    installation = Installation(tmp_path, tmp_path / "cache")
    for verb in ("run", "sweep"):
        files = [SHOP / "guarded.yaml"] if verb == "run" else []
        done = installation.call(verb, *files, "--work", tmp_path / "link")
        assert done.returncode == 4
        assert "is not a directory of ours\n  hint: " in done.stderr
    assert list((tmp_path / "theirs").iterdir()) == []


def test_without_an_engine_the_provider_docker_gives_4_and_names_the_other(tmp_path: Path) -> None:
    variables = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    installation = Installation(tmp_path, tmp_path / "cache", variables)
    done = installation.call("run", SHOP / "guarded.yaml", "--provider", "docker", "--quiet")
    assert done.returncode == 4
    assert "error: no container engine answers: " in done.stderr
    assert "or use --provider embedded" in done.stderr
    assert "Traceback" not in done.stderr
    assert installation.at_work() == installation.folders() == ()


@pytest.mark.parametrize("asked", [("blast-radius",), ("explore", "--principal", "builder")])
def test_a_search_that_needs_an_engine_says_so_and_nothing_else(
    tmp_path: Path, asked: tuple[str, ...]
) -> None:
    installation = Installation(tmp_path, tmp_path / "cache", {"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    verb, *options = asked
    done = installation.call(verb, PRUNE, *options)
    assert done.returncode == 4
    assert done.stderr.startswith("error: no container engine answers: ")
    assert "may have left" not in done.stderr
    assert installation.at_work() == ()


def test_an_engine_that_may_be_another_machines_is_not_even_asked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        variables = {"DOCKER_HOST": f"tcp://127.0.0.1:{listener.getsockname()[1]}"}
        installation = Installation(tmp_path, tmp_path / "cache", variables)
        done = installation.call("run", SHOP / "guarded.yaml", "--provider", "docker", "--quiet")
        assert done.returncode == 4
        assert "may be another machine's" in done.stderr
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
