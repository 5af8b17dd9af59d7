"""Real traffic: a scenario's locustfile in a child process, on a base class that keeps the ledger.

A locustfile says ``from harness.workload import LedgerUser``; ``docs/workload.md`` shows one in ten lines.
Importing locust patches the standard library of the whole process, so nothing of it is imported here before
it is asked for: the harness itself only ever uses ``harness.workload.process``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.workload.own_client import RefusedError
    from harness.workload.user import LedgerUser

__all__ = ["LedgerUser", "RefusedError"]


def __getattr__(name: str) -> Any:
    if name == "LedgerUser":
        from harness.workload.user import LedgerUser

        return LedgerUser
    if name == "RefusedError":
        from harness.workload.own_client import RefusedError

        return RefusedError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
