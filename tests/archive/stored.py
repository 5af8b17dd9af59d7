"""A run folder that can be judged, made from the hand-written run of the pages' tests."""

from __future__ import annotations

import sys
from pathlib import Path

# That folder is no package, and where this runs pytest may not have looked into it yet.
sys.path.append(str(Path(__file__).parents[1] / "render"))

from pocketos_run import Tape, loaded, play_pocketos


def store_run(folder: Path) -> None:
    """Write it, with its scenario beside it."""
    tape = Tape(folder)
    play_pocketos(tape)
    tape.journal.close()
    (folder / "scenario.json").write_text(loaded().model_dump_json(by_alias=True))
