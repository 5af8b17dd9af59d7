"""Run folders and kept runs written by hand: what a drill would leave, in a millisecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from harness.archive.kept import Kept, KeptVerdict
from harness.journal.record import Figure
from harness.journal.roll import Enrolled, enroll
from harness.render.json import FigureEntry, ScenarioEntry, VerdictEntry, VerdictsFile

NOW = datetime(2026, 4, 24, 12, 0, 0, 123456, tzinfo=UTC)
SHOP = "shop/drill"


def verdict(objective: str = "rto", value: str = "held", **figures: float) -> KeptVerdict:
    """A verdict with figures in seconds, but for copies; held is expected."""
    units = {"sufficient": "copies", "broken": "copies"}
    return KeptVerdict.model_validate(
        {
            "objective": objective,
            "value": value,
            "expected": "held",
            "summary": f"{objective} {value}.",
            "figures": [
                {"name": name, "value": number, "unit": units.get(name, "s")}
                for name, number in figures.items()
            ],
        }
    )


def kept(number: int = 1, *verdicts: KeptVerdict, age: timedelta = timedelta(0), **changes: Any) -> Kept:
    """A run that ended, of that age."""
    judged = verdicts or (verdict(rto=60.0),)
    values = {one.value for one in judged}
    worst = "breached" if "breached" in values else "undecided" if "undecided" in values else "held"
    run: dict[str, Any] = {
        "roll": "aa",
        "number": number,
        "run_id": f"run-{number}",
        "folder": f"/reports/run-{number}",
        "scenario": SHOP,
        "digest": "d1",
        "started": NOW - age,
        "seconds": 20.5,
        "provider": "embedded",
        "version": "0.1.0",
        "value": worst,
        "as_expected": all(not one.surprises for one in judged),
        "ended": True,
        "closed": changes.get("ended", True),
        "verdicts": judged,
    }
    return Kept.model_validate({**run, **changes})


def write_verdicts(folder: Path, *, scenario: str = SHOP, at: datetime = NOW, **rto: float) -> None:
    """A run folder as far as the history reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = FigureEntry.of(Figure(name="rto", value=rto.get("rto", 60.0), unit="s"))
    entry = VerdictEntry(
        objective="rto",
        value="held",
        expected="held",
        as_expected=True,
        summary="Back in time.",
        figures=(figure,),
        evidence=(1,),
    )
    file = VerdictsFile(
        run_id=folder.name,
        scenario=ScenarioEntry(id=scenario, title="A drill", digest="d1", strategy="newest-surviving"),
        value="held",
        as_expected=True,
        problem=None,
        interrupted=False,
        started=at,
        seconds=20.5,
        harness_cpu_seconds=1.5,
        version="0.1.0",
        guards=(),
        hypothetical_guards=(),
        phases=(),
        verdicts=(entry,),
    )
    (folder / "verdicts.json").write_text(file.model_dump_json(by_alias=True))


def play(reports: Path, name: str, *, scenario: str = SHOP, at: datetime = NOW, **rto: float) -> Enrolled:
    """A run on the roll that ended."""
    enrolled = enroll(reports, name, scenario, at)
    write_verdicts(reports / name, scenario=scenario, at=at, **rto)
    return enrolled
