"""The one place that opens S3 clients: endpoint and keys are handed in, nothing else is ever read.

An ordinary SDK session takes keys, endpoints, profiles, certificates, models and proxies from the
environment, from ``~/.aws`` and from the metadata service of a cloud machine. Here every such source
is cut off, so that a client can reach the replica it was made for and nothing else.
"""

from __future__ import annotations

import gzip
import os
from contextlib import suppress
from datetime import datetime
from functools import cache, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.configprovider import ConfigValueStore, ConstantProvider
from botocore.loaders import JSONFileLoader, Loader
from botocore.session import Session
from botocore.utils import parse_timestamp
from pydantic_core import from_json

from harness.facts import Credential, Endpoint

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
CONNECT_SECONDS = 3.0
MARKER_BUCKET = "ninelives"
"""Beside a service's own bucket: what tells whose replica it is. Only the back door reaches it."""

MARKER_KEY = "lease"
MARKER_NAME = "marker"
_creating = Lock()


def open_client(endpoint: Endpoint, credential: Credential, *, timeout: float = 60.0) -> S3Client:
    """The client for one endpoint with one pair of keys, which tries every call once.

    Making one takes 10 ms, so each is made once.

    Args:
        endpoint: of a replica of kind ``s3``.
        credential: ``name`` is the access key id.
        timeout: seconds without a byte after which a call fails.

    Returns:
        A client that threads may share.
    """
    with _creating:
        return _client(endpoint.url, credential.name, credential.secret.reveal(), timeout)


def marker_of(client: S3Client) -> str:
    """The marker of the lease, as a replica tells it to its back door.

    Raises:
        BotoCoreError, ClientError, KeyError: it has none.
    """
    return client.head_object(Bucket=MARKER_BUCKET, Key=MARKER_KEY)["Metadata"][MARKER_NAME]


@lru_cache(maxsize=32)
def _client(url: str, key: str, secret: str, timeout: float) -> S3Client:
    config = Config(
        region_name=REGION,
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=timeout,
        max_pool_connections=16,
        proxies={},
    )
    client = bare_session().create_client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        verify=True,
        config=config,
    )
    return cast("S3Client", client)


@cache
def bare_session() -> Session:
    """A session whose every setting is the library's default, whatever the environment says."""
    session = Session()
    constants = {name: default for name, (_, _, default, _) in Session.SESSION_VARIABLES.items()}
    constants |= {"config_file": os.devnull, "credentials_file": os.devnull}
    session.register_component(
        "config_store",
        ConfigValueStore({name: ConstantProvider(value) for name, value in constants.items()}),
    )
    session.register_component("data_loader", _LibraryModels())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_instant)
    return session


def _instant(value: Any) -> datetime:
    """A time as an answer has it. The library reads any sort, and takes far longer for the usual one."""
    if isinstance(value, str) and value[10:11] == "T":
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return parse_timestamp(value)


class _PlainModels(JSONFileLoader):
    """API models as plain dictionaries, whose order is that of the file too: read in a third of the time."""

    def load_file(self, file_path: str) -> Any:
        """What a file says, with or without compression; None when there is none."""
        for ending, opened in ((".json", open), (".json.gz", gzip.open)):
            with suppress(FileNotFoundError), opened(file_path + ending, "rb") as file:
                return from_json(file.read())
        return None


class _LibraryModels(Loader):
    """API models of the library itself; by default those under ``~/.aws/models`` would win."""

    def __init__(self) -> None:
        super().__init__(
            extra_search_paths=[Loader.BUILTIN_DATA_PATH],
            file_loader=_PlainModels(),
            include_default_search_paths=False,
        )
        with os.scandir(self.BUILTIN_DATA_PATH) as entries:
            self._services = [entry.name for entry in entries if entry.is_dir()]

    def list_available_services(self, type_name: str) -> list[str]:
        """Every folder; the library would look into each of hundreds, twice, to make the first client."""
        del type_name
        return self._services
