"""Tables of every key that the two files have, for the documentation. Made from the JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator

from harness.scenario.models import DURATION, FILE_NAME, IDENTIFIER, NAME, RATE, RELATIVE_PATH
from harness.scenario.schema import PATCH, REFERENCE, Schema, scenario_schema, stack_schema


def key_tables() -> str:
    """Markdown: one table for each kind of mapping, the stack's first, in the order in which they are met."""
    sections: list[str] = []
    seen: set[str] = set()
    scenario = scenario_schema()
    whole = {**scenario["$defs"]["Scenario"], **{key: scenario[key] for key in ("description", "$defs")}}
    for title, schema in (("the stack file", stack_schema()), ("the scenario file", whole)):
        sections.append(_section(title, schema))
        for name in _met(schema, schema["$defs"]):
            if name not in seen:
                seen.add(name)
                sections.append(_section(name, schema["$defs"][name]))
    return "\n\n".join(sections)


def _section(title: str, schema: Schema) -> str:
    required = set(schema.get("required", ()))
    rows = [
        f"| `{key}` | {_type(value)} | {_default(key, value, required)} | {value.get('description', '')} |"
        for key, value in schema["properties"].items()
    ]
    lead = " ".join(schema.get("description", "").split())
    return "\n".join(
        [f"#### {title}", "", lead, "", "| key | value | default | meaning |", "|---|---|---|---|", *rows]
    )


def _met(schema: Schema, definitions: Schema) -> Iterator[str]:
    """The definitions that a schema leads to, in order and each before what it leads to."""
    for value in schema.get("properties", {}).values():
        for name in _references(value):
            if "properties" in definitions[name] and name != PATCH:
                yield name
                yield from _met(definitions[name], definitions)


def _references(schema: Schema) -> Iterator[str]:
    if "$ref" in schema:
        yield schema["$ref"].removeprefix(REFERENCE)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _references(schema[key])
    for choice in (
        *schema.get("oneOf", ()),
        *schema.get("anyOf", ()),
        *schema.get("patternProperties", {}).values(),
    ):
        yield from _references(choice)


def _type(schema: Schema) -> str:
    """What may stand there, in words."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REFERENCE)
        plain = {"JsonValue": "anything", PATCH: "part of a stack"}
        return plain.get(name, f"[{name}](#{name.lower()})")
    choices = [
        choice
        for choice in (*schema.get("oneOf", ()), *schema.get("anyOf", ()))
        if choice != {"type": "null"}
    ]
    if choices:
        return ", or ".join(_type(choice) for choice in choices)
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object":
        (values,) = schema.get("patternProperties", {0: schema.get("additionalProperties")}).values()
        return f"mapping to {_type(values)}"
    return _scalar(schema)


_WORDS = {
    DURATION: "duration",
    RATE: "rate",
    NAME: "name",
    IDENTIFIER: "identifier",
    RELATIVE_PATH: "path",
    FILE_NAME: "file name",
}


def _scalar(schema: Schema) -> str:
    if schema.get("format") == "date":
        return "date"
    names = {"string": "text", "integer": "whole number", "boolean": "`true`, `false`"}
    return _WORDS.get(schema.get("pattern", ""), names.get(schema.get("type", ""), "anything"))


def _default(key: str, schema: Schema, required: set[str]) -> str:
    if key in required:
        return "required"
    value = schema.get("default")
    if value in (None, [], ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
