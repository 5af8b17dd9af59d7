"""``python -m benchmarks [NAME...]``, or ``make bench``: every figure that we are held to, beside its goal.

A figure that misses its goal fails nothing, because a busy machine would make it lie. What does not work at
all is told, the others go on, and the exit code is 1.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module
from traceback import print_exc

from benchmarks.interruption import in_order
from harness.interrupts import interrupted

GOALS = {
    "replica": "a replica ready at most 0.3 s after it was asked for; times faster than initdb and start",
    "compare": "1,000,000 rows at least 2.0 x as fast as pg_dump | sha256sum, the differing rows named",
    "restore": "with each backup tool, 1 GB, the harness adds at most 10 % to what it takes by hand",
    "workload": "at least 400 acknowledged writes/s, 0 missing",
    "drill": "as-it-happened at most 20 s from command to report, of which the harness itself at most 10 %",
    "side_by_side": "five services side by side at most 1.3 x the slowest one",
    "explore": "at least 600 sequences/min of 5 calls, 20 x as many as with a fresh stack each; memory flat",
    "resets": "a MariaDB, a Valkey and a git remote at least 5 x as fast as the stack anew",
    "evidence": "100,000 events, 1,000,000 rows of ledger: rendered in at most 10 s, 500 MB; verified in 5 s",
    "history": "a history of 100,000 runs: history, compare and gate at most 1 s each",
    "site": "a site of 1,000 runs written in at most 60 s and 300 MB, and brought up to date in 5 s",
    "containers": "as-it-happened in containers at most 3 x as long as embedded; nothing left after 20 runs",
}
"""What each module here measures; ``docs/figures.md`` has the same."""


def main(names: list[str]) -> int:
    """Run benchmarks.

    Args:
        names: of modules in this folder; all if there are none.

    Returns:
        The exit code: 0 when all of them came to an end, 1 when one did not, 3 when one is not known, 130
        interrupted.
    """
    unknown = [name for name in names if name not in GOALS]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(GOALS)}", file=sys.stderr)
        return 3
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors", end="")
    print(f", load before the start {os.getloadavg()[0]:.1f}")
    ends: list[bool] = []
    code = in_order(lambda: ends.extend(_run(name) for name in names or GOALS))
    return code if all(ends) else code or 1


def _run(name: str) -> bool:
    print(f"\n{name}\n  goal: {GOALS[name]}", flush=True)
    try:
        import_module(f"benchmarks.{name}").main()
    except Exception as error:
        # The others shall be measured all the same.
        if interrupted():
            raise KeyboardInterrupt from error
        print_exc()
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
