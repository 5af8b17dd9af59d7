"""Drills in containers come to the verdicts that their scenarios expect, and leave nothing on the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.journal.events import Provisioned, RunStarted
from harness.run.drill import drill
from harness.run.loading import load
from harness.run.place import usual_place
from harness.seams.container_engine import objects_of
from tests.conftest import CACHE

pytestmark = [pytest.mark.drill, pytest.mark.docker]
POCKETOS = Path(__file__).parents[2] / "scenarios" / "pocketos"


@pytest.mark.parametrize("scenario", ["as-it-happened", "locked-copy", "soft-delete"])
def test_pocketos_comes_out_as_it_does_without_containers(scenario: str, tmp_path: Path) -> None:
    """Between them: a restored dump, a base backup with WAL, and an undone deletion."""
    drilled = drill(
        load(POCKETOS / f"{scenario}.yaml"), usual_place(tmp_path, cache=CACHE), provider="docker"
    )
    assert drilled.fault is None
    assert drilled.record.surprises == ()
    history = drilled.record.history
    (started,) = history.of(RunStarted)
    assert started.body.provider == "docker"
    kinds = {entry.body.service: entry.body.kind for entry in history.of(Provisioned)}
    assert kinds["bookings"] == kinds["bookings-staging"] == "docker-postgres"
    assert kinds["vault"] == kinds["payments"] == "docker-s3"
    assert "provider docker" in (drilled.folder / "index.html").read_text()
    assert objects_of(drilled.folder.name) == ()
