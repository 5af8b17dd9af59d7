"""Whatever is in the files: the loader returns a scenario, or says in words what is wrong, and where."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.errors import Problem
from harness.scenario.load import load_scenario, restore_scenario

from .mutations import at, misspelt, model_keys, renamed, spoilt
from .samples import GOOD, good_tree, problems_of

EXAMPLES = 25
"""Each loads two files from disk; thousands were tried when the loader was written."""

SHARED = settings(deadline=None, max_examples=EXAMPLES)
FILES = ["stack.yaml", "drill.yaml"]
TREES = {name: good_tree(name) for name in FILES}
BLOCK = ["\t", "\n", " ", "  ", ": ", "- ", "? ", "---\n", "...\n", "|", ">", "#", "\r"]
FLOW = ["[", "]", "{", "}", ", ", "&a ", "*a", "!!str ", "<<: ", "'", '"', "\\", "%", "@"]
WORDS = ["null", "on", ".inf", "é", "\0", "\x85", "\ufeff", "\u202e", ""]


class Copy:
    """A copy of the good sample, in which one file at a time is spoilt."""

    def __init__(self, drill: Path) -> None:
        self.drill = drill

    def problems(self, name: str, content: bytes) -> tuple[Problem, ...]:
        file = self.drill.with_name(name)
        file.write_bytes(content)
        try:
            problems = problems_of(self.drill)
            if not problems:
                loaded = load_scenario(self.drill)
                text = loaded.model_dump_json(by_alias=True)
                assert restore_scenario(text).model_dump() == loaded.model_dump()
        finally:
            file.write_bytes((GOOD / name).read_bytes())
        return problems


@pytest.fixture(scope="module")
def copy(shared_drill: Path) -> Copy:
    return Copy(shared_drill)


def well_said(problems: tuple[Problem, ...], content: str) -> None:
    """Each problem can be found and acted on."""
    lines = re.split("\r\n|\n|\r", content)
    for problem in problems:
        assert problem.message
        assert problem.hint
        assert "\n" not in problem.message + problem.hint
        assert 1 <= problem.line <= len(lines) + 1
        assert problem.column >= 1


def written(tree: Any) -> str:
    """JSON, which is YAML, with each key and item on a line of its own."""
    return json.dumps(tree, indent=1, ensure_ascii=False)


@pytest.mark.parametrize("name", FILES)
@given(content=st.binary(max_size=200))
@SHARED
def test_any_bytes(copy: Copy, name: str, content: bytes) -> None:
    problems = copy.problems(name, content)
    assert problems
    well_said(problems, content.decode(errors="replace"))


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@SHARED
def test_any_change_of_the_text(copy: Copy, name: str, data: st.DataObject) -> None:
    text = (GOOD / name).read_text()
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(begin, min(len(text), begin + 30)))
        text = text[:begin] + data.draw(st.sampled_from(BLOCK + FLOW + WORDS)) + text[end:]
    well_said([p for p in copy.problems(name, text.encode()) if p.file.endswith(name)], text)


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@SHARED
def test_any_change_of_the_content(copy: Copy, name: str, data: st.DataObject) -> None:
    text = written(data.draw(spoilt(TREES[name])))
    own = tuple(p for p in copy.problems(name, text.encode()) if p.file.endswith(name))
    well_said(own, text)
    for problem in own:
        stands_where_it_says(problem, text)


def stands_where_it_says(problem: Problem, text: str) -> None:
    """The line holds the key that the problem is about, or, where that is missing, one that it lies in."""
    if "more problems after" in problem.message or not problem.key or "no number" in problem.message:
        return
    line = text.split("\n")[problem.line - 1]
    key = re.match(r' *"((?:[^"\\]|\\.)*)": ', line)
    if key is None:
        assert re.search(r"\[\d+\]", problem.key) or problem.line == 1
    else:
        assert json.loads(f'"{key[1]}"') in problem.key


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@SHARED
def test_a_misspelt_key_is_told_at_its_place_with_the_right_one(
    copy: Copy, name: str, data: st.DataObject
) -> None:
    tree = TREES[name]
    path = data.draw(st.sampled_from(model_keys(tree)))
    key = str(path[-1])
    wrong = data.draw(misspelt(key))
    assume(wrong not in at(tree, path[:-1]))
    text = written(renamed(tree, path, wrong))
    problems = [p for p in copy.problems(name, text.encode()) if wrong in p.message]
    assume(
        not any(
            other in p.hint for p in problems for other in set(at(tree, path[:-1])) - {key} if other == wrong
        )
    )
    assert [p.message for p in problems] == [f"unknown key {wrong!r}"]
    line = text.split("\n")[problems[0].line - 1]
    assert line[problems[0].column - 1 :].startswith(f'"{wrong}"')
    assert problems[0].key.endswith(wrong)
    assert "did you mean" in problems[0].hint or "there are" in problems[0].hint
    if len(key) > 3:
        assert key in problems[0].hint


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("title", "x" * 300_000),
        ("id", "a/" * 150_000),
        ("with", "${" * 150_000),
        ("with", "${a}" * 75_000),
        ("save", "(" * 300_000),
        ("slice", "a/" * 150_000),
        ("rate", "1" * 300_000),
        ("guards", "x" * 300_000),
    ],
    ids=lambda value: value[:6],
)
def test_long_values_are_told_shortly_and_soon(copy: Copy, key: str, text: str) -> None:
    tree = good_tree("drill.yaml")
    step = tree["agent"]["steps"][0]
    spots = {"with": step["with"], "save": step.setdefault("save", {}), "slice": tree["history"]}
    spots.get(key, tree["workload"] if key == "rate" else tree)[key] = [text] if key == "guards" else text
    began = time.monotonic()
    problems = copy.problems("drill.yaml", written(tree).encode())
    assert time.monotonic() - began < 20
    for problem in problems:
        assert len(str(problem)) < 2000
