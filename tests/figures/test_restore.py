"""The figure about restores is one about every tool."""

from __future__ import annotations

from benchmarks.by_hand.case import COPIES
from benchmarks.restore import CASES
from harness.seams.lookup import BUILT_IN


def test_every_tool_is_measured_against_a_way_by_hand() -> None:
    assert set(CASES) == set(BUILT_IN["backups"])
    assert {name: case.stack().protections[COPIES].tool for name, case in CASES.items()} == {
        name: name for name in CASES
    }
