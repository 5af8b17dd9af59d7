"""Makes the images that the tests run, from packages of the machine's own Debian mirror.

The base comes from ``debootstrap``; every folder beside this file with a ``Dockerfile`` becomes an image on
top of it. Each is tagged with a hash of what goes into it, so that what has not changed is not made again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

from harness.replicas.s3.seaweedfs import program, release

HERE = Path(__file__).parent
NAMESPACE = "ninelives"
PREFERRED_SUITE = "trixie"
NEWEST = "latest"
EDITION = 1
"""To be raised when the base is made in another way that ``LEFT_OUT`` and ``APT`` do not show."""

LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var/cache/apt/archives")
APT = """\
APT::Install-Recommends "false";
Acquire::Languages "none";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
"""
DPKG = "".join(f"path-exclude /{path}/*\n" for path in LEFT_OUT[:-1])
PROXY = re.compile(r'^Acquire::(https?)::Proxy "(.+)";$', re.MULTILINE)


@dataclass(frozen=True)
class Mirror:
    """Where packages come from, as the machine's own apt says.

    Attributes:
        uri: of the mirror.
        suite: the release that is installed from it.
        components: of that release.
        proxies: variables that a client needs to get there.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    proxies: dict[str, str]


def find_mirror() -> Mirror:
    """The mirror of the machine's own release; of the preferred suite, if it has that one too.

    Raises:
        SystemExit: apt names none.
    """
    own = _own_suite()
    told = _run(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"
    )
    targets = [line.split() for line in told.splitlines()]
    uris = [uri for uri, suite, component in targets if suite == own and component == "main"]
    if not uris:
        sys.exit(f"apt names no mirror of {own}: see /etc/apt/sources.list, and run `apt-get update`")
    proxies = {f"{scheme}_proxy": uri for scheme, uri in PROXY.findall(_run("apt-config", "dump"))}
    components = tuple(sorted({part for uri, suite, part in targets if (uri, suite) == (uris[0], own)}))
    if _has_suite(uris[0], PREFERRED_SUITE, proxies):
        return Mirror(uris[0], PREFERRED_SUITE, ("main",), proxies)
    return Mirror(uris[0], own, components, proxies)


def _own_suite() -> str:
    release_file = Path("/etc/os-release").read_text(encoding="utf-8")
    found = re.search(r"^VERSION_CODENAME=(\S+)", release_file, re.MULTILINE)
    return found[1] if found else PREFERRED_SUITE


