"""The history follows the roll and the run folders; nothing of it is lost, and it can be made again."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random
from shutil import copytree
from threading import Thread
from time import monotonic, sleep

import psycopg
import pytest

from harness.archive.database import LOCK, opened
from harness.archive.file import FILE, LOCK_FILE, opened_file, set_aside, turn
from harness.archive.recording import record, record_anew
from harness.archive.tables import LAST_MIGRATION, METADATA
from harness.errors import HistoryError, RequestError
from harness.facts import OPERATOR
from harness.journal.roll import ROLL_FILE, enroll
from harness.replicas.postgres import PostgresReplica
from harness.sandbox import Sandbox
from tests.archive.runs import NOW, SHOP, kept, play, verdict, write_verdicts
from tests.drills.command import PROGRAM
from tests.replicas.postgres_stack import lease as make_lease
from tests.replicas.postgres_stack import setting, stack

ROOT = Path(__file__).parents[2]
PROCESSES = 2
EACH = 12
WRITER = f"""
import sys
from pathlib import Path
from harness.archive.database import opened
from harness.archive.file import opened_file
from harness.archive.recording import record
from tests.archive.runs import play

reports = Path(sys.argv[1])
for n in range({EACH}):
    play(reports, f"{{sys.argv[2]}}-{{n}}")
    with opened_file(reports) if len(sys.argv) < 4 else opened(sys.argv[3]) as archive:
        assert record(archive, reports) is None
"""


@pytest.fixture(scope="module")
def team(sandbox: Sandbox) -> Iterator[str]:
    """The URL of a team's database."""
    replica, lease = PostgresReplica(), make_lease(sandbox, "bookings")
    endpoint = replica.provision(lease, setting(sandbox, stack()))
    credential = endpoint.credentials[OPERATOR]
    login = f"{credential.name}:{credential.secret.reveal()}"
    yield f"postgresql://{login}@{endpoint.host}:{endpoint.port}/{endpoint.name}"
    replica.destroy(lease)


def recorded(reports: Path) -> list[str]:
    with opened_file(reports) as archive:
        assert record(archive, reports) is None
        return [run.run_id for run in archive.newest(1000)]


def test_a_run_reads_back_as_it_was_kept(tmp_path: Path) -> None:
    runs = (
        kept(1, verdict(rto=float("inf")), verdict("rpo", "breached", rpo=0.25), controls=("soc2:A1.2",)),
        kept(2, age=timedelta(days=2), ended=False, problem="it was killed", hypothetical=True),
    )
    with opened_file(tmp_path) as archive:
        archive.keep(runs)
        assert archive.newest(5) == runs
        assert archive.newest(5, counting=True) == runs[:1]
        assert archive.newest(5, since=NOW - timedelta(days=1)) == runs[:1]
        assert archive.newest(5, "shop/other") == ()
        assert (archive.count(), archive.count(SHOP), archive.scenarios()) == (2, 2, (SHOP,))


@pytest.mark.parametrize(
    ("stored", "supposed"),
    [
        ('{"scenario": {"agent": {"kind": "scripted"}}, "replaced": []}', False),
        ('{"scenario": {"agent": {"kind": "idle"}}, "replaced": []}', True),
        ('{"scenario": {"agent": {"kind": "scripted"}}, "replaced": ["guards"]}', True),
    ],
)
def test_a_run_that_only_shows_what_would_have_been_is_kept_and_does_not_count(
    tmp_path: Path, stored: str, *, supposed: bool
) -> None:
    play(tmp_path, "one")
    (tmp_path / "one" / "scenario.json").write_text(stored)
    assert recorded(tmp_path) == ["one"]
    with opened_file(tmp_path) as archive:
        assert [run.supposed for run in archive.newest(5)] == [supposed]
        assert len(archive.newest(5, counting=True)) == (not supposed)


def test_each_run_of_the_roll_is_recorded_once_and_read_on_from_there(tmp_path: Path) -> None:
    play(tmp_path, "one")
    assert recorded(tmp_path) == ["one"]
    play(tmp_path, "two", at=NOW + timedelta(hours=1))
    assert recorded(tmp_path) == ["two", "one"]
    (tmp_path / "one" / "verdicts.json").unlink()
    assert recorded(tmp_path) == ["two", "one"]


def test_a_run_that_goes_on_is_recorded_again_when_it_has_ended(tmp_path: Path) -> None:
    enroll(tmp_path, "one", SHOP, NOW)
    (tmp_path / "one").mkdir()
    with opened_file(tmp_path) as archive:
        record(archive, tmp_path)
        (run,) = archive.newest(5)
        assert (run.value, run.ended, run.verdicts) == ("undecided", False, ())
        write_verdicts(tmp_path / "one")
        record(archive, tmp_path)
        (run,) = archive.newest(5)
        assert (run.value, run.ended, len(run.verdicts)) == ("held", True, 1)


