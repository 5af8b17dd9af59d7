"""The calls to a bucket: its versions, a folder of it, all of it, and what keeps versions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

from harness.search.moves import Key, Learned, Move, MoveKind, Thing, call


def moves(key: Key, things: tuple[Thing, ...], name: str) -> Iterator[Move]:
    """Every call that an access key could make, given the folders it was shown."""
    del name

    def ask(kind: MoveKind, what: str, verb: str, operation: str = "", **more: JsonValue) -> Move:
        return call(key, kind, f"s3.{verb}", what, more, operation)

    yield ask("look", "list versions", "list-versions")
    for thing in things:
        what, prefix = thing.name, thing.value
        yield ask("destroy", f"delete {what}", "delete-objects", "without a version", prefix=prefix)
        yield ask(
            "destroy",
            f"delete every version of {what}",
            "delete-objects",
            "emptying",
            prefix=prefix,
            versions=True,
        )
        bypass = f"delete every version of {what}, bypassing locks"
        more: dict[str, JsonValue] = {"prefix": prefix, "versions": True, "bypass": True}
        yield ask("destroy", bypass, "delete-objects", "BypassGovernanceRetention", **more)
    yield ask("weaken", "let everything expire", "put-lifecycle", "PutBucketLifecycle", days=1)
    yield ask("weaken", "suspend versions", "put-versioning", "PutBucketVersioning", status="Suspended")
    yield ask("destroy", "delete the bucket", "delete-bucket", "DeleteBucket")


def learn(move: Move, text: str, known: int) -> Learned:
    """Prefixes: a folder, and a folder in it, as far as their names are no dates or hashes."""
    del move, known
    keys = [str(version["key"]) for version in json.loads(text)["versions"]]
    folders = {
        "/".join(key.split("/")[:depth]) + "/" for key in keys for depth in (1, 2) if key.count("/") >= depth
    }
    lasting = sorted(folder for folder in folders if not re.search(r"\d", folder))
    return {}, [Thing("prefix", "everything", ""), *(Thing("prefix", one, one) for one in lasting)]
