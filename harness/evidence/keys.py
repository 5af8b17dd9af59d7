"""Keys to sign with (ed25519), as PEM files: what `openssl pkey` reads too.

The private one is read by ``ninelives sign`` alone, in a process of its own after the run. A run has no use
for it, so nothing that an agent does in a run comes near it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey

from harness.errors import RequestError

PRIVATE_MARK = b"PRIVATE KEY"


@dataclass(frozen=True)
class KeyFiles:
    """A fresh pair.

    Attributes:
        private: for whoever signs, and nobody else.
        public: for whoever verifies.
        fingerprint: of the public key.
    """

    private: Path
    public: Path
    fingerprint: str


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256, in hex, of the key as DER: ``openssl pkey -pubin -outform DER | sha256sum`` tells the same."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).hexdigest()


def make_keys(private: Path, public: Path) -> KeyFiles:
    """Make a pair of keys. The private file is never readable for others, not even for a moment.

    Raises:
        RequestError: one of the files is there already, or cannot be made.
    """
    for path in (private, public):
        if os.path.lexists(path):
            raise RequestError(
                f"{path} is there already", hint="choose another name: a key that is lost cannot be had again"
            )
    key = Ed25519PrivateKey.generate()
    _write(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _write(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return KeyFiles(private, public, fingerprint(key.public_key()))


def read_signer(path: Path) -> CryptoSigner:
    """What signs with a private key.

    Raises:
        RequestError: it cannot be read, others may read it, or it is no ed25519 key without a passphrase.
    """
    text = _read_private(path)
    try:
        key = load_pem_private_key(text, password=None)
    except TypeError:
        raise RequestError(
            f"{path} is protected by a passphrase, which cannot be asked for",
            hint="keep the key in the secret store of your CI, and hand it over as a file of mode 600",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise RequestError(f"{path} is no private key in PEM", hint="make one: ninelives keygen") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise RequestError(f"{path} is not an ed25519 key", hint="make one: ninelives keygen")
    public = key.public_key()
    return CryptoSigner(key, SSlibKey.from_crypto(public, keyid=fingerprint(public)))


def read_public(path: Path) -> SSlibKey:
    """A key to verify with; its ``keyid`` is its fingerprint.

    Raises:
        RequestError: it cannot be read, or is no public ed25519 key.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error}", hint="name the public key with --key") from error
    if PRIVATE_MARK in text:
        raise RequestError(
            f"{path} is a private key; verifying takes the public one alone",
            hint="name the public key, and let nobody who verifies have the private one",
        )
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        raise RequestError(
            f"{path} is no public key in PEM", hint="ask whoever signed for the .pub file"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise RequestError(f"{path} is not an ed25519 key", hint="ask whoever signed for the .pub file")
    return SSlibKey.from_crypto(key, keyid=fingerprint(key))


def _read_private(path: Path) -> bytes:
    """Looked at and read through one descriptor, so that what was looked at is what is read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            mode = stat.S_IMODE(status.st_mode)
            if mode & 0o077:
                raise RequestError(
                    f"{path} can be read by others (mode {mode:03o}), so its signatures prove nothing",
                    hint=f"make a new one with `ninelives keygen`; if nobody has read it: chmod 600 {path}",
                )
            return file.read()
    except OSError as error:
        raise RequestError(
            f"cannot read {path}: {error}", hint="make a key with `ninelives keygen`, or name one with --key"
        ) from error


def _write(path: Path, text: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(text)
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error}", hint="choose another place") from error