def test_what_was_seen_of_a_run_stays_when_its_folder_is_gone(tmp_path: Path) -> None:
    play(tmp_path, "one")
    with opened_file(tmp_path) as archive:
        record(archive, tmp_path)
        (tmp_path / "one" / "verdicts.json").unlink()
        record_anew(archive, tmp_path)
        assert [(run.ended, len(run.verdicts)) for run in archive.newest(5)] == [(True, 1)]


def test_a_spoilt_line_of_the_roll_is_told_and_what_stands_before_it_is_recorded(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        play(tmp_path, name)
    lines = (tmp_path / ROLL_FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / ROLL_FILE).write_bytes(lines[0] + b"spoilt\n" + lines[2])
    with opened_file(tmp_path) as archive:
        assert record(archive, tmp_path) == f"line 2 of {ROLL_FILE} is not as it was written"
        assert [run.run_id for run in archive.newest(5)] == ["one"]
        (tmp_path / ROLL_FILE).write_bytes(b"".join(lines))
        assert record(archive, tmp_path) is None
        assert archive.count() == 3


def test_a_new_roll_is_read_from_its_beginning(tmp_path: Path) -> None:
    play(tmp_path, "one")
    assert recorded(tmp_path) == ["one"]
    (tmp_path / ROLL_FILE).unlink()
    play(tmp_path, "other", at=NOW + timedelta(hours=1))
    assert recorded(tmp_path) == ["other", "one"]


def test_a_roll_that_went_on_elsewhere_is_read_whole_and_both_ways_are_kept(tmp_path: Path) -> None:
    """As when two jobs begin with the same stored folder, and have one history."""
    here, there = tmp_path / "here", tmp_path / "there"
    play(here, "one")
    copytree(here, there)
    play(here, "two")
    play(here, "three")
    play(there, "other")
    with opened_file(tmp_path) as archive:
        for _ in range(2):
            for folder in (here, there):
                assert record(archive, folder) is None
        assert {run.run_id for run in archive.newest(9)} == {"one", "two", "three", "other"}
        play(there, "fourth")
        assert record(archive, there) is None
        assert archive.count() == 5


def test_what_is_recorded_already_is_not_written_again(tmp_path: Path) -> None:
    play(tmp_path, "one")
    enroll(tmp_path, "killed", SHOP, NOW)
    assert len(recorded(tmp_path)) == 2
    before = (tmp_path / FILE).stat().st_mtime_ns
    assert len(recorded(tmp_path)) == 2
    assert (tmp_path / FILE).stat().st_mtime_ns == before


def test_whatever_a_stranger_wrote_into_a_run_folder_blocks_no_other_run(tmp_path: Path, team: str) -> None:
    """Text with a NUL, which PostgreSQL does not take; an objective twice; a unit that there is not."""
    for name in ("nul", "twice", "unit", "plain"):
        play(tmp_path, name)

    def change(name: str, old: str, new: str) -> None:
        file = tmp_path / name / "verdicts.json"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    change("nul", "Back in time.", "Back\\u0000in time.")
    (one,) = json.loads((tmp_path / "twice" / "verdicts.json").read_text())["verdicts"]
    written = json.dumps(one, separators=(",", ":"))
    change("twice", written, f"{written},{written}")
    change("unit", '"unit":"s"', '"unit":"parsec"')
    for open_it in (lambda: opened_file(tmp_path), lambda: opened(team)):
        with open_it() as archive:
            assert record(archive, tmp_path) is None
            mine = [run for run in archive.newest(1000) if run.folder.startswith(str(tmp_path))]
        found = {run.run_id: run for run in mine}
        assert found.keys() == {"nul", "twice", "unit", "plain"}
        assert found["nul"].verdicts[0].summary == "Back\ufffdin time."
        assert len(found["twice"].verdicts) == 2
        assert found["unit"].problem == "its verdicts.json cannot be read"


def test_more_runs_than_one_transaction_takes_are_all_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.archive.recording.AT_ONCE", 2)
    for n in range(5):
        play(tmp_path, f"run-{n}")
    assert sorted(recorded(tmp_path)) == [f"run-{n}" for n in range(5)]


def writers(*arguments: str) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, arguments[0], f"p{n}", *arguments[1:]], cwd=ROOT)
        for n in range(PROCESSES)
    ]
    assert [process.wait() for process in started] == [0] * PROCESSES


