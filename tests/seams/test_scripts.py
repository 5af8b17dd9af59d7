"""What a script of the team's own is told."""

from __future__ import annotations

from pathlib import Path

from harness.facts import OPERATOR, Credential, Endpoint, Lease, Secret
from harness.seams.scripts import script_environment


def endpoint(kind: str, service: str, path: Path) -> Endpoint:
    lease = Lease(run_id="run", service=service, kind=kind, directory=path)
    operator = Credential(OPERATOR, "password", "operator", Secret("open sesame"))
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
