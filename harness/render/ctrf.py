"""ctrf.json: the verdicts in the Common Test Report Format, one test for each objective.

What passes and what fails follows junit.xml: the verdict that the scenario expects passes. An undecided one
that was not expected is ``other``, with ``undecided`` as its raw status, since CTRF knows no error.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.journal.record import RunRecord, Verdict
from harness.render.story import Story
from harness.render.wording import clean, plain

FILE = "ctrf.json"
SPECIFICATION = "0.0.0"
STATUSES = ("passed", "failed", "skipped", "pending", "other")
_LONGEST = 4000


class CtrfReporter:
    """Writes ctrf.json."""

    files = (FILE,)

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path."""
        path = out / FILE
        path.write_text(json.dumps(_document(Story(record)), indent=1) + "\n", encoding="utf-8")
        return path


def _document(story: Story) -> dict[str, object]:
    tests = [_test(story, verdict) for verdict in story.record.verdicts] or [_nothing_judged(story)]
    tests[0]["duration"] = round(story.seconds * 1000)
    start = round(story.started.wall.timestamp() * 1000) if story.started else 0
    statuses = [test["status"] for test in tests]
    return {
        "reportFormat": "CTRF",
        "specVersion": SPECIFICATION,
        "runId": story.record.run_id,
        "generatedBy": "ninelives",
        "results": {
            "tool": {"name": "ninelives", **({"version": story.run.version} if story.run else {})},
            "summary": {
                "tests": len(tests),
                **{
                    name: statuses.count(name) for name in ("passed", "failed", "skipped", "pending", "other")
                },
                "start": start,
                "stop": start + round(story.seconds * 1000),
            },
            "tests": tests,
        },
    }


def _test(story: Story, verdict: Verdict) -> dict[str, object]:
    expected = story.expected(verdict)
    undecided = "other" if verdict.value == "undecided" else "failed"
    return {
        "name": _text(verdict.objective),
        "status": "passed" if verdict.value == expected else undecided,
        "duration": 0,
        "rawStatus": verdict.value,
        "suite": [_text(story.scenario.id)],
        "message": _text(f"{verdict.value} (expected: {expected}). {verdict.summary}"),
    }


def _nothing_judged(story: Story) -> dict[str, object]:
    return {
        "name": "run",
        "status": "other",
        "duration": 0,
        "rawStatus": "undecided",
        "suite": [_text(story.scenario.id)],
        "message": _text(story.history.problem or "no objective was judged"),
    }


def _text(text: str) -> str:
    return plain(clean(text, _LONGEST))
