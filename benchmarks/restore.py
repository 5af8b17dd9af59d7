"""Restoring a gigabyte with each backup tool: by the harness, and by hand with the same programs.

By hand is what somebody types who has the keys (see ``benchmarks.by_hand``). Both ways end at a server of the
same settings, and logical ones begin at an empty server that is not counted. The ways take turns.

``python -m benchmarks.restore --size 100 restic`` measures one tool, with less.
"""

from __future__ import annotations

import argparse
import os
import sys
from statistics import median

from benchmarks.by_hand.case import Case
from benchmarks.by_hand.items import (
    Archive,
    GitBundle,
    S3Replication,
    S3Versions,
    ValkeyAof,
    ValkeyRdb,
    VolumeSnapshot,
)
from benchmarks.by_hand.mariadb import MariadbBinlogs, MariadbDump
from benchmarks.by_hand.postgres import (
    AwsBackup,
    Command,
    DelayedReplica,
    EbsSnapshots,
    PgBackRest,
    PgDump,
    PostgresPitr,
    RailwayVolumeBackup,
    RdsSnapshots,
    Restic,
)
from benchmarks.interruption import in_order
from harness.clock import SystemClock
from harness.contracts.bench import Bench, temporary_sandbox

ROUNDS = 3
ALLOWED = 1.10
MEGABYTES = 1_000
CASES: dict[str, type[Case]] = {
    "pg_dump": PgDump,
    "restic": Restic,
    "command": Command,
    "postgres-pitr": PostgresPitr,
    "pgbackrest": PgBackRest,
    "delayed-replica": DelayedReplica,
    "mariadb-dump": MariadbDump,
    "mariadb-binlogs": MariadbBinlogs,
    "valkey-rdb": ValkeyRdb,
    "valkey-aof": ValkeyAof,
    "s3-versions": S3Versions,
    "s3-replication": S3Replication,
    "volume-snapshot": VolumeSnapshot,
    "archive": Archive,
    "git-bundle": GitBundle,
    "railway-volume-backup": RailwayVolumeBackup,
    "rds-snapshots": RdsSnapshots,
    "ebs-snapshots": EbsSnapshots,
    "aws-backup": AwsBackup,
}
"""Every tool of ours."""

WIDTH = max(map(len, CASES)) + 1


def main(arguments: tuple[str, ...] = ()) -> None:
    """Print what each way takes, and what the harness adds.

    Args:
        arguments: of the command line; none for every tool at its full size.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restore", description="restores, compared")
    parser.add_argument(
        "tools", nargs="*", metavar="TOOL", help=f"of {', '.join(CASES)}; all if none is named"
    )
    parser.add_argument("--size", type=int, default=MEGABYTES, metavar="MB", help="of content, in megabytes")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each way")
    chosen = parser.parse_args(arguments)
    unknown = [tool for tool in chosen.tools if tool not in CASES]
    if unknown:
        parser.error(f"no tool here is called {', '.join(unknown)}; there are {', '.join(CASES)}")
    print(f"restoring {chosen.size} MB ({chosen.rounds} of each way, taking turns; best of each)", flush=True)
    for tool in chosen.tools or CASES:
        _measure(tool, chosen.size, chosen.rounds)


def _measure(tool: str, megabytes: int, rounds: int) -> None:
    kind = CASES[tool]
    with temporary_sandbox() as sandbox:
        bench = Bench(kind.stack(), sandbox, kind.files)
        try:
            _compare(tool, kind(bench, megabytes), rounds)
        finally:
            bench.close()


def _compare(tool: str, case: Case, rounds: int) -> None:
    clock = SystemClock()
    hand, ours = [], []
    cpu_by_hand, cpu = [], []
    for number in range(rounds * 2):
        # Each way is first in every other round, and what the one before has left to be written is written.
        os.sync()
        began = clock.cpu()
        if number % 4 in (0, 3):
            hand.append(case.by_person())
            cpu_by_hand.append(clock.cpu() - began)
        else:
            ours.append(case.by_harness())
            cpu.append(clock.cpu() - began)
    best, parts = min(ours, key=lambda each: each[0])
    share = best / min(hand)
    middle = median(taken for taken, _ in ours) / median(hand)
    told = ", ".join(f"{part} {seconds:.1f}" for part, seconds in parts.items())
    print(
        f"  {tool:<{WIDTH}}{min(hand):6.1f} s by hand {best:6.1f} s by the harness ({told}),"
        f" processor time of this process {min(cpu):.1f} s against {min(cpu_by_hand):.1f} s:"
        f" {share - 1:+.1%} (medians {middle - 1:+.1%}),"
        f" {'within' if share <= ALLOWED else 'more than'} the {ALLOWED - 1:.0%} allowed",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(in_order(lambda: main(tuple(sys.argv[1:]))))
