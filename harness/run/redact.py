"""Blots minted credentials out of text that is about to be written."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from urllib.parse import quote

from harness.facts import SHORTEST_SECRET, Endpoint


class Redactor:
    """Knows every credential of a run.

    Args:
        endpoints: all of them.
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        secrets = {
            credential.secret.reveal(): f"[secret of {credential.principal}]"
            for endpoint in endpoints
            for credential in endpoint.credentials.values()
            if len(credential.secret.reveal()) >= SHORTEST_SECRET
        }
        forms = {form: name for secret, name in secrets.items() for form in _disguises(secret)}
        self._plain = _blotter(secrets)
        self._disguised = _blotter(forms | secrets)

    def clean(self, text: str) -> str:
        """The text with each credential replaced by whose it is."""
        return self._plain(text)

    def clean_log(self, text: str) -> str:
        """The same for text that a server wrote, which may hold a credential as it came over the wire."""
        return self._disguised(text)


def _blotter(names: Mapping[str, str]) -> Callable[[str], str]:
    """Replaces texts by names, whatever the case of their letters. All at once: a name is not searched."""
    found = {text.lower(): name for text, name in names.items()}

    @cache
    def pattern() -> re.Pattern[str]:
        longest_first = sorted(names, key=len, reverse=True)  # one may begin with another
        return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE | re.ASCII)

    def blot(text: str) -> str:
        lowered = text.lower()
        if not any(secret in lowered for secret in found):  # as nearly always; a pattern takes long to make
            return text
        return pattern().sub(lambda match: found[match[0].lower()], text)

    return blot


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