def _has_suite(uri: str, suite: str, proxies: dict[str, str]) -> bool:
    """Whether apt, asked for that suite alone, gets its index."""
    with TemporaryDirectory() as folder:
        sources = Path(folder) / "sources.list"
        sources.write_text(f"deb {uri} {suite} main\n", encoding="utf-8")
        lists = Path(folder) / "lists"
        (lists / "partial").mkdir(parents=True)
        asked = subprocess.run(
            [
                "apt-get",
                "update",
                "-qq",
                f"-oDir::Etc::SourceList={sources}",
                "-oDir::Etc::SourceParts=/dev/null",
                f"-oDir::State::Lists={lists}",
                "-oAPT::Update::Error-Mode=any",
            ],
            env={**os.environ, **proxies},
            capture_output=True,
            check=False,
        )
    return asked.returncode == 0


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Images:
    """Makes images with one engine.

    Args:
        engine: where they are kept.
        mirror: where packages come from.
    """

    def __init__(self, engine: docker.DockerClient, mirror: Mirror) -> None:
        self._engine = engine
        self._mirror = mirror

    def make_base(self) -> str:
        """Make the base, unless it is there; returns its tag."""
        recipe = repr((EDITION, self._mirror.suite, self._mirror.components, APT, DPKG, LEFT_OUT))
        tag = f"{NAMESPACE}/base:{_short(recipe.encode())}"
        if not self._has(tag):
            with TemporaryDirectory(prefix="ninelives-base-") as folder:
                root = Path(folder) / "root"
                self._bootstrap(root)
                self._import(root, tag)
        self._settle(tag)
        return tag

    def make(self, folder: Path, base: str) -> None:
        """Make one image, unless it is there.

        Raises:
            SystemExit: it cannot be built; the end of what the engine said.
        """
        with TemporaryDirectory(prefix="ninelives-image-") as context:
            content = Path(context) / folder.name
            shutil.copytree(folder, content)
            told = base
            if folder.name == "s3":
                shutil.copy(program(), content / "weed")
                told += release()
            tag = f"{NAMESPACE}/{folder.name}:{_short(told.encode(), *_digests(folder))}"
            if not self._has(tag):
                self._build(content, base, tag)
        self._settle(tag)

    def _bootstrap(self, root: Path) -> None:
        mirror = self._mirror
        command = ["debootstrap", "--variant=minbase", f"--components={','.join(mirror.components)}"]
        environment = {**os.environ, **mirror.proxies}
        made = subprocess.run(
            [*command, mirror.suite, root, mirror.uri],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            sys.exit(f"debootstrap cannot make a base of {mirror.suite}: {made.stdout[-2000:]}{made.stderr}")
        (root / "etc/apt/apt.conf.d/90small").write_text(APT, encoding="utf-8")
        (root / "etc/dpkg/dpkg.cfg.d/90small").write_text(DPKG, encoding="utf-8")
        for place in (*LEFT_OUT, "var/lib/apt/lists"):
            for entry in (root / place).iterdir() if (root / place).is_dir() else ():
                if entry.is_dir() and entry.name != "partial":
                    shutil.rmtree(entry)
                elif entry.is_file():
                    entry.unlink()

    def _import(self, root: Path, tag: str) -> None:
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as packing:
            self._engine.api.import_image_from_stream(packing.stdout, *tag.split(":"))
        if packing.returncode:
            sys.exit(f"tar cannot pack {root}")

    def _build(self, context: Path, base: str, tag: str) -> None:
        try:
            self._engine.images.build(
                path=str(context),
                tag=tag,
                buildargs={"BASE": base, **self._mirror.proxies},
                network_mode="host",
                rm=True,
                forcerm=True,
            )
        except BuildError as error:
            said = "".join(str(part.get("stream", part.get("error", ""))) for part in error.build_log)
            sys.exit(f"{tag} cannot be built: {error}\n{said[-3000:]}")

    def _has(self, tag: str) -> bool:
        try:
            self._engine.images.get(tag)
        except ImageNotFound:
            return False
        return True

    def _settle(self, tag: str) -> None:
        """Make it the newest of its name, and drop the tags of those before it."""
        name, _, own = tag.partition(":")
        image = self._engine.images.get(tag)
        image.tag(name, NEWEST)
        for other in self._engine.images.list(name):
            for former in other.tags:
                if former not in (tag, f"{name}:{NEWEST}"):
                    with suppress(APIError):  # a container still runs it
                        self._engine.images.remove(former)
        size = image.attrs["Size"] / 1e6
        print(f"{name}:{own} {size:.0f} MB")


def _digests(folder: Path) -> Iterator[bytes]:
    """Name, mode and content of every file."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"{path.relative_to(folder)} {path.stat().st_mode:o} ".encode()
            yield sha256(path.read_bytes()).digest()


def _short(*parts: bytes) -> str:
    return sha256(b"".join(parts)).hexdigest()[:12]


def main() -> None:
    """Make all of them, and say what is there."""
    began = monotonic()
    if os.geteuid() != 0:
        sys.exit("making images takes root, for debootstrap: run `sudo make images`")
    for needed, package in (("apt-get", "apt"), ("debootstrap", "debootstrap")):
        if shutil.which(needed) is None:
            sys.exit(f"{needed} is not there: install the package {package} (images are made on Debian)")
    try:
        engine = docker.from_env()
        engine.ping()
    except DockerException as error:
        sys.exit(f"no container engine answers ({error}): install docker.io and start dockerd")
    images = Images(engine, find_mirror())
    base = images.make_base()
    for recipe in sorted(HERE.glob("*/Dockerfile")):
        images.make(recipe.parent, base)
    print(f"{monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
