"""The calls to a bucket: its versions, a folder of it, all of it, and what keeps versions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

from harness.search.moves import Key, Learned, Move, MoveKind, Thing, call

DELETIONS: tuple[tuple[str, str, dict[str, JsonValue]], ...] = (
    ("delete {}", "DeleteObject", {}),
    ("delete every version of {}", "DeleteObject with a version", {"versions": True}),
    (
        "delete every version of {}, bypassing locks",
        "DeleteObject with BypassGovernanceRetention",
        {"versions": True, "bypass": True},
    ),
)
SHORTER: dict[str, JsonValue] = {"mode": "governance", "days": 1, "bypass": True}
"""A lock that ends tomorrow."""


def moves(key: Key, things: tuple[Thing, ...], name: str) -> Iterator[Move]:
    """Every call that an access key could make, given the folders it was shown."""
    del name

    def ask(kind: MoveKind, what: str, verb: str, operation: str = "", **more: JsonValue) -> Move:
        return call(key, kind, f"s3.{verb}", what, more, operation)

    yield ask("look", "list versions", "list-versions")
    for thing in things:
        name, value = thing.name, thing.value
        if thing.kind == "object":
            yield ask("destroy", f"overwrite {name}", "put", "PutObject", key=value, body="")
            shorten = f"shorten the lock of {name}"
            yield ask("weaken", shorten, "put-retention", "PutObjectRetention", key=value, **SHORTER)
        else:
            for what, operation, more in DELETIONS:
                yield ask("destroy", what.format(name), "delete-objects", operation, prefix=value, **more)
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
