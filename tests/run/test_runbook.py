"""The team's own restore script: timed by its steps, verified like any other recovery, and never believed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.errors import ScenarioError
from harness.journal.events import Recovered, RunbookPlayed
from harness.journal.record import RunRecord
from harness.run.drill import Drilled, drill
from harness.run.place import Place
from harness.scenario.load import load_scenario

from .stage import KIOSK

SCENARIO = """
like: deleted-orders.yaml
id: kiosk/runbook
recover: {strategy: runbook, run: ./runbooks/restore, timeout: 20s}
expect: {rpo: breached}
"""
FETCH = f"""#!{sys.executable}
import os, pathlib, subprocess
from botocore.session import Session
print("::step:: fetch", flush=True)
s3 = Session().create_client(
    "s3",
    region_name="us-east-1",
    endpoint_url=os.environ["VAULT_ENDPOINT"],
    aws_access_key_id=os.environ["VAULT_ACCESS_KEY"],
    aws_secret_access_key=os.environ["VAULT_SECRET_KEY"],
)
bucket = os.environ["VAULT_BUCKET"]
objects = s3.list_objects_v2(Bucket=bucket)["Contents"]
newest = max(objects, key=lambda found: found["LastModified"])["Key"]
pathlib.Path("dump").write_bytes(s3.get_object(Bucket=bucket, Key=newest)["Body"].read())
print("the key is", os.environ["VAULT_SECRET_KEY"], flush=True)
print("::step:: load", flush=True)
subprocess.run(["pg_restore", "--exit-on-error", "--dbname", os.environ["PGDATABASE"], "dump"], check=True)
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the kiosk's scenario with a runbook of the test's own."""

    def write(script: str, mode: int = 0o755) -> Path:
        folder = tmp_path / "kiosk"
        shutil.copytree(KIOSK, folder)
        (folder / "runbooks").mkdir()
        (folder / "runbooks" / "restore").write_text(script, encoding="utf-8")
        (folder / "runbooks" / "restore").chmod(mode)
        (folder / "runbook.yaml").write_text(SCENARIO, encoding="utf-8")
        return folder / "runbook.yaml"

    return write


def played(file: Path, stage: Place) -> Drilled:
    drilled = drill(load_scenario(file), stage)
    assert drilled.fault is None
    return drilled


def values(record: RunRecord) -> dict[str, str]:
    return {verdict.objective: verdict.value for verdict in record.verdicts}


@pytest.mark.drill
def test_a_script_that_restores_is_timed_by_its_steps_and_its_secrets_are_not_kept(
    written: Callable[[str], Path], stage: Place
) -> None:
    stray = "subprocess.Popen(['sleep', '4711'])\n"
    drilled = played(written(FETCH + stray), stage)
    assert values(drilled.record) == {
        "backup-survival": "held",
        "rpo": "breached",
        "rto": "held",
        "containment": "held",
    }
    recovered = drilled.record.history.last(Recovered)
    assert recovered is not None
    assert recovered.body.point_id is None
    assert [*recovered.body.parts] == ["provision", "restore", "fetch", "load", "verify", "reconnect"]
    assert recovered.body.parts["load"] > 0
    figures = {figure.name for verdict in drilled.record.verdicts for figure in verdict.figures}
    assert {"fetch", "load"} <= figures
    ended = drilled.record.history.last(RunbookPlayed)
    assert ended is not None
    said = (drilled.folder / ended.body.log).read_text(encoding="utf-8")
    assert "the key is [secret of" in said
    assert ["sleep", "4711"] not in [_command(process) for process in psutil.process_iter()]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.drill
@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "#!/bin/sh\necho no bucket >&2\nexit 3\n",
            "restore ended with exit code 3: no bucket (see logs/runbook.log)",
        ),
        ("#!/bin/sh\nsleep 4712\n", "restore was not done after 1 s"),
        ("#!/bin/sh\nrm -f *\necho all done\n", "the runbook ended well, and the service is not back"),
        (
            '#!/bin/sh -e\npsql -qc "CREATE TABLE orders (idd int)"\n',
            "the runbook ended well, and the service is not back: ",
        ),
    ],
)
def test_a_script_that_does_not_bring_the_service_back_breaches(
    written: Callable[[str], Path], stage: Place, script: str, why: str
) -> None:
    file = written(script)
    file.write_text(SCENARIO.replace("20s", "1s"), encoding="utf-8")
    record = played(file, stage).record
    assert values(record) == {
        "backup-survival": "held",
        "rpo": "breached",
        "rto": "breached",
        "containment": "held",
    }
    (rto,) = (verdict for verdict in record.verdicts if verdict.objective == "rto")
    assert why in rto.summary
    assert ["sleep", "4712"] not in [_command(process) for process in psutil.process_iter()]


@pytest.mark.drill
def test_a_script_that_brings_back_no_row_is_quick_and_breaches(
    written: Callable[[str], Path], stage: Place
) -> None:
    create = "CREATE TABLE orders (id uuid PRIMARY KEY, amount numeric, placed_at timestamptz)"
    script = f"""#!/bin/sh -e
psql -qc "SET ROLE data_owner; {create}"
echo "::step:: verify"
"""
    record = played(written(script), stage).record
    (rto,) = (verdict for verdict in record.verdicts if verdict.objective == "rto")
    assert rto.value == "breached"
    assert "not one row is as it was acknowledged" in rto.summary
    recovered = record.history.last(Recovered)
    assert recovered is not None
    assert [*recovered.body.parts] == ["provision", "restore", "own-verify", "verify", "reconnect"]


@pytest.mark.drill
def test_a_script_that_brings_back_too_little_is_found_out(
    written: Callable[[str], Path], stage: Place
) -> None:
    half = """subprocess.run(["psql", "-qc", "DELETE FROM orders WHERE amount > 20"], check=True)\n"""
    record = played(written(FETCH + half), stage).record
    (rpo,) = (verdict for verdict in record.verdicts if verdict.objective == "rpo")
    (missing,) = (figure.value for figure in rpo.figures if figure.name == "missing")
    assert rpo.value == "breached"
    assert missing > 150


def test_a_script_that_cannot_be_run_is_told_at_once(written: Callable[[str], Path]) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(written("#!/bin/sh\n", 0o644))
    (problem,) = caught.value.problems
    assert "cannot be run" in problem.message
    assert "chmod +x" in problem.hint


def test_a_script_that_nothing_runs_is_told_at_once(written: Callable[[str], Path]) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(written("#!/bin/bsh -e\n"))
    (problem,) = caught.value.problems
    assert "is run by /bin/bsh, which is not there" in problem.message
