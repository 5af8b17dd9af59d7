"""``ninelives judge``: judge a stored run again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.answer import show_answer
from harness.cli.exits import Exit, exit_of, exit_of_value
from harness.cli.places import find_run, with_reports
from harness.cli.summary import show
from harness.journal.answer import Result
from harness.render.answers import answer_of
from harness.run.judge import judge_run
from harness.search.recording import judged_again, problem_with, stored_result


@click.command("judge")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
@with_reports
def command(run: Path, as_json: bool, reports: Path) -> Exit:
    """Judge a stored run again, from its files alone. Writes nothing.

    RUN is its folder; or, in the folder of reports, its name, its number or `latest`. That of
    a search does too: `guards` and `explore` are judged from the runs that lie beside them, `blast-radius`
    from its calls.

    Exit code: as for `ninelives run`.
    """
    folder = find_run(run, reports)
    stored = stored_result(folder)
    if stored is not None:
        return _judge_search(stored, folder, as_json=as_json)
    record = judge_run(folder)
    show(record, folder, as_json=as_json)
    return exit_of(record)


def _judge_search(stored: Result, folder: Path, *, as_json: bool) -> Exit:
    problem = problem_with(folder)
    result = stored if problem else judged_again(stored, folder)
    show_answer(result, folder, as_json=as_json, problem=problem)
    answer = answer_of(result)
    return exit_of_value((answer.doubted(problem) if problem else answer).value)
