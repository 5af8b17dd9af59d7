"""Formats that a run can be told in: the same bytes each time, and each what its readers take it for."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from odd_runs import ODD_RUNS
from prometheus_client.parser import text_string_to_metric_families

from harness.journal.record import RunRecord
from harness.render.csv import CsvReporter
from harness.render.ctrf import CtrfReporter
from harness.render.markdown import MarkdownReporter
from harness.render.prometheus import PrometheusReporter
from harness.seams.drivers import Reporter
from harness.seams.lookup import lookup

FORMATS = ("markdown", "ctrf", "csv", "prometheus", "sarif", "oscal")
SCHEMA = json.loads((Path(__file__).parent / "ctrf.schema.json").read_text())
"""The issuer's own, from the npm package ctrf 0.3.0 (MIT)."""

JOB_SUMMARY_LIMIT = 1024 * 1024
"""Bytes that GitHub takes for one step."""


def written(name: str, record: RunRecord, out: Path) -> str:
    reporter: Reporter = lookup("reporters", name)()
    return reporter.render(record, out).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_record_gives_the_same_file_byte_for_byte(
    name: str, pocketos: RunRecord, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    assert written(name, pocketos, first) == written(name, pocketos, second)


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_that_did_not_go_as_runs_should_is_written_too(
    name: str, odd_run: RunRecord, tmp_path: Path
) -> None:
    assert written(name, odd_run, tmp_path)


# --- summary.md -----------------------------------------------------------------------------------------


def test_the_summary_begins_with_the_verdict(pocketos: RunRecord, tmp_path: Path) -> None:
    text = MarkdownReporter().render(pocketos, tmp_path).read_text()
    assert text.startswith("## ❌ Breached, as the scenario expects\n")
    assert "| rpo | ❌ breached | breached |" in text
    assert "| rto | ✅ held | held |" in text


def test_nothing_in_hostile_text_is_markdown_or_html(hostile: RunRecord, tmp_path: Path) -> None:
    text = MarkdownReporter().render(hostile, tmp_path).read_text()
    body = text.replace("**", "").replace("\\\\", "")
    for active in ("<", "`", "[", "](", "!", "@"):
        tail = body.split("Run `")[0]
        assert tail.count(active) == tail.count(f"\\{active}"), active
    assert len(text.encode()) < JOB_SUMMARY_LIMIT


def test_every_row_of_a_table_has_the_cells_of_its_head(hostile: RunRecord, tmp_path: Path) -> None:
    lines = MarkdownReporter().render(hostile, tmp_path).read_text().splitlines()
    rows = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines if line.startswith("|")]
    assert set(rows) == {4, 5}


# --- ctrf.json ------------------------------------------------------------------------------------------


def test_ctrf_is_valid_against_the_issuers_schema(odd_run: RunRecord, tmp_path: Path) -> None:
    document = json.loads(written("ctrf", odd_run, tmp_path))
    assert [str(error) for error in jsonschema_rs.iter_errors(SCHEMA, document)] == []


def test_the_schema_refuses_what_is_not_ctrf(pocketos: RunRecord, tmp_path: Path) -> None:
    document = json.loads(written("ctrf", pocketos, tmp_path))
    document["results"]["tests"][0]["status"] = "undecided"
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(SCHEMA, document)


def statuses(record: RunRecord, out: Path) -> dict[str, Any]:
    document = json.loads(CtrfReporter().render(record, out).read_text())
    summary = document["results"]["summary"]
    tests = document["results"]["tests"]
    assert summary["tests"] == len(tests) == sum(summary[name] for name in ("passed", "failed", "other"))
    return {test["name"]: test["status"] for test in tests}


def test_what_the_scenario_expects_passes_and_a_surprise_fails(pocketos: RunRecord, tmp_path: Path) -> None:
    assert set(statuses(pocketos, tmp_path).values()) == {"passed"}
    surprised = ODD_RUNS["no recovery"](tmp_path / "run")
    assert statuses(surprised, tmp_path)["rto"] == "failed"


def test_undecided_is_neither_passed_nor_failed(tmp_path: Path) -> None:
    record = ODD_RUNS["changed ledger"](tmp_path / "run")
    assert set(statuses(record, tmp_path).values()) == {"other"}


# --- figures.csv ----------------------------------------------------------------------------------------


def test_the_figures_of_each_verdict_stand_in_rows(pocketos: RunRecord, tmp_path: Path) -> None:
    with CsvReporter().render(pocketos, tmp_path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = {
        (verdict.objective, figure.name): figure.value
        for verdict in pocketos.verdicts
        for figure in verdict.figures
    }
    found = {(row["objective"], row["figure"]): float(row["value"]) for row in rows if row["figure"]}
    assert found == expected
    assert {row["run"] for row in rows} == {pocketos.run_id}
    assert {row["objective"] for row in rows} == {verdict.objective for verdict in pocketos.verdicts}


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_is_a_formula(formula: str, pocketos: RunRecord, tmp_path: Path) -> None:
    verdict = pocketos.verdicts[0].model_copy(update={"objective": formula})
    record = RunRecord(pocketos.run_id, pocketos.scenario, pocketos.history, (verdict,))
    with CsvReporter().render(record, tmp_path).open(newline="") as file:
        objectives = {row["objective"] for row in csv.DictReader(file)}
    assert objectives == {f"'{formula}"}


# --- Prometheus -----------------------------------------------------------------------------------------


def samples(record: RunRecord, out: Path) -> dict[tuple[str, str, str], float]:
    text = PrometheusReporter().render(record, out).read_text()
    return {
        (sample.name, sample.labels.get("objective", ""), sample.labels.get("figure", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_verdicts_figures_and_when(pocketos: RunRecord, tmp_path: Path) -> None:
    read = samples(pocketos, tmp_path)
    assert read["ninelives_verdict", "rpo", ""] == 2
    assert read["ninelives_verdict", "rto", ""] == 0
    assert read["ninelives_as_expected", "", ""] == 1
    rto = next(verdict for verdict in pocketos.verdicts if verdict.objective == "rto").figure("rto")
    assert rto is not None
    assert read["ninelives_figure", "rto", "rto"] == rto.value
    started = pocketos.history.entries[0].at.wall.timestamp()
    assert read["ninelives_run_timestamp_seconds", "", ""] == started


def test_no_label_is_a_run_and_each_scenario_has_a_file(pocketos: RunRecord, tmp_path: Path) -> None:
    path = PrometheusReporter().render(pocketos, tmp_path)
    assert path.name == "ninelives-pocketos-as-it-happened.prom"
    assert pocketos.run_id not in path.read_text()


def test_hostile_names_stay_labels(hostile: RunRecord, tmp_path: Path) -> None:
    text = written("prometheus", hostile, tmp_path)
    names = {family.name for family in text_string_to_metric_families(text)}
    assert all(name.startswith("ninelives_") for name in names)
