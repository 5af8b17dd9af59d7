"""A real S3 server for one bucket, with versioning, Object Lock and a pair of keys for each principal."""

from harness.replicas.s3.replica import S3Replica

__all__ = ["S3Replica"]
