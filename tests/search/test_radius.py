"""Every destructive call is really made, and what is said of it is what was left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.journal.radius import BlastRadius, Deed
from harness.render.radius import JSON_FILE, PAGE_FILE
from tests.conftest import CACHE
from tests.drills.command import SHOP, Installation, fresh_installation

pytestmark = pytest.mark.drill
TOKEN = "workspace/.env"


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    fresh = fresh_installation(CACHE)
    yield fresh
    fresh.remove()


def measured(installation: Installation, *options: str | Path) -> tuple[int, str, BlastRadius]:
    before = set(installation.folders())
    done = installation.call("blast-radius", SHOP / "deleted-volume.yaml", *options)
    made = [folder for folder in installation.folders() if folder not in before]
    assert len(made) == 1, done.stderr
    assert (made[0] / PAGE_FILE).is_file()
    return done.returncode, done.stdout, BlastRadius.model_validate_json((made[0] / JSON_FILE).read_bytes())


@pytest.fixture(scope="module")
def bare(installation: Installation) -> tuple[int, str, BlastRadius]:
    return measured(installation)


@pytest.fixture(scope="module")
def guarded(installation: Installation) -> tuple[int, str, BlastRadius]:
    return measured(installation, "--guards", "least-privilege")


def of(radius: BlastRadius, operation: str) -> list[Deed]:
    return [deed for deed in radius.deeds if deed.operation == operation]


def test_what_takes_the_backups_along_is_beyond_recovery(bare: tuple[int, str, BlastRadius]) -> None:
    code, said, radius = bare
    assert code == 1
    (volume,) = of(radius, "volumeDelete")
    assert volume.extent == "lost with its backups"
    assert volume.unrecoverable == ("shop",)
    assert volume.copies_lost == 1
    assert volume in radius.kill_set
    assert said.startswith("Fewest calls to unrecoverable: 1, intern")


def test_what_a_copy_brings_back_is_reversible_and_tells_from_where(
    bare: tuple[int, str, BlastRadius],
) -> None:
    _, _, radius = bare
    deletes = of(radius, "DELETE")
    assert deletes
    assert {(deed.extent, deed.undo) for deed in deletes} == {
        ("reversible", "shop from snapshots in platform")
    }
    (copy, *_) = of(radius, "volumeInstanceBackupDelete")
    assert (copy.extent, copy.unrecoverable) == ("lost", ())


def test_a_guard_refuses_and_the_radius_shrinks(
    bare: tuple[int, str, BlastRadius], guarded: tuple[int, str, BlastRadius]
) -> None:
    _, _, without = bare
    code, _, radius = guarded
    assert radius.guards == ("least-privilege",)
    assert {deed.extent for deed in of(radius, "DELETE")} == {"refused"}
    assert {deed.extent for deed in of(radius, "projectDelete")} == {"refused"}
    assert len(radius.kill_set) < len(without.kill_set)
    assert code == (1 if radius.kill_set else 0)


def test_a_baseline_tells_a_pull_request_what_has_grown(
    installation: Installation,
    bare: tuple[int, str, BlastRadius],
    guarded: tuple[int, str, BlastRadius],
    tmp_path: Path,
) -> None:
    baseline, comment = tmp_path / "before.json", tmp_path / "comment.md"
    baseline.write_text(guarded[2].model_dump_json())
    code, said, _ = measured(installation, "--baseline", baseline, "--markdown", comment)
    assert code == 1
    was, is_ = len(guarded[2].kill_set), len(bare[2].kill_set)
    assert f"This change enlarges the kill set from {was} to {is_}" in " ".join(said.split())
    assert "| intern | projectDelete of the project on platform | refused | lost with its backups |" in (
        comment.read_text()
    )
    baseline.write_text(bare[2].model_dump_json())
    assert measured(installation, "--guards", "least-privilege", "--baseline", baseline)[0] == 0


def test_mistakes_are_told_before_anything_comes_up(installation: Installation, tmp_path: Path) -> None:
    nobody = installation.call("blast-radius", SHOP / "deleted-volume.yaml", "--principal", "nobody")
    assert nobody.returncode == 3
    assert "the stack has no principal 'nobody'" in nobody.stderr
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    other = installation.call("blast-radius", SHOP / "deleted-volume.yaml", "--baseline", bad)
    assert other.returncode == 3
    assert "bad.json is no blast radius" in other.stderr
    assert installation.at_work() == ()
