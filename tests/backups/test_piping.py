"""Programs, of which each reads what the one before writes."""

from __future__ import annotations

from gzip import compress
from hashlib import sha256
from io import BytesIO
from random import Random

import pytest

from harness.backups.object_store import READ_BYTES, DigestingReader
from harness.backups.piping import End, feed
from harness.sandbox import Sandbox


def test_a_program_that_takes_too_long_is_said_to(sandbox: Sandbox) -> None:
    source = DigestingReader(BytesIO(b"a few bytes"))
    assert feed(sandbox, source, End(["sleep", "600"], {}), timeout=0.2) == "sleep took longer than 0.2 s"


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("cat > /dev/null", ""),
        ("echo it is torn >&2; exit 3", "sh failed with exit code 3: it is torn"),
        ("kill -9 $$", "sh failed with exit code -9: it said nothing"),
    ],
)
def test_a_program_that_ends_by_itself_is_told_as_it_ended(
    sandbox: Sandbox, script: str, complaint: str
) -> None:
    source = DigestingReader(BytesIO(b"x" * 1_000_000))
    assert feed(sandbox, source, End(["sh", "-c", script], {})) == complaint
    assert source.read() == b""


def test_what_passes_several_programs_arrives_as_a_whole(sandbox: Sandbox) -> None:
    content = Random(1).randbytes(5 * READ_BYTES + 17)
    sent = compress(content, 1)
    source = DigestingReader(BytesIO(sent))
    arrived = sandbox.root / "arrived"
    last = End(["sh", "-c", f"cat > {arrived}"], {})
    assert feed(sandbox, source, End(["gzip", "-dc"], {}), End(["cat"], {}), last) == ""
    assert arrived.read_bytes() == content
    assert source.hexdigest() == sha256(sent).hexdigest()


@pytest.mark.parametrize(
    ("scripts", "complaint"),
    [
        (("cat", "echo no room >&2; exit 2", "cat"), "sh failed with exit code 2: no room"),
        (("echo torn >&2; exit 1", "cat; echo incomplete >&2; exit 2"), "sh failed with exit code 1: torn"),
    ],
)
def test_of_several_programs_the_one_that_failed_is_told(
    sandbox: Sandbox, scripts: tuple[str, ...], complaint: str
) -> None:
    source = DigestingReader(BytesIO(b"x" * 3 * READ_BYTES))
    assert feed(sandbox, source, *(End(["sh", "-c", each], {}) for each in scripts)) == complaint
    assert source.read() == b""


def test_several_programs_that_take_too_long_are_ended_with_all_that_they_started(sandbox: Sandbox) -> None:
    source = DigestingReader(BytesIO(b"x" * 3 * READ_BYTES))
    ends = (End(["sh", "-c", "cat; true"], {}), End(["sh", "-c", "sleep 600; true"], {}))
    assert feed(sandbox, source, *ends, timeout=0.2) == "sh and sh took longer than 0.2 s"
