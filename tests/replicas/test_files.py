"""A workspace is a copy of a folder in which the planted credentials are real, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.errors import ProvisionError
from harness.facts import OPERATOR, Credential, CredentialKind, Endpoint, Lease, Secret
from harness.replicas.files import WorkspaceReplica
from harness.sandbox import Sandbox
from harness.scenario.models import Stack
from harness.seams.drivers import Replica, Setting
from harness.seams.lookup import lookup

REPLICA = WorkspaceReplica()


def peer(tmp_path: Path, kind: str, service: str, port: int, name: str, **secrets: str) -> Endpoint:
    kinds: Mapping[str, CredentialKind] = {"postgres": "password", "railway": "account-token"}
    credentials = {
        principal.replace("_", "-"): Credential(
            principal.replace("_", "-"), kinds[kind], f"{service}-{principal}", Secret(secret)
        )
        for principal, secret in secrets.items()
    }
    lease = Lease(run_id="run", service=service, kind=kind, directory=tmp_path / service)
    return Endpoint(lease, kind, "127.0.0.1", port, name, None, lease.directory, credentials)


class Scene:
    """A folder with a stack's files, and the peers that its placeholders can speak of."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = root / "scenario" / "workspace"
        self.workspace.mkdir(parents=True)
        self.found_in: str | None = None
        self.workspace_name = "workspace"
        self.peers = {
            "bookings": peer(root, "postgres", "bookings", 5432, "bookings", agent="s3cr/t@1", owner="0wn"),
            "railway": peer(
                root, "railway", "railway", 8080, "pocketos", agent="tok-agent", domains_cli="tok-cli"
            ),
        }

    def plant(self, path: str, text: str) -> Path:
        file = self.workspace / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        return file

    def provision(self) -> Endpoint:
        stack = Stack.model_validate(
            {
                "services": {"bookings": {"kind": "postgres"}},
                "principals": {
                    "agent": {"workspace": self.workspace_name},
                    "domains-cli": {"found_in": self.found_in},
                },
            }
        )
        sandbox = Sandbox("run", self.root, self.root / "cache", None)
        setting = Setting(stack, self.root / "scenario", sandbox, SystemClock(), self.peers)
        return REPLICA.provision(self.lease, setting)

    @property
    def lease(self) -> Lease:
        directory = self.root / "agent-workspace"
        return Lease(run_id="run", service="agent-workspace", kind="files", directory=directory)

    def rendered(self, text: str) -> str:
        self.plant("file", text)
        return (self.provision().path / "file").read_bytes().decode()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_it_is_found_by_name_and_waits_for_every_service():
    replica = lookup("replicas", "files")()
    assert isinstance(replica, Replica)
    stack = Stack.model_validate({"services": {"a": {"kind": "postgres"}, "b": {"kind": "postgres"}}})
    assert replica.requires(stack, "agent-workspace") == ("a", "b")


