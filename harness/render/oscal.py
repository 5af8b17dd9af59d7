"""assessment-results.json, with assessment-plan.json beside it: a run for tools that read OSCAL 1.2.

What was observed stands there as observations, each with its evidence by digest. A finding is made only where
NIST's own assessment procedure has a statement so narrow that observations decide it (``decides`` in the
catalogue); what is undecided or was not tested has none. So nothing here says that a control is satisfied.

Every identifier follows from the digest of the journal, so the same record gives the same documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from harness.controls.catalogue import SEPARATOR, Control, Determination, frameworks, observations
from harness.journal.claims import Check, checks, is_evidence_for
from harness.journal.record import RunRecord, Verdict
from harness.journal.writer import JOURNAL_FILE
from harness.render.exhibits import Exhibit, exhibits
from harness.render.fidelity import faithful
from harness.render.narrative import full_stop
from harness.render.story import Story
from harness.render.wording import inert, line

FILE = "assessment-results.json"
PLAN_FILE = "assessment-plan.json"
OSCAL = "1.2.1"
FRAMEWORK = "nist-800-53"
NAMESPACE = "urn:ninelives"
UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the time of a run whose journal has no line."""

Part = Mapping[str, object]


class OscalReporter:
    """Writes assessment-results.json and the assessment-plan.json that it refers to."""

    files = (PLAN_FILE, FILE)

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write both into the folder ``out`` and return the path of the results."""
        assessed = _Assessed(Story(record))
        for name, document in ((PLAN_FILE, _plan(assessed)), (FILE, _results(assessed))):
            text = json.dumps(document, indent=1, ensure_ascii=False)
            (out / name).write_text(text + "\n", encoding="utf-8")
        return out / FILE


@dataclass(frozen=True)
class _Assessed:
    """A run, with what both documents say of it."""

    story: Story

    def id(self, *parts: str) -> str:
        """The identifier of a part: the same in both documents, another in those of another run."""
        return str(uuid5(NAMESPACE_URL, "/".join((NAMESPACE, self._digest, *parts))))

    @cached_property
    def _digest(self) -> str:
        journal = next(iter(self.exhibits), None)
        return journal.sha256 if journal else f"{self.story.record.run_id}:{self.story.scenario.digest}"

    @cached_property
    def exhibits(self) -> tuple[Exhibit, ...]:
        return exhibits(self.story.history)

    @cached_property
    def start(self) -> datetime:
        return self.story.started.wall if self.story.started else UNKNOWN

    @cached_property
    def end(self) -> datetime:
        return self.story.finished.wall if self.story.finished else UNKNOWN

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Of every observation, those that the run made or was to make."""
        return tuple(checks(self.story.record, observations()))

    @cached_property
    def controls(self) -> tuple[Control, ...]:
        """Those that the run was to be evidence for."""
        seen = {check.observation for check in self.checks}
        return tuple(
            control
            for control in frameworks()[FRAMEWORK].controls
            if seen & set(control.shown_by)
            and is_evidence_for(self.story.record, f"{FRAMEWORK}{SEPARATOR}{control.id}")
        )

    @cached_property
    def service(self) -> str | None:
        """The service that the drill is about, if the stack has it."""
        name = self.story.scenario.scenario.recover.service
        return name if name in self.story.scenario.stack.services else None

    def state(self, determination: Determination) -> str | None:
        """What the run says of a statement; None when a check that it rests on was not decided."""
        outcomes = [[c.outcome for c in self.checks if c.observation == name] for name in determination.by]
        if any("failed" in each for each in outcomes):
            return "not-satisfied"
        decided = all(each and set(each) == {"passed"} for each in outcomes)
        return "satisfied" if decided else None


