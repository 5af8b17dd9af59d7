"""report.pdf: the page of a run or a search on paper, for a reader who files what they are given.

Made by WeasyPrint (the extra ``pdf``) from the very text of index.html, with what its style sheet says for
print, tagged for screen readers (PDF/UA-1). Nothing is loaded: whoever asks for an address is refused. The
same page gives the same bytes on one machine: there is no date in the file, its identifier is the page's
digest, and letters are those of the machine's fonts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import MissingToolError
from harness.journal.record import RunRecord
from harness.render import html
from harness.render.page import style_sheet

FILE = "report.pdf"
PANGO = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
"""Debian's packages of what WeasyPrint loads."""

SVG = "{http://www.w3.org/2000/svg}"
VARIABLE = re.compile(r"var\((--[\w-]+)(?:, *(var\(--[\w-]+\)))?\)")
"""One that holds, or else the other: what the style sheet uses."""


class PdfReporter:
    """Writes report.pdf."""

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path.

        Raises:
            MissingToolError: WeasyPrint or what it loads is not on this machine.
        """
        path = out / FILE
        path.write_bytes(document(html.page(record), record.run_id))
        return path


def trouble() -> str | None:
    """Why nothing can be printed on this machine; None when it can."""
    try:
        # Its first import loads Pango.
        import weasyprint  # noqa: F401
    except ImportError:
        return "WeasyPrint is not installed"
    except OSError:
        return "there is no Pango, which WeasyPrint loads"
    return None


def document(page: str, run_id: str) -> bytes:
    """A page as a tagged PDF.

    Args:
        page: one of ours, as text: its one style sheet is ``report.css``.
        run_id: stands at the foot of every sheet.

    Raises:
        MissingToolError: WeasyPrint or what it loads is not on this machine.
    """
    lacking = trouble()
    if lacking:
        raise MissingToolError(
            f"a PDF cannot be made here: {lacking}",
            hint=f"pip install 'ninelives[pdf]', and apt-get install {PANGO}",
        )
    from weasyprint import HTML
    from weasyprint.urls import URLFetcher

    paper = HTML(string=page, url_fetcher=URLFetcher(allowed_protocols=()))
    paper.etree_element.find("body").set("data-run", f"run {run_id}")
    paint(paper.wrapper_element)
    printed: bytes = paper.write_pdf(
        pdf_variant="pdf/ua-1", pdf_identifier=hashlib.sha256(page.encode()).digest()
    )
    return printed


def paint(root: Any) -> None:
    """Give every element of a drawing the style that the page's style sheet has for it on paper.

    WeasyPrint reads a drawing as a document of its own, to which the page's rules and variables do not reach.

    Args:
        root: the page, as a ``cssselect2.ElementWrapper``.
    """
    for wrapper in root.iter_subtree():
        if not wrapper.etree_element.tag.startswith(SVG):
            continue
        inherited = _inherited(wrapper)
        style = {name: value for name, value in _declared(wrapper) if not name.startswith("--")}
        # It has no paint-order: the rim would cover the letters that it is to stand behind.
        if style.pop("paint-order", None):
            for name in ("stroke", "stroke-width", "stroke-linejoin"):
                style.pop(name, None)
        told = "; ".join(f"{name}: {_resolved(value, inherited)}" for name, value in style.items())
        if told:
            wrapper.etree_element.set("style", told)


def _declared(wrapper: Any) -> Iterator[tuple[str, str]]:
    """What the style sheet says of one element, the strongest last."""
    for _, _, _, declarations in _rules().match(wrapper):
        yield from declarations


def _inherited(wrapper: Any) -> dict[str, str]:
    """The custom properties, and the colour, that an element has from itself and its ancestors."""
    found: dict[str, str] = {}
    for each in _lineage(wrapper):
        found |= {name: value for name, value in _declared(each) if name.startswith("--") or name == "color"}
    return found


def _lineage(wrapper: Any) -> tuple[Any, ...]:
    """An element behind its ancestors, the root first."""
    return (wrapper,) if wrapper.parent is None else (*_lineage(wrapper.parent), wrapper)


def _resolved(value: str, inherited: Mapping[str, str]) -> str:
    """A value without variables, which WeasyPrint's drawings do not know."""
    value = value.replace("currentColor", inherited.get("color", "currentColor"))
    while (use := VARIABLE.search(value)) is not None:
        value = value[: use.start()] + inherited.get(use[1], use[2] or "inherit") + value[use.end() :]
    return value


@cache
def _rules() -> Any:
    """The rules of the style sheet that hold on paper, by selector."""
    import cssselect2
    import tinycss2

    matcher = cssselect2.Matcher()
    for rule in _on_paper(tinycss2.parse_stylesheet(style_sheet(), skip_comments=True, skip_whitespace=True)):
        declarations = [
            (declaration.name, tinycss2.serialize(declaration.value).strip())
            for declaration in tinycss2.parse_blocks_contents(rule.content)
            if declaration.type == "declaration"
        ]
        try:
            selectors = cssselect2.compile_selector_list(rule.prelude)
        except cssselect2.SelectorError:
            continue
        for selector in selectors:
            matcher.add_selector(selector, declarations)
    return matcher


def _on_paper(rules: Iterator[Any]) -> Iterator[Any]:
    import tinycss2

    for rule in rules:
        if rule.type == "qualified-rule":
            yield rule
        elif rule.type == "at-rule" and tinycss2.serialize(rule.prelude).strip() == "print":
            yield from _on_paper(tinycss2.parse_blocks_contents(rule.content))
