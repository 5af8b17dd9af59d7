"""Keys: the private one is for its owner alone, and what is no key is told so."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from harness.errors import RequestError
from harness.evidence.keys import KeyFiles, make_keys, read_public, read_signer


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def private(path: Path, key: object, how: KeySerializationEncryption) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))  # type: ignore[attr-defined]
    path.chmod(0o600)
    return path


def test_the_private_key_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = make_keys(tmp_path / "a.key", tmp_path / "a.pub")
    finally:
        os.umask(before)
    assert (mode(made.private), mode(made.public)) == (0o600, 0o644)


def test_openssl_reads_both_and_tells_the_same_fingerprint(pair: KeyFiles) -> None:
    commands = [["-in", str(pair.private), "-pubout"], ["-pubin", "-in", str(pair.public)]]
    ders = [
        subprocess.run(
            ["openssl", "pkey", *command, "-outform", "DER"], capture_output=True, check=True
        ).stdout
        for command in commands
    ]
    assert ders[0] == ders[1]
    digest = subprocess.run(["openssl", "sha256", "-r"], input=ders[0], capture_output=True, check=True)
    assert digest.stdout.decode().split()[0] == pair.fingerprint
    assert read_public(pair.public).keyid == read_signer(pair.private).public_key.keyid == pair.fingerprint


@pytest.mark.parametrize("there", ["a.key", "a.pub"])
def test_no_key_is_ever_written_over(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(RequestError, match="is there already"):
        make_keys(tmp_path / "a.key", tmp_path / "a.pub")
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o660, 0o644])
def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path, bits: int) -> None:
    made = make_keys(tmp_path / "a.key", tmp_path / "a.pub")
    made.private.chmod(bits)
    with pytest.raises(RequestError, match=f"can be read by others \\(mode {bits:o}\\)"):
        read_signer(made.private)


def test_what_is_no_private_key_of_ours_is_told_so(tmp_path: Path, pair: KeyFiles) -> None:
    path = tmp_path / "key"
    key = ed25519.Ed25519PrivateKey.generate()
    private(path, key, BestAvailableEncryption(b"secret"))
    with pytest.raises(RequestError, match="protected by a passphrase"):
        read_signer(path)
    private(path, ec.generate_private_key(ec.SECP256R1()), NoEncryption())
    with pytest.raises(RequestError, match="not an ed25519 key"):
        read_signer(path)
    path.write_bytes(pair.public.read_bytes())
    with pytest.raises(RequestError, match="no private key in PEM"):
        read_signer(path)
    with pytest.raises(RequestError, match="cannot read"):
        read_signer(tmp_path / "nowhere")


def test_what_is_no_public_key_of_ours_is_told_so(tmp_path: Path, pair: KeyFiles) -> None:
    with pytest.raises(RequestError, match="is a private key; verifying takes the public one"):
        read_public(pair.private)
    path = tmp_path / "key.pub"
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    path.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(RequestError, match="not an ed25519 key"):
        read_public(path)
    path.write_text("ssh-ed25519 AAAA")
    with pytest.raises(RequestError, match="no public key in PEM"):
        read_public(path)
    with pytest.raises(RequestError, match="cannot read"):
        read_public(tmp_path / "nowhere")
