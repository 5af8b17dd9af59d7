"""The S3 replica, on a real server: what it lets whom do, and what it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from harness.clock import SystemClock
from harness.errors import DatabaseError, NotOursError, ProvisionError
from harness.facts import APPLICATION, BACK_DOOR, OPERATOR, Credential, Endpoint, Lease, Secret
from harness.replicas.s3 import S3Replica, seaweedfs
from harness.sandbox import LOOPBACK, MARK, Sandbox, free_port
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.items import content_hash
from harness.seams.s3_client import open_client

pytestmark = pytest.mark.slow

BUCKET = "bookings-vault"
STACK = Stack.model_validate(
    {
        "services": {
            "vault": {"kind": "s3", "bucket": BUCKET, "environment": "production"},
            "plain": {"kind": "s3", "bucket": "plain", "versioning": False, "object_lock": False},
            "versioned": {"kind": "s3", "bucket": "versioned", "object_lock": False},
        },
        "principals": {
            "keeper": {"grants": {"vault": "admin"}},
            "backup": {"grants": {"vault": "writer"}},
            "auditor": {"grants": {"vault": "reader"}},
            "stranger": {"grants": {"plain": "admin"}},
        },
    }
)
EVERYONE = (OPERATOR, APPLICATION, "keeper", "backup", "auditor")


def make_setting(sandbox: Sandbox) -> Setting:
    return Setting(stack=STACK, folder=sandbox.root, sandbox=sandbox, clock=SystemClock(), peers={})


def make_lease(sandbox: Sandbox, service: str, name: str = "") -> Lease:
    directory = sandbox.root / (name or service)
    return Lease(run_id=sandbox.run_id, service=service, kind="s3", directory=directory)


@pytest.fixture(scope="module")
def vault(sandbox: Sandbox) -> Iterator[Endpoint]:
    lease = make_lease(sandbox, "vault")
    yield S3Replica().provision(lease, make_setting(sandbox))
    S3Replica().destroy(lease)


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name}/object"


def client(endpoint: Endpoint, principal: str = OPERATOR) -> Any:
    return open_client(endpoint, endpoint.credentials[principal], timeout=10)


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


def put_locked(endpoint: Endpoint, key: str, mode: str) -> str:
    until = datetime.now(UTC) + timedelta(days=7)
    return client(endpoint).put_object(
        Bucket=BUCKET, Key=key, Body=b"copy", ObjectLockMode=mode, ObjectLockRetainUntilDate=until
    )["VersionId"]


def processes_in(directory: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(directory):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_what_the_operator_puts_it_gets_back(vault: Endpoint, key: str) -> None:
    content = bytes(range(256)) * 40_000
    client(vault).put_object(Bucket=BUCKET, Key=key, Body=content)
    assert client(vault).get_object(Bucket=BUCKET, Key=key)["Body"].read() == content


def test_the_endpoint_stands_where_the_stack_says(vault: Endpoint) -> None:
    assert (vault.service, vault.kind, vault.name, vault.host) == ("vault", "s3", BUCKET, LOOPBACK)
    assert vault.environment == "production"
    assert set(vault.credentials) == {*EVERYONE, BACK_DOOR}
    assert len({credential.name for credential in vault.credentials.values()}) == 6


def test_the_marker_is_the_leases(vault: Endpoint) -> None:
    assert S3Replica().read_marker(vault) == vault.lease.marker


@pytest.mark.parametrize("principal", EVERYONE)
def test_no_principal_reaches_the_marker(vault: Endpoint, principal: str) -> None:
    keys = client(vault, principal)
    assert code(lambda: keys.get_object(Bucket="ninelives", Key="lease")) == "AccessDenied"
    assert code(lambda: keys.put_object(Bucket="ninelives", Key="lease", Body=b"")) == "AccessDenied"
    assert code(lambda: keys.delete_object(Bucket="ninelives", Key="lease")) == "AccessDenied"
    assert code(lambda: keys.list_objects_v2(Bucket="ninelives")) == "AccessDenied"
    assert code(lambda: keys.delete_bucket(Bucket="ninelives")) == "AccessDenied"
    assert S3Replica().read_marker(vault) == vault.lease.marker


def test_keys_that_nobody_minted_open_nothing(vault: Endpoint) -> None:
    made_up = open_client(vault, Credential("nobody", "access-key", "AKIAMADEUP", Secret.mint()))
    assert code(lambda: made_up.list_objects_v2(Bucket=BUCKET)) == "InvalidAccessKeyId"
    known = vault.credentials["keeper"]
    guessed = open_client(vault, Credential("nobody", "access-key", known.name, Secret.mint()))
    assert code(lambda: guessed.list_objects_v2(Bucket=BUCKET)) == "SignatureDoesNotMatch"


def test_a_reader_reads_and_changes_nothing(vault: Endpoint, key: str) -> None:
    version = client(vault).put_object(Bucket=BUCKET, Key=key, Body=b"kept")["VersionId"]
    auditor = client(vault, "auditor")
    assert auditor.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"kept"
    assert auditor.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"][0]["VersionId"] == version
    assert code(lambda: auditor.put_object(Bucket=BUCKET, Key=key, Body=b"other")) == "AccessDenied"
    assert code(lambda: auditor.delete_object(Bucket=BUCKET, Key=key)) == "AccessDenied"
    assert code(lambda: auditor.delete_object(Bucket=BUCKET, Key=key, VersionId=version)) == "AccessDenied"
    assert code(lambda: auditor.delete_bucket(Bucket=BUCKET)) == "AccessDenied"
    assert client(vault).get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"kept"


@pytest.mark.parametrize("principal", ["backup", APPLICATION])
def test_a_writer_writes_and_deletes_versions_but_cannot_lock(
    vault: Endpoint, key: str, principal: str
) -> None:
    writer = client(vault, principal)
    version = writer.put_object(Bucket=BUCKET, Key=key, Body=b"mine")["VersionId"]
    until = datetime.now(UTC) + timedelta(days=1)
    assert (
        code(
            lambda: writer.put_object_retention(
                Bucket=BUCKET,
                Key=key,
                VersionId=version,
                Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
            )
        )
        == "AccessDenied"
    )
    writer.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
    assert not client(vault).list_object_versions(Bucket=BUCKET, Prefix=key).get("Versions")


@pytest.mark.parametrize("principal", [OPERATOR, "keeper", "backup"])
def test_a_version_locked_in_compliance_mode_survives_everyone(
    vault: Endpoint, key: str, principal: str
) -> None:
    version = put_locked(vault, key, "COMPLIANCE")
    keys = client(vault, principal)

    def delete(**more: Any) -> str:
        return code(lambda: keys.delete_object(Bucket=BUCKET, Key=key, VersionId=version, **more))

    assert delete() == "AccessDenied"
    assert delete(BypassGovernanceRetention=True) == "AccessDenied"
    keys.delete_object(Bucket=BUCKET, Key=key)
    keys.put_object(Bucket=BUCKET, Key=key, Body=b"other")
    kept = client(vault).get_object(Bucket=BUCKET, Key=key, VersionId=version)
    assert kept["Body"].read() == b"copy"
    assert kept["ObjectLockMode"] == "COMPLIANCE"


def test_retention_in_compliance_mode_is_never_shortened_or_weakened(vault: Endpoint, key: str) -> None:
    version = put_locked(vault, key, "COMPLIANCE")
    keeper = client(vault, "keeper")
    target = {"Bucket": BUCKET, "Key": key, "VersionId": version}
    locked = keeper.get_object_retention(**target)["Retention"]
    sooner = datetime.now(UTC) + timedelta(days=1)
    for bypass in (False, True):
        for retention in (
            {"Mode": "COMPLIANCE", "RetainUntilDate": sooner},
            {"Mode": "GOVERNANCE", "RetainUntilDate": locked["RetainUntilDate"]},
        ):
            answer = code(
                lambda r=retention, b=bypass: keeper.put_object_retention(
                    **target, Retention=r, BypassGovernanceRetention=b
                )
            )
            assert answer == "AccessDenied"
    assert keeper.get_object_retention(**target)["Retention"] == locked
    later = locked["RetainUntilDate"] + timedelta(days=1)
    keeper.put_object_retention(**target, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": later})
    assert keeper.get_object_retention(**target)["Retention"]["RetainUntilDate"] == later


def test_governance_mode_yields_to_an_admin_who_asks_for_the_bypass_and_to_nobody_else(
    vault: Endpoint, key: str
) -> None:
    target = {"Bucket": BUCKET, "Key": key, "VersionId": put_locked(vault, key, "GOVERNANCE")}
    assert code(lambda: client(vault, "keeper").delete_object(**target)) == "AccessDenied"
    for other in ("backup", "auditor"):
        keys = client(vault, other)
        assert (
            code(lambda k=keys: k.delete_object(**target, BypassGovernanceRetention=True)) == "AccessDenied"
        )
    client(vault, "keeper").delete_object(**target, BypassGovernanceRetention=True)
    assert not client(vault).list_object_versions(Bucket=BUCKET, Prefix=key).get("Versions")


def test_a_bucket_with_object_lock_keeps_versioning_on_and_is_not_deleted_while_full(
    vault: Endpoint, key: str
) -> None:
    client(vault).put_object(Bucket=BUCKET, Key=key, Body=b"x")
    keeper = client(vault, "keeper")
    suspended = {"Status": "Suspended"}
    answer = code(lambda: keeper.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=suspended))
    assert answer == "InvalidBucketState"
    assert code(lambda: keeper.delete_bucket(Bucket=BUCKET)) == "BucketNotEmpty"


def test_the_inventory_names_the_bucket_and_every_version(vault: Endpoint, key: str) -> None:
    first = client(vault).put_object(Bucket=BUCKET, Key=key, Body=b"1")["VersionId"]
    second = client(vault).put_object(Bucket=BUCKET, Key=key, Body=b"2")["VersionId"]
    client(vault).delete_object(Bucket=BUCKET, Key=key)
    found = S3Replica().inventory(vault)
    assert {r.name for r in found if r.name.startswith(key)} == {f"{key}@{first}", f"{key}@{second}"}
    assert [r.name for r in found if r.kind == "bucket"] == [BUCKET]
    assert {(r.service, r.environment) for r in found} == {("vault", "production")}
    assert not [r for r in found if "probe" in r.name or "lease" in r.name]


def test_it_describes_what_the_bucket_itself_says(vault: Endpoint) -> None:
    described = S3Replica().describe(vault)
    assert described["server"] == f"SeaweedFS {seaweedfs.release()}"
    assert (described["versioning"], described["object lock"]) == ("enabled", "enabled")


def test_everything_listens_on_loopback_only_and_talks_to_nobody_else(vault: Endpoint) -> None:
    servers = processes_in(vault.path)
    assert len(servers) == 4
    sockets = [connection for server in servers for connection in server.net_connections("inet")]
    listening = [s for s in sockets if s.status == psutil.CONN_LISTEN]
    assert len(listening) == 8
    assert {s.laddr.ip for s in listening} == {LOOPBACK}
    assert {s.raddr.ip for s in sockets if s.raddr} <= {LOOPBACK}
    names = {s.laddr for server in servers for s in server.net_connections("unix")} - {""}
    assert not {name for name in names if name.startswith("/") and not name.startswith(str(vault.path))}


def test_secrets_stand_in_one_file_that_only_its_owner_reads(vault: Endpoint) -> None:
    secrets = [credential.secret.reveal() for credential in vault.credentials.values()]
    servers = processes_in(vault.path)
    told = [text for server in servers for text in (*server.cmdline(), *server.environ().values())]
    assert not [secret for secret in secrets if any(secret in text for text in told)]
    holding = {
        file
        for file in vault.path.rglob("*")
        if file.is_file() and any(secret.encode() in file.read_bytes() for secret in secrets)
    }
    assert holding == {vault.path / "identities.json"}
    assert (vault.path / "identities.json").stat().st_mode & 0o777 == 0o600
    assert vault.path.stat().st_mode & 0o077 == 0


def test_settings_in_a_home_directory_are_not_read(sandbox: Sandbox) -> None:
    decoys, store = sandbox.root / ".seaweedfs", sandbox.root / "somebodys-real-store"
    decoys.mkdir()
    (decoys / "filer.toml").write_text(f'[leveldb2]\nenabled = true\ndir = "{store}"\n')
    lease = make_lease(sandbox, "vault", "undeceived")
    S3Replica().provision(lease, make_setting(sandbox))
    S3Replica().destroy(lease)
    assert not store.exists()


def test_a_plain_bucket_keeps_neither_versions_nor_locks(sandbox: Sandbox) -> None:
    lease = make_lease(sandbox, "plain@restore")
    endpoint = S3Replica().provision(lease, make_setting(sandbox))
    try:
        assert endpoint.service == "plain"
        assert S3Replica().read_marker(endpoint) == f"{sandbox.run_id}/plain@restore"
        described = S3Replica().describe(endpoint)
        assert (described["versioning"], described["object lock"]) == ("disabled", "disabled")
        keys = client(endpoint)
        keys.put_object(Bucket="plain", Key="a", Body=b"1")
        keys.put_object(Bucket="plain", Key="a", Body=b"2")
        assert [r.name for r in S3Replica().inventory(endpoint)] == ["plain", "a@null"]
        keys.delete_object(Bucket="plain", Key="a")
        client(endpoint, "stranger").delete_bucket(Bucket="plain")
        assert S3Replica().inventory(endpoint) == ()
    finally:
        S3Replica().destroy(lease)


def heard(listener: socket.socket) -> Iterator[bytes]:
    """What was said on each connection that somebody made."""
    with suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(1.0)
                yield connection.recv(100)


@pytest.mark.parametrize("role", ["master_grpc", "volume", "s3"])
def test_a_server_that_is_not_ours_is_never_spoken_to(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    lease = make_lease(sandbox, "versioned")
    with socket.create_server((LOOPBACK, 0)) as taken:
        first = replace(seaweedfs.Ports.choose(), **{role: taken.getsockname()[1]})
        chosen = iter([first, seaweedfs.Ports.choose()])
        monkeypatch.setattr(seaweedfs.Ports, "choose", lambda s3, secure: next(chosen))
        endpoint = S3Replica().provision(lease, make_setting(sandbox))
        S3Replica().destroy(lease)
        taken.settimeout(0.0)
        assert b"".join(heard(taken)) == b""
    assert endpoint.port != first.s3


def test_it_takes_other_ports_when_one_is_taken_and_destroy_leaves_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = make_lease(sandbox, "versioned")
    outside = {path for path in Path("/tmp").iterdir() if path.name.startswith("seaweedfs")}
    with socket.create_server((LOOPBACK, 0)) as taken:
        chosen = iter([free_port() for _ in range(7)] + [taken.getsockname()[1]])
        monkeypatch.setattr(seaweedfs, "free_port", lambda: next(chosen, None) or free_port())
        endpoint = S3Replica().provision(lease, make_setting(sandbox))
    described = S3Replica().describe(endpoint)
    assert (described["versioning"], described["object lock"]) == ("enabled", "disabled")
    assert next(chosen, None) is None
    servers = processes_in(lease.directory)
    assert len(servers) == 4
    assert {server.environ()[MARK] for server in servers} == {sandbox.run_id}

    S3Replica().destroy(lease)

    assert not [server for server in servers if is_alive(server)]
    assert not lease.directory.exists()
    assert {path for path in Path("/tmp").iterdir() if path.name.startswith("seaweedfs")} == outside
    assert S3Replica().inventory(endpoint) == ()
    with pytest.raises(NotOursError, match="no marker"):
        S3Replica().read_marker(endpoint)
    S3Replica().destroy(lease)


PROVISION_AND_HANG = """
import sys, time
from pathlib import Path
from harness.clock import SystemClock
from harness.facts import Lease
from harness.replicas.s3 import S3Replica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Setting

