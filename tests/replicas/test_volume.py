"""A volume: a real tree of files, mounted at one place for as long as the run lasts."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.errors import DatabaseError, ProvisionError
from harness.facts import APPLICATION, Endpoint, Lease
from harness.replicas.volume import VolumeReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import ItemStore, Setting
from harness.seams.items import Item, ItemRefusedError
from harness.seams.volume_client import VolumeClient

STACK = Stack.model_validate(
    {
        "services": {
            "files": {"kind": "volume", "environment": "production", "collections": ["notes", "photos"]}
        },
        "principals": {"cli": {"grants": {"files": "writer"}}, "guest": {"grants": {"files": "reader"}}},
    }
)
THEN = datetime(2026, 4, 24, 10, 12, tzinfo=UTC)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    sandbox = Sandbox(run_id="run", root=tmp_path, cache=tmp_path / "cache", account=None)
    return Setting(STACK, tmp_path, sandbox, SystemClock(), {})


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    return Lease(run_id="run", service="files", kind="volume", directory=tmp_path / "files")


@pytest.fixture
def replica() -> VolumeReplica:
    return VolumeReplica()


@pytest.fixture
def volume(replica: VolumeReplica, lease: Lease, setting: Setting) -> Endpoint:
    return replica.provision(lease, setting)


def client(volume: Endpoint, principal: str = APPLICATION) -> VolumeClient:
    return VolumeClient(volume, volume.credentials[principal])


def test_it_has_a_folder_for_each_collection(replica: VolumeReplica, volume: Endpoint) -> None:
    assert isinstance(replica, ItemStore)
    assert replica.read_marker(volume) == "run/files"
    assert replica.alive(volume)
    found = {(resource.kind, resource.name) for resource in replica.inventory(volume)}
    assert found == {("volume", "volume"), ("folder", "notes"), ("folder", "photos")}
    assert {resource.environment for resource in replica.inventory(volume)} == {"production"}


def test_what_is_put_has_the_hash_that_the_client_got(replica: VolumeReplica, volume: Endpoint) -> None:
    hash_ = client(volume).put("notes", "first", b"hello")
    (row,) = replica.rows(volume, "notes", "", "")
    assert (row.key, row.hash) == ("first", hash_)
    assert client(volume).get("notes", "first") == b"hello"
    assert client(volume).put("notes", "first", b"changed") != hash_
    assert [path.name for path in (volume.path / "notes").iterdir()] == ["first"]


def test_the_past_has_the_dates_of_the_past(replica: VolumeReplica, volume: Endpoint) -> None:
    replica.fill(volume, [Item("photos", "old", b"bits", THEN)])
    (row,) = replica.rows(volume, "photos", "", "")
    assert row.time == THEN


def test_the_fingerprint_tells_of_every_change(replica: VolumeReplica, volume: Endpoint) -> None:
    both = ("notes", "photos")
    empty = replica.fingerprint(volume, both)
    client(volume).put("notes", "a", b"1")
    client(volume).put("notes", "b", b"2")
    full = replica.fingerprint(volume, both)
    assert (empty.rows, full.rows) == (0, 2)
    client(volume).put("notes", "b", b"3")
    assert replica.fingerprint(volume, both) != full
    client(volume).put("notes", "b", b"2")
    assert replica.fingerprint(volume, both) == full
    assert client(volume).delete("notes", "b") is not None
    assert client(volume).delete("notes", "b") is None
    assert replica.fingerprint(volume, both) != full


def test_a_link_is_what_it_says_not_what_it_leads_to(
    replica: VolumeReplica, volume: Endpoint, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("secret")
    (volume.path / "notes" / "link").symlink_to(tmp_path / "outside")
    (before,) = replica.rows(volume, "notes", "", "")
    (tmp_path / "outside").write_text("other")
    assert next(iter(replica.rows(volume, "notes", "", ""))).hash == before.hash


def test_a_link_to_a_folder_is_an_item_too(replica: VolumeReplica, volume: Endpoint) -> None:
    (volume.path / "photos" / "2026").mkdir()
    client(volume).put("photos/2026", "cat", b"meow")
    link = volume.path / "notes" / "newest"
    link.symlink_to("../photos/2026")
    assert [row.key for row in replica.rows(volume, "notes", "", "")] == ["newest"]
    before = replica.fingerprint(volume, ("notes",))
    link.unlink()
    assert replica.fingerprint(volume, ("notes",)) != before


def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(
    replica: VolumeReplica, volume: Endpoint
) -> None:
    # Root may read everything, but for what lies deeper than a path can be long (PATH_MAX).
    depth = os.open(volume.path / "notes", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("deep" * 60, dir_fd=depth)
        below = os.open("deep" * 60, os.O_RDONLY, dir_fd=depth)
        os.close(depth)
        depth = below
    os.close(depth)
    try:
        with pytest.raises(DatabaseError, match="File name too long"):
            replica.fingerprint(volume, ("notes",))
    finally:
        shutil.rmtree(volume.path / "notes")


@pytest.mark.parametrize("target", ["/{outside}", "../elsewhere", "notes/../../elsewhere"])
def test_a_tree_that_leads_out_is_refused_when_it_is_copied(
    replica: VolumeReplica, lease: Lease, setting: Setting, tmp_path: Path, target: str
) -> None:
    """The loader refuses it too; but a tree is the user's own, and may change after that."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mine" / "notes").mkdir(parents=True)
    (tmp_path / "mine" / "photos").symlink_to(target.format(outside=str(tmp_path / "elsewhere").lstrip("/")))
    data = {"kind": "volume", "data": {"tree": "mine"}, "collections": ["photos"]}
    stack = Stack.model_validate({"services": {"files": data}})
    with pytest.raises(ProvisionError, match="mine/photos leads out of the tree of files"):
        replica.provision(lease, replace(setting, stack=stack))
    replica.destroy(lease)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_is_gone_is_an_outage(replica: VolumeReplica, volume: Endpoint) -> None:
    (volume.path / "notes").rmdir()
    assert not replica.alive(volume)
    with pytest.raises(DatabaseError, match="no folder 'notes'"):
        replica.fingerprint(volume, ("notes",))
    with pytest.raises(ItemRefusedError, match="No such file or directory"):
        client(volume).put("notes", "late", b"")


