"""What the loader knows by name is what the drivers are, as far as they can be asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.agents.scripted import PLACEHOLDER as FILLED_IN
from harness.clock import SystemClock
from harness.facts import APPLICATION, BACK_DOOR, OPERATOR, Action, Credential, Endpoint, Lease, Secret
from harness.scenario.json_path import JsonPath, PathError
from harness.scenario.models import IDENTIFIER, Agent, Choice, Objectives, Protection, Service
from harness.scenario.problems import BUILT_IN, Known
from harness.scenario.scenario_rules import JSON_PATH, PLACEHOLDER, SPEAKS, VERBS
from harness.scenario.stack_rules import ROLES
from harness.seams import lookup
from harness.seams.lookup import DriverKind


@pytest.mark.parametrize("kind", ["surfaces", "backups", "agents", "objectives"])
def test_the_names_that_are_known_are_those_that_are_built_in(kind: DriverKind) -> None:
    assert BUILT_IN.of(kind) == tuple(lookup.BUILT_IN[kind])


def test_every_replica_but_that_of_workspaces_is_a_kind_of_service() -> None:
    assert {*BUILT_IN.replicas, "files"} == set(lookup.BUILT_IN["replicas"])
    assert "files" not in Known(replicas=lookup.names("replicas")).of("replicas")


@pytest.mark.parametrize("shape", [Service, Protection, Agent])
def test_everything_built_in_has_a_model_of_its_own(shape: Any) -> None:
    choice = next(data.discriminator for data in shape.__metadata__ if hasattr(data, "discriminator"))
    assert isinstance(choice, Choice)
    assert choice.built_in == BUILT_IN.of(choice.driver)
    assert len(get_args(get_args(shape)[0])) == len(choice.built_in) + 1


def test_every_objective_that_is_built_in_has_a_key() -> None:
    keys = {field.alias or name for name, field in Objectives.model_fields.items()} - {"other"}
    assert keys == set(BUILT_IN.objectives)


@pytest.mark.parametrize("surface", VERBS)
def test_the_verbs_are_those_that_the_surface_has(surface: str, tmp_path: Path) -> None:
    endpoint = Endpoint(
        lease=Lease(run_id="r", service="s", kind=SPEAKS.get(surface, "files"), directory=tmp_path),
        kind=SPEAKS.get(surface, "files"),
        host="127.0.0.1",
        port=1,
        name="name",
        environment=None,
        path=tmp_path,
        credentials={
            name: Credential(name, "password", name, Secret.mint()) for name in (OPERATOR, BACK_DOOR, "p")
        },
    )
    perform = lookup.lookup("surfaces", surface)("p", endpoint, SystemClock()).perform
    outcome = perform(Action(number=1, surface=surface, verb="no-such-verb"), {})
    told = re.search(r"it can (.+)", outcome.detail)
    assert told, outcome.detail
    assert set(re.split(", | and ", told[1])) == set(VERBS[surface])


def test_the_roles_are_grants() -> None:
    assert {role for roles in ROLES.values() for role in roles} == {"owner", "writer", "reader", "admin"}
    assert APPLICATION != OPERATOR


PIECES = [".a", ".a-b", "[0]", "[-1]", "[?a.b=c d]", "[?a=]", "..a", ".", "[", "]", "[a]", "[?a]", "[--1]"]


@given(st.lists(st.sampled_from(PIECES), max_size=4).map(lambda pieces: "$" + "".join(pieces)))
@example("$")
@example("$.data.edges[0].node.id")
@example("$.edges[?node.name=bookings].id")
@example("$.a[-1]")
@example("$..a")
def test_a_path_is_accepted_when_the_agent_can_follow_it(text: str) -> None:
    try:
        JsonPath.parse(text)
    except PathError:
        assert not JSON_PATH.fullmatch(text)
    else:
        assert JSON_PATH.fullmatch(text)


@given(st.lists(st.sampled_from(["${", "}", "$", "{", "a", "b_1", "A", "-", "${a}"])).map("".join))
def test_a_text_that_is_accepted_needs_no_other_values_than_were_seen(text: str) -> None:
    seen = PLACEHOLDER.findall(text)
    if all(re.fullmatch(IDENTIFIER, name) for name in seen):
        assert FILLED_IN.findall(text) == seen
