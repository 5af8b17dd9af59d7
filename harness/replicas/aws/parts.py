"""What a part of the control plane is: one service, or the records that nothing real stands behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from harness.replicas.aws.audit import Touched
from harness.replicas.aws.wire import ApiCall

Check = Callable[[ApiCall], None]
"""Raises ``ApiError`` when AWS would not do it."""

Own = Callable[[ApiCall], Mapping[str, Any]]
"""Carries out an operation that moto does not have, or gets wrong; returns its answer."""


class Part(Protocol):
    """One service of the control plane."""

    @property
    def checks(self) -> Mapping[str, Check]:
        """By operation: what is asked before moto carries it out."""
        ...

    @property
    def own(self) -> Mapping[str, Own]:
        """By operation: what moto is not asked at all."""
        ...

    def settle(self, call: ApiCall) -> None:
        """Make what is real follow the records, after a call has changed them.

        Raises:
            OSError, FreezeError: something could not be copied or removed.
        """
        ...

    def pass_time(self) -> None:
        """Carry out what is due by now."""
        ...

    def listing(self) -> Iterator[tuple[Touched, str]]:
        """What can be deleted there, with its state."""
        ...
