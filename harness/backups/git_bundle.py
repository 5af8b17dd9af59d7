"""``git bundle`` of a repository to an S3 service: all branches and tags, with their history, in one file."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.backups.dumps import DumpTool
from harness.backups.programs import TOOL_SECONDS
from harness.errors import BackupError, Failure, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.seams.drivers import PartTimer, Vessel
from harness.seams.git_client import git


class GitBundleTool(DumpTool):
    """Bundles of a repository in an S3 service."""

    tool = "git-bundle"
    suffix = "bundle"

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Fetch the bundle, clone it where the repository lay, and open that to pushes."""
        mark("restore")
        with self._fetched(point, into) as bundle:
            ran = self._git(RestoreError, into.directory, "clone", "--quiet", "--mirror", bundle, ".")
            if ran.returncode != 0:
                raise RestoreError(
                    f"the bundle {point.location} cannot be cloned: {_said(ran)}",
                    hint="an older one may be whole",
                )
            self._git(RestoreError, into.directory, "remote", "remove", "origin")
        return into.start()

    def _write(self, dump: Path) -> None:
        try:
            ran = self._git(BackupError, self._source.path, "bundle", "create", "--quiet", dump, "--all")
        except OSError as error:
            raise BackupError(
                f"there is no repository {self._source.service}", hint="it was deleted"
            ) from error
        if ran.returncode != 0:
            raise BackupError(
                f"{self._source.service} cannot be bundled: {_said(ran)}",
                hint="has it any commit, and is there room on the disk?",
            )

    def _git(
        self, failure: Failure, directory: Path, *arguments: str | Path
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            run_id = self._setting.sandbox.run_id
            return git(directory, *arguments, run_id=run_id, patience=TOOL_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise failure(
                f"git {arguments[0]} did not end within {error.timeout:g} s, and was given up",
                hint="the machine may be overloaded, or its disk slow; run it again when it is not",
            ) from None


def _said(ran: subprocess.CompletedProcess[bytes]) -> str:
    return ran.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
