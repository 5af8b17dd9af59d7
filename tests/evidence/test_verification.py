"""``verify_bundle``: whatever is not as it was signed is noticed, and named."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import subprocess
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import CryptoSigner, SSlibKey

from harness.errors import RequestError
from harness.evidence.bundle import sign_run
from harness.evidence.canonical import canonical
from harness.evidence.envelopes import seal
from harness.evidence.keys import KeyFiles, make_keys, read_public, read_signer
from harness.evidence.manifest import FIGURES_FILE, MANIFEST_FILE, RESULT_FILE
from harness.evidence.statements import Figures, Statement, TestResult
from harness.evidence.verification import Checked, verify_bundle
from harness.journal.events import RestoreTried
from harness.journal.history import read_history
from harness.journal.record import RunRecord
from harness.journal.roll import enroll
from harness.journal.writer import Journal
from harness.run.drill import render
from harness.run.judge import judge_run
from tests.drills.command import PATIENCE
from tests.evidence.conftest import OPERATOR, URL, play
from tests.objectives.drills import EPOCH, scenario

CHANGES = 2000
JOURNAL = "journal.jsonl"


def check(bundle: Path, key: SSlibKey) -> Checked:
    return verify_bundle(bundle, (key,), judge_run)


def mismatches(bundle: Path, key: SSlibKey) -> str:
    return "\n".join(check(bundle, key).mismatches)


def payload(bundle: Path, name: str) -> dict[str, Any]:
    envelope = json.loads((bundle / name).read_bytes())
    read: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return read


# --- what is signed ---------------------------------------------------------------------------------------


def test_an_untouched_bundle_matches_and_is_judged_again(bundle: Path, key: SSlibKey) -> None:
    checked = check(bundle, key)
    assert checked.mismatches == ()
    assert checked.signed_by == key.keyid
    assert checked.record is not None
    assert checked.record.value == "breached"


def test_it_matches_wherever_it_lies_and_whatever_its_folder_is_called(
    bundle: Path, key: SSlibKey, tmp_path: Path
) -> None:
    assert check(bundle.rename(tmp_path / "evidence"), key).mismatches == ()


def test_a_run_whose_folder_was_renamed_is_signed_with_the_reports_that_it_has(
    unsigned: Path, signer: CryptoSigner, key: SSlibKey
) -> None:
    renamed = unsigned.rename(unsigned.with_name("renamed"))
    sign_run(renamed, signer, OPERATOR, judge_run)
    assert check(renamed, key).mismatches == ()


def test_the_manifest_has_every_file_by_its_digest_and_says_whose_run_it_was(bundle: Path) -> None:
    text = (bundle / MANIFEST_FILE).read_bytes()
    manifest = json.loads(text)
    assert canonical(manifest) == text
    assert {part["path"]: part["sha256"] for part in manifest["files"]} == {
        path.relative_to(bundle).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in bundle.rglob("*")
        if path.is_file() and path.name not in {MANIFEST_FILE, RESULT_FILE, FIGURES_FILE}
    }
    assert "logs/db.log" in {part["path"] for part in manifest["files"]}
    assert manifest["operator"] == OPERATOR
    assert (manifest["run"]["number"], manifest["run"]["known"]) == (2, 3)
    assert manifest["scenario"]["sha256"] == "d" * 64
    assert [(part["service"], part["kind"]) for part in manifest["replicas"]] == [("db", "postgres")]
    assert len(manifest["tool"]["sha256"]) == 64


def test_held_is_passed_breached_is_failed_whatever_was_expected(bundle: Path) -> None:
    statement = payload(bundle, RESULT_FILE)
    record = judge_run(bundle)
    values = {verdict.objective: verdict.value for verdict in record.verdicts}
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["predicate"]["result"] == "FAILED"
    assert statement["predicate"]["url"] == URL
    for name, value in (("passedTests", "held"), ("warnedTests", "undecided"), ("failedTests", "breached")):
        assert statement["predicate"][name] == [n for n, v in values.items() if v == value]
    assert {"held", "breached"} <= set(values.values())
    digest = sha256((bundle / MANIFEST_FILE).read_bytes()).hexdigest()
    for name in (RESULT_FILE, FIGURES_FILE):
        assert payload(bundle, name)["subject"] == [{"name": MANIFEST_FILE, "digest": {"sha256": digest}}]


def test_the_figures_are_those_of_the_verdicts(bundle: Path) -> None:
    signed = {
        verdict["objective"]: verdict for verdict in payload(bundle, FIGURES_FILE)["predicate"]["verdicts"]
    }
    for verdict in judge_run(bundle).verdicts:
        assert [figure["name"] for figure in signed[verdict.objective]["figures"]] == [
            figure.name for figure in verdict.figures
        ]
        assert tuple(signed[verdict.objective]["evidence"]) == verdict.evidence


@pytest.mark.parametrize("name", [RESULT_FILE, FIGURES_FILE])
def test_others_verify_the_envelopes_too(bundle: Path, pair: KeyFiles, tmp_path: Path, name: str) -> None:
    """The encoding is written here anew, after the specification of DSSE; openssl checks the signature."""
    envelope = json.loads((bundle / name).read_bytes())
    kind, body = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    signed = b" ".join((b"DSSEv1", str(len(kind)).encode(), kind, str(len(body)).encode(), body))
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    public = load_pem_public_key(pair.public.read_bytes())
    public.verify(signature, signed)  # type: ignore[call-arg,union-attr]
    (tmp_path / "signed").write_bytes(signed)
    (tmp_path / "signature").write_bytes(signature)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(pair.public), "-rawin"]
    command += ["-in", str(tmp_path / "signed"), "-sigfile", str(tmp_path / "signature")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "Signature Verified Successfully")
    (tmp_path / "signed").write_bytes(signed + b" ")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


# --- what was changed afterwards --------------------------------------------------------------------------


def test_every_changed_byte_is_noticed_and_the_file_is_named(bundle: Path, key: SSlibKey) -> None:
    chance = random.Random(20260424)
    files = sorted(path for path in bundle.rglob("*") if path.is_file() and path.stat().st_size)
    seals = {RESULT_FILE, FIGURES_FILE, MANIFEST_FILE}
    for _ in range(CHANGES):
        path = chance.choice(files)
        whole = path.read_bytes()
        at, bits = chance.randrange(len(whole)), chance.randrange(1, 256)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :])
        said = mismatches(bundle, key)
        path.write_bytes(whole)
        name = path.relative_to(bundle).as_posix()
        assert name in said, (name, at, bits, said)
        if name not in seals:
            assert said.startswith(f"{name}: was changed"), said
    assert check(bundle, key).mismatches == ()


def test_an_envelope_that_says_the_same_in_other_bytes_is_noticed(bundle: Path, key: SSlibKey) -> None:
    path = bundle / RESULT_FILE
    for other in (path.read_bytes() + b"\n", json.dumps(json.loads(path.read_bytes())).encode()):
        path.write_bytes(other)
        assert f"{RESULT_FILE}: is not written as it was signed" in mismatches(bundle, key)


def test_a_removed_event_is_named_by_its_line(bundle: Path, key: SSlibKey) -> None:
    path = bundle / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:6] + lines[7:]))
    said = mismatches(bundle, key)
    assert f"{JOURNAL}: was changed" in said
    assert "line 7 of the journal has the number 8: lines are missing or were added" in said
    assert f"{len(lines)} lines were signed, there are {len(lines) - 1}" in said


def test_the_last_event_cannot_be_cut_off(bundle: Path, key: SSlibKey) -> None:
    path = bundle / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert "the journal does not end with the end of the run" in mismatches(bundle, key)


class _Stamps:
    """Tells the stamps of a journal again."""

    def __init__(self, stamps: list[Any]) -> None:
        self._stamps = iter(stamps)

    def stamp(self) -> Any:
        return next(self._stamps)

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


def test_a_journal_that_was_written_anew_without_an_event_is_noticed(bundle: Path, key: SSlibKey) -> None:
    entries = [entry for entry in read_history(bundle).entries if not isinstance(entry.body, RestoreTried)]
    (bundle / JOURNAL).unlink()
    with Journal(bundle, _Stamps([entry.at for entry in entries])) as journal:
        for entry in entries:
            journal.write(entry.body)
    assert read_history(bundle).problem is None
    said = mismatches(bundle, key)
    assert "its chain was made anew after the change" in said
    assert f"{len(entries) + 1} lines were signed, there are {len(entries)}" in said


def test_swapped_files_are_told_by_what_they_hold(bundle: Path, key: SSlibKey) -> None:
    one, two = bundle / "witness.jsonl", bundle / "ledger.jsonl"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    said = mismatches(bundle, key)
    assert "witness.jsonl: was swapped: it has the content of ledger.jsonl" in said
    assert "ledger.jsonl: was swapped: it has the content of witness.jsonl" in said


def test_the_journal_of_another_run_is_named(bundle: Path, key: SSlibKey) -> None:
    (bundle / JOURNAL).write_bytes((bundle.parent / "run-a" / JOURNAL).read_bytes())
    assert "it is the journal of another run, run-a" in mismatches(bundle, key)


def test_statements_of_another_run_or_kind_are_noticed(bundle: Path, key: SSlibKey) -> None:
    own, other = bundle / FIGURES_FILE, bundle.parent / "run-a" / FIGURES_FILE
    whole = own.read_bytes()
    own.write_bytes(other.read_bytes())
    assert f"{MANIFEST_FILE}: is not what {FIGURES_FILE} was signed for" in mismatches(bundle, key)
    own.write_bytes((bundle / RESULT_FILE).read_bytes())
    assert f"{FIGURES_FILE}: signed, but not a statement of its kind" in mismatches(bundle, key)
    own.write_bytes(whole)
    assert check(bundle, key).mismatches == ()


@pytest.mark.parametrize("name", [JOURNAL, "index.html", "logs/db.log", RESULT_FILE, MANIFEST_FILE])
def test_a_missing_file_is_named(bundle: Path, key: SSlibKey, name: str) -> None:
    (bundle / name).unlink()
    assert f"{name}: is missing" in mismatches(bundle, key)


@pytest.mark.parametrize("name", ["notes.txt", "logs/more.log"])
def test_a_file_that_was_added_is_named(bundle: Path, key: SSlibKey, name: str) -> None:
    (bundle / name).write_text("by the way")
    assert f"{name}: is in the folder, but not in the manifest" in mismatches(bundle, key)


def test_a_link_is_no_file(bundle: Path, key: SSlibKey) -> None:
    target = bundle.parent / "elsewhere"
    (bundle / "index.html").rename(target)
    (bundle / "index.html").symlink_to(target)
    assert "index.html: is no ordinary file any more" in mismatches(bundle, key)


def test_another_key_is_told_by_its_fingerprint(bundle: Path, key: SSlibKey, tmp_path: Path) -> None:
    other = make_keys(tmp_path / "other.key", tmp_path / "other.pub")
    said = mismatches(bundle, read_public(other.public))
    for name in (RESULT_FILE, FIGURES_FILE):
        assert f"{name}: signed with the key {key.keyid[:16]}, which is not the one given" in said
    assert other.fingerprint[:16] in said
    both = verify_bundle(bundle, (read_public(other.public), key), judge_run)
    assert (both.mismatches, both.signed_by) == ((), key.keyid)


def test_a_signature_of_another_key_under_the_right_name_is_noticed(
    bundle: Path, key: SSlibKey, tmp_path: Path
) -> None:
    other = read_signer(make_keys(tmp_path / "other.key", tmp_path / "other.pub").private)
    statement = Statement[Figures].model_validate(payload(bundle, FIGURES_FILE))
    forged = json.loads(seal(statement, other))
    forged["signatures"][0]["keyid"] = key.keyid
    (bundle / FIGURES_FILE).write_bytes(canonical(forged))
    assert f"{FIGURES_FILE}: the signature does not fit" in mismatches(bundle, key)


# --- what was false when it was signed --------------------------------------------------------------------


def false_figures(bundle: Path, signer: CryptoSigner, objective: str, **changes: Any) -> None:
    statement = Statement[Figures].model_validate(payload(bundle, FIGURES_FILE))
    verdicts = tuple(
        verdict.model_copy(update=changes) if verdict.objective == objective else verdict
        for verdict in statement.predicate.verdicts
    )
    predicate = statement.predicate.model_copy(update={"verdicts": verdicts})
    (bundle / FIGURES_FILE).write_bytes(seal(statement.model_copy(update={"predicate": predicate}), signer))


def test_a_signed_verdict_that_does_not_follow_is_named(
    bundle: Path, key: SSlibKey, signer: CryptoSigner
) -> None:
    false_figures(bundle, signer, "isolation", value="undecided")
    value = next(v.value for v in judge_run(bundle).verdicts if v.objective == "isolation")
    assert mismatches(bundle, key) == (
        f"{FIGURES_FILE}: isolation was signed as undecided (expected held); "
        f"from the journal follows {value} (expected held)"
    )


def test_signed_evidence_that_does_not_follow_is_named(
    bundle: Path, key: SSlibKey, signer: CryptoSigner
) -> None:
    false_figures(bundle, signer, "rto", evidence=(1,))
    assert (
        mismatches(bundle, key)
        == f"{FIGURES_FILE}: figures or evidence of rto do not follow from the journal"
    )


def test_a_signed_result_that_does_not_follow_is_named(
    bundle: Path, key: SSlibKey, signer: CryptoSigner
) -> None:
    statement = Statement[TestResult].model_validate(payload(bundle, RESULT_FILE))
    better = statement.predicate.model_copy(update={"result": "PASSED"})
    (bundle / RESULT_FILE).write_bytes(seal(statement.model_copy(update={"predicate": better}), signer))
    assert (
        mismatches(bundle, key)
        == f"{RESULT_FILE}: what it says under result does not follow from the journal"
    )


def test_a_report_that_does_not_follow_is_not_signed(unsigned: Path, signer: CryptoSigner) -> None:
    path = unsigned / "verdicts.json"
    path.write_text(path.read_text().replace('"breached"', '"held"'))
    with pytest.raises(RequestError, match=r"verdicts\.json: says that .* is held; from the journal follows"):
        sign_run(unsigned, signer, OPERATOR, judge_run)


@pytest.mark.parametrize("report", ["index.html", "junit.xml", "summary.txt", "findings.sarif", "a.prom"])
def test_a_report_that_people_read_must_follow_too(unsigned: Path, signer: CryptoSigner, report: str) -> None:
    name = "prometheus" if report == "a.prom" else "sarif"
    (extra,) = render(judge_run(unsigned), unsigned, (name,))
    path = extra if report in ("a.prom", "findings.sarif") else unsigned / report
    text = path.read_text()
    path.write_text(text.replace("breached", "held").replace("BREACHED", "HELD") + " ")
    with pytest.raises(RequestError, match=rf"{re.escape(path.name)}: is not what ninelives writes of this"):
        sign_run(unsigned, signer, OPERATOR, judge_run)
    path.write_text(text)
    sign_run(unsigned, signer, OPERATOR, judge_run)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda entry: entry["figures"][0].update(value=0.001), "figures or evidence of"),
        (lambda entry: entry["evidence"].clear(), "figures or evidence of"),
        (lambda entry: entry.update(expected="undecided"), "was expected undecided, not"),
    ],
)
def test_figures_evidence_and_expectations_are_compared_whoever_wrote_them(
    unsigned: Path, signer: CryptoSigner, key: SSlibKey, change: Any, told: str
) -> None:
    """Another version may have other sentences, so the bytes are not compared then."""
    path = unsigned / "verdicts.json"
    document = json.loads(path.read_text())
    for entry in document["verdicts"]:
        if entry["objective"] == "rpo":
            change(entry)
        entry["summary"] = "In other words."
    path.write_text(json.dumps(document))
    with (
        patch("harness.evidence.bundle.unlike_verdicts", return_value=None),
        patch("harness.evidence.bundle.unlike_reports", return_value=()),
        patch("harness.evidence.bundle.tool_digest", return_value="of another"),
    ):
        sign_run(unsigned, signer, OPERATOR, judge_run)
    checked = check(unsigned, key)
    assert not checked.drawn
    assert [told in line for line in checked.mismatches] == [True]


def test_a_report_that_did_not_follow_when_it_was_signed_is_noticed(
    unsigned: Path, signer: CryptoSigner, key: SSlibKey
) -> None:
    """Signed with a judge that lies, as a changed ninelives would."""

    def flattering(folder: Path) -> RunRecord:
        record = judge_run(folder)
        held = tuple(verdict.model_copy(update={"value": "held"}) for verdict in record.verdicts)
        return RunRecord(record.run_id, record.scenario, record.history, held)

    render(flattering(unsigned), unsigned)
    sign_run(unsigned, signer, OPERATOR, flattering)
    said = mismatches(unsigned, key)
    for report in ("index.html", "junit.xml", "summary.txt", "verdicts.json"):
        assert f"{report}: is not what ninelives writes of this run" in said
    assert "verdicts.json: says that" in said
    assert f"{FIGURES_FILE}: value was signed as held; from the journal follows breached" in said


# --- runs that did not go well ----------------------------------------------------------------------------


def test_a_killed_run_is_signed_with_what_it_left(
    unsigned: Path, signer: CryptoSigner, key: SSlibKey
) -> None:
    for report in ("verdicts.json", "junit.xml", "index.html", "summary.txt"):
        (unsigned / report).unlink()
    path = unsigned / JOURNAL
    path.write_bytes(path.read_bytes()[:-200])
    sign_run(unsigned, signer, OPERATOR, judge_run)
    assert check(unsigned, key).mismatches == ()
    statement = payload(unsigned, RESULT_FILE)["predicate"]
    assert (statement["result"], statement["passedTests"], statement["failedTests"]) == ("WARNED", [], [])
    assert payload(unsigned, FIGURES_FILE)["predicate"]["whole"] is False


def test_a_run_that_died_before_its_journal_has_a_number_all_the_same(
    tmp_path: Path, signer: CryptoSigner, key: SSlibKey
) -> None:
    folder = tmp_path / "reports" / "early"
    folder.mkdir(parents=True)
    (folder / "scenario.json").write_text(scenario().model_dump_json(by_alias=True))
    enroll(folder.parent, folder.name, "shop/drill", EPOCH.wall)
    (folder / "index.html").write_text("<p>All held.</p>")
    with pytest.raises(RequestError, match=r"index\.html: is not what ninelives writes of this run"):
        sign_run(folder, signer, OPERATOR, judge_run)
    (folder / "index.html").unlink()
    manifest = sign_run(folder, signer, OPERATOR, judge_run)
    assert manifest.run.number == 1
    assert check(folder, key).mismatches == ()
    assert payload(folder, RESULT_FILE)["predicate"]["result"] == "WARNED"
    assert "rpo" in payload(folder, RESULT_FILE)["predicate"]["warnedTests"]


def test_what_has_no_number_is_not_signed(unsigned: Path, signer: CryptoSigner) -> None:
    entries = read_history(unsigned).entries
    (unsigned / JOURNAL).unlink()
    with Journal(unsigned, _Stamps([entry.at for entry in entries])) as journal:
        for entry in entries:
            body = entry.body
            journal.write(body.model_copy(update={"enrolled": None}) if entry.n == 1 else body)
    with pytest.raises(RequestError, match="has no number"):
        sign_run(unsigned, signer, OPERATOR, judge_run)


def test_nothing_is_signed_twice(bundle: Path, signer: CryptoSigner) -> None:
    before = (bundle / MANIFEST_FILE).read_bytes()
    with pytest.raises(RequestError, match="is signed already"):
        sign_run(bundle, signer, OPERATOR, judge_run)
    assert (bundle / MANIFEST_FILE).read_bytes() == before


def test_a_link_is_not_signed(tmp_path: Path, signer: CryptoSigner) -> None:
    folder = play(tmp_path / "reports", "linked")
    (folder / "more").symlink_to(tmp_path)
    with pytest.raises(RequestError, match="is no ordinary file"):
        sign_run(folder, signer, OPERATOR, judge_run)


@pytest.mark.parametrize("name", [RESULT_FILE, FIGURES_FILE])
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_an_envelope_that_is_no_ordinary_file_is_not_opened(
    bundle: Path, key: SSlibKey, name: str, kind: str
) -> None:
    """Of a pipe one could read for ever."""
    kept = (bundle / name).rename(bundle.parent / name)
    if kind == "pipe":
        os.mkfifo(bundle / name)
    else:
        (bundle / name).symlink_to(kept)
    told: list[Checked] = []
    thread = Thread(target=lambda: told.append(verify_bundle(bundle, (key,), judge_run)), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    (checked,) = told
    assert f"{name}: is no ordinary file" in checked.mismatches


def test_a_folder_that_cannot_be_looked_into_is_a_mismatch_and_cannot_be_signed(
    bundle: Path, unsigned: Path, signer: CryptoSigner, key: SSlibKey
) -> None:
    """Whoever the tests run as may look into everything, so the system's refusal is made up."""
    scandir = os.scandir

    def refuse(path: Path) -> Any:
        if Path(path).name == "logs":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with patch("harness.evidence.manifest.os.scandir", refuse):
        assert verify_bundle(bundle, (key,), judge_run).mismatches == (
            f"cannot look into {bundle / 'logs'}: Permission denied",
        )
        with pytest.raises(RequestError, match="cannot look into"):
            sign_run(unsigned, signer, OPERATOR, judge_run)
