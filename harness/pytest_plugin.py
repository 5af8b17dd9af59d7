"""``pytest scenarios/``: one item a scenario, each objective a subtest; fixtures to drill from Python.

pytest loads this module into every session on a machine that has Ninelives installed, so nothing of the
product is imported before a scenario is really drilled. On a terminal, ``-v`` shows the phase of the drill
that goes on.

A subtest passes when its verdict is the expected one (held, unless the scenario says otherwise). An
unexpected breach, or an expected one that did not come, fails. An unexpected *undecided* is an error, as
is a fault of the harness: neither says anything about the stack. An item of which nothing worse can be said
is an error too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _pytest.subtests import SubtestReport

    from harness.journal.events import Line
    from harness.journal.explored import Explored
    from harness.journal.matrix import GuardMatrix
    from harness.journal.radius import BlastRadius
    from harness.journal.record import Verdict
    from harness.run.drill import Drilled
    from harness.run.place import Place
    from harness.search.recording import Searched

SCENARIO_KEYS = re.compile(rb"(?=.*^id:[ \t]*\S)(?=.*^(?:stack|like|agent):)", re.MULTILINE | re.DOTALL)
"""Same as in harness.scenario.discover, which must not be imported here; a test holds them together."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ninelives")
    group.addoption(
        "--ninelives-reports", default="reports", help="folder for the run folders of drills [reports]"
    )
    group.addoption(
        "--ninelives-provider",
        default="embedded",
        choices=("embedded", "docker"),
        help="what replicas run on [embedded]",
    )
    group.addoption("--ninelives-work", default=None, help="folder in which replicas live during a drill")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect YAML files that have the top-level key of a scenario."""
    if file_path.suffix not in {".yaml", ".yml"} or not _is_scenario(file_path):
        return None
    collector: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
    return collector


def _is_scenario(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return SCENARIO_KEYS.match(file.read(65536)) is not None
    except OSError:
        return False  # somebody else's file that we may not read


class ScenarioFile(pytest.File):
    """A scenario file; holds one item."""

    def collect(self) -> Iterator[pytest.Item]:
        """Load the file; its problems are the collection error."""
        from harness.errors import HarnessError
        from harness.run.loading import load

        try:
            loaded = load(self.path)
        except HarnessError as error:
            raise self.CollectError(str(error)) from None
        yield ScenarioItem.from_parent(self, name=loaded.id, loaded=loaded)


class ScenarioItem(pytest.Item):
    """One drill. The drill and its judging are the set-up; that nothing surprises is the test."""

    def __init__(self, *, loaded: Any, **rest: Any) -> None:
        super().__init__(**rest)
        self.loaded = loaded
        self.drilled: Drilled | None = None

    def setup(self) -> None:
        """Play the drill and report each objective as a subtest; an error when that decides nothing."""
        from harness.errors import HarnessError
        from harness.run.drill import drill

        with _shown(self) as listener:
            provider = self.config.getoption("--ninelives-provider")
            self.drilled = drill(self.loaded, _place(self.config), (listener,), provider)
        if isinstance(self.drilled.fault, HarnessError):
            pytest.fail(f"{self.drilled.fault}\n  see {self.drilled.folder}", pytrace=False)
        if self.drilled.fault is not None:
            raise self.drilled.fault
        for verdict in self.drilled.record.verdicts:
            self._report(verdict)
        if {verdict.value for verdict in self.drilled.record.surprises} == {"undecided"}:
            self._fail(self.drilled)

    def runtest(self) -> None:
        """Fail when a verdict is not as expected."""
        assert self.drilled is not None
        if self.drilled.record.surprises:
            self._fail(self.drilled)

    def _fail(self, drilled: Drilled) -> None:
        names = ", ".join(f"{verdict.objective} {verdict.value}" for verdict in drilled.record.surprises)
        pytest.fail(f"not as expected: {names}\n  see {drilled.folder}/index.html", pytrace=False)

    def _report(self, verdict: Verdict) -> None:
        report = _report(self, verdict, self.loaded.scenario.expect.get(verdict.objective, "held"))
        with _uncaptured(self.config):
            self.ihook.pytest_runtest_logreport(report=report)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"scenario {self.name}"


@contextmanager
def _shown(item: pytest.Item) -> Iterator[Callable[[Line], None]]:
    """A listener that shows the phase behind the item's name, on a terminal and with ``-v``.

    pytest has written the name by then; it stands there alone again after the block, as pytest expects.
    """
    from harness.journal.events import PhaseStarted

    reporter: Any = item.config.pluginmanager.get_plugin("terminalreporter")
    live = reporter is not None and reporter.isatty and reporter.verbosity > 0

    def rewrite(text: str) -> None:
        with _uncaptured(item.config):
            reporter.rewrite(text, erase=True)
            reporter.flush()

    def listen(line: Line) -> None:
        if live and isinstance(line.body, PhaseStarted):
            text = f"{item.nodeid} ({line.body.phase})"
            rewrite(text if len(text) < reporter._tw.fullwidth else f"({line.body.phase})")

    try:
        yield listen
    finally:
        if live:
            rewrite("")
            with _uncaptured(item.config):
                reporter.rewrite(f"{item.nodeid} ")


def _uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    """What is written in the block reaches the terminal."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()


