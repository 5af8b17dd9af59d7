"""Run folders as drills leave them, numbered and with their reports, and keys to sign them with."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey

from harness.evidence.bundle import sign_run
from harness.evidence.keys import KeyFiles, make_keys, read_public, read_signer
from harness.journal.events import Provisioned, RunStarted
from harness.journal.roll import enroll
from harness.run.drill import render
from harness.run.judge import judge_run
from tests.objectives.drills import EPOCH, Run, scenario, store

OPERATOR = "the night shift"
URL = "https://ci.example/jobs/4711"


def play(reports: Path, name: str) -> Path:
    """One run in a folder of reports; it is enrolled, and its objectives are judged for real."""
    folder = reports / name
    folder.mkdir(parents=True)
    text = scenario().model_dump_json(by_alias=True)
    (folder / "scenario.json").write_text(text)
    enrolled = enroll(reports, name, "shop/drill", EPOCH.wall)
    run = Run().change(
        RunStarted,
        run_id=name,
        enrolled=enrolled,
        version="0.1.0",
        resolved_sha256=sha256(text.encode()).hexdigest(),
    )
    up = Provisioned(service="db", kind="postgres", seconds=0.1, description={"version": "18.1"})
    store(run.add((0.2, up)), folder)
    (folder / "logs").mkdir()
    (folder / "logs" / "db.log").write_text("ready\n")
    render(judge_run(folder), folder)
    return folder


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    folder = tmp_path_factory.mktemp("keys")
    return make_keys(folder / "ninelives.key", folder / "ninelives.pub")


@pytest.fixture(scope="session")
def signer(pair: KeyFiles) -> CryptoSigner:
    return read_signer(pair.private)


@pytest.fixture(scope="session")
def key(pair: KeyFiles) -> SSlibKey:
    return read_public(pair.public)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory, signer: CryptoSigner) -> Path:
    """Three signed runs with their roll; not to be changed."""
    reports = tmp_path_factory.mktemp("archive") / "reports"
    folders = [play(reports, f"run-{letter}") for letter in "abc"]
    for folder in folders:
        sign_run(folder, signer, OPERATOR, judge_run, URL)
    return reports


@pytest.fixture
def reports(archive: Path, tmp_path: Path) -> Path:
    """A copy of it, to be tampered with."""
    return Path(shutil.copytree(archive, tmp_path / "reports"))


@pytest.fixture
def bundle(reports: Path) -> Path:
    """The second run of three."""
    return reports / "run-b"


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    return play(tmp_path / "fresh", "run-x")
