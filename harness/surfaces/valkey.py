"""Commands on one Valkey service, as ``valkey-cli`` would send them.

Verb ``command`` with the arguments

- ``command``: a list of its words, ``[FLUSHALL]`` or ``[DEL, "sessions:1"]``.
- ``user``, ``password``: in place of the principal's own. There is no way to name a host.

A principal with no credential sends its commands as nobody, which a server without authentication admits.
What became of it: a refused log-in and a command that the user may not use are ``refused``; everything else
that goes wrong is ``failed``. What was touched is what the server itself says: how many keys each database
holds and what its settings are, before and after, and how many keys a command has answered that it changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated

from pydantic import Field
from valkey.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
    ValkeyError,
)

from harness.clock import Clock
from harness.facts import OPERATOR, Action, Credential, Destruction, Endpoint, Outcome, Resource, Secret
from harness.seams.valkey_client import connect
from harness.surfaces.call import Arguments, Call, UnmakeableCallError, read_arguments

VERB = "command"
REFUSING = (AuthenticationError, AuthenticationWrongNumberOfArgsError, NoPermissionError, ReadOnlyError)
NO_AUTHENTICATION = ("NOAUTH", "WRONGPASS", "NOPERM")
TAKING = ("DEL", "UNLINK", "GETDEL")
"""Commands that answer how many keys they took away, or with what they took."""

WRITING = ("SET", "HSET", "HSETNX", "HDEL", "GETSET", "APPEND", "RENAME", "EXPIRE", "PERSIST", "RESTORE")
"""Commands that change the key that is their first argument, when they are not refused."""

EVIDENCE = "tests/surfaces/test_valkey.py::"


class CommandArguments(Arguments):
    command: Annotated[list[str], Field(min_length=1)]
    user: str | None = None
    password: str | None = None


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
        ),
        Destruction(
            operation="`DEL`, or `SET` over a key, one after the other",
            verb=VERB,
            undo="from the append-only file",
            takes_along="",
            guard="an ACL that reads only",
            basis="observed",
            evidence=f"{EVIDENCE}test_what_is_deleted_or_overwritten_is_touched",
        ),
        Destruction(
            operation="`CONFIG SET appendonly no`, `CONFIG SET save`, `CONFIG SET dir`",
            verb=VERB,
            undo="by setting it back; what was written meanwhile is in no file",
            takes_along="the append-only file ends; dumps go elsewhere",
            guard="an ACL without @admin",
            basis="observed",
            evidence=f"{EVIDENCE}test_a_setting_that_is_changed_is_touched",
        ),
        Destruction(
            operation="`BGREWRITEAOF` after the harm",
            verb=VERB,
            undo="",
            takes_along="everything that the append-only file still had",
            guard="an ACL without @admin",
            basis="observed",
            evidence="tests/backups/test_valkey_tools.py::test_a_file_that_was_rewritten_after_the_harm_is_no_way_back",
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
        before = self._look()
        call.begin()
        try:
            with connect(self._endpoint, credential, decode=True) as client:
                answer = client.execute_command(*command)
        except (ValkeyError, UnicodeError) as error:
            call.end()
            return call.refused(str(error)) if _is_refusal(error) else call.failed(str(error))
        call.end()
        touched = (*self._changes(before, self._look()), *self._answered(command, answer))
        text = json.dumps(answer, default=str)
        return call.done(text, text, tuple(dict.fromkeys(touched)))

    def _look(self) -> Mapping[str, str]:
        """Keys of each database and the settings of its persistence; nothing when it does not answer."""
        found: dict[str, str] = {}
        operator = self._endpoint.credentials[OPERATOR]
        with suppress(ValkeyError), connect(self._endpoint, operator, decode=True) as eyes:
            found = {f"database {name}": str(db["keys"]) for name, db in eyes.info("keyspace").items()}
            for pattern in ("append*", "save", "dir", "dbfilename"):
                found |= {f"setting {name}": value for name, value in eyes.config_get(pattern).items()}
        return found

    def _changes(self, before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Resource, ...]:
        """Databases that have fewer keys, and settings that are others; writes of others only add keys."""
        touched = []
        for what, was in before.items():
            kind, _, name = what.partition(" ")
            now = after.get(what, "0") if after else was
            if (kind == "setting" and now != was) or (kind == "database" and int(now) < int(was)):
                touched.append(self._resource(kind, name))
        return tuple(touched)

    def _answered(self, command: Sequence[str], answer: object) -> tuple[Resource, ...]:
        verb, arguments = command[0].upper(), command[1:]
        if verb in TAKING and answer:
            return tuple(self._resource("key", name) for name in arguments)
        if verb in WRITING and arguments and answer not in (None, 0):
            return (self._resource("key", arguments[0]),)
        return ()

    def _resource(self, kind: str, name: str) -> Resource:
        return Resource(
            service=self._endpoint.service, kind=kind, name=name, environment=self._endpoint.environment
        )


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, REFUSING):
        return True
    return isinstance(error, ResponseError) and str(error).startswith(NO_AUTHENTICATION)
