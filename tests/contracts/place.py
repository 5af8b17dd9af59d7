"""Where the contracts of the built-in drivers are tried: with what the other tests have prepared."""

from __future__ import annotations

from contextlib import AbstractContextManager

from harness.sandbox import Sandbox
from tests.conftest import fresh_sandbox


class Here:
    """Mixed into a contract, it works where every test does."""

    @classmethod
    def sandbox(cls) -> AbstractContextManager[Sandbox]:
        return fresh_sandbox()
