"""A user's mistakes that only show on real servers: each is told with its place, early, as a bad scenario."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli.exits import Exit, exit_of
from harness.errors import HarnessError
from harness.facts import Secret
from harness.journal.events import FaultSeen, PhaseStarted, SteadyStateChecked
from harness.run.drill import Drilled, drill
from harness.run.place import Place
from harness.scenario.load import load_scenario
from tests.faults.test_secrets import shows

from .stage import KIOSK

pytestmark = pytest.mark.drill


@dataclass(frozen=True)
class Mistake:
    """A kiosk with one mistake in it.

    Attributes:
        file: that the mistake is put into.
        old, new: what is replaced by what.
        told: begins the message; ``{folder}`` is the scenario's.
        hint: is in it.
        phase: the last that begins before the teardown.
    """

    file: str
    old: str
    new: str
    told: str
    hint: str
    phase: str = "provision"


KEY = "orders: {key: id,"
OBJECTIVES = "objectives:\n"
INLINE = "objectives:\n  invariants:\n    paid: SELECT id FROM orders WHERE amont < 0\n"
MISTAKES = {
    "schema": Mistake(
        "plain.sql",
        "    amount ",
        "    amount amount ",
        "{folder}/plain.sql:3: the database refuses the schema of kiosk: syntax error",
        "plain SQL",
    ),
    "key column": Mistake(
        "bare.yaml",
        KEY,
        "orders: {key: idd,",
        "{folder}/bare.yaml:8:21: services.kiosk.tables.orders.key: the table 'orders' has no column 'idd'",
        "did you mean 'id'?",
    ),
    "time column": Mistake(
        "bare.yaml",
        "time: placed_at",
        "time: place_at",
        "{folder}/bare.yaml:8:31: services.kiosk.tables.orders.time: the table 'orders' has no column",
        "did you mean 'placed_at'?",
    ),
    "table": Mistake(
        "bare.yaml",
        KEY,
        "order: {key: id,",
        "{folder}/bare.yaml:8:7: services.kiosk.tables.order: the schema has no table 'order'",
        "did you mean 'orders'?",
    ),
    "invariant in the stack": Mistake(
        "bare.yaml",
        OBJECTIVES,
        INLINE,
        '{folder}/bare.yaml:24:11: the database refuses the invariant paid: column "amont" does not exist',
        "mend it",
    ),
    "slice": Mistake(
        "slice.sql",
        "CROSS JOIN LATERAL",
        "CROS JOIN LATERAL",
        "{folder}/slice.sql:4: the database refuses the slice: syntax error",
        "mend it",
        "backfill",
    ),
    "locustfile that cannot be loaded": Mistake(
        "workload.py",
        "NEVER_ANSWERED =",
        "import nowhere_to_be_found\nNEVER_ANSWERED =",
        "{folder}/workload.py:17: the locustfile cannot be loaded: ModuleNotFoundError",
        "installed",
        "backfill or steady-state",  # whichever goes on when Python has come that far
    ),
    "locustfile that raises": Mistake(
        "workload.py",
        "        key = self.key()\n        tx",
        "        key = self.no_key()\n        tx",
        "{folder}/workload.py:62: the locustfile raised AttributeError: 'Customer' object has no attribute",
        "mend it",
        "steady-state",
    ),
}


REBUILT = """\
like: deleted-orders.yaml
id: kiosk/again
title: Rebuilt from what somebody else kept
history: {exports: [{query: export.sql, to: vault}]}
recover: {strategy: reconstruct, reconstruct: {from: vault, script: rebuild.sql}}
"""


@pytest.fixture
def kiosk(tmp_path: Path) -> Callable[[Mistake], Path]:
    def copy(mistake: Mistake) -> Path:
        folder = tmp_path / "kiosk"
        shutil.copytree(KIOSK, folder, ignore=shutil.ignore_patterns("__pycache__"))
        text = (folder / mistake.file).read_text(encoding="utf-8")
        assert text.count(mistake.old) == 1
        (folder / mistake.file).write_text(text.replace(mistake.old, mistake.new), encoding="utf-8")
        return folder / "unprotected.yaml"

    return copy


def phases(drilled: Drilled) -> list[str]:
    return [entry.body.phase for entry in drilled.record.history.of(PhaseStarted)]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_of_the_user_is_told_with_its_place_and_gives_3(
    stage: Place, kiosk: Callable[[Mistake], Path], name: str
) -> None:
    mistake = MISTAKES[name]
    scenario = kiosk(mistake)
    drilled = drill(load_scenario(scenario), stage)
    told = mistake.told.format(folder=scenario.parent)
    assert isinstance(drilled.fault, HarnessError)
    assert drilled.fault.message.startswith(told)
    assert exit_of(drilled.record, drilled.fault) is Exit.USAGE
    summary = " ".join((drilled.folder / "summary.txt").read_text(encoding="utf-8").split())
    assert f"The run stopped before the agent acted. A mistake in the scenario's files: {told}" in summary
    *_, last, teardown = phases(drilled)
    assert (last in mistake.phase.split(" or "), teardown) == (True, "teardown"), last
    (fault,) = drilled.record.history.of(FaultSeen)
    assert fault.body.detail.startswith(told)
    assert mistake.hint in fault.body.hint
    for verdict in drilled.record.verdicts:
        assert verdict.value == "undecided"
        assert told in verdict.summary
    logs = {
        str(path.relative_to(drilled.folder / "logs")) for path in (drilled.folder / "logs").rglob("*.log")
    }
    assert "kiosk/postgres.log" in logs


def test_an_invariant_in_a_file_is_told_with_the_files_own_line(
    stage: Place, kiosk: Callable[[Mistake], Path]
) -> None:
    with_file = "objectives:\n  invariants: {paid: paid.sql}\n"
    scenario = kiosk(Mistake("bare.yaml", OBJECTIVES, with_file, "", ""))
    broken = "\n\n-- Nobody pays less\n-- than nothing.\nSELECT id\nFROM odrers;\n"
    (scenario.parent / "paid.sql").write_text(broken, encoding="utf-8")
    drilled = drill(load_scenario(scenario), stage)
    told = f'{scenario.parent}/paid.sql:6: the database refuses the invariant paid: relation "odrers"'
    assert isinstance(drilled.fault, HarnessError)
    assert drilled.fault.message.startswith(told)


def test_what_the_locustfile_raised_is_in_the_log_that_is_kept_without_its_secrets(
    stage: Place, kiosk: Callable[[Mistake], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    minted: list[str] = []
    mint = Secret.mint

    def mint_and_note(prefix: str = "") -> Secret:
        minted.append((secret := mint(prefix)).reveal())
        return secret

    monkeypatch.setattr(Secret, "mint", mint_and_note)
    shown = "raise ValueError(self.environment.work.assignment.database.secret)"
    line = "        key = self.key()\n        tx"
    scenario = kiosk(Mistake("workload.py", line, f"        {shown}\n{line}", "", ""))
    drilled = drill(load_scenario(scenario), stage)
    told = f"{scenario.parent}/workload.py:62: the locustfile raised ValueError: [secret of application]"
    assert isinstance(drilled.fault, HarnessError)
    assert drilled.fault.message == told
    log = (drilled.folder / "logs" / "workload" / "workload.log").read_text(encoding="utf-8")
    assert "ValueError: [secret of application]" in log
    assert "workload.py" in log
    assert minted
    for path in drilled.folder.rglob("*"):
        for secret in minted if path.is_file() else ():
            assert not shows(path.read_bytes(), secret), path


def test_last_words_of_a_workload_that_dies_are_told_without_its_secrets(
    stage: Place, kiosk: Callable[[Mistake], Path]
) -> None:
    last = "import os; os.write(2, self.environment.work.assignment.database.secret.encode()); os._exit(9)"
    line = "        key = self.key()\n        tx"
    drilled = drill(
        load_scenario(kiosk(Mistake("workload.py", line, f"        {last}\n{line}", "", ""))), stage
    )
    (checked,) = drilled.record.history.of(SteadyStateChecked)
    assert checked.body.detail == "the workload died; its last words: [secret of application]"


def test_a_script_of_a_reconstruction_is_told_with_its_own_line(
    stage: Place, kiosk: Callable[[Mistake], Path]
) -> None:
    unharmed = Mistake("workload.py", "NEVER_ANSWERED =", "NEVER_ANSWERED =", "", "")
    deleted = kiosk(unharmed).with_name("again.yaml")
    deleted.write_text(REBUILT, encoding="utf-8")
    deleted.with_name("export.sql").write_text("SELECT '{}'::json", encoding="utf-8")
    deleted.with_name("rebuild.sql").write_text("SELECT 1;\nSELECT nothing;\n", encoding="utf-8")
    drilled = drill(load_scenario(deleted), stage)
    assert exit_of(drilled.record, drilled.fault) is Exit.USAGE
    assert isinstance(drilled.fault, HarnessError)
    told = (
        f"{deleted.with_name('rebuild.sql')}:2: the database refuses the script of the reconstruction: column"
    )
    assert drilled.fault.message.startswith(told)
