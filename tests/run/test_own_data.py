"""Drills of a team's own backup files, for what is not PostgreSQL: real files, made by the real programs."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from harness.backups.mariadb_dump import OPTIONS, call
from harness.clock import SystemClock
from harness.errors import BackupError, DumpError, ScenarioError
from harness.facts import APPLICATION, OPERATOR, Endpoint, Lease
from harness.replicas.mariadb import MariadbReplica
from harness.replicas.valkey import ValkeyReplica
from harness.replicas.volume import VolumeReplica
from harness.run.place import Place
from harness.sandbox import Sandbox
from harness.scenario.load import load_scenario
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.valkey_client import ValkeyClient, connect

from .stage import play

GEMINI = Path(__file__).parents[2] / "scenarios" / "gemini-cli"
BAZAAR = Path(__file__).parent / "bazaar"
REPLICAS = {"mariadb": MariadbReplica, "valkey": ValkeyReplica, "volume": VolumeReplica}
Provision = Callable[..., Endpoint]


@pytest.fixture
def provision(sandbox: Sandbox, tmp_path: Path) -> Iterator[Provision]:
    """Brings a service up whose files lie in a folder of the test's own."""
    made = []

    def provision(**service: object) -> Endpoint:
        stack = Stack.model_validate({"services": {"own": service}})
        setting = Setting(stack, tmp_path, sandbox, SystemClock(), {})
        kind = stack.services["own"].kind
        lease = Lease(
            run_id=sandbox.run_id, service="own", kind=kind, directory=sandbox.root / f"own-{token_hex(4)}"
        )
        made.append((REPLICAS[kind](), lease))
        return made[-1][0].provision(lease, setting)

    yield provision
    for replica, lease in made:
        replica.destroy(lease)


@pytest.fixture(scope="module")
def rdb(sandbox: Sandbox) -> bytes:
    """What SAVE wrote of a server with sessions, a list, and a key of nobody's."""
    stack = Stack.model_validate({"services": {"old": {"kind": "valkey"}}})
    lease = Lease(run_id=sandbox.run_id, service="old", kind="valkey", directory=sandbox.root / "old")
    replica = ValkeyReplica()
    try:
        endpoint = replica.provision(lease, Setting(stack, sandbox.root, sandbox, SystemClock(), {}))
        ValkeyClient(endpoint, endpoint.credentials[APPLICATION]).put("session", "a", b"1")
        with connect(endpoint, endpoint.credentials[OPERATOR]) as client:
            client.rpush("session:list", 1, 2, 3)
            client.set("other", "x")
            client.save()
        return (endpoint.path / "dump.rdb").read_bytes()
    finally:
        replica.destroy(lease)


@pytest.fixture(scope="module")
def dump(sandbox: Sandbox) -> bytes:
    """What mariadb-dump wrote of a shop."""
    stack = Stack.model_validate({"services": {"shop": {"kind": "mariadb", "schema": "schema.sql"}}})
    lease = Lease(run_id=sandbox.run_id, service="shop", kind="mariadb", directory=sandbox.root / "shop")
    replica, file = MariadbReplica(), sandbox.root / "shop.sql"
    try:
        endpoint = replica.provision(lease, Setting(stack, BAZAAR, sandbox, SystemClock(), {}))
        rows = "INSERT INTO orders SELECT UUID(), CONCAT('é ', seq), 1, NULL, NOW(6) FROM seq_1_to_500"
        replica.execute(endpoint, rows, {})
        call(sandbox, "mariadb-dump", endpoint, (*OPTIONS, f"--result-file={file}", "shop"), BackupError)
        return file.read_bytes()
    finally:
        replica.destroy(lease)


def test_a_volume_begins_with_a_copy_of_the_tree(provision: Provision, tmp_path: Path) -> None:
    (tmp_path / "last-night" / "notes" / "deep").mkdir(parents=True)
    (tmp_path / "last-night" / "notes" / "deep" / "a.txt").write_text("mine")
    endpoint = provision(kind="volume", collections=["notes", "photos"], data={"tree": "last-night"})
    (endpoint.path / "notes" / "deep" / "a.txt").write_text("changed")
    assert [row.key for row in VolumeReplica().rows(endpoint, "notes", "", "")] == ["deep/a.txt"]
    assert not list(VolumeReplica().rows(endpoint, "photos", "", ""))
    assert (tmp_path / "last-night" / "notes" / "deep" / "a.txt").read_text() == "mine"


def test_a_valkey_begins_with_what_the_dump_holds(provision: Provision, tmp_path: Path, rdb: bytes) -> None:
    (tmp_path / "last.rdb").write_bytes(rdb)
    endpoint = provision(kind="valkey", collections=["session"], data={"dump": "last.rdb"})
    assert [row.key for row in ValkeyReplica().rows(endpoint, "session", "", "")] == ["a", "list"]
    assert ValkeyReplica().describe(endpoint)["appendonly"] == "yes"


def test_a_dump_that_valkey_does_not_load_is_named(provision: Provision, tmp_path: Path, rdb: bytes) -> None:
    (tmp_path / "last.rdb").write_bytes(rdb[:-12])
    with pytest.raises(DumpError, match=r"last\.rdb: the server of own does not load it"):
        provision(kind="valkey", collections=["session"], data={"dump": "last.rdb"})


