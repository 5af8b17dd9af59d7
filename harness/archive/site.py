"""A site over many runs: an index, a page for each scenario with its history, and the page of every run.

Everything is a file that loads nothing and runs nothing: what filters is the style sheet. Each run is judged
again from its journal, and its page is drawn from that; ``site.json`` keeps what came out, so that a run
whose files are as they were is not judged the next time. What of a former site is over is removed.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Literal

from jinja2 import Template
from markupsafe import Markup
from pydantic import Field, ValidationError

import harness
from harness.archive.comparison import Comparison, Moved, compare
from harness.archive.kept import Kept, kept_of
from harness.errors import HarnessError, RequestError
from harness.facts import Fact
from harness.journal.answer import RESULT_FILES
from harness.journal.record import Figure
from harness.journal.witness import digest_file
from harness.render import html
from harness.render.charts import Point, trend
from harness.render.page import page_environment
from harness.render.wording import amount, clean, day, listing, quantity
from harness.run.judge import SCENARIO, judge_begun

INDEX = "index.html"
CONTENTS = "site.json"
RUNS, SCENARIOS = "runs", "scenarios"

MOST_ROWS = 500
"""Runs in one table."""
MOST_POINTS = 30
"""Runs in one trend: on the narrowest screen ten pixels are left for each."""
MOST_MARKS = 12
MOST_NAMES = 6
LONGEST_NAME = 60
LONGEST = 500

TIMES = (("rpo", "Recovery point"), ("rto", "Recovery time"))
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class Published(Fact):
    """A run of the site.

    Attributes:
        name: of its folder.
        evidence: SHA-256 over what the run is judged by.
        title: of its scenario.
        run: what came of it.
        drawn: SHA-256 of its page.
    """

    name: str
    evidence: str
    title: str
    run: Kept
    drawn: str = ""


class Unreadable(Fact):
    """A folder that tells nothing."""

    name: str
    why: str


class Contents(Fact):
    """site.json: what a site holds, and what tells that a folder is one.

    Attributes:
        ninelives: the version that wrote it.
        runs: the newest first.
        files: every page, by its path in the site.
    """

    schema_: Literal[1] = Field(1, alias="schema")
    site: Literal["ninelives"] = "ninelives"
    ninelives: str
    runs: tuple[Published, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A run as a table shows it.

    Attributes:
        published: the run.
        before: the one before it of its scenario.
    """

    published: Published
    before: Kept | None = None

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
    def turned(self) -> tuple[str, ...]:
        """The objectives with another verdict than in the run before; those that turned alike together."""
        if self.before is None:
            return ()
        alike: dict[str, list[str]] = {}
        for one in compare(self.before, self.run).verdicts:
            if one.before != one.after:
                way = f"{one.before or 'not judged'} \N{RIGHTWARDS ARROW} {one.after or 'not judged'}"
                alike.setdefault(way, []).append(clean(one.objective, LONGEST_NAME))
        return tuple(f"{listing(names, MOST_NAMES)}: {way}" for way, names in alike.items())


@dataclass(frozen=True)
class History:
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

    @property
    def difference(self) -> Comparison | None:
        """The newest run against the one before it."""
        return compare(self.newest.before, self.newest.run) if self.newest.before else None

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


def publish(folders: Sequence[Path], out: Path, tell: Callable[[int, int], None]) -> Contents:
    """Write a site, or bring one up to date.

    Args:
        folders: of the runs. Those of searches are left out.
        out: made if it is not there; empty, or a site already.
        tell: is called with how many runs were read, and how many there are.

    Returns:
        What it holds.

    Raises:
        RequestError: there is no folder, ``out`` holds something else, or two folders have one name.
        HarnessError: it cannot be written.
    """
    if not folders:
        # Of a wrong folder of reports nothing would be found, and every page removed.
        raise RequestError(
            "there is no run to write pages of", hint="name runs, or their folder by --reports"
        )
    former = _former(out)
    named = _by_name(folders)
    known = {one.name: one for one in former.runs if former.ninelives == harness.__version__}
    runs: list[Published] = []
    unreadable: list[Unreadable] = []
    try:
        # Named before it is written, each page is known as ours if this is interrupted.
        _keep(out, former, former.files, map(page_of, named))
        for n, (name, folder) in enumerate(named.items()):
            try:
                if (one := _published(folder, name, known.get(name), out)) is not None:
                    runs.append(one)
            except HarnessError as error:
                # Where it lies on this machine is nobody's business who reads the site.
                why = error.message.replace(str(folder), name)
                unreadable.append(Unreadable(name=clean(name), why=clean(why, LONGEST)))
            tell(n + 1, len(named))
        runs.sort(key=lambda one: (one.run.started, one.name), reverse=True)
        drawn = dict(pages(tuple(runs), tuple(unreadable)))
        contents = Contents(ninelives=harness.__version__, runs=tuple(runs), unreadable=tuple(unreadable))
        files = {*drawn, *(page_of(one.name) for one in runs)}
        over = {*former.files, *map(page_of, named)} - files
        _keep(out, contents, files, over)
        for path, text in drawn.items():
            _write(out / path, text)
        for path in over:
            _remove(out, path)
        contents = _keep(out, contents, files)
    except OSError as error:
        raise HarnessError(
            f"the site cannot be written into {out}: {error}",
            hint="free some space, or name another folder; what is there is brought up to date the next time",
        ) from error
    return contents


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


