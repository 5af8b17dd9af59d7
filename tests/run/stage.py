"""Plays drills in this process, so that a test knows the endpoints and can look on, or interfere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg

from harness.facts import OPERATOR, Endpoint
from harness.journal.events import Line
from harness.run import drill as life
from harness.run.drill import Drilled, drill
from harness.run.execute import execute
from harness.run.ground import Ground
from harness.run.place import Place
from harness.scenario.models import LoadedScenario

KIOSK = Path(__file__).parent / "kiosk"
Onlooker = Callable[[Ground, Line], None]


def play(loaded: LoadedScenario, place: Place, *onlookers: Onlooker) -> Drilled:
    """Drill a scenario.

    Args:
        loaded: the scenario.
        place: where.
        onlookers: are called with each journal line as it is written, on the thread that wrote it.
    """
    grounds: list[Ground] = []

    def execute_in_sight(ground: Ground) -> None:
        grounds.append(ground)
        execute(ground)

    def look_on(line: Line) -> None:
        for onlooker in onlookers if grounds else ():
            onlooker(grounds[0], line)

    with patch.object(life, "execute", execute_in_sight):
        return drill(loaded, place, [look_on])


def log_in(endpoint: Endpoint, principal: str = OPERATOR) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of the test's own, made without any of the harness's code."""
    credential = endpoint.credentials[principal]
    return psycopg.connect(
        host=endpoint.host,
        port=endpoint.port,
        user=credential.name,
        password=credential.secret.reveal(),
        dbname=endpoint.name,
        autocommit=True,
        options="-c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=1",
    )
