"""The blast radius on a terminal, in a pull request and in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser
from test_in_browser import NARROW, WIDE, open_page

from harness.journal.radius import BlastRadius, Deed, Extent, grown
from harness.render.answers import write_reports
from harness.render.html import FILE as PAGE_FILE
from harness.render.radius import (
    growth_markdown,
    growth_text,
    headline,
    radius_page,
    radius_text,
)
from harness.render.wording import plain

TEXT = (
    "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>|\u202e ![](https://t.example/x) @name"
)


def deed(name: str, extent: Extent, owner: str = "agent", **more: object) -> Deed:
    found = {"found_in": "w/token.env"} if owner != "agent" else {}
    made = {"principal": "agent", "owner": owner, "service": "cloud", "name": name, "extent": extent}
    return Deed.model_validate({**made, **found, **more})


@pytest.fixture
def radius() -> BlastRadius:
    return BlastRadius(
        stack="shop/stack.yaml",
        deeds=(
            deed("delete volume", "lost with its backups", "owner", unrecoverable=("db",), copies_lost=2),
            deed("delete volume", "refused", said="Not Authorized"),
            deed("delete service", "reversible", "owner", undo="db from dumps in vault"),
            deed("delete staging", "contained"),
            deed("delete twice", "failed"),
            deed("delete none", "nothing"),
            deed("delete a copy", "lost", "owner", copies_lost=1),
        ),
        silent=("guest",),
        left_out={"s3": ("`DeleteBucket`",)},
    )


def test_the_headline_prefers_what_was_found_on_the_way(radius: BlastRadius) -> None:
    assert headline(radius) == (
        "Fewest calls to unrecoverable: 1, agent, by way of w/token.env: delete volume on cloud."
    )
    safe = radius.model_copy(update={"deeds": radius.deeds[1:]})
    assert plain(headline(safe)) == (
        "No single call makes a service unrecoverable; 1 call loses something else, with no way back seen."
    )
    whole = radius.model_copy(update={"deeds": radius.deeds[1:-1]})
    assert headline(whole) == "No single call makes anything unrecoverable."
    silent = radius.model_copy(update={"deeds": (deed("x", "failed"), deed("y", "nothing"))})
    assert headline(silent).startswith("Undecided")


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_shows_every_call_and_what_was_not_tried(radius: BlastRadius, width: int) -> None:
    text = radius_text(radius, width)
    assert max(map(len, text.splitlines())) <= width
    flat = " ".join(text.split())
    assert "7 calls made, each from the same beginning: 1 lost with its backups, 1 lost, 1 reversible" in flat
    assert "delete service on cloud (way back: db from dumps in vault)" in flat
    assert "refused: delete volume on cloud (Not Authorized)" in flat
    assert "guest: no call that is known here could be made" in flat
    assert "s3: `DeleteBucket`" in flat


def test_growth_is_told_as_text_and_as_markdown(radius: BlastRadius) -> None:
    before = radius.model_copy(update={"deeds": radius.deeds[1:]})
    growth = grown(before, radius)
    text = " ".join(growth_text(growth, before, radius, 80).split())
    assert text.startswith(
        "This change enlarges the kill set from 0 to 1; 1 call reaches further than before."
    )
    assert "delete volume on cloud: lost with its backups, it was not possible" in text
    lines = growth_markdown(growth, before, radius).splitlines()
    assert lines[0].startswith("### This change enlarges the kill set from 0 to 1")
    assert lines[-1] == (
        "| agent, by way of w/token.env | delete volume on cloud | not possible | lost with its backups |"
    )
    none = growth_markdown((), radius, radius)
    assert none == "### The blast radius did not grow: the kill set has 1 call, it had 1.\n\n"


def test_a_strangers_text_breaks_no_table_of_a_pull_request(radius: BlastRadius) -> None:
    hostile = radius.model_copy(update={"deeds": (deed(TEXT, "lost", unrecoverable=("db",)),)})
    before = radius.model_copy(update={"deeds": ()})
    row = growth_markdown(grown(before, hostile), before, hostile).splitlines()[-1]
    assert "<script>" not in row
    assert "\\|" in row
    assert "!\\[\\]\\(https\\://t.example/x\\)" in row
    assert "\\@&#8203;name" in row
    assert "\u202e" not in row


def test_the_same_radius_gives_the_same_files(radius: BlastRadius, tmp_path: Path) -> None:
    write_reports(radius, "run", tmp_path)
    again = BlastRadius.model_validate_json(radius.model_dump_json())
    assert again == radius
    assert radius_page(again) == (tmp_path / PAGE_FILE).read_text()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_can_be_read(
    browser: Browser, radius: BlastRadius, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    write_reports(radius, "run", tmp_path)
    looked = open_page(browser, tmp_path / PAGE_FILE, width=width, scheme=scheme)
    assert looked.page.get_by_text("1 call beyond recovery").first.is_visible()
    assert looked.page.locator(".radius td.breached").count() == 2
    assert looked.page.locator(".radius td.held").count() == 2
    looked.fits_its_width()
    looked.can_be_read_on_its_ground(30)
    looked.was_quiet()
    looked.context.close()


@pytest.mark.browser
def test_nothing_of_a_stranger_runs(browser: Browser, radius: BlastRadius, tmp_path: Path) -> None:
    hostile = deed(TEXT, "reversible", "owner", undo=TEXT, said=TEXT)
    write_reports(radius.model_copy(update={"stack": TEXT, "deeds": (hostile,)}), "run", tmp_path)
    looked = open_page(browser, tmp_path / PAGE_FILE, scripts=True)
    looked.page.wait_for_timeout(200)  # an image that fails to load would tell its handler by now
    assert looked.ask("window.pwned") is None
    assert looked.asked_for == [looked.page.url]
    assert "\u202e" not in looked.page.content()
    looked.context.close()