@pytest.mark.mariadb
@pytest.mark.parametrize("packed", [False, True])
def test_a_mariadb_begins_with_what_the_dump_holds(
    provision: Provision, tmp_path: Path, dump: bytes, packed: bool
) -> None:
    (tmp_path / "last.sql").write_bytes(gzip.compress(dump) if packed else dump)
    endpoint = provision(kind="mariadb", data={"dump": "last.sql"})
    replica = MariadbReplica()
    assert replica.query(endpoint, "SELECT count(*), max(item) FROM orders", {}) == [(500, "é 99")]
    with connect_as_application(endpoint) as connection, connection.cursor() as cursor:
        assert cursor.execute("UPDATE orders SET pieces = 2") == 500


@pytest.mark.mariadb
def test_a_dump_that_mariadb_refuses_is_named(provision: Provision, tmp_path: Path, dump: bytes) -> None:
    (tmp_path / "last.sql").write_bytes(dump.replace(b"CREATE TABLE", b"CREATE TABEL", 1))
    with pytest.raises(DumpError, match=r"last\.sql: the server of own refuses it: ERROR 1064"):
        provision(kind="mariadb", data={"dump": "last.sql"})


def connect_as_application(endpoint: Endpoint):  # type: ignore[no-untyped-def]
    from harness.seams.mariadb_client import connect as to_mariadb

    return to_mariadb(endpoint, endpoint.credentials[APPLICATION])


def spoilt(dump: bytes, rdb: bytes) -> dict[str, tuple[str, bytes, str]]:
    """Bad files: the kind, the content, and what is said of it when the files are read."""
    return {
        "empty": ("mariadb", b"", "is empty"),
        "cut off": ("mariadb", dump[: len(dump) // 2], "is cut off"),
        "cut off and packed": ("mariadb", gzip.compress(dump)[:-9], "is cut off or damaged"),
        "encrypted": ("mariadb", b"Salted__" + dump, "is encrypted, with openssl"),
        "of another product": ("mariadb", b"-- PostgreSQL database dump\n" + dump, "is no dump of mysqldump"),
        "no RDB": ("valkey", dump, "is no RDB file"),
        "an empty RDB": ("valkey", b"", "is empty"),
        "an encrypted RDB": ("valkey", b"age-encryption.org/v1" + rdb, "is encrypted, with age"),
    }


@pytest.mark.mariadb
def test_a_bad_file_is_told_with_its_place_when_the_files_are_read(
    tmp_path: Path, dump: bytes, rdb: bytes
) -> None:
    for name, (kind, content, message) in spoilt(dump, rdb).items():
        folder = tmp_path / name.replace(" ", "-")
        shutil.copytree(BAZAAR, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "last.bin").write_bytes(content)
        tables = {"tables": {"orders": {"key": "id"}}} if kind == "mariadb" else {"collections": ["orders"]}
        stack = {
            "services": {"shop": {"kind": kind, "data": {"dump": "last.bin"}, **tables}},
            "principals": {"clerk": {"grants": {"shop": "owner"}}},
        }
        (folder / "stack.yaml").write_text(json.dumps(stack))
        with pytest.raises(ScenarioError) as caught:
            load_scenario(folder / "emptied.yaml")
        told = {problem.key: problem for problem in caught.value.problems}
        assert message in told["services.shop.data.dump"].message, name
        assert told["services.shop.data.dump"].line == 1


@pytest.mark.drill
def test_a_drill_of_ones_own_files_needs_no_history(stage: Place, tmp_path: Path) -> None:
    folder = tmp_path / "gemini-cli"
    shutil.copytree(GEMINI, folder, ignore=shutil.ignore_patterns("__pycache__"))
    notes = folder / "mine" / "notes"
    notes.mkdir(parents=True)
    for number in range(8):
        (notes / f"past-{number:08}").write_text(f"note {number}")
    stack = (folder / "stack.yaml").read_text()
    (folder / "stack.yaml").write_text(
        stack.replace("{kind: volume, ", "{kind: volume, data: {tree: mine}, ")
    )
    scenario = (folder / "as-it-happened.yaml").read_text()
    lines = [line for line in scenario.splitlines() if not line.startswith("history:")]
    (folder / "as-it-happened.yaml").write_text("\n".join(lines))
    drilled = play(load_scenario(folder / "hardened.yaml"), stage)
    values = {verdict.objective: verdict.value for verdict in drilled.record.verdicts}
    assert values["rto"] == "held", drilled
    (rpo,) = (verdict for verdict in drilled.record.verdicts if verdict.objective == "rpo")
    assert "the copy that came back is that old" in rpo.summary


@pytest.mark.drill
def test_a_tree_with_nothing_in_its_collections_is_no_drill(stage: Place, tmp_path: Path) -> None:
    folder = tmp_path / "gemini-cli"
    shutil.copytree(GEMINI, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "mine" / "elsewhere").mkdir(parents=True)
    (folder / "mine" / "elsewhere" / "a").write_text("a")
    stack = (folder / "stack.yaml").read_text()
    (folder / "stack.yaml").write_text(
        stack.replace("{kind: volume, ", "{kind: volume, data: {tree: mine}, ")
    )
    drilled = play(load_scenario(folder / "as-it-happened.yaml"), stage)
    assert isinstance(drilled.fault, ScenarioError)
    assert "mine holds nothing of notes, photos" in str(drilled.fault)
    assert drilled.record.value == "undecided"
