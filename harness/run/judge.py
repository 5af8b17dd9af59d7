"""From a stored run to a judged record. Needs the run folder and nothing else, offline, years later."""

from __future__ import annotations

from pathlib import Path

from harness.errors import RequestError
from harness.journal.events import Answered
from harness.journal.history import History, read_history
from harness.journal.record import RunRecord, Verdict
from harness.journal.roll import read_roll
from harness.journal.writer import JOURNAL_FILE
from harness.scenario.load import restore_scenario
from harness.scenario.models import LoadedScenario
from harness.scenario.tightening import names_in_force
from harness.seams.lookup import lookup

SCENARIO = "scenario.json"


def judge_run(folder: Path) -> RunRecord:
    """Read a run folder and judge it.

    Args:
        folder: ``reports/<run-id>``.

    Raises:
        RequestError: it is no run folder, or its scenario cannot be read.
    """
    try:
        text = (folder / SCENARIO).read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(
            f"{folder} is not a run folder: {error}", hint="name a folder such as reports/latest"
        ) from error
    scenario = restore_scenario(text)
    history = read_history(folder)
    if history.first(Answered):
        raise RequestError(
            f"{folder} is of a search, not of a run",
            hint=f"`ninelives judge` and `report` take it too{newest_beside(folder)}",
        )
    return RunRecord(
        run_id=folder.resolve().name,
        scenario=scenario,
        history=history,
        verdicts=judge(scenario, history),
    )


def judge_begun(folder: Path) -> RunRecord:
    """The same of a run that died before it had a journal too: everything of it is undecided.

    Raises:
        RequestError: it is no run folder, or its scenario cannot be read.
    """
    if (folder / JOURNAL_FILE).exists() or not (folder / SCENARIO).exists():
        return judge_run(folder)
    scenario = restore_scenario((folder / SCENARIO).read_text(encoding="utf-8"))
    history = History.of_events(())
    return RunRecord(folder.resolve().name, scenario, history, judge(scenario, history))


def newest_beside(folder: Path) -> str:
    """For those who name a search where only a run will do: which was the last.

    Args:
        folder: of the search.

    Returns:
        The end of a hint; empty where no run is beside it.

    Raises:
        JournalError: the roll cannot be read.
    """
    runs, _ = read_roll(folder.resolve().parent)
    return f"; the newest run beside it is {runs[-1].number}, {runs[-1].run_id}" if runs else ""


def judge(scenario: LoadedScenario, history: History) -> tuple[Verdict, ...]:
    """One verdict for each objective in force; a check that crashes is undecided, never held."""
    return tuple(_judge_one(name, scenario, history) for name in names_in_force(scenario.objectives))


def _judge_one(name: str, scenario: LoadedScenario, history: History) -> Verdict:
    try:
        verdict: Verdict = lookup("objectives", name)().judge(scenario, history)
    except Exception as error:  # noqa: BLE001 - rule 1: a crashed check decides nothing
        return Verdict(
            objective=name,
            value="undecided",
            summary=f"the check itself failed: {type(error).__name__}: {error}",
        )
    return verdict
