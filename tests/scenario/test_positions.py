"""YAML is read as it looks, and each key and value keeps its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.scenario.positions import DEEPEST, MOST_VALUES, Document, KeyPath, Mark, dotted, parse, value_at


def messages(document: Document) -> list[str]:
    return [problem.message for problem in document.problems]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("off", "off"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("0777", "0777"),
        ("0o7", "0o7"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("+1", "+1"),
        (".5", ".5"),
        ("2026-04-24", "2026-04-24"),
        ("2026-04-24T10:00:00Z", "2026-04-24T10:00:00Z"),
        ("nan", "nan"),
        ("'.inf'", ".inf"),
        ("'null'", "null"),
        ('"1"', "1"),
        ("1", 1),
        ("-1", -1),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("=", "="),
    ],
)
def test_a_plain_word_is_what_json_would_have_or_text(written: str, read: Any) -> None:
    document = parse(f"key: {written}\n", "f")
    assert not document.problems
    assert document.value == {"key": read}
    assert type(document.value["key"]) is type(read)


@pytest.mark.parametrize("key", ["on", "yes", "off", "no", "2026-04-24", "1:30", "y"])
def test_keys_that_yaml_1_1_takes_for_something_else_are_text(key: str) -> None:
    assert parse(f"{key}: 1\n", "f").value == {key: 1}


def test_both_places_of_a_repeated_key_are_named() -> None:
    (problem,) = parse("a:\n  one: 1\n  two: 2\n  one: 3\n", "f").problems
    assert (problem.line, problem.column, problem.key) == (4, 3, "a.one")
    assert "first at 2:3" in problem.message


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    document = parse("\n".join(lines), "f")
    assert "the alias *a0 stands for something written elsewhere" in messages(document)
    assert len(document.values) < 1000


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a:\n" + " a: [" * 5000])
def test_deep_nests_are_refused(text: str) -> None:
    assert messages(parse(text, "f")) == [f"nested deeper than {DEEPEST} levels"]


@pytest.mark.parametrize("text", ["? " * 20_000, "? [" * 100, "? {a: " * 100])
def test_deep_keys_are_refused(text: str) -> None:
    assert messages(parse(text, "f"))


def test_very_many_values_are_refused() -> None:
    assert messages(parse("a: [" + "1, " * MOST_VALUES + "]", "f")) == [f"more than {MOST_VALUES} values"]
    assert messages(parse("a: [" + "1, " * (MOST_VALUES - 10) + "]", "f")) == []


@pytest.mark.parametrize(
    "text",
    [
        'a: "\\UFFFFFFFF"',
        'a: "\\U00110000"',
        'a: "\\x"',
        "%YAML " + "9" * 5000 + ".1\n---\na: 1",
        "a: " + "9" * 5000,
        "a: 1e" + "9" * 50,
        "a: !<%zz> b",
        "a: !%C3%28 x",
        "a: |" + "9" * 5000 + "\n x",
        "*a: b",
        "? *a",
        "&a &b c",
        "- - &a : : *a",
        "'",
        "!!binary x",
        "a: !!timestamp 2026",
        "--- ---\n--- a\n...\n...\n",
        "\t",
        "a:\t- b\n",
        "a: b\n\tc: d",
    ],
)
def test_strange_yaml_is_told_and_never_raises(text: str) -> None:
    document = parse(text, "f")
    assert document.problems
    for problem in document.problems:
        assert problem.message
        assert problem.hint


def test_what_was_not_read_as_written_is_known() -> None:
    document = parse("a: {b: *c}\nd: 1\n", "f")
    assert document.is_broken(("a", "b"))
    assert document.is_broken(("a", "b", "x"))
    assert not document.is_broken(("a",))
    assert parse("a: [", "f").is_broken(("x",))


def test_a_missing_key_is_placed_at_the_key_that_should_hold_it() -> None:
    document = parse("a:\n  b:\n    - c: 1\n", "f")
    assert document.mark(("a", "b", 0, "missing")) == Mark(3, 7)
    assert document.mark(("a", "x", "y")) == Mark(1, 1)
    assert document.mark(("a", "b", "x"), of_key=True) == Mark(2, 3)


def test_paths_are_written_as_people_write_them() -> None:
    assert dotted(("agent", "steps", 2, "on")) == "agent.steps[2].on"
    assert dotted(()) == ""


keys = st.text("abcxyz-_ é", min_size=1, max_size=6).filter(lambda key: key.strip() == key)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=12)
)
trees = st.recursive(
    scalars,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(keys, below, max_size=4),
    max_leaves=20,
)


def leaves(tree: Any, path: KeyPath = ()) -> list[tuple[KeyPath, Any]]:
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [(path, tree)] + [leaf for part, child in below for leaf in leaves(child, (*path, part))]


@given(trees, st.booleans())
def test_json_is_read_back_as_it_is(tree: Any, indented: bool) -> None:
    text = json.dumps(tree, indent=1 if indented else None, ensure_ascii=False)
    document = parse(text, "f")
    assert not document.problems
    assert document.value == tree


@given(st.dictionaries(keys, trees, min_size=1, max_size=4))
def test_every_place_holds_what_is_said_to_stand_there(tree: Any) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True, width=10_000, sort_keys=False)
    document = parse(text, "f")
    # The writer knows YAML 1.1, in which other words have to be quoted.
    assume(not document.problems and document.value == tree)
    lines = text.split("\n")
    for path, value in leaves(tree):
        if path and isinstance(path[-1], str):
            mark = document.keys[path]
            written = lines[mark.line - 1][mark.column - 1 :].lstrip("'\"? ")
            assert written.startswith(path[-1])
        if type(value) is int:
            mark = document.values[path]
            assert lines[mark.line - 1][mark.column - 1 :].startswith(str(value))
        assert value_at(tree, path) == value
