"""No credential that was minted for a run is in what the run leaves, nor in any program's arguments."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest

from harness.facts import Secret
from harness.run.drill import drill
from harness.run.place import Place
from harness.scenario.load import load_scenario
from tests.drills.command import SHOP, Installation

LEAST_LENGTH = 16
"""Shorter texts than any secret; what is searched for must not be found by chance."""


@pytest.mark.drill
@pytest.mark.parametrize("scenario", ["deleted-volume", "emptied-dump"])
def test_no_minted_credential_is_left_or_shown(installation: Installation, scenario: str) -> None:
    minted: list[str] = []
    arguments: list[str] = []
    mint, start = Secret.mint, subprocess.Popen.__init__

    def mint_and_note(prefix: str = "") -> Secret:
        secret = mint(prefix)
        minted.append(secret.reveal())
        return secret

    def start_and_note(self: Any, command: Any, *rest: Any, **options: Any) -> None:
        arguments.extend(map(str, command))
        start(self, command, *rest, **options)

    place = Place(installation.reports, installation.work, installation.cache)
    with (
        patch.object(Secret, "mint", mint_and_note),
        patch.object(subprocess.Popen, "__init__", start_and_note),
    ):
        drilled = drill(load_scenario(SHOP / f"{scenario}.yaml"), place)
    assert drilled.fault is None
    assert drilled.record.as_expected
    assert len(minted) >= 4
    assert arguments
    files = [path for path in drilled.folder.rglob("*") if path.is_file()]
    assert len(files) >= 8
    shown = "\n".join(arguments).encode()
    for secret in minted:
        assert len(secret) >= LEAST_LENGTH
        assert [path.name for path in files if shows(path.read_bytes(), secret)] == []
        assert not shows(shown, secret)


@pytest.mark.parametrize("prefix", [b"", b"a", b"ab"])
def test_a_disguised_credential_would_be_noticed(tmp_path: Path, prefix: bytes) -> None:
    secret = Secret.mint("rw/").reveal()
    for disguise in (
        secret.encode(),
        base64.b64encode(prefix + secret.encode() + b"!"),
        quote(secret, "").encode(),
    ):
        assert shows(b"before " + disguise + b" after", secret)
    assert not shows(base64.b64encode(b"nothing at all"), secret)


def shows(content: bytes, secret: str) -> bool:
    """Whether a content has a secret in it: plain, URL-encoded, in hex, or in base64 at any offset."""
    return any(form in content for form in forms(secret))


def forms(secret: str) -> set[bytes]:
    plain = secret.encode()
    found = {plain, quote(secret, "").encode(), plain.hex().encode(), plain.hex().upper().encode()}
    for offset in range(3):
        # What the bytes before and after decide is cut off at both ends.
        encoded = base64.b64encode(b"\0" * offset + plain)
        start = -(-offset * 8 // 6)
        end = (offset + len(plain)) * 8 // 6
        found |= {encoded[start:end], base64.urlsafe_b64encode(b"\0" * offset + plain)[start:end]}
    return found
