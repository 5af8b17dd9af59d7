"""The application of a stack, as far as it decides what a call in a trial comes to: it is connected.

``DROP DATABASE ... WITH (FORCE)`` ends sessions of others, but only those that whoever drops it may end: of
a role that it is a member of, any for a member of ``pg_signal_backend``, a superuser's for superusers alone.
If one would remain it fails (PostgreSQL 18, "DROP DATABASE" and "Server Signaling Functions"). In a drill the
workload has sessions, so in a trial there is one too. Nothing else that a trial does depends on it.
"""

from __future__ import annotations

from contextlib import suppress

import psycopg

from harness.errors import DatabaseError
from harness.facts import APPLICATION, Endpoint
from harness.seams.postgres_client import Connection, connect


class IdleApplication:
    """The application, connected to the service of a workload and at rest; only PostgreSQL asks who is."""

    def __init__(self) -> None:
        self._connection: Connection | None = None

    def attend(self, endpoint: Endpoint) -> None:
        """Be connected, on a new connection.

        Args:
            endpoint: of the service.

        Raises:
            DatabaseError: there is no connecting.
        """
        self.leave()
        credential = endpoint.credentials.get(APPLICATION)
        if endpoint.kind != "postgres" or credential is None:
            return
        try:
            self._connection = connect(endpoint.port, credential.name, credential.secret, endpoint.name)
        except psycopg.Error as error:
            raise DatabaseError(
                f"{endpoint.service}: the application cannot connect: {error}",
                hint=f"the server's own log is {endpoint.lease.directory / 'postgres.log'}",
            ) from error

    def leave(self) -> None:
        """Close it. Idempotent."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
