"""A drill that recovers with pgBackRest, to the instant before the harm."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from harness.journal.events import PointTaken, Recovered, RestoreTried
from harness.run.drill import drill
from harness.run.place import Place
from harness.scenario.load import load_scenario

from .stage import KIOSK

pytestmark = [pytest.mark.drill, pytest.mark.pgbackrest]

SCENARIO = """\
like: unprotected.yaml
id: kiosk/backrest
title: A clerk drops the table of orders, and pgBackRest archives the log
objectives: {backup-survival: {copies: 2}, rpo: 1h, rto: 3h}
expect: {rpo: null, rto: null}
"""
PROTECTION = """\
  vault: {kind: s3, bucket: kiosk-vault}

principals:"""
SETTINGS = """\
protections:
  backrest:
    tool: pgbackrest
    of: kiosk
    to: vault
    full_every: 2d
    incremental_every: 1d
    keep: 1
    archive_timeout: 1s
    lock: {mode: compliance, for: 7d}

guards:"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "kiosk"
    copytree(KIOSK, folder, ignore=ignore_patterns("__pycache__"))
    stack = (folder / "bare.yaml").read_text(encoding="utf-8")
    text = stack.replace("\nprincipals:", PROTECTION).replace("guards:", SETTINGS)
    (folder / "bare.yaml").write_text(text.replace("rto: 5m", "rto: 9h"), encoding="utf-8")
    (folder / "backrest.yaml").write_text(SCENARIO, encoding="utf-8")
    return folder / "backrest.yaml"


def test_a_dropped_table_comes_back_and_both_backups_prove_whole(stage: Place, written: Path) -> None:
    drilled = drill(load_scenario(written), stage)
    assert drilled.fault is None
    found = {verdict.objective: verdict.value for verdict in drilled.record.verdicts}
    assert (found["backup-survival"], found["rpo"], found["rto"]) == ("held", "held", "held")
    history = drilled.record.history
    full, partial = (entry.body.point for entry in history.of(PointTaken))
    assert partial.location.startswith(f"{full.location}_")
    recovered = history.last(Recovered)
    assert recovered is not None
    assert recovered.body.point_id == partial.id
    for tried in history.of(RestoreTried):
        assert tried.body.ok, tried.body.detail
        assert set(tried.body.parts) >= {"provision", "restore", "replay", "verify"}
