"""The files for CI systems: what their steps run is run here, in a folder such as they find."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.journal.radius import BlastRadius
from tests.archive.runs import play as recorded
from tests.conftest import CACHE
from tests.drills.command import SHOP, Installation, fresh_installation
from tests.evidence.conftest import play

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "ci"
BIN = Path(sys.executable).parent
EXPRESSION = re.compile(r"\$\{\{ *([a-z._]+)(?: *!= *'')? *\}\}")
FIELDS = 5
"""Of a crontab's line, before the command."""

PLAYED = "mine/dropped-table.yaml"
POLICY = "scenarios/mine/policy.yaml"
GATE = "Hold the history against the policy"


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


Ran = subprocess.CompletedProcess[str]


@pytest.fixture
def desk() -> Iterator[Installation]:
    """A checkout: one scenario in ``scenarios/mine``, which comes out as it expects."""
    installation = fresh_installation(CACHE)
    mine = installation.root / "scenarios" / "mine"
    shutil.copytree(SHOP, mine, ignore=shutil.ignore_patterns("__pycache__"))
    for other in set(mine.glob("*.yaml")) - {mine / "stack.yaml", installation.root / "scenarios" / PLAYED}:
        other.unlink()
    scenario = read(installation.root / "scenarios" / PLAYED)["id"]
    (installation.root / POLICY).write_text(f"required: [{{scenario: {scenario}, every: 1d}}]\n")
    yield installation
    shutil.rmtree(installation.root)


def run(script: str, desk: Installation, shell: tuple[str, ...], **more: str) -> Ran:
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(desk.root),
        "NINELIVES_CACHE": str(CACHE),
        "NINELIVES_WORK": str(desk.root / "work"),
        **more,
    }
    return subprocess.run([*shell, script], cwd=desk.root, env=environment, capture_output=True, text=True)


def runs(desk: Installation) -> list[Path]:
    return [run for run in sorted((desk.root / "reports").glob("2*")) if not run.is_symlink()]


def break_it(desk: Installation) -> None:
    """Have the scenario expect what does not happen."""
    scenario = desk.root / "scenarios" / PLAYED
    text = scenario.read_text()
    assert "rpo: breached" in text
    scenario.write_text(text.replace("rpo: breached", "rpo: held"))


# --- GitHub ---------------------------------------------------------------------------------------------

BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
"""How GitHub runs a step of ``shell: bash``."""


def steps() -> dict[str, Any]:
    return {step["name"]: step for step in read(ROOT / "action.yml")["runs"]["steps"]}


def github(name: str, desk: Installation, inputs: Mapping[str, str]) -> Ran:
    """One step of the action, with what GitHub puts in for its expressions."""
    known = {key: value.get("default", "") for key, value in read(ROOT / "action.yml")["inputs"].items()}
    values = {f"inputs.{key}": value for key, value in {**known, **inputs}.items()}
    values |= {
        "github.action_path": str(ROOT),
        "github.workflow_ref": "o/r/.github/workflows/ninelives.yml@refs/heads/main",
        "github.server_url": "https://github.example",
        "github.repository": "o/r",
        "github.run_id": "42",
    }
    step = steps()[name]
    given = {key: EXPRESSION.sub(lambda match: values[match[1]], text) for key, text in step["env"].items()}
    summary, path = desk.root / "summary", desk.root / "path"
    return run(
        step["run"],
        desk,
        BASH,
        RUNNER_TEMP=str(desk.root / "temp"),
        TMPDIR=str(desk.root),
        GITHUB_STEP_SUMMARY=str(summary),
        GITHUB_PATH=str(path),
        **given,
    )


def test_no_script_of_the_action_has_an_expression_in_it() -> None:
    """What GitHub puts into a script is run as a script, whoever has written it (CWE-94)."""
    assert not [name for name, step in steps().items() if EXPRESSION.search(step["run"])]


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    inputs = read(ROOT / "action.yml")["inputs"].keys()
    given = {
        name
        for job in read(FOLDER / "github.yml")["jobs"].values()
        for step in job["steps"]
        if step.get("uses") == "./ninelives"
        for name in step["with"]
    }
    assert given == inputs - {"extras"}


