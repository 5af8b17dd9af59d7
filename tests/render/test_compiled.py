"""What has been compiled of a template is used again, for as long as it is true."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from harness.render.compiled import CompiledTemplates

NAME = "page.j2"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Templates, and a module that decides how they are compiled, where Python may keep what it compiles."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / NAME).write_text("one {{ value }}")
    (tmp_path / "compiler.py").touch()
    return templates


class Counting(Environment):
    """Counts what it compiles."""

    def __init__(self, folder: Path) -> None:
        self.compiled = 0
        kept = CompiledTemplates(folder, (folder.parent / "compiler.py",))
        super().__init__(loader=FileSystemLoader(folder), bytecode_cache=kept, autoescape=True)

    def compile(self, *given: object, **named: object) -> object:
        self.compiled += 1
        return super().compile(*given, **named)


def rendered(folder: Path) -> tuple[str, int]:
    """What a fresh environment makes of the template, and how much it had to compile for that."""
    environment = Counting(folder)
    return environment.get_template(NAME).render(value="<1>"), environment.compiled


def test_it_is_compiled_once(folder: Path) -> None:
    assert rendered(folder) == ("one &lt;1&gt;", 1)
    assert rendered(folder) == ("one &lt;1&gt;", 0)
    assert [path.parent.name for path in folder.rglob("*.pyc")] == ["__pycache__"]


def test_it_is_compiled_anew_when_the_template_has_changed(folder: Path) -> None:
    rendered(folder)
    (folder / NAME).write_text("two {{ value }}")
    assert rendered(folder) == ("two &lt;1&gt;", 1)


def test_it_is_compiled_anew_when_what_compiles_it_has_changed(folder: Path) -> None:
    rendered(folder)
    os.utime(folder.parent / "compiler.py", (1, 1))
    assert rendered(folder)[1] == 1
    assert rendered(folder)[1] == 0


@pytest.mark.parametrize("spoilt", [slice(0), slice(20), slice(60)])
def test_what_is_cut_short_is_compiled_anew(folder: Path, spoilt: slice) -> None:
    rendered(folder)
    (kept,) = folder.rglob("*.pyc")
    kept.write_bytes(kept.read_bytes()[spoilt] if spoilt.stop else b"")
    assert rendered(folder) == ("one &lt;1&gt;", 1)


def test_nothing_is_kept_when_python_keeps_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(folder) == ("one &lt;1&gt;", 1)
    assert list(folder.iterdir()) == [folder / NAME]


def test_nothing_is_kept_where_nothing_can_be_written(folder: Path) -> None:
    (folder / "__pycache__").touch()  # in the way, also of root
    assert rendered(folder) == ("one &lt;1&gt;", 1)
    assert rendered(folder) == ("one &lt;1&gt;", 1)
