"""``check`` proves a scenario that can hold and can breach, and says what is wrong with one that cannot."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from harness.errors import HarnessError, RestoreError
from harness.run.drill import Drilled, drill
from harness.run.place import Place
from harness.sandbox import Sandbox
from harness.scenario.models import LoadedScenario
from harness.search.check import Checked, Checker

SHOP = Path(__file__).parent.parent / "drills" / "shop"
KIOSK = Path(__file__).parent.parent / "run" / "kiosk"


class CountingDrill:
    """Plays scenarios for real, and notes which.

    Args:
        place: where.
    """

    def __init__(self, place: Place) -> None:
        self.played: list[LoadedScenario] = []
        self.proofs: list[str] = []
        self._place = place

    def __call__(self, scenario: LoadedScenario, proofs: str) -> Drilled:
        self.played.append(scenario)
        self.proofs.append(proofs)
        return drill(scenario, self._place)


class StubDrill:
    """Plays nothing: answers every scenario with the same end.

    Args:
        drilled: that end.
    """

    def __init__(self, drilled: Drilled) -> None:
        self.played: list[LoadedScenario] = []
        self.proofs: list[str] = []
        self._drilled = drilled

    def __call__(self, scenario: LoadedScenario, proofs: str) -> Drilled:
        self.played.append(scenario)
        self.proofs.append(proofs)
        return self._drilled


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """An empty folder that the account of servers may enter."""
    made = Path(mkdtemp(prefix="ninelives-check-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def place(folder: Path, sandbox: Sandbox) -> Place:
    return Place(reports=folder / "reports", work=folder / "work", cache=sandbox.cache)


def complaints(checked: Checked, proof: str) -> list[str]:
    """The objectives that one of the runs is blamed for."""
    (found,) = [each for each in checked.proofs if each.name == proof]
    return [complaint.partition(" ")[0] for complaint in found.complaints]


# --- scenarios that prove themselves ------------------------------------------------------------------


@pytest.mark.drill
def test_scenarios_over_one_stack_are_proved_and_share_their_runs(place: Place) -> None:
    counting = CountingDrill(place)
    checker = Checker(counting)
    for name in ("dropped-table", "guarded"):
        checked = checker.check(SHOP / f"{name}.yaml")
        assert [proof.name for proof in checked.proofs] == ["idle", "unguarded", "as written"]
        assert [proof.complaints for proof in checked.proofs] == [(), (), ()]
        assert not checked.proofs[0].drilled.record.surprises
        assert checked.ok
    played = [(scenario.scenario.agent.kind, scenario.scenario.guards) for scenario in counting.played]
    # The first is written without guards, and the second without them is the first.
    assert played == [
        ("idle", ()),
        ("scripted", ()),
        ("idle", ("least-privilege",)),
        ("scripted", ("least-privilege",)),
    ]
    assert counting.proofs == ["idle", "unguarded and as written", "idle", "as written"]


# --- scenarios that do not ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kiosk(folder: Path) -> Path:
    """A copy of the kiosk with scenarios that have defects."""
    copy = folder / "kiosk"
    shutil.copytree(KIOSK, copy, ignore=shutil.ignore_patterns("__pycache__"))
    guarded_by_dumps = (KIOSK / "stack.yaml").read_text().replace("schema: schema.sql", "schema: plain.sql")
    (copy / "stack.yaml").write_text(guarded_by_dumps)
    for name, rest in {
        "wrong": "expect: {rpo: held, rto: breached}",
        "silent": "expect: null",
        "hopeless": "stack: stack.yaml\nobjectives: {invariants: {no-orders: SELECT id FROM orders}}",
    }.items():
        (copy / f"{name}.yaml").write_text(
            f"like: unprotected.yaml\nid: kiosk/{name}\ntitle: With a defect\n{rest}\n"
        )
    return copy


@pytest.fixture(scope="module")
def counting(place: Place) -> CountingDrill:
    return CountingDrill(place)


NAMES = ("unprotected", "wrong", "silent", "hopeless")


@pytest.fixture(scope="module")
def checked(kiosk: Path, counting: CountingDrill) -> dict[str, Checked]:
    """Every scenario of the copy, by its name."""
    checker = Checker(counting)
    return {name: checker.check(kiosk / f"{name}.yaml") for name in NAMES}


@pytest.mark.drill
def test_an_objective_that_cannot_fail_is_a_defect(checked: dict[str, Checked]) -> None:
    # One single harm is over as soon as it has landed, whatever time is allowed.
    found = checked["unprotected"]
    assert not found.ok
    assert complaints(found, "unguarded") == ["containment"]
    (text,) = found.proofs[1].complaints
    assert text == "containment held with all guards off, and would hold at any target"
    assert complaints(found, "idle") == complaints(found, "as written") == []


@pytest.mark.drill
def test_an_objective_that_breaches_though_nothing_was_done_is_a_defect(checked: dict[str, Checked]) -> None:
    found = checked["hopeless"]
    assert not found.ok
    assert complaints(found, "idle") == ["invariants"]
    assert found.proofs[0].complaints[0].startswith("invariants is breached although nothing was done: ")


@pytest.mark.drill
def test_a_verdict_that_is_not_the_expected_one_is_a_defect(checked: dict[str, Checked]) -> None:
    found = checked["wrong"]
    assert complaints(found, "as written") == ["rpo"]
    assert found.proofs[2].complaints[0].startswith("rpo is breached, expected held: ")


@pytest.mark.drill
def test_a_breach_that_nobody_wrote_down_is_told_with_what_to_write(checked: dict[str, Checked]) -> None:
    *breaches, hint = checked["silent"].proofs[2].complaints
    assert [breach.partition(" is breached, expected held: ")[0] for breach in breaches] == [
        "rpo",
        "rto",
    ]
    assert hint == "write `expect: {rpo: breached, rto: breached}` if that is what you expect"


@pytest.mark.drill
def test_scenarios_that_differ_in_what_they_expect_are_played_once(
    checked: dict[str, Checked], counting: CountingDrill
) -> None:
    assert [scenario.id for scenario in counting.played] == ["kiosk/unprotected"] * 2 + ["kiosk/hopeless"] * 2
    assert checked["wrong"].proofs[2].drilled is checked["unprotected"].proofs[1].drilled


# --- what is the same run -----------------------------------------------------------------------------


@pytest.mark.drill
def test_the_same_scenario_in_another_folder_is_another_run(
    checked: dict[str, Checked], kiosk: Path, folder: Path
) -> None:
    """Its locustfile may be another, which the models do not show."""
    stub = StubDrill(checked["unprotected"].proofs[0].drilled)
    checker = Checker(stub)
    shutil.copytree(kiosk, folder / "other", dirs_exist_ok=True)
    for place in (kiosk, folder / "other", kiosk):
        checker.check(place / "unprotected.yaml")
    assert [scenario.folder for scenario in stub.played] == [kiosk, kiosk, folder / "other", folder / "other"]


def test_a_fault_proves_nothing_and_names_the_run_and_its_folder(tmp_path: Path) -> None:
    fault = RestoreError("the disk is full", hint="make room")
    stub = StubDrill(Drilled(record=None, folder=tmp_path, fault=fault))  # type: ignore[arg-type]
    with pytest.raises(HarnessError) as raised:
        Checker(stub).check(KIOSK / "unprotected.yaml")
    assert raised.value.message.startswith("the idle run of kiosk/unprotected failed: the disk is full")
    assert str(tmp_path) in raised.value.hint


def test_an_interrupt_stays_one(tmp_path: Path) -> None:
    stub = StubDrill(Drilled(record=None, folder=tmp_path, fault=KeyboardInterrupt()))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        Checker(stub).check(KIOSK / "unprotected.yaml")
