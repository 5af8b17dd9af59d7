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
from harness.journal.events import (
    ContentVerified,
    FaultSeen,
    PhaseEnded,
    PhaseStarted,
    Recovered,
    SteadyStateChecked,
)
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
        told: begins the message; ``{line}`` is the file with the line of ``at``, ``{point}`` with its column.
        hint: is in it.
        phase: the last that begins before the teardown.
        at: what is pointed at, if it is not ``new`` itself.
    """

    file: str
    old: str
    new: str
    told: str
    hint: str
    phase: str = "provision"
    at: str = ""


PLACE = "        key = self.key()\n        tx"
KEY = "orders: {key: id,"
OBJECTIVES = "objectives:\n"
INLINE = "objectives:\n  invariants:\n    paid: SELECT id FROM orders WHERE amont < 0\n"
MISTAKES = {
    "schema": Mistake(
        "plain.sql",
        "    amount ",
        "    amount amount ",
        "{line}: the database refuses the schema of kiosk: syntax error",
        "plain SQL",
    ),
    "key column": Mistake(
        "bare.yaml",
        KEY,
        "orders: {key: idd,",
        "{point}: services.kiosk.tables.orders.key: the table 'orders' has no column 'idd'",
        "did you mean 'id'?",
        at="idd,",
    ),
    "time column": Mistake(
        "bare.yaml",
        "time: placed_at",
        "time: place_at",
        "{point}: services.kiosk.tables.orders.time: the table 'orders' has no column",
        "did you mean 'placed_at'?",
        at="place_at",
    ),
    "table": Mistake(
        "bare.yaml",
        KEY,
        "order: {key: id,",
        "{point}: services.kiosk.tables.order: the schema has no table 'order'",
        "did you mean 'orders'?",
    ),
    "invariant in the stack": Mistake(
        "bare.yaml",
        OBJECTIVES,
        INLINE,
        '{point}: the database refuses the invariant paid: column "amont" does not exist',
        "mend it",
        at="SELECT id FROM orders WHERE amont",
    ),
    "slice": Mistake(
        "slice.sql",
        "CROSS JOIN LATERAL",
        "CROS JOIN LATERAL",
        "{line}: the database refuses the slice: syntax error",
        "mend it",
        "backfill",
    ),
    "locustfile that cannot be loaded": Mistake(
        "workload.py",
        "NEVER_ANSWERED =",
        "import nowhere_to_be_found\nNEVER_ANSWERED =",
        "{line}: the locustfile cannot be loaded: ModuleNotFoundError",
        "installed",
        "backfill or steady-state",  # whichever goes on when Python has come that far
    ),
    "locustfile that raises": Mistake(
        "workload.py",
        PLACE,
        "        key = self.no_key()\n        tx",
        "{line}: the locustfile raised AttributeError: 'Customer' object has no attribute",
        "mend it",
        "steady-state",
        at="self.no_key()",
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


def line(file: Path, at: str) -> str:
    """The file and the line in which a text stands that it has once, as messages name them."""
    before, found, after = file.read_text(encoding="utf-8").partition(at)
    assert found
    assert at not in after
    return f"{file}:{before.count(chr(10)) + 1}"


def point(file: Path, at: str) -> str:
    """The same with the column."""
    before = file.read_text(encoding="utf-8").partition(at)[0]
    return f"{line(file, at)}:{len(before.rpartition(chr(10))[2]) + 1}"


def phases(drilled: Drilled) -> list[str]:
    return [entry.body.phase for entry in drilled.record.history.of(PhaseStarted)]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_of_the_user_is_told_with_its_place_and_gives_3(
    stage: Place, kiosk: Callable[[Mistake], Path], name: str
) -> None:
    mistake = MISTAKES[name]
    scenario = kiosk(mistake)
    drilled = drill(load_scenario(scenario), stage)
    place = scenario.with_name(mistake.file), mistake.at or mistake.new
    told = mistake.told.format(line=line(*place), point=point(*place))
    assert isinstance(drilled.fault, HarnessError)
    assert drilled.fault.message.startswith(told)
    assert exit_of(drilled.record, drilled.fault) is Exit.USAGE
    summary = " ".join((drilled.folder / "summary.txt").read_text(encoding="utf-8").split())
    assert f"The run stopped before the agent acted. A mistake in the scenario's files: {told}" in summary
    assert summary.count(told) == 1, "each objective points to it"
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
    scenario = kiosk(Mistake("workload.py", PLACE, f"        {shown}\n{PLACE}", "", ""))
    drilled = drill(load_scenario(scenario), stage)
    at = line(scenario.with_name("workload.py"), shown)
    told = f"{at}: the locustfile raised ValueError: [secret of application]"
    assert isinstance(drilled.fault, HarnessError)
    assert drilled.fault.message == told
    log = (drilled.folder / "logs" / "workload" / "workload.log").read_text(encoding="utf-8")
    assert "ValueError: [secret of application]" in log
    assert "workload.py" in log
    assert minted
    for path in drilled.folder.rglob("*"):
        for secret in minted if path.is_file() else ():
            assert not shows(path.read_bytes(), secret), path


MISSED = """\
        lost = not tx.read("SELECT 1 FROM orders WHERE placed_at < now() - interval '1 day' LIMIT 1")
        if (lost or missed) and len(missed) < {most}:
            missed.append(lost)
            raise LookupError("the old orders are gone")
"""


@pytest.mark.parametrize("for_good", [False, True])
def test_a_locustfile_that_does_not_bear_the_harm_decides_nothing_and_ends_nothing(
    stage: Place, kiosk: Callable[[Mistake], Path], for_good: bool
) -> None:
    """Whether its users go on when the orders are back, or never write again."""
    missed = MISSED.format(most=1_000_000 if for_good else 3)
    file = kiosk(Mistake("workload.py", PLACE, missed + PLACE, "", "")).with_name("workload.py")
    file.write_text(
        file.read_text(encoding="utf-8").replace("OLDEST =", "missed = []\nOLDEST ="), encoding="utf-8"
    )
    drilled = drill(load_scenario(file.with_name("deleted-orders.yaml")), stage)
    history = drilled.record.history
    assert drilled.fault is None
    assert exit_of(drilled.record) is Exit.UNDECIDED
    told = f"{line(file, 'raise LookupError')}: the locustfile raised LookupError: the old orders are gone"
    for verdict in drilled.record.verdicts:
        assert verdict.value == "undecided"
        assert told in verdict.summary
    assert all(entry.body.ok for entry in history.of(PhaseEnded))
    assert phases(drilled)[-4:] == ["recover", "verify", "prove", "teardown"]
    assert history.of(ContentVerified)
    (recovered,) = history.of(Recovered)
    assert recovered.body.ok is not for_good
    assert for_good is (told in recovered.body.detail)
    assert "LookupError" in (drilled.folder / "logs/workload/workload.log").read_text(encoding="utf-8")


def test_last_words_of_a_workload_that_dies_are_told_without_its_secrets(
    stage: Place, kiosk: Callable[[Mistake], Path]
) -> None:
    last = "import os; os.write(2, self.environment.work.assignment.database.secret.encode()); os._exit(9)"
    scenario = kiosk(Mistake("workload.py", PLACE, f"        {last}\n{PLACE}", "", ""))
    drilled = drill(load_scenario(scenario), stage)
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
