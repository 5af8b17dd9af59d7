"""The empty cluster of an image: made once for a machine by its own entry point, copied for each replica."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from harness.clock import Clock
from harness.errors import ProvisionError
from harness.facts import OPERATOR, Lease
from harness.replicas.cache import discard, prepared
from harness.replicas.containers.engine import Recipe, Started, declared_volumes, image_id, start, stop
from harness.replicas.postgres.roles import PREPARE_CLUSTER, PREPARE_DATABASE, PREPARED_DATABASE
from harness.sandbox import Sandbox

INITDB_ARGS = "--encoding=UTF8 --locale=C.UTF-8 --wal-segsize=1 --no-sync --no-instructions"
SCRIPTS = "/docker-entrypoint-initdb.d"
OUR_SCRIPT = "zz-ninelives.sql"
MADE = "ready for start up"
SERVES = "database system is ready to accept connections"
POLL_SECONDS = 0.05
PATIENCE = 120.0
LAST_LINES = 8


@dataclass(frozen=True)
class ImageCluster:
    """The prepared cluster of one image.

    Attributes:
        image: name of the image.
        lease: under which the image is run to make it.
        sandbox: of the run; the cluster lies in its cache.
        clock: to wait by.
    """

    image: str
    lease: Lease
    sandbox: Sandbox
    clock: Clock

    @contextmanager
    def held(self) -> Iterator[Path]:
        """The cluster's files, held still for the length of the block.

        Raises:
            ProvisionError: the image does not make one.
            MissingToolError: there is no such image.
        """
        with prepared(self._place(), self._make) as content:
            yield content

    def release(self) -> int:
        """The major release of the image's server."""
        with self.held() as content:
            return int((content / "PG_VERSION").read_text(encoding="ascii").partition(".")[0])

    def discard(self) -> None:
        """Have it made anew: it looks whole, but a server did not start from it."""
        discard(self._place())

    def _place(self) -> Path:
        recipe = repr((INITDB_ARGS, PREPARE_CLUSTER, PREPARE_DATABASE, user_of(self.sandbox)))
        image = image_id(self.image).removeprefix("sha256:")[:12]
        return self.sandbox.cache / f"postgres-image-{image}-{sha256(recipe.encode()).hexdigest()[:12]}"

    def _make(self, content: Path) -> None:
        """Nobody can reach the server that the entry point starts: its container has no network."""
        content.chmod(0o700)
        self.sandbox.give(content)
        script = self.lease.directory / OUR_SCRIPT
        lines = (*PREPARE_CLUSTER, f"\\connect {PREPARED_DATABASE}", *PREPARE_DATABASE)
        script.write_text("".join(f"{line}\n" if line[0] == "\\" else f"{line};\n" for line in lines))
        script.chmod(0o644)
        variables = {
            "POSTGRES_USER": OPERATOR,
            "POSTGRES_DB": "postgres",
            "POSTGRES_HOST_AUTH_METHOD": "trust",
            "POSTGRES_INITDB_ARGS": INITDB_ARGS,
            "PGDATA": str(content),
        }
        recipe = Recipe(
            image=self.image,
            environment=variables,
            mounts={str(content): str(content), str(script): f"{SCRIPTS}/{OUR_SCRIPT}:ro"},
            memory_mounts=declared_volumes(self.image),
            user=user_of(self.sandbox),
            isolated=True,
        )
        try:
            container = start(self.lease, recipe)
            self._await_end(container)
        finally:
            stop(self.lease)
            script.unlink()
        (content / "postmaster.pid").unlink(missing_ok=True)

    def _await_end(self, container: Started) -> None:
        """Wait until the cluster is made and served, and have its server shut down in good order."""
        began = self.clock.stamp()
        while SERVES not in (said := container.said()).partition(MADE)[2]:
            ended, late = container.poll() is not None, self.clock.stamp().since(began) > PATIENCE
            if ended or late:
                last = " ".join(said.strip().splitlines()[-LAST_LINES:])
                raise ProvisionError(
                    f"the image {self.image} makes no cluster: {last}",
                    hint="it must keep the contract of the official image: POSTGRES_USER, PGDATA, any user",
                )
            self.clock.sleep(POLL_SECONDS)
        container.quit()


def user_of(sandbox: Sandbox) -> str:
    """The account that a container's processes run as, so that their files can be removed by the harness."""
    account = sandbox.account
    return f"{account.uid}:{account.gid}" if account else f"{os.geteuid()}:{os.getegid()}"
