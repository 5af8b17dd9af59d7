"""What a stack has to say of a service that nobody here knows, before a drill can be about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.errors import ScenarioError
from harness.scenario.load import load_scenario
from harness.scenario.models import LoadedScenario

PARCELS = {
    "kind": "container",
    "image": "acme/parcels:3",
    "ports": [8080],
    "collections": ["parcels"],
    "items": ["list"],
    "put": ["put"],
}
SCENARIO = {
    "id": "parcels/pruned",
    "title": "A build agent makes room",
    "stack": "stack.yaml",
    "history": {"service": "parcels", "span": "3d", "rows": 60},
    "workload": {"locustfile": "workload.py", "service": "parcels"},
    "agent": {"kind": "idle"},
    "recover": {"service": "parcels"},
    "objectives": {"rpo": "1h"},
}


def load(folder: Path, scenario: dict[str, Any] | None = None, **service: Any) -> LoadedScenario:
    """Load a scenario about a service with parts of both changed; None takes a part away."""
    stack = {"services": {"parcels": _changed(PARCELS, service)}}
    (folder / "stack.yaml").write_text(yaml.safe_dump(stack))
    (folder / "pruned.yaml").write_text(yaml.safe_dump(_changed(SCENARIO, scenario or {})))
    (folder / "workload.py").write_text("from harness.workload import LedgerUser\n")
    (folder / "restore.sh").write_text("#!/bin/sh\n")
    (folder / "restore.sh").chmod(0o755)
    return load_scenario(folder / "pruned.yaml")


def _changed(whole: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("service", "scenario"),
    [
        ({}, {}),
        ({"put": None, "seed": ["fill"]}, {"history": None}),
        ({}, {"recover": {"service": "parcels", "strategy": "runbook", "run": "restore.sh"}}),
    ],
    ids=["with a past", "with a seed", "with a runbook"],
)
def test_a_drill_can_be_about_it(tmp_path: Path, service: dict[str, Any], scenario: dict[str, Any]) -> None:
    assert load(tmp_path, scenario, **service).scenario.recover.service == "parcels"


@pytest.mark.parametrize(
    ("service", "scenario", "key", "told"),
    [
        ({"items": None}, {}, "services.parcels.items", "missing: it tells what is in its collections"),
        ({"ports": None}, {}, "services.parcels.ports", "missing: it is how its clients find it"),
        ({"delete": ["rm"]}, {}, "services.parcels.get", "missing: what is deleted is looked at first"),
        ({"collections": None}, {}, "recover.service", "'parcels' has no collections"),
        ({"put": None}, {}, "history.rows", "'parcels' has no `put`"),
        ({"put": None}, {"history": None}, "history", "missing: 'parcels' begins empty"),
        ({}, {"objectives": {"rpo": "1h", "invariants": {"a": "SELECT 1"}}}, "objectives.invariants", "SQL"),
    ],
)
def test_what_is_missing_is_told_with_its_place(
    tmp_path: Path, service: dict[str, Any], scenario: dict[str, Any], key: str, told: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, scenario, **service)
    (found,) = [problem for problem in caught.value.problems if problem.key == key]
    assert told in found.message
    assert found.hint
