"""A run as the history keeps it, and where that comes from: its folder."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from harness.errors import RequestError
from harness.facts import Fact
from harness.journal.claims import Witnessed
from harness.journal.events import Line, RunStarted
from harness.journal.history import SCENARIO_FILE
from harness.journal.record import Figure, RunRecord, Verdict
from harness.journal.roll import Enrolled
from harness.journal.writer import JOURNAL_FILE
from harness.render.json import FILE as VERDICTS_FILE
from harness.render.json import FigureEntry, VerdictEntry, VerdictsFile, read_verdicts, verdicts_file
from harness.scenario.models import VerdictValue

FIRST_LINE = 64 * 1024
"""Bytes that surely hold the first line of a journal."""


class KeptVerdict(Verdict):
    """A verdict, and what its scenario expected."""

    expected: str

    @property
    def surprises(self) -> bool:
        """Whether it is not the expected one."""
        return self.expected != self.value


class Kept(Fact):
    """A run.

    Attributes:
        roll: that it stands on; empty if on none.
        number: on that roll.
        run_id: the name of its folder.
        folder: where that lay.
        scenario, digest: what was played; the digest covers every file of it.
        started: when.
        seconds: from the first line of its journal to the last.
        provider: what replicas ran on.
        version: of ninelives.
        value: over the whole run.
        as_expected: whether each verdict is the one that the scenario expects.
        ended: it came to its end; the others were stopped or killed, or are still going on.
        closed: nothing more will come: its journal has its last line, whatever had happened before.
        problem: why it is not to be trusted, if it is not.
        hypothetical: a guard was on that no provider offers.
        supposed: it only shows what would have been: the agent was idle, or agent or guards were not the
            scenario's own.
        controls: that the scenario lists.
        verdicts: one for each objective.
    """

    roll: str
    number: int | None
    run_id: str
    folder: str
    scenario: str
    digest: str
    started: datetime
    seconds: float
    provider: str
    version: str
    value: VerdictValue
    as_expected: bool
    ended: bool
    closed: bool
    problem: str | None = None
    hypothetical: bool = False
    supposed: bool = False
    controls: tuple[str, ...] = ()
    verdicts: tuple[KeptVerdict, ...] = ()

    @property
    def witnessed(self) -> Witnessed:
        """The run as claims on controls need it."""
        return Witnessed(
            run_id=self.run_id,
            ended=self.ended,
            controls=self.controls,
            hypothetical=self.hypothetical,
            supposed=self.supposed,
            verdicts=self.verdicts,
        )

    def verdict(self, objective: str) -> KeptVerdict | None:
        """The verdict of an objective, if it has one."""
        return next((one for one in self.verdicts if one.objective == objective), None)

    def figure(self, objective: str, name: str) -> Figure | None:
        """A figure of an objective, if it has it."""
        verdict = self.verdict(objective)
        return verdict.figure(name) if verdict else None


class _Agent(BaseModel):
    kind: str = ""


class _Scenario(BaseModel):
    controls: tuple[str, ...] = ()
    agent: _Agent = _Agent()


class _Stored(BaseModel):
    """Of scenario.json, what the history needs: reading it whole would take ten times as long."""

    scenario: _Scenario = _Scenario()
    replaced: tuple[str, ...] = ()

    @property
    def supposed(self) -> bool:
        """As ``harness.journal.claims.is_supposed`` has it."""
        return bool(self.replaced) or self.scenario.agent.kind == "idle"


def read_run(folder: Path, enrolled: Enrolled | None = None) -> Kept:
    """A run from its folder: what its reports say, not judged again.

    Args:
        folder: of the run.
        enrolled: its line of the roll, if it is known already.

    Returns:
        The run. One whose folder has no verdicts, or none to be read, is undecided and has not ended.

    Raises:
        RequestError: it has no verdicts, and no line of a roll tells what it was.
    """
    started = _started(folder)
    enrolled = enrolled or (started.enrolled if started else None)
    try:
        return _finished(folder, enrolled, started, read_verdicts(folder / VERDICTS_FILE))
    except (OSError, ValueError) as error:
        if enrolled is None:
            raise RequestError(
                f"{folder} is not the folder of a judged run: it has no {VERDICTS_FILE} to be read",
                hint="name a run of `ninelives history`, or the folder of one; "
                "`ninelives report FOLDER` writes its reports again",
            ) from error
        return _unfinished(folder, enrolled, started, _why(folder, error))


def kept_of(record: RunRecord, folder: Path) -> Kept:
    """A run that was judged again just now.

    Args:
        record: the run.
        folder: that has it.

    Raises:
        RequestError: nothing tells when it began.
    """
    started = record.history.first(RunStarted)
    enrolled = started.body.enrolled if started else None
    return _finished(folder, enrolled, started.body if started else None, verdicts_file(record))


def _why(folder: Path, error: OSError | ValueError) -> str:
    if not folder.is_dir():
        return "its folder is gone"
    if isinstance(error, FileNotFoundError):
        return f"it has no {VERDICTS_FILE}: it was killed, or is still going on"
    return f"its {VERDICTS_FILE} cannot be read"


def _unfinished(folder: Path, enrolled: Enrolled, started: RunStarted | None, why: str) -> Kept:
    return Kept(
        roll=enrolled.roll,
        number=enrolled.number,
        run_id=enrolled.run_id,
        folder=str(folder.absolute()),
        scenario=enrolled.scenario,
        digest=started.digest if started else "",
        started=enrolled.at,
        seconds=0.0,
        provider=started.provider if started else "",
        version=started.version if started else "",
        value="undecided",
        as_expected=False,
        ended=False,
        closed=False,
        problem=why,
    )


def _finished(
    folder: Path, enrolled: Enrolled | None, started: RunStarted | None, file: VerdictsFile
) -> Kept:
    at = enrolled.at if enrolled else file.started
    if at is None:
        raise RequestError(
            f"{folder} does not tell when the run began", hint="its journal is empty; play the run again"
        )
    stored = _stored(folder)
    closed = file.harness_cpu_seconds is not None
    return Kept(
        roll=enrolled.roll if enrolled else "",
        number=enrolled.number if enrolled else None,
        run_id=enrolled.run_id if enrolled else file.run_id,
        folder=str(folder.absolute()),
        scenario=file.scenario.id,
        digest=file.scenario.digest,
        started=at,
        seconds=file.seconds,
        provider=started.provider if started else "",
        version=file.version or "",
        value=file.value,
        as_expected=file.as_expected,
        ended=closed and not (file.cut_short or file.interrupted),
        closed=closed,
        problem=file.problem,
        hypothetical=bool(file.hypothetical_guards),
        supposed=stored.supposed,
        controls=stored.scenario.controls,
        verdicts=tuple(map(_verdict, file.verdicts)),
    )


def _verdict(entry: VerdictEntry) -> KeptVerdict:
    return KeptVerdict(
        objective=entry.objective,
        value=entry.value,
        expected=entry.expected,
        summary=entry.summary,
        figures=tuple(map(_figure, entry.figures)),
    )


def _figure(entry: FigureEntry) -> Figure:
    """As it was before it was written into a file."""
    return Figure.model_validate(entry.model_dump())


def _started(folder: Path) -> RunStarted | None:
    try:
        with (folder / JOURNAL_FILE).open("rb") as file:
            line = Line.model_validate_json(file.readline(FIRST_LINE))
    except (OSError, ValueError):
        return None  # what it would have told is left out; the verdicts say that the journal is spoilt
    return line.body if isinstance(line.body, RunStarted) else None


def _stored(folder: Path) -> _Stored:
    """Nothing of it when it cannot be read: the verdicts say then that the record is spoilt."""
    try:
        return _Stored.model_validate_json((folder / SCENARIO_FILE).read_bytes())
    except (OSError, ValueError):
        return _Stored()
