"""What an agent can do with what it has found so far: every call is a step that a scenario could have.

Nothing is known in advance but the agent's own grants. Files are read after they were listed, a credential of
somebody else's is used after a file that holds it was read, and a thing is destroyed after it was listed to a
credential that sees it. What is found is found the way a script finds it, by a pattern or a path, since a
sequence that only works here would prove nothing: identifiers and secrets are others in the next replica.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from harness.facts import BACK_DOOR, Credential, Endpoint
from harness.scenario.json_path import JsonPath
from harness.scenario.models import PASSING, Stack, Step
from harness.search.kinds import kind_of
from harness.search.moves import Key, Move, MoveKind, Thing

PLACEHOLDER = re.compile(r"\$\{([a-z0-9_]+)\}")
DAY = Move("a day passes", "wait", Step.model_validate({"do": PASSING, "with": {"for": "1d"}}))
SECRETS = (r"[^\s\"'@]+", r"[A-Za-z0-9_-]+")
"""What a secret in a text may consist of, the longest first."""


class Repertoire:
    """Every call that a credential could make, given what it was shown; the same in each trial.

    Of one principal: its own credentials are shown in another way than those it finds.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Key, tuple[Thing, ...]], tuple[Move, ...]] = {}

    def moves(self, key: Key, things: tuple[Thing, ...], endpoint: Endpoint) -> tuple[Move, ...]:
        """All of them; there are none where nobody knows what calls look like.

        Args:
            key: what they are made with.
            things: that it was shown.
            endpoint: where it opens something.
        """
        known = self._known.get((key, things))
        if known is None:
            kind = kind_of(endpoint.kind)
            known = tuple(kind.moves(key, things, endpoint.name)) if kind is not None else ()
            self._known[key, things] = known
        return known


