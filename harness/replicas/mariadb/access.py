"""Who may do what: one account for each principal, and the statements that make them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha1
from typing import Literal

from harness.facts import Credential, Secret
from harness.replicas.grants import grants_on
from harness.scenario.models import Stack
from harness.seams.mariadb_client import quoted

MariadbGrant = Literal["owner", "writer", "reader", "admin"]

PRIVILEGES: Mapping[MariadbGrant, str] = {
    "admin": "GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION",
    "owner": "GRANT ALL PRIVILEGES ON {database}.* TO {user}",
    "writer": "GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.* TO {user}",
    "reader": "GRANT SELECT ON {database}.* TO {user}",
}
"""What a grant means to MariaDB. Only an admin may purge binary logs or drop other databases."""


def grants(stack: Stack, service: str) -> dict[str, MariadbGrant]:
    """As ``grants_on`` says; the operator may do everything, the application reads and writes."""
    return grants_on(stack, service, PRIVILEGES, operator="admin", application="writer")


def set_up(
    database: str,
    granted: Mapping[str, MariadbGrant],
    credentials: Mapping[str, Credential],
    clients: str,
) -> Iterator[str]:
    """Statements that make the database and the accounts, and hold digests in place of passwords.

    Args:
        database: its name.
        granted: by principal.
        credentials: by principal.
        clients: where they may come from: a pattern of addresses.
    """
    yield f"CREATE DATABASE {quoted(database)} CHARACTER SET utf8mb4"
    yield "FLUSH PRIVILEGES"  # a server that only reads statements knows of no accounts before
    for name, grant in granted.items():
        user = f"'{name}'@'{clients}'"
        yield f"CREATE USER {user} IDENTIFIED BY PASSWORD '{_digest(credentials[name].secret)}'"
        yield PRIVILEGES[grant].format(database=quoted(database), user=user)


def _digest(secret: Secret) -> str:
    """What the server stores in place of a password (MariaDB, "mysql_native_password")."""
    once = sha1(secret.reveal().encode(), usedforsecurity=False).digest()
    return "*" + sha1(once, usedforsecurity=False).hexdigest().upper()