def _report(item: ScenarioItem, verdict: Verdict, expected: str) -> SubtestReport:
    # Private, as pytest has no public way to report a subtest; a session without drills never gets here.
    from _pytest.reports import TestReport
    from _pytest.subtests import SubtestContext, SubtestReport

    passed = verdict.value == expected
    text = f"{verdict.objective} {verdict.value}, expected {expected}: {verdict.summary}"
    report = TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="passed" if passed else "failed",
        longrepr=None if passed else text,
        # pytest calls a failed set-up an error.
        when="setup" if verdict.value == "undecided" and not passed else "call",
        sections=[("verdict", text)] if passed else [],
    )
    context = SubtestContext(msg=verdict.objective, kwargs={})
    return SubtestReport._new(report, context, captured_output=None, captured_logs=None)


def _place(config: pytest.Config) -> Place:
    from harness.run.place import usual_place

    work = config.getoption("--ninelives-work")
    return usual_place(Path(config.getoption("--ninelives-reports")), Path(work) if work else None)


@pytest.fixture(scope="session")
def ninelives_place(request: pytest.FixtureRequest) -> Place:
    """Where drills of this session write and work."""
    return _place(request.config)


@pytest.fixture
def ninelives_drill(request: pytest.FixtureRequest, ninelives_place: Place) -> Callable[..., Drilled]:
    """``ninelives_drill(path, guards=None)`` plays a scenario file and returns the judged run.

    Raises (when called):
        ScenarioError: the file cannot be used.
        HarnessError: the run could not begin.
    """
    from harness.run.drill import drill
    from harness.run.loading import load

    def play(path: Path, guards: tuple[str, ...] | None = None) -> Drilled:
        with _shown(request.node) as listener:
            provider = request.config.getoption("--ninelives-provider")
            return drill(load(Path(path), guards=guards), ninelives_place, (listener,), provider)

    return play


@pytest.fixture
def ninelives_guards(
    request: pytest.FixtureRequest, ninelives_place: Place
) -> Callable[..., Searched[GuardMatrix]]:
    """``ninelives_guards(path, most=40, jobs=None)`` plays a scenario under sets of its stack's guards.

    Raises (when called):
        ScenarioError: the file cannot be used.
        RequestError: its stack has no guards.
    """
    from harness.search.guards import MOST_RUNS, GuardWish, seek_guards
    from harness.search.side_by_side import processors

    def play(path: Path, most: int = MOST_RUNS, jobs: int | None = None) -> Searched[GuardMatrix]:
        provider = request.config.getoption("--ninelives-provider")
        wish = GuardWish(Path(path), provider, jobs or processors(), most)
        return _ended(lambda: seek_guards(wish, ninelives_place))

    return play


@pytest.fixture
def ninelives_blast_radius(ninelives_place: Place) -> Callable[..., Searched[BlastRadius]]:
    """``ninelives_blast_radius(stack, principals=(), guards=None, baseline=None)`` makes every destructive
    call that a principal can come to make. With the radius.json of a baseline, only what has grown is bad.

    Raises (when called):
        ScenarioError: the file cannot be used.
        RequestError: there is no such principal, or the baseline is none.
        HarnessError: the stack does not come up.
    """
    from harness.search.radius import RadiusWish, measure_radius, read_baseline

    def measure(
        stack: Path,
        principals: tuple[str, ...] = (),
        guards: tuple[str, ...] | None = None,
        baseline: Path | None = None,
    ) -> Searched[BlastRadius]:
        before = None if baseline is None else read_baseline(Path(baseline))
        wish = RadiusWish(Path(stack), tuple(principals), guards, before)
        return _ended(lambda: measure_radius(wish, ninelives_place))

    return measure


@pytest.fixture
def ninelives_explore(ninelives_place: Place) -> Callable[..., Searched[Explored]]:
    """``ninelives_explore(stack, principal, sequences=200, seconds=None, depth=10, days=0, seed=0,
    guards=None)`` looks for what a principal can break.

    Raises (when called):
        ScenarioError: the file cannot be used.
        RequestError: there is no such principal.
        HarnessError: the stack does not come up, or Hypothesis is not installed.
    """
    from harness.search.exploration import Budget
    from harness.search.explore import Wish, explore

    def search(
        stack: Path,
        principal: str,
        sequences: int | None = 200,
        seconds: float | None = None,
        depth: int = 10,
        days: int = 0,
        seed: int = 0,
        guards: tuple[str, ...] | None = None,
    ) -> Searched[Explored]:
        budget = Budget(sequences=sequences, seconds=seconds, depth=depth, days=days)
        wish = Wish(Path(stack), principal, guards, budget, seed)
        return _ended(lambda: explore(wish, ninelives_place, lambda _: None))

    return search


def _ended(search: Callable[[], Searched[Any]]) -> Searched[Any]:
    """A search that came to its end.

    Raises:
        KeyboardInterrupt: somebody ended it; what it had found is kept, and the session ends.
    """
    from harness.interrupts import gentle_interrupts

    with gentle_interrupts():
        searched = search()
    if searched.result.interrupted:
        raise KeyboardInterrupt
    return searched
