"""Connections to a replica's PostgreSQL that hear nothing of what the user's environment says.

libpq fills in every parameter that it is not given: from ``PG*`` variables, from a service file and from
``~/.pgpass`` (PostgreSQL documentation, "Database Connection Control Functions"). So all of them are given
here. A handful of variables cannot be overridden by any parameter; those are out of sight while a
connection is made.

Surfaces, workload, replicas and backup tools may not import each other, so they meet here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock

import psycopg
from psycopg.conninfo import make_conninfo

from harness.facts import Secret
from harness.sandbox import LOOPBACK

Row = tuple[object, ...]
Connection = psycopg.Connection[Row]

HASH_SETTINGS: Mapping[str, str] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}
"""Settings under which the text of a row, and so its hash, is the same in every session."""

NO_FILE = f"{os.devnull}/none"
"""A path at which there can be no file; an existing special file would make libpq complain aloud."""

GIVEN: Mapping[str, str] = {
    "hostaddr": LOOPBACK,
    "passfile": NO_FILE,
    "require_auth": "scram-sha-256",
    "channel_binding": "disable",
    "client_encoding": "UTF8",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
    "target_session_attrs": "any",
    "load_balance_hosts": "disable",
    "requirepeer": "",
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "sslcompression": "0",
    "sslcert": "",
    "sslkey": "",
    "sslcertmode": "disable",
    "sslrootcert": "",
    "sslcrl": "",
    "sslcrldir": "",
    "sslsni": "0",
    "ssl_min_protocol_version": "TLSv1.2",
    "ssl_max_protocol_version": "",
    "gssencmode": "disable",
    "krbsrvname": "postgres",
    "gsslib": "",
    "gssdelegation": "0",
}
"""Every parameter that libpq 18 would otherwise take from a variable, but for those of ``connect``."""

UNHEARD = ("PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR", "PGTZ", "PGDATESTYLE", "PGGEQO", "PGLOCALEDIR")
"""Variables that libpq 18 reads whatever the parameters say (fe-connect.c, fe-protocol3.c)."""


def connect(
    port: int,
    user: str,
    password: Secret,
    database: str,
    *,
    settings: Mapping[str, str] | None = None,
    application: str = "ninelives",
    timeout: int = 3,
) -> Connection:
    """Open a connection to a server on loopback, in autocommit mode.

    Args:
        port: the server's TCP port.
        user: a role that logs in with a password.
        password: of that role.
        database: its name.
        settings: server settings of the session.
        application: what ``pg_stat_activity`` shows.
        timeout: seconds, at least 2.

    Raises:
        psycopg.OperationalError: nobody listens, or the server says no. Its ``sqlstate`` is None.
        ValueError: a text holds a NUL character or cannot be encoded.
    """
    if "\0" in user + password.reveal() + database:
        # libpq would read the parameters up to there, and fill in the rest on its own.
        raise ValueError("a role, a password and a database cannot hold a NUL character")
    conninfo = address(
        port=str(port),
        user=user,
        password=password.reveal(),
        dbname=database,
        options=" ".join(f"-c {name}={_escape(value)}" for name, value in (settings or {}).items()),
        application_name=application,
        connect_timeout=str(timeout),
    )
    with unheard_environment():
        return psycopg.connect(conninfo, autocommit=True)


@lru_cache(maxsize=64)
def address(**parameters: str) -> str:
    """Every parameter of a connection to a server on loopback, as libpq reads them.

    Putting them together takes a third of the time that a connection takes, and the same ones are made again
    and again.

    Args:
        parameters: those that are not in ``GIVEN``.
    """
    return make_conninfo(**GIVEN, host=LOOPBACK, **parameters)


def _escape(value: str) -> str:
    """As the server splits ``options``: at spaces, unless a backslash stands before them."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


class _Hiding:
    """How many connections are being made, and what is hidden from them meanwhile."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.count = 0
        self.hidden: dict[str, str] = {}


_HIDING = _Hiding()


@contextmanager
def unheard_environment() -> Iterator[None]:
    """Keep the variables in ``UNHEARD`` out of the process until the last connection under way is made."""
    with _HIDING.lock:
        if _HIDING.count == 0:
            _HIDING.hidden = {name: os.environ.pop(name) for name in UNHEARD if name in os.environ}
        _HIDING.count += 1
    try:
        yield
    finally:
        with _HIDING.lock:
            _HIDING.count -= 1
            if _HIDING.count == 0:
                os.environ.update(_HIDING.hidden)
