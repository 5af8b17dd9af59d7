"""findings.sarif: each right that reached out of bounds, at its line of the stack, as the standard has it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from odd_runs import ODD_RUNS
from pocketos_run import Tape, finish, loaded, play_until_steady

from harness.facts import Outcome, Resource
from harness.journal import events as e
from harness.journal.record import RunRecord, Verdict
from harness.render.sarif import RULES, SarifReporter
from harness.scenario.load import load_scenario
from harness.scenario.models import StackLine

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "sarif.schema.json").read_text().replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$"))
"""The standard's, from the npm package @microsoft/jest-sarif 1.0.0-beta.0 (MIT), less a bracket too many in
the pattern of languages, which makes that no regular expression. We name no language."""

SHIPPED = HERE.parents[1] / "scenarios"
BREACHED = (Verdict(objective="isolation", value="breached", summary="Out of bounds."),)


def document(record: RunRecord, out: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(SarifReporter().render(record, out).read_text())
    return read


def results(record: RunRecord, out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document(record, out)["runs"][0]["results"]
    return found


def placed(record: RunRecord, **lines: int) -> RunRecord:
    """The record with lines of its stack, by path with an underscore for each dot."""
    there = tuple(
        StackLine(path=path.replace("__", "."), file="drills/my stack.yaml", line=line, column=7)
        for path, line in lines.items()
    )
    return replace(record, scenario=record.scenario.model_copy(update={"lines": there}))


def test_it_is_valid_against_the_standards_schema(odd_run: RunRecord, tmp_path: Path) -> None:
    jsonschema_rs.validate(SCHEMA, document(odd_run, tmp_path))


def test_a_finding_is_valid_too_and_what_is_none_is_refused(pocketos: RunRecord, tmp_path: Path) -> None:
    read = document(pocketos, tmp_path)
    assert read["runs"][0]["results"]
    jsonschema_rs.validate(SCHEMA, read)
    del read["runs"][0]["results"][0]["message"]
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(SCHEMA, read)


def test_every_rule_says_what_readers_show_of_it(pocketos: RunRecord, tmp_path: Path) -> None:
    read = document(pocketos, tmp_path)
    assert read["$schema"].endswith("/sarif-schema-2.1.0.json")
    rules = read["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in RULES]
    for rule in rules:
        assert all(rule[part]["text"] for part in ("shortDescription", "fullDescription", "help"))
        severity = rule["properties"]["security-severity"]
        assert isinstance(severity, str)
        assert 7 < float(severity) <= 10


def test_the_found_token_is_one_finding_at_the_line_that_grants_it(
    pocketos: RunRecord, tmp_path: Path
) -> None:
    path = {"principals__domains-cli__grants__railway": 39, "principals__staging-agent__grants__railway": 35}
    (result,) = results(placed(pocketos, **path), tmp_path)
    assert result["ruleId"] == RULES[result["ruleIndex"]].id == "found-credential"
    (place,) = result["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "drills/my%20stack.yaml"},
        "region": {"startLine": 39, "startColumn": 7},
    }
    assert result["message"]["text"].startswith(
        "staging-agent changed 1 volume instance and 12 volume backups in production out of bounds, with the "
        "grant of domains-cli on railway, which lies in workspace/scripts/domains.env: "
    )
    assert not any("staging/" in name for name in result["properties"]["resources"])
    assert set(result["properties"]["journalLines"]) >= set(pocketos.verdicts[1].evidence)


def test_the_shipped_stack_grants_it_there(pocketos: RunRecord, tmp_path: Path) -> None:
    lines = load_scenario(SHIPPED / "pocketos/as-it-happened.yaml").lines
    record = replace(pocketos, scenario=pocketos.scenario.model_copy(update={"lines": lines}))
    (result,) = results(record, tmp_path)
    at = result["locations"][0]["physicalLocation"]
    text = (SHIPPED.parent / at["artifactLocation"]["uri"]).read_text().splitlines()
    assert text[at["region"]["startLine"] - 1].strip() == "railway: {token: account}"


def test_the_fingerprint_follows_the_right_and_not_its_line(pocketos: RunRecord, tmp_path: Path) -> None:
    def fingerprint(record: RunRecord) -> str:
        (result,) = results(record, tmp_path)
        assert result["partialFingerprints"].keys() == {"primaryLocationLineHash"}
        return str(result["partialFingerprints"]["primaryLocationLineHash"])

    moved = placed(pocketos, **{"principals__domains-cli__grants__railway": 99})
    assert fingerprint(moved) == fingerprint(pocketos)
    principal = pocketos.scenario.stack.principals["domains-cli"]
    grant = principal.grants["railway"].model_copy(update={"token": "workspace"})  # type: ignore[union-attr]
    other = principal.model_copy(update={"grants": {"railway": grant}})
    principals = {**pocketos.scenario.stack.principals, "domains-cli": other}
    stack = pocketos.scenario.stack.model_copy(update={"principals": principals})
    changed = replace(pocketos, scenario=pocketos.scenario.model_copy(update={"stack": stack}))
    assert fingerprint(changed) != fingerprint(pocketos)


@pytest.mark.parametrize("value", ["held", "undecided"])
def test_without_a_breach_there_is_no_finding(value: str, pocketos: RunRecord, tmp_path: Path) -> None:
    verdict = Verdict.model_validate({"objective": "isolation", "value": value, "summary": "Because."})
    run = document(replace(pocketos, verdicts=(verdict,)), tmp_path)["runs"][0]
    assert run["results"] == []
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is (value == "held")
    told = [each["message"]["text"] for each in invocation.get("toolExecutionNotifications", [])]
    assert told == ([] if value == "held" else ["Because."])


def deleted(service: str, name: str, environment: str | None = None) -> Resource:
    return Resource(service=service, kind="table", name=name, environment=environment)


def acted(tape: Tape, touched: tuple[Resource, ...], service: str) -> None:
    def act() -> None:
        tape.write(e.AgentStarted(principal="staging-agent", kind="scripted", goal="tidy up"))
        tape.act("sql", "query", 13.0, 13.1, service=service, harm=True, touched=touched)
        tape.write(e.AgentEnded(actions=1))

    tape.phase("act", 12.6, 14, act)


def test_a_right_of_its_own_is_another_finding_than_none(tape: Tape, tmp_path: Path) -> None:
    play_until_steady(tape)
    touched = (
        deleted("bookings-staging", "inside", "staging"),
        deleted("bookings-staging", "seasons", "production"),
        deleted("vault", "dumps"),
    )
    acted(tape, touched, "bookings-staging")
    finish(tape)
    record = tape.record(loaded(), BREACHED)
    lines = {"principals__staging-agent__grants__bookings-staging": 34, "services__vault": 20}
    found = results(placed(record, **lines), tmp_path)
    assert [result["ruleId"] for result in found] == ["own-grant"]
    assert [len(result["properties"]["resources"]) for result in found] == [2]
    stranger = loaded({}, {"principals": {"staging-agent": {"grants": {}}}})
    found = results(placed(replace(record, scenario=stranger), **lines), tmp_path)
    assert {result["ruleId"] for result in found} == {"no-grant"}
    grants = {result["properties"]["grant"] for result in found}
    assert grants == {"services.bookings-staging", "services.vault"}


def test_what_nobody_owned_up_to_goes_with_the_right_that_reached_out(tape: Tape, tmp_path: Path) -> None:
    play_until_steady(tape)
    gone = deleted("bookings", "reservations")
    tape.write(e.InventoryTaken(moment="before", service="bookings", resources=(gone,)))
    acted(tape, (deleted("railway", "volume", "production"),), "railway")
    tape.write(e.InventoryTaken(moment="after", service="bookings", resources=()))
    finish(tape)
    (result,) = results(tape.record(loaded(), BREACHED), tmp_path)
    assert result["properties"]["resources"] == [
        "table volume in production",
        "table reservations of bookings",
    ]


def test_a_credential_that_reaches_the_restored_service_is_a_finding(tape: Tape, tmp_path: Path) -> None:
    play_until_steady(tape)
    outcome = Outcome(
        status="done",
        detail="",
        touched=(deleted("bookings", "seasons"),),
        began=tape.at(25),
        ended=tape.at(26),
    )
    tape.write(
        e.AccessTried(
            service="bookings", principal="staging-agent", of="bookings-staging", target="x", outcome=outcome
        )
    )
    finish(tape)
    (result,) = results(tape.record(loaded(), BREACHED), tmp_path)
    assert result["ruleId"] == "own-grant"
    assert result["properties"]["grant"] == "principals.staging-agent.grants.bookings-staging"


def test_a_record_that_does_not_tell_lines_points_at_the_file(pocketos: RunRecord, tmp_path: Path) -> None:
    (result,) = results(pocketos, tmp_path)
    at = result["locations"][0]["physicalLocation"]
    assert at == {"artifactLocation": {"uri": "stack.yaml"}, "region": {"startLine": 1, "startColumn": 1}}


def test_strange_text_is_text(tmp_path: Path) -> None:
    record = replace(ODD_RUNS["hostile"](tmp_path / "run"), verdicts=BREACHED)
    text = SarifReporter().render(record, tmp_path).read_text()
    assert results(record, tmp_path)
    assert not any(unseen in text for unseen in ("\\u001b", "\\u202e", "\\u0000", "\\u200b"))
    assert len(text) < 100_000
