"""ninelives-SCENARIO.prom: the newest run of a scenario for node_exporter's textfile collector.

No run id is a label, since each would be a time series of its own; the time of the run is a gauge.
"""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from harness.journal.record import RunRecord
from harness.render.story import Story
from harness.render.wording import clean, plain

UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
VALUES = {"held": 0, "undecided": 1, "breached": 2}


class PrometheusReporter:
    """Writes a file for the textfile collector, named after the scenario: its folder has them all."""

    files = ("ninelives-*.prom",)

    def render(self, record: RunRecord, out: Path) -> Path:
        """Write it into the folder ``out`` and return its path."""
        path = out / f"ninelives-{UNSAFE.sub('-', record.scenario.id)}.prom"
        write_to_textfile(str(path), _metrics(Story(record)))
        return path


def _metrics(story: Story) -> CollectorRegistry:
    registry = CollectorRegistry()
    scenario = plain(clean(story.scenario.id))

    def gauge(name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"ninelives_{name}", meaning, ("scenario", *labels), registry=registry)

    if story.started:
        started = gauge("run_timestamp_seconds", "When the run began, as Unix time.")
        started.labels(scenario).set(story.started.wall.timestamp())
    gauge("run_seconds", "How long the run took.").labels(scenario).set(story.seconds)
    expected = gauge("as_expected", "1 when every objective got the verdict that the scenario expects.")
    expected.labels(scenario).set(story.record.as_expected)
    verdicts = gauge("verdict", "0 held, 1 undecided, 2 breached.", "objective")
    figures = gauge("figure", "A number of a verdict.", "objective", "figure", "unit", "basis")
    for verdict in story.record.verdicts:
        objective = plain(clean(verdict.objective))
        verdicts.labels(scenario, objective).set(VALUES[verdict.value])
        for figure in verdict.figures:
            name = plain(clean(figure.name))
            figures.labels(scenario, objective, name, figure.unit, figure.basis).set(figure.value)
    return registry
