"""summary.txt, and the same for a terminal: what a person must know, in ten seconds and 60 columns."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from rich.text import Text

from harness.journal.record import RunRecord, Verdict
from harness.render import narrative
from harness.render.story import Story
from harness.render.wording import clean, plain

FILE = "summary.txt"
WIDTH = 76
"""Columns of summary.txt; a terminal gets its own width, from 40 upwards."""

_NARROWEST = 40
_COLUMN = 16
_LONG_WORD = re.compile(rf"[^ \t\n]{{{_NARROWEST // 2},}}")
_PATH = re.compile(r"[\w.]*(/[\w.@%+,:*-]+)+[.;:,)]*")
_TONES = {"breached": "red", "held": "green", "undecided": "yellow"}


class TextReporter:
    """Writes summary.txt."""

    files = (FILE,)

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path."""
        path = out / FILE
        path.write_text(summarise(record).plain, encoding="utf-8")
        return path


def summarise(record: RunRecord, *, report: Path | None = None, width: int = WIDTH) -> Text:
    """The summary of a run, wrapped, ending in a newline.

    It reads the same without colours; ``.plain`` is the bare text.

    Args:
        record: the run.
        report: where index.html lies; without it the summary says that it lies beside it.
        width: columns.
    """
    story = Story(record)
    width = max(width, _NARROWEST)
    text = Text()
    tone = _TONES[record.value]
    text.append(_wrapped(narrative.result(story).upper(), width), style=f"bold {tone}")
    title = f"{record.scenario.id}: {clean(record.scenario.scenario.title, 200)}"
    text.append(_wrapped(title, width))
    for warning in narrative.warnings(story):
        text.append(_wrapped(warning, width), style="yellow")
    lede = narrative.lede(story)
    text.append("\n" + _wrapped(lede, width) + "\n")
    headlines = narrative.headlines(story)
    column = max(_COLUMN, *(len(headline.term) + 2 for headline in headlines))
    for headline in headlines:
        text.append(_entry(headline.term, f"{headline.value}, {headline.note}", width, column))
    text.append("\n")
    last = ""
    for verdict in record.verdicts:
        reason = narrative.said(story, verdict)
        if verdict.value == "undecided" and (reason == last or reason.removesuffix(".") in lede):
            reason = "for the reason above."
        _append_verdict(text, story, verdict, reason, width)
        last = narrative.said(story, verdict)
    text.append("\n" if record.verdicts else "")
    if report:
        text.append(_pointer("Report", str(report), width, column))
    else:
        text.append(_entry("Report", f"index.html, beside this file (run {record.run_id})", width, column))
    return text


def _pointer(term: str, path: str, width: int, indent: int) -> str:
    """Where something lies: in one piece, on a line of its own if there is no room for it on the first."""
    line = f"{term:<{indent}}{clean(path)}"
    return plain(line if len(line) <= width else f"{term}\n{clean(path)}") + "\n"


def _append_verdict(text: Text, story: Story, verdict: Verdict, reason: str, width: int) -> None:
    surprise = verdict.value not in ("undecided", story.expected(verdict))
    note = f" (expected: {story.expected(verdict)})" if surprise else ""
    line = _entry(verdict.value, f"{verdict.objective}{note}: {reason}", width, 11)
    text.append(line[: len(verdict.value)], style=_TONES[verdict.value])
    text.append(line[len(verdict.value) :])


def _entry(term: str, said: str, width: int, indent: int) -> str:
    return _wrapped(f"{term:<{indent}}{clean(said)}", width, " " * indent)


def _wrapped(text: str, width: int, indent: str = "") -> str:
    words = clean(text).replace("\n", " ")
    lines = textwrap.wrap(
        _LONG_WORD.sub(lambda word: _broken(word[0], width - len(indent)), words),
        width,
        subsequent_indent=indent,
        drop_whitespace=True,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return plain("\n".join(lines)) + "\n"


def _broken(word: str, width: int) -> str:
    """A word that fits on no line, in pieces; a path stays whole, so that it can be copied."""
    if len(word) <= width or _PATH.fullmatch(word):
        return word
    return " ".join(word[at : at + width] for at in range(0, len(word), width))
