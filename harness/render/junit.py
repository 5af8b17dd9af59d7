"""junit.xml: the verdicts for CI systems. One test suite for the scenario, one test case for each objective.

A test case asserts that the objective got the verdict that the scenario *expects*, because a drill that
replays a disaster as it happened is meant to breach, and a CI job that repeats it should be green while it
does. So:

- the verdict is the expected one: the case passes; its ``system-out`` tells the verdict;
- the verdict is ``undecided`` and was not expected to be: ``error``;
- any other verdict than the expected one: ``failure``; that includes an objective that was expected to be
  breached and held, since then the drill no longer shows what it was written to show.

A scenario that expects nothing in particular expects ``held``, so there a breach is a failure. The whole
message stands in the element's text, where GitLab reads it, and in its ``message``. A run that judged
nothing has one case, ``run``, in error. The exit code of ``ninelives run`` follows the same rule.

Characters that XML 1.0 forbids are replaced, see ``harness.render.wording.clean``.
"""

from __future__ import annotations

from pathlib import Path

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from harness.journal.record import RunRecord, Verdict
from harness.render.story import Story
from harness.render.wording import amount, clean, plain
from harness.scenario.models import format_duration

FILE = "junit.xml"
_LONGEST = 4000


class JUnitReporter:
    """Writes junit.xml."""

    files = (FILE,)

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path."""
        path = out / FILE
        document = JUnitXml("ninelives")
        document.add_testsuite(_suite(Story(record)))
        document.write(str(path), pretty=True)
        return path


def _suite(story: Story) -> TestSuite:
    suite = TestSuite(_text(story.scenario.id))
    if story.started:
        suite.timestamp = story.started.wall.replace(tzinfo=None).isoformat(timespec="seconds")
    for name, value in _properties(story):
        suite.add_property(name, _text(value))
    cases = [_case(story, verdict) for verdict in story.record.verdicts] or [_nothing_judged(story)]
    cases[0].time = round(story.seconds, 3)
    suite.add_testcases(cases)
    return suite


def _properties(story: Story) -> list[tuple[str, str]]:
    objectives = story.scenario.objectives
    properties = [
        ("run-id", story.record.run_id),
        ("title", story.scenario.scenario.title),
        ("verdict", story.record.value),
        ("as-expected", str(story.record.as_expected).lower()),
        ("digest", story.scenario.digest),
    ]
    if objectives.rpo is not None:
        properties.append(("rpo-objective", format_duration(objectives.rpo)))
    if objectives.rto is not None:
        properties.append(("rto-objective", format_duration(objectives.rto)))
    for name in ("rpo", "rto"):
        verdict = story.verdict(name)
        figure = verdict.figure(name) if verdict else None
        if figure:
            properties.append((f"{name}-measured-seconds", f"{figure.value:.3f}"))
    properties += [("hypothetical-guard", f"{name}: {why}") for name, why in story.hypothetical]
    return properties


def _case(story: Story, verdict: Verdict) -> TestCase:
    case = TestCase(_text(verdict.objective), classname=_text(story.scenario.id), time=0.0)
    message = _message(story, verdict)
    expected = story.expected(verdict)
    if verdict.value == expected:
        case.system_out = message
        return case
    kind = Error if verdict.value == "undecided" else Failure
    result = kind(message.partition("\n")[0], verdict.value)
    result.text = message
    case.result = [result]
    return case


def _message(story: Story, verdict: Verdict) -> str:
    lines = [f"{verdict.objective}: {verdict.value} (expected: {story.expected(verdict)}). {verdict.summary}"]
    lines += [f"{figure.name}: {amount(figure)} ({figure.basis})" for figure in verdict.figures]
    if verdict.evidence:
        lines.append(f"evidence: journal.jsonl lines {', '.join(map(str, verdict.evidence))}")
    return _text("\n".join(lines))


def _nothing_judged(story: Story) -> TestCase:
    case = TestCase("run", classname=_text(story.scenario.id), time=0.0)
    message = _text(story.history.problem or "no objective was judged")
    result = Error(message, "undecided")
    result.text = message
    case.result = [result]
    return case


def _text(text: str) -> str:
    return plain(clean(text, _LONGEST))