@pytest.mark.drill
def test_the_action_drills_and_tells_of_controls(desk: Installation) -> None:
    ran = github("Drill", desk, {})
    assert ran.returncode == 0, ran.stderr
    (folder,) = runs(desk)
    assert (desk.root / "summary").read_text() == (folder / "summary.md").read_text()
    assert github("Tell of controls", desk, {"frameworks": "soc2 dora"}).returncode == 0
    told = (desk.root / "reports" / "controls.md").read_text()
    assert "SOC 2" in told
    assert "DORA" in told
    assert "NIST" not in told
    assert github(GATE, desk, {"policy": POLICY}).returncode == 0
    assert "Gate: passes" in (desk.root / "summary").read_text()


@pytest.mark.drill
def test_the_action_is_red_when_a_scenario_does_not_come_out_as_it_expects(desk: Installation) -> None:
    break_it(desk)
    assert github("Drill", desk, {}).returncode == 1
    assert "not as the scenario expects" in (desk.root / "summary").read_text()
    assert github(GATE, desk, {"policy": POLICY}).returncode == 1
    assert "Gate: refused" in (desk.root / "summary").read_text()


@pytest.mark.drill
def test_the_action_is_red_when_the_blast_radius_grows(desk: Installation) -> None:
    stack = "scenarios/mine/stack.yaml"
    asked = {"stack": stack, "baseline": "radius.json"}
    run(f"ninelives blast-radius --guards least-privilege {stack}", desk, ("sh", "-c"))
    (made,) = runs(desk)
    small = (made / "radius.json").read_text()
    (desk.root / "radius.json").write_text(small)
    grown = github("Compare the blast radius", desk, asked)
    assert grown.returncode == 1, grown.stdout + grown.stderr
    assert "kill set" in (desk.root / "summary").read_text()
    whole = next(one for one in runs(desk) if one != made)
    (desk.root / "radius.json").write_text((whole / "radius.json").read_text())
    assert github("Compare the blast radius", desk, asked).returncode == 0


def test_the_action_says_that_a_stack_has_no_baseline_to_be_compared_with(desk: Installation) -> None:
    ran = github("Compare the blast radius", desk, {"stack": "scenarios/mine/stack.yaml"})
    assert ran.returncode == 3, ran.stderr
    (said,) = ran.stdout.splitlines()
    assert said.startswith("::error::stack is given without a baseline")
    assert runs(desk) == []


def test_lines_of_paths_and_of_frameworks_are_all_taken(desk: Installation) -> None:
    """As `paths: |` gives them: one on the second line is looked for too, and there is none."""
    ran = github("Drill", desk, {"paths": f"scenarios/{PLAYED}\nnone.yaml\n"})
    assert ran.returncode == 3, ran.stderr
    assert "none.yaml" in ran.stderr
    (desk.root / "reports").mkdir()
    play(desk.root / "reports", "2026-run")
    assert github("Tell of controls", desk, {"frameworks": "soc2\ndora\n"}).returncode == 0
    told = (desk.root / "reports" / "controls.md").read_text()
    assert all(title in told for title in ("SOC 2", "DORA"))


def test_controls_are_told_of_beside_a_search_and_a_run_that_died_at_once(desk: Installation) -> None:
    """In what the other steps leave, and what is kept from earlier jobs."""
    reports = desk.root / "reports"
    search = play(reports, "2026-blast-radius")
    (search / "radius.json").write_text(BlastRadius(stack="x", guards=()).model_dump_json())
    dead = play(reports, "2026-dead")
    (dead / "journal.jsonl").unlink()
    play(reports, "2026-run")
    ran = github("Tell of controls", desk, {"frameworks": "soc2"})
    assert (ran.returncode, ran.stderr) == (0, "left out reports/2026-blast-radius: it is of a search\n")
    told = run("ninelives controls reports/2*/ --format json", desk, BASH)
    populations = [one["population"] for one in json.loads(told.stdout)]
    assert max(one["aborted"] for one in populations) > 0
    assert all(one["aborted"] == one["run"] for one in populations)


