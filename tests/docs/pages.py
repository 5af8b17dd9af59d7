"""The pages that people read, and what can be found in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TICKED = re.compile(r"`([^`\n]+)`")
CAPTION = re.compile(r"`([\w./-]+\.\w+)`[^\n]*\n*\Z")
"""A file's name in the line before a block says that the block is that file."""


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        language: as the fence says; may be empty.
        text: its content.
        caption: name of the file that it is, when the line before it says so.
    """

    language: str
    text: str
    caption: str


@dataclass(frozen=True)
class Page:
    """A page of Markdown."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its blocks of code."""
        return FENCE.sub("", self.text)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        found = []
        for match in FENCE.finditer(self.text):
            caption = CAPTION.search(self.text[: match.start()])
            found.append(Block(match[1], match[2], caption[1] if caption else ""))
        return tuple(found)

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Links that do not lead to the web."""
        return tuple(link for link in LINK.findall(self.prose) if "://" not in link)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """What a link into the page can name: headings, as GitHub spells them."""
        return frozenset(anchor(heading) for heading in HEADING.findall(self.prose))

    @cached_property
    def ticked(self) -> tuple[str, ...]:
        """Everything that stands between backticks in the prose."""
        return tuple(TICKED.findall(self.prose))


def anchor(heading: str) -> str:
    """The name that GitHub gives a heading."""
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"`|\*", "", heading).lower())
    return kept.strip().replace(" ", "-")


def pages() -> list[Page]:
    """Every page of the repository."""
    paths = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "tests/README.md",
        ROOT / "reports/README.md",
    ]
    return [Page(path) for path in sorted(paths)]


def name_of(page: Page) -> str:
    """For the ids of tests."""
    return str(page.path.relative_to(ROOT))
