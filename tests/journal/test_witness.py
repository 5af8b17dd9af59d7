"""Files of rows: written once, read back the same, with the content added up on the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import pytest

from harness.errors import JournalError
from harness.facts import TableFingerprint
from harness.journal.ledger import Ledger, expected
from harness.journal.witness import Row, read_witness, write_differences, write_rows

NOON = datetime(2026, 4, 24, 12, tzinfo=UTC)
ROWS = [
    ("orders", [("a", 2**63 - 1, NOON), ("b\n\"'☃", 3, None)]),
    ("people", [("a", -(2**63), NOON.astimezone(timezone(timedelta(hours=2))))]),
]


def test_rows_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    write_rows(tmp_path / "w", ROWS)
    assert read_witness(tmp_path / "w") == {
        "orders": {"a": Row(2**63 - 1, NOON), "b\n\"'☃": Row(3, None)},
        "people": {"a": Row(-(2**63), NOON)},
    }


def test_the_digest_is_of_the_file_and_the_content_of_all_rows(tmp_path: Path) -> None:
    written = write_rows(tmp_path / "w", ROWS)
    assert written.sha256 == sha256((tmp_path / "w").read_bytes()).hexdigest()
    assert written.rows == 3
    assert written.content.tables == (
        TableFingerprint(table="orders", rows=2, digest=f"2-{(2**63 + 2):016x}"),
        TableFingerprint(table="people", rows=1, digest=f"1-{2**63:016x}"),
    )


def test_a_time_without_a_zone_is_utc(tmp_path: Path) -> None:
    write_rows(tmp_path / "w", [("t", [("k", 1, NOON.replace(tzinfo=None))])])
    assert read_witness(tmp_path / "w")["t"]["k"].time == NOON


def test_differences_list_the_rows_that_are_missing_changed_or_too_many(tmp_path: Path) -> None:
    witness = {
        "t": {"same": Row(1, NOON), "gone": Row(2, NOON), "changed": Row(3, NOON)},
        "u": {"x": Row(4, None)},
    }
    there = [("t", [("same", 1, NOON), ("changed", 9, NOON), ("new", 5, NOON)])]
    written = write_differences(tmp_path / "r", there, expected(witness, Ledger()))
    assert read_witness(tmp_path / "r") == {
        "t": {"changed": Row(9, NOON), "new": Row(5, NOON), "gone": Row(None, None)},
        "u": {"x": Row(None, None)},
    }
    assert written.rows == 4
    assert written.content.tables == (TableFingerprint(table="t", rows=3, digest=f"3-{15:016x}"),)


def test_a_service_that_is_as_it_should_be_leaves_an_empty_list(tmp_path: Path) -> None:
    witness = {"t": {"a": Row(1, NOON)}}
    written = write_differences(tmp_path / "r", [("t", [("a", 1, NOON)])], expected(witness, Ledger()))
    assert written.rows == 0
    assert (tmp_path / "r").read_bytes() == b""
    assert read_witness(tmp_path / "r") == {}


@pytest.mark.parametrize(
    "content", [b"[]\n", b'["t","k",1]\n', b"{", b'["t","k",1,"noon"]\n', b'["t","k",1,null]\n' * 2]
)
def test_a_file_that_makes_no_sense_is_an_error_that_names_the_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(JournalError, match=f"line {content.count(bytes([10])) or 1} of .* makes no sense"):
        read_witness(tmp_path / "w")


def test_a_file_is_read_once_and_anew_when_its_content_is_another(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b'["t","k",1,null]\n')
    first = read_witness(tmp_path / "w")
    assert read_witness(tmp_path / "w") is first
    (tmp_path / "w").write_bytes(b'["t","k",2,null]\n')
    assert read_witness(tmp_path / "w") == {"t": {"k": Row(2, None)}}
    (tmp_path / "w").unlink()
    with pytest.raises(JournalError, match="cannot read"):
        read_witness(tmp_path / "w")


def test_a_missing_file_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot read") as caught:
        read_witness(tmp_path / "w")
    assert "run folder" in caught.value.hint


def test_a_database_that_fails_while_it_is_read_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    def failing() -> Iterator[tuple[str, int, datetime | None]]:
        yield ("a", 1, NOON)
        raise ConnectionResetError("the database went away")

    with pytest.raises(ConnectionResetError):
        write_rows(tmp_path / "w", [("t", failing())])
