"""The driver of the control plane: up quickly, known by its lease, gone without a trace."""

from __future__ import annotations

import socket
import stat
from itertools import count
from pathlib import Path

import psutil
import pytest

from harness.errors import ProvisionError
from harness.facts import BACK_DOOR, OPERATOR, Endpoint, Lease, Resource
from harness.replicas.handover import FILE, digest, hand_over
from harness.replicas.leases import stop
from harness.replicas.railway import RailwayReplica
from harness.replicas.railway.handover import Handover, Mount, TokenSeed
from harness.sandbox import LOOPBACK, Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Replica, Setting
from harness.seams.lookup import lookup
from tests.replicas.railway.conftest import CLOCK, ControlPlane, control_plane, stack

NUMBERS = count()
SERVER = "harness.replicas.railway.server"


def lease(sandbox: Sandbox, service: str = "railway") -> Lease:
    number = next(NUMBERS)
    return Lease(
        run_id=sandbox.run_id, service=service, kind="railway", directory=sandbox.root / f"lease-{number}"
    )


def processes(endpoint: Endpoint) -> list[psutil.Process]:
    running = psutil.process_iter(["name", "cwd"])
    return [
        process
        for process in running
        if process.info["name"].startswith("python") and process.info["cwd"] == str(endpoint.lease.directory)
    ]


def test_it_is_found_by_name_and_needs_nobody(legacy: ControlPlane) -> None:
    assert lookup("replicas", "railway") is RailwayReplica
    assert isinstance(RailwayReplica(), Replica)
    assert RailwayReplica().requires(legacy.setting.stack, "railway") == ()


def test_it_answers_soon_and_tells_whose_it_is(sandbox: Sandbox) -> None:
    began = CLOCK.stamp()
    with control_plane(sandbox, "current", name="quick") as plane:
        seconds = CLOCK.stamp().since(began)
        marker = RailwayReplica().read_marker(plane.endpoint)
        assert marker == plane.endpoint.lease.marker == f"{sandbox.run_id}/railway@quick"
        assert plane.endpoint.service == "railway"
        assert plane.endpoint.host == LOOPBACK
    assert seconds < 10, "0.8 s on an idle machine; what is tested is that nothing waits for a time-out"


def test_the_inventory_names_what_can_be_deleted(legacy: ControlPlane) -> None:
    client, volume = legacy.client(), legacy.volume()
    project = client.projects().edges[0].cursor
    client.custom_domain_create("book.example.org", volume["environmentId"], project, volume["serviceId"])
    body = {"volumeInstanceId": volume["id"], "kind": "WEEKLY", "at": "2100-01-01T00:00:00+00:00"}
    backup = legacy.tell("scheduled-backup", body)["id"]
    found = RailwayReplica().inventory(legacy.endpoint)
    expected = {
        ("project", "pocketos", None),
        ("environment", "production", "production"),
        ("environment", "staging", "staging"),
        ("service", "production/bookings", "production"),
        ("service", "staging/bookings-staging", "staging"),
        ("volume-instance", "production/bookings-data", "production"),
        ("volume-instance", "staging/bookings-data", "staging"),
        ("volume-backup", f"production/bookings-data/{backup}", "production"),
        ("custom-domain", "production/bookings/book.example.org", "production"),
    }
    assert {(one.kind, one.name, one.environment) for one in found} == expected
    assert {one.service for one in found} == {"railway"}
    assert all(isinstance(one, Resource) for one in found)


@pytest.mark.parametrize(("profile", "deletes"), [("legacy", "at once"), ("current", "after 48 h")])
def test_it_describes_what_a_delete_means(profile: str, deletes: str, request: pytest.FixtureRequest) -> None:
    plane: ControlPlane = request.getfixturevalue(profile)
    told = RailwayReplica().describe(plane.endpoint)
    assert (told["profile"], told["deletes"], told["plan"]) == (profile, deletes, "pro")


def test_a_volume_instance_is_an_empty_directory_that_only_the_server_may_enter(
    legacy: ControlPlane, sandbox: Sandbox
) -> None:
    for environment in ("production", "staging"):
        directory = legacy.endpoint.path / environment / "bookings-data"
        assert list(directory.iterdir()) == []
        status = directory.stat()
        assert stat.S_IMODE(status.st_mode) == 0o700
        if sandbox.account is not None:
            assert (status.st_uid, status.st_gid) == (sandbox.account.uid, sandbox.account.gid)


