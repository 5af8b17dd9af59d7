"""The command on a terminal of a given width."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from pathlib import Path

from tests.drills.command import Installation

ROWS = 24


def run_on_terminal(installation: Installation, columns: int, *arguments: str | Path) -> tuple[int, str]:
    """Run the command with all three streams on a terminal.

    Returns:
        Its exit code, and everything that it sent to the terminal.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    environment = {**installation.environment, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    run = installation.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while chunk := _read(ours):
            shown += chunk
    finally:
        os.close(ours)
    return run.end()[0], shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    """What comes next; nothing when the other side is closed, which Linux tells as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
