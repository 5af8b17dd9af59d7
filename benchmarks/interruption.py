"""What a benchmark does that is asked to end by Ctrl-C, SIGTERM or SIGHUP: it takes down what it has started.

Without this a SIGTERM would end Python at once, and leave its servers, which have sessions of their own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.interrupts import gentle_interrupts

DONE, INTERRUPTED = 0, 130


def in_order(measure: Callable[[], None]) -> int:
    """Measure, unless somebody asks for the end, and leave nothing behind in either case.

    Returns:
        The exit code.
    """
    try:
        with gentle_interrupts():
            measure()
    except KeyboardInterrupt:
        print("interrupted; nothing of it is left", file=sys.stderr)
        return INTERRUPTED
    return DONE


@contextmanager
def ended_with_us(command: subprocess.Popen[bytes]) -> Iterator[None]:
    """Have a command of ours end in order, and wait until it has, when we are asked to end in the block."""
    try:
        yield
    except KeyboardInterrupt:
        command.terminate()
        command.wait()
        raise
