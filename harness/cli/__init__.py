"""The command ``ninelives``: one module a verb."""

from __future__ import annotations

import sys

import click

import harness
from harness.cli.collector import leave_the_rest, rare_collections
from harness.cli.exits import Exit, exit_of_error, explain
from harness.cli.streams import outlive_readers
from harness.errors import HarnessError, ScenarioError
from harness.interrupts import gentle_interrupts, ignore_interrupts


class Verbs(click.Group):
    """Imports a verb's module when it is used, so that ``ninelives --help`` answers at once."""

    SUMMARIES = {
        "run": "Drill scenarios and tell what would be left.",
        "check": "Prove that scenarios can hold, can breach, and match what they expect.",
        "guards": "Tell which guards would have saved what, and which are needed.",
        "explore": "Look for what a principal can break, and save it as a scenario.",
        "blast-radius": "Try what each credential can destroy, one call at a time.",
        "judge": "Judge a stored run again, offline.",
        "report": "Write a stored run's reports again.",
        "fidelity": "Set a stack against what was exported from production.",
        "controls": "Tell what runs say of the controls that auditors ask about.",
        "history": "List the runs that are recorded, the newest first.",
        "compare": "Tell what differs between two runs.",
        "gate": "Let a release pass, or not, by what the history of runs shows.",
        "keygen": "Make a pair of keys to sign evidence with.",
        "sign": "Sign a stored run, so that others can verify it.",
        "verify": "Verify signed runs, offline, and that none is left out.",
        "list": "List scenarios, or drivers.",
        "schema": "Print the JSON Schema of scenario, stack or policy files.",
        "doctor": "Tell what this machine can run and what to install.",
        "sweep": "Remove what killed runs left behind.",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - given by click
        return list(self.SUMMARIES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - given by click
        if name not in self.SUMMARIES:
            return None
        from importlib import import_module

        command = import_module(f"harness.cli.{name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - given by click
        with formatter.section("Commands"):
            formatter.write_dl(list(self.SUMMARIES.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(harness.__version__, prog_name="ninelives")
def group() -> None:
    """Find out what an agent with your credentials can destroy beyond recovery, before it does."""


def main() -> None:
    """Entry point. Every error that a user can meet ends as a message with a hint and a documented code."""
    with gentle_interrupts(), rare_collections():
        outlive_readers()
        code = _answer()
        if code is Exit.INTERRUPTED:
            ignore_interrupts()
    leave_the_rest()
    sys.exit(int(code))


def _answer() -> Exit:
    try:
        return Exit(group.main(standalone_mode=False) or Exit.AS_EXPECTED)
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except ScenarioError as error:
        click.echo(error, err=True)
        return Exit.USAGE
    except HarnessError as error:
        click.echo(f"error: {error}", err=True)
        return exit_of_error(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - an exit code of 1 would say that something was breached
        click.echo(f"error: {explain(error)}", err=True)
        return Exit.FAULT
