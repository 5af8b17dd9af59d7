"""A drill of backups that scripts of the team's own take, list and restore."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.journal.events import RestoreTried
from harness.journal.record import RunRecord
from harness.run.drill import drill
from harness.run.place import Place
from harness.scenario.load import load_scenario
from tests.backups.test_command import BACKUP, LIST, RESTORE

from .stage import KIOSK

pytestmark = pytest.mark.drill

PROTECTION = """
guards:
  own-scripts:
    why: The team has scripts for it.
    patch:
      protections:
        dumps:
          tool: command
          keep: 2
          backup: bin/backup
          list: bin/list
          restore: bin/restore
"""


def played(folder: Path, stage: Place, **scripts: str) -> tuple[RunRecord, Path]:
    """Drill the kiosk with scripts in place of its dumps."""
    shutil.copytree(KIOSK, folder)
    (folder / "bin").mkdir()
    for name, script in {"backup": BACKUP, "list": LIST, "restore": RESTORE, **scripts}.items():
        (folder / "bin" / name).write_text(script.replace("PLAIN_", "VAULT_"), encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    stack = (folder / "stack.yaml").read_text(encoding="utf-8")
    (folder / "stack.yaml").write_text(stack.replace("\nguards:\n", PROTECTION), encoding="utf-8")
    drilled = drill(load_scenario(folder / "deleted-orders.yaml", guards=("own-scripts",)), stage)
    assert drilled.fault is None
    return drilled.record, drilled.folder


def values(record: RunRecord) -> dict[str, str]:
    return {verdict.objective: verdict.value for verdict in record.verdicts}


def test_copies_of_scripts_are_restored_proved_and_compared(tmp_path: Path, stage: Place) -> None:
    record, folder = played(tmp_path / "kiosk", stage)
    assert values(record)["backup-survival"] == "held"
    assert values(record)["rto"] == "held"
    (survival,) = (verdict for verdict in record.verdicts if verdict.objective == "backup-survival")
    counts = {figure.name: figure.value for figure in survival.figures}
    assert (counts["existed"], counts["surviving"], counts["sufficient"]) == (2, 2, 1)
    log = folder / "logs" / "kiosk" / "dumps" / "restore.log"
    assert log.read_text(encoding="utf-8").count("::step:: load") == 2


def test_a_restore_script_that_prints_its_key_and_fails_leaves_no_key(tmp_path: Path, stage: Place) -> None:
    leak = '#!/bin/sh\necho "refused: $VAULT_SECRET_KEY"\nexit 1\n'
    record, folder = played(tmp_path / "kiosk", stage, restore=leak)
    tried = [entry.body.detail for entry in record.history.of(RestoreTried)]
    assert tried
    assert all("refused: [secret of" in detail for detail in tried)
    assert "[secret of" in (folder / "logs" / "kiosk" / "dumps" / "restore.log").read_text(encoding="utf-8")


def test_a_restore_script_that_leaves_rows_out_makes_no_copy(tmp_path: Path, stage: Place) -> None:
    half = 'subprocess.run(["psql", "-qc", "DELETE FROM orders WHERE amount > 60"], check=True)\n'
    record, _ = played(tmp_path / "kiosk", stage, restore=RESTORE + half)
    assert values(record)["backup-survival"] == "breached"
    assert values(record)["rto"] == "breached"
