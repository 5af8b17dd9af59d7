"""What every contract is given: a stack, and a bench with its replicas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar

import pytest

from harness.contracts.bench import Bench, temporary_sandbox
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.lookup import Provider


class Contract:
    """Base of the contracts.

    Attributes:
        stack: as in a stack file.
        files: what its relative paths name, by path.
        provider: what replicas run on.
    """

    stack: ClassVar[Mapping[str, Any]]
    files: ClassVar[Mapping[str, str]] = {}
    provider: ClassVar[Provider] = "embedded"

    @classmethod
    def sandbox(cls) -> AbstractContextManager[Sandbox]:
        """Where to work: below the machine's temporary folder."""
        return temporary_sandbox()

    @classmethod
    @contextmanager
    def fresh_bench(cls) -> Iterator[Bench]:
        """A bench of one's own, with nothing on it yet."""
        with ExitStack() as stack:
            sandbox = stack.enter_context(cls.sandbox())
            bench = Bench(Stack.model_validate(cls.stack), sandbox, cls.files, cls.provider)
            stack.callback(bench.close)
            yield bench

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[Bench]:
        """The bench that the tests of a class share."""
        with cls.fresh_bench() as bench:
            yield bench
