"""The calls to a bucket: its versions, a folder of it, all of it, and what keeps versions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

from harness.search.moves import Key, Learned, Move, MoveKind, Thing, call

BYPASSED = "DeleteObject with BypassGovernanceRetention"


def moves(key: Key, things: tuple[Thing, ...], name: str) -> Iterator[Move]:
    """Every call that an access key could make, given the folders it was shown."""
    del name

    def ask(kind: MoveKind, what: str, verb: str, operation: str = "", **more: JsonValue) -> Move:
        return call(key, kind, f"s3.{verb}", what, more, operation)

    yield ask("look", "list versions", "list-versions")
    for thing in things:
        what, value = thing.name, thing.value
        if thing.kind == "object":
            yield ask("destroy", f"overwrite {what}", "put", "PutObject", key=value, body="")
            lock: dict[str, JsonValue] = {"mode": "governance", "days": 1, "bypass": True}
            shorten = f"shorten the lock of {what}"
            yield ask("weaken", shorten, "put-retention", "PutObjectRetention", key=value, **lock)
            continue
        delete = f"delete {what}"
        yield ask("destroy", delete, "delete-objects", "DeleteObject", prefix=value)
        delete, every = f"delete every version of {what}", "DeleteObject with a version"
        yield ask("destroy", delete, "delete-objects", every, prefix=value, versions=True)
        delete = f"{delete}, bypassing locks"
        yield ask("destroy", delete, "delete-objects", BYPASSED, prefix=value, versions=True, bypass=True)
    yield ask("weaken", "let everything expire", "put-lifecycle", "PutBucketLifecycleConfiguration", days=1)
    yield ask("weaken", "suspend versions", "put-versioning", "PutBucketVersioning", status="Suspended")
    yield ask("destroy", "delete the bucket", "delete-bucket", "DeleteBucket")


def learn(move: Move, text: str, known: int) -> Learned:
    """Prefixes: a folder, and a folder in it, as far as their names are no dates or hashes; and in each of
    those the last object, where copies lie the newest one, by its place."""
    del move
    keys = [str(version["key"]) for version in json.loads(text)["versions"]]
    folders = {
        "/".join(key.split("/")[:depth]) + "/" for key in keys for depth in (1, 2) if key.count("/") >= depth
    }
    lasting = sorted(folder for folder in folders if not re.search(r"\d", folder))
    saves: dict[str, str] = {}
    things = [Thing("prefix", "everything", "")]
    for number, one in enumerate(lasting, start=known + 1):
        saves[f"object_{number}"] = _last(one)
        things.append(Thing("prefix", one, one))
        things.append(Thing("object", f"the last object of {one}", f"${{object_{number}}}"))
    return saves, things


def _last(prefix: str) -> str:
    """A pattern for the key of the last object below a prefix, in an answer that lists them."""
    return rf'(?s).*"key": "({re.escape(prefix)}[^"]+)"'