def test_a_reader_can_change_nothing(volume: Endpoint) -> None:
    client(volume).put("notes", "a", b"1")
    guest = client(volume, "guest")
    assert guest.get("notes", "a") == b"1"
    for change in (lambda: guest.put("notes", "a", b"2"), lambda: guest.delete("notes", "a")):
        with pytest.raises(ItemRefusedError, match="read-only"):
            change()


def test_what_replaces_it_is_mounted_at_the_same_place(
    replica: VolumeReplica, volume: Endpoint, lease: Lease, setting: Setting, tmp_path: Path
) -> None:
    client(volume).put("notes", "a", b"1")
    replica.fence(volume)
    replica.fence(volume)
    with pytest.raises(ItemRefusedError):
        client(volume).put("notes", "b", b"2")
    new = lease.model_copy(update={"service": "files@recovery-1", "directory": tmp_path / "files@recovery-1"})
    new.directory.mkdir()
    vessel = replica.vessel(new, volume, setting, replace=True)
    (vessel.directory / "notes").mkdir()
    (vessel.directory / "photos").mkdir()
    restored = vessel.start()
    assert restored == replace(volume, lease=new)
    assert replica.read_marker(restored) == "run/files@recovery-1"
    assert replica.alive(restored)
    assert replica.fingerprint(restored, ("notes",)).rows == 0
    vessel.discard()
    assert not volume.path.exists()
    assert not new.directory.exists()


def test_destroying_leaves_nothing_and_can_be_done_twice(
    replica: VolumeReplica, volume: Endpoint, lease: Lease
) -> None:
    del volume
    for _ in range(2):
        VolumeReplica().destroy(lease)
        assert not lease.directory.exists()


def test_another_kind_of_service_is_an_error(replica: VolumeReplica, lease: Lease, setting: Setting) -> None:
    other = lease.model_copy(update={"service": "shop"})
    with pytest.raises(ProvisionError, match="'shop' is not a service of kind volume"):
        replica.provision(other, setting)
