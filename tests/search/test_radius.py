"""Every destructive call is really made, and what is said of it is what was left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.exits import Exit, exit_of_answer
from harness.clock import SystemClock
from harness.evidence.keys import make_keys
from harness.journal.radius import FILE, BlastRadius, Deed
from harness.journal.roll import enroll
from harness.render.html import FILE as PAGE_FILE
from harness.run.place import Place
from harness.search.radius import RadiusWish, measure_radius
from harness.search.recording import problem_with
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
    return done.returncode, done.stdout, BlastRadius.model_validate_json((made[0] / FILE).read_bytes())


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


def test_a_stored_radius_is_judged_and_told_again_unless_it_was_changed(
    installation: Installation, bare: tuple[int, str, BlastRadius], tmp_path: Path
) -> None:
    _, said, radius = bare
    stored = next(
        folder
        for folder in installation.folders()
        if BlastRadius.model_validate_json((folder / FILE).read_bytes()) == radius
    )
    copy = Path(shutil.copytree(stored, tmp_path / stored.name))
    judged = installation.call("judge", copy)
    assert (judged.returncode, judged.stderr) == (1, "")
    assert judged.stdout.partition("\nreport: ")[0] == said.partition("\nreport: ")[0]
    out = tmp_path / "out"
    written = installation.call("report", copy, "--out", out)
    assert (written.returncode, written.stderr) == (0, "")
    names = ("summary.txt", "verdicts.json", "junit.xml", "index.html")
    assert written.stdout.splitlines() == [str(out / name) for name in names]
    for name in names:
        assert (out / name).read_bytes() == (stored / name).read_bytes(), name
    other = installation.call("report", copy, "--format", "csv")
    assert other.returncode == 3
    assert "of a search there is no report csv" in other.stderr
    key = tmp_path / "keys" / "our.key"
    key.parent.mkdir()
    make_keys(key, key.with_suffix(".pub"))
    enroll(copy.parent, "a-run", "shop/drill", SystemClock().stamp().wall)
    for verb in (("report", copy, "--format", "csv"), ("sign", copy, "--operator", "us", "--key", key)):
        refused = installation.call(*verb)
        assert refused.returncode == 3
        assert "the newest run beside it is 1, a-run" in refused.stderr
    of_runs = installation.call("controls", copy)
    assert (of_runs.returncode, of_runs.stderr) == (0, f"left out {copy}: it is of a search\n")
    (copy / FILE).write_text(radius.model_copy(update={"deeds": ()}).model_dump_json())
    doubted = installation.call("judge", copy)
    assert doubted.returncode == 2
    assert f"{FILE} is not what was written" in doubted.stdout
    refused = installation.call("report", copy)
    assert refused.returncode == 3
    assert "cannot be trusted" in refused.stderr


def test_whoever_ends_it_keeps_what_was_tried_until_then(installation: Installation) -> None:
    place = Place(installation.reports, installation.work, CACHE)
    told: list[Deed] = []

    def tell(deed: Deed) -> None:
        told.append(deed)
        if len(told) == 3:
            raise KeyboardInterrupt

    searched = measure_radius(RadiusWish(SHOP / "deleted-volume.yaml"), place, tell)
    radius = searched.result
    assert radius.interrupted
    assert radius.deeds == tuple(told)
    assert searched.value == ("breached" if radius.kill_set else "undecided")
    assert BlastRadius.model_validate_json((searched.folder / FILE).read_bytes()) == radius
    assert (searched.folder / PAGE_FILE).is_file()
    assert problem_with(searched.folder) is None
    assert (installation.reports / "latest").resolve() != searched.folder.resolve()
    assert exit_of_answer(searched.answer) is Exit.INTERRUPTED
    assert installation.at_work() == ()


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
