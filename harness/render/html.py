"""index.html: the whole run on one page that loads nothing and runs nothing.

No script, no font, no picture from elsewhere; a Content-Security-Policy forbids them all, so that text of a
scenario, an agent or a server cannot bring any in. Such text is escaped by the template engine, and stripped
of characters that hide or turn round what stands next to them (``harness.render.wording.clean``).

Long runs keep the page readable and small: there are upper bounds for everything that grows with a run, and
each says how much more the journal holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from jinja2 import Template
from markupsafe import Markup

from harness.errors import JournalError
from harness.facts import Fact, Resource
from harness.journal.events import (
    InvariantChecked,
    Provisioned,
    Reconstructed,
    WitnessTaken,
    WorkloadStarted,
)
from harness.journal.history import Entry
from harness.journal.record import RunRecord, Verdict
from harness.journal.witness import digest_file
from harness.journal.writer import JOURNAL_FILE
from harness.render import charts, narrative, wording
from harness.render.advice import advise
from harness.render.charts import Mark, Piece, Tally
from harness.render.exhibits import exhibits
from harness.render.fidelity import faithful
from harness.render.narrative import Scene
from harness.render.page import page_environment
from harness.render.story import Copy, Deed, Story
from harness.render.story import kinds as story_kinds
from harness.render.survival import survival
from harness.render.timeline import timeline
from harness.scenario.models import Fidelity, Guard, Setting, VerdictValue

FILE = "index.html"
NOTHING = Markup()

MOST_SCENES = 80
MOST_COPIES = 25
"""Recovery points shown at once; the older ones stand behind a line that opens."""
MOST_OLD_COPIES = 1000
MOST_EVIDENCE = 300
MOST_EXHIBITS = 200
MOST_TOUCHED = 3
LONGEST_ARGUMENTS = 400
MOST_LINES = 12
LONGEST_RUN = 60 * 86400.0
"""Seconds of traffic above which a ledger is not believed."""

LOSS_MEANINGS = {
    "known": "should have been there",
    "lost": "acknowledged, and missing or older than acknowledged",
    "missing": "of these: not there at all",
    "stale": "of these: there, as they were earlier",
    "torn": "there, with a content that was never acknowledged",
    "resurrected": "deleted, and there again",
    "phantom": "there, though nobody ever sent them",
    "indeterminate": "sent and never acknowledged, so they may be there or not",
    "acked-after-harm": "acknowledged after the harm, and gone; not counted as lost",
    "undone-writes": "acknowledged writes that are not there; several can be of one {noun}",
}

CONTENTS = (
    ("audit", "For an audit"),
    ("what-happened", "What happened"),
    ("survival", "Who reached what"),
    ("timeline", "Timeline"),
    ("traffic", "Traffic"),
    ("copies", "Recovery points"),
    ("objectives-against", "RPO and RTO"),
    ("losses", "Losses"),
    ("verdicts", "Objectives"),
    ("controls", "Controls"),
    ("guards", "Guards"),
    ("advice", "What to do"),
    ("conditions", "Conditions"),
    ("production", "Production"),
    ("method", "Method"),
    ("reproduce", "Reproduce"),
    ("exhibits", "Files"),
    ("evidence", "Evidence"),
)


class HtmlReporter:
    """Writes index.html."""

    files = (FILE,)

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path."""
        path = out / FILE
        path.write_text(page(record), encoding="utf-8", newline="\n")
        return path


def page(record: RunRecord, ways: Markup = NOTHING, since: Markup = NOTHING) -> str:
    """The page as text. The same record gives the same text, byte for byte.

    Args:
        record: of the run.
        ways: out of the page, where it is one of many.
        since: a part on what differs from the run before.
    """
    # The catalogue of controls, which nothing needs before there is a page.
    from harness.render import audit

    story = Story(record)
    files, matrix = exhibits(record.history), audit.chapters(record)
    return _template().render(
        story=story,
        ways=ways,
        since=since,
        said=lambda verdict: narrative.said(story, verdict),
        scenario=record.scenario.scenario,
        contents=CONTENTS,
        result=narrative.result(story),
        lede=narrative.lede(story),
        warnings=narrative.warnings(story),
        headlines=narrative.headlines(story),
        survival=survival(story),
        timelines=_timelines(story),
        bars=(_rpo_bar(story), _rto_bar(story)),
        losses=_losses(story),
        rebuilt=_rebuilt(story),
        invariants=tuple(story.history.of(InvariantChecked)),
        guards=_guards(story),
        advice=advise(story),
        conditions=_conditions(story),
        fidelity=record.scenario.fidelity,
        faithful=faithful(record.scenario.fidelity),
        supplied=_supplied(record.scenario.fidelity),
        services=tuple(story.history.of(Provisioned)),
        provenance=_provenance(story),
        answers=audit.answers(story, files, matrix),
        matrix=matrix,
        observed=audit.observed(),
        never=audit.NEVER,
        tones=audit.TONES,
        exhibits=files[:MOST_EXHIBITS],
        exhibits_omitted=max(0, len(files) - MOST_EXHIBITS),
        **_moments(story),
        **_traffic(story),
        **_copies(story),
        **_evidence(story),
    )


