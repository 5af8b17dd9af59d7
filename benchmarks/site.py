"""Writing a site of 1,000 runs, by the command: from nothing, with nothing new, and with one run more.

The runs are the hand-written one of the tests, which is as long as a short drill. Times are those of the
whole command, with the processor time beside them; memory is the most that it had at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.clock import SystemClock
from tests.archive.stored import store_run

RUNS = 1000
PROGRAM = Path(sys.executable).with_name("ninelives")


def main() -> None:
    """Print what each takes, and how large the site is."""
    with TemporaryDirectory(prefix="ninelives-site-") as root:
        for number in range(RUNS):
            store_run(Path(root) / "reports" / f"run-{number}")
        for what in ("from nothing", "with nothing new"):
            _publish(root, what)
        store_run(Path(root) / "reports" / f"run-{RUNS}")
        _publish(root, "with one run more")
        sizes = [path.stat().st_size for path in (Path(root) / "site").rglob("*") if path.is_file()]
        index = (Path(root) / "site" / "index.html").stat().st_size
        print(f"  {len(sizes):,} files, {sum(sizes) / 1e6:.1f} MB; the index {index / 1e6:.2f} MB")


def _publish(root: str, what: str) -> None:
    clock = SystemClock()
    began = clock.stamp()
    command = subprocess.Popen([PROGRAM, "report", "--site", "site"], cwd=root, stdout=subprocess.DEVNULL)
    # What wait4 tells is of this one child; what getrusage tells is the most of any.
    _, status, used = os.wait4(command.pid, 0)
    command.returncode = os.waitstatus_to_exitcode(status)
    if command.returncode != 0:
        raise RuntimeError(f"ninelives report --site ended with {command.returncode}")
    took = clock.stamp().since(began)
    print(
        f"  {what}: {took:.1f} s, of which {used.ru_utime + used.ru_stime:.1f} s processor time, "
        f"{used.ru_maxrss * 1024 / 1e6:.0f} MB"
    )