run, root, directory = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
stack = Stack.model_validate({"services": {"vault": {"kind": "s3", "bucket": "vault"}}})
setting = Setting(stack, root, Sandbox(run, root, root, None), SystemClock(), {})
S3Replica().provision(Lease(run_id=run, service="vault", kind="s3", directory=directory), setting)
print("ready", flush=True)
time.sleep(600)
"""


def test_what_a_killed_harness_left_is_destroyed_from_the_lease_alone(sandbox: Sandbox) -> None:
    lease = make_lease(sandbox, "vault", "orphan")
    command = [sys.executable, "-c", PROVISION_AND_HANG, lease.run_id, sandbox.root, lease.directory]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == "ready\n"
        harness.send_signal(signal.SIGKILL)
    orphans = processes_in(lease.directory)
    assert len(orphans) == 4

    S3Replica().destroy(lease)

    assert not [orphan for orphan in orphans if is_alive(orphan)]
    assert not lease.directory.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"principals": {"boss": {"grants": {"vault": "owner"}}}}, "cannot have the grant 'owner'"),
        (
            {"principals": {"boss": {"grants": {"vault": {"token": "account"}}}}},
            "cannot have the grant",
        ),
        ({"services": {"vault": {"kind": "s3", "bucket": "ninelives"}}}, "cannot be called ninelives"),
        ({"services": {"vault": {"kind": "postgres"}}}, "is not an S3 service"),
    ],
)
def test_a_stack_that_s3_cannot_be_is_refused_before_anything_starts(
    sandbox: Sandbox, change: dict[str, Any], message: str
) -> None:
    stack = Stack.model_validate({"services": {"vault": {"kind": "s3", "bucket": "b-b"}}} | change)
    setting = Setting(stack, sandbox.root, sandbox, SystemClock(), {})
    lease = make_lease(sandbox, "vault", "refused")
    with pytest.raises(ProvisionError, match=message) as caught:
        S3Replica().provision(lease, setting)
    assert caught.value.hint
    assert not lease.directory.exists()


@pytest.fixture
def items(sandbox: Sandbox) -> Iterator[tuple[S3Replica, Endpoint, Setting]]:
    """A bucket that begins with files of the user's."""
    photos = sandbox.root / "tree" / "photos"
    (photos / "2025").mkdir(parents=True)
    (photos / "a.jpg").write_bytes(b"a")
    (photos / "2025" / "b.jpg").write_bytes(b"b")
    os.utime(photos / "a.jpg", (1_700_000_000, 1_700_000_000))
    service = {"kind": "s3", "bucket": "items", "collections": ["photos"], "data": {"tree": "tree"}}
    stack = Stack.model_validate({"services": {"items": service}})
    setting = Setting(stack=stack, folder=sandbox.root, sandbox=sandbox, clock=SystemClock(), peers={})
    replica, lease = S3Replica(), make_lease(sandbox, "items")
    try:
        yield replica, replica.provision(lease, setting), setting
    finally:
        replica.destroy(lease)
        shutil.rmtree(sandbox.root / "tree")


