"""Whatever lies at a path, reading it ends soon and in words."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from harness.errors import Problem, ScenarioError
from harness.scenario.source import SQL_LIMIT, YAML_LIMIT, read_text

from .samples import problems_of, replace_in


def only(problems: tuple[Problem, ...]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


def told_soon(file: Path) -> tuple[Problem, ...]:
    """The problems of a file, or a failure when reading it does not come to an end."""
    found: list[tuple[Problem, ...]] = []
    reader = Thread(target=lambda: found.append(problems_of(file)), daemon=True)
    reader.start()
    reader.join(60.0)
    assert found, "the loader hangs"
    return found[0]


@contextmanager
def an_ordinary_user() -> Iterator[None]:
    """Root may read everything; the account ``nobody`` may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("name", ["drill.yaml", "stack.yaml"])
def test_ten_megabytes_are_refused_at_once_and_unread(drill: Path, name: str) -> None:
    with drill.with_name(name).open("r+b") as file:
        file.truncate(10_000_000)
    tracemalloc.start()
    began = time.monotonic()
    problem = only(problems_of(drill))
    taken, peak = time.monotonic() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problem.message == "longer than 1 MB"
    assert taken < 1
    assert peak < 5_000_000


def test_a_file_that_holds_more_than_it_says_is_refused() -> None:
    status = Path("/proc/self/status")  # as files below /proc do: its size is given as 0
    assert status.stat().st_size == 0
    with pytest.raises(ScenarioError, match="longer than"):
        read_text(status, limit=100)