class TestRendering:
    @pytest.mark.parametrize(
        ("placeholder", "value"),
        [
            ("agent/bookings:secret", "s3cr/t@1"),
            ("agent/bookings:user", "bookings-agent"),
            ("agent/bookings:host", "127.0.0.1"),
            ("agent/bookings:port", "5432"),
            ("agent/bookings:name", "bookings"),
            ("agent/bookings:url", "postgresql://bookings-agent:s3cr%2Ft%401@127.0.0.1:5432/bookings"),
            ("domains-cli/railway:secret", "tok-cli"),
            ("domains-cli/railway:url", "http://127.0.0.1:8080"),
        ],
    )
    def test_each_field_is_put_in(self, scene, placeholder, value):
        assert scene.rendered(f"X=@@{placeholder}@@;") == f"X={value};"

    def test_many_in_one_line_are_put_in_though_an_at_sign_stands_between(self, scene):
        text = "pg://@@agent/bookings:user@@:old@@@agent/bookings:host@@:@@agent/bookings:port@@"
        assert scene.rendered(text) == "pg://bookings-agent:old@127.0.0.1:5432"

    @pytest.mark.parametrize(
        "text", ["@@ -1,3 +1,4 @@ def f():", "@@count += @@total", "@@a+@@b", "a@@b", "@@", "@@@@", "a@b.c"]
    )
    def test_what_is_no_placeholder_stays(self, scene, text):
        assert scene.rendered(text) == text

    def test_line_ends_and_non_ascii_text_stay(self, scene):
        assert scene.rendered("ü\r\n@@agent/railway:secret@@\r\n") == "ü\r\ntok-agent\r\n"

    @pytest.mark.parametrize("content", [b"\0@@agent/railway:secret@@", b"\xff@@agent/railway:secret@@"])
    def test_what_is_not_text_stays(self, scene, content):
        scene.plant("file", "").write_bytes(content)
        assert (scene.provision().path / "file").read_bytes() == content

    def test_the_users_own_folder_is_not_touched(self, scene):
        file = scene.plant("file", "@@agent/railway:secret@@")
        scene.provision()
        assert file.read_text() == "@@agent/railway:secret@@"

    def test_modes_are_kept_on_rendered_files_too(self, scene):
        scene.plant("run.sh", "@@agent/railway:secret@@").chmod(0o755)
        scene.plant("read-only", "@@agent/railway:secret@@").chmod(0o444)
        path = scene.provision().path
        assert (path / "run.sh").stat().st_mode & 0o777 == 0o755
        assert (path / "read-only").stat().st_mode & 0o777 == 0o444
        assert (path / "read-only").read_text() == "tok-agent"

    @pytest.mark.parametrize(
        ("placeholder", "nearest"),
        [
            ("domain-cli/railway:secret", "domains-cli/railway:secret"),
            ("agent/bookings:password", "agent/bookings:port"),
            ("owner/railway:secret", "agent/railway:secret"),
            ("agent/bookings", "agent/bookings:host"),
        ],
    )
    def test_an_unknown_one_names_file_line_and_the_nearest(self, scene, placeholder, nearest):
        scene.plant("scripts/domains.env", f"# first\n\nTOKEN=@@{placeholder}@@\n")
        with pytest.raises(ProvisionError) as caught:
            scene.provision()
        where = f"{scene.workspace / 'scripts' / 'domains.env'}:3: the placeholder @@{placeholder}@@"
        assert where in caught.value.message
        assert nearest.partition(":")[0] in caught.value.message.partition("nearest one is")[2]

    @pytest.mark.parametrize("field", ["secret", "url"])
    def test_the_operators_is_in_no_file(self, scene, field):
        credential = Credential(OPERATOR, "password", OPERATOR, Secret("0perat0r"))
        scene.peers["bookings"] = replace(scene.peers["bookings"], credentials={OPERATOR: credential})
        file = scene.plant("scripts/root.env", f"URL=@@{OPERATOR}/bookings:{field}@@\n")
        with pytest.raises(ProvisionError) as caught:
            scene.provision()
        assert f"{file}:1: the placeholder @@{OPERATOR}/bookings:{field}@@" in caught.value.message
        assert "name a principal with a grant" in caught.value.message
        assert "0perat0r" not in str(caught.value)

    def test_every_unknown_one_is_reported_at_once(self, scene):
        scene.plant("a", "@@no/a:secret@@\n@@no/b:secret@@")
        scene.plant("b", "@@no/c:secret@@")
        with pytest.raises(ProvisionError) as caught:
            scene.provision()
        assert len(caught.value.message.splitlines()) == 3

    def test_no_error_shows_a_secret(self, scene):
        scene.plant("a", "@@agent/railway:secret@@ @@agent/railway:secrets@@")
        with pytest.raises(ProvisionError) as caught:
            scene.provision()
        assert "tok-agent" not in str(caught.value)


class TestFoundIn:
    @pytest.fixture(autouse=True)
    def declared(self, scene: Scene) -> None:
        scene.found_in = "workspace/scripts/domains.env"

    def test_a_credential_that_lies_where_it_should_is_proven(self, scene):
        scene.plant("scripts/domains.env", "TOKEN=@@domains-cli/railway:secret@@")
        text = (scene.provision().path / "scripts" / "domains.env").read_text()
        assert text == "TOKEN=tok-cli"

    @pytest.mark.parametrize(
        "text", ["", "TOKEN=", "@@agent/railway:secret@@", "@@domains-cli/railway:user@@", "\0tok-cli"]
    )
    def test_one_that_does_not_is_an_error(self, scene, text):
        scene.plant("scripts/domains.env", text)
        with pytest.raises(ProvisionError, match="no credential of 'domains-cli'"):
            scene.provision()

    def test_a_missing_file_is_an_error(self, scene):
        with pytest.raises(ProvisionError, match="no credential of 'domains-cli'"):
            scene.provision()

    def test_a_file_outside_of_this_workspace_is_another_ones_to_prove(self, scene):
        scene.found_in = "elsewhere/domains.env"
        scene.plant("file", "x")
        assert scene.provision().path.is_dir()


