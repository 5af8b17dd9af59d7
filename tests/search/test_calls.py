"""Searches call whatever surfaces list as destructive, and what they call is listed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.facts import Destruction
from harness.journal.radius import Deed
from harness.sandbox import Sandbox
from harness.scenario.json_path import JsonPath
from harness.scenario.models import Step
from harness.seams.lookup import lookup
from harness.search.arena import Arena
from harness.search.calls import railway, s3, volume
from harness.search.exploration import Exploration, Statistics
from harness.search.explored import never_tried
from harness.search.kinds import KINDS
from harness.search.moves import Key, Move, Thing, untried
from harness.search.radius import blast_radius
from harness.surfaces.s3 import S3Surface
from harness.surfaces.sql import SqlSurface

from .stages import brought_up
from .test_aws import EVERY_THING

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent
OF_RAILWAY = ("volume", "environment", "service", "project", "workspace", "instance", "backup")
THINGS = {
    "aws": EVERY_THING,
    "railway": tuple(Thing(kind, f"{kind} 1", "${id}", "${one} ${other}") for kind in OF_RAILWAY),
    "postgres": (Thing("table", "orders", '"orders"'),),
    "s3": (Thing("prefix", "everything", ""), Thing("object", "the last one", "${object}")),
    "volume": (Thing("top", "notes", "notes"), Thing("file", "the last file", "${last}", "${first}")),
}
"""One of each thing that a look can show; surfaces that list their calls say themselves what these are."""

KEY = Key("here", "agent", "password")


def every_call(kind: str) -> list[Move]:
    """All that a search can do to a kind of service, when it was shown one of everything."""
    known = KINDS[kind]
    aims = (aim for one in lookup("surfaces", known.surface).destructive for aim in one.aims)
    nouns = dict.fromkeys(aim.at.noun for aim in aims if aim.at)
    shown = tuple(Thing(noun, noun, "name") for noun in nouns)
    return list(known.moves(KEY, THINGS.get(kind, shown), "home"))


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_a_surface_lists_is_called_and_all_that_is_called_is_listed(kind: str) -> None:
    called = {move.operation for move in every_call(kind) if move.kind != "look"}
    listed = [name for one in lookup("surfaces", KINDS[kind].surface).destructive for name in one.names]
    assert called == set(listed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_is_told_apart_by_its_name(kind: str) -> None:
    names = [move.name for move in every_call(kind)]
    assert len(set(names)) == len(names)


def test_what_follows_from_other_calls_has_no_name_and_what_nobody_names_is_called_as_it_is_listed() -> None:
    bare = ("burning", "burn", "", "", "rain", "observed", "tests/nowhere.py::test")
    assert Destruction(*bare).names == ("burning",)
    assert Destruction(*bare, called=()).names == ()


# --- what was never tried ---------------------------------------------------------------------------------


def test_what_was_tried_on_one_service_was_not_tried_on_another() -> None:
    done = Statistics()
    done.operations["orders", "DROP DATABASE"] += 1
    told = never_tried(done, {"orders": SqlSurface, "bookings": SqlSurface})
    assert "bookings: DROP DATABASE" in told
    assert "orders: DROP DATABASE" not in told
    assert len(told) == 2 * len(untried(SqlSurface, ())) - 1


def test_one_call_is_not_tried_by_another_whose_name_has_the_same_words() -> None:
    left = untried(S3Surface, {"DeleteObject with BypassGovernanceRetention"})
    assert {"PutObjectRetention", "DeleteObject", "DeleteObject with a version"} < {*left}
    assert "DeleteObject with BypassGovernanceRetention" not in left


# --- how things are found again ---------------------------------------------------------------------------


def found(saves: dict[str, str], text: str) -> dict[str, object]:
    """What a script saves from an answer."""
    return {
        name: JsonPath.parse(how).follow(json.loads(text))
        if how.startswith("$")
        else match[1]
        if (match := re.search(how, text))
        else None
        for name, how in saves.items()
    }


def test_the_last_object_of_each_folder_is_found_by_its_place() -> None:
    keys = ["dumps/2026-01-01.dump", "dumps/2026-01-02.dump", "wal/000000010000", "readme"]
    text = json.dumps({"versions": [{"key": key, "version": "1"} for key in keys], "delete_markers": []})
    saves, things = s3.learn(every_call("s3")[0], text, 4)
    assert [(thing.kind, thing.name, thing.value) for thing in things] == [
        ("prefix", "everything", ""),
        ("prefix", "dumps/", "dumps/"),
        ("object", "the last object of dumps/", "${object_5}"),
        ("prefix", "wal/", "wal/"),
        ("object", "the last object of wal/", "${object_6}"),
    ]
    assert found(dict(saves), text) == {"object_5": keys[1], "object_6": keys[2]}


def test_the_first_and_the_last_file_of_each_folder_are_found_by_their_places() -> None:
    lines = ["notes/2026-01-01.md", "notes/2026-01-02.md", "notes/2026-01-03.md", "one/only.md", "top.md"]
    text = "\n".join(lines)
    saves, things = volume.learn(every_call("volume")[0], text, 0)
    again = found(dict(saves), text)
    assert [(one.kind, again.get(one.value[2:-1], one.value)) for one in things] == [
        ("top", "notes"),
        ("file", lines[2]),
        ("top", "one"),
        ("file", lines[3]),
        ("top", "top.md"),
        ("file", "top.md"),
    ]
    assert [again.get(one.within[2:-1]) for one in things if one.within] == [lines[0]]


def test_a_staged_deletion_names_the_volume_and_the_environment_of_each_instance() -> None:
    def edges(*nodes: dict[str, object]) -> dict[str, object]:
        return {"edges": [{"node": node} for node in nodes]}

    instances = edges({"id": "i-1", "environmentId": "e-1"}, {"id": "i-2", "environmentId": "e-2"})
    project = {
        "id": "p",
        "workspaceId": "w",
        "environments": edges({"id": "e-1", "name": "production"}),
        "services": edges(),
        "volumes": edges({"id": "v", "name": "data", "volumeInstances": instances}),
    }
    text = json.dumps({"data": {"projects": edges(project)}})
    key = Key("railway", "agent", "account-token", {"headers": {"Authorization": "Bearer ${secret}"}})
    (look,) = (move for move in railway.moves(key, (), ""))
    saves, things = railway.learn(look, text, 0)
    again = found(dict(saves), text)
    staged = [move for move in railway.moves(key, tuple(things), "") if "staged" in move.name]
    asked = [filled(move.step, again) for move in staged]
    assert [one["variables"] for one in asked] == [
        {"environment": environment, "input": {"volumes": {"v": {"isDeleted": True}}}}
        for environment in ("e-1", "e-2")
    ]
    assert all(move.step.with_["headers"]["Authorization"] == "Bearer ${secret}" for move in staged)  # type: ignore[index,call-overload]


def filled(step: Step, values: dict[str, object]) -> dict[str, object]:
    """The body of a request with what was found."""
    body = re.sub(r"\$\{(\w+)\}", lambda match: str(values[match[1]]), str(step.with_["data"]))
    return dict(json.loads(body))


# --- on real replicas -------------------------------------------------------------------------------------


def said(deeds: tuple[Deed, ...], *whats: str) -> dict[str, str]:
    """How far the calls came whose names begin so."""
    return {deed.name: deed.extent for deed in deeds if deed.name.startswith(whats)}


@pytest.fixture(scope="module")
def holes(sandbox: Sandbox) -> Iterator[Arena]:
    """A database with dumps in a bucket, and nothing closed."""
    with brought_up(HERE / "holes" / "holes.yaml", sandbox, ()) as stack:
        yield stack


@pytest.mark.drill
def test_every_statement_does_what_it_says(holes: Arena) -> None:
    owner = blast_radius(holes, "holes", ("one",))
    assert said(owner.deeds, "DROP COLUMN", "UPDATE", "COPY") == {
        "DROP COLUMN orders": "reversible",
        "UPDATE orders": "reversible",
        "COPY TO PROGRAM": "refused",
    }
    assert holes.rebuilt == 0


@pytest.mark.drill
def test_one_value_in_every_row_is_a_loss_that_whoever_writes_can_bring_about(holes: Arena) -> None:
    known = Exploration(holes, "two", SystemClock(), lambda _: None)
    found = known.play(("list tables on shop as two", "UPDATE orders on shop as two"))
    assert found is not None
    assert {breach.objective for breach in found.breaches} == {"rpo"}


@pytest.mark.drill
def test_files_of_a_volume_are_written_over_and_moved_onto(sandbox: Sandbox) -> None:
    with brought_up(ROOT / "scenarios" / "gemini-cli" / "as-it-happened.yaml", sandbox, ()) as stack:
        radius = blast_radius(stack, "gemini-cli", ())
        assert stack.rebuilt == 0
    over = ("write over the last file of", "move another file onto the last file of")
    assert said(radius.deeds, *over) == {
        f"{what} {folder}": "lost" for what in over for folder in ("notes", "photos")
    }, "nobody has a copy"


@pytest.mark.drill
@pytest.mark.docker
def test_whoever_has_the_socket_of_an_engine_can_take_everything_down(sandbox: Sandbox) -> None:
    with brought_up(ROOT / "scenarios" / "docker-prune" / "as-it-happens.yaml", sandbox, ()) as stack:
        radius = blast_radius(stack, "docker-prune", ("builder",))
    assert {deed.name: deed.extent for deed in radius.deeds} == {
        "docker volume rm desk-data": "refused",
        "docker volume rm dumps-data": "refused",
        "docker volume rm runner-layers": "refused",
        "docker volume prune --all": "nothing",
        "docker system prune --volumes": "nothing",
        "docker compose down --volumes": "lost with its backups",
        "docker rm --force desk": "reversible",
        "docker rm --force dumps": "lost",
        "docker rm --force runner": "contained",
    }
    assert [deed.name for deed in radius.kill_set] == ["docker compose down --volumes"]
