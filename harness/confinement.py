"""Keeps a server to the files of its run, by Landlock (landlock(7)).

Whoever may do everything in a database can have its server write files, read them and run programs. None of
that is a server's business outside of its run, so the kernel refuses it: it writes below the run's directory
only, reads nothing else but the system and its own installation, and runs nothing but itself.

A thread can confine itself for good, and what it starts inherits that. So a server is started by a thread of
its own. Without Landlock, or with one that cannot allow renaming between directories (Linux before 5.19),
nothing is confined; ``ninelives doctor`` says so.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import TypeVar

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Numbers of system calls, the same on every architecture."""

TELL_VERSION = 1
PATH_BENEATH = 1
NO_NEW_PRIVILEGES = 38
"""PR_SET_NO_NEW_PRIVS of prctl(2)."""

OLDEST_VERSION = 2
"""Of Landlock: the first one that can allow renaming between directories."""

SYSTEM = tuple(map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix")))
"""Where programs and libraries lie that are nobody's own."""

READABLE = (*SYSTEM, *map(Path, ("/etc", "/proc", "/sys", "/dev/random", "/dev/urandom")))
WRITABLE = tuple(map(Path, ("/dev/null", "/dev/zero")))

PROGRAM_INTERPRETER = 3
"""PT_INTERP of elf(5)."""

T = TypeVar("T")


class Right(IntFlag):
    """What Landlock can refuse (linux/landlock.h)."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14


READING = Right.READ_FILE | Right.READ_DIR
EVERYTHING = Right((1 << 15) - 1)
OF_FILES = Right.EXECUTE | Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE
SINCE_VERSION = {3: Right.TRUNCATE}


@dataclass(frozen=True)
class Bounds:
    """What a server may do beyond running itself and changing files of its run.

    Attributes:
        reads: directories, besides the system's, whose files it may read.
        runs: directories whose programs it may run.
    """

    reads: tuple[Path, ...] = ()
    runs: tuple[Path, ...] = ()


class _PathBeneath(ctypes.Structure):
    """``struct landlock_path_beneath_attr``."""

    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def is_offered() -> bool:
    """Whether this kernel confines."""
    return _version() >= OLDEST_VERSION


def confined(bounds: Bounds, program: Path, root: Path, start: Callable[[], T]) -> T:
    """Start a program that is confined from its beginning on, where the kernel offers it.

    Args:
        bounds: what it may do besides.
        program: the file that ``start`` runs.
        root: of the run; whatever it changes lies there.
        start: starts it.

    Raises:
        OSError: the kernel refuses to confine it.
    """
    if not is_offered():
        return start()
    allowed = _allowed(bounds, program, root)

    def start_confined() -> T:
        _confine_this_thread(allowed)
        return start()

    with ThreadPoolExecutor(1, "confined") as thread:
        return thread.submit(start_confined).result()


def _allowed(bounds: Bounds, program: Path, root: Path) -> dict[Path, Right]:
    allowed: dict[Path, Right] = {}

    def allow(path: Path | None, rights: Right) -> None:
        if path is not None and path.exists():
            allowed[path.resolve()] = allowed.get(path.resolve(), Right(0)) | rights

    for directory in (*READABLE, *bounds.reads):
        allow(directory, READING)
    # A script, such as a wrapper of a distribution's, is nothing without the programs that it names.
    runs = SYSTEM if _head(program).startswith(b"#!") else bounds.runs
    for directory in runs:
        allow(directory, READING | Right.EXECUTE)
    for device in WRITABLE:
        allow(device, Right.READ_FILE | Right.WRITE_FILE)
    for needed in (program, _interpreter(program)):
        allow(needed, Right.READ_FILE | Right.EXECUTE)
    allow(root, EVERYTHING & ~Right.EXECUTE)
    return allowed


def _head(program: Path) -> bytes:
    """The first page: servers are large."""
    with program.open("rb") as file:
        return file.read(4096)


def _interpreter(program: Path) -> Path | None:
    """What the kernel loads a program with (elf(5)); None for one that needs nothing."""
    content = _head(program)
    if content[:5] != b"\x7fELF\x02":
        return None
    (first,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for at in range(first, first + size * count, size):
        if struct.unpack_from("<I", content, at) == (PROGRAM_INTERPRETER,):
            (offset,) = struct.unpack_from("<Q", content, at + 8)
            (length,) = struct.unpack_from("<Q", content, at + 32)
            return Path(os.fsdecode(content[offset : offset + length].rstrip(b"\0")))
    return None


def _confine_this_thread(allowed: Mapping[Path, Right]) -> None:
    handled = EVERYTHING
    for version, right in SINCE_VERSION.items():
        if _version() < version:
            handled &= ~right
    attribute = ctypes.c_uint64(handled)
    ruleset = _call(CREATE_RULESET, ctypes.byref(attribute), ctypes.c_size_t(ctypes.sizeof(attribute)), 0)
    try:
        for path, rights in allowed.items():
            _allow(ruleset, path, rights & handled)
        if _library().prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "it cannot be confined")
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: Right) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= OF_FILES
        rule = _PathBeneath(rights, place)
        _call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(place)


def _version() -> int:
    """Of Landlock; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_library().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), TELL_VERSION)))


def _call(number: int, *arguments: object) -> int:
    result = int(_library().syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), "Landlock refuses to confine it")
    return result


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
