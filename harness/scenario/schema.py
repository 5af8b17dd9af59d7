"""JSON Schema (2020-12) of the two files, for editors and other tools.

A schema says what may stand where. What must exist, fit or be tighter than something else is checked by
``harness.scenario.load`` alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from harness.scenario.models import RATE, Scenario, Stack, format_duration, format_rate
from harness.scenario.stack_rules import PATCHABLE

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/$defs/"
PATCH = "StackPatch"
VARIANT = ("like", "id", "title")


def scenario_schema() -> Schema:
    """What a scenario file may hold: all of a scenario, or what differs from the one that it is like."""
    schema = schema_of(Scenario, "Ninelives scenario")
    definitions = schema.pop("$defs")
    whole = {key: schema.pop(key) for key in ("type", "properties", "required", "additionalProperties")}
    patches = _Patches(definitions)
    part = {
        **patches.object_of(whole["properties"], "What differs; null removes."),
        "required": ["like", "id", "title"],
    }
    definitions = {**definitions, **patches.made, "Scenario": whole, "ScenarioPatch": part}
    return {
        **schema,
        "type": "object",
        "if": {"required": ["like"]},
        "then": {"$ref": REFERENCE + "ScenarioPatch"},
        "else": {"$ref": REFERENCE + "Scenario"},
        "$defs": dict(sorted(definitions.items())),
    }


def stack_schema() -> Schema:
    """What a stack file may hold. The patches of guards may hold any part of a stack, and null."""
    schema = schema_of(Stack, "Ninelives stack")
    schema["$defs"]["Guard"]["properties"]["patch"] = {
        "$ref": REFERENCE + PATCH,
        "description": schema["$defs"]["Guard"]["properties"]["patch"]["description"],
    }
    parts = {key: schema["properties"][key] for key in PATCHABLE}
    patches = _Patches(schema["$defs"])
    patches.made[PATCH] = patches.object_of(parts, "Any part of a stack; null removes what is there.")
    schema["$defs"] = dict(sorted({**schema["$defs"], **patches.made}.items()))
    return schema


class _Generator(GenerateJsonSchema):
    """Without titles that only repeat a key, and with durations as users write them."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schema_of(model: type[BaseModel], title: str) -> Schema:
    """What a file may hold that such a model is read from.

    Args:
        model: of the file.
        title: of the schema.
    """
    schema = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    _tidy(schema)
    for name, part in schema["$defs"].items():
        part["title"] = name
    _part_the_others(schema["$defs"])
    return {"$schema": DIALECT, **schema, "title": title}


def _tidy(node: Any) -> None:
    """Close maps to keys that are no names, say rates as users write them, and drop Sphinx markup."""
    if isinstance(node, list):
        for item in node:
            _tidy(item)
    if not isinstance(node, dict):
        return
    if "patternProperties" in node:
        node["additionalProperties"] = False
    if node.get("pattern") == RATE and "default" in node:
        node["default"] = format_rate(node["default"])
    if isinstance(node.get("description"), str):
        node["description"] = node["description"].replace("``", "`")
    for value in node.values():
        _tidy(value)


def _part_the_others(definitions: Schema) -> None:
    """Keep a built-in name, with keys that do not fit it, from passing as a driver that is not built in."""
    for suffix, key in (("Service", "kind"), ("Protection", "tool"), ("Agent", "kind")):
        other = definitions.get(f"Other{suffix}")
        if other:
            built_in = [part["properties"][key]["const"] for part in _siblings(definitions, key)]
            other["properties"][key]["not"] = {"enum": sorted(built_in)}


def _siblings(definitions: Schema, key: str) -> list[Schema]:
    parts = (part for part in definitions.values() if part.get("type") == "object")
    return [part for part in parts if "const" in part["properties"].get(key, {})]


class _Patches:
    """Makes the schema of a merge patch from that of what it is merged into.

    Every key may be missing, or null. Where one of several kinds of mapping may stand, a patch can turn
    one into another, so its keys are those of all of them.

    Attributes:
        made: definitions of patches, by name.
    """

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self.made: Schema = {}

    def object_of(self, properties: Schema, description: str) -> Schema:
        return {
            "type": "object",
            "description": description,
            "properties": {key: self._nullable(value) for key, value in properties.items()},
            "additionalProperties": False,
        }

    def _nullable(self, schema: Schema) -> Schema:
        described: Schema = {key: schema[key] for key in ("description", "examples") if key in schema}
        branches = [branch for branch in self._branches(schema) if branch != {"type": "null"}]
        return {"anyOf": [*branches, {"type": "null"}], **described}

    def _branches(self, schema: Schema) -> list[Schema]:
        choices = schema.get("oneOf") or schema.get("anyOf")
        if not choices:
            return [self._one(schema)]
        mappings = [choice for choice in choices if "$ref" in choice]
        plain = [choice for choice in choices if "$ref" not in choice]
        return [*(self._one(choice) for choice in plain), *([self._merged(mappings)] if mappings else [])]

    def _one(self, schema: Schema) -> Schema:
        if "$ref" in schema:
            return self._merged([schema])
        one = {
            key: value for key, value in schema.items() if key not in ("description", "default", "examples")
        }
        if "patternProperties" in one:
            values = one["patternProperties"]
            one["patternProperties"] = {key: self._nullable(value) for key, value in values.items()}
        return one

    def _merged(self, references: list[Schema]) -> Schema:
        """One mapping with the keys of all."""
        names = list(dict.fromkeys(reference["$ref"].removeprefix(REFERENCE) for reference in references))
        if "properties" not in self._definitions[names[0]]:
            return references[0]
        name = "Or".join(names) + "Patch"
        if name not in self.made:
            self.made[name] = self.object_of(self._all_properties(names), f"A patch of {', '.join(names)}.")
        return {"$ref": REFERENCE + name}

    def _all_properties(self, names: list[str]) -> Schema:
        properties: Schema = {}
        for name in names:
            for key, value in self._definitions[name]["properties"].items():
                before = properties.get(key)
                properties[key] = (
                    value if before in (None, value) else {"anyOf": [*_flat(before), *_flat(value)]}
                )
        return properties


def _flat(schema: Schema) -> list[Schema]:
    choices: list[Schema] = schema.get("anyOf") or [schema]
    return choices
