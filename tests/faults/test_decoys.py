"""Whatever a user's environment and home directory say, nothing of it is heard, read or called."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import pytest

from harness.sandbox import LOOPBACK
from tests.drills.command import SHOP, Installation

IN_OPEN = 0x20
"""inotify(7)"""

EVENT = struct.Struct("iIII")
NAMES = (".pgpass", ".pg_service.conf", ".netrc", ".aws/credentials", ".aws/config", ".railway/config.json")
NAMES += (".postgresql/root.crt", ".postgresql/postgresql.crt", ".postgresql/postgresql.key", ".psqlrc")
NAMES += (".config/locust.conf", ".locust.conf", ".seaweedfs/security.toml", ".boto")


@dataclass
class Listener:
    """Somebody else's server: counts who calls, and answers nothing."""

    server: socket.socket = field(default_factory=lambda: socket.create_server((LOOPBACK, 0)))
    callers: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        Thread(target=self._take, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.getsockname()[1])

    def _take(self) -> None:
        while True:
            try:
                connection, caller = self.server.accept()
            except OSError:
                return
            self.callers.append(caller)
            connection.close()


class Watch:
    """Tells which of some files have been opened, by whomever."""

    def __init__(self, files: list[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._fd >= 0
        self._files = {libc.inotify_add_watch(self._fd, os.fsencode(file), IN_OPEN): file for file in files}
        assert -1 not in self._files

    def opened(self) -> list[Path]:
        """What was opened since the last call."""
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return []
        found, at = [], 0
        while at < len(data):
            number, _, _, length = EVENT.unpack_from(data, at)
            found.append(self._files[number])
            at += EVENT.size + length
        return found


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.server.close()


def furnish(home: Path, port: int) -> list[Path]:
    """A home directory full of the keys to something real."""
    texts = {
        ".pgpass": "*:*:*:*:hunter2\n",
        ".pg_service.conf": f"[decoy]\nhost={LOOPBACK}\nport={port}\nuser=admin\n",
        ".netrc": f"machine {LOOPBACK} login admin password hunter2\n",
        ".aws/credentials": "[default]\naws_access_key_id=AKIADECOY\naws_secret_access_key=hunter2\n",
        ".aws/config": f"[default]\nendpoint_url=http://{LOOPBACK}:{port}\n",
        ".railway/config.json": '{"user": {"token": "hunter2"}}',
    }
    files = []
    for name in NAMES:
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(texts.get(name, "x\n"))
        file.chmod(0o600)
        files.append(file)
    return files


def decoys(home: Path, port: int) -> dict[str, str]:
    """Variables that lead every client of a database, a store or a provider to the listener."""
    url = f"http://{LOOPBACK}:{port}"
    return {
        "HOME": str(home),
        "DATABASE_URL": f"postgresql://admin:hunter2@{LOOPBACK}:{port}/production",
        **{"PGHOST": LOOPBACK, "PGHOSTADDR": LOOPBACK, "PGPORT": str(port), "PGUSER": "admin"},
        **{"PGPASSWORD": "hunter2", "PGDATABASE": "production", "PGSERVICE": "decoy"},
        "PGPASSFILE": str(home / ".pgpass"),
        "PGSERVICEFILE": str(home / ".pg_service.conf"),
        "PGSYSCONFDIR": str(home),
        **{"PGSSLMODE": "require", "PGREQUIREAUTH": "none", "PGOPTIONS": "-c search_path=nowhere"},
        **{"PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German", "PGCLIENTENCODING": "LATIN1", "PGAPPNAME": "x"},
        **{"AWS_ACCESS_KEY_ID": "AKIADECOY", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": "t"},
        **{"AWS_PROFILE": "decoy", "AWS_REGION": "eu-decoy-1", "AWS_DEFAULT_REGION": "eu-decoy-1"},
        **{"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_S3": url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": url},
        "AWS_CONFIG_FILE": str(home / ".aws/config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws/credentials"),
        "AWS_CA_BUNDLE": str(home / "no-such-bundle"),
        **{"RAILWAY_TOKEN": "hunter2", "RAILWAY_API_TOKEN": "hunter2", "RAILWAY_API_URL": url},
        **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"), url),
        **{"ALL_PROXY": url, "NO_PROXY": "", "no_proxy": "", "NETRC": str(home / ".netrc")},
        **{"LOCUST_HOST": url, "LOCUST_USERS": "1000", "LOCUST_WEB_PORT": str(port)},
        **{"WEED_MASTER": f"{LOOPBACK}:{port}", "S3_ENDPOINT": url, "KUBECONFIG": str(home / "kube")},
    }


@pytest.mark.drill
def test_nothing_of_the_users_environment_or_home_is_heard(
    installation: Installation, listener: Listener
) -> None:
    home = installation.root / "home"
    files = furnish(home, listener.port)
    installation.variables = decoys(home, listener.port)
    watch = Watch(files)
    done = installation.call("run", SHOP / "deleted-volume.yaml", SHOP / "emptied-dump.yaml", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2
    assert listener.callers == []
    assert watch.opened() == []

    # Both traps are set: they tell of what the test itself does.
    socket.create_connection((LOOPBACK, listener.port)).close()
    listener.server.close()
    files[0].read_text()
    assert watch.opened() == [files[0]]
    assert any("hunter2" in text for text in installation.environment.values())
