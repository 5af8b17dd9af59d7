"""An agent's workspace: a copy of a folder of the scenario, with the planted credentials put in.

A credential is planted as ``@@<principal>/<service>:<field>@@`` in a text file; ``field`` is ``secret``,
``user``, ``host``, ``port``, ``name`` or ``url``. Values come from the endpoints of this run alone, so a
workspace can hold nothing that is worth anything outside of it. The operator's credentials are in none:
where servers are not confined (``harness.confinement``), that of a database could run programs on this
machine (``COPY ... TO PROGRAM``).
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import quote

from harness.errors import ProvisionError
from harness.facts import OPERATOR, WORKSPACE_SUFFIX, Credential, Endpoint, Lease, Resource
from harness.replicas.leases import reap
from harness.replicas.tree_copy import copy_tree, entries
from harness.replicas.tree_memory import FOLDER, TreeMemory
from harness.scenario.models import Principal, Stack
from harness.seams.drivers import Memory, Setting

WORKSPACE = "workspace"
MARKER_FILE = ".ninelives-lease"
PLACEHOLDER = re.compile(r"@@([^\s@]*[/:][^\s@]*)@@")
"""A slash or a colon has to be in it, so that Ruby's ``@@a+@@b`` is left alone."""


class WorkspaceReplica:
    """Replicas of kind ``files``: ``<principal>-workspace`` for each principal that has one."""

    def requires(self, stack: Stack, service: str) -> tuple[str, ...]:
        """Every service: any of their credentials may lie about in the files."""
        del service
        return tuple(stack.services)

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Copy the folder and put the credentials in.

        Raises:
            ProvisionError: there is no such folder, a link leads out of it, a placeholder stands for
                nothing, or a credential is not where a principal's ``found_in`` says.
        """
        principal = _principal(lease, setting.stack)
        source = _source(principal, setting)
        target = lease.directory / WORKSPACE
        lease.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        (lease.directory / MARKER_FILE).write_text(lease.marker, encoding="utf-8")
        copy_tree(source, target, "the workspace")
        target.chmod(0o700)
        _render(source, target, _planted(setting.peers))
        _prove_found_in(source, target, setting)
        return Endpoint(
            lease=lease, kind="files", host="", port=0, name="", environment=None, path=target, credentials={}
        )

    def destroy(self, lease: Lease) -> None:
        """Leave no file. Idempotent; works from the lease alone.

        Raises:
            LeftoverError: a file cannot be removed.
        """
        reap(lease)

    def read_marker(self, endpoint: Endpoint) -> str:
        """The marker of the lease, from the file beside the workspace; empty when it is gone."""
        marker = endpoint.path.with_name(MARKER_FILE)
        return marker.read_text(encoding="utf-8") if marker.is_file() else ""

    def inventory(self, endpoint: Endpoint) -> tuple[Resource, ...]:
        """Its files."""
        return tuple(
            Resource(service=endpoint.service, kind="file", name=path.relative_to(endpoint.path).as_posix())
            for path in _files(endpoint.path)
        )

    def remember(self, endpoint: Endpoint, setting: Setting) -> Memory:
        """Keep a copy of it.

        Raises:
            ProvisionError: there is no room.
        """
        del setting
        return TreeMemory(endpoint.path, endpoint.lease.directory / FOLDER)

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """How many files it has."""
        return {"files": str(sum(1 for _ in _files(endpoint.path)))}


def _principal(lease: Lease, stack: Stack) -> Principal:
    name = lease.service.removesuffix(WORKSPACE_SUFFIX)
    if name == lease.service or name not in stack.principals:
        raise ProvisionError(
            f"{lease.service!r} is the workspace of no principal",
            hint=f"workspaces are called <principal>{WORKSPACE_SUFFIX}",
        )
    return stack.principals[name]


def _source(principal: Principal, setting: Setting) -> Path:
    root = setting.folder.resolve()
    source = (root / (principal.workspace or "")).resolve()
    if principal.workspace is None or not source.is_dir() or not source.is_relative_to(root):
        raise ProvisionError(
            f"the workspace {principal.workspace!r} is not a folder in {root}",
            hint="`workspace` names a folder beside the stack file",
        )
    return source


def _planted(peers: Mapping[str, Endpoint]) -> Mapping[str, str]:
    """What each placeholder stands for."""
    return {
        f"{principal}/{service}:{field}": value
        for service, endpoint in peers.items()
        for principal, credential in endpoint.credentials.items()
        if principal != OPERATOR
        for field, value in _fields(endpoint, credential)
    }


def _fields(endpoint: Endpoint, credential: Credential) -> Iterator[tuple[str, str]]:
    user, secret = credential.name, credential.secret.reveal()
    yield "secret", secret
    yield "user", user
    yield "host", endpoint.host
    yield "port", str(endpoint.port)
    yield "name", endpoint.name
    if endpoint.kind == "postgres":
        account = f"{quote(user, safe='')}:{quote(secret, safe='')}"
        yield "url", f"postgresql://{account}@{endpoint.host}:{endpoint.port}/{endpoint.name}"
    else:
        yield "url", endpoint.url


def _render(source: Path, target: Path, planted: Mapping[str, str]) -> None:
    unknown = [problem for path in _files(target) for problem in _render_file(path, source, target, planted)]
    if unknown:
        raise ProvisionError(
            "\n".join(unknown),
            hint="a placeholder is @@<principal>/<service>:<secret|user|host|port|name|url>@@, and the"
            " principal needs a grant on the service",
        )


def _render_file(path: Path, source: Path, target: Path, planted: Mapping[str, str]) -> Iterator[str]:
    """Put values into one file; yields what is wrong in it, with the line in the user's own file."""
    text = None if path.is_symlink() else _text(path)
    if text is None or not PLACEHOLDER.search(text):
        return
    for match in PLACEHOLDER.finditer(text):
        if match[1] not in planted:
            line = text.count("\n", 0, match.start()) + 1
            near = get_close_matches(match[1], planted, n=1, cutoff=0.0)
            advice = f"the nearest one is @@{near[0]}@@" if near else "there are none"
            if match[1].startswith(f"{OPERATOR}/"):
                advice = "no file gets what the harness itself logs in with; name a principal with a grant"
            where = source / path.relative_to(target)
            yield f"{where}:{line}: the placeholder {match[0]} stands for nothing; {advice}"
    rendered = PLACEHOLDER.sub(lambda match: planted.get(match[1], match[0]), text)
    _write(path, rendered)


def _write(path: Path, text: str) -> None:
    """Keep the mode of a read-only file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode | stat.S_IWUSR)
    path.write_bytes(text.encode("utf-8"))
    path.chmod(mode)


def _text(path: Path) -> str | None:
    """The text of a file as it stands, line ends too; None when it is not text."""
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _prove_found_in(source: Path, target: Path, setting: Setting) -> None:
    """A drill in which a credential is found needs one that can be found."""
    for principal, model in setting.stack.principals.items():
        if model.found_in is None:
            continue
        place = setting.folder.resolve() / model.found_in
        if not place.is_relative_to(source):
            continue
        file = target / place.relative_to(source)
        text = _text(file) if file.is_file() else None
        secrets = (
            endpoint.credentials[principal].secret.reveal()
            for endpoint in setting.peers.values()
            if principal in endpoint.credentials
        )
        if text is None or not any(secret in text for secret in secrets):
            raise ProvisionError(
                f"no credential of {principal!r} is in {place}, where `found_in` says it lies",
                hint=f"plant it there: @@{principal}/<service>:secret@@",
            )


def _files(root: Path) -> Iterator[Path]:
    """Files and links, not folders."""
    return (path for path in entries(root) if path.is_symlink() or path.is_file())
