"""The JSON Schemas: they are valid, fresh, say what they mean, and agree with the loader about structure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.scenario.building import build
from harness.scenario.models import Scenario, Stack
from harness.scenario.patch import merge_patch, vain_removals
from harness.scenario.positions import parse
from harness.scenario.problems import BUILT_IN, Known
from harness.scenario.schema import scenario_schema, stack_schema
from harness.scenario.stack_rules import PATCHABLE

from .mutations import at, misspelt, model_keys, removed, renamed, replaced, spoilt
from .samples import GOOD, HERE, SHIPPED, good_tree

ROOT = HERE.parent.parent
SCHEMAS = {"stack.yaml": stack_schema(), "drill.yaml": scenario_schema()}
MODELS: dict[str, Any] = {"stack.yaml": Stack, "drill.yaml": Scenario}
VALIDATORS = {name: jsonschema_rs.validator_for(schema) for name, schema in SCHEMAS.items()}
TREES = {name: good_tree(name) for name in MODELS}
KINDS = Known(
    replicas=(*BUILT_IN.replicas, "x", "redis"),
    backups=(*BUILT_IN.backups, "x"),
    agents=(*BUILT_IN.agents, "x"),
)


def accepted(name: str, tree: Any) -> bool:
    """Whether the loader takes the structure; what names stand for is no matter of structure."""
    built = build(MODELS[name], tree, KINDS)
    guards = built.model.guards.values() if isinstance(built.model, Stack) else ()
    patched = [build(Stack, merge_patch(tree, guard.patch), KINDS) for guard in guards]
    return not any(each.findings for each in (built, *patched)) and all(
        set(guard.patch) <= set(PATCHABLE) for guard in guards
    )


def removes_nothing(name: str, tree: Any) -> bool:
    """Whether a guard removes what is not there, which the loader refuses; what has no name never is."""
    guards = tree.get("guards", {}).values() if name == "stack.yaml" else ()
    return any(True for guard in guards for _ in vain_removals(tree, guard["patch"]))


def valid(name: str, tree: Any) -> bool:
    return VALIDATORS[name].is_valid(tree)


@pytest.mark.parametrize(("file", "make"), [("scenario", scenario_schema), ("stack", stack_schema)])
def test_the_schemas_in_docs_are_fresh(file: str, make: Any) -> None:
    stored = (ROOT / "docs" / f"{file}.schema.json").read_text()
    assert stored == json.dumps(make(), indent=2) + "\n", "run `make docs`"


@pytest.mark.parametrize("schema", SCHEMAS.values())
def test_the_schemas_are_schemas_of_2020_12_without_ids(schema: Any) -> None:
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert '"$id"' not in json.dumps(schema)
    assert schema["title"]
    assert schema["description"]


@pytest.mark.parametrize("schema", SCHEMAS.values())
def test_every_key_has_a_description(schema: Any) -> None:
    silent = [
        f"{name}.{key}"
        for name, part in schema["$defs"].items()
        for key, value in part.get("properties", {}).items()
        if not value.get("description") and not name.endswith("Patch")
    ]
    assert silent == []


@pytest.mark.parametrize("schema", SCHEMAS.values())
def test_every_definition_is_used_and_every_reference_leads_somewhere(schema: Any) -> None:
    text = json.dumps(schema)
    used = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    assert used == set(schema["$defs"])


SHIPPED_FILES = [*GOOD.glob("*.yaml"), *SHIPPED.glob("*/*.yaml")]


@pytest.mark.parametrize("file", SHIPPED_FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_file_that_loads_is_valid_and_names_its_schema(file: Path) -> None:
    name = "stack.yaml" if file.stem == "stack" else "drill.yaml"
    text = file.read_text()
    errors = [str(error) for error in VALIDATORS[name].iter_errors(parse(text, "f").value)]
    assert errors == []
    first = text.split("\n")[0]
    which = "stack" if file.stem == "stack" else "scenario"
    assert first.startswith("# yaml-language-server: $schema=")
    assert (file.parent / first.partition("=")[2]).resolve() == ROOT / "docs" / f"{which}.schema.json"


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_what_the_loader_takes_is_valid(name: str, data: st.DataObject) -> None:
    tree = data.draw(spoilt(TREES[name]))
    if accepted(name, tree) and not removes_nothing(name, tree):
        assert valid(name, tree), [str(error) for error in VALIDATORS[name].iter_errors(tree)]


@pytest.mark.parametrize("name", MODELS)
def test_every_key_that_may_be_left_out_may_be_left_out_of_the_schema(name: str) -> None:
    for path in model_keys(TREES[name]):
        tree = removed(TREES[name], path)
        assert valid(name, tree) == accepted(name, tree), path


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_a_misspelt_key_is_not_valid(name: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(model_keys(TREES[name])))
    wrong = data.draw(misspelt(str(path[-1])))
    assume(wrong not in at(TREES[name], path[:-1]))
    tree = renamed(TREES[name], path, wrong)
    assert not accepted(name, tree)
    assert not valid(name, tree)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("services", "vault"), {"kind": "s3", "bucket": "bookings-vault", "settings": {}}),
        (("services", "vault"), {"kind": "s3", "settings": {}}),
        (("services", "bookings", "fsync"), "yes"),
        (("services", "Vault"), {"kind": "s3", "bucket": "bookings-vault"}),
        (("protections", "old-dump", "every"), 90),
        (("protections", "old-dump", "keep"), 0),
        (("principals", "staging-agent", "grants", "vault"), "root"),
        (("principals", "staging-agent", "workspace"), "../elsewhere"),
        (("guards", "soft-delete", "patch"), {"services": {"railway": {"profil": "current"}}}),
        (("guards", "soft-delete", "patch"), {"service": {}}),
        (("guards", "soft-delete", "patch"), {"objectives": {"rpo": "1h"}}),
        (("objectives", "rpo"), 15),
        (("objectives", "backup_survival"), {"copies": 1}),
    ],
)
def test_what_the_loader_refuses_is_not_valid(path: tuple[str, ...], value: Any) -> None:
    assert not valid("stack.yaml", replaced(TREES["stack.yaml"], path, value))


@pytest.mark.parametrize(
    "patch",
    [
        {"services": {"vault": None}},
        {"services": {"vault": {"object_lock": False}}},
        {"services": {"vault": {"kind": "postgres", "bucket": None, "schema": "schema.sql"}}},
        {"services": {"bookings": {"tables": {"reservations": None, "payments": {"key": "id"}}}}},
        {"principals": {"staging-agent": {"grants": {"vault": None, "railway": {"token": "account"}}}}},
        {
            "protections": {
                "old-dump": {"lock": {"for": "7d"}},
                "offsite": {"tool": "mine", "settings": {"a": 1}},
            }
        },
    ],
)
def test_a_patch_may_hold_any_part_of_a_stack_and_null(patch: Any) -> None:
    assert valid("stack.yaml", replaced(TREES["stack.yaml"], ("guards", "soft-delete", "patch"), patch))


@pytest.mark.parametrize(
    ("content", "fits"),
    [
        ({"like": "drill.yaml", "id": "rentals/other", "title": "Other"}, True),
        ({"like": "drill.yaml", "id": "rentals/other", "title": "Other", "workload": {"users": 3}}, True),
        ({"like": "drill.yaml", "id": "rentals/other", "title": "Other", "incident": None}, True),
        ({"like": "drill.yaml", "id": "rentals/other", "title": "Other", "agent": {"goal": "Tidy."}}, True),
        ({"like": "drill.yaml", "id": "rentals/other", "title": "Other", "workload": {"userz": 3}}, False),
        ({"like": "drill.yaml", "id": "rentals/other", "title": "Other", "guard": []}, False),
        ({"like": "drill.yaml", "title": "Other"}, False),
        ({"like": 5, "id": "rentals/other", "title": "Other"}, False),
        ({"id": "rentals/other", "title": "Other"}, False),
    ],
)
def test_a_scenario_that_is_like_another_says_only_what_differs(content: Any, fits: bool) -> None:
    assert valid("drill.yaml", content) is fits