def test_everybody_with_a_grant_gets_a_token_of_the_granted_kind(legacy: ControlPlane) -> None:
    kinds = {name: credential.kind for name, credential in legacy.endpoint.credentials.items()}
    assert kinds[OPERATOR] == "account-token"
    assert kinds[BACK_DOOR] == "back-door"
    assert kinds["staging"] == "project-token"
    assert kinds["workspace"] == "workspace-token"
    assert kinds["domains"] == "scoped-token"
    secrets = [credential.secret.reveal() for credential in legacy.endpoint.credentials.values()]
    assert len(set(secrets)) == len(secrets)


def test_no_secret_is_on_disk_or_in_a_command_line(legacy: ControlPlane) -> None:
    directory = legacy.endpoint.lease.directory
    assert not (directory / FILE).exists()
    (process,) = processes(legacy.endpoint)
    shown = " ".join(process.cmdline()) + repr(process.environ())
    texts = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    for credential in legacy.endpoint.credentials.values():
        secret = credential.secret.reveal()
        assert secret not in shown
        assert not any(secret.encode() in text for text in texts)


def test_what_is_handed_over_holds_digests_and_is_for_our_eyes_only(tmp_path: Path) -> None:
    handover = Handover(
        marker="run/railway",
        profile="legacy",
        plan="pro",
        confirmations="none",
        project="shop",
        environments=("production",),
        mounts=(Mount("db", "production", "data"),),
        tokens=(TokenSeed("p", "scoped", "p", digest("very-secret"), "****cret", None, ("me",)),),
        back_door=digest("back"),
        root=str(tmp_path),
        owner=(1, 2),
    )
    path = hand_over(handover, tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "very-secret" not in path.read_text()
    assert Handover.take(path) == handover
    assert not path.exists()


def test_its_port_is_its_own_from_the_beginning(legacy: ControlPlane) -> None:
    with socket.socket() as rival, pytest.raises(OSError, match="in use"):
        rival.bind((LOOPBACK, legacy.endpoint.port))
    (process,) = processes(legacy.endpoint)
    listening = [one for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
    assert [(one.laddr.ip, one.laddr.port) for one in listening] == [(LOOPBACK, legacy.endpoint.port)]


def test_a_control_plane_that_died_has_no_inventory_and_does_not_say_whose_it_is(sandbox: Sandbox) -> None:
    with control_plane(sandbox, "legacy", name="mortal") as plane:
        stop(plane.endpoint.lease)
        assert RailwayReplica().inventory(plane.endpoint) == ()
        with pytest.raises(ProvisionError, match="does not tell its marker"):
            RailwayReplica().read_marker(plane.endpoint)


def test_destroying_takes_the_lease_alone_and_can_be_repeated(sandbox: Sandbox) -> None:
    own = lease(sandbox)
    endpoint = RailwayReplica().provision(own, Setting(stack("legacy"), sandbox.root, sandbox, CLOCK, {}))
    (process,) = processes(endpoint)
    for _ in range(2):
        RailwayReplica().destroy(Lease(**own.model_dump()))
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert not own.directory.exists()


def changed(what: dict[str, object], principals: dict[str, object] | None = None) -> Stack:
    railway = {"kind": "railway", "project": "shop", "environments": ["production"]}
    return Stack.model_validate({"services": {"railway": railway, **what}, "principals": principals or {}})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (changed({"db": {"kind": "postgres", "volume": "railway/data"}}), "stands in no environment"),
        (
            changed({"db": {"kind": "postgres", "volume": "railway/data", "environment": "staging"}}),
            "stands in no environment",
        ),
        (changed({}, {"p": {"grants": {"railway": "owner"}}}), "is not a grant"),
        (changed({}, {"p": {"grants": {"railway": {"token": "project"}}}}), "needs an environment"),
        (
            changed({}, {"p": {"grants": {"railway": {"token": "project", "environment": "staging"}}}}),
            "needs an environment",
        ),
    ],
)
def test_a_stack_that_does_not_fit_is_refused_before_anything_runs(
    model: Stack, message: str, sandbox: Sandbox
) -> None:
    own = lease(sandbox)
    with pytest.raises(ProvisionError, match=message) as refused:
        RailwayReplica().provision(own, Setting(model, sandbox.root, sandbox, CLOCK, {}))
    assert refused.value.hint
    RailwayReplica().destroy(own)


def test_a_server_that_does_not_come_up_is_reported_with_its_last_words(sandbox: Sandbox) -> None:
    own = lease(sandbox)
    own.directory.mkdir()
    (own.directory / "volumes").mkdir()
    (own.directory / "volumes" / ".backups").write_text("in the way")
    with pytest.raises(ProvisionError, match=r"did not come up: .*FileExistsError"):
        RailwayReplica().provision(own, Setting(stack("legacy"), sandbox.root, sandbox, CLOCK, {}))
    RailwayReplica().destroy(own)
    assert not own.directory.exists()