def _by_name(folders: Sequence[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for folder in folders:
        whole = folder.resolve()
        # Some file systems take two names for one that differ in capitals only.
        if (other := named.setdefault(whole.name.casefold(), whole)) != whole:
            raise RequestError(
                f"two runs are named {whole.name}: {other} and {whole}",
                hint="name one of them; pages are named after the folder of their run",
            )
    return {folder.name: folder for folder in named.values()}


def _former(out: Path) -> Contents:
    """What a folder holds already."""
    nothing = Contents(ninelives=harness.__version__)
    try:
        if not out.exists() or not any(out.iterdir()):
            return nothing
        found = Contents.model_validate_json((out / CONTENTS).read_bytes())
    except FileNotFoundError:
        raise RequestError(
            f"{out} holds something that is no site: it has no {CONTENTS}",
            hint="name an empty folder, or one that is not there yet",
        ) from None
    except ValidationError as error:
        raise RequestError(
            f"{out / CONTENTS} is not that of a site, or of another version of ninelives",
            hint="remove that folder, or name another",
        ) from error
    except OSError as error:
        raise RequestError(f"{out} cannot be read: {error}", hint="name another folder") from error
    return found


def _published(folder: Path, name: str, former: Published | None, out: Path) -> Published | None:
    """A run, with its page written; None if the folder is that of a search.

    Raises:
        HarnessError: it is no run to be read.
        OSError: the page cannot be written.
    """
    if any((folder / result).exists() for result in RESULT_FILES):
        return None
    if not _is_text(name):
        raise RequestError("the name of its folder is not UTF-8", hint="rename it")
    evidence = _evidence(folder)
    page = out / page_of(name)
    if former is not None and former.evidence == evidence and _is_as_drawn(page, former.drawn):
        return former
    record = judge_begun(folder)
    run = kept_of(record, folder).model_copy(update={"folder": ""})
    _write(page, html.page(record))
    title = record.scenario.scenario.title
    return Published(name=name, evidence=evidence, title=title, run=run, drawn=digest_file(page))


def _is_as_drawn(page: Path, digest: str) -> bool:
    """Whether nobody has changed a page since it was written."""
    return page.is_file() and digest_file(page) == digest


def _evidence(folder: Path) -> str:
    """A digest over every file that a run is judged by: its scenario, journal, ledger and rows."""
    files = sorted({folder / SCENARIO, *folder.glob("*.jsonl")})
    told = (f"{path.name} {digest_file(path)}\n" for path in files if path.is_file())
    return hashlib.sha256("".join(told).encode(errors="surrogateescape")).hexdigest()


def pages(runs: tuple[Published, ...], unreadable: tuple[Unreadable, ...]) -> Iterator[tuple[str, str]]:
    """The pages over many runs, each with its path in the site.

    Args:
        runs: the newest first.
        unreadable: folders that tell nothing.
    """
    told = tuple(one for one in runs if not one.run.supposed)
    scenarios = _histories(told)
    rows = {row.published.name: row for scenario in scenarios for row in scenario.rows}
    newest = [rows[one.name] for one in told]
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
                difference=scenario.difference,
                moved=scenario.moved,
                shown=scenario.rows[:MOST_ROWS],
                omitted=max(0, len(scenario.rows) - MOST_ROWS),
                version=harness.__version__,
            ),
        )


def _histories(runs: Iterable[Published]) -> tuple[History, ...]:
    """By scenario, in order of their ids; runs come and stay the newest first."""
    by_id: dict[str, list[Published]] = {}
    for one in runs:
        by_id.setdefault(one.run.scenario, []).append(one)
    return tuple(
        History(
            id_,
            tuple(
                Row(one, before.run if before else None)
                for one, before in zip(of_it, [*of_it[1:], None], strict=True)
            ),
        )
        for id_, of_it in sorted(by_id.items())
    )


def _trends(scenario: History) -> Iterator[tuple[str, Markup, str]]:
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


def _is_text(name: str) -> bool:
    """Python has bytes that are not UTF-8 as surrogates, which no file of JSON can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _keep(out: Path, contents: Contents, *files: Iterable[str]) -> Contents:
    """Write site.json, with these pages in it."""
    named = contents.model_copy(update={"files": tuple(sorted({*chain(*files)}))})
    _write(out / CONTENTS, named.model_dump_json(indent=1, by_alias=True) + "\n")
    return named


def _write(path: Path, text: str) -> None:
    """Whole or not at all; a page that is as it was keeps its date."""
    data = text.encode()
    with suppress(FileNotFoundError):
        if path.read_bytes() == data:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def _remove(out: Path, path: str) -> None:
    """A page of a former site; nothing else, whatever its site.json says."""
    kind, _, name = path.partition("/")
    if kind in (RUNS, SCENARIOS) and re.fullmatch(r"[A-Za-z0-9._-]+\.html", name):
        (out / kind / name).unlink(missing_ok=True)


@cache
def _template(name: str) -> Template:
    environment = page_environment()
    environment.filters["amount"] = amount
    return environment.get_template(name)
