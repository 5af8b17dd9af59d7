"""The pages over many runs: what an index and the page of a scenario tell. ``site`` puts them into a folder.

They load nothing and run nothing: what filters is the style sheet.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Any

from jinja2 import Template
from markupsafe import Markup

import harness
from harness.archive.comparison import Comparison, Moved, compare
from harness.archive.kept import Kept
from harness.controls.catalogue import Framework, frameworks
from harness.facts import Fact
from harness.journal.record import Figure
from harness.render.charts import Point, trend
from harness.render.page import page_environment
from harness.render.wording import amount, clean, day, listing, quantity

INDEX = "index.html"
RUNS, SCENARIOS = "runs", "scenarios"

MOST_ROWS = 500
"""Runs in one table."""
MOST_POINTS = 30
"""Runs in one trend: on the narrowest screen ten pixels are left for each."""
MOST_MARKS = 12
MOST_NAMES = 6
LONGEST_NAME = 60

TIMES = (("rpo", "Recovery point"), ("rto", "Recovery time"))
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class Published(Fact):
    """A run of the site.

    Attributes:
        name: of its folder.
        evidence: SHA-256 over what the run is judged by.
        title: of its scenario.
        run: what came of it.
        frameworks: short names of those that it is evidence for or against.
        before: the run that its page sets it against, as that run's ``mark``; empty if there is none.
        drawn: SHA-256 of its page.
    """

    name: str
    evidence: str
    title: str
    run: Kept
    frameworks: tuple[str, ...] = ()
    before: str = ""
    drawn: str = ""

    @property
    def mark(self) -> str:
        """Another one when it is another run, or the same with other files."""
        return f"{self.name} {self.evidence}"

    @property
    def order(self) -> tuple[datetime, str]:
        """By this, runs stand one after the other."""
        return self.run.started, self.name


class Unreadable(Fact):
    """A folder that tells nothing."""

    name: str
    why: str


@dataclass(frozen=True)
class Row:
    """A run as a table shows it.

    Attributes:
        published: the run.
        before: the one before it of its scenario.
    """

    published: Published
    before: Published | None = None

    @property
    def run(self) -> Kept:
        """What came of it."""
        return self.published.run

    @property
    def page(self) -> str:
        """Of the run, from the index."""
        return page_of(self.published.name)

    @property
    def scenario_page(self) -> str:
        """Of its scenario, from the index."""
        return scenario_page(self.run.scenario)

    @property
    def page_before(self) -> str:
        """Of the run before, from the index."""
        return page_of(self.before.name) if self.before else ""

    @property
    def came_out(self) -> str:
        """How it stands to what was expected of it."""
        if self.run.problem:
            return "the record cannot be trusted"
        if not self.run.ended:
            return "did not end"
        told = "as expected" if self.run.as_expected else "not as expected"
        return f"{told}, hypothetical" if self.run.hypothetical else told

    @property
    def rpo(self) -> str:
        """In words."""
        return _figure(self.run, "rpo")

    @property
    def rto(self) -> str:
        """In words."""
        return _figure(self.run, "rto")

    @cached_property
    def difference(self) -> Comparison | None:
        """The run against the one before it."""
        return compare(self.before.run, self.run) if self.before else None

    @property
    def turned(self) -> tuple[str, ...]:
        """The objectives with another verdict than in the run before; those that turned alike together."""
        alike: dict[str, list[str]] = {}
        for one in self.difference.verdicts if self.difference else ():
            if one.has_turned:
                way = f"{one.before or 'not judged'} \N{RIGHTWARDS ARROW} {one.after or 'not judged'}"
                alike.setdefault(way, []).append(clean(one.objective, LONGEST_NAME))
        return tuple(f"{listing(names, MOST_NAMES)}: {way}" for way, names in alike.items())

    @property
    def moved(self) -> tuple[Moved, ...]:
        """Figures that read otherwise than before: a millisecond of a day does not.

        Of what only one of the runs has, those that an objective is named after: the verdicts tell the rest.
        """
        figures = self.difference.figures if self.difference else ()
        return tuple(
            one
            for one in figures
            if _told(one.before) != _told(one.after)
            and (one.name == one.objective or (one.before and one.after))
        )


@dataclass(frozen=True)
class Series:
    """The runs of one scenario.

    Attributes:
        id: of the scenario.
        rows: the newest first; at least one.
    """

    id: str
    rows: tuple[Row, ...]

    @property
    def newest(self) -> Row:
        """Run."""
        return self.rows[0]

    @property
    def title(self) -> str:
        """As the newest run has it."""
        return self.newest.published.title

    @property
    def recent(self) -> tuple[Row, ...]:
        """The last few, the newest at the end."""
        return self.rows[MOST_MARKS - 1 :: -1] if len(self.rows) > MOST_MARKS else self.rows[::-1]

    @property
    def page(self) -> str:
        """From the index."""
        return scenario_page(self.id)


def rows(runs: Iterable[Published]) -> tuple[Row, ...]:
    """The runs that show what is, each with the one before it.

    Args:
        runs: the newest first.
    """
    told = tuple(one for one in runs if not one.run.supposed)
    row_of = {row.published.name: row for scenario in _by_scenario(told) for row in scenario.rows}
    return tuple(row_of[one.name] for one in told)


def before(run: Published, in_order: Sequence[Published]) -> Published | None:
    """The run of the same scenario that came before; None where there is none to compare with.

    Args:
        run: what one that is supposed were set against would mislead: it has none.
        in_order: those of its scenario that show what is, the oldest first.
    """
    place = 0 if run.run.supposed else bisect_left(in_order, run.order, key=lambda one: one.order)
    return in_order[place - 1] if place else None


def around(row: Row) -> tuple[Markup, Markup]:
    """What a site puts on the page of a run: the ways out of it, and what differs from the run before."""
    parts: Any = _template("site_run.html.j2").make_module({"row": row})
    return Markup(parts.ways()), Markup(parts.since_before())  # noqa: S704 (of our own template)


def pages(runs: tuple[Published, ...], unreadable: tuple[Unreadable, ...]) -> Iterator[tuple[str, str]]:
    """The pages over many runs, each with its path in the site.

    Args:
        runs: the newest first.
        unreadable: folders that tell nothing.
    """
    told = tuple(one for one in runs if not one.run.supposed)
    scenarios = _by_scenario(told)
    newest = rows(runs)
    yield (
        INDEX,
        _template("site.html.j2").render(
            runs=told,
            supposed=len(runs) - len(told),
            scenarios=scenarios,
            counts=Counter(one.run.value for one in told),
            surprises=sum(not one.run.as_expected for one in told),
            unended=sum(not one.run.ended for one in told),
            shown=newest[:MOST_ROWS],
            omitted=max(0, len(newest) - MOST_ROWS),
            frameworks=_occurring(told),
            unreadable=unreadable,
            most_marks=MOST_MARKS,
            version=harness.__version__,
        ),
    )
    for scenario in scenarios:
        yield (
            scenario.page,
            _template("site_scenario.html.j2").render(
                scenario=scenario,
                trends=tuple(_trends(scenario)),
                shown=scenario.rows[:MOST_ROWS],
                omitted=max(0, len(scenario.rows) - MOST_ROWS),
                frameworks=_occurring(row.published for row in scenario.rows),
                version=harness.__version__,
            ),
        )


def page_of(name: str) -> str:
    """The page of a run, from the index, by the name of its folder."""
    return f"{RUNS}/{name if PLAIN.fullmatch(name) else _slug(name)}.html"


def scenario_page(id_: str) -> str:
    """The page of a scenario, from the index."""
    return f"{SCENARIOS}/{_slug(id_)}.html"


def _slug(name: str) -> str:
    """A name of a file wherever files may have names, and another one for every other name."""
    worn = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    return f"{worn}.{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:12]}"


def _by_scenario(runs: Iterable[Published]) -> tuple[Series, ...]:
    """By scenario, in order of their ids; runs come and stay the newest first."""
    by_id: dict[str, list[Published]] = {}
    for one in runs:
        by_id.setdefault(one.run.scenario, []).append(one)
    return tuple(
        Series(
            id_,
            tuple(Row(one, earlier) for one, earlier in zip(of_it, [*of_it[1:], None], strict=True)),
        )
        for id_, of_it in sorted(by_id.items())
    )


def _trends(scenario: Series) -> Iterator[tuple[str, Markup, str]]:
    """Title, drawing and caption of each time that a run of the scenario has a verdict on."""
    runs = [row.run for row in scenario.rows[:MOST_POINTS]][::-1]
    for objective, title in TIMES:
        points = [
            Point(day(run.started), figure.value if figure else None, verdict.value)
            for run in runs
            if (verdict := run.verdict(objective)) is not None
            for figure in (verdict.figure(objective),)
        ]
        if not points:
            continue
        targets = [run.figure(objective, "target") for run in runs]
        asked = next((target.value for target in reversed(targets) if target), None)
        caption = f"{quantity(len(points), 'run')}, {points[0].text} to {points[-1].text}."
        if len({target.value for target in targets if target}) > 1:
            caption += " The objective was another one before; the line is that of the newest run."
        yield title, trend(f"trend-{objective}", f"{title} over runs", points, asked), caption


def _figure(run: Kept, objective: str) -> str:
    return _told(run.figure(objective, objective))


def _told(figure: Figure | None) -> str:
    return amount(figure) if figure else "\N{EN DASH}"


def _occurring(runs: Iterable[Published]) -> tuple[Framework, ...]:
    """The frameworks that any of the runs says something of, by their titles."""
    named = {name for one in runs for name in one.frameworks}
    return tuple(sorted((frameworks()[name] for name in named), key=lambda each: each.title))


@cache
def _template(name: str) -> Template:
    return page_environment(_filters()).get_template(name)


def _filters() -> str:
    """A rule of the style sheet for each framework: what of it is chosen hides the rest."""
    rule = "main:has(option.of-{0}:checked) tr.run:not(.of-{0}) {{ display: none; }}"
    return "\n".join(rule.format(name) for name in frameworks())
