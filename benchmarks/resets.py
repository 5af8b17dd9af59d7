"""How long it takes to bring a stack back to what it was, service by service, against making it anew.

Each time something of the service was destroyed before. What is made anew is the whole stack, with its past
and the proof of its copies, as an arena needs it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

from pydantic import JsonValue

from harness.clock import SystemClock
from harness.facts import Action
from harness.journal.writer import Journal
from harness.run.loading import load
from harness.run.place import Place, in_memory, usual_place
from harness.search.arena import Arena

ROOT = Path(__file__).parent.parent
ROUNDS = 10

Call = tuple[str, str, str, Mapping[str, JsonValue]]
"""Principal, service, call, and its arguments."""

RUINED: Mapping[str, tuple[str, Call]] = {
    "mariadb": (
        "tests/run/bazaar/emptied.yaml",
        ("boss", "shop", "mariadb.execute", {"statement": "DROP DATABASE shop; RESET MASTER"}),
    ),
    "valkey": (
        "scenarios/meow/as-it-happened.yaml",
        ("passer-by", "sessions", "valkey.command", {"command": ["FLUSHALL"]}),
    ),
    "git": (
        "scenarios/forced-push/as-it-happened.yaml",
        ("agent", "code", "git.push", {"ref": "HEAD~1:main", "force": True}),
    ),
}


def main() -> None:
    """Measure, and print."""
    folder = Path(mkdtemp(prefix="ninelives-resets-"))
    folder.chmod(0o711)
    try:
        place = in_memory(usual_place(folder / "reports"))
        for kind, (file, call) in RUINED.items():
            anew, reset = _measure(place, kind, ROOT / file, call)
            print(
                f"  {kind}: reset in {reset:.2f} s, stack anew in {anew:.1f} s, {anew / reset:.0f} x slower"
            )
    finally:
        shutil.rmtree(folder)


def _measure(place: Place, kind: str, file: Path, call: Call) -> tuple[float, float]:
    """Seconds to bring the stack up, and to reset it, the median."""
    clock, times = SystemClock(), []
    run_id = f"{place.reports.parent.name}-{kind}"
    principal, service, do, arguments = call
    surface, _, verb = do.partition(".")
    action = Action(number=1, surface=surface, verb=verb, service=service, arguments=arguments)
    began = clock.stamp()
    with (
        Journal(place.reports / run_id, clock) as journal,
        Arena(load(file), place, run_id, journal, clock) as stack,
    ):
        anew = clock.stamp().since(began)
        for _ in range(ROUNDS):
            assert stack.perform(action, arguments, principal).touched, "nothing was ruined"
            ruined = clock.stamp()
            assert stack.reset() == (service,)
            times.append(clock.stamp().since(ruined))
    return anew, median(times)
