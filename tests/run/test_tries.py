"""What is tried when a run is over: locked copies stand it, and who was shut out still is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.facts import OPERATOR
from harness.journal.events import (
    AccessTried,
    DeletionTried,
    LogRead,
    LogTampered,
    PhaseStarted,
    PointChecked,
    Recovered,
    RestoreTried,
    TamperingTried,
)
from harness.journal.record import RunRecord, Verdict
from harness.objectives.immutability import ImmutabilityObjective
from harness.run.place import Place
from harness.scenario.load import load_scenario
from harness.scenario.models import LoadedScenario

from .stage import KIOSK, play

pytestmark = pytest.mark.drill

LOCKED = """
  dumps: {tool: pg_dump, of: kiosk, to: vault, every: 1d, keep: 2, lock: {mode: compliance, for: 30d}}
  loose: {tool: pg_dump, of: kiosk, to: vault, every: 1d, keep: 1, lock: {mode: governance, for: 30d}}
  archive: {tool: postgres-pitr, of: kiosk, to: vault, lock: {mode: compliance, for: 14d}}
"""
UNLOCKED = "\n  dumps: {tool: pg_dump, of: kiosk, to: vault, every: 1d, keep: 2}\n"
ASKED = """
objectives:
  immutability: {copies: 2, for: 10d}
  isolation: {principal: clerk, may_touch: [], after_restore: true}
  audit-trail: {principal: clerk}
