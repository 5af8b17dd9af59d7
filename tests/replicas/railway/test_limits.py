"""Rate limits, on a clock of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from harness.replicas.railway.limits import RateLimits

NOON = datetime(2026, 4, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(("plan", "limit"), [("hobby", 10), ("pro", 50)])
def test_a_second_has_a_limit_of_its_own(plan: str, limit: int) -> None:
    limits = RateLimits(plan)
    passed = [limits.admit("t", NOON).retry_after is None for _ in range(limit + 1)]
    assert passed == [True] * limit + [False]
    assert limits.admit("t", NOON).retry_after == 1
    assert limits.admit("t", NOON + timedelta(seconds=1)).retry_after is None


def test_the_free_plan_has_no_limit_in_a_second() -> None:
    limits = RateLimits("free")
    assert all(limits.admit("t", NOON).retry_after is None for _ in range(100))
    assert limits.admit("t", NOON).retry_after == 3600


def test_a_request_that_was_turned_away_is_not_counted() -> None:
    limits = RateLimits("hobby")
    for _ in range(30):
        limits.admit("t", NOON)
    assert limits.remaining("t", NOON) == (990, NOON + timedelta(hours=1))


def test_tokens_do_not_share_a_limit() -> None:
    limits = RateLimits("free")
    for _ in range(101):
        limits.admit("busy", NOON)
    assert limits.admit("quiet", NOON).retry_after is None
    assert limits.remaining("unseen", NOON)[0] == 100
