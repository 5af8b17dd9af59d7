"""Backup scripts of the team's own: believed in nothing but what they list, and killed when they hang."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from harness.backups.command import CommandTool
from harness.errors import BackupError, RestoreError
from harness.scenario.models import CommandBackup
from harness.seams.drivers import Due

from .conftest import Estate

pytestmark = pytest.mark.slow

NOW = datetime(2026, 4, 24, 12, tzinfo=UTC)
STORE = f"""#!{sys.executable}
import json, os, pathlib, subprocess
from botocore.session import Session
s3 = Session().create_client(
    "s3",
    region_name="us-east-1",
    endpoint_url=os.environ["PLAIN_ENDPOINT"],
    aws_access_key_id=os.environ["PLAIN_ACCESS_KEY"],
    aws_secret_access_key=os.environ["PLAIN_SECRET_KEY"],
)
bucket, database = os.environ["PLAIN_BUCKET"], os.environ["PGDATABASE"]
"""
BACKUP = (
    STORE
    + """
subprocess.run(["pg_dump", "--format=custom", "--file=dump", database], check=True)
s3.put_object(Bucket=bucket, Key="mine/" + os.environ["NINELIVES_AT"], Body=pathlib.Path("dump").read_bytes())
"""
)
LIST = (
    STORE
    + """
print("looking into", bucket)
for found in s3.list_objects_v2(Bucket=bucket, Prefix="mine/").get("Contents", ()):
    print(json.dumps({"id": found["Key"], "taken": found["Key"][5:], "size": found["Size"]}))
"""
)
RESTORE = (
    STORE
    + """
print("::step:: fetch", flush=True)
key = os.environ["NINELIVES_ID"]
pathlib.Path("dump").write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
print("::step:: load", flush=True)
subprocess.run(["pg_restore", "--exit-on-error", "--dbname", database, "dump"], check=True)
"""
)
Make = Callable[..., CommandTool]


@pytest.fixture
def make(estate: Estate, tmp_path: Path) -> Make:
    """Makes a tool whose scripts are the ones above but for those that a test gives."""

    def make(timeout: float = 20, **scripts: str) -> CommandTool:
        for name, script in {"backup": BACKUP, "list": LIST, "restore": RESTORE, **scripts}.items():
            (tmp_path / name).write_text(script, encoding="utf-8")
            (tmp_path / name).chmod(0o755)
        protection = CommandBackup(
            tool="command",
            of="bookings",
            to="plain",
            every=timedelta(days=1),
            keep=2,
            backup="backup",
            list_="list",
            restore="restore",
            timeout=timedelta(seconds=timeout),
        )
        setting = replace(estate.setting, folder=tmp_path)
        return CommandTool("mine", protection, estate.bookings, estate.replica, setting)

    return make


def test_what_retention_keeps_is_due(make: Make) -> None:
    due = make().due(NOW, timedelta(days=90))
    assert [each.at for each in due] == [NOW - timedelta(days=2), NOW - timedelta(days=1)]
    assert make().due(NOW, timedelta(hours=30)) == due[1:]


def test_a_backup_is_taken_listed_and_comes_back(estate: Estate, make: Make) -> None:
    tool = make()
    estate.book(1, 500)
    old = tool.take(Due(NOW - timedelta(days=1), "backup"))
    estate.book(501, 500)
    new = tool.take(Due(NOW, "backup"))
    assert tool.points() == (new, old)
    assert (new.taken, new.covers_until, new.kind, new.place) == (NOW, NOW, "dump", "plain")
    assert new.size > 1000
    restored = tool.restore(new, estate.vessel(), estate.mark)
    assert estate.same_content(restored)
    assert estate.parts == ["provision", "restore", "fetch", "load"]
    assert estate.count(tool.restore(old, estate.vessel(), estate.mark)) == 500


@pytest.mark.parametrize(
    ("scripts", "why"),
    [
        ({"backup": "#!/bin/sh\necho the disk is full >&2\nexit 7\n"}, "exit code 7: the disk is full"),
        ({"backup": "#!/bin/sh\nexit 0\n"}, "lists 0 new ones"),
        ({"list": '#!/bin/sh\necho \'{"id": "x"}\'\n'}, "taken Field required"),
        ({"list": '#!/bin/sh\necho \'{"id": "x", "taken": "2026-04-24T12:00:00"}\'\n'}, "timezone"),
        ({"backup": "#!/nowhere/at/all\n"}, "cannot start"),
    ],
)
def test_a_script_that_does_not_do_its_work_is_an_error_that_says_why(
    make: Make, scripts: dict[str, str], why: str
) -> None:
    with pytest.raises(BackupError, match=why):
        make(**scripts).take(Due(NOW + timedelta(days=1), "backup"))


def test_a_restore_that_fails_says_why_and_where_its_log_is(estate: Estate, make: Make) -> None:
    estate.book(1, 10)
    point = make().take(Due(NOW + timedelta(days=2), "backup"))
    tool = make(restore="#!/bin/sh\necho no such backup\nexit 1\n")
    with pytest.raises(RestoreError, match="exit code 1: no such backup") as caught:
        tool.restore(point, estate.vessel(), estate.mark)
    log = Path(caught.value.hint.removeprefix("its log is "))
    assert log.read_text(encoding="utf-8").endswith("no such backup\n")


def test_a_script_that_hangs_is_killed_with_all_it_has_started(make: Make) -> None:
    tool = make(timeout=1, backup="#!/bin/sh\nsleep 4713 &\nsleep 4713\n")
    with pytest.raises(BackupError, match="was not done after 1 s"):
        tool.take(Due(NOW + timedelta(days=3), "backup"))
    assert not [
        process for process in psutil.process_iter(["cmdline"]) if "4713" in (process.info["cmdline"] or ())
    ]


def test_a_script_sees_nothing_of_the_users_environment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "decoy")
    monkeypatch.setenv("DATABASE_URL", "decoy")
    with pytest.raises(BackupError, match="exit code 9: no decoy"):
        make(backup="#!/bin/sh\nenv | grep decoy || echo no decoy\nexit 9\n").take(Due(NOW, "backup"))
