"""The life of a run, from a loaded scenario to a judged record with its reports."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.clock import SystemClock
from harness.errors import HarnessError
from harness.journal.events import Line, RunEnded, RunStarted
from harness.journal.record import RunRecord
from harness.journal.writer import Journal
from harness.run.execute import execute
from harness.run.ground import Ground
from harness.run.judge import SCENARIO, judge_run
from harness.run.place import Place, name_run, point_latest, run_folder, workplace
from harness.run.plan import plan
from harness.scenario.models import LoadedScenario
from harness.seams.lookup import lookup

Listener = Callable[[Line], None]
REPORTS = ("text", "json", "junit", "html")


@dataclass(frozen=True)
class Drilled:
    """A run that is over.

    Attributes:
        record: what can be said of it.
        folder: where its evidence lies.
        fault: what stopped it, if something of the harness or its tools did.
    """

    record: RunRecord
    folder: Path
    fault: BaseException | None = None


def drill(loaded: LoadedScenario, place: Place, listeners: Sequence[Listener] = ()) -> Drilled:
    """Run a scenario: plan, execute, judge, render.

    Args:
        loaded: the scenario.
        place: where to write and work.
        listeners: are shown every journal line as it is written.

    Returns:
        The judged run. A fault of the harness does not raise: it leaves every verdict undecided.

    Raises:
        HarnessError: the run could not even begin, or its reports could not be written.
    """
    planned = plan(loaded)
    clock = SystemClock()
    began, cpu = clock.stamp(), clock.cpu()
    run_id = name_run(loaded.id, began.wall)
    folder = run_folder(place, run_id)
    (folder / SCENARIO).write_text(loaded.model_dump_json(by_alias=True))
    fault: BaseException | None = None
    with Journal(folder, clock, listeners) as journal:
        journal.write(
            RunStarted(
                run_id=run_id,
                scenario=loaded.id,
                digest=loaded.digest,
                version=harness.__version__,
                provider="embedded",
                machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
            )
        )
        try:
            with workplace(place, run_id) as sandbox:
                execute(Ground(planned, sandbox, journal, clock))
        except (HarnessError, KeyboardInterrupt) as error:
            fault = error
        except Exception as error:  # noqa: BLE001 - it is in the journal; the run is judged as undecided
            fault = error
        journal.write(RunEnded(seconds=clock.stamp().since(began), harness_cpu=clock.cpu() - cpu))
        journal.sync()
    record = judge_run(folder)
    render(record, folder)
    point_latest(place, run_id)
    return Drilled(record, folder, fault)


def render(record: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write every report of a run into its folder."""
    return tuple(lookup("reporters", name)().render(record, folder) for name in REPORTS)
