"""``ninelives schema``: the JSON Schema of the files."""

from __future__ import annotations

import json

import click

from harness.cli.exits import Exit
from harness.scenario.schema import scenario_schema, stack_schema


@click.command("schema")
@click.argument("which", type=click.Choice(["scenario", "stack"]), default="scenario")
def command(which: str) -> Exit:
    """Print the JSON Schema (2020-12) that editors can check scenario or stack files with."""
    schema = scenario_schema() if which == "scenario" else stack_schema()
    click.echo(json.dumps(schema, indent=2))
    return Exit.AS_EXPECTED
