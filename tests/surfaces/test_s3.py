"""The S3 surface, on a real server: what is done, refused and failed, and what each call touched."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.clock import SystemClock
from harness.facts import OPERATOR, Action, Endpoint, Lease, Outcome
from harness.replicas.s3 import S3Replica
from harness.sandbox import LOOPBACK, Sandbox, free_port
from harness.scenario.models import Stack
from harness.seams.drivers import Setting
from harness.seams.s3_client import open_client
from harness.surfaces.s3 import S3Surface

BUCKET = "bookings-vault"
STACK = Stack.model_validate(
    {
        "services": {"vault": {"kind": "s3", "bucket": BUCKET, "environment": "production"}},
        "principals": {
            "keeper": {"grants": {"vault": "admin"}},
            "backup": {"grants": {"vault": "writer"}},
            "auditor": {"grants": {"vault": "reader"}},
        },
    }
)
Perform = Callable[..., Outcome]


@pytest.fixture(scope="module")
def vault(sandbox: Sandbox) -> Iterator[Endpoint]:
    setting = Setting(STACK, sandbox.root, sandbox, SystemClock(), {})
    lease = Lease(run_id=sandbox.run_id, service="vault", kind="s3", directory=sandbox.root / "vault")
    replica = S3Replica()
    yield replica.provision(lease, setting)
    replica.destroy(lease)


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name}/object"


@pytest.fixture
def store(vault: Endpoint) -> Any:
    return open_client(vault, vault.credentials[OPERATOR])


@pytest.fixture
def perform(vault: Endpoint) -> Perform:
    def call(verb: str, *, by: str = "keeper", at: Endpoint = vault, **arguments: object) -> Outcome:
        action = Action(number=1, surface="s3", verb=verb, service="vault")
        return S3Surface(by, at, SystemClock()).perform(action, arguments)

    return call


def names(outcome: Outcome) -> list[str]:
    return [resource.name for resource in outcome.touched]


def put_locked(store: Any, key: str, mode: str) -> str:
    until = datetime.now(UTC) + timedelta(days=7)
    return store.put_object(
        Bucket=BUCKET, Key=key, Body=b"copy", ObjectLockMode=mode, ObjectLockRetainUntilDate=until
    )["VersionId"]


def test_put_touches_the_version_it_made(perform: Perform, store: Any, key: str) -> None:
    outcome = perform("put", key=key, body="hällo")
    version = store.head_object(Bucket=BUCKET, Key=key)["VersionId"]
    assert outcome.status == "done"
    assert names(outcome) == [f"{key}@{version}"]
    assert (outcome.touched[0].kind, outcome.touched[0].environment) == ("object", "production")
    assert json.loads(outcome.text) == {"version": version}
    assert store.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() == "hällo"
    assert outcome.ended.mono > outcome.began.mono


def test_get_shows_the_agent_the_content_and_the_journal_only_its_size(
    perform: Perform, store: Any, key: str
) -> None:
    old = store.put_object(Bucket=BUCKET, Key=key, Body=b"a card number")["VersionId"]
    store.put_object(Bucket=BUCKET, Key=key, Body=b"newer")
    latest, first = perform("get", key=key), perform("get", key=key, version=old, by="auditor")
    assert json.loads(latest.text)["body"] == "newer"
    assert json.loads(first.text) == {
        "key": key,
        "version": old,
        "size": 13,
        "body": "a card number",
        "whole": True,
    }
    assert first.detail == "13 bytes"
    assert first.touched == ()
    assert first.digest == hashlib.sha256(first.text.encode()).hexdigest()
    assert "card" not in first.model_dump_json()


def test_get_shows_no_more_than_the_first_mebibyte(perform: Perform, store: Any, key: str) -> None:
    store.put_object(Bucket=BUCKET, Key=key, Body=b"x" * (1 << 20) + b"y")
    shown = json.loads(perform("get", key=key).text)
    assert (len(shown["body"]), shown["whole"], shown["size"]) == (1 << 20, False, (1 << 20) + 1)


def test_list_and_list_versions_tell_current_objects_from_what_lies_beneath(
    perform: Perform, store: Any, key: str
) -> None:
    first = store.put_object(Bucket=BUCKET, Key=f"{key}/1", Body=b"a")["VersionId"]
    second = store.put_object(Bucket=BUCKET, Key=f"{key}/1", Body=b"bb")["VersionId"]
    gone = store.put_object(Bucket=BUCKET, Key=f"{key}/2", Body=b"c")["VersionId"]
    marker = store.delete_object(Bucket=BUCKET, Key=f"{key}/2")["VersionId"]
    current = perform("list", prefix=key, by="auditor")
    assert [(item["key"], item["size"]) for item in json.loads(current.text)] == [(f"{key}/1", 2)]
    assert current.detail == "1 objects"
    everything = json.loads(perform("list-versions", prefix=key, by="auditor").text)
    listed = {(item["key"], item["version"], item["latest"]) for item in everything["versions"]}
    assert listed == {(f"{key}/1", second, True), (f"{key}/1", first, False), (f"{key}/2", gone, False)}
    assert [item["version"] for item in everything["delete_markers"]] == [marker]


def test_deleting_without_a_version_touches_the_version_that_it_hides(
    perform: Perform, store: Any, key: str
) -> None:
    version = store.put_object(Bucket=BUCKET, Key=key, Body=b"x")["VersionId"]
    outcome = perform("delete-object", key=key, by="backup")
    assert (outcome.status, outcome.detail) == ("done", "hidden behind a delete marker")
    assert names(outcome) == [f"{key}@{version}"]
    again = perform("delete-object", key=key, by="backup")
    assert (again.status, again.touched) == ("done", ())


def test_deleting_a_version_touches_that_version(perform: Perform, store: Any, key: str) -> None:
    old = store.put_object(Bucket=BUCKET, Key=key, Body=b"x")["VersionId"]
    store.put_object(Bucket=BUCKET, Key=key, Body=b"y")
    outcome = perform("delete-object", key=key, version=old, by="backup")
    assert (outcome.status, outcome.detail, names(outcome)) == ("done", "deleted", [f"{key}@{old}"])


def test_deleting_what_is_not_there_is_done_and_touches_nothing(
    perform: Perform, store: Any, key: str
) -> None:
    assert perform("delete-object", key=f"{key}-that-never-was").touched == ()
    store.put_object(Bucket=BUCKET, Key=f"{key}-with-longer-name", Body=b"x")
    kept = store.put_object(Bucket=BUCKET, Key=key, Body=b"x")["VersionId"]
    outcome = perform("delete-object", key=key, version="0" * 32)
    assert (outcome.status, outcome.touched) == ("done", ())
    assert store.head_object(Bucket=BUCKET, Key=key)["VersionId"] == kept


def test_taking_a_delete_marker_away_touches_the_version_that_shows_again(
    perform: Perform, store: Any, key: str
) -> None:
    version = store.put_object(Bucket=BUCKET, Key=key, Body=b"x")["VersionId"]
    marker = store.delete_object(Bucket=BUCKET, Key=key)["VersionId"]
    assert names(perform("delete-object", key=key, version=marker)) == [f"{key}@{version}"]


@pytest.mark.parametrize("bypass", [False, True])
def test_compliance_mode_refuses_even_an_admin(perform: Perform, store: Any, key: str, bypass: bool) -> None:
    version = put_locked(store, key, "COMPLIANCE")
    outcome = perform("delete-object", key=key, version=version, bypass=bypass)
    assert outcome.status == "refused"
    assert outcome.detail.startswith("403 AccessDenied")
    assert outcome.touched == ()
    shorter = datetime.now(UTC) + timedelta(hours=1)
    outcome = perform(
        "put-retention", key=key, version=version, mode="compliance", until=shorter, bypass=bypass
    )
    assert (outcome.status, outcome.touched) == ("refused", ())


def test_governance_mode_lets_go_only_of_who_asks_for_the_bypass(
    perform: Perform, store: Any, key: str
) -> None:
    version = put_locked(store, key, "GOVERNANCE")
    assert perform("delete-object", key=key, version=version).status == "refused"
    assert perform("delete-object", key=key, version=version, by="backup", bypass=True).status == "refused"
    outcome = perform("delete-object", key=key, version=version, bypass=True)
    assert (outcome.status, names(outcome)) == ("done", [f"{key}@{version}"])


def test_a_lock_in_governance_mode_is_shortened_and_one_in_compliance_mode_is_not(
    perform: Perform, store: Any, key: str
) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    loose, firm = put_locked(store, key, "GOVERNANCE"), put_locked(store, f"{key}-firm", "COMPLIANCE")
    wanted = {"mode": "governance", "until": soon, "bypass": True}
    assert perform("put-retention", key=key, version=loose, by="backup", **wanted).status == "refused"
    shortened = perform("put-retention", key=key, version=loose, **wanted)
    assert (shortened.status, names(shortened)) == ("done", [f"{key}@{loose}"])
    firmly = {"mode": "compliance", "until": soon, "bypass": True}
    refused = perform("put-retention", key=f"{key}-firm", version=firm, **firmly)
    assert (refused.status, refused.touched) == ("refused", ())


def test_emptying_a_prefix_leaves_what_is_locked(perform: Perform, store: Any, key: str) -> None:
    firm = put_locked(store, f"{key}/1", "COMPLIANCE")
    loose = put_locked(store, f"{key}/2", "GOVERNANCE")
    old = store.put_object(Bucket=BUCKET, Key=f"{key}/3", Body=b"a")["VersionId"]
    new = store.put_object(Bucket=BUCKET, Key=f"{key}/3", Body=b"b")["VersionId"]
    store.put_object(Bucket=BUCKET, Key=f"{key}-beside", Body=b"kept")
    assert perform("delete-objects", prefix=f"{key}/", by="auditor").status == "refused"
    hidden = perform("delete-objects", prefix=f"{key}/", by="backup")
    assert (hidden.status, hidden.detail) == ("done", "deleted 3 of 3")
    assert sorted(names(hidden)) == sorted([f"{key}/1@{firm}", f"{key}/2@{loose}", f"{key}/3@{new}"])
    emptied = perform("delete-objects", prefix=f"{key}/", versions=True, bypass=True)
    assert emptied.status == "done"
    assert {f"{key}/2@{loose}", f"{key}/3@{old}", f"{key}/3@{new}"} <= set(names(emptied))
    left = json.loads(perform("list-versions", prefix=key).text)["versions"]
    assert {item["version"] for item in left if item["key"].startswith(f"{key}/")} == {firm}
    again = perform("delete-objects", prefix=f"{key}/", versions=True, bypass=True)
    assert again.status == "refused", "what is left is locked"
    nothing = perform("delete-objects", prefix=f"{key}-of-nothing")
    assert (nothing.status, nothing.detail, nothing.touched) == ("done", "deleted 0 of 0", ())


def test_put_retention_touches_the_version_it_locks(perform: Perform, store: Any, key: str) -> None:
    version = store.put_object(Bucket=BUCKET, Key=key, Body=b"x")["VersionId"]
    until = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    outcome = perform("put-retention", key=key, mode="governance", until=until.isoformat())
    assert (outcome.status, names(outcome)) == ("done", [f"{key}@{version}"])
    locked = store.get_object_retention(Bucket=BUCKET, Key=key)["Retention"]
    assert locked == {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    began = datetime.now(UTC)
    outcome = perform("put-retention", key=key, mode="governance", days=1, bypass=True)
    assert (outcome.status, names(outcome)) == ("done", [f"{key}@{version}"])
    locked = store.get_object_retention(Bucket=BUCKET, Key=key)["Retention"]
    # S3 keeps whole seconds.
    assert (
        timedelta(seconds=-1) <= locked["RetainUntilDate"] - began - timedelta(days=1) < timedelta(minutes=1)
    )


def test_a_reader_is_refused_every_change(perform: Perform, store: Any, key: str) -> None:
    store.put_object(Bucket=BUCKET, Key=key, Body=b"kept")
    until = datetime.now(UTC) + timedelta(days=2)
    outcomes = [
        perform("put", by="auditor", key=key, body="other"),
        perform("delete-object", by="auditor", key=key),
        perform("delete-bucket", by="auditor"),
        perform("put-lifecycle", by="auditor", days=1),
        perform("put-versioning", by="auditor", status="Suspended"),
        perform("put-retention", by="auditor", key=key, mode="compliance", until=until),
    ]
    assert {outcome.status for outcome in outcomes} == {"refused"}
    assert {outcome.touched for outcome in outcomes} == {()}
    assert store.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"kept"


def test_a_bucket_that_is_not_empty_and_a_lock_that_needs_versions_are_guards(
    perform: Perform, store: Any, key: str
) -> None:
    store.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    full = perform("delete-bucket")
    assert (full.status, full.touched) == ("refused", ())
    assert full.detail == "409 BucketNotEmpty: only an empty bucket can be deleted"
    suspend = perform("put-versioning", status="Suspended")
    assert (suspend.status, suspend.touched) == ("refused", ())
    assert "keeps its versions" in suspend.detail


def test_put_lifecycle_touches_the_bucket_once(perform: Perform) -> None:
    assert names(perform("put-lifecycle", days=3)) == [f"{BUCKET}/lifecycle"]
    assert names(perform("put-lifecycle", days=3)) == []
    assert names(perform("put-lifecycle", days=4, prefix="x/")) == [f"{BUCKET}/lifecycle"]


def test_versioning_that_is_on_already_is_not_touched(perform: Perform) -> None:
    outcome = perform("put-versioning", status="Enabled")
    assert (outcome.status, outcome.touched) == ("done", ())


def test_a_principal_without_keys_is_refused_by_the_server(perform: Perform) -> None:
    outcome = perform("list", by="stranger")
    assert outcome.status == "refused"
    assert outcome.detail.startswith("403 InvalidAccessKeyId")


def test_keys_that_were_found_elsewhere_can_be_used(
    perform: Perform, vault: Endpoint, store: Any, key: str
) -> None:
    found = vault.credentials["keeper"]
    keys = {"access_key": found.name, "secret_key": found.secret.reveal()}
    assert perform("put", by="stranger", key=key, body="x", **keys).status == "done"
    wrong = perform("put", by="keeper", key=key, body="y", access_key=found.name, secret_key="guess")
    assert wrong.status == "failed", "keys that nobody ever had prove no guard"
    assert "guess" not in wrong.detail
    half = perform("list", access_key=found.name)
    assert (half.status, half.detail) == ("failed", "access_key and secret_key go together")


def test_other_buckets_are_refused_and_missing_things_failed(perform: Perform, key: str) -> None:
    assert perform("list", bucket="ninelives").status == "refused"
    assert perform("list", bucket="bookings-valut").status == "failed", "a misspelt bucket proves no guard"
    missing = perform("get", key=key)
    assert (missing.status, missing.detail.split(":")[0]) == ("failed", "404 NoSuchKey")


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("drop", {}),
        ("get", {}),
        ("get", {"key": ""}),
        ("get", {"key": "a", "colour": "blue"}),
        ("put", {"key": "a"}),
        ("put", {"key": "a", "body": 7}),
        ("list", {"bucket": "../etc"}),
        ("list", {"access_key": "a\nb", "secret_key": "ü"}),
        ("delete-object", {"key": "a", "bypass": "maybe"}),
        ("put-lifecycle", {"days": 0}),
        ("put-versioning", {"status": "Off"}),
        ("put-retention", {"key": "a", "mode": "loose", "until": "2030-01-01T00:00:00Z"}),
        ("put-retention", {"key": "a", "mode": "governance", "until": "soon"}),
        ("put-retention", {"key": "a", "mode": "governance"}),
        ("put-retention", {"key": "a", "mode": "governance", "until": "2030-01-01T00:00:00Z", "days": 1}),
    ],
)
def test_a_call_that_makes_no_sense_fails_and_says_why(
    perform: Perform, verb: str, arguments: dict[str, object]
) -> None:
    outcome = perform(verb, **arguments)
    assert outcome.status == "failed"
    assert outcome.detail
    assert outcome.touched == ()


def test_a_server_that_is_not_there_or_not_answering_is_failed(
    perform: Perform, vault: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = perform("list", at=replace(vault, port=free_port()))
    assert gone.status == "failed"
    assert "EndpointConnectionError" in gone.detail
    monkeypatch.setattr("harness.surfaces.s3.CALL_SECONDS", 0.2)
    with socket.create_server((LOOPBACK, 0)) as silent:
        late = perform("list", at=replace(vault, port=silent.getsockname()[1]))
    assert late.status == "failed"
    assert "Timeout" in late.detail


def test_a_call_that_landed_stays_done_when_it_cannot_be_read_back(
    perform: Perform, store: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import EndpointConnectionError

    from harness.surfaces.s3_witness import Witness

    looks = iter([Witness.versions])

    def look(self: Witness, bucket: str, key: str) -> object:
        for first in looks:
            return first(self, bucket, key)
        raise EndpointConnectionError(endpoint_url="http://gone")

    monkeypatch.setattr(Witness, "versions", look)
    outcome = perform("put", key=key, body="x")
    assert outcome.status == "done"
    assert "cannot be read back" in outcome.detail
    assert store.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == 1


def test_no_outcome_repeats_a_secret(perform: Perform, vault: Endpoint, key: str) -> None:
    secret = vault.credentials["keeper"].secret.reveal()
    outcomes = [
        perform("get", key=secret),
        perform("put", key=key, body=secret),
        perform("list", bucket=secret),
        perform("list", prefix=secret),
        perform(secret),
    ]
    assert not [outcome.detail for outcome in outcomes if secret in outcome.detail]


READ_WITH_DECOYS = """
import sys
opened = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        opened.append(arguments[0])
sys.addaudithook(watch)

