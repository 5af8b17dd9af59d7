"""Runs share nothing: two at once both finish, and a sweep leaves the living alone."""

from __future__ import annotations

import pytest

from tests.drills.command import SHOP, Installation


@pytest.mark.drill
def test_two_runs_at_once_both_come_to_the_right_verdicts_and_no_sweep_touches_them(
    installation: Installation,
) -> None:
    first = installation.start("run", SHOP / "guarded.yaml", "--quiet")
    first.wait_for("provision", "leased")
    second = installation.start("run", SHOP / "emptied-dump.yaml", "--quiet")
    second.wait_for("provision", "leased")
    assert len(installation.at_work()) == 2
    assert installation.call("sweep").stdout == "nothing to sweep\n"
    second.wait_for("steady-state")
    assert installation.call("sweep").stdout == "nothing to sweep\n"
    for run, scenario in ((first, "shop/guarded"), (second, "shop/emptied-dump")):
        code, out, err = run.end()
        assert (code, err) == (0, "")
        assert "AS THE SCENARIO EXPECTS" in out
        assert scenario in out
    assert first.folder != second.folder
    assert (installation.reports / "latest").resolve() in {first.folder, second.folder}
    assert installation.at_work() == ()
