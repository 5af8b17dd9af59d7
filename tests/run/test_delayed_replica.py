"""Drills of a standby that stays behind: it saves what somebody misses in time, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from harness.journal.events import RestoreTried
from harness.run.drill import Drilled, drill
from harness.run.place import Place
from harness.scenario.load import load_scenario

from .stage import KIOSK

pytestmark = pytest.mark.drill

SCENARIO = """\
like: unprotected.yaml
id: kiosk/behind
title: A clerk drops the table of orders, and a standby is an hour behind
recover: {service: kiosk, assume: {detect: %s}}
objectives: {backup-survival: {copies: 1}, rpo: 5s, rto: 3h}
expect: {rpo: null, rto: null}
"""
PROTECTION = "protections:\n  behind: {tool: delayed-replica, of: kiosk, delay: 1h}\n\nguards:"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(detect: str) -> Path:
        folder = tmp_path / "kiosk"
        copytree(KIOSK, folder, ignore=ignore_patterns("__pycache__"))
        stack = (folder / "bare.yaml").read_text(encoding="utf-8")
        text = stack.replace("guards:", PROTECTION).replace("rto: 5m", "rto: 9h")
        (folder / "bare.yaml").write_text(text, encoding="utf-8")
        (folder / "behind.yaml").write_text(SCENARIO % detect, encoding="utf-8")
        return folder / "behind.yaml"

    return write


def verdicts(drilled: Drilled) -> dict[str, str]:
    return {verdict.objective: verdict.value for verdict in drilled.record.verdicts}


def test_a_harm_that_is_noticed_in_time_costs_nothing(stage: Place, written: Callable[[str], Path]) -> None:
    drilled = drill(load_scenario(written("10m")), stage)
    assert drilled.fault is None
    found = verdicts(drilled)
    assert (found["backup-survival"], found["rpo"], found["rto"]) == ("held", "held", "held")
    (rpo,) = (verdict for verdict in drilled.record.verdicts if verdict.objective == "rpo")
    lost = rpo.figure("lost")
    assert lost is not None
    assert lost.value == 0
    (tried,) = drilled.record.history.of(RestoreTried)
    assert set(tried.body.parts) >= {"provision", "restore", "replay", "verify"}


def test_a_harm_that_is_noticed_too_late_is_in_the_standby_too(
    stage: Place, written: Callable[[str], Path]
) -> None:
    drilled = drill(load_scenario(written("2h")), stage)
    assert drilled.fault is None
    found = verdicts(drilled)
    assert (found["backup-survival"], found["rpo"]) == ("breached", "breached")
    tried = drilled.record.history.of(RestoreTried)
    assert tried
    for entry in tried:
        assert not entry.body.ok
        assert "the harm is in the standby too" in entry.body.detail
