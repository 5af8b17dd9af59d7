"""verdicts.json: what machines read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.archive.kept import read_run
from harness.journal.claims import claims, claims_of
from harness.journal.history import EPOCH, SCENARIO_FILE
from harness.journal.record import RunRecord
from harness.journal.roll import FIRST_PREV, Enrolled
from harness.render.json import JsonReporter, read_verdicts, verdicts_file


def test_it_reads_back_as_it_was(pocketos: RunRecord, tmp_path: Path) -> None:
    assert read_verdicts(JsonReporter().render(pocketos, tmp_path)) == verdicts_file(pocketos)


def test_it_holds_every_verdict_with_figures_and_evidence(pocketos: RunRecord, tmp_path: Path) -> None:
    data = json.loads(JsonReporter().render(pocketos, tmp_path).read_text(encoding="utf-8"))
    assert data["schema"] == 1
    assert (data["value"], data["as_expected"]) == ("breached", True)
    assert [entry["objective"] for entry in data["verdicts"]] == [v.objective for v in pocketos.verdicts]
    for entry, verdict in zip(data["verdicts"], pocketos.verdicts, strict=True):
        assert entry["evidence"] == list(verdict.evidence)
        assert [(f["name"], f["value"]) for f in entry["figures"]] == [
            (f.name, f.value) for f in verdict.figures
        ]
    assert [phase["phase"] for phase in data["phases"]][:3] == ["provision", "backfill", "steady-state"]
    assert data["phases"][3] == {"phase": "act", "seconds": 9.2, "ok": True}


def test_it_is_strict_json_for_every_odd_run_and_reads_back(odd_run: RunRecord, tmp_path: Path) -> None:
    path = JsonReporter().render(odd_run, tmp_path)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert read_verdicts(path) == verdicts_file(odd_run)


def test_the_history_says_of_controls_what_the_run_itself_says(odd_run: RunRecord, tmp_path: Path) -> None:
    JsonReporter().render(odd_run, tmp_path)
    (tmp_path / SCENARIO_FILE).write_text(odd_run.scenario.model_dump_json(by_alias=True), encoding="utf-8")
    line = Enrolled(
        roll="aa",
        number=1,
        run_id=odd_run.run_id,
        scenario=odd_run.scenario.id,
        at=EPOCH.wall,
        prev=FIRST_PREV,
    )
    assert claims_of([read_run(tmp_path, line).witnessed]) == claims([odd_run])


def test_hypothetical_guards_are_named(odd_run: RunRecord) -> None:
    named = {guard.name for guard in verdicts_file(odd_run).hypothetical_guards}
    assert named == set(odd_run.scenario.scenario.guards) & {"scoped-token"}


def test_an_unknown_schema_version_is_refused(pocketos: RunRecord, tmp_path: Path) -> None:
    path = JsonReporter().render(pocketos, tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"schema": 1', '"schema": 2'), encoding="utf-8")
    with pytest.raises(ValidationError):
        read_verdicts(path)
