"""What every driver must keep to, as classes of pytest tests that any driver's own tests can subclass.

``docs/drivers.md`` says how. They need pytest and this package, and whatever the driver itself needs.
"""

import pytest

pytest.register_assert_rewrite(
    "harness.contracts.backup",
    "harness.contracts.contract",
    "harness.contracts.store",
    "harness.contracts.replica",
    "harness.contracts.reset",
    "harness.contracts.surface",
)

# Asserts are rewritten as modules are imported, so these come after the line above.
from harness.contracts.backup import BackupContract  # noqa: E402
from harness.contracts.bench import Bench  # noqa: E402
from harness.contracts.contract import Contract  # noqa: E402
from harness.contracts.replica import ReplicaContract  # noqa: E402
from harness.contracts.reset import ResetContract  # noqa: E402
from harness.contracts.store import DatabaseContract, ItemStoreContract  # noqa: E402
from harness.contracts.surface import Attempt, SurfaceContract  # noqa: E402
from harness.contracts.things import MARIADB, POSTGRES, THINGS, Dialect, ItemThings, SqlThings  # noqa: E402

__all__ = [
    "MARIADB",
    "POSTGRES",
    "THINGS",
    "Attempt",
    "BackupContract",
    "Bench",
    "Contract",
    "DatabaseContract",
    "Dialect",
    "ItemStoreContract",
    "ItemThings",
    "ReplicaContract",
    "ResetContract",
    "SqlThings",
    "SurfaceContract",
]