@cache
def _template() -> Template:
    environment = page_environment()
    environment.filters.update(
        age=_age,
        arguments=_arguments,
        touched=_touched,
        content=_content,
        content_of_line=_content_of_line,
    )
    return environment.get_template("report.html.j2")


def _age(seconds: float) -> str:
    if seconds < 0:
        return f"made {wording.duration(-seconds)} after the harm"
    return f"{wording.duration(seconds)} old at the harm"


def _arguments(deed: Deed) -> str:
    """The arguments of a call, one a line, as a person would write them down."""
    arguments = dict(deed.action.arguments)
    lines = []
    if isinstance(arguments.get("method"), str) and isinstance(arguments.get("path"), str):
        lines.append(f"{arguments.pop('method')} {arguments.pop('path')}")
    for key in sorted(arguments, key=lambda key: (not isinstance(arguments[key], str), key)):
        lines.append(f"{key}: {_argument(arguments[key])}")
    shown = wording.clean("\n".join(lines), LONGEST_ARGUMENTS).split("\n")
    return "\n".join([*shown[:MOST_LINES], *(["\N{HORIZONTAL ELLIPSIS}"] if len(shown) > MOST_LINES else [])])


def _argument(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) <= 3 and all(isinstance(v, str) for v in value.values()):
        return "; ".join(f"{key}: {text}" for key, text in value.items())
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _touched(resources: Sequence[Resource]) -> str:
    """Resources by kind: ``2 volume instances: production/a and staging/a``."""
    kinds = dict.fromkeys(resource.kind for resource in resources)
    said = []
    for kind in kinds:
        same = [resource for resource in resources if resource.kind == kind]
        names = [wording.clean(resource.name, 120) for resource in same]
        said.append(f"{story_kinds(same)}: {wording.listing(names, MOST_TOUCHED)}")
    return "; ".join(said)


def _content(copy: Copy, noun: str) -> str:
    if copy.compared is None:
        return "content not compared"
    if copy.differing is None:
        rows = wording.quantity(copy.compared.restored.rows, noun)
        newest = f", newest {wording.day(copy.compared.newest)}" if copy.compared.newest else ""
        return f"{rows}{newest}; covers a span"
    if copy.differing:
        return f"content differs in {wording.listing(copy.differing)}"
    return f"content equal, {wording.quantity(copy.compared.restored.rows, noun)}"


def _content_of_line(entry: Entry[Fact]) -> str:
    return wording.clean(entry.body.model_dump_json(exclude={"event"}), 500)


def _moments(story: Story) -> dict[str, object]:
    scenes = narrative.scenes(story)
    return {"scenes": _foremost(scenes), "scenes_omitted": max(0, len(scenes) - MOST_SCENES)}


def _foremost(scenes: Sequence[Scene]) -> tuple[Scene, ...]:
    """At most ``MOST_SCENES``, in order: destructive actions before what is no action, before the rest."""
    if len(scenes) <= MOST_SCENES:
        return tuple(scenes)
    order = sorted(range(len(scenes)), key=lambda n: (_weight(scenes[n]), n))
    return tuple(scenes[n] for n in sorted(order[:MOST_SCENES]))


def _weight(scene: Scene) -> int:
    if scene.deed is None:
        return 1 if scene.tone != "plain" else 2
    return 0 if scene.deed.action.harm else 3


def _timelines(story: Story) -> tuple[tuple[Markup, str], ...]:
    if not story.phases or story.started is None:
        return ()
    start, end = story.offset(story.started), story.offset(story.started) + story.seconds
    drawings = [
        (timeline(story, "whole", (start, end), "The whole run"), _whole_caption(story)),
    ]
    window = _crisis(story)
    if window and window[1] - window[0] < 0.35 * max(end - start, 1.0):
        drawing = timeline(story, "crisis", window, "From the agent's first action to the recovery")
        drawings.append((drawing, "The same, from the agent's first action to the recovery."))
    return tuple(drawings)


