"""The files surface, on real files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.clock import SystemClock
from harness.facts import Action, Credential, Endpoint, Lease, Outcome, Secret
from harness.surfaces.files import FilesSurface

Perform = Callable[..., Outcome]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    (root / "scripts").mkdir(parents=True)
    (root / "README.md").write_text("Read me.\n")
    (root / "scripts" / "domains.env").write_text("# for the script\nRAILWAY_API_TOKEN=found\n")
    (tmp_path / "outside.env").write_text("RAILWAY_API_TOKEN=not yours\n")
    return root


@pytest.fixture
def perform(workspace: Path) -> Perform:
    lease = Lease(run_id="run", service="agent.workspace", kind="files", directory=workspace)
    endpoint = Endpoint(lease, "files", "", 0, "", "staging", workspace, {})
    surface = FilesSurface("agent", endpoint, SystemClock())

    def perform(verb: str, **arguments: object) -> Outcome:
        return surface.perform(Action(number=1, surface="files", verb=verb), arguments)

    return perform


def test_list_names_every_file_and_no_folder(perform: Perform) -> None:
    outcome = perform("list")
    assert (outcome.status, outcome.text) == ("done", "README.md\nscripts/domains.env")


def test_search_answers_as_grep_does(perform: Perform) -> None:
    outcome = perform("search", pattern="TOKEN=(.+)$")
    assert outcome.text == "scripts/domains.env:2:RAILWAY_API_TOKEN=found"
    assert outcome.detail == "1 lines in 1 files"


def test_read_gives_the_whole_text_to_the_agent_and_only_its_size_to_the_journal(perform: Perform) -> None:
    outcome = perform("read", path="scripts/domains.env")
    assert outcome.text == "# for the script\nRAILWAY_API_TOKEN=found\n"
    assert outcome.detail == f"{len(outcome.text)} bytes"
    assert outcome.digest == hashlib.sha256(outcome.text.encode()).hexdigest()
    assert "found" not in outcome.model_dump_json()


def test_what_is_written_is_touched_once(perform: Perform, workspace: Path) -> None:
    outcome = perform("write", path="new/notes.txt", text="hello")
    assert (workspace / "new" / "notes.txt").read_text() == "hello"
    (touched,) = outcome.touched
    assert (touched.kind, touched.name, touched.service, touched.environment) == (
        "file",
        "new/notes.txt",
        "agent.workspace",
        "staging",
    )
    assert perform("write", path="new/notes.txt", text="hello").touched == ()


def test_what_is_deleted_is_touched_file_by_file(perform: Perform, workspace: Path) -> None:
    (workspace / "scripts" / "second").touch()
    outcome = perform("delete", path="scripts")
    assert [resource.name for resource in outcome.touched] == ["scripts/domains.env", "scripts/second"]
    assert not (workspace / "scripts").exists()


def test_deleting_a_link_leaves_what_it_points_to(perform: Perform, workspace: Path) -> None:
    (workspace / "link").symlink_to(workspace.parent / "outside.env")
    (workspace / "folder").symlink_to(workspace / "scripts")
    assert perform("delete", path="link").status == "done"
    assert perform("delete", path="folder").status == "done"
    assert (workspace.parent / "outside.env").exists()
    assert (workspace / "scripts" / "domains.env").exists()


LEADING_OUT = ("../outside.env", "scripts/../../outside.env", "/etc/passwd", "way/outside.env")


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("read", "link"),
        ("write", "link"),
        *((verb, path) for verb in ("read", "write", "delete") for path in LEADING_OUT),
    ],
)
def test_no_path_leads_out(perform: Perform, workspace: Path, verb: str, path: str) -> None:
    (workspace / "link").symlink_to(workspace.parent / "outside.env")
    (workspace / "way").symlink_to(workspace.parent)
    outcome = perform(verb, path=path, **({"text": "x"} if verb == "write" else {}))
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert "outside" in outcome.detail
    assert (workspace.parent / "outside.env").read_text() == "RAILWAY_API_TOKEN=not yours\n"


def test_search_and_list_do_not_follow_links_out(perform: Perform, workspace: Path) -> None:
    (workspace / "link").symlink_to(workspace.parent / "outside.env")
    (workspace / "way").symlink_to(workspace.parent)
    assert "not yours" not in perform("search", pattern="TOKEN").text
    assert "outside.env" not in perform("list").text


@pytest.mark.parametrize("path", [".", "", "scripts/..", "./"])
def test_the_workspace_itself_cannot_be_deleted(perform: Perform, workspace: Path, path: str) -> None:
    assert perform("delete", path=path).status == "failed"
    assert (workspace / "README.md").exists()


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("read", {}),
        ("read", {"path": 1}),
        ("read", {"path": "nowhere"}),
        ("read", {"path": "scripts"}),
        ("read", {"path": "a\0b"}),
        ("read", {"path": "loop"}),
        ("read", {"path": "pipe"}),
        ("read", {"path": "x" * 5000}),
        ("delete", {"path": "nowhere"}),
        ("delete", {"path": "a\0b"}),
        ("write", {"path": "scripts", "text": ""}),
        ("write", {"path": "README.md/below", "text": ""}),
        ("search", {"pattern": "("}),
        ("search", {"pattern": "a", "path": "b"}),
        ("list", {"path": "."}),
        ("format", {}),
    ],
)
def test_a_call_that_makes_no_sense_is_a_failure(
    perform: Perform, workspace: Path, verb: str, arguments: dict[str, object]
) -> None:
    (workspace / "loop").symlink_to("loop")
    os.mkfifo(workspace / "pipe")
    outcome = perform(verb, **arguments)
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert outcome.detail


def test_search_passes_over_what_is_no_text(perform: Perform, workspace: Path) -> None:
    (workspace / "loop").symlink_to("loop")
    (workspace / "broken").symlink_to("nowhere")
    (workspace / "binary").write_bytes(bytes(range(256)))
    os.mkfifo(workspace / "pipe")
    assert perform("search", pattern="TOKEN").text == "scripts/domains.env:2:RAILWAY_API_TOKEN=found"


def test_what_the_file_system_does_not_allow_is_a_refusal(
    perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(path: Path, data: bytes) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    # Root may write everywhere, so the file system's answer is given here.
    monkeypatch.setattr(Path, "write_bytes", forbid)
    outcome = perform("write", path="README.md", text="x")
    assert (outcome.status, outcome.touched) == ("refused", ())
    assert outcome.detail == "permission denied: Permission denied"


def test_moving_onto_a_name_that_is_no_folder_overwrites(perform: Perform, workspace: Path) -> None:
    outcome = perform("move", path="README.md", to="scripts/domains.env")
    assert outcome.status == "done"
    assert {resource.name for resource in outcome.touched} == {"README.md", "scripts/domains.env"}
    assert (workspace / "scripts" / "domains.env").read_text() == "Read me.\n"


def test_moving_into_a_folder_keeps_the_name_and_moving_a_folder_moves_what_is_in_it(
    perform: Perform, workspace: Path
) -> None:
    assert perform("move", path="README.md", to="scripts").status == "done"
    assert (workspace / "scripts" / "README.md").is_file()
    outcome = perform("move", path="scripts", to="archive")
    assert {resource.name for resource in outcome.touched} == {
        f"{folder}/{file}" for folder in ("scripts", "archive") for file in ("README.md", "domains.env")
    }


@pytest.mark.parametrize(
    ("path", "to"), [("nothing", "README.md"), ("README.md", "../outside.env"), ("../outside.env", "stolen")]
)
def test_a_move_from_or_to_what_is_not_in_the_workspace_fails(
    perform: Perform, workspace: Path, path: str, to: str
) -> None:
    before = (workspace.parent / "outside.env").read_text()
    assert perform("move", path=path, to=to).status == "failed"
    assert (workspace.parent / "outside.env").read_text() == before


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("README.md", "."),
        ("README.md", "README.md"),
        ("README.md", "scripts/../README.md"),
        ("README.md", "again"),
        ("scripts", "."),
    ],
)
def test_a_move_onto_itself_changes_nothing_and_fails(
    perform: Perform, workspace: Path, path: str, to: str
) -> None:
    (workspace / "again").hardlink_to(workspace / "README.md")
    outcome = perform("move", path=path, to=to)
    assert (outcome.status, outcome.touched) == ("failed", ())
    assert outcome.detail == "both are the same file"


@pytest.mark.parametrize(
    ("principal", "reading", "writing"),
    [("cli", "done", "done"), ("guest", "done", "refused"), ("stranger", "refused", "refused")],
)
def test_on_a_volume_a_principal_can_do_what_its_mount_allows(
    workspace: Path, principal: str, reading: str, writing: str
) -> None:
    mounts = {"cli": "read-write", "guest": "read-only"}
    credentials = {name: Credential(name, "mount", how, Secret.mint()) for name, how in mounts.items()}
    lease = Lease(run_id="run", service="disk", kind="volume", directory=workspace)
    surface = FilesSurface(
        principal, Endpoint(lease, "volume", "", 0, "", None, workspace, credentials), SystemClock()
    )

    def status(verb: str, **arguments: object) -> str:
        return surface.perform(Action(number=1, surface="files", verb=verb), arguments).status

    assert status("read", path="README.md") == reading
    assert status("write", path="README.md", text="changed") == writing
    assert status("move", path="README.md", to="moved") == writing
    assert status("delete", path="scripts") == writing
    assert (workspace / "scripts").exists() == (writing != "done")