"""
DELETE = f"DELETE /* {'tidying up ' * 100} */ FROM orders"
"""A statement that names what it destroys late: the record must have that, too."""
SHOP = Path(__file__).parents[1] / "drills" / "shop"
VAULT = "services:\n  vault: {kind: s3, bucket: shop-vault}\n"
DUMPS = "protections:\n  dumps: {tool: pg_dump, of: shop, to: vault, every: 1d, keep: 1}\n"
ONCE_MORE = "isolation: {principal: intern, may_touch: [], after_restore: true}"


def changed(source: Path, folder: Path, *changes: tuple[str, str]) -> Path:
    """A copy of a folder in whose stack some texts are others."""
    shutil.copytree(source, folder)
    stack = folder / "stack.yaml"
    text = stack.read_text()
    for before, after in changes:
        assert text.count(before) == 1
        text = text.replace(before, after)
    stack.write_text(text)
    return folder


def kiosk(folder: Path) -> LoadedScenario:
    """The kiosk with locked copies in a vault into which its clerk may write."""
    changed(
        KIOSK,
        folder,
        (UNLOCKED, LOCKED),
        ("{kiosk: owner}", "{kiosk: owner, vault: writer}"),
        ("    schema: schema.sql\n", "    schema: schema.sql\n    log_statement: mod\n"),
    )
    scenario = folder / "deleted-orders.yaml"
    text = scenario.read_text()
    assert text.count("DELETE FROM orders") == 1
    scenario.write_text(text.replace("DELETE FROM orders", DELETE) + ASKED)
    return load_scenario(scenario)


def shop(folder: Path) -> LoadedScenario:
    """The shop with dumps out of reach, whose intern only reads, and finds the token of the control plane."""
    changed(
        SHOP,
        folder,
        ("services:\n", VAULT),
        ("protections:\n", DUMPS),
        ("      shop: owner\n", "      shop: reader\n"),
        ("isolation: {principal: intern, may_touch: []}", ONCE_MORE),
    )
    return load_scenario(folder / "deleted-volume.yaml")


@pytest.fixture(scope="module")
def record(stage: Place, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    drilled = play(kiosk(tmp_path_factory.mktemp("locked") / "kiosk"), stage)
    assert drilled.fault is None
    return drilled.record


def judged(record: RunRecord, copies: int) -> Verdict:
    asked = record.scenario.objectives
    assert asked.immutability is not None
    more = asked.model_copy(update={"immutability": asked.immutability.model_copy(update={"copies": copies})})
    scenario = record.scenario.model_copy(update={"objectives": more})
    return ImmutabilityObjective().judge(scenario, record.history)


def test_locked_copies_stand_and_only_they_count(record: RunRecord) -> None:
    verdict = judged(record, 2)
    assert verdict.value == "held", verdict.summary
    figures = {figure.name: figure.value for figure in verdict.figures}
    assert figures["unlocked"] == 1, "governance mode is no lock to whoever may bypass it"
    assert figures["immutable"] == figures["surviving"] - 1
    assert judged(record, int(figures["surviving"])).value == "breached"


def test_clerk_and_owner_have_tried_everything_and_each_answer_is_on_record(record: RunRecord) -> None:
    tries = [entry.body for entry in record.history.of(TamperingTried)]
    for principal in ("clerk", OPERATOR):
        whats = {tried.what for tried in tries if tried.principal == principal}
        assert whats == {"overwrite", "shorten", "delete", "bypass"}
    answers = {(tried.what, tried.outcome.status) for tried in tries}
    assert answers == {
        ("overwrite", "done"),
        ("shorten", "refused"),
        ("delete", "refused"),
        ("bypass", "refused"),
    }
    parts = {tried.target for tried in tries if tried.point_id.startswith("archive/")}
    assert len(parts) > 1, "every part of an archive is one to try"


def test_copies_are_looked_at_after_that_and_nothing_else_was_played_later(record: RunRecord) -> None:
    history = record.history
    checked = history.of(PointChecked)
    assert {entry.body.point.id for entry in checked} == {e.body.point_id for e in history.of(TamperingTried)}
    assert all(entry.body.found is not None for entry in checked)
    phases = [entry.body.phase for entry in history.of(PhaseStarted)]
    assert phases[-3:] == ["prove", "try", "teardown"]


def test_the_servers_own_log_tells_who_deleted_what_and_cannot_be_changed_by_them(record: RunRecord) -> None:
    (read,) = (entry.body for entry in record.history.of(LogRead))
    statements = [entry.text for entry in read.entries]
    assert statements[0] == DELETE
    assert read.mark in statements[-1]
    assert {entry.principal for entry in read.entries} == {"clerk"}
    tries = {entry.body.what: entry.body.outcome for entry in record.history.of(LogTampered)}
    assert {what: outcome.status for what, outcome in tries.items()} == {
        "end it": "refused",
        "write over it": "refused",
    }
    (verdict,) = (one for one in record.verdicts if one.objective == "audit-trail")
    assert verdict.value == "held", verdict.summary


def test_an_owner_can_delete_from_what_was_restored_and_that_is_a_breach(record: RunRecord) -> None:
    (tried,) = (entry.body for entry in record.history.of(AccessTried))
    assert (tried.of, tried.target, tried.outcome.status) == ("kiosk", "orders", "done")
    assert tried.outcome.touched
    (verdict,) = (one for one in record.verdicts if one.objective == "isolation")
    assert verdict.value == "breached"
    assert "after the recovery its credential of kiosk deleted from kiosk" in verdict.summary


def test_a_reader_is_refused_by_the_restored_service_too(stage: Place, tmp_path: Path) -> None:
    drilled = play(shop(tmp_path / "shop"), stage)
    assert drilled.fault is None
    history = drilled.record.history
    back = history.last(Recovered)
    assert back is not None
    assert back.body.ok
    (tried,) = history.of(AccessTried)
    assert tried.n > back.n
    assert (tried.body.principal, tried.body.outcome.status) == ("intern", "refused")
    (verdict,) = (one for one in drilled.record.verdicts if one.objective == "isolation")
    assert verdict.value == "breached", "the volume was out of bounds"
    figures = {figure.name: figure.value for figure in verdict.figures}
    assert (figures["refused-after-restore"], figures["reached-after-restore"]) == (1, 0)


@pytest.mark.parametrize(("confirmations", "value"), [("anyone", "breached"), ("second-person", "held")])
def test_a_deletion_waits_and_who_asked_may_confirm_it_or_not(
    stage: Place, tmp_path: Path, confirmations: str, value: str
) -> None:
    dual = "  containment: 1m\n  dual-control: {principal: intern, service: platform}\n"
    folder = changed(
        SHOP,
        tmp_path / "shop",
        ("profile: legacy,", f"profile: legacy, confirmations: {confirmations},"),
        ("  containment: 1m\n", dual),
    )
    drilled = play(load_scenario(folder / "deleted-volume.yaml"), stage)
    assert drilled.fault is None
    history, verdicts = drilled.record.history, {one.objective: one for one in drilled.record.verdicts}
    tries = [entry.body for entry in history.of(DeletionTried)]
    calls = ["volumeInstanceBackupDelete", "volumeDelete", "serviceDelete", "environmentDelete"]
    assert list(dict.fromkeys(tried.call for tried in tries)) == [*calls, "projectDelete"]
    first = [(tried.step, tried.principal, tried.answer, tried.stands) for tried in tries[:3]]
    if confirmations == "second-person":
        assert first == [
            ("alone", "intern", "waits", True),
            ("own", "intern", "own", True),
            ("second", "second-person", "", False),
        ]
    else:
        assert first[:2] == [("alone", "intern", "waits", True), ("own", "intern", "", False)]
        assert {tried.step for tried in tries} == {"alone", "own"}
    assert verdicts["dual-control"].value == value, verdicts["dual-control"].summary
    assert verdicts["backup-survival"].value == "held", "the agent's deletion waits for ever"
    restored = [entry.body for entry in history.of(RestoreTried)]
    assert len(restored) > 1
    assert all(tried.ok for tried in restored), "older copies too, with the second person's consent"
