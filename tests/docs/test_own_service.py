"""The drill that ``docs/own-service.md`` shows, of a service that nothing here knows, comes out as said."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp

import pytest

from harness.journal.events import (
    ContentVerified,
    Provisioned,
    Recovered,
    RecoveryStarted,
    RestoreTried,
    RunbookPlayed,
)
from harness.journal.ledger import read_ledger
from harness.journal.record import RunRecord
from harness.run.drill import Drilled, drill
from harness.run.place import Place
from harness.run.traffic import LEDGER
from harness.sandbox import Sandbox
from harness.scenario.load import load_scenario
from harness.seams.container_engine import connect, objects_of

from .pages import ROOT, Page

pytestmark = [pytest.mark.drill, pytest.mark.docker]
IMAGE = "acme/parcels:3"
ROWS, DAY = 60, 86400


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The service's image, under a name that no other run of the tests has."""
    tag = f"acme/parcels-{token_hex(4)}:3"
    connect().images.build(path=str(Path(__file__).parent / "parcels"), tag=tag, rm=True, forcerm=True)
    yield tag
    connect().images.remove(tag, force=True)


@pytest.fixture(scope="module")
def place(sandbox: Sandbox) -> Iterator[Place]:
    root = Path(mkdtemp(prefix="ninelives-parcels-"))
    root.chmod(0o711)
    yield Place(reports=root / "reports", work=root / "work", cache=sandbox.cache)
    shutil.rmtree(root)


def play(name: str, image: str, folder: Path, place: Place, **changes: str) -> Drilled:
    """Play one of the page's scenarios.

    Args:
        name: of its file.
        image: of the service.
        folder: where the page's files are written to.
        place: where it is played.
        changes: what a script is replaced by, by its name without suffix.
    """
    for block in Page(ROOT / "docs/own-service.md").blocks:
        path = folder / block.caption
        path.parent.mkdir(exist_ok=True)
        path.write_text(changes.get(path.stem, block.text).replace(IMAGE, image), encoding="utf-8")
        path.chmod(0o755)
    drilled = drill(load_scenario(folder / name), place)
    assert drilled.fault is None
    assert objects_of(drilled.folder.name) == ()
    return drilled


def values(record: RunRecord) -> dict[str, str]:
    return {verdict.objective: verdict.value for verdict in record.verdicts}


def test_its_volume_is_destroyed_and_the_teams_script_brings_it_back(
    image: str, tmp_path: Path, place: Place
) -> None:
    drilled = play("pruned.yaml", image, tmp_path, place)
    assert drilled.record.surprises == ()
    assert values(drilled.record) == {"backup-survival": "held", "rpo": "breached", "rto": "held"}
    history = drilled.record.history
    described = {entry.body.service: entry.body.description for entry in history.of(Provisioned)}
    assert described["parcels"]["image"].startswith(image)
    tried = [entry.body for entry in history.of(RestoreTried)]
    assert [(each.purpose, each.ok, "import" in each.parts) for each in tried] == [
        ("recovery", True, True),
        ("proof", True, True),
    ]
    # The newest backup is a day old: of sixty parcels in three days it has forty, and none of the new ones.
    (started,) = history.of(RecoveryStarted)
    acknowledged = tuple(read_ledger(drilled.folder / LEDGER).acknowledged())
    gone = [call for call in acknowledged if call.ended < started.at.mono]
    (rpo,) = (verdict for verdict in drilled.record.verdicts if verdict.objective == "rpo")
    told = {figure.name: figure.value for figure in rpo.figures}
    assert gone
    assert told["known"] == ROWS + len(acknowledged)
    assert told["lost"] == ROWS / 3 + len(gone)
    assert told["rpo"] > DAY
    (verified,) = history.of(ContentVerified)
    assert verified.body.content.rows >= told["known"] - told["lost"]


def test_the_teams_runbook_brings_it_back(image: str, tmp_path: Path, place: Place) -> None:
    drilled = play("by-hand.yaml", image, tmp_path, place)
    assert values(drilled.record) == {"backup-survival": "held", "rpo": "breached", "rto": "held"}
    (played,) = drilled.record.history.of(RunbookPlayed)
    assert (played.body.exit_code, played.body.detail) == (0, "")
    (recovered,) = drilled.record.history.of(Recovered)
    assert "import" in recovered.body.parts