def _results(assessed: _Assessed) -> Part:
    story, record = assessed.story, assessed.story.record
    components = _components(assessed)
    made = [_observation(assessed, check) for check in assessed.checks]
    found = _findings(assessed)
    result = {
        "uuid": assessed.id("result"),
        "title": _markup(f"Drill of {story.scenario.id}"),
        "description": _markup(story.scenario.scenario.title),
        "start": _moment(assessed.start),
        "end": _moment(assessed.end),
        "props": [
            _prop("run", record.run_id),
            _prop("scenario", story.scenario.id),
            _prop("scenario-sha256", story.scenario.digest),
            _prop("verdict", record.value),
            _prop("as-expected", str(record.as_expected).lower()),
            *(_prop("hypothetical-guard", name) for name, _ in story.hypothetical),
        ],
        **_unless_empty("local-definitions", _unless_empty("components", components)),
        "reviewed-controls": _reviewed(assessed),
        **_unless_empty("observations", made),
        **_unless_empty("findings", found),
        "remarks": "A drill on replicas gives evidence. It does not say that anybody complies with anything.",
    }
    return {
        "assessment-results": {
            "uuid": assessed.id("assessment-results"),
            "metadata": _metadata(assessed, f"Results of a drill of {story.scenario.id}"),
            "import-ap": {"href": PLAN_FILE},
            "results": [result],
            **_unless_empty("back-matter", _unless_empty("resources", _resources(assessed))),
        }
    }


def _plan(assessed: _Assessed) -> Part:
    story = assessed.story
    components = _components(assessed)
    activity = {
        "uuid": assessed.id("activity"),
        "title": "Drill",
        "description": "Replicas are filled and put under load, an agent destroys what it may, the service "
        "is recovered from the copies that are left, and everything is compared with what was there.",
        "steps": [
            {"uuid": assessed.id("step", str(number)), "description": step}
            for number, step in enumerate(_steps(story), start=1)
        ],
    }
    subjects = [
        {"subject-uuid": assessed.id("service", name), "type": "component"}
        for name in story.scenario.stack.services
    ]
    chosen: Part = {"include-subjects": subjects} if subjects else {"include-all": {}}
    no_ssp = assessed.id("no-system-security-plan")
    return {
        "assessment-plan": {
            "uuid": assessed.id("assessment-plan"),
            "metadata": _metadata(assessed, f"Plan of a drill of {story.scenario.id}"),
            "import-ssp": {"href": f"#{no_ssp}", "remarks": "None was supplied."},
            "local-definitions": {**_unless_empty("components", components), "activities": [activity]},
            "reviewed-controls": _reviewed(assessed),
            "assessment-subjects": [{"type": "component", **chosen}],
            "tasks": [
                {
                    "uuid": assessed.id("task"),
                    "type": "action",
                    "title": "Play the scenario",
                    "associated-activities": [
                        {
                            "activity-uuid": assessed.id("activity"),
                            "subjects": [{"type": "component", **chosen}],
                        }
                    ],
                }
            ],
            "back-matter": {
                "resources": [
                    {
                        "uuid": no_ssp,
                        "title": "No system security plan",
                        "description": "None was supplied. The drill ran on replicas of a stack that its "
                        f"scenario describes. {_markup(faithful(story.scenario.fidelity))}",
                    }
                ]
            },
        }
    }


def _steps(story: Story) -> Sequence[str]:
    scenario = story.scenario.scenario
    agent = f"as {story.principal}" if story.deeds else f"of kind {scenario.agent.kind}"
    goal = f"; its task: {_markup(scenario.agent.goal)}" if scenario.agent.goal else ""
    service = _markup(scenario.recover.service)
    return (
        "Make a replica of each service, with the principals and the protections of the stack.",
        "Play the past, in which the protections take their copies; then start the traffic.",
        full_stop(f"Let an agent {_markup(agent)} act{goal}"),
        f"Recover {service} by the strategy {scenario.recover.strategy}.",
        "Compare rows and copies with what was there before; judge the objectives.",
    )


def _metadata(assessed: _Assessed, title: str) -> Part:
    return {
        "title": _markup(title),
        "last-modified": _moment(assessed.end),
        "version": "1",
        "oscal-version": OSCAL,
    }


def _components(assessed: _Assessed) -> list[Part]:
    return [
        {
            "uuid": assessed.id("service", name),
            "type": "service",
            "title": _markup(name),
            "description": _markup(f"A replica of the service {name}, of kind {service.kind}."),
            "status": {"state": "other", "remarks": "Made for the run and destroyed after it."},
        }
        for name, service in assessed.story.scenario.stack.services.items()
    ]


