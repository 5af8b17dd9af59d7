"""Who may do what in a replica, as SQL that a single-user server runs before anybody can connect.

Three group roles carry the rights: ``data_owner`` owns the database and what lies in it, ``data_writer``
reads and writes rows, ``data_reader`` reads them. An underscore keeps them apart from principals, whose
names have none. Passwords reach the server as SCRAM verifiers only (RFC 5802, RFC 7677), so that no
clear password can come into its log, its memory or its files.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import pbkdf2_hmac, sha256
from secrets import token_bytes

from psycopg import sql

from harness.errors import ProvisionError
from harness.facts import APPLICATION, OPERATOR, Credential, Secret
from harness.replicas.grants import passwords
from harness.scenario.models import Stack

OWNER, WRITER, READER = "data_owner", "data_writer", "data_reader"
GROUPS = {"owner": OWNER, "writer": WRITER, "reader": READER}
PREPARED_DATABASE = "prepared"
MAINTENANCE_DATABASE = "postgres"
TAKEN_NAMES = (MAINTENANCE_DATABASE, "template0", "template1", PREPARED_DATABASE)
SCRAM_ITERATIONS = 1
"""Iterations make a guessable password dear to guess. Ours are random, and the application, the prober and
every tool would pay for them with each connection."""

PREPARE_CLUSTER = (
    f"CREATE ROLE {OWNER} NOLOGIN",
    f"CREATE ROLE {WRITER} NOLOGIN",
    f"CREATE ROLE {READER} NOLOGIN",
    f"CREATE DATABASE {PREPARED_DATABASE} OWNER {OWNER}",
)
"""Run once for all replicas, in the maintenance database."""

PREPARE_DATABASE = tuple(
    f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER}, {OPERATOR} IN SCHEMA public GRANT {rights} TO {group}"
    for rights, group in (
        ("SELECT, INSERT, UPDATE, DELETE ON TABLES", WRITER),
        ("USAGE, SELECT, UPDATE ON SEQUENCES", WRITER),
        ("SELECT ON TABLES", READER),
        ("SELECT ON SEQUENCES", READER),
    )
)
"""Run once for all replicas, in the database that becomes the service's."""


def database_name(service: str) -> str:
    """The database of a service: its name with underscores, and ``_db`` where PostgreSQL has that one."""
    name = service.replace("-", "_")
    return f"{name}_db" if name in TAKEN_NAMES else name


def grants_on(stack: Stack, service: str) -> Mapping[str, str]:
    """The group role of each principal that has a grant on a service, and of the application.

    Raises:
        ProvisionError: a principal bears a reserved name, or its grant means nothing to PostgreSQL.
    """
    groups = {APPLICATION: WRITER}
    for principal, model in stack.principals.items():
        grant = model.grants.get(service)
        if grant is None:
            continue
        if principal in (OPERATOR, APPLICATION):
            raise ProvisionError(
                f"the principal {principal!r} bears a name that every stack has already",
                hint="rename it; the harness itself mints the credentials of operator and application",
            )
        if not isinstance(grant, str) or grant not in GROUPS:
            raise ProvisionError(
                f"the grant of {principal!r} on {service!r} is not one that PostgreSQL has",
                hint=f"use one of {', '.join(GROUPS)}",
            )
        groups[principal] = GROUPS[grant]
    return groups


def mint_credentials(grants: Mapping[str, str]) -> Mapping[str, Credential]:
    """A password for the operator and for everybody with a grant."""
    return passwords((OPERATOR, *grants))


def setup_statements(
    database: str, credentials: Mapping[str, Credential], grants: Mapping[str, str]
) -> Iterator[str]:
    """Turn a copy of the prepared cluster into one replica's: its database, its roles, its passwords.

    Args:
        database: what the prepared database is renamed to.
        credentials: of the operator and of every principal in ``grants``.
        grants: the group role of each principal.
    """
    yield _statement("ALTER DATABASE {} RENAME TO {}", PREPARED_DATABASE, database)
    yield _password("ALTER ROLE {} PASSWORD {}", credentials[OPERATOR])
    for principal, group in grants.items():
        credential = credentials[principal]
        yield _password("CREATE ROLE {} LOGIN PASSWORD {}", credential)
        yield _statement("GRANT {} TO {}", group, credential.name)
        if group == OWNER:
            # What an owner creates must belong to the group, or the application could not use it.
            yield _statement("ALTER ROLE {} SET role = {}", credential.name, OWNER)


def scram_verifier(password: Secret, salt: bytes | None = None, iterations: int = SCRAM_ITERATIONS) -> str:
    """What the server stores in place of a password.

    Args:
        password: plain ASCII, as ``Secret.mint`` makes it, so that SASLprep changes nothing.
        salt: 16 random bytes unless a test gives them.
        iterations: of PBKDF2.
    """
    salt = token_bytes(16) if salt is None else salt
    salted = pbkdf2_hmac("sha256", password.reveal().encode("ascii"), salt, iterations)
    stored = sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored)}:{_base64(server)}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _statement(template: str, *names: str) -> str:
    return sql.SQL(template).format(*map(sql.Identifier, names)).as_string()


def _password(template: str, credential: Credential) -> str:
    verifier = sql.Literal(scram_verifier(credential.secret))
    return sql.SQL(template).format(sql.Identifier(credential.name), verifier).as_string()
