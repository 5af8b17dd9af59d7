"""Keeps what a run's servers said when a fault ends it, since their files go with the working directory."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePath

from harness.facts import WORKSPACE_SUFFIX

FOLDER = "logs"
LONGEST = 256 * 1024
"""Bytes of each log that are kept, from its end."""

MOST = 100
"""Logs that are kept."""

CUT = 1024
"""Bytes that are left out where a log without lines is cut, so that no half of a secret is kept."""

MINTED = re.compile(r"[0-9a-fA-F]{32,}|(?:[MNOYZ][2DGTWjmz][ABEFIJMNQRUVYZcdghkl][0-5h-mw-z]){10,}")
"""What every minted credential ends in, 32 hexadecimal digits, and what base64 makes of them at any offset:
each three are written in four letters, of which few can be the first, the second and so on. The credentials
of a replica that did not come up are known to nobody else."""


def keep_logs(root: Path, folder: Path, clean: Callable[[str], str], below: str = "") -> None:
    """Copy the ends of all servers' logs to ``<folder>/logs/<service>/``.

    What cannot be copied is left out: this happens when something has gone wrong already.

    Args:
        root: the run's working directory.
        folder: the run folder.
        clean: blots known secrets out of text.
        below: only what lies in this directory of ``root``.
    """
    for log in [log for log in _logs(root) if log.is_relative_to(root / below)][:MOST]:
        with suppress(OSError):
            text = _end_of(log)
            if text is not None:
                kept = folder / FOLDER / log.relative_to(root)
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(MINTED.sub("[32 digits]", clean(text)), encoding="utf-8")


def where_kept(text: str, root: Path, folder: Path) -> str:
    """The text with every log that it names in the working directory, and that is kept, named where it is.

    Args:
        text: a message or a hint; it may name several logs at once, as ``*.log``.
        root, folder: as for ``keep_logs``, which has been called.
    """
    kept = [path.relative_to(folder / FOLDER) for path in (folder / FOLDER).rglob("*.log")]

    def rename(found: re.Match[str]) -> str:
        named = PurePath(found[1])
        there = any(path.match(found[1]) and len(path.parts) == len(named.parts) for path in kept)
        return str(folder / FOLDER / named) if there else found[0]

    return re.sub(rf"{re.escape(str(root))}/([^\s/]\S*?\.log)(?![\w/-]|\.\w)", rename, text)


def _logs(root: Path) -> Iterator[Path]:
    """Those in the services' own directories and one below; an agent's files are no server's."""
    for service in sorted(root.glob("*/")):
        if not service.is_symlink() and not service.name.endswith(WORKSPACE_SUFFIX):
            yield from sorted(service.glob("*.log"))
            for below in sorted(service.glob("*/")):
                if not below.is_symlink():
                    yield from sorted(below.glob("*.log"))


def _end_of(log: Path) -> str | None:
    """The last ``LONGEST`` bytes, from the beginning of a line; None when it is no text."""
    descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        begin = max(0, status.st_size - LONGEST)
        file.seek(begin)
        content = file.read(LONGEST)
    if b"\0" in content:
        return None
    if begin:
        content = content[content.find(b"\n") + 1 or CUT :]
    return content.decode("utf-8", errors="replace")
