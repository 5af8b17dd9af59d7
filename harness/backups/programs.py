"""Programs of this machine that backup tools call: where they are, what they print, and how they fail."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from harness.errors import Failure, MissingToolError

TOOL_SECONDS = 3600.0
TAIL_LINES = 6


class Printed(BaseModel):
    """A part of what a program prints as JSON; what else it says is of no interest."""

    model_config = ConfigDict(frozen=True)


def installed(program: str, install: str) -> Path:
    """Where a program is.

    Args:
        program: its name, which is looked up on the user's path.
        install: how to get it.

    Raises:
        MissingToolError: it is not installed.
    """
    found = shutil.which(program)
    if found is None:
        raise MissingToolError(f"{program} is not installed, and a protection uses it", hint=install)
    return Path(found).absolute()


def tail(said: str) -> str:
    """The end of what a program said, in one line."""
    return " ".join(said.strip().splitlines()[-TAIL_LINES:])


def refuse_failure(ran: subprocess.CompletedProcess[str], name: str, failure: Failure, hint: str) -> None:
    """Raises ``failure`` with the end of what a program said, unless it ended well."""
    if ran.returncode != 0:
        raise failure(f"{name} failed with exit code {ran.returncode}: {tail(ran.stderr)}", hint=hint)
