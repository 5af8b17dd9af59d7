"""The kinds of service whose calls a search knows how to make."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from harness.seams.lookup import names
from harness.search.calls import aws, postgres, railway, s3, volume
from harness.search.calls.listed import destructions, listed
from harness.search.moves import Kind

KINDS: Mapping[str, Kind] = {
    "aws": Kind(aws.moves, aws.learn, "aws"),
    "railway": Kind(railway.moves, railway.learn, "http"),
    "postgres": Kind(postgres.moves, postgres.learn, "sql"),
    "s3": Kind(s3.moves, s3.learn, "s3"),
    "volume": Kind(volume.moves, volume.learn, "files"),
    "mariadb": listed("mariadb", shows=True),
    "valkey": listed("valkey", shows=True, is_open=True),
    "git": listed("git"),
    "container": listed("docker"),
}


@cache
def kind_of(service: str) -> Kind | None:
    """How a kind of service is explored: as above, or as the surface of its own name says itself.

    Args:
        service: the kind.

    Returns:
        None when nobody knows what its calls look like.
    """
    if service in KINDS:
        return KINDS[service]
    if service in names("surfaces") and any(one.aims for one in destructions(service)):
        return listed(service)
    return None
