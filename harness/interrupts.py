"""Ctrl-C, SIGTERM and SIGHUP: the first asks for a clean end, and nothing cuts that short.

The first becomes a ``KeyboardInterrupt`` in the main thread, at once or when the block under way is over
that must not be torn apart. Every later one only gets an answer: what is being cleaned up then has to be.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STANDARD_ERROR = 2
ANSWER = b"still cleaning up\n"


class _Interrupts:
    """What this process was asked; signal handlers belong to a process, so there is one of these."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """The next block is asked anew."""
        self.gentle = False
        self.asked = False
        self.answering = False
        self.pending = False
        self.deferred = 0

    def hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            # One at a time: signals that come faster than they are answered would pile up on the stack.
            if not self.answering:
                self.answering = True
                _answer()
                self.answering = False
            return
        self.asked = True
        if self.deferred:
            self.pending = True
            return
        raise KeyboardInterrupt


_INTERRUPTS = _Interrupts()


@contextmanager
def gentle_interrupts() -> Iterator[None]:
    """Take signals gently for the length of the block. Blocks may be nested; the outermost counts.

    Raises:
        KeyboardInterrupt: in the main thread, when the first signal has come.
    """
    if _INTERRUPTS.gentle or not _in_main_thread():
        yield
        return
    _INTERRUPTS.gentle = True
    previous = {number: signal.signal(number, _INTERRUPTS.hear) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            if signal.getsignal(number) == _INTERRUPTS.hear:
                signal.signal(number, handler)
        _INTERRUPTS.forget()


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Let no signal interrupt the block, which must be done as a whole; it is heard at its end.

    Means something in the main thread and within ``gentle_interrupts`` only: no other thread is interrupted.

    Raises:
        KeyboardInterrupt: at the end of the block, when the first signal came in it.
    """
    if not _in_main_thread():
        yield
        return
    _INTERRUPTS.deferred += 1
    try:
        yield
    finally:
        _INTERRUPTS.deferred -= 1
        if _INTERRUPTS.pending and not _INTERRUPTS.deferred:
            _INTERRUPTS.pending = False
            raise KeyboardInterrupt


def interrupted() -> bool:
    """Whether a signal has asked for the end; for work of other threads that lasts, and can be given up."""
    return _INTERRUPTS.asked


def ignore_interrupts() -> None:
    """For the last moments of a process that has been asked to end, and is doing so."""
    # Those that are here already are answered first: Python complains when their handler is taken away.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _answer() -> None:
    """Say that it was heard: past Python's buffers, which the main thread may be in the middle of, and only
    if that does not have to wait for somebody to read."""
    with suppress(OSError):
        if select.select([], [STANDARD_ERROR], [], 0)[1]:
            os.write(STANDARD_ERROR, ANSWER)


def _in_main_thread() -> bool:
    return current_thread() is main_thread()
