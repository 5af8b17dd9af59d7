"""Blots minted credentials out of text that is about to be written."""

from __future__ import annotations

from collections.abc import Iterable

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
