"""Shelves of a third party, in stacks that the command searches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.sandbox import Sandbox
from tests.drills.command import Installation, fresh_installation
from tests.run.stage import KIOSK
from tests.run.test_third_party import ACME, install

JAMMED = Path(__file__).parent / "jammed"


@contextmanager
def installation_with_shelves(sandbox: Sandbox) -> Iterator[Installation]:
    """Ninelives beside a third party's shelves."""
    fresh = fresh_installation(sandbox.cache)
    site = fresh.root / "site"
    install(JAMMED, site)
    shutil.copytree(ACME / "acme_drills", site / "acme_drills")
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    yield Installation(fresh.root, sandbox.cache, {"PYTHONPATH": os.pathsep.join(filter(None, paths))})
    fresh.remove()


def scenario_of(installed: Installation, kind: str, name: str) -> Path:
    """A scenario whose copies lie on such a shelf, in a new folder."""
    folder = installed.root / name
    folder.mkdir()
    sources = (*JAMMED.glob("*.yaml"), *(KIOSK / one for one in ("plain.sql", "slice.sql", "workload.py")))
    for file in sources:
        shutil.copy(file, folder)
    stack = (folder / "stack.yaml").read_text(encoding="utf-8")
    (folder / "stack.yaml").write_text(stack.replace("{kind: shelf}", f"{{kind: {kind}}}"), encoding="utf-8")
    return folder / "drill.yaml"


def newest(installed: Installation, file: str) -> Path:
    """The folder of the search that was made last."""
    return max(
        (found.parent for found in installed.reports.glob(f"*/{file}")), key=lambda one: one.stat().st_mtime
    )


def flat(text: str) -> str:
    return " ".join(text.split())
