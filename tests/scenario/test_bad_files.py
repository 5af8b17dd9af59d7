"""Each file in ``bad/`` has one mistake, or a few of a kind, and says at its end what it must be told.

A line ``# expect: LINE:COLUMN KEY: MESSAGE | HINT`` stands for one problem; there must be no others. A file
takes the place of ``stack.yaml`` or of ``drill.yaml`` in the good sample, as its name begins.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.errors import Problem

from .samples import HERE, problems_of

BAD = sorted((HERE / "bad").glob("*.yaml"))
EXPECT = "# expect: "


def as_expected(problem: Problem) -> str:
    key = f"{problem.key}: " if problem.key else ""
    return f"{problem.line}:{problem.column} {key}{problem.message} | {problem.hint}"


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_file_is_told_all_its_mistakes_and_nothing_else(file: Path, drill: Path) -> None:
    spoilt = drill.with_name("stack.yaml") if file.stem.startswith("stack-") else drill
    shutil.copy(file, spoilt)
    wanted = [line.removeprefix(EXPECT) for line in file.read_text().splitlines() if line.startswith(EXPECT)]
    found = [as_expected(problem) for problem in problems_of(drill) if problem.file == str(spoilt)]
    assert wanted
    assert found == wanted


def test_the_corpus_is_there() -> None:
    assert len(BAD) > 90
