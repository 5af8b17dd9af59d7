"""Plays drills in this process, so that a test knows the endpoints and can look on, or interfere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from harness.clock import SystemClock
from harness.errors import HarnessError
from harness.facts import OPERATOR, Endpoint
from harness.journal.events import Line, RunEnded, RunStarted
from harness.journal.record import RunRecord
from harness.journal.writer import Journal
from harness.run.execute import execute
from harness.run.ground import Ground
from harness.run.judge import SCENARIO, judge_run
from harness.run.place import Place, name_run, run_folder, workplace
from harness.run.plan import plan
from harness.scenario.models import LoadedScenario

KIOSK = Path(__file__).parent / "kiosk"
Onlooker = Callable[[Ground, Line], None]


def play(loaded: LoadedScenario, place: Place, *onlookers: Onlooker) -> RunRecord:
    """Execute and judge a scenario.

    Args:
        loaded: the scenario.
        place: where.
        onlookers: are called with each journal line as it is written, on the thread that wrote it.

    Returns:
        The judged run; one that a fault of the harness ended is judged all the same.
    """
    clock = SystemClock()
    run_id = name_run(loaded.id, clock.stamp().wall)
    folder = run_folder(place, run_id)
    (folder / SCENARIO).write_text(loaded.model_dump_json(by_alias=True))
    grounds: list[Ground] = []

    def look_on(line: Line) -> None:
        for onlooker in onlookers if grounds else ():
            onlooker(grounds[0], line)

    with Journal(folder, clock, [look_on]) as journal:
        journal.write(
            RunStarted(
                run_id=run_id,
                scenario=loaded.id,
                digest=loaded.digest,
                version="0",
                provider="embedded",
                machine="the tests'",
            )
        )
        try:
            with workplace(place, run_id) as sandbox:
                grounds.append(Ground(plan(loaded), sandbox, journal, clock))
                execute(grounds[0])
        except HarnessError:
            pass  # the journal has it, and the verdicts say so
        journal.write(RunEnded(seconds=0.0, harness_cpu=0.0))
    return judge_run(folder)


def log_in(endpoint: Endpoint, principal: str = OPERATOR) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of the test's own, made without any of the harness's code."""
    credential = endpoint.credentials[principal]
    return psycopg.connect(
        host=endpoint.host,
        port=endpoint.port,
        user=credential.name,
        password=credential.secret.reveal(),
        dbname=endpoint.name,
        autocommit=True,
        options="-c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=1",
    )