EVERY = {f"p{process}-{n}" for process in range(PROCESSES) for n in range(EACH)}


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    writers(str(tmp_path))
    assert set(recorded(tmp_path)) == EVERY


def test_two_processes_that_write_to_a_team_at_once_lose_nothing(tmp_path: Path, team: str) -> None:
    writers(str(tmp_path), team)
    with opened(team) as archive:
        mine = [run for run in archive.newest(1000) if run.folder.startswith(str(tmp_path))]
    assert {run.run_id for run in mine} == EVERY
    assert len(mine) == len(EVERY)


def test_who_only_reads_waits_for_no_writer(tmp_path: Path, team: str) -> None:
    play(tmp_path, "read-only")
    with opened(team) as archive:
        record(archive, tmp_path)
    assert recorded(tmp_path) == ["read-only"]
    # Whoever waited all the same would be told so after a while, and not hang.
    bounded = f"{team}?options=-c%20lock_timeout%3D10s"
    with (
        psycopg.connect(team) as writer,
        closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other,
    ):
        writer.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        other.execute("BEGIN IMMEDIATE")
        with opened(bounded) as archive:
            assert record(archive, tmp_path) is None
            assert archive.find("read-only").run_id == "read-only"
        assert recorded(tmp_path) == ["read-only"]


def test_a_team_has_the_runs_of_every_folder(tmp_path: Path, team: str) -> None:
    play(tmp_path / "ana", "team-run", rto=float("inf"))
    play(tmp_path / "ben", "team-run")
    with opened(team) as archive:
        for folder in ("ana", "ben"):
            assert record(archive, tmp_path / folder) is None
        found = [run for run in archive.newest(1000) if run.run_id == "team-run"]
        assert len({run.roll for run in found}) == 2
        figures = [run.figure("rto", "rto") for run in found]
        assert {figure.value for figure in figures if figure} == {60.0, float("inf")}
        assert {run.started for run in found} == {NOW}
        with pytest.raises(RequestError, match="may be"):
            archive.find("team-run")


def test_a_team_tells_what_was_tested_again_as_a_file_does(tmp_path: Path, team: str) -> None:
    broken = verdict("rto", "breached")
    runs = [
        kept(1, broken, age=timedelta(days=9)),
        kept(2, age=timedelta(days=5)),
        kept(3, broken, age=timedelta(days=4)),
        kept(4, broken, age=timedelta(days=3), scenario="shop/other"),
        kept(5, age=timedelta(days=2)),
    ]
    found = []
    for opening in (opened_file(tmp_path), opened(team)):
        with opening as archive:
            archive.keep(runs)
            found.append(archive.failures(None, since=NOW - timedelta(days=30), until=NOW))
    assert found[0] == found[1]
    days = {one.run_id: one.retested and (one.retested - one.started).days for one in found[1]}
    assert days == {"run-4": None, "run-3": 2, "run-1": 4}


def test_the_verbs_ask_a_team_when_its_url_is_set(tmp_path: Path, team: str) -> None:
    play(tmp_path / "reports", "cli-run")
    listed = subprocess.run(
        [PROGRAM, "history", "--last", "1000"],
        cwd=tmp_path,
        env={**os.environ, "NINELIVES_DATABASE": team},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "cli-run" in listed.stdout
    assert not (tmp_path / "reports" / FILE).exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://127.0.0.1:1/runs?user=ana&password=hidden",
        "postgresql://ana:x@hidden@127.0.0.1:1/runs",
        "postgresql://ana:x%40hidden@127.0.0.1:1/runs",
    ],
)
def test_no_form_of_a_url_tells_its_password(url: str) -> None:
    with pytest.raises((HistoryError, RequestError)) as raised, opened(url):
        pass
    assert "hidden" not in f"{raised.value} {raised.value.hint}"


def test_a_team_that_does_not_answer_is_told_without_its_password() -> None:
    with pytest.raises(HistoryError) as raised, opened("postgresql://ana:hidden@127.0.0.1:1/runs"):
        pass
    assert "127.0.0.1:1/runs" in str(raised.value)
    assert "hidden" not in str(raised.value)


def test_the_password_of_a_team_is_in_no_message_and_on_no_disk(tmp_path: Path, team: str) -> None:
    secret = team.split(":")[2].partition("@")[0]
    play(tmp_path, "one")
    with opened(team) as archive:
        record(archive, tmp_path)
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(HistoryError) as raised, opened(team.replace("/bookings", "/nowhere")):
        pass
    assert secret not in str(raised.value)
    assert "nowhere" in str(raised.value)