def _whole_caption(story: Story) -> str:
    zero = "the harm" if story.harm else "the start of the run"
    at = f", {wording.moment(story.origin.wall)}" if story.origin else ""
    return f"The whole run, {wording.duration(story.seconds)}. Zero is {zero}{at}."


def _crisis(story: Story) -> tuple[float, float] | None:
    if not story.harms:
        return None
    start = story.offset(story.deeds[0].decided)
    last = story.deeds[-1]
    ends = [story.offset(last.outcome.ended if last.outcome else last.decided)]
    if story.recovered:
        ends.append(story.offset(story.recovered.at))
    return start, max(ends)


def _traffic(story: Story) -> dict[str, object]:
    try:
        tallies = _tallies(story)
    except JournalError as error:
        return {"traffic": None, "traffic_caption": error.message}
    if not tallies:
        return {"traffic": None, "traffic_caption": "The record holds no traffic."}
    marks = [Mark(0.0, "harm", "harm")] if story.harm else []
    if story.recovered and story.recovered.ok and story.harm:
        marks.append(Mark(story.offset(story.recovered.at), "recovered", "recovered"))
    outages = [(span.start, span.end) for span in story.outages]
    tinted = "the service did not answer" + (", or was not back" if story.failed_recovery else "")
    caption = _traffic_caption(tallies) + (f" Tinted: {tinted}." if outages else "")
    return {"traffic": charts.traffic(tallies, marks, outages), "traffic_caption": caption}


def _tallies(story: Story) -> tuple[Tally, ...]:
    """The ledger, second by second; empty when there is none.

    Raises:
        JournalError: it cannot be read, or is no record of a run: its times lie months apart.
    """
    first, last = story.history.ledger.answered
    if story.origin is None or first > last:
        return ()
    if not last - first < LONGEST_RUN:
        raise JournalError("the times in the ledger make no sense", hint="play the drill again")
    seconds = story.history.ledger.per_second(story.origin)
    return tuple(Tally(second.at, 1.0, second.acked, second.refused + second.broken) for second in seconds)


def _traffic_caption(tallies: Sequence[Tally]) -> str:
    good = sum(tally.acknowledged for tally in tallies)
    bad = sum(tally.failed for tally in tallies)
    merged = charts.merged(tallies)
    step = f" One step is {wording.duration(merged[0].seconds)}." if merged else ""
    return f"{good:,} writes were acknowledged and {bad:,} failed.{step}"


def _copies(story: Story) -> dict[str, object]:
    shown = story.copies[: MOST_COPIES + MOST_OLD_COPIES]
    first = list(shown[:MOST_COPIES])
    rest = list(shown[MOST_COPIES:])
    # A survivor must not hide behind a line that has to be opened.
    first += [copy for copy in rest if copy.used]
    return {
        "copies_first": first,
        "copies_rest": [copy for copy in rest if not copy.used],
        "copies_omitted": len(story.copies) - len(shown),
    }


@dataclass(frozen=True)
class Measured:
    """One time against its objective, ready for the page."""

    title: str
    verdict: VerdictValue | None
    drawing: Markup | None
    caption: str
    pieces: tuple[Piece, ...] = ()


def _rpo_bar(story: Story) -> Measured:
    verdict = story.verdict(narrative.RPO)
    figure = verdict.figure(narrative.RPO) if verdict else None
    pieces = (Piece("work lost", figure.value, "measured", "failed"),) if figure else ()
    return _measured("Recovery point", "rpo-bar", verdict, pieces, story.scenario.objectives.rpo)


def _rto_bar(story: Story) -> Measured:
    verdict = story.verdict(narrative.RTO)
    pieces = _recovery_pieces(story, verdict)
    bar = _measured("Recovery time", "rto-bar", verdict, pieces, story.scenario.objectives.rto)
    return Measured(bar.title, bar.verdict, bar.drawing, bar.caption, pieces)


def _recovery_pieces(story: Story, verdict: Verdict | None) -> tuple[Piece, ...]:
    """The parts as the verdict counts them; as the journal has them, when nobody judged."""
    if verdict is not None:
        pieces = [
            Piece(figure.name, figure.value, "assumed" if figure.basis == "assumed" else "measured")
            for figure in verdict.figures
            if figure.unit == "s" and figure.basis != "target" and figure.name != narrative.RTO
        ]
        played = list(story.recovered.parts) if story.recovered else []
        places = [n for n, piece in enumerate(pieces) if piece.name in played]
        in_order = sorted((pieces[n] for n in places), key=lambda piece: played.index(piece.name))
        for n, piece in zip(places, in_order, strict=True):
            pieces[n] = piece
        return tuple(pieces)
    if story.recovered is None or not story.recovered.ok:
        return ()
    parts = story.recovered.parts.items()
    return tuple(Piece(part, seconds, "measured") for part, seconds in parts if seconds > 0)


