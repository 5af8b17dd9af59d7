"""Standard output and standard error that nobody may read to the end: ``| head``, a terminal that is closed.

What a run found, and its clean end, must not depend on who is listening. So what cannot be delivered is
dropped, and the exit code says as ever how the run went.
"""

from __future__ import annotations

import io
import os
import sys


class _Deaf(io.RawIOBase):
    """A file descriptor that takes whatever it is given, also when the other end is gone.

    Args:
        fd: stays open when this is closed.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._gone = False

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        if not self._gone:
            try:
                return os.write(self._fd, view)
            except OSError:
                self._gone = True
        return len(view)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)


def outlive_readers() -> None:
    """Replace both streams. A character that their encoding lacks becomes a question mark."""
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            continue
        stream.flush()
        fresh = io.TextIOWrapper(
            io.BufferedWriter(_Deaf(fd)),
            encoding=stream.encoding,
            errors="replace" if name == "stdout" else "backslashreplace",
            line_buffering=name == "stderr" or os.isatty(fd),
        )
        setattr(sys, name, fresh)
