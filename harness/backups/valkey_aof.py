"""The append-only file of a Valkey server, which has every write until the disk is lost.

A restore takes it and ends it before the harm: the server stamps its writes with the second in which they
came (``aof-timestamp-enabled``), and what follows the first stamp of a later second is cut off.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from valkey.exceptions import ValkeyError

from harness.backups.own_history import OwnHistory
from harness.errors import BackupError, ProvisionError, RestoreError
from harness.facts import OPERATOR, Endpoint, RecoveryPoint
from harness.scenario.models import Protection, ValkeyAof
from harness.seams.disks import files_on_disk
from harness.seams.drivers import PartTimer, Setting, Store, Vessel
from harness.seams.valkey_client import connect

FOLDER = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"
REWRITE_SECONDS, POLL_SECONDS = 600.0, 0.01
STAMP = re.compile(rb"^#TS:([0-9]+)\r\n", re.MULTILINE)
BASE = re.compile(r"^file (?P<name>\S+) seq \d+ type b", re.MULTILINE)
INCREMENT = re.compile(r"^file (?P<name>\S+) seq \d+ type i", re.MULTILINE)


class ValkeyAofTool(OwnHistory):
    """The append-only file of a Valkey server, on the disk that the server itself runs on.

    Args:
        name: of the protection.
        protection: of tool ``valkey-aof``.
        source: the server.
        store: its driver.
        setting: what it runs in.

    Raises:
        BackupError: it is no such protection.
        RestoreError: the file is gone, or cannot be read.
    """

    consists_of = "an append-only file"

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, store: Store, setting: Setting
    ) -> None:
        if not isinstance(protection, ValkeyAof):
            raise BackupError(
                f"the protection {name} is not one of tool valkey-aof", hint="it has `of` and nothing else"
            )
        self._name = name
        self._source = source
        self._driver = store
        self._setting = setting
        self._began = setting.clock.stamp().wall

    def points(self) -> tuple[RecoveryPoint, ...]:
        """One, for as long as the file is there; another location says that it was begun anew."""
        self._await_rewrite()
        with self._folder() as folder:
            if not (folder / MANIFEST).is_file():
                return ()
            size = sum(_sizes(folder))
            begins = BASE.search((folder / MANIFEST).read_text(encoding="utf-8"))
        now = self._setting.clock.stamp().wall
        return (
            RecoveryPoint(
                id=f"{self._name}/aof",
                protection=self._name,
                service=self._source.service,
                kind="continuous",
                taken=self._began,
                covers_until=now,
                place=self._source.service,
                location=f"{FOLDER}/{begins['name']}" if begins else FOLDER,
                size=size,
                shares_fate=True,
            ),
        )

    def restore_to(
        self, point: RecoveryPoint, into: Vessel, mark: PartTimer, until: datetime | None
    ) -> Endpoint:
        """What had come before the second of ``until``; see ``harness.seams.drivers.PointInTime``."""
        mark("restore")
        copy = into.directory / FOLDER
        try:
            with self._folder() as folder:
                shutil.copytree(folder, copy)
            if until is not None:
                _cut(copy, int(until.timestamp()))
        except OSError as error:
            raise RestoreError(
                f"the append-only file of {self._source.service} cannot be copied: {error}",
                hint=f"see whether {point.location} is still on its disk",
            ) from error
        mark("replay")
        return into.start()

    def _await_rewrite(self) -> None:
        """Wait until the server is done that is about to begin the file anew; one that is dead is not."""
        clock = self._setting.clock
        began = clock.stamp()
        with suppress(ValkeyError), connect(self._source, self._source.credentials[OPERATOR]) as client:
            while _is_rewriting(client.info("persistence")):
                if clock.stamp().since(began) > REWRITE_SECONDS:
                    raise BackupError(
                        f"{self._source.service} has been rewriting its append-only file for "
                        f"{REWRITE_SECONDS:g} s",
                        hint="is there room on the disk?",
                    )
                clock.sleep(POLL_SECONDS)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """The files as they are now.

        Raises:
            BackupError: nobody can look.
        """
        try:
            with files_on_disk(self._driver, self._source, FOLDER, self._setting) as disk:
                yield disk / FOLDER
        except ProvisionError as error:
            raise BackupError(error.message, hint=error.hint) from error


def _is_rewriting(told: Mapping[str, int]) -> bool:
    return bool(told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"])


def _sizes(folder: Path) -> Iterator[int]:
    """Of every file; what a rewrite has left behind may be removed meanwhile."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            yield path.stat().st_size


def _cut(folder: Path, second: int) -> None:
    """End the file that is being appended to before the first write of a second."""
    names = INCREMENT.findall((folder / MANIFEST).read_text(encoding="utf-8"))
    if not names:
        raise RestoreError("the append-only file has no part that grows", hint="an RDB dump may be left")
    path = folder / names[-1]
    content = path.read_bytes()
    for stamp in STAMP.finditer(content):
        if int(stamp[1]) >= second:
            path.write_bytes(content[: stamp.start()])
            return