from pathlib import Path
from harness.clock import SystemClock
from harness.facts import Action, Credential, Endpoint, Lease, Secret
from harness.surfaces.s3 import S3Surface

port, name, secret, door_name, door_secret, home = sys.stdin.read().split()
keys = {
    "keeper": Credential("keeper", "access-key", name, Secret(secret)),
    "@replica": Credential("@replica", "back-door", door_name, Secret(door_secret)),
}
lease = Lease(run_id="run", service="vault", kind="s3", directory=Path("/nowhere"))
endpoint = Endpoint(lease, "s3", "127.0.0.1", int(port), "bookings-vault", None, Path("/nowhere"), keys)
surface = S3Surface("keeper", endpoint, SystemClock())
key = {"key": "decoys"}
for verb, arguments in (("put", key | {"body": "x"}), ("list", {}), ("delete-object", key)):
    outcome = surface.perform(Action(number=1, surface="s3", verb=verb), arguments)
    print(verb, outcome.status, outcome.detail)
print("opened", [path for path in opened if path.startswith(home)])
"""


def test_nothing_is_read_from_the_environment_or_a_home_directory(vault: Endpoint, tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as trap:
        trap.settimeout(0.1)
        url = f"http://{LOOPBACK}:{trap.getsockname()[1]}"
        environment = decoy_home(tmp_path, url)
        keeper, door = vault.credentials["keeper"], vault.credentials["@replica"]
        told = (
            str(vault.port),
            keeper.name,
            keeper.secret.reveal(),
            door.name,
            door.secret.reveal(),
            str(tmp_path),
        )
        ran = subprocess.run(
            [sys.executable, "-c", READ_WITH_DECOYS],
            input="\n".join(told),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        with pytest.raises(TimeoutError):
            trap.accept()
    assert ran.returncode == 0, ran.stderr
    put, listed, deleted, opened = ran.stdout.splitlines()
    assert put == "put done put 1 bytes"
    assert listed.startswith("list done")
    assert deleted == "delete-object done hidden behind a delete marker"
    assert opened == "opened []"


def decoy_home(home: Path, url: str) -> dict[str, str]:
    """A home directory and variables that would send an ordinary SDK elsewhere, or stop it."""
    aws = home / ".aws"
    (aws / "models" / "s3" / "2006-03-01").mkdir(parents=True)
    (aws / "models" / "s3" / "2006-03-01" / "service-2.json").write_text("{}")
    (aws / "config").write_text(f"[default]\nendpoint_url = {url}\nregion = eu-west-9\n")
    (aws / "credentials").write_text("[default]\naws_access_key_id = DECOY\naws_secret_access_key = decoy\n")
    return {
        "PATH": os.defpath,
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "DECOY",
        "AWS_SECRET_ACCESS_KEY": "decoy",
        "AWS_SESSION_TOKEN": "decoy",
        "AWS_PROFILE": "no-such-profile",
        "AWS_REGION": "eu-west-9",
        "AWS_DEFAULT_REGION": "eu-west-9",
        "AWS_ENDPOINT_URL": url,
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_CA_BUNDLE": str(home / "no-such.pem"),
        "AWS_DATA_PATH": str(aws / "models"),
        "AWS_DEFAULTS_MODE": "auto",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": url,
        "AWS_MAX_ATTEMPTS": "9",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "never",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_CSM_ENABLED": "true",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": url,
        "HTTP_PROXY": url,
        "http_proxy": url,
        "ALL_PROXY": url,
    }


def test_surfaces_of_several_threads_do_not_mix_their_keys(perform: Perform, key: str) -> None:
    found: dict[str, set[str]] = {}

    def work(principal: str) -> None:
        outcomes = [perform("put", by=principal, key=f"{key}/{principal}", body="x") for _ in range(5)]
        found[principal] = {outcome.status for outcome in outcomes}

    threads = [threading.Thread(target=work, args=(name,)) for name in ("keeper", "auditor", "backup")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"keeper": {"done"}, "auditor": {"refused"}, "backup": {"done"}}
