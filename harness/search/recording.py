"""The folder of one search: a journal, the result whose digest it keeps, and the reports made from that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from pydantic import ValidationError

from harness.clock import SystemClock
from harness.errors import HarnessError, RequestError
from harness.interrupts import deferred_interrupts
from harness.journal.answer import RESULT_FILES, Answer, Result, file_of
from harness.journal.events import Answered, RunEnded
from harness.journal.explored import Explored
from harness.journal.history import read_history
from harness.journal.matrix import GuardMatrix
from harness.journal.witness import digest_file
from harness.journal.writer import Journal
from harness.render.answers import FORMATS, answer_of, write_reports
from harness.run.drill import run_started
from harness.run.judge import judge_run, newest_beside
from harness.run.place import Place, name_run, point_latest, run_folder
from harness.scenario.models import LoadedScenario, VerdictValue
from harness.seams.lookup import Provider

R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Searched(Generic[R]):
    """A search that is over.

    Attributes:
        result: what it found.
        folder: that has it.
    """

    result: R
    folder: Path

    @property
    def answer(self) -> Answer:
        """The result in the words of a run."""
        return answer_of(self.result)

    @property
    def value(self) -> VerdictValue:
        """Held, breached or undecided, as the exit code tells it."""
        return self.answer.value

    def __repr__(self) -> str:
        """What a failing test shows of it."""
        answer = self.answer
        return f"<{answer.verb} of {answer.subject}: {answer.value}; {answer.headline} See {self.folder}>"


class Recording:
    """Keeps one search.

    Args:
        loaded: the scenario it is about.
        what: the verb, and what else names the folder.
        place: has the folder for all of them.
        clock: for the journal.
        provider: what replicas run on, unless the scenario says what it needs.

    Attributes:
        folder: of this search.
        journal: open until the block is left.

    Raises:
        HarnessError: the folder cannot be made.
    """

    def __init__(
        self,
        loaded: LoadedScenario,
        what: str,
        place: Place,
        clock: SystemClock,
        provider: Provider = "embedded",
    ) -> None:
        resolved = loaded.model_dump_json(by_alias=True)
        self.folder = run_folder(place, name_run(f"{loaded.id}-{what}", clock.stamp().wall), resolved)
        self._place = place
        self._clock = clock
        self._began, self._cpu = clock.stamp(), clock.cpu()
        self.journal = Journal(self.folder, clock)
        self.journal.write(run_started(self.folder.name, loaded, resolved, provider))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.journal.close()

    def keep(self, result: R) -> Searched[R]:
        """Write a result and its reports; ``reports/latest`` points at it, unless somebody ended it.

        Raises:
            HarnessError: something cannot be written.
        """
        file = self.folder / file_of(result)
        text = result.model_dump_json(indent=1) + "\n"
        with deferred_interrupts():
            try:
                file.write_text(text, encoding="utf-8")
                self.journal.write(Answered(file=file.name, sha256=digest_file(file)))
                took = self._clock.stamp().since(self._began)
                self.journal.write(RunEnded(seconds=took, harness_cpu=self._clock.cpu() - self._cpu))
                write_reports(result, self.folder.name, self.folder)
            except OSError as error:
                raise HarnessError(
                    f"cannot write into {self.folder}: {error}",
                    hint="free some space, or choose another with --reports",
                ) from error
            if not result.interrupted:
                point_latest(self._place, self.folder.name)
        return Searched(result, self.folder)


def stored_result(folder: Path) -> Result | None:
    """What a search found; None when the folder is that of a run.

    Args:
        folder: of either.

    Raises:
        RequestError: the result is there, and cannot be read.
    """
    for name, kind in RESULT_FILES.items():
        file = folder / name
        if file.is_file():
            try:
                return kind.model_validate_json(file.read_bytes())
            except (OSError, ValidationError) as error:
                first = str(error).partition("\n")[0]
                raise RequestError(
                    f"{file} is no result of a search: {first}",
                    hint="have it made again by the verb that wrote it",
                ) from None
    return None


def problem_with(folder: Path) -> str | None:
    """What is wrong with the record of a search; None when it is as it was written.

    Raises:
        JournalError: it has no journal.
    """
    return read_history(folder).problem


def render_again(result: Result, folder: Path, out: Path, reports: Sequence[str]) -> tuple[Path, ...]:
    """Write reports of a stored search.

    Args:
        result: as it is stored.
        folder: that has it.
        out: where to; made if it is not there.
        reports: names of reporters.

    Returns:
        The files.

    Raises:
        RequestError: the record is not as it was written, or there is no such report of a search.
        HarnessError: one cannot be written.
    """
    unknown = [name for name in reports if name not in FORMATS]
    if unknown:
        raise RequestError(
            f"of a search there is no report {unknown[0]}",
            hint=f"there are: {', '.join(FORMATS)}{newest_beside(folder)}",
        )
    problem = problem_with(folder)
    if problem:
        raise RequestError(f"{folder} cannot be trusted: {problem}", hint="have the search made again")
    try:
        out.mkdir(parents=True, exist_ok=True)
        return write_reports(result, folder.resolve().name, out, reports)
    except OSError as error:
        raise HarnessError(
            f"cannot write reports into {out}: {error}", hint="free some space, or choose another with --out"
        ) from error


def judged_again(result: Result, folder: Path) -> Result:
    """A result as it follows from what is recorded: its own trials, and the runs that lie beside it.

    Raises:
        RequestError: a run that it rests on is not there.
    """
    match result:
        case GuardMatrix():
            trials = (
                trial.model_copy(update={"verdicts": judge_run(_beside(folder, trial.run_id)).verdicts})
                if trial.run_id
                else trial
                for trial in result.trials
            )
            return result.model_copy(update={"trials": tuple(trials)})
        case Explored():
            run = judge_run(_beside(folder, Path(result.run).name)).verdicts if result.run else ()
            return result.judged(run)
    return result


def _beside(folder: Path, run_id: str) -> Path:
    found = folder.resolve().parent / run_id
    if not found.is_dir():
        raise RequestError(
            f"{folder} rests on the run {run_id}, which is not beside it",
            hint="put the run folders back beside it; what was told of them is in its verdicts.json",
        )
    return found
