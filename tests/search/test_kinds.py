"""What surfaces say of their calls is what searches make of them, on every kind of service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.facts import Aim, Destruction, Listing
from harness.journal.explored import Explored
from harness.sandbox import Sandbox
from harness.scenario.scenario_rules import VERBS
from harness.seams.lookup import BUILT_IN, lookup
from harness.search.arena import Arena
from harness.search.calls import listed
from harness.search.exploration import Budget, Exploration
from harness.search.kinds import KINDS, kind_of
from harness.search.moves import Key, Thing, call
from harness.search.radius import blast_radius

from .stages import brought_up, explored

ROOT = Path(__file__).parent.parent.parent
BUDGET = Budget(sequences=100)
LISTING_THEMSELVES = ("mariadb", "valkey", "git")
AIMS = [
    pytest.param(name, one, id=f"{name}: {one.operation}")
    for name in BUILT_IN["surfaces"]
    for one in lookup("surfaces", name).destructive
    if name in LISTING_THEMSELVES or one.aims
]


# --- what is listed is what can be called -------------------------------------------------------------


@pytest.mark.parametrize(("surface", "one"), AIMS)
def test_each_listed_operation_has_a_call_of_it(surface: str, one: Destruction) -> None:
    whats = [aim.what for aim in one.aims]
    for operation in re.findall(r"`([^`]+)`", one.operation):
        assert any(operation in what for what in whats), f"nobody tries {operation}"


@pytest.mark.parametrize(("surface", "one"), AIMS)
def test_each_call_stands_in_a_step_of_its_verb(surface: str, one: Destruction) -> None:
    kind = kind_of(surface)
    assert kind is not None
    key = Key("here", "agent", "password")
    things = tuple(Thing(aim.at.noun, "name", "name") for aim in one.aims if aim.at)
    moves = [move for move in kind.moves(key, things, "home") if move.operation in one.names]
    assert len({move.name for move in moves}) == len(one.aims)
    for move in moves:
        assert (move.step.do, move.step.on) == (f"{surface}.{one.verb}", "here")
        assert not re.search(r"\{(name|home)\}", str(move.step.with_))


@pytest.mark.parametrize(("surface", "one"), AIMS)
def test_a_scenario_can_have_each_call_and_what_it_needs_to_know(surface: str, one: Destruction) -> None:
    listings = {aim.at.verb for aim in one.aims if aim.at}
    assert {one.verb, *listings} <= {*VERBS[surface]}


@pytest.mark.parametrize("surface", LISTING_THEMSELVES)
def test_calls_are_told_apart_by_their_names(surface: str) -> None:
    names = [aim.what for one in lookup("surfaces", surface).destructive for aim in one.aims]
    assert len(set(names)) == len(names)
    assert KINDS[surface].surface == surface


# --- a surface that lists its calls, which nothing here knows of --------------------------------------

SHOWN = Key("barn", "agent", "password", {"user": "agent", "password": "${secret}"})


def test_the_name_of_a_surface_may_have_a_dash() -> None:
    move = call(SHOWN, "destroy", "acme-barn.burn-down", "burn it down", {"stall": "3"})
    assert move.step.do == "acme-barn.burn-down"


OWN = Key("barn", "agent", "password")


def surface_with(monkeypatch: pytest.MonkeyPatch, *aims: Aim) -> None:
    """A surface ``barn`` that lists one destruction with these calls."""
    one = Destruction("burning", "burn", "", "", "rain", "observed", "tests/nowhere.py::test", aims)
    monkeypatch.setattr(listed, "destructions", lambda _: (one,))


def learned(listing: Listing, text: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Name, value, and how a script finds it, of each thing that an answer shows."""
    surface_with(monkeypatch, Aim("burn {name}", {"what": "{name}"}, listing))
    kind = listed.listed("barn")
    (look,) = [move for move in kind.moves(OWN, (), "") if move.kind == "look"]
    saves, things = kind.learn(look, text, 3)
    return [(thing.name, thing.value, saves.get(thing.value[2:-1], "")) for thing in things]


