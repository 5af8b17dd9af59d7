"""DSSE envelopes, one signature each, written in one way only: no byte of them can change unnoticed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from harness.evidence.canonical import canonical
from harness.evidence.manifest import is_plain
from harness.evidence.statements import PAYLOAD_TYPE

M = TypeVar("M", bound=BaseModel)


class MismatchError(Exception):
    """What is there is not what was signed. The message names the file."""


def seal(statement: BaseModel, signer: CryptoSigner) -> bytes:
    """A statement in a signed envelope, as the bytes of its file."""
    envelope = Envelope(canonical(statement), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return canonical(envelope.to_dict())


def open_sealed(path: Path, keys: tuple[SSlibKey, ...], model: type[M]) -> tuple[M, str]:
    """Read an envelope that one of the keys has signed.

    Returns:
        The statement, and the fingerprint of the key.

    Raises:
        MismatchError: it is not there, not whole, signed by somebody else, or says something else.
    """
    name = path.name
    envelope = _parse(path)
    if len(envelope.signatures) != 1:
        raise MismatchError(f"{name}: has {len(envelope.signatures)} signatures instead of one")
    ((signed_by, signature),) = envelope.signatures.items()
    key = next((key for key in keys if key.keyid == signed_by), None)
    if key is None:
        given = ", ".join(key.keyid[:16] for key in keys)
        raise MismatchError(
            f"{name}: signed with the key {signed_by[:16]}, which is not the one given ({given})"
        )
    try:
        key.verify_signature(signature, envelope.pae())
    except (UnverifiedSignatureError, VerificationError):
        raise MismatchError(
            f"{name}: the signature does not fit: it was changed, or {signed_by[:16]} did not make it"
        ) from None
    if envelope.payload_type != PAYLOAD_TYPE:
        raise MismatchError(f"{name}: holds {envelope.payload_type}, not {PAYLOAD_TYPE}")
    try:
        return model.model_validate_json(envelope.payload), key.keyid
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise MismatchError(
            f"{name}: signed, but not a statement of its kind: {where}: {first['msg']}"
        ) from None


def _parse(path: Path) -> Envelope:
    """An envelope whose bytes are the only ones that say what it says.

    Base64 and JSON have several ways to write one value, and a reader that takes all of them would let a
    changed byte pass.
    """
    if os.path.lexists(path) and not is_plain(path):
        raise MismatchError(f"{path.name}: is no ordinary file")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MismatchError(f"{path.name}: is missing") from None
    except OSError as error:
        raise MismatchError(f"{path.name}: cannot be read: {error.strerror}") from error
    try:
        envelope = Envelope.from_dict(json.loads(data))
        same = canonical(envelope.to_dict()) == data
    except Exception:  # noqa: BLE001 - whatever a stranger's bytes do to a parser, they are no envelope
        raise MismatchError(f"{path.name}: is not an envelope: it was changed") from None
    if not same:
        raise MismatchError(f"{path.name}: is not written as it was signed: it was changed")
    return envelope
