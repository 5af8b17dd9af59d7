"""A principal's own files, or a volume that it has mounted: list, search, read, write, move, delete.

Verbs and their arguments:

- ``list``: names of all files, one a line, sorted.
- ``search``: ``pattern``, a regular expression (Python's) over each line of each file; answers with
  ``file:line:text`` as grep does.
- ``read``: ``path``.
- ``write``: ``path`` and ``text``; makes the folders on the way.
- ``move``: ``path`` of a file or folder, and ``to``; what is there is overwritten, as by ``mv``.
- ``delete``: ``path`` of a file, or of a folder with all that is in it.

Paths are relative to the workspace or the volume and must lie in it, symbolic links followed. It cannot
be deleted itself. On a volume, a principal with no grant is refused everything, and a reader every change.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.clock import Clock
from harness.facts import Action, Destruction, Endpoint, Outcome, Resource
from harness.seams.volume_client import READ_ONLY, READ_WRITE, files_below
from harness.surfaces.call import Arguments, Call, UnmakeableCallError, read_arguments

CHANGES = ("write", "move", "delete")


class NoArguments(Arguments):
    """``list`` takes none."""


class SearchArguments(Arguments):
    pattern: str


class PathArguments(Arguments):
    path: str


class WriteArguments(Arguments):
    path: str
    text: str


class MoveArguments(Arguments):
    path: str
    to: str


class FilesSurface:
    """One principal's workspace, or a volume as that principal has it mounted.

    Args:
        principal: who acts.
        endpoint: of kind ``files`` or ``volume``; its ``path`` is the root that no call leaves.
        clock: where stamps come from.
    """

    destructive = (
        Destruction(
            operation="deleting a file, or a folder with all that is in it",
            verb="delete",
            undo="",
            takes_along="copies that lie in it",
            guard="copies elsewhere; permissions, which refuse it unless the harness runs as root",
            basis="observed",
            evidence="tests/surfaces/test_files.py::test_what_is_deleted_is_touched_file_by_file",
            called=("delete",),
        ),
        Destruction(
            operation="writing over a file",
            verb="write",
            undo="",
            takes_along="",
            guard="copies elsewhere; permissions, which refuse it unless the harness runs as root",
            basis="observed",
            evidence="tests/surfaces/test_files.py::test_what_is_written_is_touched_once",
            called=("write",),
        ),
        Destruction(
            operation="moving a file onto another, as `mv` does to a folder that was never made",
            verb="move",
            undo="",
            takes_along="",
            guard="copies elsewhere; a volume that is mounted read-only",
            basis="observed",
            evidence="tests/surfaces/test_files.py::test_moving_onto_a_name_that_is_no_folder_overwrites",
            called=("move",),
        ),
    )

    def __init__(self, principal: str, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._mounted = _mounted(principal, endpoint)
        self._clock = clock
        self._root = endpoint.path.resolve()
        self._verbs = {
            "list": self._list,
            "search": self._search,
            "read": self._read,
            "write": self._write,
            "move": self._move,
            "delete": self._delete,
        }

    def perform(self, action: Action, arguments: Mapping[str, object]) -> Outcome:
        """Make the call. Raises nothing: what the file system says no to is ``refused`` (permissions) or
        ``failed`` (anything else)."""
        call = Call(self._endpoint, self._clock)
        verb = self._verbs.get(action.verb)
        if verb is None:
            return call.failed(f"files cannot {action.verb!r}; it can {', '.join(self._verbs)}")
        if self._mounted is None:
            return call.refused("permission denied: the volume is not mounted for this principal")
        if action.verb in CHANGES and self._mounted == READ_ONLY:
            return call.refused("permission denied: the volume is mounted read-only")
        try:
            return verb(call, arguments)
        except UnmakeableCallError as error:
            return call.failed(str(error))
        except PermissionError as error:
            return call.refused(f"permission denied: {_words(error)}")
        except OSError as error:
            return call.failed(_words(error))

    def _list(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        read_arguments(NoArguments, arguments)
        names = [self._name(path) for path in self._files(self._root)]
        return call.done(f"{len(names)} files", "\n".join(names))

    def _search(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        try:
            pattern = re.compile(read_arguments(SearchArguments, arguments).pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise UnmakeableCallError(f"not a regular expression: {error}") from None
        hits = [
            f"{self._name(path)}:{number}:{line}"
            for path in self._files(self._root)
            if path.is_file() and self._inside(path.resolve())
            for number, line in enumerate(_text(path).splitlines(), start=1)
            if pattern.search(line)
        ]
        files = {hit.partition(":")[0] for hit in hits}
        return call.done(f"{len(hits)} lines in {len(files)} files", "\n".join(hits))

    def _read(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        path = self._resolve(read_arguments(PathArguments, arguments).path)
        if path.exists() and not path.is_file():
            raise UnmakeableCallError("not a file")
        text = _text(path)
        return call.done(f"{path.stat().st_size} bytes", text)

    def _write(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        wanted = read_arguments(WriteArguments, arguments)
        path, content = self._resolve(wanted.path), wanted.text.encode("utf-8", "replace")
        if path.is_file() and path.read_bytes() == content:
            return call.done("unchanged")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return call.done(f"wrote {len(content)} bytes", touched=(self._resource(path),))

    def _move(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        wanted = read_arguments(MoveArguments, arguments)
        source = self._resolve(str(Path(wanted.path).parent)) / Path(wanted.path).name
        target = self._resolve(wanted.to)
        if target.is_dir():
            target /= source.name
        if not os.path.lexists(source):
            raise UnmakeableCallError("no such file or folder")
        before = tuple(self._files(source)) if source.is_dir() and not source.is_symlink() else (source,)
        moved = tuple(target / path.relative_to(source) for path in before)
        was = {path: _identity(path) for path in (*before, *moved)}
        if _identity(source) == _identity(target):
            raise UnmakeableCallError("both are the same file")
        os.replace(source, target)  # noqa: PTH105 - overwrites, which is the point
        touched = tuple(self._resource(path) for path, file in was.items() if _identity(path) != file)
        return call.done(f"moved {len(before)} files", touched=touched)

    def _delete(self, call: Call, arguments: Mapping[str, object]) -> Outcome:
        given = read_arguments(PathArguments, arguments).path
        # A link is deleted itself, so only the folder it lies in is followed.
        path = self._resolve(str(Path(given).parent)) / Path(given).name
        if Path(given).name in ("", "..") or path == self._root:
            raise UnmakeableCallError("the workspace itself cannot be deleted")
        if not os.path.lexists(path):
            raise UnmakeableCallError("no such file or folder")
        folder = path.is_dir() and not path.is_symlink()
        files = tuple(self._files(path)) if folder else (path,)
        complaint = ""
        try:
            shutil.rmtree(path) if folder else path.unlink()
        except OSError as error:
            if all(os.path.lexists(file) for file in files):
                raise
            complaint = f", then: {_words(error)}"
        touched = tuple(self._resource(file) for file in files if not os.path.lexists(file))
        return call.done(f"deleted {len(touched)} files{complaint}", touched=touched)

    def _resolve(self, given: str) -> Path:
        try:
            path = (self._root / given).resolve()
        except (ValueError, RuntimeError) as error:
            raise UnmakeableCallError(f"not a path: {error}") from None
        if not self._inside(path):
            raise UnmakeableCallError("the path lies outside of the workspace")
        return path

    def _inside(self, path: Path) -> bool:
        return path == self._root or self._root in path.parents

    def _files(self, folder: Path) -> Iterator[Path]:
        return iter(sorted(files_below(folder), key=self._name))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _resource(self, path: Path) -> Resource:
        return Resource(
            service=self._endpoint.service,
            kind="file",
            name=self._name(path),
            environment=self._endpoint.environment,
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is, links not followed; None when there is none. Renaming changes no content."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _mounted(principal: str, endpoint: Endpoint) -> str | None:
    """How a principal has it mounted; its own workspace, which knows no credentials, to read and write."""
    if endpoint.kind != "volume":
        return READ_WRITE
    credential = endpoint.credentials.get(principal)
    return credential.name if credential else None


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _words(error: OSError) -> str:
    """What the operating system says, without the path on this machine."""
    return error.strerror or type(error).__name__
