"""The list of operations for the documentation, made from the schema."""

from __future__ import annotations

from graphql import GraphQLObjectType, build_schema

from harness.replicas.railway.schema import (
    CONFIRMING_MUTATIONS,
    CURRENT_MUTATIONS,
    type_definitions,
)


def operation_table() -> str:
    """Every operation with what it does, as a Markdown table."""
    schema = build_schema(type_definitions("current", "second-person"))
    rows = ["| operation | kind | does |", "|---|---|---|"]
    for kind, root in (("query", schema.query_type), ("mutation", schema.mutation_type)):
        rows += _rows(kind, root)
    return "\n".join(rows)


def _rows(kind: str, root: GraphQLObjectType | None) -> list[str]:
    fields = root.fields if root is not None else {}
    return [
        f"| `{name}` | {_kind_of(name, kind)} | {field.description} |"
        for name, field in sorted(fields.items())
    ]


def _kind_of(name: str, kind: str) -> str:
    if name in CONFIRMING_MUTATIONS:
        return f"{kind}, hypothetical, with `confirmations` only"
    return f"{kind}, `current` only" if name in CURRENT_MUTATIONS else kind
