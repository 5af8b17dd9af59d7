"""Snapshots in a real restic repository: taken, listed, forgotten, damaged, lost and restored."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.backups.restic import ResticTool
from harness.errors import BackupError, MissingToolError, RestoreError
from harness.facts import OPERATOR
from harness.sandbox import free_port
from harness.scenario.models import Restic
from harness.seams.drivers import Due

from .conftest import TABLES, Estate

pytestmark = [pytest.mark.restic, pytest.mark.slow]


def make_tool(estate: Estate, name: str = "", **settings: Any) -> ResticTool:
    protection = Restic.model_validate(
        {"tool": "restic", "of": "bookings", "to": "plain", "every": "1d", "keep": 3} | settings
    )
    name = name or f"repository-{secrets.token_hex(4)}"
    return ResticTool(name, protection, estate.bookings, estate.replica, estate.setting)


def days_ago(days: float) -> Due:
    return Due(datetime.now(UTC) - timedelta(days=days), "snapshot")


def keys(estate: Estate, tool: ResticTool, below: str = "") -> list[str]:
    listed = estate.client("plain").list_objects_v2(Bucket="plain", Prefix=f"{tool._name}/{below}")
    return [item["Key"] for item in listed.get("Contents", ())]


def test_a_snapshot_brings_back_what_the_service_held_when_it_was_taken(estate: Estate) -> None:
    estate.book(1, 500)
    then = estate.replica.fingerprint(estate.bookings, TABLES)
    tool = make_tool(estate)
    due = days_ago(0)
    point = tool.take(due)
    estate.book(501, 10)
    assert (point.kind, point.service, point.place, point.shares_fate) == ("dump", "bookings", "plain", False)
    assert abs(point.taken - due.at) < timedelta(seconds=1)
    assert point.covers_until == point.taken
    restored = tool.restore(point, estate.vessel(), estate.mark)
    assert estate.replica.fingerprint(restored, TABLES) == then
    assert estate.parts == ["provision", "restore"]


def test_it_keeps_as_many_as_it_is_told_and_lists_them_newest_first(estate: Estate) -> None:
    tool = make_tool(estate, keep=2)
    taken = [tool.take(days_ago(days)) for days in (3, 2, 1)]
    tool.expire(days_ago(1).at, taken=False)
    assert [point.id for point in tool.points()] == [point.id for point in reversed(taken)]
    tool.expire(days_ago(1).at, taken=True)
    assert [point.id for point in tool.points()] == [taken[2].id, taken[1].id]
    fresh = ResticTool(tool._name, tool._protection, estate.bookings, estate.replica, estate.setting)
    assert fresh.points() == tool.points()


def test_the_real_restic_finds_nothing_wrong_with_it(estate: Estate) -> None:
    estate.book(1, 100)
    tool = make_tool(estate)
    tool.take(days_ago(1))
    command = [str(part) for part in tool._command(["check", "--read-data"])]
    environment = {"PATH": os.environ["PATH"], "HOME": str(estate.setting.sandbox.root)}
    ran = subprocess.run(command, env={**environment, **tool._environment()}, capture_output=True, check=True)
    assert b"no errors were found" in ran.stdout


def snapshots(estate: Estate, tool: ResticTool) -> list[str]:
    return [Path(key).name for key in keys(estate, tool, "snapshots/")]


def test_a_dump_that_fails_half_way_leaves_no_snapshot(
    estate: Estate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """restic itself would keep what has come until then; here it writes and then dies."""
    tool = make_tool(estate)
    tool.take(days_ago(2))
    before = snapshots(estate, tool)
    broken = tmp_path / "pg_dump"
    broken.write_text("#!/bin/sh\necho half a dump\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr("harness.backups.restic.binary", lambda _: broken)
    with pytest.raises(BackupError, match="pg_dump failed with exit code 3"):
        tool.take(days_ago(1))
    assert snapshots(estate, tool) == before


def test_a_service_that_is_gone_leaves_no_snapshot(estate: Estate) -> None:
    gone = replace(estate.bookings, port=free_port())
    protection = make_tool(estate)._protection
    name = f"repository-{secrets.token_hex(4)}"
    tool = ResticTool(name, protection, gone, estate.replica, estate.setting)
    with pytest.raises(BackupError, match=r"pg_dump failed with exit code 1: .*refused") as caught:
        tool.take(days_ago(0))
    assert estate.bookings.credentials[OPERATOR].secret.reveal() not in str(caught.value)
    assert tool.points() == ()


def delete_packs(estate: Estate, tool: ResticTool) -> None:
    for key in keys(estate, tool, "data/"):
        estate.client("plain").delete_object(Bucket="plain", Key=key)


def cut_packs(estate: Estate, tool: ResticTool) -> None:
    client = estate.client("plain")
    for key in keys(estate, tool, "data/"):
        content = client.get_object(Bucket="plain", Key=key)["Body"].read()
        client.put_object(Bucket="plain", Key=key, Body=content[: len(content) // 2])


def flip_packs(estate: Estate, tool: ResticTool) -> None:
    client = estate.client("plain")
    for key in keys(estate, tool, "data/"):
        content = bytearray(client.get_object(Bucket="plain", Key=key)["Body"].read())
        content[len(content) // 2] ^= 0xFF
        client.put_object(Bucket="plain", Key=key, Body=bytes(content))


def delete_indexes(estate: Estate, tool: ResticTool) -> None:
    for key in keys(estate, tool, "index/"):
        estate.client("plain").delete_object(Bucket="plain", Key=key)


@pytest.mark.parametrize("damage", [delete_packs, cut_packs, flip_packs, delete_indexes])
def test_a_damaged_repository_restores_nothing(
    estate: Estate, damage: Callable[[Estate, ResticTool], None]
) -> None:
    """Its snapshots are still listed, as restic lists them, and none comes back."""
    estate.book(1, 2000)
    tool = make_tool(estate)
    point = tool.take(days_ago(1))
    damage(estate, tool)
    assert [each.id for each in tool.points()] == [point.id]
    vessel = estate.vessel()
    with pytest.raises(RestoreError, match=r"the snapshot \w{8} cannot be restored: restic failed") as caught:
        tool.restore(point, vessel, estate.mark)
    assert caught.value.hint


@pytest.mark.parametrize("part", ["snapshots/", "config", "keys/", ""])
def test_snapshots_that_cannot_be_reached_any_more_are_gone(estate: Estate, part: str) -> None:
    """With the snapshot itself, with what opens the repository, or with all of it."""
    estate.book(1, 10)
    tool = make_tool(estate)
    point = tool.take(days_ago(1))
    for key in keys(estate, tool, part):
        estate.client("plain").delete_object(Bucket="plain", Key=key)
    assert tool.points() == ()
    with pytest.raises(RestoreError):
        tool.restore(point, estate.vessel(), estate.mark)


def test_a_rule_that_will_delete_its_objects_dooms_every_snapshot(estate: Estate) -> None:
    tool = make_tool(estate)
    assert tool.take(days_ago(1)).doomed_at is None
    rule = {
        "ID": "soon",
        "Status": "Enabled",
        "Filter": {"Prefix": f"{tool._name}/"},
        "Expiration": {"Days": 3},
    }
    client = estate.client("plain")
    client.put_bucket_lifecycle_configuration(Bucket="plain", LifecycleConfiguration={"Rules": [rule]})
    try:
        (point,) = tool.points()
    finally:
        client.delete_bucket_lifecycle(Bucket="plain")
    assert point.doomed_at is not None
    assert timedelta(days=2) < point.doomed_at - datetime.now(UTC) < timedelta(days=4)


def test_the_password_is_of_the_run_and_stands_in_no_file(estate: Estate) -> None:
    tool = make_tool(estate)
    tool.take(days_ago(1))
    password = tool._password().reveal()
    assert make_tool(estate)._password().reveal() != password
    for path in estate.setting.sandbox.root.rglob("*"):
        if path.is_file():
            assert password.encode() not in path.read_bytes(), path
    assert not any(password in str(part) for part in tool._command(["snapshots"]))
    wrong = {**tool._environment(), "RESTIC_PASSWORD": "guess", "PATH": os.environ["PATH"]}
    command = [str(part) for part in tool._command(["snapshots"])]
    ran = subprocess.run(command, env=wrong, capture_output=True, check=False)
    assert ran.returncode != 0


def test_without_restic_it_is_told_how_to_install_it(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingToolError, match="restic is not installed") as caught:
        make_tool(estate)
    assert "apt-get install restic" in caught.value.hint


def test_nothing_is_left_behind_by_taking_and_restoring(
    estate: Estate, no_leftovers: Callable[[], set[Path]]
) -> None:
    tool = make_tool(estate)
    point = tool.take(days_ago(0))
    before = {path for path in no_leftovers() if "pipe-" in path.name or "restic" in path.name}
    tool.restore(point, estate.vessel(), estate.mark)
    after = {path for path in no_leftovers() if "pipe-" in path.name or "restic" in path.name}
    assert before == after == set()


def test_it_says_itself_what_its_snapshots_are_of(estate: Estate) -> None:
    tool = make_tool(estate)
    tool.take(days_ago(1))
    (listed,) = json.loads(tool._run(["snapshots", "--json", "--no-lock"], BackupError))
    assert (listed["hostname"], listed["paths"]) == ("bookings", ["/bookings.dump"])