@pytest.mark.drill
@pytest.mark.slow
def test_the_action_installs_itself(desk: Installation) -> None:
    (desk.root / "temp").mkdir()
    index = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))}
    step = steps()["Install"]
    ran = run(
        step["run"],
        desk,
        BASH,
        **index,
        EXTRAS="prometheus",
        POLICY=POLICY,
        SIGNED="true",
        SOURCE=str(ROOT),
        RUNNER_TEMP=str(desk.root / "temp"),
        GITHUB_PATH=str(desk.root / "path"),
    )
    assert ran.returncode == 0, ran.stderr
    program = Path((desk.root / "path").read_text().strip()) / "ninelives"
    said = subprocess.run([program, "controls", "--framework", "caf"], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")
    assert "B5.a" in said.stdout
    recorded(desk.root / "reports", "a-run")
    listed = subprocess.run([program, "history"], cwd=desk.root, capture_output=True, text=True)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "a-run" in listed.stdout
    asked = [program.with_name("python"), "-c", "import prometheus_client, securesystemslib"]
    assert subprocess.run(asked, check=False).returncode == 0


def minted(desk: Installation) -> str:
    """A pair of keys, outside what jobs keep; the private one."""
    made = run("mkdir -p keys && ninelives keygen keys/team", desk, SH)
    assert made.returncode == 0, made.stderr
    return (desk.root / "keys" / "team.key").read_text()


def signed_and_nowhere_told(desk: Installation, secret: str, *said: Ran) -> None:
    """Every run verifies with the public key, and the private one is in no artefact and no log."""
    verified = run("ninelives verify reports --key keys/team.pub", desk, SH)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    inside = secret.splitlines()[1]
    kept = [path for path in desk.root.rglob("*") if path.is_file() and "keys" not in path.parts]
    assert not [path for path in kept if inside.encode() in path.read_bytes()]
    assert not [ran for ran in said if inside in ran.stdout + ran.stderr]


def ended(desk: Installation) -> Path:
    """A run that is over, and stands on the roll."""
    (desk.root / "reports").mkdir()
    return play(desk.root / "reports", "2026-run")


def test_the_action_signs_with_a_key_that_it_leaves_nowhere(desk: Installation) -> None:
    folder, secret = ended(desk), minted(desk)
    # GitHub hands a secret on without the newline at its end.
    ran = github("Sign", desk, {"key": secret.strip()})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = "".join(
        b64decode(json.loads(path.read_text())["payload"]).decode() for path in folder.glob("*.dsse.json")
    )
    assert "https://github.example/o/r/actions/runs/42" in told
    signed_and_nowhere_told(desk, secret, ran)


def test_the_action_is_red_when_its_key_is_none(desk: Installation) -> None:
    ended(desk)
    assert github("Sign", desk, {"key": "not a key"}).returncode == 3
    assert steps()["Sign"]["if"] == "${{ !cancelled() && inputs.key != '' }}"
    assert [*steps()][-1] == "Sign", "nothing is written into a signed run"


def origin(desk: Installation, baseline: str = "theirs\n") -> None:
    """The desk as a shallow clone of a repository whose `main` has a baseline; the change brings another."""
    there = desk.root / "origin"
    (desk.root / "baseline").write_text(baseline)
    git = "git -c user.name=x -c user.email=x@example.org -c init.defaultBranch=main"
    made = run(
        f"""
        {git} init --quiet {there} && mkdir -p {there}/scenarios/mine
        cp baseline {there}/scenarios/mine/radius.json
        {git} -C {there} add --all && {git} -C {there} commit --quiet --message baseline
        {git} init --quiet . && {git} remote add origin file://{there}
        echo mine > scenarios/mine/radius.json
        """,
        desk,
        BASH,
    )
    assert made.returncode == 0, made.stderr


def test_the_gate_of_github_takes_the_baseline_of_the_branch_that_is_merged_into(desk: Installation) -> None:
    origin(desk)
    steps_of_gate = read(FOLDER / "github.yml")["jobs"]["gate"]["steps"]
    (getting,) = (step for step in steps_of_gate if "run" in step)
    (action,) = (step for step in steps_of_gate if step.get("uses") == "./ninelives")
    assert action["with"]["baseline"] == getting["env"]["BASELINE"]
    baseline = desk.root / "radius.json"
    assert not EXPRESSION.search(getting["run"])
    ran = run(getting["run"], desk, BASH, BASE="main", BASELINE=str(baseline))
    assert ran.returncode == 0, ran.stderr
    assert baseline.read_text() == "theirs\n"


def test_the_gate_of_gitlab_takes_the_baseline_of_the_branch_that_is_merged_into(desk: Installation) -> None:
    origin(desk)
    script = read(FOLDER / "gitlab.yml")["gate"]["script"]
    fetching = "\n".join([*script[:3], 'cat "$baseline"; rm "$baseline"'])
    ran = run(fetching, desk, SH, CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main")
    assert (ran.returncode, ran.stdout) == (0, "theirs\n"), ran.stderr
    assert '--baseline "$baseline"' in script[-1]


@pytest.mark.drill
def test_the_gate_of_gitlab_plays_and_holds_the_radius_against_that_baseline(desk: Installation) -> None:
    stack = "scenarios/mine/stack.yaml"
    run(f"ninelives blast-radius {stack}", desk, SH)
    (made,) = runs(desk)
    origin(desk, (made / "radius.json").read_text())
    ran = gitlab("gate", desk, CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(runs(desk)) == 3, "a drill and a search"
    assert (desk.root / "reports" / "radius.md").exists()


# --- GitLab ---------------------------------------------------------------------------------------------

SH = ("sh", "-e", "-c")


def gitlab(job: str, desk: Installation, **more: str) -> Ran:
    template = read(FOLDER / "gitlab.yml")
    known = {"CI_PROJECT_PATH": "o/r", "CI_JOB_URL": "https://gitlab.example/o/r/-/jobs/42"}
    return run("\n".join(template[job]["script"]), desk, SH, **template["variables"], **known, **more)


@pytest.mark.drill
def test_the_quarterly_job_of_gitlab_drills_and_tells_of_controls(desk: Installation) -> None:
    secret = minted(desk)
    ran = gitlab("quarterly", desk, NINELIVES_KEY=str(desk.root / "keys" / "team.key"))
    assert ran.returncode == 0, ran.stderr
    signed_and_nowhere_told(desk, secret, ran)
    assert "SOC 2" in (desk.root / "reports" / "controls.md").read_text()
    (folder,) = runs(desk)
    pattern = read(FOLDER / "gitlab.yml")[".drill"]["artifacts"]["reports"]["junit"]
    assert [path.parent for path in desk.root.glob(pattern)] == [folder]


@pytest.mark.drill
def test_a_job_of_gitlab_is_red_when_a_scenario_comes_out_otherwise(desk: Installation) -> None:
    break_it(desk)
    secret = minted(desk)
    key = str(desk.root / "keys" / "team.key")
    nightly, quarterly = gitlab("nightly", desk, NINELIVES_KEY=key), gitlab("quarterly", desk)
    assert [(one / "manifest.json").exists() for one in runs(desk)] == [True, False]
    assert [nightly.returncode, quarterly.returncode] == [1, 1]
    assert "REFUSED: 1 breached of 1 rule" in nightly.stdout
    assert secret.splitlines()[1] not in nightly.stdout + nightly.stderr
    assert (desk.root / "reports" / "controls.md").exists()


def test_every_job_of_gitlab_installs_first() -> None:
    template = read(FOLDER / "gitlab.yml")
    jobs = [job for name, job in template.items() if not name.startswith(".") and name != "variables"]
    assert [job["extends"] for job in jobs] == [".drill"] * len(jobs) == [".drill"] * 3
    assert (
        '.ninelives/bin/pip install --quiet "$NINELIVES_SOURCE[history,evidence]"'
        in template[".drill"]["before_script"]
    )


# --- Kubernetes and cron --------------------------------------------------------------------------------


def pods() -> list[Any]:
    """Of the nightly job and of the quarterly one."""
    jobs = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
    return [job["spec"]["jobTemplate"]["spec"]["template"]["spec"] for job in jobs]


def test_the_quarterly_job_of_kubernetes_tells_of_controls_and_verifies(desk: Installation) -> None:
    (container,) = pods()[1]["containers"]
    (script,) = container["args"]
    reports = desk.root / "reports"
    folder = play(reports, "2026-run")
    (desk.root / POLICY).write_text("restore-cadence: [{every: 1d}]\n")
    where = {"REPORTS": str(reports), "EVIDENCE": str(desk.root)}
    where["PUBLIC_KEY"] = str(desk.root / "keys" / "team.pub")
    assert where.keys() < {each["name"] for each in container["env"]}
    fine = run(script, desk, tuple(container["command"]), **where)
    assert (fine.returncode, fine.stderr) == (0, "")
    (told,) = desk.root.glob("controls-*.md")
    tested = next(line for line in told.read_text().splitlines() if line.startswith("| CC4.1 "))
    assert "contradicts" in tested, "no restore was tested in time"
    minted(desk)
    key = desk.root / "keys" / "team.key"
    signed = run(f"ninelives sign reports --key {key} --operator us", desk, SH)
    assert signed.returncode == 0, signed.stderr
    assert run(script, desk, tuple(container["command"]), **where).returncode == 0
    (folder / "summary.txt").write_text("All is well.\n")
    assert run(script, desk, tuple(container["command"]), **where).returncode == 1


@pytest.mark.drill
def test_the_cron_job_of_kubernetes_keeps_evidence_and_ends_as_the_drill(desk: Installation) -> None:
    break_it(desk)
    pod, _ = pods()
    (container,) = pod["containers"]
    secret = minted(desk)
    evidence = {
        "REPORTS": str(desk.root / "reports"),
        "METRICS": str(desk.root / "metrics"),
        "KEY": str(desk.root / "keys" / "team.key"),
    }
    assert evidence.keys() < {each["name"] for each in container["env"]}
    (script,) = container["args"]
    ran = run(script, desk, tuple(container["command"]), HOSTNAME="drill-1", **evidence)
    assert ran.returncode == 1, ran.stderr
    signed_and_nowhere_told(desk, secret, ran)
    assert "REFUSED: 1 breached of 1 rule" in ran.stdout
    assert len(runs(desk)) == 1
    assert [path.suffix for path in (desk.root / "metrics").iterdir()] == [".prom"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.drill
def test_the_lines_of_the_crontab_say_when_something_is_wrong_and_nothing_else(desk: Installation) -> None:
    lines = [line for line in (FOLDER / "crontab").read_text().splitlines() if not line.startswith("#")]
    nightly, gate, signing, site, quarterly, verifying = (
        line.split(maxsplit=FIELDS)[FIELDS].replace(r"\%", "%") for line in lines
    )
    for line in (nightly, gate, signing, site, verifying):
        first = run(line, desk, ("sh", "-c"))
        assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    second = run(quarterly, desk, ("sh", "-c"))
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    (told,) = desk.root.glob("controls-*.md")
    assert "SOC 2" in told.read_text()
    (folder,) = runs(desk)
    assert not (folder / "manifest.json").exists(), "there is no key"
    assert folder.name in (desk.root / "public" / "index.html").read_text()
    made = run("mkdir .ninelives && ninelives keygen .ninelives/ninelives", desk, ("sh", "-c"))
    assert made.returncode == 0, made.stderr
    for line in (signing, verifying):
        fine = run(line, desk, ("sh", "-c"))
        assert (fine.returncode, fine.stdout, fine.stderr) == (0, "", "")
    (folder / "summary.txt").write_text("All is well.\n")
    assert "verifying ended with 1" in run(verifying, desk, ("sh", "-c")).stdout
    (desk.root / ".ninelives" / "ninelives.key").write_text("none\n")
    assert "signing ended with 3" in run(signing, desk, ("sh", "-c")).stdout
    break_it(desk)
    third = run(nightly, desk, ("sh", "-c"))
    assert "drills ended with 1" in third.stdout
    assert "the gate ended with 1" in run(gate, desk, ("sh", "-c")).stdout
