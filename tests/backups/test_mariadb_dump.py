"""What a dump of MariaDB says of itself, and what is said of one that says nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.backups.mariadb_dump import MariadbDumpTool, Moment, taken_at
from harness.clock import SystemClock
from harness.errors import BackupError, RestoreError
from harness.facts import OPERATOR, Credential, Endpoint, Lease, Secret
from harness.replicas.mariadb import MariadbReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Due, Setting

WHOLE = b"""-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000002', MASTER_LOG_POS=342;
-- Dump completed on 2026-04-24  9:08:07
"""
STACK = {
    "services": {"shop": {"kind": "mariadb"}, "vault": {"kind": "s3", "bucket": "vault"}},
    "protections": {
        "nightly": {"tool": "mariadb-dump", "of": "shop", "to": "vault", "every": "1d", "keep": 2}
    },
}


class CutShort(MariadbDumpTool):
    """As when the program ends well, and what it wrote is not all there."""

    def _write(self, dump: Path) -> None:
        dump.write_bytes(WHOLE[:-20])


def test_a_dump_says_when_it_was_taken(tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(WHOLE)
    ended = datetime(2026, 4, 24, 9, 8, 7, tzinfo=UTC)
    assert taken_at(tmp_path / "dump", "d", RestoreError) == Moment("binlog.000002", 342, ended)
    (tmp_path / "dump").write_bytes(WHOLE[:-20])
    with pytest.raises(RestoreError, match="the dump d has no end"):
        taken_at(tmp_path / "dump", "d", RestoreError)


def test_a_dump_that_is_cut_short_as_it_is_taken_is_no_backup(sandbox: Sandbox, tmp_path: Path) -> None:
    stack = Stack.model_validate(STACK)
    shop, vault = at_nobody(sandbox, "shop", "mariadb"), at_nobody(sandbox, "vault", "s3")
    setting = Setting(stack, tmp_path, sandbox, SystemClock(), {"vault": vault})
    tool = CutShort("nightly", stack.protections["nightly"], shop, MariadbReplica(), setting)
    with pytest.raises(BackupError, match="the dump of shop has no end"):
        tool.take(Due(datetime.now(UTC), "dump of shop"))


def at_nobody(sandbox: Sandbox, service: str, kind: str) -> Endpoint:
    """An address that nothing is asked for."""
    lease = Lease(run_id=sandbox.run_id, service=service, kind=kind, directory=sandbox.root / service)
    operator = Credential(OPERATOR, "key", "k", Secret.mint())
    return Endpoint(
        lease=lease,
        kind=kind,
        host="127.0.0.1",
        port=9,
        name=service,
        environment=None,
        path=lease.directory,
        credentials={OPERATOR: operator},
    )
