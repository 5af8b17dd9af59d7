"""Files of any size go to the store and come back as they were."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from harness.backups.object_store import ONE_PIECE_BYTES, ObjectStore, Retention

from .conftest import Estate


@pytest.mark.parametrize(
    ("size", "in_parts"), [(0, False), (ONE_PIECE_BYTES, False), (ONE_PIECE_BYTES + 1, True)]
)
def test_a_file_of_any_size_comes_back_as_it_was_and_is_locked(
    estate: Estate, tmp_path: Path, size: int, in_parts: bool
) -> None:
    store = ObjectStore(estate.setting.peers["vault"])
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(size))
    until = datetime.now(UTC) + timedelta(days=1)
    version = store.put_file(source, f"sized/{size}", {"made-by": "test"}, Retention("COMPLIANCE", until))
    assert store.fetch(version, copy) == sha256(source.read_bytes()).hexdigest()
    assert copy.read_bytes() == source.read_bytes()
    assert ("-" in version.tag) is in_parts
    facts = store.facts(version)
    assert facts.metadata == {"made-by": "test"}
    assert facts.locked_until(datetime.now(UTC)) is not None