def test_it_begins_with_the_users_files(items: tuple[S3Replica, Endpoint, Setting]) -> None:
    replica, endpoint, _ = items
    rows = {row.key: row for row in replica.rows(endpoint, "photos", "", None)}
    assert rows.keys() == {"a.jpg", "2025/b.jpg"}
    assert rows["a.jpg"].hash == content_hash(b"a")
    assert rows["a.jpg"].time == datetime.fromtimestamp(1_700_000_000, UTC)


def test_a_link_that_leads_out_of_the_users_files_is_refused(
    items: tuple[S3Replica, Endpoint, Setting], sandbox: Sandbox
) -> None:
    replica, _, setting = items
    (sandbox.root / "secret").write_text("s")
    (sandbox.root / "tree" / "photos" / "out").symlink_to("../../secret")
    lease = make_lease(sandbox, "items", "with-a-link")
    try:
        with pytest.raises(ProvisionError, match="leads out of the tree of items"):
            replica.provision(lease, setting)
    finally:
        replica.destroy(lease)


def test_the_hash_of_an_object_is_of_its_content_however_it_was_put(
    items: tuple[S3Replica, Endpoint, Setting],
) -> None:
    replica, endpoint, _ = items
    whole, parts = os.urandom(6 << 20), []
    operator = client(endpoint)
    operator.put_object(Bucket="items", Key="photos/whole", Body=whole)
    target = {"Bucket": "items", "Key": "photos/parts"}
    upload = operator.create_multipart_upload(**target)["UploadId"]
    for number, part in enumerate((whole[: 5 << 20], whole[5 << 20 :]), start=1):
        tag = operator.upload_part(**target, UploadId=upload, PartNumber=number, Body=part)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    operator.complete_multipart_upload(**target, UploadId=upload, MultipartUpload={"Parts": parts})
    rows = {row.key: row.hash for row in replica.rows(endpoint, "photos", "", None)}
    assert rows["whole"] == rows["parts"] == content_hash(whole)
    tags = {operator.head_object(Bucket="items", Key=f"photos/{name}")["ETag"] for name in ("whole", "parts")}
    assert len(tags) == 2, "their entity tags differ"


def test_a_fenced_one_is_served_again_at_an_address_of_its_own(
    items: tuple[S3Replica, Endpoint, Setting],
) -> None:
    replica, endpoint, setting = items
    assert replica.reopen(endpoint, setting) == endpoint, "it was not fenced"
    before = list(replica.rows(endpoint, "photos", "", None))
    replica.fence(endpoint)
    again = replica.reopen(endpoint, setting)
    assert again.port != endpoint.port
    assert replica.reopen(endpoint, setting) == again
    assert list(replica.rows(again, "photos", "", None)) == before
    assert not replica.alive(endpoint)
    replica.destroy(endpoint.lease)
    with pytest.raises(DatabaseError, match="nothing is left of items"):
        replica.reopen(endpoint, setting)
