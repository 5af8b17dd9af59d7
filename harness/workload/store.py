"""Where a third party keeps its own records of what happened: a payment provider, a mail service."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)


class Store:
    """One bucket, seen by the application.

    Args:
        client: with the application's keys.
        bucket: its name.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes) -> bool:
        """Put one object.

        Returns:
            Whether the store has acknowledged it. A third party that does not answer does not stop the
            workload; the child's log says so.
        """
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body)
        except (BotoCoreError, ClientError) as error:
            log.warning("%s was not put into %s: %s", key, self._bucket, error)
            return False
        return True
