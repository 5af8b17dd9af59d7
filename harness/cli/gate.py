"""``ninelives gate``: whether a release may pass."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.archives import following, with_history
from harness.cli.exits import Exit, exit_of_value
from harness.cli.folding import tell_lines
from harness.clock import SystemClock
from harness.errors import HarnessError

INDENT = " " * 11
"""Of what belongs to the mark above it."""


@click.command("gate")
@click.option(
    "--policy",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="A YAML file: what the history must show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the same for the summary of a job; added to a file that is there.",
)
@with_history
def command(file: Path, as_json: bool, markdown: Path | None, reports: Path, database: str | None) -> Exit:
    """Hold a policy against the history of runs; plays nothing.

    Exit code: 0 when every rule held or is waived, 1 when one is breached, 2 when one is undecided, 3 and 4
    as for `ninelives run`.
    """
    from harness.archive.gate import decide
    from harness.archive.policy import read_policy
    from harness.archive.words import decision_markdown, decision_text

    policy = read_policy(file)
    with following(reports, database) as (archive, problem):
        decision = decide(policy, archive, SystemClock().stamp().wall, problem)
    if as_json:
        click.echo(decision.model_dump_json())
    else:
        tell_lines(decision_text(decision), rest=INDENT)
    if markdown is not None:
        _add(markdown, decision_markdown(decision))
    return exit_of_value(decision.value)


def _add(file: Path, text: str) -> None:
    try:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise HarnessError(f"cannot write {file}: {error}", hint="choose another place") from error