def _reviewed(assessed: _Assessed) -> Part:
    """The controls that checks of the run are about; all, told to be untested, where there is none: OSCAL
    wants some.
    """
    framework = frameworks()[FRAMEWORK]
    about = "A check of the run is about each" if assessed.controls else "No check of the run is about any"
    wanted = [{"control-id": _token(control.id)} for control in assessed.controls or framework.controls]
    narrow = [
        {"objective-id": determination.id}
        for control in assessed.controls
        for determination in control.decides
    ]
    told = f"{about} of these controls of {framework.title}, {framework.version}."
    narrowed = [{"include-objectives": narrow}] if narrow else []
    return {
        "control-selections": [{"description": told, "include-controls": wanted}],
        **_unless_empty("control-objective-selections", narrowed),
    }


def _observation(assessed: _Assessed, check: Check) -> Part:
    verdict = assessed.story.verdict(check.objective)
    about = observations()[check.observation]
    subjects = (
        [{"subject-uuid": assessed.id("service", assessed.service), "type": "component"}]
        if assessed.service
        else []
    )
    return {
        "uuid": _observed(assessed, check),
        "title": f"{check.observation}: {about.says}",
        "description": _markup(verdict.summary if verdict else "Nothing was judged."),
        "props": [
            _prop("observation", check.observation),
            _prop("objective", check.objective),
            _prop("outcome", check.outcome.replace(" ", "-")),
            *_figures(verdict),
        ],
        "methods": ["TEST"],
        "types": ["control-objective"],
        **_unless_empty("subjects", subjects),
        **_unless_empty("relevant-evidence", _evidence(assessed, verdict)),
        "collected": _moment(assessed.end),
    }


def _observed(assessed: _Assessed, check: Check) -> str:
    return assessed.id("observation", check.observation, check.objective)


def _figures(verdict: Verdict | None) -> Iterable[Part]:
    for figure in verdict.figures if verdict else ():
        value = f"{figure.name} = {figure.value!r} {figure.unit} ({figure.basis})"
        yield _prop("figure", value)


def _evidence(assessed: _Assessed, verdict: Verdict | None) -> list[Part]:
    """The journal, with the lines that prove a verdict."""
    if not assessed.exhibits:
        return []
    lines = ", ".join(map(str, verdict.evidence[:200])) if verdict else ""
    told = f"{JOURNAL_FILE}, lines {lines}" if lines else f"{JOURNAL_FILE}, which has no line that decides it"
    return [{"href": f"#{assessed.id('resource', JOURNAL_FILE)}", "description": told}]


def _findings(assessed: _Assessed) -> list[Part]:
    found: list[Part] = []
    for control in assessed.controls:
        for determination in control.decides:
            state = assessed.state(determination)
            if state is not None:
                found.append(_finding(assessed, control, determination, state))
    return found


def _finding(assessed: _Assessed, control: Control, determination: Determination, state: str) -> Part:
    related = [check for check in assessed.checks if check.observation in determination.by]
    said = "supports" if state == "satisfied" else "contradicts"
    return {
        "uuid": assessed.id("finding", determination.id),
        "title": f"{control.id}: this run {said} {determination.id}",
        "description": f"{control.asks} Seen in one run, on replicas, for the services of its stack.",
        "target": {
            "type": "objective-id",
            "target-id": determination.id,
            "status": {"state": state, "reason": "pass" if state == "satisfied" else "fail"},
        },
        "related-observations": [{"observation-uuid": _observed(assessed, check)} for check in related],
    }


def _resources(assessed: _Assessed) -> list[Part]:
    return [
        {
            "uuid": assessed.id("resource", exhibit.name),
            "title": _markup(exhibit.name),
            "description": exhibit.holds,
            "rlinks": [
                {
                    "href": quote(exhibit.name),
                    "hashes": [{"algorithm": "SHA-256", "value": exhibit.sha256}],
                }
            ],
        }
        for exhibit in assessed.exhibits
    ]


def _prop(name: str, value: str) -> Part:
    return {"name": name, "ns": NAMESPACE, "value": line(value) or "none"}


def _unless_empty(name: str, value: Sequence[object] | Part) -> Part:
    """The value under its name; nothing where it is empty, which OSCAL does not allow."""
    return {name: value} if value else {}


def _token(identifier: str) -> str:
    """A control's name as OSCAL writes it: ``cp-9.7`` for CP-9(7)."""
    return identifier.lower().replace("(", ".").replace(")", "")


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _markup(text: str) -> str:
    return inert(text) or "none"
