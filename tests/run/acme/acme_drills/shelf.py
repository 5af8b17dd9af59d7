"""A shelf: a folder of files, and the API through which an agent reaches it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from harness.clock import Clock
from harness.facts import (
    OPERATOR,
    Action,
    Aim,
    Credential,
    Destruction,
    Endpoint,
    Lease,
    Listing,
    Outcome,
    Resource,
    Secret,
)
from harness.scenario.models import Stack
from harness.seams.drivers import Setting

KIND = "shelf"
NEWEST_LAST = Listing("file", "list", from_end=True)
Status = Literal["done", "refused", "failed"]


class ShelfReplica:
    """A folder in the lease's directory."""

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Nothing has to be there first."""
        del stack, service
        return ()

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Make the folder; the public half of each credential is the role that it gives."""
        folder = lease.directory / "files"
        folder.mkdir(parents=True)
        (lease.directory / "marker").write_text(lease.marker, encoding="utf-8")
        roles = {
            name: str(principal.grants[lease.service])
            for name, principal in setting.stack.principals.items()
            if lease.service in principal.grants
        }
        return Endpoint(
            lease=lease,
            kind=KIND,
            host="",
            port=0,
            name="",
            environment=None,
            path=folder,
            credentials={
                name: Credential(name, "password", role, Secret.mint())
                for name, role in {**roles, OPERATOR: "admin"}.items()
            },
        )

    def destroy(self, lease: Lease) -> None:
        """Remove it, from the lease alone."""
        shutil.rmtree(lease.directory, ignore_errors=True)

    def read_marker(self, endpoint: Endpoint) -> str:
        """What stands in the marker's file."""
        return (endpoint.lease.directory / "marker").read_text(encoding="utf-8")

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """Every file."""
        return tuple(resource(endpoint, path.name) for path in files_of(endpoint))

    def remember(self, endpoint: Endpoint, setting: Setting) -> ShelfMemory:
        """What lies on it now, for searches."""
        del setting
        return ShelfMemory(endpoint)

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Which shelf it is."""
        del endpoint
        return {"version": "Shelf 1.0"}


class ShelfMemory:
    """What lay on a shelf when this was made."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._files = contents_of(endpoint)

    def changed(self) -> bool:
        """Whether anything else lies there now."""
        return contents_of(self._endpoint) != self._files

    def reset(self) -> None:
        """Put it back."""
        shutil.rmtree(self._endpoint.path, ignore_errors=True)
        self._endpoint.path.mkdir()
        for name, content in self._files.items():
            (self._endpoint.path / name).write_bytes(content)


def contents_of(endpoint: Endpoint) -> dict[str, bytes]:
    """Every file of it, by name."""
    return {path.name: path.read_bytes() for path in files_of(endpoint)}


def files_of(endpoint: Endpoint) -> list[Path]:
    """What lies on the shelf; nothing when it is gone."""
    return sorted(endpoint.path.iterdir()) if endpoint.path.is_dir() else []


def resource(endpoint: Endpoint, name: str) -> Resource:
    """A file as reports name it."""
    return Resource(service=endpoint.service, kind="file", name=name)


class ShelfSurface:
    """``shelf.list`` and ``shelf.delete``, which takes a ``name``."""

    destructive = (
        Destruction(
            operation="deleting a file of the shelf",
            verb="delete",
            undo="",
            takes_along="the file is the backup, where backups lie on the shelf",
            guard="any role but `admin`",
            basis="observed",
            evidence="tests/run/test_third_party.py::test_what_a_guard_refuses_holds",
            aims=(Aim("delete {name}", {"name": "{name}"}, NEWEST_LAST),),
        ),
    )

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock
        credential = endpoint.credentials.get(principal)
        self._role = credential.name if credential else ""

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Raises nothing: what cannot be done is ``failed``."""
        began = self._clock.stamp()
        files = {path.name: path for path in files_of(self._endpoint)}
        status, detail, touched = self._do(action.verb, str(arguments.get("name")), files)
        return Outcome(
            status=status,
            detail=detail,
            touched=touched,
            began=began,
            ended=self._clock.stamp(),
            text="\n".join(files) if action.verb == "list" and status == "done" else "",
        )

    def _do(
        self, verb: str, name: str, files: Mapping[str, Path]
    ) -> tuple[Status, str, tuple[Resource, ...]]:
        """What comes of a call. Only what exists can be refused: a misspelt name proves no guard."""
        if verb == "list":
            return ("done", f"{len(files)} files", ()) if self._role else ("refused", "no credential", ())
        if verb != "delete" or name not in files:
            # What was given is not repeated: it may be a secret.
            return "failed", "there is no such verb, or no such file", ()
        if self._role != "admin":
            return "refused", "only admins delete", ()
        files[name].unlink()
        return "done", f"deleted {name}", (resource(self._endpoint, name),)
