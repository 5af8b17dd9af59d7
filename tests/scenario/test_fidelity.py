"""A stack against what was exported from production."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from harness.errors import ScenarioError
from harness.scenario.fidelity import compare
from harness.scenario.load import load_scenario, restore_scenario
from harness.scenario.models import Fidelity
from harness.scenario.problems import BUILT_IN

POCKETOS = Path(__file__).parents[2] / "scenarios" / "pocketos"
TOKEN = "principals.domains-cli.grants.railway.token"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the PocketOS scenarios."""
    return Path(shutil.copytree(POCKETOS, tmp_path / "pocketos"))


def against(
    folder: Path, settings: object, scenario: str = "locked-copy.yaml", **exports: object
) -> Fidelity:
    """The stack of a scenario against a file of production with those settings, and exports beside it."""
    for name, content in exports.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    production = folder / "production.yaml"
    production.write_text(yaml.safe_dump({"taken": "2026-11-20", "settings": settings}))
    return compare(load_scenario(folder / scenario).stack, production, BUILT_IN)


def fates(fidelity: Fidelity) -> dict[str, str]:
    return {each.name: each.fate for each in fidelity.settings if each.fate != "not supplied"}


def problem(folder: Path, settings: object, **exports: object) -> str:
    with pytest.raises(ScenarioError) as caught:
        against(folder, settings, **exports)
    (one,) = caught.value.problems
    assert one.file.endswith("production.yaml")
    return f"{one.line} {one.key} {one.message}; {one.hint}"


def test_two_ways_to_say_the_same_are_the_same(folder: Path) -> None:
    lock = {"Mode": "COMPLIANCE", "Hours": 360}
    settings = {
        "protections.offsite.lock.mode": {"file": "lock.json", "at": "$.Mode"},
        "protections.offsite.lock.for": {"file": "lock.json", "at": "$.Hours", "unit": "h"},
        "protections.old-dump.every": {"value": "2160h"},
        "protections.volume-backups.schedule": {"value": ["daily", "weekly", "monthly"]},
        TOKEN: {"value": "account"},
    }
    assert set(fates(against(folder, settings, lock=lock)).values()) == {"same"}


def test_another_value_differs_and_is_shown_with_its_source(folder: Path) -> None:
    grants = [{"who": "ci", "token": "project"}, {"who": "domains", "token": "workspace"}]
    at = "$[?who=domains].token"
    (told, *_) = against(folder, {TOKEN: {"file": "tokens.json", "at": at}}, tokens=grants).settings
    assert (told.name, told.fate, told.here, told.there) == (TOKEN, "different", '"account"', '"workspace"')
    assert told.source == f"tokens.json {at}"


def test_one_element_more_in_a_list_differs(folder: Path) -> None:
    settings = {"protections.volume-backups.schedule": {"value": ["daily", "weekly"]}}
    assert set(fates(against(folder, settings)).values()) == {"different"}


def test_where_an_export_has_nothing_a_default_is_meant(folder: Path) -> None:
    settings = {
        "protections.offsite.lock": {"file": "bucket.json", "at": "$.Lock"},
        "services.vault.versioning": {"file": "bucket.json", "at": "$.Versioning"},
    }
    assert fates(against(folder, settings, bucket={})) == {
        "protections.offsite.lock": "different",
        "services.vault.versioning": "same",
    }


def test_what_is_stated_has_no_source_and_an_export_has_its_digest(folder: Path) -> None:
    settings = {TOKEN: {"value": "account"}, "protections.old-dump.keep": {"file": "a.json", "at": "$.n"}}
    fidelity = against(folder, settings, a='{"n": 1}')
    assert [each.source for each in fidelity.settings[:2]] == [None, "a.json $.n"]
    assert set(fates(fidelity).values()) == {"same"}
    assert fidelity.exports == {"a.json": hashlib.sha256(b'{"n": 1}').hexdigest()}


def test_what_the_stack_says_and_nobody_supplied_is_listed(folder: Path) -> None:
    fidelity = against(folder, {"protections.offsite.lock": {"value": {"mode": "compliance", "for": "15d"}}})
    missing = {each.name for each in fidelity.of("not supplied")}
    assert {"services.railway.profile", TOKEN, "protections.old-dump.keep"} <= missing
    assert not any(name.startswith("protections.offsite.lock") for name in missing)
    assert not any("schema" in name or "workspace" in name for name in missing)


def test_the_guards_that_are_on_are_part_of_the_stack(folder: Path) -> None:
    settings = {"services.railway.profile": {"value": "current"}}
    assert set(fates(against(folder, settings, "soft-delete.yaml")).values()) == {"same"}
    assert set(fates(against(folder, settings, "as-it-happened.yaml")).values()) == {"different"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"protections.old-dmp.every": {"value": "1d"}}, "the stack has no setting"),
        ({"protections.old-dump.every": {}}, "says no value"),
        ({"protections.old-dump.every": {"file": "a.json", "at": "$", "value": 1}}, "says it twice"),
        ({"protections.old-dump.every": {"file": "a.json"}}, "does not say where in a.json"),
        ({"protections.old-dump.every": {"file": "a.json", "at": "every"}}, "does not begin with $"),
        ({"protections.old-dump.every": {"file": "b.json", "at": "$"}}, "there is no b.json"),
        ({"protections.old-dump.every": {"file": "a.json", "at": "$", "units": "d"}}, "did you mean 'unit'"),
    ],
)
def test_a_mistake_is_told_with_its_place(folder: Path, settings: object, said: str) -> None:
    assert said in problem(folder, settings, a="1")


def test_an_export_that_is_no_json_and_no_yaml_is_told(folder: Path) -> None:
    settings = {"protections.old-dump.every": {"file": "a.json", "at": "$"}}
    assert "a.json:1:" in problem(folder, settings, a='{"every": ')


def test_it_stands_with_the_run_and_changes_neither_digest_nor_verdict(folder: Path) -> None:
    before = load_scenario(folder / "locked-copy.yaml")
    against(folder, {TOKEN: {"value": "project"}})
    stack = folder / "stack.yaml"
    stack.write_text(stack.read_text() + "production: production.yaml\n")
    after = load_scenario(folder / "locked-copy.yaml")
    assert before.fidelity is None
    assert after.fidelity is not None
    assert fates(after.fidelity) == {TOKEN: "different"}
    assert after.digest == before.digest
    assert restore_scenario(after.model_dump_json(by_alias=True)).fidelity == after.fidelity


def test_a_file_that_is_not_there_is_told_at_the_stacks_line(folder: Path) -> None:
    stack = folder / "stack.yaml"
    stack.write_text(stack.read_text() + "production: producton.yaml\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(folder / "locked-copy.yaml")
    (one,) = caught.value.problems
    assert one.file.endswith("stack.yaml")
    assert one.key == "production"
