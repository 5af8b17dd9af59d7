"""Five services of five kinds, brought up side by side: how much longer than the slowest of them alone."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, Popen
from tempfile import mkdtemp

from benchmarks.interruption import ended_with_us
from harness.journal.events import PhaseEnded, PhaseStarted, Provisioned
from harness.journal.history import read_history

ROUNDS = 7
STACK = {
    "services": {
        "orders": {"kind": "postgres", "schema": "schema.sql", "tables": {"orders": {"key": "id"}}},
        "vault": {"kind": "s3", "bucket": "vault"},
        "sessions": {"kind": "valkey", "collections": ["session"]},
        "files": {"kind": "volume", "collections": ["notes"]},
        "code": {"kind": "git", "collections": ["main"]},
    },
    "principals": {"owner": {"grants": {"orders": "owner"}}},
    "protections": {"dumps": {"tool": "pg_dump", "of": "orders", "to": "vault", "every": "1d", "keep": 1}},
}
SCENARIO = {
    "id": "bench/five",
    "title": "five services",
    "stack": "stack.yaml",
    "history": {"service": "orders", "span": "1h", "rows": 1, "slice": "slice.sql"},
    "workload": {"locustfile": "workload.py", "service": "orders", "users": 1, "rate": "1/s", "steady": "0s"},
    "agent": {
        "kind": "scripted",
        "as": "owner",
        "goal": "nothing much",
        "steps": [
            {"do": "sql.execute", "on": "orders", "with": {"statement": "DROP TABLE orders"}, "harm": True}
        ],
    },
    "recover": {"service": "orders"},
    "objectives": {"rto": "1h"},
}
LOCUSTFILE = """
from locust import task
from harness.workload import LedgerUser

class Clerk(LedgerUser):
    @task
    def order(self):
        with self.transaction() as tx:
            tx.insert("orders", self.key())
"""


def main() -> None:
    """Print the time of the whole phase against that of its slowest service, both of the same run."""
    root = Path(mkdtemp(prefix="ninelives-bench-"))
    root.chmod(0o711)
    try:
        folder = root / "bench"
        folder.mkdir()
        (folder / "stack.yaml").write_text(json.dumps(STACK))
        (folder / "five.yaml").write_text(json.dumps(SCENARIO))
        (folder / "schema.sql").write_text("CREATE TABLE orders (id uuid PRIMARY KEY);")
        (folder / "slice.sql").write_text("INSERT INTO orders SELECT gen_random_uuid();")
        (folder / "workload.py").write_text(LOCUSTFILE)
        measured = [_round(root, folder / "five.yaml") for _ in range(ROUNDS)]
    finally:
        shutil.rmtree(root)
    for name in measured[0][1]:
        print(f"  {name}: {median(services[name] for _, services in measured):.2f} s (median)")
    ratios = sorted(whole / max(services.values()) for whole, services in measured)
    whole = median(whole for whole, _ in measured)
    told = f"{ratios[0]:.2f} x the slowest at best, {median(ratios):.2f} median"
    print(f"  all of them: {whole:.2f} s (median), {told}")


def _round(root: Path, scenario: Path) -> tuple[float, dict[str, float]]:
    """Seconds until the last service was there, and of each service."""
    reports = Path(mkdtemp(dir=root))
    command = [Path(sys.executable).with_name("ninelives"), "run", scenario, "--quiet", "--reports", reports]
    command += ["--work", root / "work"]
    with Popen(command, stdout=DEVNULL, stderr=DEVNULL) as ran, ended_with_us(ran):
        ran.wait()
    (folder,) = (path for path in reports.iterdir() if path.is_dir() and not path.is_symlink())
    history = read_history(folder)
    (began,) = [e.at.mono for e in history.of(PhaseStarted) if e.body.phase == "provision"]
    assert any(e.body.phase == "provision" and e.body.ok for e in history.of(PhaseEnded))
    came = list(history.of(Provisioned))
    assert len(came) == len(STACK["services"])
    return max(e.at.mono for e in came) - began, {e.body.service: e.body.seconds for e in came}
