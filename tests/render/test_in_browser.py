"""index.html in headless Chromium: wide and narrow, light and dark, on paper, and with hostile text in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from harness.journal.record import RunRecord
from harness.render.html import HtmlReporter

pytestmark = pytest.mark.browser

WIDE, NARROW = 1280, 360
LEAST_CONTRAST = 4.5
"""WCAG 2.2, success criterion 1.4.3 (AA)."""

OPEN_ALL = "document.querySelectorAll('details').forEach(d => { d.open = true })"

CONTRASTS = """
() => {
  const parse = text => {
    const canvas = document.createElement('canvas').getContext('2d');
    canvas.fillStyle = '#000'; canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const d = canvas.getImageData(0, 0, 1, 1).data;
    return [d[0], d[1], d[2]];
  };
  const alpha = text => { const m = text.match(/rgba\\(.*,\\s*([\\d.]+)\\)/); return m ? Number(m[1]) : 1; };
  const light = rgb => {
    const [r, g, b] = rgb.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [x, y] = [light(parse(a)), light(parse(b))];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  };
  const painted = color => color && color !== 'none' && color !== 'transparent' && alpha(color) > 0;
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (painted(color)) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const behind = text => {
    const style = getComputedStyle(text);
    if (painted(style.stroke) && parseFloat(style.strokeWidth) >= 3) return style.stroke;
    const box = text.getBoundingClientRect();
    const at = document.elementsFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    for (const e of at) {
      if (e.closest('text')) continue;
      const fill = getComputedStyle(e).fill;
      if (e instanceof SVGGeometryElement && painted(fill)) return fill;
    }
    return ground(text.closest('svg').parentElement);
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, element = node.parentElement;
    if (!node.data.trim() || element.closest('title, desc, style')) continue;
    const range = document.createRange(); range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (!box.width || getComputedStyle(element).visibility === 'hidden' || box.right < 0) continue;
    const drawn = element.closest('svg');
    const color = drawn ? getComputedStyle(element).fill : getComputedStyle(element).color;
    found.push([node.data.trim().slice(0, 40), ratio(color, drawn ? behind(element) : ground(element))]);
  }
  return found;
}
"""

BEYOND = """
() => {
  const limit = document.documentElement.clientWidth + 0.5;
  return [...document.body.querySelectorAll('*')]
    .filter(e => !e.closest('.scroll') && !e.closest('.skip') && e.getBoundingClientRect().right > limit)
    .map(e => e.tagName + ' ' + e.getAttribute('class') + ' ' + e.getBoundingClientRect().right);
}
"""

OVERLAPS = """
() => {
  const hits = [];
  for (const svg of document.querySelectorAll('svg.drawing')) {
    const texts = [...svg.querySelectorAll('text')].filter(t => getComputedStyle(t).display !== 'none');
    const boxes = texts.map(t => t.getBoundingClientRect());
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
      const [a, b] = [boxes[i], boxes[j]];
      const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (x > 1 && y > 3) hits.push(texts[i].textContent + ' | ' + texts[j].textContent);
    }
  }
  return hits;
}
"""


@dataclass
class Looked:
    """A page that was opened, and what the browser noticed meanwhile."""

    page: Page
    context: BrowserContext
    asked_for: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)

    def fits_its_width(self) -> None:
        assert self.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert self.ask(BEYOND) == []

    def can_be_read_on_its_ground(self, least_texts: int) -> None:
        found = self.ask(CONTRASTS)
        assert len(found) > least_texts
        assert [(text, round(ratio, 2)) for text, ratio in found if ratio < LEAST_CONTRAST] == []

    def was_quiet(self) -> None:
        assert self.asked_for == [self.page.url]
        assert self.complaints == []


def look(
    browser: Browser,
    record: RunRecord,
    folder: Path,
    *,
    width: int = WIDE,
    scheme: Literal["light", "dark"] = "light",
    scripts: bool = False,
) -> Looked:
    return open_page(
        browser, HtmlReporter().render(record, folder), width=width, scheme=scheme, scripts=scripts
    )


def open_page(
    browser: Browser,
    path: Path,
    *,
    width: int = WIDE,
    scheme: Literal["light", "dark"] = "light",
    scripts: bool = False,
) -> Looked:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    looked = Looked(context.new_page(), context)
    looked.page.on("console", lambda message: looked.complaints.append(message.text))
    looked.page.on("pageerror", lambda error: looked.complaints.append(str(error)))
    looked.page.on("dialog", lambda dialog: looked.complaints.append(dialog.message))
    context.on("request", lambda request: looked.asked_for.append(request.url))
    looked.page.goto(path.as_uri(), wait_until="load")
    return looked


@pytest.fixture(
    scope="module",
    params=[(w, s) for w in (WIDE, NARROW) for s in ("light", "dark")],
    ids=lambda p: f"{p[0]}-{p[1]}",
)
def looked(
    request: pytest.FixtureRequest,
    browser: Browser,
    pocketos: RunRecord,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Looked]:
    """The PocketOS page in each width and scheme, without JavaScript."""
    width, scheme = request.param
    looked = look(browser, pocketos, tmp_path_factory.mktemp("page"), width=width, scheme=scheme)
    yield looked
    looked.context.close()


def test_it_reads_without_javascript_network_or_complaint(looked: Looked) -> None:
    for text in ("Breached, as the scenario expects", "1 of 13 copies", "37,646 rows"):
        assert looked.page.get_by_text(text, exact=True).first.is_visible()
    looked.was_quiet()


def test_it_fits_its_width_and_leaves_a_picture(looked: Looked, tmp_path: Path) -> None:
    looked.ask(OPEN_ALL)
    looked.fits_its_width()
    picture = looked.page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 50_000


def test_every_text_can_be_read_on_its_ground(looked: Looked) -> None:
    looked.ask(OPEN_ALL)
    size = looked.page.viewport_size
    looked.page.set_viewport_size({**size, "height": looked.ask("document.documentElement.scrollHeight")})
    looked.can_be_read_on_its_ground(200)
    looked.page.set_viewport_size(size)


def test_labels_of_drawings_do_not_run_into_each_other(looked: Looked) -> None:
    assert looked.ask(OVERLAPS) == []


def test_no_column_of_the_recovery_points_is_out_of_sight_on_a_narrow_page(looked: Looked) -> None:
    width = looked.page.viewport_size["width"]
    cells = looked.page.locator(".points tr.used > *")
    boxes = [cells.nth(n).bounding_box() for n in range(cells.count())]
    assert len(boxes) == 6
    assert all(box["x"] + box["width"] <= width for box in boxes)
    stacked = len({box["y"] for box in boxes}) == 6
    assert stacked is (width == NARROW)
    if stacked:
        label = "getComputedStyle(document.querySelectorAll('.points tr.used td')[3], '::before').content"
        assert looked.ask(label) == '"Lies in"'


def test_the_scheme_is_followed(looked: Looked) -> None:
    dark = looked.ask("matchMedia('(prefers-color-scheme: dark)').matches")
    ground = looked.ask("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in ground[4:-1].split(",")) < 384) is dark


def test_an_odd_run_fits_both_widths_too(browser: Browser, odd_run: RunRecord, tmp_path: Path) -> None:
    looked = look(browser, odd_run, tmp_path)
    looked.ask(OPEN_ALL)
    for width in (WIDE, NARROW):
        looked.page.set_viewport_size({"width": width, "height": 900})
        looked.fits_its_width()
        assert looked.ask(OVERLAPS) == []
    assert looked.complaints == []
    looked.context.close()


def test_nothing_of_a_stranger_runs_or_is_asked_for(
    browser: Browser, hostile: RunRecord, tmp_path: Path
) -> None:
    looked = look(browser, hostile, tmp_path, scripts=True)
    looked.ask(OPEN_ALL)
    looked.page.wait_for_timeout(200)  # an image that fails to load would tell its handler by now
    assert looked.ask("window.pwned") is None
    assert looked.complaints == []
    assert looked.asked_for == [(tmp_path / "index.html").as_uri()]
    assert "<script>window.pwned=1</script>" in looked.page.inner_text("main")
    looked.context.close()


def test_the_policy_stops_a_script_even_if_one_got_in(
    browser: Browser, pocketos: RunRecord, tmp_path: Path
) -> None:
    path = HtmlReporter().render(pocketos, tmp_path)
    html = path.read_text(encoding="utf-8")
    bad = "<script>window.pwned=1</script><img src=https://example.invalid/x onerror='window.pwned=1'>"
    path.write_text(html.replace("<main>", f"<main>{bad}"), encoding="utf-8")
    context = browser.new_context(java_script_enabled=True)
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.goto(path.as_uri())
    opened.wait_for_timeout(200)  # as above
    assert opened.evaluate("window.pwned") is None
    assert any("Content Security Policy" in text for text in said)
    context.close()


def test_on_paper_nothing_is_folded_away(browser: Browser, pocketos: RunRecord, tmp_path: Path) -> None:
    looked = look(browser, pocketos, tmp_path)
    looked.page.emulate_media(media="print")
    assert not looked.page.locator(".contents").is_visible()
    assert looked.page.get_by_role("cell", name="run-started").count() == 0
    evidence = looked.page.locator("#line-45")
    assert evidence.bounding_box()["height"] > 0
    assert looked.page.pdf().startswith(b"%PDF")
    looked.context.close()


def test_a_link_to_evidence_opens_what_it_points_at(
    browser: Browser, pocketos: RunRecord, tmp_path: Path
) -> None:
    looked = look(browser, pocketos, tmp_path)
    assert not looked.page.locator("#line-45").is_visible()
    looked.page.locator("a[href='#line-45']").first.click()
    assert looked.page.locator("#line-45").is_visible()
    looked.context.close()
