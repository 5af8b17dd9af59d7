"""The claims as text, Markdown and JSON."""

from __future__ import annotations

import json

from harness.controls.catalogue import frameworks
from harness.journal.claims import claims
from harness.journal.record import RunRecord
from harness.render.controls import claims_json, claims_markdown, claims_text

DORA = (frameworks()["dora"],)


def test_the_text_has_each_control_what_it_rests_on_and_what_no_replica_shows(pocketos: RunRecord) -> None:
    text = "\n".join(claims_text(claims([pocketos], DORA), DORA))
    assert "contradicts  12(6): Objectives for recovery time and point are set" in text
    assert "1 of 2 checks passed, 1 failed; seen O3 O4" in text
    assert "not tested   25:" in text
    assert "never shown  26: It asks for tests on live production systems" in text


def test_no_form_says_that_anybody_complies(pocketos: RunRecord) -> None:
    every = tuple(frameworks().values())
    said = claims([pocketos], every)
    forms = ("\n".join(claims_text(said, every)), "\n".join(claims_markdown(said, every)), claims_json(said))
    assert [form.lower().count("compliant") for form in forms] == [0, 0, 0]


def test_the_tables_have_as_many_cells_as_columns(pocketos: RunRecord) -> None:
    every = tuple(frameworks().values())
    lines = "\n".join(claims_markdown(claims([pocketos], every), every)).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) > sum(len(framework.controls) for framework in every)
    assert {line.replace("\\|", "").count("|") for line in tables} == {12}


def test_the_json_is_the_claims(pocketos: RunRecord) -> None:
    said = claims([pocketos], DORA)
    assert json.loads(claims_json(said)) == [one.model_dump(mode="json") for one in said]
