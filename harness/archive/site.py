"""A site over many runs: a folder with an index, a page for each scenario, and the page of every run.

Each run is judged again from its journal, and its page is drawn from that; ``site.json`` keeps what came out,
so that a run whose files are as they were is not judged the next time. What of a former site is over is
removed.
"""

from __future__ import annotations

import hashlib
import re
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

import harness
from harness.archive.kept import kept_of
from harness.archive.pages import (
    RUNS,
    SCENARIOS,
    Published,
    Row,
    Unreadable,
    around,
    before,
    page_of,
    pages,
    rows,
)
from harness.errors import HarnessError, RequestError
from harness.facts import Fact
from harness.journal.answer import RESULT_FILES
from harness.journal.claims import claims_of
from harness.journal.record import RunRecord
from harness.journal.witness import digest_file
from harness.render import html
from harness.render.wording import clean
from harness.run.judge import SCENARIO, judge_begun

CONTENTS = "site.json"
BEGUN = ".site.part.jsonl"
"""The runs that are drawn so far, one a line, while a site is written."""

LONGEST = 500
ORDER = attrgetter("order")


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
    try:
        if former.ninelives != harness.__version__:
            # Another version may judge and draw otherwise. Its pages stay until they are drawn again.
            (out / BEGUN).unlink(missing_ok=True)
            former = Contents(ninelives=harness.__version__, files=former.files)
        # Named before it is written, each page is known as ours if this is interrupted.
        _keep(out, former, former.files, map(page_of, named))
        known = {one.name: one for one in (*former.runs, *_begun(out))}
        runs, unreadable = _brought_up_to_date(named, known, out, tell)
        drawn = dict(pages(runs, unreadable))
        contents = Contents(ninelives=harness.__version__, runs=runs, unreadable=unreadable)
        files = {*drawn, *(page_of(one.name) for one in runs)}
        over = {*former.files, *map(page_of, named)} - files
        _keep(out, contents, files, over)
        for path, text in drawn.items():
            _write(out / path, text)
        for path in over:
            _remove(out, path)
        contents = _keep(out, contents, files)
        (out / BEGUN).unlink(missing_ok=True)
    except OSError as error:
        raise HarnessError(
            f"the site cannot be written into {out}: {error}",
            hint="free some space, or name another folder; what is there is brought up to date the next time",
        ) from error
    return contents


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


def _brought_up_to_date(
    named: Mapping[str, Path], known: Mapping[str, Published], out: Path, tell: Callable[[int, int], None]
) -> tuple[tuple[Published, ...], tuple[Unreadable, ...]]:
    """Every run with its page, the newest first, and the folders that tell nothing."""
    runs: dict[str, Published] = {}
    in_order: defaultdict[str, list[Published]] = defaultdict(list)
    unreadable: list[Unreadable] = []
    for n, (name, folder) in enumerate(sorted(named.items())):
        try:
            if not _is_of_a_search(folder):
                runs[name] = one = _published(folder, name, known.get(name), in_order, out)
                if not one.run.supposed:
                    insort(in_order[one.run.scenario], one, key=ORDER)
        except HarnessError as error:
            # Where it lies on this machine is nobody's business who reads the site.
            why = error.message.replace(str(folder), name)
            unreadable.append(Unreadable(name=clean(name), why=clean(why, LONGEST)))
        tell(n + 1, len(named))
    # Names begin with the time, so the run before was mostly known; an older one may have come since, too.
    for row in rows(_newest_first(runs)):
        one = row.published
        if one.before != _mark(row.before):
            record, run = _judged(named[one.name], one.name, one.evidence)
            runs[one.name] = _drawn(record, run, row.before, out)
    return _newest_first(runs), tuple(unreadable)


def _newest_first(runs: Mapping[str, Published]) -> tuple[Published, ...]:
    return tuple(sorted(runs.values(), key=ORDER, reverse=True))


def _begun(out: Path) -> Iterator[Published]:
    """What was drawn for a site that was interrupted before it could be kept in ``site.json``."""
    with suppress(FileNotFoundError):
        for line in (out / BEGUN).read_bytes().splitlines():
            with suppress(ValidationError):  # the last one may be cut off
                yield Published.model_validate_json(line)


def _is_of_a_search(folder: Path) -> bool:
    return any((folder / result).exists() for result in RESULT_FILES)


def _published(
    folder: Path, name: str, former: Published | None, in_order: Mapping[str, Sequence[Published]], out: Path
) -> Published:
    """A run, with its page written.

    Args:
        former: what is known of it.
        in_order: the runs of each scenario that are known by now, and that it may be set against.

    Raises:
        HarnessError: it is no run to be read.
        OSError: the page cannot be written.
    """
    if not _is_text(name):
        raise RequestError("the name of its folder is not UTF-8", hint="rename it")
    evidence = _evidence(folder)
    if former is not None and former.evidence == evidence and _is_as_drawn(out / page_of(name), former.drawn):
        return former
    record, run = _judged(folder, name, evidence)
    return _drawn(record, run, before(run, in_order.get(run.run.scenario, ())), out)


def _judged(folder: Path, name: str, evidence: str) -> tuple[RunRecord, Published]:
    """A run that is judged now."""
    record = judge_begun(folder)
    run = kept_of(record, folder).model_copy(update={"folder": ""})
    about = {claim.framework for claim in claims_of((run.witnessed,)) if claim.says != "not tested"}
    return record, Published(
        name=name,
        evidence=evidence,
        title=record.scenario.scenario.title,
        run=run,
        frameworks=tuple(sorted(about)),
    )


def _drawn(record: RunRecord, run: Published, earlier: Published | None, out: Path) -> Published:
    """A run with its page, noted so that an interruption does not undo it."""
    page = out / page_of(run.name)
    _write(page, html.page(record, *around(Row(run, earlier))))
    drawn = run.model_copy(update={"before": _mark(earlier), "drawn": digest_file(page)})
    with (out / BEGUN).open("a", encoding="utf-8") as begun:
        # What was cut off before ends here.
        begun.write("\n" + drawn.model_dump_json())
    return drawn


def _mark(run: Published | None) -> str:
    return run.mark if run else ""


def _is_as_drawn(page: Path, digest: str) -> bool:
    """Whether nobody has changed a page since it was written."""
    return page.is_file() and digest_file(page) == digest


def _evidence(folder: Path) -> str:
    """A digest over every file that a run is judged by: its scenario, journal, ledger and rows."""
    files = sorted({folder / SCENARIO, *folder.glob("*.jsonl")})
    told = (f"{path.name} {digest_file(path)}\n" for path in files if path.is_file())
    return hashlib.sha256("".join(told).encode(errors="surrogateescape")).hexdigest()


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
