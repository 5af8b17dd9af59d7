"""IAM policies: what allows, what denies, which resource, under which condition."""

from __future__ import annotations

from typing import Any

import pytest

from harness.replicas.aws.policy import Asked, Decision, PolicyError, decide, read_policy

pytestmark = pytest.mark.slow

COURSES = "arn:aws:rds:eu-west-1:111122223333:db:courses"
STAGING = "arn:aws:rds:eu-west-1:111122223333:db:staging"
DELETE = "rds:DeleteDBInstance"


def decision(
    *statements: dict[str, Any], on: str = COURSES, action: str = DELETE, **context: Any
) -> Decision:
    given = {name.replace("__", ":").lower(): values for name, values in context.items()}
    policy = read_policy({"Statement": list(statements)})
    return decide(policy, Asked(action, (on,), given))


ALLOW = {"Effect": "Allow", "Action": "rds:*", "Resource": "*"}
DENY = {"Effect": "Deny", "Action": "rds:Delete*", "Resource": COURSES}


def test_nothing_is_allowed_that_no_statement_allows() -> None:
    assert decision({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}) is Decision.NOT_ALLOWED
    assert decision(ALLOW) is Decision.ALLOWED


def test_a_deny_wins_over_every_allow_whatever_their_order() -> None:
    assert decision(ALLOW, DENY) is Decision.DENIED
    assert decision(DENY, ALLOW) is Decision.DENIED
    assert decision(ALLOW, DENY, on=STAGING) is Decision.ALLOWED
    assert decision(ALLOW, DENY, action="rds:DescribeDBInstances") is Decision.ALLOWED


def test_every_resource_of_a_call_must_be_allowed() -> None:
    policy = read_policy({"Statement": [{**ALLOW, "Resource": STAGING}]})
    assert decide(policy, Asked(DELETE, (STAGING,))) is Decision.ALLOWED
    assert decide(policy, Asked(DELETE, (STAGING, COURSES))) is Decision.NOT_ALLOWED


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*", True),
        ("arn:aws:rds:*:*:db:cour?es", True),
        ("arn:aws:rds:*:*:db:[c]ourses", False),
        ("arn:aws:rds:*:*:snapshot:*", False),
        ("arn:aws:rds:eu-west-1:111122223333:db:${aws:username}", True),
        ("arn:aws:rds:eu-west-1:111122223333:db:${aws:PrincipalTag/team}", False),
    ],
)
def test_a_resource_is_matched_by_star_question_mark_and_variable(pattern: str, matches: bool) -> None:
    made = decision({**ALLOW, "Resource": pattern}, aws__username=("courses",))
    assert (made is Decision.ALLOWED) == matches


def test_not_action_and_not_resource_are_all_the_others() -> None:
    others = {"Effect": "Allow", "NotAction": "rds:Delete*", "Resource": "*"}
    assert decision(others) is Decision.NOT_ALLOWED
    assert decision(others, action="rds:ModifyDBInstance") is Decision.ALLOWED
    spared = {"Effect": "Deny", "Action": "*", "NotResource": STAGING}
    assert decision(ALLOW, spared) is Decision.DENIED
    assert decision(ALLOW, spared, on=STAGING) is Decision.ALLOWED


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"StringEquals": {"rds:db-tag/environment": "staging"}}, True),
        ({"StringEquals": {"RDS:DB-TAG/environment": ["test", "staging"]}}, True),
        ({"StringNotEquals": {"rds:db-tag/environment": "staging"}}, False),
        ({"StringLike": {"rds:db-tag/environment": "stag*"}}, True),
        ({"StringEquals": {"aws:ResourceTag/owner": "me"}}, False),
        ({"StringNotEquals": {"aws:ResourceTag/owner": "me"}}, True),
        ({"StringEqualsIfExists": {"aws:ResourceTag/owner": "me"}}, True),
        ({"Null": {"aws:MultiFactorAuthPresent": "true"}}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, True),
        ({"Bool": {"aws:SecureTransport": False}}, True),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}, True),
        ({"NumericGreaterThan": {"aws:EpochTime": "1900000000"}}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["b", "c"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["b", "c"]}}, False),
        (
            {"StringLike": {"rds:db-tag/environment": "stag*"}, "Bool": {"aws:SecureTransport": "true"}},
            False,
        ),
    ],
)
def test_a_condition_holds_or_not(condition: dict[str, Any], holds: bool) -> None:
    made = decision(
        {**ALLOW, "Condition": condition},
        **{
            "rds__db-tag/environment": ("staging",),
            "aws__SecureTransport": ("false",),
            "aws__SourceIp": ("127.0.0.1",),
            "aws__CurrentTime": ("2026-11-22T18:00:00+00:00",),
            "aws__EpochTime": ("1795370400",),
            "aws__TagKeys": ("a", "b"),
        },
    )
    assert (made is Decision.ALLOWED) == holds


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Maybe", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "Resource": "*"},
        {"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"},
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringIsh": {"a": "b"}}},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": "true"}},
    ],
)
def test_what_cannot_be_enforced_is_no_policy(statement: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        read_policy({"Statement": [statement]})
