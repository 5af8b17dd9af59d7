"""What a delete takes along, and what can be taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from railway import RailwayClient, RailwayError

from tests.replicas.railway.conftest import DRIVERS, ControlPlane

HOURS_48 = 48 * 3600
NUMBERS = count()


@dataclass
class Shop:
    """A project with two environments, a service in both, and a volume in both with a file and a backup."""

    plane: ControlPlane
    client: RailwayClient
    project: str
    production: str
    staging: str
    service: str
    volume: str

    def instances(self) -> dict[str, dict[str, Any]]:
        """The volume's instances by environment."""
        return {
            one["environment"]: one for one in self.plane.look("volumes") if one["volumeId"] == self.volume
        }

    def mail(self) -> dict[str, Any]:
        return dict(self.plane.look("mail")[-1])

    def open(self, link: str) -> httpx.Response:
        return httpx.get(self.plane.endpoint.url + link, trust_env=False)


def files(root: Path) -> set[str]:
    """Everything below the volumes' root that is a file."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def shop(plane: ControlPlane) -> Shop:
    number = next(NUMBERS)
    client = plane.client(f"driver-{number % DRIVERS}")
    name = f"shop-{number}"
    made = client.project_create(name=name, default_environment_name=f"{name}-production")
    production = made.base_environment.id
    service = client.service_create(made.id, name="db").id
    volume = client.volume_create("/data", made.id, environment_id=production, service_id=service).id
    staging = client.environment_create(f"{name}-staging", made.id, source_environment_id=production).id
    client.volume_update(volume, name="data")
    made_shop = Shop(plane, client, made.id, production, staging, service, volume)
    for environment, instance in made_shop.instances().items():
        (Path(instance["directory"]) / "rows").write_text(environment)
        started = client.volume_instance_backup_create(instance["id"])
        assert plane.await_workflow(client, started.workflow_id) is None
    return made_shop


@pytest.fixture
def old(legacy: ControlPlane) -> Shop:
    return shop(legacy)


@pytest.fixture
def new(current: ControlPlane) -> Shop:
    return shop(current)


def test_a_volume_goes_in_every_environment_at_once_and_its_backups_with_it(old: Shop) -> None:
    root = old.plane.endpoint.path
    ids = {one["id"] for one in old.instances().values()}
    mine = next(iter(old.instances()))
    before = files(root)
    assert old.client.volume_delete(old.volume) is True
    lost = before - files(root)
    assert len(lost) == 4, "two files and the two backups of them"
    assert old.instances() == {}
    for id in ids:
        with pytest.raises(RailwayError, match="VolumeInstance not found"):
            old.client.volume_instance_backup_list(id)
    touched = old.plane.look("audit")[-1]["resources"]
    assert sorted((one["kind"], one["environment"] == mine) for one in touched) == [
        ("volume-backup", False),
        ("volume-backup", True),
        ("volume-instance", False),
        ("volume-instance", True),
    ]


def test_an_environment_goes_with_its_volumes_and_leaves_the_other_alone(old: Shop) -> None:
    production, staging = old.instances().values()
    assert old.client.environment_delete(old.staging) is True
    assert not Path(staging["directory"]).exists()
    assert (Path(production["directory"]) / "rows").exists()
    assert [one["id"] for one in old.instances().values()] == [production["id"]]
    with pytest.raises(RailwayError, match="Environment not found"):
        old.client.environment(old.staging)
    assert old.client.service(old.service).id == old.service


def test_a_volume_goes_with_its_last_environment(old: Shop) -> None:
    for environment in (old.staging, old.production):
        old.client.environment_delete(environment)
    with pytest.raises(RailwayError, match="Volume not found"):
        old.client.volume_update(old.volume, name="gone")
    with pytest.raises(RailwayError, match="Service not found"):
        old.client.service(old.service)


def test_a_service_leaves_its_volumes_behind_detached(old: Shop) -> None:
    assert old.client.service_delete(old.service) is True
    for instance in old.instances().values():
        assert instance["serviceId"] is None
        assert (Path(instance["directory"]) / "rows").exists()


def test_a_project_goes_with_everything_in_it(old: Shop) -> None:
    mine = f"shop-{next(iter(old.instances())).split('-')[1]}-"
    assert old.client.project_delete(old.project) is True
    assert old.instances() == {}
    assert [one for one in old.plane.look("inventory") if mine in one["name"]] == []
    assert [name for name in files(old.plane.endpoint.path) if name.startswith(mine)] == []


def test_a_project_in_either_profile_can_be_scheduled_and_spared(old: Shop, new: Shop) -> None:
    for store in (old, new):
        store.client.project_schedule_delete(store.project)
        deleted = datetime.fromisoformat(store.client.project(store.project).deleted_at or "")
        now = datetime.fromisoformat(store.plane.tell("advance", {"seconds": 0})["now"])
        assert timedelta(hours=47, minutes=59) < deleted - now <= timedelta(hours=48)
        assert len(store.instances()) == 2
        store.client.project_schedule_delete_cancel(store.project)
        store.plane.tell("advance", {"seconds": HOURS_48 + 1})
        assert len(store.instances()) == 2
        store.client.project_schedule_delete(store.project)
        store.plane.tell("advance", {"seconds": HOURS_48 + 1})
        assert store.instances() == {}


def test_a_soft_deleted_volume_is_hidden_with_its_backups_until_it_is_taken_back(new: Shop) -> None:
    root = new.plane.endpoint.path
    before, instances = files(root), new.instances()
    backups = {one["id"]: new.client.volume_instance_backup_list(one["id"]) for one in instances.values()}
    assert new.client.volume_delete(new.volume) is True

    assert not any(Path(one["directory"]).exists() for one in instances.values())
    for id in backups:
        seen = new.client._execute(
            "query ($id: String!) { volumeInstance(id: $id) { state deletedAt isPendingDeletion } }",
            {"id": id},
        )["volumeInstance"]
        assert (seen["state"], seen["isPendingDeletion"]) == ("DELETING", True)
        assert new.client.volume_instance_backup_list(id) == []
        with pytest.raises(RailwayError, match="not found"):
            new.client.volume_instance_backup_create(id)
    left = [one for one in new.plane.look("inventory") if one["environment"] in instances]
    assert {one["kind"] for one in left} == {"environment", "service"}

    mail = new.mail()
    assert mail["to"] == "owner@example.com"
    assert mail["link"] in mail["text"]
    assert {f"{environment}/data" for environment in instances} <= {one["name"] for one in mail["about"]}
    assert new.open(mail["link"]).status_code == 200

    assert files(root) == before
    assert {id: new.client.volume_instance_backup_list(id) for id in backups} == backups
    entry = new.plane.look("audit")[-1]
    assert (entry["principal"], entry["token_kind"], entry["operation"]) == (
        "operator",
        "mail-link",
        "restore",
    )
    assert new.open(mail["link"]).status_code == 404, "a link works once"


def test_a_soft_deletion_is_final_after_48_hours(new: Shop) -> None:
    ids = {one["id"] for one in new.instances().values()}
    new.client.volume_delete(new.volume)
    link = new.mail()["link"]
    new.plane.tell("advance", {"seconds": HOURS_48 - 60})
    assert {one["id"] for one in new.instances().values()} == ids
    new.plane.tell("advance", {"seconds": 61})
    assert new.instances() == {}
    assert new.open(link).status_code == 404
    left = files(new.plane.endpoint.path)
    assert not [name for name in left for id in ids if id in name]


def test_deleted_at_tells_when_the_volume_will_be_gone(new: Shop) -> None:
    new.client.volume_delete(new.volume)
    now = datetime.fromisoformat(new.plane.tell("advance", {"seconds": 0})["now"])
    id = next(iter(new.instances().values()))["id"]
    query = "query ($id: String!) { volumeInstance(id: $id) { deletedAt } }"
    told = datetime.fromisoformat(new.client._execute(query, {"id": id})["volumeInstance"]["deletedAt"])
    assert timedelta(0) <= now + timedelta(hours=48) - told < timedelta(seconds=30)


@pytest.mark.parametrize("operation", ["project", "environment", "service"])
def test_every_delete_can_be_taken_back_in_the_current_profile(new: Shop, operation: str) -> None:
    before, inventory = files(new.plane.endpoint.path), new.plane.look("inventory")
    mounts = {one["id"]: one["serviceId"] for one in new.instances().values()}
    {
        "project": lambda: new.client.project_delete(new.project),
        "environment": lambda: new.client.environment_delete(new.staging),
        "service": lambda: new.client.service_delete(new.service),
    }[operation]()
    assert new.plane.look("inventory") != inventory
    assert new.open(new.mail()["link"]).status_code == 200
    assert new.plane.look("inventory") == inventory
    assert files(new.plane.endpoint.path) == before
    assert {one["id"]: one["serviceId"] for one in new.instances().values()} == mounts


def test_force_leaves_nothing_to_take_back(new: Shop) -> None:
    ids = [one["id"] for one in new.instances().values()]
    new.client.volume_delete(new.volume)
    link = new.mail()["link"]
    new.client.project_delete(new.project)
    later = new.mail()["link"]
    assert new.client.project_schedule_delete_force(new.project) is True
    assert new.open(link).status_code == 404
    assert new.open(later).status_code == 404
    assert not [name for name in files(new.plane.endpoint.path) for id in ids if id in name]


def test_a_volume_does_not_come_back_over_something_else(new: Shop) -> None:
    new.client.volume_delete(new.volume)
    place = Path(next(iter(new.instances().values()))["directory"])
    place.mkdir()
    assert new.open(new.mail()["link"]).status_code == 409
    place.rmdir()
    assert new.open(new.mail()["link"]).status_code == 200


def test_a_staged_deletion_happens_when_it_is_deployed_and_in_its_environment_only(old: Shop) -> None:
    change = {"volumes": {old.volume: {"isDeleted": True}}, "services": {old.service: {"isDeleted": True}}}
    old.client.environment_stage_changes(old.staging, change)
    assert len(old.instances()) == 2
    old.client.environment_patch_commit_staged(old.staging)
    (left,) = old.instances().values()
    assert left["environmentId"] == old.production
    entry = old.plane.look("audit")[-1]
    assert {one["kind"] for one in entry["resources"]} == {"volume-instance", "volume-backup", "service"}
    assert len({one["environment"] for one in entry["resources"]}) == 1
    assert old.client.service_instance(old.production, old.service).service_id == old.service
