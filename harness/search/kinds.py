"""The kinds of service whose calls a search knows how to make."""

from __future__ import annotations

from collections.abc import Mapping

from harness.search.calls import postgres, railway, s3, volume
from harness.search.moves import Kind

KINDS: Mapping[str, Kind] = {
    "railway": Kind(railway.moves, railway.learn, "http"),
    "postgres": Kind(postgres.moves, postgres.learn, "sql"),
    "s3": Kind(s3.moves, s3.learn, "s3"),
    "volume": Kind(volume.moves, volume.learn, "files"),
}
