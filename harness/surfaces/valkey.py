"""Commands on one Valkey service, as ``valkey-cli`` would send them.

Verb ``command`` with the arguments

- ``command``: a list of its words, ``[FLUSHALL]`` or ``[DEL, "sessions:1"]``.
- ``user``, ``password``: in place of the principal's own. There is no way to name a host.

A principal with no credential sends its commands as nobody, which a server without authentication admits.
What became of it: a refused log-in and a command that the user may not use are ``refused``; everything else
that goes wrong is ``failed``. What was touched is what the server itself shows, before and after: its
settings, and the keys that the command may write to, which the server names. A database was touched when it
held keys and was flushed; how many keys there are later says nothing, since others write, remove and let
expire. Keys that a script finds by itself are not seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, JsonValue
from valkey.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
    ValkeyError,
)

from harness.clock import Clock
from harness.facts import (
    OPERATOR,
    Action,
    Aim,
    Credential,
    Destruction,
    Endpoint,
    Listing,
    Outcome,
    Resource,
    Secret,
)
from harness.seams.valkey_client import connect, value_hash
from harness.surfaces.call import Arguments, Call, UnmakeableCallError, read_arguments

VERB = "command"
REFUSING = (AuthenticationError, AuthenticationWrongNumberOfArgsError, NoPermissionError, ReadOnlyError)
NO_AUTHENTICATION = ("NOAUTH", "WRONGPASS", "NOPERM")
TAKING = ("DEL", "UNLINK", "GETDEL")
"""Commands that answer how many keys they took away, or with what they took: with nothing, others did it."""

OWN_DATABASE = "db0"
"""The one that a new connection is in."""

EVIDENCE = "tests/surfaces/test_valkey.py::"
KEYS = Listing("key", VERB, {"command": ["SCAN", "0", "COUNT", "1000"]}, each="$[1][*]", most=1)


def _setting(name: str, value: str) -> Aim:
    command: list[JsonValue] = ["CONFIG", "SET", name, value]
    return Aim(f"CONFIG SET {name} {value}".rstrip(), {"command": command}, weakens=True)


class CommandArguments(Arguments):
    command: Annotated[list[str], Field(min_length=1)]
    user: str | None = None
    password: str | None = None


@dataclass(frozen=True)
class Sight:
    """What the operator sees of a server at one moment.

    Attributes:
        databases: how many keys each holds.
        settings: of its persistence.
        keys: what those hold that a command may write to, and when they expire, in Unix milliseconds.
    """

    databases: Mapping[str, int]
    settings: Mapping[str, str]
    keys: Mapping[bytes, tuple[int | None, int]]


class ValkeySurface:
    """One principal's access to one Valkey service.

    Args:
        principal: whose credential is shown unless the agent gives another; nobody's if it has none.
        endpoint: the only server that is connected to.
        clock: where stamps come from.
    """

    destructive = (
        Destruction(
            operation="`FLUSHALL`, `FLUSHDB`",
            verb=VERB,
            undo="from the append-only file, if it is ended before the command",
            takes_along="no dump elsewhere; the next save overwrites the one on its disk",
            guard="an ACL without @dangerous, or with the command denied",
            basis="observed",
            evidence=f"{EVIDENCE}test_flushing_touches_every_database_that_had_keys",
            aims=(
                Aim("FLUSHALL", {"command": ["FLUSHALL"]}),
                Aim("FLUSHDB", {"command": ["FLUSHDB"]}),
            ),
        ),
        Destruction(
            operation="`DEL`, or `SET` over a key, one after the other",
            verb=VERB,
            undo="from the append-only file",
            takes_along="",
            guard="an ACL that reads only",
            basis="observed",
            evidence=f"{EVIDENCE}test_what_is_deleted_or_overwritten_is_touched",
            aims=(
                Aim("DEL of {name}", {"command": ["DEL", "{name}"]}, KEYS),
                Aim("SET over {name}", {"command": ["SET", "{name}", ""]}, KEYS),
            ),
        ),
        Destruction(
            operation="`CONFIG SET appendonly no`, `CONFIG SET save`, `CONFIG SET dir`",
            verb=VERB,
            undo="by setting it back; what was written meanwhile is in no file",
            takes_along="the append-only file ends; dumps go elsewhere",
            guard="an ACL without @admin",
            basis="observed",
            evidence=f"{EVIDENCE}test_a_setting_that_is_changed_is_touched",
            aims=(
                _setting("appendonly", "no"),
                _setting("save", ""),
                _setting("dir", "appendonlydir"),
            ),
        ),
        Destruction(
            operation="`BGREWRITEAOF` after the harm",
            verb=VERB,
            undo="",
            takes_along="everything that the append-only file still had",
            guard="an ACL without @admin",
            basis="observed",
            evidence="tests/backups/test_valkey_tools.py::test_a_file_that_was_rewritten_after_the_harm_is_no_way_back",
            aims=(Aim("BGREWRITEAOF", {"command": ["BGREWRITEAOF"]}, weakens=True),),
        ),
    )

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._credential = endpoint.credentials.get(principal)

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Send the command. Raises nothing: what cannot be sent is ``failed``."""
        call = Call(self._endpoint, self._clock)
        if action.verb != VERB:
            return call.failed(f"valkey cannot {action.verb!r}; it can {VERB}")
        try:
            wanted = read_arguments(CommandArguments, arguments)
        except UnmakeableCallError as error:
            return call.failed(str(error))
        credential = self._credential
        if wanted.user is not None or wanted.password is not None:
            credential = Credential("", "password", wanted.user or "default", Secret(wanted.password or ""))
        if credential is not None:
            call.shows(credential.secret.reveal(), credential.name)
        return self._send(call, wanted.command, credential)

    def _send(self, call: Call, command: Sequence[str], credential: Credential | None) -> Outcome:
        written = self._keys(command)
        before = self._look(written)
        call.begin()
        try:
            with connect(self._endpoint, credential, decode=True) as client:
                answer = client.execute_command(*command)
        except (ValkeyError, UnicodeError) as error:
            call.end()
            return call.refused(str(error)) if _is_refusal(error) else call.failed(str(error))
        call.end()
        text = json.dumps(answer, default=str)
        return call.done(text, text, self._touched(command, answer, before, self._look(written)))

    def _keys(self, command: Sequence[str]) -> tuple[bytes, ...]:
        """The keys that a command may write to, as the server says; none of one that it does not know."""
        operator = self._endpoint.credentials[OPERATOR]
        with suppress(ValkeyError), connect(self._endpoint, operator) as eyes:
            told = eyes.execute_command("COMMAND GETKEYSANDFLAGS", *command)
            return tuple(dict.fromkeys(name for name, flags in told if b"RO" not in flags))
        return ()

    def _look(self, keys: Sequence[bytes]) -> Sight | None:
        """What is there now; None when it does not answer."""
        operator = self._endpoint.credentials[OPERATOR]
        with suppress(ValkeyError), connect(self._endpoint, operator) as eyes:
            return Sight(
                databases={name: db["keys"] for name, db in eyes.info("keyspace").items()},
                settings={
                    name: value
                    for pattern in ("append*", "save", "dir", "dbfilename")
                    for name, value in eyes.config_get(pattern).items()
                },
                keys={name: (value_hash(eyes, name), eyes.pexpiretime(name)) for name in keys},
            )
        return None

    def _touched(
        self, command: Sequence[str], answer: object, before: Sight | None, after: Sight | None
    ) -> tuple[Resource, ...]:
        if before is None or after is None:
            return ()
        verb = command[0].upper()
        flushed = {"FLUSHALL": [*before.databases], "FLUSHDB": [OWN_DATABASE]}.get(verb, [])
        databases = [("database", name) for name in flushed if before.databases.get(name)]
        settings = [("setting", name) for name, was in before.settings.items() if after.settings[name] != was]
        keys = [
            ("key", name.decode("utf-8", "backslashreplace"))
            for name, was in before.keys.items()
            if after.keys[name] != was and (answer or verb not in TAKING)
        ]
        return tuple(self._resource(kind, name) for kind, name in (*databases, *settings, *keys))

    def _resource(self, kind: str, name: str) -> Resource:
        return Resource(
            service=self._endpoint.service, kind=kind, name=name, environment=self._endpoint.environment
        )


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, REFUSING):
        return True
    return isinstance(error, ResponseError) and str(error).startswith(NO_AUTHENTICATION)
