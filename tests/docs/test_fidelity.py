"""What ``docs/fidelity.md`` shows is what the command prints."""

from __future__ import annotations

import shutil
from pathlib import Path

from click.testing import CliRunner

from harness.cli.fidelity import command

from .pages import ROOT, Page

PAGE = Page(ROOT / "docs" / "fidelity.md")


def test_the_page_is_true(tmp_path: Path) -> None:
    folder = tmp_path / "pocketos"
    shutil.copytree(ROOT / "scenarios" / "pocketos", folder)
    for block in PAGE.blocks:
        if block.caption:
            (folder / block.caption).parent.mkdir(exist_ok=True)
            (folder / block.caption).write_text(block.text)
    (printed,) = [block.text for block in PAGE.blocks if not block.language]
    scenario, production = folder / "locked-copy.yaml", folder / "production.yaml"
    done = CliRunner().invoke(command, [str(scenario), "--from", str(production)], standalone_mode=False)
    assert done.return_value == 1
    assert done.output.startswith(printed)
    assert "\nDIFFERENT" not in done.output.removeprefix(printed)
