"""``gaps``: runs that were left out, however they were."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from securesystemslib.signer import CryptoSigner, SSlibKey

from harness.evidence.bundle import sign_run
from harness.evidence.manifest import MANIFEST_FILE
from harness.evidence.sequence import bundles_in, gaps
from harness.evidence.verification import verify_bundle
from harness.journal.roll import ROLL_FILE, read_roll
from harness.run.judge import judge_run
from tests.evidence.conftest import OPERATOR, play


def missing(reports: Path, key: SSlibKey, *, with_roll: bool = True, since: int = 1) -> list[str]:
    checked = [verify_bundle(folder, (key,), judge_run) for folder in bundles_in(reports)]
    return list(gaps(checked, read_roll(reports)[0] if with_roll else (), since))


def test_all_runs_are_there(reports: Path, key: SSlibKey) -> None:
    assert [folder.name for folder in bundles_in(reports)] == ["run-a", "run-b", "run-c"]
    assert missing(reports, key) == []
    (reports / ROLL_FILE).unlink()
    assert missing(reports, key) == []


def test_a_run_that_was_left_out_is_named(reports: Path, key: SSlibKey) -> None:
    shutil.rmtree(reports / "run-b")
    assert missing(reports, key) == ["run 2 (run-b): is missing from the sequence"]
    (reports / ROLL_FILE).unlink()
    assert missing(reports, key) == ["run 2: is missing from the sequence"]


def test_the_newest_runs_are_missed_by_the_roll_and_by_bundles_that_knew_of_them(
    reports: Path, key: SSlibKey, signer: CryptoSigner
) -> None:
    shutil.rmtree(reports / "run-c")
    assert missing(reports, key) == ["run 3 (run-c): is missing from the sequence"]
    # They were signed when there were three.
    assert missing(reports, key, with_roll=False) == ["run 3: is missing from the sequence"]


def test_a_run_that_nobody_signed_is_part_of_the_sequence(reports: Path, key: SSlibKey) -> None:
    play(reports, "run-d")
    assert "run-d" in [folder.name for folder in bundles_in(reports)]
    assert missing(reports, key) == ["run 4 (run-d): is missing from the sequence"]
    assert verify_bundle(reports / "run-d", (key,), judge_run).mismatches == (
        "manifest.json: is missing, so the run is not signed",
    )


def test_runs_before_the_period_are_not_asked_for(reports: Path, key: SSlibKey) -> None:
    shutil.rmtree(reports / "run-a")
    assert missing(reports, key) == ["run 1 (run-a): is missing from the sequence"]
    assert missing(reports, key, since=2) == []


def test_a_bundle_that_is_shown_twice_is_told(reports: Path, key: SSlibKey) -> None:
    shutil.copytree(reports / "run-a", reports / "run-e")
    assert missing(reports, key) == ["run 1: run-a and run-e have the same number"]


def test_a_roll_that_was_begun_anew_cannot_fill_the_gap(
    reports: Path, key: SSlibKey, signer: CryptoSigner
) -> None:
    shutil.rmtree(reports / "run-b")
    elsewhere = reports.parent / "elsewhere"
    for name in ("run-x", "run-y"):
        sign_run(play(elsewhere, name), signer, OPERATOR, judge_run)
    (elsewhere / "run-y").rename(reports / "run-y")
    assert "run 2: is missing from the sequence" in missing(reports, key, with_roll=False)


def test_a_run_that_was_played_again_under_its_number_does_not_follow(
    reports: Path, key: SSlibKey, signer: CryptoSigner
) -> None:
    """The roll is cut back to the first run, and the second is played until it goes well."""
    roll = reports / ROLL_FILE
    last = shutil.copytree(reports / "run-c", reports.parent / "run-c")
    for name in ("run-b", "run-c"):
        shutil.rmtree(reports / name)
    roll.write_bytes(roll.read_bytes().split(b"\n")[0] + b"\n")
    sign_run(play(reports, "run-better"), signer, OPERATOR, judge_run)
    # The first was signed when there were three.
    assert missing(reports, key) == ["run 3: is missing from the sequence"]
    last.rename(reports / "run-c")
    assert missing(reports, key) == ["run 3: does not follow run 2: the roll was written anew between them"]


def test_a_period_that_begins_after_the_last_run_is_not_complete(reports: Path, key: SSlibKey) -> None:
    assert missing(reports, key, since=3) == []
    said = ["run 4: is missing from the sequence, which ends with run 3"]
    assert missing(reports, key, since=4) == said
    assert missing(reports, key, with_roll=False, since=4) == said


def test_what_a_forged_bundle_says_of_the_sequence_is_not_believed(reports: Path, key: SSlibKey) -> None:
    shutil.rmtree(reports / "run-b")
    forged = json.loads((reports / "run-a" / MANIFEST_FILE).read_text())
    forged["run"]["known"] = 10**12
    forged["run"]["enrolled"]["number"] = 2
    (reports / "run-f").mkdir()
    (reports / "run-f" / MANIFEST_FILE).write_text(json.dumps(forged))
    assert verify_bundle(reports / "run-f", (key,), judge_run).mismatches
    assert missing(reports, key) == ["run 2 (run-b): is missing from the sequence"]
    assert missing(reports, key, with_roll=False) == ["run 2: is missing from the sequence"]


def test_many_that_are_missing_are_one_line(reports: Path, key: SSlibKey) -> None:
    """However many: whoever has the key may have signed any number."""
    checked = verify_bundle(reports / "run-a", (key,), judge_run)
    assert checked.manifest is not None
    run = checked.manifest.run.model_copy(update={"known": 10**12})
    many = replace(checked, manifest=checked.manifest.model_copy(update={"run": run}))
    assert list(gaps([many])) == ["runs 2 to 1000000000000: are missing from the sequence"]