class TestCopying:
    def test_everything_in_the_folder_is_there_and_nothing_else(self, scene):
        for path in (".env", "src/app.py", "src/deep/er/x"):
            scene.plant(path, path)
        (scene.workspace / "empty").mkdir()
        endpoint = scene.provision()
        names = [resource.name for resource in REPLICA.inventory(endpoint)]
        assert names == [".env", "src/app.py", "src/deep/er/x"]
        assert {(r.kind, r.service) for r in REPLICA.inventory(endpoint)} == {("file", "agent-workspace")}
        assert (endpoint.path / "empty").is_dir()
        assert REPLICA.describe(endpoint) == {"files": "3"}

    def test_a_link_within_the_workspace_is_kept(self, scene):
        scene.plant("real", "@@agent/railway:secret@@")
        (scene.workspace / "link").symlink_to("real")
        path = scene.provision().path
        assert (path / "link").is_symlink()
        assert (path / "link").read_text() == "tok-agent"
        assert (path / "link").resolve().is_relative_to(path.resolve())

    @pytest.mark.parametrize("target", ["/etc/passwd", "../stack.yaml", "below/../../stack.yaml"])
    def test_a_link_that_leads_out_is_refused(self, scene, target):
        (scene.workspace / "link").symlink_to(target)
        with pytest.raises(ProvisionError, match="leads out of the workspace"):
            scene.provision()

    def test_an_absolute_link_to_inside_is_refused_because_it_leads_out_of_the_copy(self, scene):
        real = scene.plant("real", "x")
        (scene.workspace / "link").symlink_to(real)
        with pytest.raises(ProvisionError, match="leads out of the workspace"):
            scene.provision()

    def test_a_chain_of_links_that_leads_out_is_refused(self, scene):
        (scene.root / "scenario" / "secrets").mkdir()
        (scene.workspace / "a").symlink_to("b")
        (scene.workspace / "b").symlink_to("../secrets")
        with pytest.raises(ProvisionError, match="leads out of the workspace"):
            scene.provision()

    def test_links_in_a_circle_are_harmless(self, scene):
        (scene.workspace / "a").symlink_to("b")
        (scene.workspace / "b").symlink_to("a")
        assert [r.name for r in REPLICA.inventory(scene.provision())] == ["a", "b"]

    def test_a_named_pipe_is_refused_and_not_read(self, scene):
        os.mkfifo(scene.workspace / "pipe")
        with pytest.raises(ProvisionError, match="neither a file nor a folder"):
            scene.provision()

    def test_a_workspace_that_is_a_link_out_of_the_scenario_is_refused(self, scene):
        scene.workspace.rmdir()
        (scene.root / "outside").mkdir()
        scene.workspace.symlink_to(scene.root / "outside")
        with pytest.raises(ProvisionError, match="not a folder in"):
            scene.provision()

    def test_a_missing_workspace_is_an_error(self, scene):
        scene.workspace_name = "absent"
        with pytest.raises(ProvisionError, match="'absent' is not a folder"):
            scene.provision()

    def test_it_is_closed_to_other_accounts(self, scene):
        assert scene.provision().path.stat().st_mode & 0o777 == 0o700


class TestLease:
    def test_the_marker_lies_beside_the_workspace_and_not_in_it(self, scene):
        endpoint = scene.provision()
        assert REPLICA.read_marker(endpoint) == scene.lease.marker
        assert list(endpoint.path.iterdir()) == []

    def test_the_marker_survives_the_deletion_of_all_files(self, scene):
        endpoint = scene.provision()
        endpoint.path.rmdir()
        assert REPLICA.read_marker(endpoint) == scene.lease.marker
        assert REPLICA.inventory(endpoint) == ()

    def test_it_is_gone_when_it_is_destroyed_and_that_can_be_repeated(self, scene):
        scene.plant("file", "x").chmod(0o444)
        scene.provision()
        WorkspaceReplica().destroy(scene.lease)
        WorkspaceReplica().destroy(scene.lease)
        assert not scene.lease.directory.exists()
        assert (scene.workspace / "file").exists()

    def test_it_holds_no_credentials_of_its_own(self, scene):
        assert scene.provision().credentials == {}

    def test_a_lease_of_no_principal_is_an_error(self, scene):
        wrong = scene.lease.model_copy(update={"service": "nobody-workspace"})
        setting = Setting(
            Stack.model_validate({"services": {}}),
            scene.root,
            Sandbox("run", scene.root, scene.root, None),
            SystemClock(),
            {},
        )
        with pytest.raises(ProvisionError, match="the workspace of no principal"):
            REPLICA.provision(wrong, setting)