def test_things_that_last_are_called_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = Listing("cow", "list", each="$.cows[*].name", lasting=True)
    text = '{"cows": [{"name": "Ada"}, {"name": "Bo"}, {}]}'
    assert learned(listing, text, monkeypatch) == [("Ada", "Ada", ""), ("Bo", "Bo", "")]


def test_other_things_are_found_again_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"cows": [{"id": 7}, {"id": 8}, {"id": 9}]}'
    first = Listing("cow", "list", each="$.cows[*].id", most=2)
    assert learned(first, text, monkeypatch) == [
        ("cow 1", "${found_4}", "$.cows[0].id"),
        ("cow 2", "${found_5}", "$.cows[1].id"),
    ]
    last = Listing("cow", "list", each="$.cows[*].id", from_end=True, most=1)
    assert learned(last, text, monkeypatch) == [("cow 1", "${found_4}", "$.cows[-1].id")]
    assert learned(first, "no cows", monkeypatch) == []


@pytest.mark.parametrize("text", ["old\nolder one\n\nnew", "old\nolder one\n\nnew\n"])
@pytest.mark.parametrize("from_end", [False, True])
def test_a_line_is_found_again_by_a_pattern(
    monkeypatch: pytest.MonkeyPatch, text: str, from_end: bool
) -> None:
    found = learned(Listing("cow", "list", from_end=from_end), text, monkeypatch)
    lines = [match[1] for _, _, how in found if (match := re.search(how, text))]
    assert lines == (["new", "older one", "old"] if from_end else ["old", "older one", "new"])
    assert [name for name, _, _ in found] == ["cow 1", "cow 2", "cow 3"]


@pytest.mark.parametrize("from_end", [False, True])
def test_a_line_may_say_more_than_the_name(monkeypatch: pytest.MonkeyPatch, from_end: bool) -> None:
    text = "ada  brown 4\n  bo white 7\n"
    found = learned(Listing("cow", "list", first_word=True, from_end=from_end), text, monkeypatch)
    assert [match[1] for _, _, how in found if (match := re.search(how, text))] == (
        ["bo", "ada"] if from_end else ["ada", "bo"]
    )
    lasting = Listing("cow", "list", first_word=True, lasting=True)
    assert learned(lasting, text, monkeypatch) == [("ada", "ada", ""), ("bo", "bo", "")]


def test_a_call_is_aimed_at_each_thing_or_at_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cows = Listing("cow", "list")
    surface_with(
        monkeypatch,
        Aim("burn {name}", {"what": ["{name}", {"in": "{home}"}], "hard": True}, cows),
        Aim("open the gate", {"what": "gate"}, weakens=True),
    )
    things = (Thing("cow", "cow 1", "${found_1}"), Thing("pig", "pig 1", "${found_2}"))
    moves = [move for move in listed.listed("barn").moves(OWN, things, "north") if move.kind != "look"]
    assert [(move.name, move.kind, move.step.harm) for move in moves] == [
        ("burn cow 1 on barn as agent", "destroy", True),
        ("open the gate on barn as agent", "weaken", False),
    ]
    assert moves[0].step.with_ == {"what": ["${found_1}", {"in": "north"}], "hard": True}


def test_a_credential_is_only_shown_where_there_are_arguments_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    surface_with(monkeypatch, Aim("open the gate", {"what": "gate"}))
    assert list(listed.listed("barn").moves(SHOWN, (), "")) == []
    (move,) = listed.listed("barn", shows=True).moves(SHOWN, (), "")
    assert move.step.with_ == {**SHOWN.shown, "what": "gate"}


# --- planted holes, on real replicas ------------------------------------------------------------------


def names_of(found: Explored) -> tuple[str, ...]:
    """The calls without where they were made, and by whom."""
    return tuple(move.partition(" on ")[0] for move in found.moves)


def broken(found: Explored) -> set[str]:
    return {breach.objective for breach in found.breaches}


@pytest.fixture(scope="module")
def till(sandbox: Sandbox) -> Iterator[Arena]:
    """A MariaDB with dumps, and the binary logs that follow them."""
    with brought_up(ROOT / "tests" / "run" / "bazaar" / "emptied.yaml", sandbox) as stack:
        yield stack