def test_a_long_file_below_the_limit_is_read_to_its_end(drill: Path) -> None:
    drill.write_text("[a, " * (YAML_LIMIT // 4))
    assert "nested deeper" in only(told_soon(drill)).message
    drill.write_text("guards: [" + "a," * (YAML_LIMIT // 2 - 10))
    assert "more than 20000 values" in only(told_soon(drill)).message
    drill.write_text("{" + "".join(f"k{number}: 1, " for number in range(9000)) + "}")
    assert len(told_soon(drill)) == 101
    drill.write_text("title: " + "x " * (YAML_LIMIT // 4))
    assert told_soon(drill)


def test_a_folder_in_place_of_a_file(drill: Path) -> None:
    problem = only(problems_of(drill.parent))
    assert (problem.file, problem.line, problem.message) == (str(drill.parent), 1, "this is a folder")
    drill.with_name("stack.yaml").unlink()
    drill.with_name("stack.yaml").mkdir()
    assert only(problems_of(drill)).message == "this is a folder"


def test_a_missing_file_names_the_nearest(drill: Path) -> None:
    problem = only(problems_of(drill.with_name("dril.yaml")))
    assert (problem.message, problem.hint) == ("there is no such file", "did you mean drill.yaml?")
    assert "no folder" in only(problems_of(drill.parent / "nowhere" / "x.yaml")).hint
    assert only(problems_of(drill / "below-a-file.yaml")).message == "there is no such file"
    assert only(problems_of(Path("a\0b"))).message.startswith("cannot be read")


def test_a_file_that_may_not_be_read(drill: Path) -> None:
    drill.chmod(0o000)
    with an_ordinary_user():
        assert only(problems_of(drill)).message == "not allowed to read it"
    drill.chmod(0o644)
    drill.with_name("schema.sql").chmod(0o000)
    with an_ordinary_user():
        assert {p.message for p in problems_of(drill)} == {"not allowed to read schema.sql"}


@pytest.mark.parametrize("name", ["drill.yaml", "stack.yaml", "schema.sql", "workload.py"])
def test_a_pipe_does_not_hang(drill: Path, name: str) -> None:
    drill.with_name(name).unlink()
    os.mkfifo(drill.with_name(name))
    assert "not a regular file" in told_soon(drill)[0].message


def test_a_pipe_in_the_workspace_does_not_hang(drill: Path) -> None:
    os.mkfifo(drill.parent / "workspace" / "pipe")
    assert "pipe in workspace/ is no regular file" in only(told_soon(drill)).message


def test_a_device_is_not_read() -> None:
    assert "not a regular file" in only(told_soon(Path("/dev/zero"))).message


def test_links_that_lead_in_circles(drill: Path) -> None:
    loop = drill.with_name("loop.yaml")
    loop.symlink_to("loop.yaml")
    assert only(problems_of(loop)).message.startswith("cannot be read: ")
    drill.with_name("schema.sql").unlink()
    drill.with_name("schema.sql").symlink_to("schema.sql")
    messages = {problem.message for problem in problems_of(drill)}
    assert len(messages) == 1
    assert next(iter(messages)).startswith("schema.sql cannot be read: ")


def test_links_that_lead_out_are_refused(drill: Path) -> None:
    secret = drill.parent.with_name("secret.sql")
    secret.write_text("SELECT 'outside'")
    drill.with_name("slice.sql").unlink()
    drill.with_name("slice.sql").symlink_to(secret)
    assert only(problems_of(drill)).message == "slice.sql leads out of the scenario's folder"


@pytest.mark.parametrize(
    ("target", "fits"),
    [
        ("../../secret.sql", False),
        ("/etc/passwd", False),
        ("scripts/domains.env", True),
        ("scripts", True),
        ("nowhere", True),
        ("link", True),
    ],
)
def test_links_in_the_workspace_must_stay_in_it(drill: Path, target: str, fits: bool) -> None:
    (drill.parent / "workspace" / "link").symlink_to(target)
    problems = problems_of(drill)
    assert not problems if fits else "link in workspace/ leads out of it" in only(problems).message


def test_a_link_to_a_file_in_the_folder_is_followed(drill: Path) -> None:
    drill.with_name("slice.sql").rename(drill.with_name("first.sql"))
    drill.with_name("slice.sql").symlink_to("first.sql")
    assert not problems_of(drill)


@pytest.mark.parametrize(
    ("content", "line", "column", "message"),
    [
        (b"", 1, 1, "the file is empty"),
        (b"# nothing but a comment\n\n", 1, 1, "the file is empty"),
        (b"---\n...\n", 2, 1, "expected a mapping of keys to values, got nothing"),
        (b"\xef\xbb\xbfid: a\n", 1, 1, "begins with a byte order mark"),
        (b"id: a\ntitle: caf\xe9\n", 2, 11, "byte 0xe9 at offset 16 is not UTF-8"),
        ("id: é\r\ntitle: é".encode() + b"\xff", 2, 9, "byte 0xff at offset 17 is not UTF-8"),
        ("id: a".encode("utf-16"), 1, 1, "byte 0xff at offset 0 is not UTF-8"),
        (b"id: a\ntitle: b\0\n", 2, 9, "contains the character U+0000, which cannot be seen"),
        (b"id: a\x1b[2J\n", 1, 6, "contains the character U+001B, which cannot be seen"),
        ("id: a\u202e\n".encode(), 1, 6, "contains the character U+202E, which cannot be seen"),
        ("id: a\u2028b\n".encode(), 1, 6, "contains the character U+2028, which cannot be seen"),
        ("id: a\ufeff\n".encode(), 1, 6, "contains the character U+FEFF, which cannot be seen"),
        (b"id: a\rtitle: b\x07", 2, 9, "contains the character U+0007, which cannot be seen"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(
    drill: Path, content: bytes, line: int, column: int, message: str
) -> None:
    drill.write_bytes(content)
    problem = only(problems_of(drill))
    assert (problem.line, problem.column, problem.message) == (line, column, message)


def test_utf_16_is_named(drill: Path) -> None:
    drill.write_bytes("id: a".encode("utf-16"))
    assert "UTF-16" in only(problems_of(drill)).hint


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_line_ending_is_read_and_counted(drill: Path, ending: str) -> None:
    text = drill.read_text()
    drill.write_bytes(text.replace("\n", ending).encode())
    assert not problems_of(drill)
    drill.write_bytes(text.replace("strategy:", "stratagy:").replace("\n", ending).encode())
    problem = only(tuple(p for p in problems_of(drill) if "stratagy" in p.message))
    assert problem.line == text[: text.index("strategy:")].count("\n") + 1


def test_sql_that_is_no_text_is_told_in_its_own_file(drill: Path) -> None:
    drill.with_name("slice.sql").write_bytes(b"SELECT 1;\nSELECT '\xff';\n")
    drill.with_name("schema.sql").write_bytes(b"x" * (SQL_LIMIT + 1))
    found = {(Path(p.file).name, p.line, p.column, p.message) for p in problems_of(drill)}
    assert found == {
        ("slice.sql", 2, 9, "byte 0xff at offset 18 is not UTF-8"),
        ("schema.sql", 1, 1, "longer than 4 MB"),
    }


def test_the_stack_and_the_scenario_are_told_together(drill: Path) -> None:
    replace_in(drill, "title:", "titel:")
    replace_in(drill.with_name("stack.yaml"), "bucket: bookings-vault", "bukket: bookings-vault")
    assert {Path(problem.file).name: problem.hint for problem in problems_of(drill)} == {
        "drill.yaml": "did you mean 'title'?",
        "stack.yaml": "did you mean 'bucket'?",
    }
