"""An arena's stack is the same before every trial, and what a trial leaves is told as it is."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from harness.clock import SystemClock
from harness.facts import Action, Outcome
from harness.journal.writer import Journal
from harness.run.loading import load
from harness.run.place import Place, in_memory, usual_place
from harness.sandbox import LOOPBACK, Sandbox
from harness.scenario.models import LoadedScenario
from harness.search.arena import Arena
from harness.search.remains import Remains, breaches

SHOP = Path(__file__).parent.parent / "drills" / "shop"
VOLUMES = "{ projects { edges { node { volumes { edges { node { id } } } } } } }"


@pytest.fixture(scope="module")
def place(sandbox: Sandbox) -> Iterator[Place]:
    folder = Path(mkdtemp(prefix="ninelives-arena-"))
    folder.chmod(0o711)
    yield in_memory(usual_place(folder / "reports", cache=sandbox.cache))
    shutil.rmtree(folder)


def brought_up(file: str, place: Place) -> Iterator[Arena]:
    """The arena of one of the shop's scenarios."""
    clock = SystemClock()
    run_id = f"arena-{place.reports.parent.name}-{file}"
    loaded = load(SHOP / f"{file}.yaml")
    with (
        Journal(place.reports / run_id, clock) as journal,
        Arena(loaded, place, run_id, journal, clock) as stack,
    ):
        yield stack


@pytest.fixture(scope="module")
def shop(place: Place) -> Iterator[Arena]:
    """A database on a control plane's volume, with backups there, and a token that lies about."""
    yield from brought_up("deleted-volume", place)


@pytest.fixture(scope="module")
def vault(place: Place) -> Iterator[Arena]:
    """A database with dumps in a bucket."""
    yield from brought_up("emptied-dump", place)


def do(stack: Arena, surface: str, verb: str, on: str | None, **arguments: object) -> Outcome:
    """A call by the intern, which is done."""
    action = Action(number=1, surface=surface, verb=verb, service=on)
    outcome = stack.perform(action, arguments, "intern")
    assert outcome.status == "done", outcome.detail
    return outcome


def delete_volume(stack: Arena) -> list[Outcome]:
    """Read the token, find the volume, delete it."""
    text = do(stack, "files", "read", None, path=".env").text
    token = next(line.partition("=")[2] for line in text.splitlines() if line.startswith("PLATFORM_TOKEN"))

    def ask(document: str) -> Outcome:
        headers = {"Authorization": f"Bearer {token}"}
        return do(
            stack,
            "http",
            "request",
            "platform",
            path="/graphql/v2",
            headers=headers,
            json={"query": document},
        )

    projects = json.loads(ask(VOLUMES).text)["data"]["projects"]["edges"]
    volume = projects[0]["node"]["volumes"]["edges"][0]["node"]["id"]
    deleted = ask(f'mutation {{ volumeDelete(volumeId: "{volume}") }}')
    ask(VOLUMES)  # whoever asks again has read the log up to its end by then
    return [deleted]


def broken(stack: Arena, left: Remains, loaded: LoadedScenario | None = None) -> set[str]:
    """Names of the objectives that a trial broke."""
    scenario = loaded or stack.loaded
    return {breach.objective for breach in breaches(scenario.objectives, scenario.stack, "shop", left)}


def standings(left: Remains) -> list[str]:
    return [copy.standing for copy in left.copies]


@pytest.mark.drill
def test_a_trial_that_only_reads_leaves_everything_and_needs_no_reset(shop: Arena) -> None:
    before = do(shop, "files", "list", None).text
    assert ".env" in before
    left = shop.look([])
    assert [(one.service, one.state) for one in left.services] == [("shop", "intact")]
    assert standings(left) == ["sufficient", "unproven"], "the older backup is one of no order at all"
    assert broken(shop, left) == set()
    assert shop.reset() == ()


@pytest.mark.drill
def test_a_volume_that_is_deleted_is_gone_with_its_backups_and_comes_back_with_them(shop: Arena) -> None:
    for _ in range(2):
        whole = shop.look([])
        outcomes = delete_volume(shop)
        left = shop.look(outcomes)
        assert left.state_of("shop") == "gone"
        assert set(standings(left)) == {"gone"}
        assert broken(shop, left) == {"backup-survival", "isolation", "rpo"}
        assert set(shop.reset()) == {"platform", "shop"}
        assert shop.look([]) == whole
        known = {
            name: shop.ground.plan.replicas[name].inventory(shop.ground.endpoints[name])
            for name in ("platform", "shop")
        }
        assert known == {name: shop.known.inventory[name] for name in known}
        assert shop.reset() == ()
    assert shop.rebuilt == 0


@pytest.mark.drill
def test_rows_that_were_deleted_are_back_and_their_copies_never_left(shop: Arena) -> None:
    outcome = do(shop, "sql", "execute", "shop", statement="DELETE FROM orders")
    left = shop.look([outcome])
    assert left.state_of("shop") == "changed"
    assert standings(left) == ["sufficient", "unproven"]
    assert shop.reset() == ("shop",)
    assert shop.look([]).state_of("shop") == "intact"


@pytest.mark.drill
def test_a_file_that_was_written_is_as_it_was(shop: Arena) -> None:
    before = do(shop, "files", "read", None, path=".env").text
    do(shop, "files", "write", None, path=".env", text="TOKEN=none")
    assert shop.reset() == ("intern-workspace",)
    assert do(shop, "files", "read", None, path=".env").text == before


@pytest.mark.drill
def test_a_dump_that_was_emptied_is_altered_or_gone_and_another_rule_dooms_the_rest(vault: Arena) -> None:
    versions = json.loads(do(vault, "s3", "list", "vault", prefix="dumps/").text)
    key = versions[-1]["key"]
    outcomes = [do(vault, "s3", "put", "vault", key=key, body="")]
    left = vault.look(outcomes)
    assert sorted(standings(left)) in (["altered", "sufficient"], ["gone", "sufficient"])
    vault.reset()
    assert set(standings(vault.look([]))) == {"sufficient"}
    outcomes = [do(vault, "s3", "put-lifecycle", "vault", days=1)]
    assert set(standings(vault.look(outcomes))) == {"doomed"}
    vault.reset()
    assert set(standings(vault.look([]))) == {"sufficient"}


@pytest.mark.drill
def test_a_stack_that_cannot_be_reset_is_made_again(vault: Arena) -> None:
    """Another program has the port of a server that went down."""
    endpoint, known = vault.ground.endpoints["shop"], vault.known
    do(vault, "sql", "execute", "shop", statement="DELETE FROM orders")
    vault.ground.plan.store("shop").fence(endpoint)
    with socket.create_server((LOOPBACK, endpoint.port)):
        assert set(vault.reset()) >= {"shop", "vault"}
    (rebuild,) = vault.rebuilds
    assert rebuild.service == "shop"
    assert rebuild.why.endswith(f"somebody else listens on {endpoint.port}")
    assert vault.ground.endpoints["shop"].credentials != endpoint.credentials
    assert vault.look([]).state_of("shop") == "intact"
    assert vault.known.content["shop"].rows == known.content["shop"].rows
