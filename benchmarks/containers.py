"""Drills in containers: how much longer than embedded ones they take, and what twenty of them leave behind.

The two ways take turns. What is left is counted before the first of the twenty and after the last:
containers, volumes and networks are all that the engine has but those of other runs, which may go on beside
these; processes and files are those of the runs. It needs an engine, and the images of ``make images``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.drill import Round, play
from benchmarks.interruption import ended_with_us, in_order
from harness.sandbox import MARK
from harness.seams.container_engine import RUN_LABEL, connect

ROUNDS = 3
MOST_TIMES = 3.0
RUNS = 20
SCENARIO = Path(__file__).parent.parent / "scenarios" / "travis-ci" / "as-it-happened.yaml"
"""A short one."""

AS_EXPECTED = 0
PARTS = 4
"""Phases that are named, those that take longest first."""


def compare() -> None:
    """Print how long PocketOS takes in containers, and how long embedded."""
    pairs = [(play(), play("--provider", "docker")) for _ in range(ROUNDS)]
    embedded, docker = ([pair[side] for pair in pairs] for side in (0, 1))
    times = [one.seconds / other.seconds for other, one in pairs]
    print(f"pocketos/as-it-happened from command to report ({ROUNDS} rounds, taking turns)")
    for name, rounds in (("embedded", embedded), ("containers", docker)):
        seconds = [played.seconds for played in rounds]
        print(f"  {name:<12}{min(seconds):6.2f} s best {median(seconds):6.2f} s median")
    print(
        f"  times as long {min(times):.2f} best {median(times):.2f} median; at most {MOST_TIMES:g} asked for"
    )
    print(f"  longest in containers: {_longest(min(docker, key=lambda played: played.seconds))}")


def _longest(played: Round) -> str:
    parts = sorted(played.parts.items(), key=lambda part: part[1], reverse=True)
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts[:PARTS])


def count_leftovers() -> None:
    """Print what twenty runs leave."""
    with TemporaryDirectory(prefix="ninelives-bench-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        before = _held(root, ())
        for _ in range(RUNS):
            _run(root)
        runs = [path.name for path in (root / "reports").iterdir() if not path.is_symlink()]
        after = _held(root, runs)
    print(f"{RUNS} runs of travis-ci/as-it-happened in containers")
    for what, number in after.items():
        print(f"  {what:<12}{before[what]:4d} before {number:4d} after")


def _run(root: Path) -> None:
    program = Path(sys.executable).with_name("ninelives")
    places = ["--reports", root / "reports", "--work", root / "work"]
    command = [program, "run", "-q", "--provider", "docker", *places, SCENARIO]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as played, ended_with_us(played):
        played.wait()
    assert played.returncode == AS_EXPECTED, f"a drill ended with {played.returncode}"


def _held(root: Path, runs: Iterable[str]) -> Mapping[str, int]:
    api = connect().api
    work = root / "work"

    def count(things: Iterable[Mapping[str, Any]]) -> int:
        marks = [(thing["Labels"] or {}).get(RUN_LABEL) for thing in things]
        return sum(mark is None or mark in runs for mark in marks)

    return {
        "containers": count(api.containers(all=True)),
        "volumes": count(api.volumes()["Volumes"] or ()),
        "networks": count(api.networks()),
        "processes": sum(_is_of(process, work, set(runs)) for process in psutil.process_iter()),
        "files": sum(1 for path in work.rglob("*") if path.name != "lock"),
    }


def _is_of(process: psutil.Process, work: Path, runs: set[str]) -> bool:
    try:
        return process.environ().get(MARK) in runs or Path(process.cwd()).is_relative_to(work)
    except psutil.Error:
        return False


def main() -> None:
    """Print both."""
    compare()
    count_leftovers()


if __name__ == "__main__":
    sys.exit(in_order(main))
