"""What servers said is there after a fault, and no secret with it."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.facts import Credential, Endpoint, Lease, Secret
from harness.run.logs import LONGEST, MOST, keep_logs, where_kept
from harness.run.redact import Redactor
from tests.faults.test_secrets import forms, shows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A working directory in which two services and a workload have logged, and an agent has files."""
    for path, text in {
        "db/postgres.log": "starting\nready\n",
        "db/wal/shipper.log": "shipped\n",
        "vault/s3.log": "listening\n",
        "vault/filer/db/00/000002.log": "a store's own file\n",
        "workload/workload.log": "KeyError\n",
        "intern-workspace/app.log": "the agent's\n",
        "stray.log": "nobody's\n",
    }.items():
        (tmp_path / "work" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / path).write_text(text, encoding="utf-8")
    return tmp_path / "work"


def kept(folder: Path) -> dict[str, str]:
    logs = folder / "logs"
    return {str(p.relative_to(logs)): p.read_text(encoding="utf-8") for p in logs.rglob("*") if p.is_file()}


def test_the_logs_of_servers_and_workload_are_kept_by_service(root: Path, tmp_path: Path) -> None:
    keep_logs(root, tmp_path / "run", str)
    assert kept(tmp_path / "run") == {
        "db/postgres.log": "starting\nready\n",
        "db/wal/shipper.log": "shipped\n",
        "vault/s3.log": "listening\n",
        "workload/workload.log": "KeyError\n",
    }


def test_of_a_long_log_the_last_whole_lines_are_kept(root: Path, tmp_path: Path) -> None:
    lines = "".join(f"line {n:09}\n" for n in range(40_000))
    (root / "db/postgres.log").write_text(lines, encoding="utf-8")
    (root / "vault/s3.log").write_text("x" * (2 * LONGEST), encoding="utf-8")
    keep_logs(root, tmp_path / "run", str)
    end = kept(tmp_path / "run")["db/postgres.log"]
    assert lines.endswith(end)
    assert end.startswith("line ")
    assert LONGEST - 15 < len(end) <= LONGEST
    assert len(kept(tmp_path / "run")["vault/s3.log"]) < LONGEST


def test_what_is_no_plain_text_file_is_left_out_and_hangs_nobody(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("elsewhere", encoding="utf-8")
    (root / "db/link.log").symlink_to(tmp_path / "secret")
    (root / "link").symlink_to(root / "db")
    (root / "db/folder.log").mkdir()
    (root / "db/binary.log").write_bytes(b"a\0b")
    os.mkfifo(root / "db/pipe.log")
    keep_logs(root, tmp_path / "run", str)
    assert set(kept(tmp_path / "run")) == {
        "db/postgres.log",
        "db/wal/shipper.log",
        "vault/s3.log",
        "workload/workload.log",
    }


def test_there_is_an_end_to_how_many_are_kept(root: Path, tmp_path: Path) -> None:
    for number in range(MOST + 20):
        (root / "db" / f"{number}.log").write_text("x", encoding="utf-8")
    keep_logs(root, tmp_path / "run", str)
    assert len(kept(tmp_path / "run")) == MOST


def test_a_run_folder_that_takes_nothing_stops_nobody(root: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way", encoding="utf-8")
    keep_logs(root, tmp_path / "run", str)
    assert (tmp_path / "run").read_text(encoding="utf-8") == "in the way"


def test_no_credential_is_kept_in_any_form(root: Path, tmp_path: Path) -> None:
    known, unknown = Secret.mint("rw/"), Secret.mint("gone-")
    lease = Lease(run_id="r", service="db", kind="postgres", directory=root)
    credentials = {"bob": Credential("bob", "password", "bob", known)}
    endpoint = Endpoint(lease, "postgres", "127.0.0.1", 1, "db", None, root, credentials)
    text = known.reveal()
    wire = [base64.b64encode(b"x" * n + b"bob:" + text.encode() + b"!").decode() for n in range(3)]
    disguised = [text, quote(text, ""), text.encode().hex().upper(), *wire]
    disguised += [base64.urlsafe_b64encode(text.encode()).decode(), unknown.reveal()]
    (root / "db/postgres.log").write_text("\n".join(f"<{form}>" for form in disguised), encoding="utf-8")
    assert shows((root / "db/postgres.log").read_bytes(), text)
    keep_logs(root, tmp_path / "run", Redactor([endpoint]).clean_log)
    content = kept(tmp_path / "run")["db/postgres.log"].encode()
    assert not shows(content, text)
    assert not any(form in content for form in forms(unknown.reveal()))
    assert b"[secret of bob]" in content


def test_a_credential_that_nobody_knows_is_kept_in_no_form_and_other_text_is(
    root: Path, tmp_path: Path
) -> None:
    unknown = [Secret.mint(prefix).reveal() for prefix in ("", "a", "ab", "rw/", "gone-") for _ in range(20)]
    logged = []
    for text in unknown:
        logged += [text, text.upper(), quote(text, ""), text.encode().hex(), text.encode().hex().upper()]
        for user in (b"", b"b:", b"bo:", b"bob:"):
            logged += [
                base64.b64encode(user + text.encode() + after).decode() for after in (b"", b"!", b"!!")
            ]
            logged.append(base64.urlsafe_b64encode(user + text.encode()).decode())
    others = [
        str(root / "kiosk@recovery-1" / "pgdata" / "base" / "16384" / "pg_internal-init_of_the_database"),
        "postgres://application@127.0.0.1:5432/bookings?application_name=ninelives&connect_timeout=3",
        "ReconcilerControllerManagerServiceAccountTokenMountPathNotFoundException",
    ]
    (root / "db/postgres.log").write_text("\n".join(["first", *logged, *others]), encoding="utf-8")
    keep_logs(root, tmp_path / "run", str)
    content = kept(tmp_path / "run")["db/postgres.log"]
    assert [text for text in unknown if shows(content.encode(), text)] == []
    assert [text for text in unknown if shows(content.lower().encode(), text)] == []
    lines = content.splitlines()
    assert len(lines) == 1 + len(logged) + len(others)
    assert [line for line in lines[1 : 1 + len(logged)] if "[32 digits]" not in line] == []
    assert lines[-len(others) :] == others


def test_a_hint_that_names_a_log_names_where_it_is_kept(root: Path, tmp_path: Path) -> None:
    run = tmp_path / "reports" / r"run-\1"
    keep_logs(root, run, str)
    hint = f"its logs are {root}/vault/*.log, {root}/db/postgres.log; its files {root}/db/data"
    kept_there = f"{run}/logs/vault/*.log, {run}/logs/db/postgres.log"
    assert where_kept(hint, root, run) == f"its logs are {kept_there}; its files {root}/db/data"
    assert where_kept(f"see {root}/db/postgres.log.", root, run) == f"see {run}/logs/db/postgres.log."


@pytest.mark.parametrize(
    "name",
    [
        "vault/filer/db/00/000002.log",
        "intern-workspace/app.log",
        "stray.log",
        "db/binary.log",
        "db/nothing.log",
        "gone/*.log",
        "db/postgres.log.1",
        "db/postgres.login",
        "*.log",
    ],
)
def test_a_log_that_is_not_kept_is_named_where_it_was(root: Path, tmp_path: Path, name: str) -> None:
    (root / "db/binary.log").write_bytes(b"a\0b")
    keep_logs(root, tmp_path / "run", str)
    assert where_kept(f"see {root}/{name} there", root, tmp_path / "run") == f"see {root}/{name} there"
