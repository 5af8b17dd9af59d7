"""``check`` proves a scenario that can hold and can breach, and says what is wrong with one that cannot."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pytest

from harness.errors import HarnessError, RequestError
from harness.run.place import Place
from harness.sandbox import Sandbox
from harness.search.check import Checked, Player, check
from harness.search.side_by_side import Order, Outcome, SideBySide

SHOP = Path(__file__).parent.parent / "drills" / "shop"
KIOSK = Path(__file__).parent.parent / "run" / "kiosk"


class Counting:
    """Plays orders for real, and notes which.

    Args:
        place: where.
    """

    def __init__(self, place: Place) -> None:
        self.played: list[Order] = []
        self.place = place

    def __call__(self, orders: Iterable[Order]) -> Generator[Outcome]:
        return SideBySide(self.place, "embedded", 2, self.played.append).play(orders)

    def check(self, *files: Path) -> dict[str, Checked]:
        """Each scenario by its file's stem."""
        found = check(files, self.place.reports, self)
        return {checked.scenario.file.stem: checked for checked in found}


def answering(end: Outcome, played: list[Order]) -> Player:
    """A player that plays nothing: every order comes to the same end."""

    def play(orders: Iterable[Order]) -> Generator[Outcome]:
        for order in orders:
            played.append(order)
            yield replace(end, order=order)

    return play


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
    counting = Counting(place)
    found = counting.check(SHOP / "dropped-table.yaml", SHOP / "guarded.yaml")
    assert set(found) == {"dropped-table", "guarded"}
    for checked in found.values():
        assert [proof.name for proof in checked.proofs] == ["idle", "unguarded", "as written"]
        assert [proof.complaints for proof in checked.proofs] == [(), (), ()]
        assert {verdict.value for verdict in checked.proofs[0].outcome.verdicts} == {"held"}
        assert checked.ok
    # The first is written without guards, and the second without them is the first.
    assert [order.name for order in counting.played] == [
        "shop/dropped-table, idle",
        "shop/dropped-table, unguarded and as written",
        "shop/guarded, idle",
        "shop/guarded, as written",
    ]
    assert [(order.idle, order.guards) for order in counting.played] == [
        (True, None),
        (False, ()),
        (True, None),
        (False, None),
    ]


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
def counting(place: Place) -> Counting:
    return Counting(place)


NAMES = ("unprotected", "wrong", "silent", "hopeless")


@pytest.fixture(scope="module")
def checked(kiosk: Path, counting: Counting) -> dict[str, Checked]:
    """Every scenario of the copy, by its name."""
    return counting.check(*(kiosk / f"{name}.yaml" for name in NAMES))


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
    checked: dict[str, Checked], counting: Counting
) -> None:
    assert [order.file.stem for order in counting.played] == ["unprotected"] * 2 + ["hopeless"] * 2
    assert checked["wrong"].proofs[2].outcome is checked["unprotected"].proofs[1].outcome


# --- what is the same run -----------------------------------------------------------------------------


@pytest.mark.drill
def test_the_same_scenario_in_another_folder_is_another_run(
    checked: dict[str, Checked], kiosk: Path, folder: Path, place: Place
) -> None:
    """Its locustfile may be another, which the models do not show."""
    played: list[Order] = []
    play = answering(checked["unprotected"].proofs[0].outcome, played)
    shutil.copytree(kiosk, folder / "other", dirs_exist_ok=True)
    files = [each / "unprotected.yaml" for each in (kiosk, folder / "other", kiosk)]
    assert len(list(check(files, place.reports, play))) == 3
    assert [order.file.parent for order in played] == [kiosk, kiosk, folder / "other", folder / "other"]


@pytest.mark.parametrize(("users", "kind"), [(False, HarnessError), (True, RequestError)])
def test_a_fault_proves_nothing_and_names_the_run_and_its_folder(
    tmp_path: Path, users: bool, kind: type[HarnessError]
) -> None:
    end = Outcome(Order(KIOSK), run_id="that-run", problem="the disk is full", users=users)
    with pytest.raises(HarnessError) as raised:
        list(check([KIOSK / "unprotected.yaml"], tmp_path, answering(end, [])))
    assert type(raised.value) is kind
    assert raised.value.message.startswith("the idle run of kiosk/unprotected failed: the disk is full")
    assert str(tmp_path / "that-run") in raised.value.hint


def test_whoever_ends_it_has_everything_torn_down(tmp_path: Path) -> None:
    ended: list[str] = []

    def play(orders: Iterable[Order]) -> Generator[Outcome]:
        try:
            yield Outcome(next(iter(orders)), run_id="one")
            raise KeyboardInterrupt
        finally:
            ended.append("torn down")

    with pytest.raises(KeyboardInterrupt):
        list(check([KIOSK / "unprotected.yaml"], tmp_path, play))
    assert ended == ["torn down"]