class Knowledge:
    """What an agent knows in one trial.

    Args:
        stack: with its guards applied; only the agent's own grants are taken from it.
        principal: who acts.
        endpoints: what can be planted in files; a secret counts from when it was read.
        days: that may pass before anybody notices anything.
        repertoire: of that principal, from earlier trials.
    """

    def __init__(
        self,
        stack: Stack,
        principal: str,
        endpoints: Mapping[str, Endpoint],
        days: int = 0,
        repertoire: Repertoire | None = None,
    ) -> None:
        model = stack.principals[principal]
        self.principal = principal
        self.values: dict[str, JsonValue] = {}
        self.files: tuple[str, ...] = ()
        self.has_files = bool(model.workspace)
        self.made: set[str] = set()
        self.days = days
        self.things: dict[Key, list[Thing]] = {}
        self._endpoints = endpoints
        self._repertoire = repertoire or Repertoire()
        self.keys = [
            Key(name, principal, endpoint.credentials[principal].kind)
            for name, endpoint in endpoints.items()
            if principal in endpoint.credentials
        ] + [
            Key(name, principal, "none")
            for name, endpoint in endpoints.items()
            if principal not in endpoint.credentials and _is_open(endpoint)
        ]

    def choices(self, *kinds: MoveKind) -> tuple[tuple[Move, ...], ...]:
        """What can be done now and was not done before in this trial, in an order that is always the same.

        Returns:
            For each credential, the newest first, and for the workspace, whatever there is to do with it.
        """
        waiting = (DAY,) if self.days else ()
        with_keys = (self._with(key) for key in reversed(self.keys))
        every = (*with_keys, tuple(self._in_workspace()), waiting)
        left = (
            tuple(move for move in moves if move.kind in kinds and move.name not in self.made)
            for moves in every
        )
        return tuple(moves for moves in left if moves)

    def fill(self, value: JsonValue) -> JsonValue:
        """Arguments with what was found put in for its placeholders."""
        if isinstance(value, str):
            return PLACEHOLDER.sub(lambda match: str(self.values[match[1]]), value)
        if isinstance(value, list):
            return [self.fill(one) for one in value]
        if isinstance(value, dict):
            return {name: self.fill(one) for name, one in value.items()}
        return value

    def note(self, move: Move) -> None:
        """Remember that a move was made: none is made twice, but that days pass while there are any left."""
        if move == DAY:
            self.days -= 1
        else:
            self.made.add(move.name)

    def learn(self, move: Move, text: str) -> Step:
        """Take from an answer whatever can be used.

        Args:
            move: that was done.
            text: the whole answer.

        Returns:
            The step as a script needs it, with what it must save.
        """
        if move.step.do == "files.list" and move.step.on is None:
            self.files = tuple(text.splitlines())
            return move.step
        if move.step.do == "files.read":
            return self._saving(move, self._secrets_in(text))
        if move.key is None or move.kind != "look":
            return move.step
        kind = kind_of(self._endpoints[move.key.service].kind)
        assert kind is not None, "it was a move of that kind"
        saves, things = kind.learn(move, text, len(self.values))
        known = self.things.setdefault(move.key, [])
        known += [thing for thing in things if thing not in known]
        return self._saving(move, dict(saves), text)

    def _in_workspace(self) -> Iterator[Move]:
        if not self.has_files:
            return
        yield Move("list the workspace", "look", Step(do="files.list"))
        for file in self.files:
            yield Move(
                f"read {file}", "look", Step.model_validate({"do": "files.read", "with": {"path": file}})
            )

    def _with(self, key: Key) -> tuple[Move, ...]:
        things = tuple(self.things.get(key, ()))
        return self._repertoire.moves(key, things, self._endpoints[key.service])

    def _secrets_in(self, text: str) -> dict[str, str]:
        """Patterns for each planted credential that a text holds; the agent has their keys from now on."""
        saves: dict[str, str] = {}
        for service, endpoint in self._endpoints.items():
            for owner, credential in endpoint.credentials.items():
                if owner == BACK_DOOR or credential.secret.reveal() not in text:
                    continue
                patterns = self._patterns(service, owner, credential, text)
                key = _key(service, owner, credential, patterns) if patterns else None
                if key is not None and key not in self.keys and owner != self.principal:
                    self.keys.append(key)
                    saves |= patterns
                    self.values |= {name: re.search(p, text)[1] for name, p in patterns.items()}  # type: ignore[index]  # they were tried
        return saves

    def _patterns(self, service: str, owner: str, credential: Credential, text: str) -> dict[str, str]:
        name = f"{owner}_{service}".replace("-", "_")
        wanted = {f"{name}_secret": credential.secret.reveal()}
        if credential.kind == "access-key":
            wanted[f"{name}_id"] = credential.name
        found = {key: self._pattern(value, text) for key, value in wanted.items()}
        return {key: pattern for key, pattern in found.items() if pattern} if all(found.values()) else {}

    def _pattern(self, value: str, text: str) -> str:
        """A regular expression that finds a value by what stands before it in its line; empty if none."""
        line = next((line for line in text.splitlines() if value in line), "")
        before = line.partition(value)[0]
        for changing in self._changing():
            before = before.rpartition(changing)[2] if changing and changing in before else before
        for characters in SECRETS:
            pattern = f"{re.escape(before)}({characters})"
            match = re.search(pattern, text)
            if match and match[1] == value:
                return pattern
        return ""

    def _changing(self) -> Iterator[str]:
        """What is different in another replica."""
        for endpoint in self._endpoints.values():
            yield str(endpoint.port) if endpoint.port else ""
            for credential in endpoint.credentials.values():
                yield credential.secret.reveal()

    def _saving(self, move: Move, saves: dict[str, str], text: str = "") -> Step:
        if text:
            self.values |= _found(saves, text)
        return move.step.model_copy(update={"save": {**move.step.save, **saves}})


def _is_open(endpoint: Endpoint) -> bool:
    """Whether somebody without a credential may try."""
    kind = kind_of(endpoint.kind)
    return kind is not None and kind.is_open


def _found(saves: Mapping[str, str], text: str) -> dict[str, JsonValue]:
    """What paths and patterns find in the answer that they were made for."""
    paths = {name: path for name, path in saves.items() if path.startswith("$")}
    document = json.loads(text) if paths else None
    found: dict[str, JsonValue] = {
        name: str(JsonPath.parse(path).follow(document)) for name, path in paths.items()
    }
    for name, pattern in saves.items() - paths.items():
        match = re.search(pattern, text)
        assert match is not None, "it was made of this text"
        found[name] = match[1]
    return found


def _key(service: str, owner: str, credential: Credential, patterns: Mapping[str, str]) -> Key:
    secret = next(f"${{{name}}}" for name in patterns if name.endswith("_secret"))
    shown: dict[str, JsonValue]
    match credential.kind:
        case "password":
            shown = {"user": credential.name, "password": secret}
        case "access-key":
            public = next(f"${{{name}}}" for name in patterns if name.endswith("_id"))
            shown = {"access_key": public, "secret_key": secret}
        case "project-token":
            shown = {"headers": {"Project-Access-Token": secret}}
        case _:
            shown = {"headers": {"Authorization": f"Bearer {secret}"}}
    return Key(service, owner, credential.kind, shown)
