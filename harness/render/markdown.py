"""summary.md: the run as GitHub's and GitLab's job summaries show it, the verdict first.

GitHub takes at most 1 MiB for a step; what a scenario could make long is cut, see ``wording.clean``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.journal.record import RunRecord
from harness.render import narrative
from harness.render.story import Story
from harness.render.wording import inert

FILE = "summary.md"
MARKS = {"held": "✅", "breached": "❌", "undecided": "❔"}
_LONGEST = 600


class MarkdownReporter:
    """Writes summary.md."""

    files = (FILE,)

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path."""
        path = out / FILE
        path.write_text("\n".join(_lines(record)) + "\n", encoding="utf-8")
        return path


def _lines(record: RunRecord) -> Iterator[str]:
    story = Story(record)
    yield f"## {MARKS[record.value]} {one_line(narrative.result(story))}"
    yield ""
    yield f"**{one_line(record.scenario.id)}**: {one_line(record.scenario.scenario.title)}"
    yield ""
    for warning in narrative.warnings(story):
        yield f"> {one_line(warning)}"
        yield ""
    yield one_line(narrative.lede(story))
    yield ""
    yield "| | | |"
    yield "|---|---|---|"
    for headline in narrative.headlines(story):
        yield f"| {one_line(headline.term)} | **{one_line(headline.value)}** | {one_line(headline.note)} |"
    yield ""
    yield "| objective | verdict | expected | |"
    yield "|---|---|---|---|"
    for verdict in record.verdicts:
        said = one_line(narrative.said(story, verdict))
        name, expected = one_line(verdict.objective), story.expected(verdict)
        yield f"| {name} | {MARKS[verdict.value]} {verdict.value} | {expected} | {said} |"
    yield ""
    yield f"Run `{record.run_id}`, scenario digest `{record.scenario.digest}`."


def one_line(text: str) -> str:
    """Text of unknown origin in one line, in which nothing is Markdown, HTML, a mention or a link."""
    return inert(text, _LONGEST)
