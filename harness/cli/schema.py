"""``ninelives schema``: the JSON Schema of the files."""

from __future__ import annotations

import json

import click

from harness.archive.policy import policy_schema
from harness.cli.exits import Exit
from harness.scenario.schema import scenario_schema, stack_schema

SCHEMAS = {"scenario": scenario_schema, "stack": stack_schema, "policy": policy_schema}


@click.command("schema")
@click.argument("which", type=click.Choice(tuple(SCHEMAS)), default="scenario")
def command(which: str) -> Exit:
    """Print the JSON Schema (2020-12) that editors can check scenario, stack or policy files with."""
    click.echo(json.dumps(SCHEMAS[which](), indent=2))
    return Exit.AS_EXPECTED
