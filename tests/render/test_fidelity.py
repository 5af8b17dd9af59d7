"""A stack against production, beside the result of a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from harness.journal.record import RunRecord
from harness.render.fidelity import faithful
from harness.render.html import page
from harness.render.text import summarise
from harness.render.wording import plain
from harness.scenario.models import Fidelity, Setting

HOSTILE = "<script>alert(1)</script>\u202e"
SAME = Setting(name="services.vault.versioning", fate="same", here="true", there="true")
OTHER = Setting(name="a.b", fate="different", here='"15d"', there=HOSTILE, source=f"{HOSTILE} $.x")
MISSING = Setting(name="c.d", fate="not supplied", here="1")


def beside(record: RunRecord, *settings: Setting) -> RunRecord:
    """The run of a stack that was compared so."""
    fidelity = Fidelity(
        file="production.yaml", taken=date(2026, 11, 20), exports={"lock.json": "ab" * 32}, settings=settings
    )
    return replace(record, scenario=record.scenario.model_copy(update={"fidelity": fidelity}))


def test_what_differs_is_read_beside_every_figure(pocketos: RunRecord) -> None:
    record = beside(pocketos, SAME, OTHER, MISSING)
    assert 'Production differs in 1 setting: a.b is "15d" here' in " ".join(summarise(record).plain.split())
    html = plain(page(record))
    assert "Production differs in 1 setting" in html.partition('id="production"')[0]
    rows = html.partition('id="production"')[2]
    assert rows.index("a.b") < rows.index("services.vault.versioning") < rows.index("c.d")
    assert "ab" * 32 in rows
    assert "<script" not in html
    assert "\u202e" not in html


def test_what_is_the_same_needs_no_warning(pocketos: RunRecord) -> None:
    record = beside(pocketos, SAME, MISSING)
    assert "roduction differs" not in summarise(record).plain
    assert "1 setting the same on 2026-11-20, 1 setting not supplied" in plain(page(record))


def test_that_nothing_was_supplied_is_said(pocketos: RunRecord) -> None:
    assert faithful(None).partition(",")[0] in page(pocketos)
