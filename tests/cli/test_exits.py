"""Which exit code a judged run gets."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from harness.cli.exits import Exit, exit_of
from harness.journal.history import History
from harness.journal.record import RunRecord, Verdict
from harness.run.loading import load
from harness.scenario.models import VerdictValue

SHOP = Path(__file__).parents[1] / "drills" / "shop" / "dropped-table.yaml"
Values = dict[str, VerdictValue]


@pytest.mark.parametrize(
    ("expect", "found", "code"),
    [
        ({}, {"rpo": "held"}, Exit.AS_EXPECTED),
        ({"rpo": "breached"}, {"rpo": "breached"}, Exit.AS_EXPECTED),
        ({}, {"rpo": "breached"}, Exit.BREACHED),
        ({"rpo": "breached"}, {"rpo": "held"}, Exit.BREACHED),
        ({}, {"rpo": "undecided"}, Exit.UNDECIDED),
        ({}, {"rpo": "held", "rto": "undecided"}, Exit.UNDECIDED),
        # The run is breached, and not as expected: it must not pass for one that decided nothing.
        ({"rpo": "breached"}, {"rpo": "breached", "rto": "undecided"}, Exit.BREACHED),
        ({}, {}, Exit.UNDECIDED),
    ],
)
def test_a_run_gets_the_code_of_its_verdicts(expect: Values, found: Values, code: Exit) -> None:
    loaded = load(SHOP)
    scenario = loaded.model_copy(update={"scenario": loaded.scenario.model_copy(update={"expect": expect})})
    verdicts = tuple(Verdict(objective=name, value=value, summary="") for name, value in found.items())
    record = RunRecord("run", scenario, cast(History, None), verdicts)
    assert exit_of(record) is code
