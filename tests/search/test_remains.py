"""What is left, and what that means for the objectives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from harness.facts import RecoveryPoint
from harness.scenario.models import BackupSurvival, Objectives, Stack
from harness.search.remains import CopyLeft, Remains, ServiceLeft, Standing, breaches

TAKEN = datetime(2026, 4, 24, tzinfo=UTC)
OBJECTIVES = Objectives(backup_survival=BackupSurvival(copies=1), rpo=timedelta(hours=1))


def left(standing: Standing, lacks: float = 60.0) -> Remains:
    """A damaged shop with one copy, which lacks a minute unless another number of seconds is given."""
    point = RecoveryPoint(
        id="dump",
        protection="dumps",
        service="shop",
        kind="dump",
        taken=TAKEN,
        covers_until=TAKEN,
        place="vault",
        location="dump",
        size=1,
    )
    return Remains(
        services=(ServiceLeft(service="shop", state="changed"),),
        copies=(CopyLeft(point=point, standing=standing, lacks=lacks),),
        touched=(),
    )


@pytest.mark.parametrize(
    ("standing", "broken"),
    [
        ("sufficient", set()),
        ("doomed", {"backup-survival"}),
        ("altered", {"backup-survival", "rpo"}),
        ("damaged", {"backup-survival", "rpo"}),
        ("gone", {"backup-survival", "rpo"}),
    ],
)
def test_a_copy_that_is_doomed_is_none_to_rely_on_and_still_restores(
    standing: Standing, broken: set[str]
) -> None:
    found = breaches(OBJECTIVES, Stack(services={}), "shop", left(standing))
    assert {breach.objective for breach in found} == broken


def test_what_is_missing_is_told_in_plain_words() -> None:
    asked = Objectives(backup_survival=BackupSurvival(copies=2), rpo=timedelta(hours=1))
    found = breaches(asked, Stack(services={}), "shop", left("sufficient", lacks=90 * 86400 + 8.2))
    assert [breach.why for breach in found] == [
        "1 sufficient copy of shop is left, 2 asked for",
        "shop is lost, and the newest copy that is left lacks 90d",
    ]
