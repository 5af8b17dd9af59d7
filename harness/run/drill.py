"""The life of a run, from a loaded scenario to a judged record with its reports."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import harness
from harness.clock import SystemClock
from harness.errors import HarnessError, JournalError
from harness.facts import Endpoint
from harness.interrupts import deferred_interrupts, gentle_interrupts
from harness.journal.events import Line, RunEnded, RunStarted
from harness.journal.record import RunRecord
from harness.journal.roll import Enrolled, enroll
from harness.journal.writer import Journal
from harness.run.execute import execute
from harness.run.faults import in_plain_words
from harness.run.ground import Ground, tell
from harness.run.judge import judge_run
from harness.run.place import Place, name_run, point_latest, run_folder, workplace
from harness.run.plan import Plan, plan
from harness.run.redact import Redactor
from harness.scenario.models import LoadedScenario
from harness.seams.container_engine import connect
from harness.seams.lookup import Provider, lookup

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

    def __repr__(self) -> str:
        """What a failing test shows of it: what came out, what of that was not expected, where to look."""
        surprises = ", ".join(f"{v.objective} {v.value}" for v in self.record.surprises)
        told = f"; not as expected: {surprises}" if surprises else ", as expected"
        if self.fault is not None:
            first = str(self.fault).partition("\n")[0]
            told = f"; {type(self.fault).__name__}: {first}".removesuffix(": ")
        return f"<drill of {self.record.scenario.id}: {self.record.value}{told}; see {self.folder}>"


def drill(
    loaded: LoadedScenario,
    place: Place,
    listeners: Sequence[Listener] = (),
    provider: Provider = "embedded",
) -> Drilled:
    """Run a scenario: plan, execute, judge, render.

    Args:
        loaded: the scenario.
        place: where to write and work.
        listeners: are shown every journal line as it is written.
        provider: what replicas run on, unless the scenario says what it needs.

    Returns:
        The judged run. A fault of the harness, or Ctrl-C, does not raise: it leaves every verdict undecided.
        ``reports/latest`` points at it then, unless somebody stopped it.

    Raises:
        HarnessError: the run could not even begin, or needs a container engine and there is none.
    """
    planned = plan(loaded, provider)
    if planned.runs_containers:
        connect()
    clock = SystemClock()
    resolved = loaded.model_dump_json(by_alias=True)
    folder = run_folder(place, name_run(loaded.id, clock.stamp().wall), resolved)
    # Whoever signs what is over goes by the journal's lock: it is held from before the run has its number
    # until after its reports are written.
    with gentle_interrupts(), Journal(folder, clock, listeners) as journal:
        enrolled = enroll(place.reports, folder.name, loaded.id, clock.stamp().wall)
        journal.write(run_started(folder.name, loaded, resolved, provider, enrolled))
        fault = _play(planned, place, journal, clock)
        record = judge_run(folder)
        try:
            with deferred_interrupts():
                render(record, folder)
                if not isinstance(fault, KeyboardInterrupt):
                    point_latest(place, folder.name)
        except (HarnessError, KeyboardInterrupt) as error:
            fault = fault or error
    return Drilled(record, folder, fault)


def render(record: RunRecord, folder: Path, reports: Sequence[str] = REPORTS) -> tuple[Path, ...]:
    """Write reports of a run into a folder.

    Args:
        record: the run.
        folder: made if it is not there.
        reports: names of reporters.

    Raises:
        HarnessError: one cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(lookup("reporters", name)().render(record, folder) for name in reports)
    except OSError as error:
        raise HarnessError(
            f"cannot write reports into {folder}: {error}",
            hint="free some space, or have them written elsewhere with `ninelives report --out`",
        ) from error


def run_started(
    run_id: str,
    loaded: LoadedScenario,
    resolved: str,
    provider: Provider,
    enrolled: Enrolled | None = None,
) -> RunStarted:
    """The first line of a journal.

    Args:
        run_id: the name of the run's folder.
        loaded: what is played.
        resolved: the same as it is stored in the folder.
        provider: what replicas run on, unless the scenario says what it needs.
        enrolled: its line of the roll of runs; None for a search, which only rests on runs.
    """
    return RunStarted(
        run_id=run_id,
        scenario=loaded.id,
        digest=loaded.digest,
        version=harness.__version__,
        provider=loaded.scenario.provider or provider,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        resolved_sha256=sha256(resolved.encode()).hexdigest(),
        enrolled=enrolled,
    )


def _play(planned: Plan, place: Place, journal: Journal, clock: SystemClock) -> BaseException | None:
    """Play the drill; returns what stopped it, which is in the journal then, if that still takes anything."""
    began, cpu = clock.stamp(), clock.cpu()
    endpoints: dict[str, Endpoint] = {}
    told: list[BaseException] = []
    fault: BaseException | None = None
    try:
        with workplace(place, journal.folder.name) as sandbox:
            execute(Ground(planned, sandbox, journal, clock, endpoints=endpoints, told=told))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the run is judged as undecided
        fault = in_plain_words(error)
    try:
        with deferred_interrupts():
            if fault is not None and fault not in told:
                tell(journal, None, fault, Redactor(endpoints.values()))
            journal.write(RunEnded(seconds=clock.stamp().since(began), harness_cpu=clock.cpu() - cpu))
            journal.sync()
    except (JournalError, KeyboardInterrupt) as error:
        fault = fault or error
    return fault
