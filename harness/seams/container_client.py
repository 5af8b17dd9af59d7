"""Services in containers, asked and filled by the programs inside of them that the stack names.

The container itself says what these are, in a label, so that whoever finds it can ask it: a driver in another
process, the workload, a contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from harness.clock import SystemClock
from harness.errors import DatabaseError, HarnessError
from harness.facts import Credential, Endpoint
from harness.seams.container_engine import connect, of_lease, of_run, run_inside, told
from harness.seams.items import ItemRefusedError, ItemUnansweredError, content_hash

HOOKS_LABEL = "ninelives.hooks"
GONE = 1
"""The exit code of ``get`` and ``delete`` when there is no such item."""

KILLED = 128
"""From here on an exit code tells of a signal: the program did not get to its end."""

LINE = re.compile(r"(?P<told>\S+) [ *]?(?:\./)?(?P<key>.+)")
DIGEST = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"[0-9]{1,11}(\.[0-9]+)?")

Command = tuple[str, ...] | None


class Hooks(BaseModel):
    """Programs in a container, each with its arguments; None for what the service does not have.

    Attributes:
        probe: ends well as long as it serves.
        content: prints what it holds.
        items: lists a collection.
        put, get, delete: handle one item.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    probe: Command = None
    content: Command = None
    items: Command = None
    put: Command = None
    get: Command = None
    delete: Command = None


@dataclass(frozen=True)
class Inside:
    """A container that runs, and what the stack says can be run in it.

    Attributes:
        id: of the container.
        hooks: its programs.
    """

    id: str
    hooks: Hooks


def inside(endpoint: Endpoint) -> Inside | None:
    """The programs in the container of a lease; None when it does not run."""
    return next(_running(of_lease(endpoint.lease)), None)


def inside_behind(endpoint: Endpoint) -> Inside | None:
    """The programs in the container that answers at an address now, whatever lease it has; None without."""
    return next(_running(of_run(endpoint.lease.run_id), endpoint.port), None)


def _running(wanted: Mapping[str, list[str]], port: int | None = None) -> Iterator[Inside]:
    with told("containers"):
        running = connect().api.containers(filters=wanted)
    for one in running:
        hooks = one["Labels"].get(HOOKS_LABEL)
        published = {each.get("PublicPort") for each in one["Ports"]}
        if hooks is not None and (port is None or port in published):
            yield Inside(str(one["Id"]), Hooks.model_validate_json(hooks))


def read_items(service: str, listed: str) -> Iterator[tuple[str, int, datetime | None]]:
    """Key, hash and time of each item that a listing tells, in the order of their keys.

    Args:
        service: for messages.
        listed: lines of a SHA-256, blanks and a key, and of a time in seconds since 1970, blanks and a key.

    Raises:
        DatabaseError: a line is neither, or there is a time without its item.
    """
    digests: dict[str, int] = {}
    times: dict[str, datetime] = {}
    for line in listed.splitlines():
        match = LINE.fullmatch(line)
        if match and DIGEST.fullmatch(match["told"]):
            digests[match["key"]] = int.from_bytes(bytes.fromhex(match["told"])[:8], signed=True)
        elif match and TIME.fullmatch(match["told"]):
            times[match["key"]] = datetime.fromtimestamp(float(match["told"]), UTC)
        else:
            raise DatabaseError(
                f"{service}: `items` prints a line that tells of no item: {line[:200]!r}",
                hint="print a SHA-256 and a key, as sha256sum does; and if there is one, a time and a key",
            )
    stray = sorted(times.keys() - digests.keys())
    if stray:
        raise DatabaseError(
            f"{service}: `items` prints a time of {stray[0]!r}, and no SHA-256",
            hint="print both for every item",
        )
    for key in sorted(digests):
        yield key, digests[key], times.get(key)


class ContainerClient:
    """Items of a service in a container, each handled by a program inside of it.

    Args:
        endpoint: of kind ``container``; whatever answers there is used.
        credential: of no account; the programs know how to get in.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential) -> None:
        del credential
        self._endpoint = endpoint
        self._clock = SystemClock()

    def put(self, collection: str, key: str, body: bytes, at: datetime | None = None) -> int:
        """Hand a content to ``put``, dated now or then; see ``harness.seams.items.ItemClient``."""
        dated = {"AT": (at or self._clock.stamp().wall).astimezone(UTC).isoformat()}
        self._run("put", collection, key, dated, body)
        return content_hash(body)

    def get(self, collection: str, key: str) -> bytes | None:
        """What ``get`` prints."""
        return self._run("get", collection, key, {})

    def delete(self, collection: str, key: str) -> int | None:
        """Run ``delete``, and tell what was there before."""
        before = self._run("get", collection, key, {})
        if before is None or self._run("delete", collection, key, {}) is None:
            return None
        return content_hash(before)

    def close(self) -> None:
        """Nothing is held."""

    def _run(
        self,
        name: Literal["put", "get", "delete"],
        collection: str,
        key: str,
        said: Mapping[str, str],
        body: bytes = b"",
    ) -> bytes | None:
        """What a program printed; None when it says that there is no such item."""
        try:
            found = inside_behind(self._endpoint)
        except HarnessError as error:
            raise ItemRefusedError(error.message) from error
        if found is None:
            raise ItemRefusedError("its container does not run")
        command = getattr(found.hooks, name)
        if command is None:
            raise ItemRefusedError(f"the stack names no program for `{name}`")
        try:
            ran = run_inside(
                found.id, command, environment={**said, "COLLECTION": collection, "KEY": key}, stdin=body
            )
        except HarnessError as error:
            raise ItemUnansweredError(error.message) from error
        if ran.code == GONE and name != "put":
            return None
        if ran.code is None or ran.code >= KILLED:
            raise ItemUnansweredError(f"`{name}` was killed")
        if ran.code:
            last = ran.complained.decode(errors="replace").strip()[-200:]
            raise ItemRefusedError(f"`{name}` ended with exit code {ran.code}: {last}")
        return ran.printed