@pytest.fixture(scope="module")
def cache(sandbox: Sandbox) -> Iterator[Arena]:
    """A Valkey whose only copy is its append-only file."""
    with brought_up(Path(__file__).parent / "holes" / "cache.yaml", sandbox) as stack:
        yield stack


@pytest.mark.drill
@pytest.mark.mariadb
def test_whoever_may_end_the_binary_logs_can_lose_what_came_after_the_dump(
    till: Arena, tmp_path: Path
) -> None:
    found = explored(till, "boss", BUDGET, tmp_path)
    weakened, destroyed = sorted(names_of(found), key=lambda name: "LOGS" not in name and "RESET" not in name)
    assert weakened in ("PURGE BINARY LOGS", "RESET MASTER")
    assert destroyed in ("DROP DATABASE", "DELETE orders", "TRUNCATE orders", "DROP TABLE orders")
    assert broken(found) == {"rpo"}
    assert till.rebuilt == 0


@pytest.mark.drill
@pytest.mark.mariadb
def test_an_owner_of_a_mariadb_loses_nothing_for_good(till: Arena) -> None:
    clerk = blast_radius(till, "bazaar", ("clerk",))
    said = {deed.name: deed.extent for deed in clerk.deeds}
    assert said == {
        "DROP DATABASE": "reversible",
        "DROP TABLE orders": "reversible",
        "TRUNCATE orders": "reversible",
        "DELETE orders": "reversible",
        "UPDATE orders": "reversible",
        "RESET MASTER": "refused",
        "PURGE BINARY LOGS": "refused",
    }
    assert clerk.left_out.keys() == {"vault (s3)"}
    assert till.rebuilt == 0


@pytest.mark.drill
def test_a_file_that_is_begun_anew_after_the_harm_is_no_copy(cache: Arena, tmp_path: Path) -> None:
    found = explored(cache, "keeper", BUDGET, tmp_path)
    assert names_of(found) in (("FLUSHALL", "BGREWRITEAOF"), ("FLUSHDB", "BGREWRITEAOF"))
    assert broken(found) == {"rpo"}
    known = Exploration(cache, "keeper", SystemClock(), lambda _: None)
    flush, rewrite = found.moves
    assert known.play((rewrite, flush)) is None, "begun anew before the harm, it has everything"
    assert cache.rebuilt == 0


@pytest.mark.drill
def test_whoever_cannot_begin_it_anew_loses_nothing(cache: Arena, tmp_path: Path) -> None:
    found = explored(cache, "shop", Budget(sequences=20), tmp_path)
    assert (found.value, found.moves) == ("held", ())
    tried = {one.move.partition(" on ")[0]: (one.done > 0, one.refused > 0) for one in found.tried}
    assert tried["DEL of key 1"] == tried["SET over key 1"] == (True, False)
    assert tried["FLUSHALL"] == tried["BGREWRITEAOF"] == (False, True)


@pytest.mark.drill
def test_a_server_that_admits_anybody_is_found_by_whoever_has_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    file = ROOT / "scenarios" / "meow" / "as-it-happened.yaml"
    with brought_up(file, sandbox) as stack:
        found = explored(stack, "passer-by", BUDGET, tmp_path)
    assert names_of(found) in (("FLUSHALL",), ("FLUSHDB",))
    assert broken(found) == {"isolation", "rpo"}


@pytest.mark.drill
@pytest.mark.parametrize("guards", [(), ("protected-branches",)], ids=["bare", "protected"])
def test_a_forced_push_is_found_unless_the_branch_is_protected(
    guards: tuple[str, ...], sandbox: Sandbox, tmp_path: Path
) -> None:
    file = ROOT / "scenarios" / "forced-push" / "as-it-happened.yaml"
    with brought_up(file, sandbox, guards) as stack:
        found = explored(stack, "agent", BUDGET if not guards else Budget(sequences=4), tmp_path)
        assert stack.rebuilt == 0
    forced = "git push --force of an older commit to main"
    if guards:
        assert (found.value, found.moves) == ("held", ())
        assert any(one.refused for one in found.tried if forced in one.move)
    else:
        assert names_of(found) == ("list every branch", forced)
        assert broken(found) == {"rpo"}
