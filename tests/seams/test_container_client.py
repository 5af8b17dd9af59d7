"""What a service in a container says of its items, and what a program in there reads and prints."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from harness.errors import DatabaseError, ProvisionError
from harness.facts import Lease
from harness.replicas.containers import engine
from harness.replicas.containers.engine import Recipe, Started
from harness.sandbox import Sandbox
from harness.seams.container_client import read_items
from harness.seams.container_engine import NAMESPACE, run_inside
from harness.seams.items import content_hash

ONE, TWO = sha256(b"one").hexdigest(), sha256(b"two").hexdigest()


def test_items_are_read_as_sha256sum_and_stat_print_them() -> None:
    listed = f"{TWO}  ./b c\n{ONE}  ./a\n1777000000.250000 ./a\n"
    at = datetime.fromtimestamp(1777000000.25, UTC)
    expected = [("a", content_hash(b"one"), at), ("b c", content_hash(b"two"), None)]
    assert list(read_items("parcels", listed)) == expected
    assert list(read_items("parcels", "")) == []
    assert [key for key, _, _ in read_items("parcels", f"{ONE} *binary\n{TWO} plain\n")] == [
        "binary",
        "plain",
    ]


@pytest.mark.parametrize(
    "line", ["sha256sum: no such file", f"{ONE[:40]}  short", "a", "", f"{ONE}", "1777000000 only-a-time"]
)
def test_a_line_that_tells_of_no_item_is_an_error_with_a_hint(line: str) -> None:
    with pytest.raises(DatabaseError, match="parcels: `items` prints a") as caught:
        list(read_items("parcels", f"{ONE}  a\n{line}\n"))
    assert caught.value.hint


@pytest.fixture(scope="module")
def container(sandbox: Sandbox) -> Iterator[Started]:
    lease = Lease(run_id=sandbox.run_id, service="box", kind="container", directory=sandbox.root)
    yield engine.start(lease, Recipe(f"{NAMESPACE}valkey", command=("sleep", "600")))
    engine.remove(lease)


@pytest.mark.docker
def test_a_program_reads_all_of_its_input_and_all_that_it_prints_is_heard(container: Started) -> None:
    body = bytes(range(256)) * 2000
    told = {"NAME": "box"}
    ran = run_inside(container.id, ["sh", "-c", "cat; echo $NAME >&2; exit 7"], environment=told, stdin=body)
    assert ran == (7, body, b"box\n")


@pytest.mark.docker
def test_what_a_program_prints_at_once_is_heard_every_time(container: Started) -> None:
    """It may come in one piece with the engine's answer that it was started."""
    assert {run_inside(container.id, ["echo", "here"]) for _ in range(20)} == {(0, b"here\n", b"")}


@pytest.mark.docker
def test_a_program_need_not_read_what_it_is_given(container: Started) -> None:
    assert run_inside(container.id, ["false"], stdin=bytes(1 << 20)).code == 1


@pytest.mark.docker
def test_a_program_that_hangs_is_given_up(container: Started) -> None:
    with pytest.raises(ProvisionError, match="timed out"):
        run_inside(container.id, ["sleep", "100"], seconds=0.2)
