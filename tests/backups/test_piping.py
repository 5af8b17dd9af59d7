"""Two programs, of which the second reads what the first writes."""

from __future__ import annotations

from io import BytesIO

import pytest

from harness.backups.object_store import DigestingReader
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
