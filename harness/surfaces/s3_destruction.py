"""What S3 can destroy. Each entry names the test that shows it, or the page that says so."""

from __future__ import annotations

from harness.facts import Destruction

_BUCKETS = "tests/surfaces/test_s3_buckets.py::"
_LOCKS = "tests/surfaces/test_s3.py::"

S3_DESTRUCTION = (
    Destruction(
        operation="`DeleteObject` or an overwriting `PutObject`, bucket without versions",
        verb="delete-object, put",
        undo="",
        takes_along="the object is the backup, where backups lie in the bucket",
        guard="versioning",
        basis="observed",
        evidence=_BUCKETS + "test_without_versions_a_deletion_and_an_overwriting_put_are_final",
    ),
    Destruction(
        operation="`DeleteObject` without a version, bucket with versions",
        verb="delete-object",
        undo="deleting the delete marker",
        takes_along="",
        guard="read-only keys",
        basis="observed",
        evidence=_BUCKETS + "test_a_delete_marker_is_taken_away_again",
    ),
    Destruction(
        operation="`DeleteObject` with a version",
        verb="delete-object",
        undo="",
        takes_along="the version is the backup, where backups lie in the bucket",
        guard="Object Lock",
        basis="observed",
        evidence=_BUCKETS + "test_with_versions_both_leave_the_copy_and_a_deletion_by_version_does_not",
    ),
    Destruction(
        operation="emptying a prefix of every version (`aws s3 rm --recursive` and its like)",
        verb="delete-objects",
        undo="",
        takes_along="every backup that lies there",
        guard="Object Lock, for the versions that have it",
        basis="observed",
        evidence=_LOCKS + "test_emptying_a_prefix_leaves_what_is_locked",
    ),
    Destruction(
        operation="`DeleteObject` with a version and `BypassGovernanceRetention`",
        verb="delete-object",
        undo="",
        takes_along="the locked version",
        guard="the right to bypass, which writers have not; Object Lock in compliance mode",
        basis="observed",
        evidence=_LOCKS + "test_governance_mode_lets_go_only_of_who_asks_for_the_bypass",
    ),
    Destruction(
        operation="`PutObjectRetention`, shorter, with `BypassGovernanceRetention`",
        verb="put-retention",
        undo="a new lock, while the version still exists",
        takes_along="",
        guard="Object Lock in compliance mode, which nobody shortens",
        basis="observed",
        evidence=_LOCKS + "test_a_lock_in_governance_mode_is_shortened_and_one_in_compliance_mode_is_not",
    ),
    Destruction(
        operation="`PutBucketVersioning`, suspended",
        verb="put-versioning",
        undo="switching it on; what was overwritten or deleted meanwhile is gone",
        takes_along="what is written from then on, when it is overwritten or deleted",
        guard="read-only keys; a bucket with Object Lock refuses it",
        basis="observed",
        evidence=_BUCKETS + "test_suspended_versions_keep_the_old_and_lose_the_new",
    ),
    Destruction(
        operation="`PutBucketLifecycleConfiguration`",
        verb="put-lifecycle",
        undo="another configuration, until the objects expire",
        takes_along="every version that grows as old as the rule says",
        guard="read-only keys (on AWS a policy can deny this call alone)",
        basis="observed",
        evidence=_BUCKETS + "test_who_may_write_sets_every_version_an_end",
    ),
    Destruction(
        operation="what such a rule expires",
        verb="put-lifecycle",
        undo="",
        takes_along="versions without a lock",
        guard="Object Lock: a locked version does not expire before its lock does",
        basis="documented",
        evidence="https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html",
    ),
    Destruction(
        operation="`DeleteBucket`",
        verb="delete-bucket",
        undo="",
        takes_along="its settings",
        guard="a bucket that is not empty refuses it",
        basis="observed",
        evidence=_BUCKETS + "test_only_an_empty_bucket_is_deleted_and_then_for_good",
    ),
)
