"""Opens clients for the control plane of an AWS account: as deaf to the environment as those for S3."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

from botocore.config import Config

from harness.facts import Credential, Endpoint
from harness.seams.s3_client import CONNECT_SECONDS, bare_session

_creating = Lock()


def open_aws_client(
    service: str, endpoint: Endpoint, credential: Credential, *, timeout: float = 300.0
) -> Any:
    """The client for one service of one account with one pair of keys, which tries every call once.

    Args:
        service: as botocore names it: ``rds``, ``ec2``, ...
        endpoint: of a replica of kind ``aws``; its name is the region.
        credential: ``name`` is the access key id.
        timeout: seconds without a byte after which a call fails.

    Raises:
        botocore.exceptions.UnknownServiceError: AWS has no such service.
    """
    secret = credential.secret.reveal()
    with _creating:
        return _client(service, endpoint.url, endpoint.name, credential.name, secret, timeout)


@lru_cache(maxsize=32)
def _client(service: str, url: str, region: str, key: str, secret: str, timeout: float) -> Any:
    config = Config(
        region_name=region,
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=timeout,
        proxies={},
    )
    return bare_session().create_client(
        service,
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        verify=True,
        config=config,
    )
