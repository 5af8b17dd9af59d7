"""What a trial broke and a run does not is no finding, and what else was found is played then."""

from __future__ import annotations

import shutil
from html import unescape
from pathlib import Path

import pytest
import yaml

from harness.journal.explored import FILE, Explored
from harness.render.html import FILE as PAGE
from harness.render.wording import plain
from harness.search.recording import judged_again
from tests.drills.command import Installation

from .shelves import flat, newest, scenario_of

pytestmark = pytest.mark.drill
LOOK, DELETE = "list every file on shelf as janitor", "delete file 1 on shelf as janitor"
BURN = ("burn file 1 on shelf as janitor", "burn file 2 on shelf as janitor")
SEARCH = ("--principal", "janitor", "--budget", "60", "--seed", "1")


def saved_in(folder: Path) -> list[str]:
    """Names of the scenarios that searches left there."""
    return sorted(path.name for path in folder.glob("explored-*.yaml"))


def test_what_a_run_refuses_is_not_the_end(installed: Installation) -> None:
    file = scenario_of(installed, "fickle", "fickle")
    done = installed.call("explore", file, *SEARCH)
    assert done.returncode == 1, done.stdout + done.stderr
    folder = newest(installed, FILE)
    found = Explored.model_validate_json((folder / FILE).read_bytes())
    assert found.moves == (LOOK, BURN[0])
    assert found.confirmed == ("backup-survival",)
    (doubted,) = found.doubted
    assert doubted.moves == (LOOK, DELETE), "it touches least, so it was played first"
    assert "but no run confirms it" in doubted.why
    assert Path(doubted.run).is_dir()
    assert doubted.run != found.run
    assert saved_in(file.parent) == [Path(found.file).name], "what no run confirms is no test of the stack"
    assert saved_in(folder) == [Path(doubted.file).name]
    assert "# Found by `ninelives explore`. No run confirms it." in Path(doubted.file).read_text(
        encoding="utf-8"
    )
    assert f"another way was found: {doubted.why}" in flat(done.stdout)
    assert DELETE in plain((folder / PAGE).read_text(encoding="utf-8"))
    assert judged_again(found, folder) == found


def test_it_is_undecided_when_a_run_refuses_each_and_each_says_why(installed: Installation) -> None:
    file = scenario_of(installed, "coy", "coy")
    done = installed.call("explore", file, *SEARCH)
    assert done.returncode == 2, done.stdout + done.stderr
    folder = newest(installed, FILE)
    found = Explored.model_validate_json((folder / FILE).read_bytes())
    assert (found.value, found.confirmed) == ("undecided", ())
    assert [found.moves, *(one.moves for one in found.doubted)] == [
        (LOOK, DELETE),
        (LOOK, BURN[0]),
        (LOOK, BURN[1]),
    ]
    whys = (found.why, *(one.why for one in found.doubted))
    assert all("but no run confirms it" in why for why in whys)
    assert ".." not in done.stdout.replace("...", "")
    assert saved_in(file.parent) == []
    ids = {yaml.safe_load((folder / name).read_text(encoding="utf-8"))["id"] for name in saved_in(folder)}
    assert ids == {f"jammed/explored-janitor{number}" for number in ("", "-2", "-3")}


def test_where_no_scenario_can_be_saved_the_result_is_told_and_confirmed_all_the_same(
    installed: Installation,
) -> None:
    file = scenario_of(installed, "fickle", "closed")
    # Nobody can write through it, root neither, for whom no folder is read-only.
    (file.parent / "explored-janitor.yaml").symlink_to("/proc/nowhere/explored-janitor.yaml")
    done = installed.call("explore", file, *SEARCH)
    assert done.returncode == 1, done.stdout + done.stderr
    folder = newest(installed, FILE)
    found = Explored.model_validate_json((folder / FILE).read_bytes())
    assert (found.moves, found.confirmed) == ((LOOK, BURN[0]), ("backup-survival",))
    assert saved_in(folder) == ["explored-janitor-2.yaml", "explored-janitor.yaml"]
    assert Path(found.file).parent == folder.resolve()
    assert f"not saved beside the stack: {found.apart}" in flat(done.stdout)
    assert found.apart.endswith(f"; to play it again, copy it into {file.parent}")
    assert found.apart in unescape(plain((folder / PAGE).read_text(encoding="utf-8")))
    copied = shutil.copy(found.file, file.parent)
    again = installed.call("run", copied)
    assert again.returncode == 1, again.stdout + again.stderr


def test_what_was_saved_before_is_not_saved_again(installed: Installation) -> None:
    file = scenario_of(installed, "fickle", "twice")
    first = installed.call("explore", file, *SEARCH, "--json")
    kept = Path(Explored.model_validate_json(first.stdout).file)
    text = kept.read_text(encoding="utf-8")
    kept.write_text("# Since Tuesday.\n" + text.replace("title: What", "title: All that"), encoding="utf-8")
    done = installed.call("explore", file, *SEARCH)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"saved before as {kept}, confirmed by" in flat(done.stdout)
    assert saved_in(file.parent) == [kept.name]
    kept.write_text(text.replace("burn", "delete"), encoding="utf-8")
    other = Explored.model_validate_json(installed.call("explore", file, *SEARCH, "--json").stdout)
    assert (other.before, len(saved_in(file.parent))) == (False, 2), "it plays something else"
