"""Tracked tables that a schema does not have, told where the files say what counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.scenario.load import load_scenario
from harness.scenario.tracking import misnamed
from harness.scenario.whereabouts import place_of
from tests.run.stage import KIOSK

SCHEMA: Mapping[str, Sequence[str]] = {"orders": ("id", "amount", "placed_at"), "ordinals": ("n",)}
GUARD = """\
  other-key:
    why: Another key.
    patch:
      services:
        kiosk:
          tables:
            orders: {key: number, time: placed_at}
"""


@pytest.fixture
def kiosk(tmp_path: Path) -> Path:
    for file in KIOSK.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path / "unprotected.yaml"


def test_what_the_schema_has_is_no_problem(kiosk: Path) -> None:
    assert list(misnamed(load_scenario(kiosk), "kiosk", SCHEMA)) == []


def test_every_name_that_is_not_there_is_told_with_the_nearest(kiosk: Path) -> None:
    columns = {"orders": ("ids", "placed")}
    found = [str(problem) for problem in misnamed(load_scenario(kiosk), "kiosk", columns)]
    stack = f"{kiosk.parent}/bare.yaml:8"
    assert found == [
        f"{stack}:21: services.kiosk.tables.orders.key: the table 'orders' has no column 'id'"
        "\n  hint: did you mean 'ids'?",
        f"{stack}:31: services.kiosk.tables.orders.time: the table 'orders' has no column 'placed_at'"
        "\n  hint: did you mean 'placed'?",
    ]
    (missing,) = misnamed(load_scenario(kiosk), "kiosk", {"order": ("id",)})
    assert (missing.line, missing.column, missing.hint) == (8, 7, "did you mean 'order'?")


def test_what_a_guard_says_is_told_where_the_guard_says_it(kiosk: Path) -> None:
    stack = kiosk.with_name("bare.yaml")
    text = stack.read_text(encoding="utf-8").replace("guards:\n", f"guards:\n{GUARD}")
    stack.write_text(text, encoding="utf-8")
    (problem,) = misnamed(load_scenario(kiosk, guards=("other-key",)), "kiosk", SCHEMA)
    assert text.splitlines()[problem.line - 1][problem.column - 1 :].startswith("number,")
    assert "'number'" in problem.message


def test_an_objective_is_found_in_the_scenario_before_the_one_it_is_like_and_the_stack(kiosk: Path) -> None:
    path = ("objectives", "rto")
    assert str(place_of(load_scenario(kiosk), path)).startswith(f"{kiosk.parent}/bare.yaml:")
    kiosk.write_text(kiosk.read_text(encoding="utf-8") + "objectives: {rto: 4m}\n", encoding="utf-8")
    assert str(place_of(load_scenario(kiosk), path)).startswith(f"{kiosk}:")
    like = kiosk.with_name("like.yaml")
    like.write_text("like: unprotected.yaml\nid: kiosk/like\ntitle: The same\n", encoding="utf-8")
    assert str(place_of(load_scenario(like), path)).startswith(f"{kiosk}:")
    like.write_text(like.read_text(encoding="utf-8") + "objectives: {rto: 3m}\n", encoding="utf-8")
    assert str(place_of(load_scenario(like), path)) == f"{like}:4:19"


def test_files_that_are_gone_still_have_a_name(kiosk: Path) -> None:
    loaded = load_scenario(kiosk)
    kiosk.with_name("bare.yaml").unlink()
    assert str(place_of(loaded, ("services", "kiosk"))) == f"{kiosk.parent}/bare.yaml:1:1"
