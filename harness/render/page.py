"""What all pages share: a style sheet, a policy that lets nothing else in, and how values are shown."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, compiler
from markupsafe import Markup

from harness.render import charts, narrative, wording
from harness.render.compiled import CompiledTemplates


def page_environment(more_css: str = "") -> Environment:
    """Templates, with the filters that all of them use; a page adds its own.

    Every text is escaped, and stripped of what hides or turns round its neighbours. ``css`` and ``policy``
    stand for the style sheet and the Content-Security-Policy that allows it and nothing else.

    Args:
        more_css: rules of our own, after those that all pages share.
    """
    environment = Environment(
        loader=PackageLoader("harness.render"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=CompiledTemplates(
            Path(__file__).with_name("templates"), (Path(__file__), Path(compiler.__file__))
        ),
    )
    css = style_sheet() + more_css
    environment.globals.update(css=Markup(css), policy=_policy(css), glyphs=charts.GLYPHS)  # noqa: S704 (our own)
    environment.filters.update(
        duration=wording.duration,
        number=wording.number,
        quantity=wording.quantity,
        size=wording.size,
        share=wording.share,
        moment=wording.moment,
        day=wording.day,
        offset=wording.offset,
        amount=wording.amount,
        listing=wording.listing,
        sentence=narrative.full_stop,
        short=lambda text: wording.clean(text, 200),
        words=lambda name: name.replace("-", " "),
    )
    return environment


@cache
def style_sheet() -> str:
    """That of every page."""
    return files("harness.render").joinpath("templates/report.css").read_text(encoding="utf-8")


def _policy(css: str) -> str:
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    rest = "img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; style-src 'sha256-{digest}'; {rest}"


def _shown(value: object) -> object:
    """Every value on its way into the page: text of unknown origin is cleaned, markup of ours is not."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return wording.clean(value)
    return value