def _measured(
    title: str, name: str, verdict: Verdict | None, pieces: tuple[Piece, ...], objective: timedelta | None
) -> Measured:
    value = verdict.value if verdict else None
    total = sum(piece.seconds for piece in pieces)
    if not pieces or total == float("inf"):
        reason = verdict.summary if verdict else "It was not measured, and no objective asks for it."
        return Measured(title, value, None, reason)
    said = wording.duration(total)
    assumed = sum(piece.seconds for piece in pieces if piece.basis == "assumed")
    if assumed:
        said = f"{wording.duration(total)}, of which {wording.duration(assumed)} are assumed"
    if objective is None:
        return Measured(title, value, None, f"{said}; no objective asks for it.")
    asked = objective.total_seconds()
    drawing = charts.against(name, f"{title} against its objective", pieces, asked)
    return Measured(title, value, drawing, f"{said}; {_ratio(total, asked)}.")


def _ratio(total: float, asked: float) -> str:
    objective = f"the objective of {wording.duration(asked)}"
    if asked <= 0 or total == 0:
        return f"{'beyond' if total > asked else 'within'} {objective}"
    if total <= asked:
        return f"{wording.share(total / asked)} of {objective}"
    times = total / asked
    return f"{wording.number(round(times) if times >= 10 else round(times, 1))} times {objective}"


@dataclass(frozen=True)
class Loss:
    """One line of the table of losses."""

    name: str
    count: str
    meaning: str


def _losses(story: Story) -> tuple[Loss, ...]:
    verdict = story.verdict(narrative.RPO)
    if verdict is None:
        return ()
    figures = [(name, verdict.figure(name)) for name in LOSS_MEANINGS]
    return tuple(
        Loss(
            name.replace("-", " "), wording.number(figure.value), LOSS_MEANINGS[name].format(noun=story.noun)
        )
        for name, figure in figures
        if figure
    )


def _rebuilt(story: Story) -> Reconstructed | None:
    entry = story.history.last(Reconstructed)
    return entry.body if entry else None


def _guards(story: Story) -> tuple[tuple[str, Guard, bool], ...]:
    on = set(story.scenario.scenario.guards)
    guards = story.scenario.base.guards.items()
    return tuple(sorted(((n, g, n in on) for n, g in guards), key=lambda guard: (not guard[2], guard[0])))


def _conditions(story: Story) -> tuple[tuple[str, str], ...]:
    terms = []
    for entry in story.history.of(WitnessTaken):
        tables = [f"{table.table} {table.rows:,}" for table in entry.body.content.tables]
        terms.append(
            (
                f"Data in {entry.body.service}",
                f"{wording.quantity(entry.body.content.rows, story.noun)}: {wording.listing(tables, 12)}",
            )
        )
    for started in story.history.of(WorkloadStarted):
        users = wording.quantity(started.body.users, "user")
        terms.append(("Traffic", f"{users}, {wording.number(started.body.rate)} writes a second"))
    if story.run:
        terms.append(("Machine", story.run.machine))
        terms.append(("Replicas", f"provider {story.run.provider}"))
    if story.ended:
        terms.append(
            (
                "The harness itself",
                f"{wording.duration(story.ended.harness_cpu)} of CPU in a run of "
                f"{wording.duration(story.ended.seconds)}",
            )
        )
    return tuple(terms)


def _supplied(fidelity: Fidelity | None) -> tuple[Setting, ...]:
    """What differs comes first."""
    return (*fidelity.of("different"), *fidelity.of("same")) if fidelity is not None else ()


def _provenance(story: Story) -> tuple[tuple[str, str], ...]:
    return (
        ("Scenario, SHA-256", story.scenario.digest),
        ("Journal, SHA-256", _journal_digest(story)),
        ("Journal, lines", wording.number(len(story.history.entries))),
    )


def _journal_digest(story: Story) -> str:
    if story.history.folder is None:
        return "not stored"
    try:
        return digest_file(story.history.folder / JOURNAL_FILE)
    except JournalError as error:
        return error.message


def _evidence(story: Story) -> dict[str, object]:
    wanted = {n for verdict in story.record.verdicts for n in verdict.evidence[:MOST_EVIDENCE]}
    wanted |= {entry.n for entry in story.history.of(InvariantChecked)}
    found = [entry for entry in story.history.entries if entry.n in wanted][:MOST_EVIDENCE]
    return {"evidence": found, "cited_lines": frozenset(entry.n for entry in found)}


__all__ = ["HtmlReporter", "page"]
