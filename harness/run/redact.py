"""Blots minted credentials out of text that is about to be written."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from harness.facts import Endpoint


class Redactor:
    """Knows every credential of a run.

    Args:
        endpoints: all of them.
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._secrets = {
            credential.secret.reveal(): f"[secret of {credential.principal}]"
            for endpoint in endpoints
            for credential in endpoint.credentials.values()
        }

    def clean(self, text: str) -> str:
        """The text with each credential replaced by whose it is."""
        for secret, name in self._secrets.items():
            text = text.replace(secret, name)
        return text

    def clean_log(self, text: str) -> str:
        """The same for text that a server wrote, which may hold a credential as it came over the wire."""
        for secret, name in self._secrets.items():
            for form in (secret, *_disguises(secret)):
                text = re.sub(re.escape(form), name, text, flags=re.IGNORECASE)
        return text


def _disguises(secret: str) -> Iterator[str]:
    """URL-encoded, in hex, and in base64 at any offset: of the letters those that others have no part in."""
    plain = secret.encode()
    yield quote(secret, "")
    yield plain.hex()
    for offset in range(3):
        start, end = -(-offset * 8 // 6), (offset + len(plain)) * 8 // 6
        padded = b"\0" * offset + plain
        yield base64.b64encode(padded).decode()[start:end]
        yield base64.urlsafe_b64encode(padded).decode()[start:end]
