"""What a script of the team's own is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.facts import OPERATOR, Credential, CredentialKind, Endpoint, Lease, Secret
from harness.seams.scripts import script_environment

KINDS: dict[str, CredentialKind] = {
    "aws": "access-key",
    "s3": "access-key",
    "railway": "account-token",
    "volume": "mount",
    "git": "mount",
    "container": "socket",
}


def endpoint(kind: str, service: str, path: Path) -> Endpoint:
    lease = Lease(run_id="run", service=service, kind=kind, directory=path)
    operator = Credential(OPERATOR, KINDS.get(kind, "password"), "operator", Secret("open sesame"))
    return Endpoint(lease, kind, "127.0.0.1", 5432, "orders", None, path, {OPERATOR: operator})


def test_an_aws_account_is_told_by_what_its_own_command_needs(tmp_path: Path) -> None:
    database, cloud = endpoint("postgres", "orders", tmp_path), endpoint("aws", "cloud", tmp_path)
    told = script_environment(database, {"cloud": cloud})
    assert {name: value for name, value in told.items() if name.startswith("CLOUD")} == {
        "CLOUD_ENDPOINT": "http://127.0.0.1:5432",
        "CLOUD_REGION": "orders",
        "CLOUD_ACCESS_KEY": "operator",
        "CLOUD_SECRET_KEY": "open sesame",
    }


def test_a_volume_is_told_by_where_it_is_mounted(tmp_path: Path) -> None:
    database = endpoint("postgres", "orders", tmp_path)
    disk = endpoint("volume", "backup-disk", tmp_path / "mount")
    told = script_environment(database, {"backup-disk": disk})
    of_disk = {name: value for name, value in told.items() if name.startswith("BACKUP_DISK")}
    assert of_disk == {"BACKUP_DISK_PATH": str(tmp_path / "mount")}
    assert told["PGPASSWORD"] == told["ORDERS_PASSWORD"] == "open sesame"


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("mariadb", {"HOST", "PORT", "DATABASE", "USER", "PASSWORD"}),
        ("valkey", {"HOST", "PORT", "DATABASE", "USER", "PASSWORD"}),
        ("s3", {"ENDPOINT", "BUCKET", "ACCESS_KEY", "SECRET_KEY"}),
        ("railway", {"ENDPOINT", "TOKEN"}),
        ("git", {"PATH"}),
        ("container", {"HOST", "PORT", "CONTAINER"}),
    ],
)
def test_each_kind_is_told_by_what_a_client_of_it_asks_for(
    tmp_path: Path, kind: str, names: set[str]
) -> None:
    told = script_environment(
        endpoint("postgres", "orders", tmp_path), {"it": endpoint(kind, "it", tmp_path)}
    )
    assert {name.removeprefix("IT_") for name in told if name.startswith("IT_")} == names
    if kind in ("mariadb", "valkey"):
        assert (told["IT_HOST"], told["IT_PORT"], told["IT_USER"]) == ("127.0.0.1", "5432", "operator")
