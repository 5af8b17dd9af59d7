"""What a surface must do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import pytest

from harness.contracts.bench import Bench
from harness.contracts.contract import Contract
from harness.facts import SHORTEST_SECRET, Action, Destruction, Endpoint, Outcome, Resource
from harness.sandbox import free_port

NONSENSE: tuple[object, ...] = (
    None,
    "",
    "\0",
    "\ud800",
    "../../..",
    "x" * 100_000,
    -1,
    [],
    {"a": []},
    object(),
)


@dataclass(frozen=True)
class Attempt:
    """One call that an agent might make.

    Attributes:
        verb: of the surface.
        arguments: with found values put in.
    """

    verb: str
    arguments: Mapping[str, object] = field(default_factory=dict)


class SurfaceContract(Contract):
    """A surface tells done, refused and failed apart, believes the system only, and raises nothing.

    Attributes:
        surface: its name.
        service: of the stack, that it acts on.
        may: a principal who may destroy something there.
        may_not: one with a credential there, who may not. A surface that knows no rights sets
            ``test_who_lacks_the_right_is_refused = None``.
        look: a call that changes nothing.
    """

    surface: ClassVar[str]
    service: ClassVar[str]
    may: ClassVar[str]
    may_not: ClassVar[str]
    look: ClassVar[Attempt]

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        """Make something that can be destroyed, other than any made before, and say how to destroy it."""
        raise NotImplementedError

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        """The same call, misspelt: what it is aimed at is not there."""
        raise NotImplementedError

    @pytest.fixture
    def endpoint(self, bench: Bench) -> Endpoint:
        """The replica that the tests of the class share."""
        return bench.provision(self.service)

    def perform(self, bench: Bench, endpoint: Endpoint, attempt: Attempt, by: str = "") -> Outcome:
        """Make a call, as ``by`` or as who may."""
        action = Action(number=1, surface=self.surface, verb=attempt.verb, service=self.service, harm=True)
        outcome = bench.surface(self.surface, by or self.may, endpoint).perform(action, attempt.arguments)
        assert isinstance(outcome, Outcome)
        assert outcome.ended.mono >= outcome.began.mono
        assert outcome.detail, "people are told nothing"
        assert outcome.digest in ("", sha256(outcome.text.encode("utf-8", "surrogatepass")).hexdigest())
        assert outcome.status == "done" or not outcome.touched, "only what was done touches anything"
        assert {resource.service for resource in outcome.touched} <= {self.service}
        return outcome

    def inventory(self, bench: Bench, endpoint: Endpoint) -> set[Resource]:
        """What the replica itself says can be deleted."""
        return set(bench.driver(self.service).inventory(endpoint))

    def test_a_look_is_done_and_touches_nothing(self, bench: Bench, endpoint: Endpoint) -> None:
        self.harm(bench, endpoint)
        before = self.inventory(bench, endpoint)
        outcome = self.perform(bench, endpoint, self.look)
        assert (outcome.status, outcome.touched) == ("done", ())
        assert self.inventory(bench, endpoint) == before

    def test_what_is_destroyed_is_touched(self, bench: Bench, endpoint: Endpoint) -> None:
        attempt = self.harm(bench, endpoint)
        before = self.inventory(bench, endpoint)
        outcome = self.perform(bench, endpoint, attempt)
        assert outcome.status == "done", outcome.detail
        assert outcome.touched
        gone = before - self.inventory(bench, endpoint)
        assert gone <= set(outcome.touched), "something is gone that the outcome does not name"

    def test_what_is_gone_already_is_not_touched_again(self, bench: Bench, endpoint: Endpoint) -> None:
        attempt = self.harm(bench, endpoint)
        assert self.perform(bench, endpoint, attempt).touched
        assert self.perform(bench, endpoint, attempt).touched == ()

    def test_a_misspelt_target_proves_no_guard(self, bench: Bench, endpoint: Endpoint) -> None:
        attempt = self.miss(bench, endpoint)
        before = self.inventory(bench, endpoint)
        for principal in filter(None, (self.may, getattr(self, "may_not", ""))):
            outcome = self.perform(bench, endpoint, attempt, principal)
            assert outcome.touched == ()
            if principal == self.may:
                assert outcome.status != "refused", outcome.detail
        assert self.inventory(bench, endpoint) == before

    def test_who_lacks_the_right_is_refused(self, bench: Bench, endpoint: Endpoint) -> None:
        attempt = self.harm(bench, endpoint)
        before = self.inventory(bench, endpoint)
        outcome = self.perform(bench, endpoint, attempt, self.may_not)
        assert outcome.status == "refused", outcome.detail
        assert self.inventory(bench, endpoint) == before
        assert self.perform(bench, endpoint, attempt).status == "done", "the guard was not what stopped it"

    def test_an_unknown_verb_has_failed(self, bench: Bench, endpoint: Endpoint) -> None:
        for verb in ("no-such-verb", "", "\0", "__init__"):
            assert self.perform(bench, endpoint, Attempt(verb)).status == "failed"

    def test_a_place_where_nothing_answers_has_failed(self, bench: Bench, endpoint: Endpoint) -> None:
        attempt = self.harm(bench, endpoint)
        before = self.inventory(bench, endpoint)
        elsewhere = replace(endpoint, path=Path("/nowhere/at/all"))
        if endpoint.port:
            elsewhere = replace(endpoint, port=free_port())
        assert self.perform(bench, elsewhere, attempt).status == "failed"
        assert self.inventory(bench, endpoint) == before

    def test_nonsense_raises_nothing_and_touches_nothing(self, bench: Bench, endpoint: Endpoint) -> None:
        attempt = self.harm(bench, endpoint)
        before = self.inventory(bench, endpoint)
        given = attempt.arguments
        tried: list[Mapping[str, object]] = [{}, {**given, "no-such-argument": 1}]
        tried += [{**given, name: value} for name in given for value in NONSENSE]
        for arguments in tried[:1] if not given else tried:
            outcome = self.perform(bench, endpoint, Attempt(attempt.verb, arguments))
            gone = before - self.inventory(bench, endpoint)
            assert gone <= set(outcome.touched)
            before -= gone

    def test_no_secret_is_written(self, bench: Bench, endpoint: Endpoint) -> None:
        calls = self.look, self.harm(bench, endpoint)
        for credential in endpoint.credentials.values():
            secret = credential.secret.reveal()
            assert len(secret) >= SHORTEST_SECRET
            attempts = [Attempt(secret)]
            attempts += [
                Attempt(c.verb, {**c.arguments, name: secret}) for c in calls for name in c.arguments
            ]
            for attempt in attempts:
                outcome = self.perform(bench, endpoint, attempt)
                assert secret not in outcome.model_dump_json()

    def test_it_lists_what_it_can_destroy(self, bench: Bench, endpoint: Endpoint) -> None:
        listed = bench.surface(self.surface, self.may, endpoint).destructive
        harm = self.harm(bench, endpoint).verb
        assert all(isinstance(entry, Destruction) for entry in listed)
        assert all(entry.operation and entry.verb and entry.guard and entry.evidence for entry in listed)
        verbs = {verb for entry in listed for verb in entry.verb.replace(",", " ").split()}
        assert harm in verbs, f"{harm!r} destroys, and nothing is said of it"