def test_a_spoilt_file_is_told_with_what_to_do_and_made_again(tmp_path: Path) -> None:
    play(tmp_path, "one")
    write_verdicts(tmp_path / "older")
    assert recorded(tmp_path) == ["one"]
    (tmp_path / FILE).write_bytes(b"spoilt" * 1000)
    with pytest.raises(HistoryError, match=FILE) as raised, opened_file(tmp_path):
        pass
    assert "--rebuild" in raised.value.hint
    play(tmp_path, "two")  # no run cares
    aside = set_aside(tmp_path)
    assert aside is not None
    assert aside.read_bytes().startswith(b"spoilt")
    with opened_file(tmp_path) as archive:
        assert record_anew(archive, tmp_path) is None
        assert {run.run_id for run in archive.newest(5)} == {"one", "two", "older"}


def wait_until_locked_out(file: Path) -> None:
    """Wait until somebody waits for a lock on a file: proc_locks(5) marks these with an arrow."""
    inode = f":{file.stat().st_ino} "
    deadline = monotonic() + 30
    while not any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()):
        assert monotonic() < deadline
        sleep(0.01)


def test_whoever_waited_while_another_made_it_anew_leaves_that(tmp_path: Path) -> None:
    play(tmp_path, "one")
    assert recorded(tmp_path) == ["one"]
    waited: list[bool] = []

    def wait() -> None:
        with turn(tmp_path, alone=True) as was_made:
            waited.append(was_made)

    with turn(tmp_path, alone=True) as was_made:
        assert not was_made
        second = Thread(target=wait)
        second.start()
        wait_until_locked_out(tmp_path / LOCK_FILE)
        assert waited == []
        set_aside(tmp_path)
        assert recorded(tmp_path) == ["one"]
    second.join(30)
    assert waited == [True]
    with turn(tmp_path, alone=True) as was_made:
        assert not was_made


def test_a_file_that_is_spoilt_anywhere_is_an_error_with_a_hint_or_answers(tmp_path: Path) -> None:
    for n in range(12):
        play(tmp_path, f"run-{n}", at=NOW + timedelta(hours=n))
    assert len(recorded(tmp_path)) == 12
    whole = (tmp_path / FILE).read_bytes()
    hints: list[str] = []
    for seed in range(60):
        random, spoilt = Random(seed), bytearray(whole)
        for _ in range(20):
            spoilt[random.randrange(len(spoilt))] = random.randrange(256)
        (tmp_path / FILE).write_bytes(spoilt[: random.randrange(len(spoilt))] if seed % 4 == 0 else spoilt)
        try:
            with opened_file(tmp_path) as archive:
                record(archive, tmp_path)
                archive.newest(100, SHOP, counting=True, objective="rto", since=NOW)
                archive.scenarios()
                archive.find("latest")
        except HistoryError as error:
            hints.append(error.hint)
        except RequestError:
            pass  # no run is left in it
    assert hints
    assert all(hints)


def test_a_history_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with opened_file(tmp_path):
        pass
    database = sqlite3.connect(tmp_path / FILE)
    with database:
        assert database.execute("SELECT version_num FROM ninelives_version").fetchall() == [(LAST_MIGRATION,)]
        database.execute("UPDATE ninelives_version SET version_num = '9999'")
    database.close()
    with pytest.raises(HistoryError, match="newer ninelives"), opened_file(tmp_path):
        pass


def test_the_migrations_make_the_tables_of_the_code(tmp_path: Path, team: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    with opened_file(tmp_path), opened(team):
        pass
    urls = (f"sqlite:///{tmp_path / FILE}", team.replace("postgresql://", "postgresql+psycopg://"))
    ours = set(METADATA.tables)
    for url in urls:
        engine = create_engine(url)
        with engine.connect() as connection:
            options = {"include_name": lambda name, kind, _: kind != "table" or name in ours}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, METADATA) == []
        engine.dispose()


@pytest.mark.parametrize("url", ["mysql://u:hidden@h/d", "nothing at all hidden", "://hidden"])
def test_a_url_of_something_else_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(RequestError) as raised, opened(url):
        pass
    assert "hidden" not in str(raised.value)


def test_a_run_is_found_by_number_id_beginning_and_latest(tmp_path: Path) -> None:
    with opened_file(tmp_path) as archive:
        archive.keep(kept(n, age=timedelta(hours=20 - n)) for n in range(1, 13))
        assert archive.find("3").run_id == "run-3"
        assert archive.find("run-1").run_id == "run-1"
        assert archive.find("latest").run_id == "run-12"
        with pytest.raises(RequestError, match="may be run-1"):
            archive.find("run-")
        with pytest.raises(RequestError, match="no run 99"):
            archive.find("99")
