"""What Ninelives asks of every driver, asked of ours: ``pytest conformance.py``."""

from itertools import count

from harness.contracts import (
    THINGS,
    Attempt,
    BackupContract,
    Bench,
    DatabaseContract,
    ReplicaContract,
    ResetContract,
    SurfaceContract,
)
from harness.facts import Endpoint, RecoveryPoint

SHELF = {
    "services": {"shelf": {"kind": "shelf"}},
    "principals": {"clerk": {"grants": {"shelf": "admin"}}, "guest": {"grants": {"shelf": "reader"}}},
}
TUNED = {"kind": "postgres", "driver": "tuned-postgres", "settings": {"work_mem": "8MB"}, **THINGS}
NUMBERS = count()


class TestShelf(ReplicaContract):
    stack, service = SHELF, "shelf"

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        (endpoint.path / "old").write_text("copy")


class TestShelfReset(ResetContract):
    stack, service = SHELF, "shelf"

    def fill(self, bench: Bench, endpoint: Endpoint) -> None:
        (endpoint.path / "old").write_text("copy")

    def look(self, bench: Bench, endpoint: Endpoint) -> object:
        return [path.read_text() for path in endpoint.path.glob("*")]

    def ruin(self, bench: Bench, endpoint: Endpoint) -> None:
        (endpoint.path / "old").write_text("nothing")


class TestTunedPostgres(DatabaseContract):
    service = "kiosk"
    stack = {"services": {"kiosk": TUNED}, "principals": {"clerk": {"grants": {"kiosk": "owner"}}}}


class TestShelfSurface(SurfaceContract):
    stack, service, surface = SHELF, "shelf", "shelf"
    may, may_not = "clerk", "guest"
    look = Attempt("list")

    def harm(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        name = f"old-{next(NUMBERS)}"
        (endpoint.path / name).write_text("copy")
        return Attempt("delete", {"name": name})

    def miss(self, bench: Bench, endpoint: Endpoint) -> Attempt:
        return Attempt("delete", {"name": "odl"})


class TestJsonCopy(BackupContract):
    protection = "copies"
    stack = {
        "services": {"shelf": {"kind": "shelf"}, "kiosk": TUNED},
        "protections": {
            "copies": {"tool": "json-copy", "of": "kiosk", "to": "shelf", "settings": {"keep": 3}}
        },
    }

    def lose(self, bench: Bench, point: RecoveryPoint) -> None:
        (bench.endpoints["shelf"].path / point.location).unlink()

    def cut(self, bench: Bench, point: RecoveryPoint) -> None:
        copy = bench.endpoints["shelf"].path / point.location
        copy.write_text(copy.read_text()[:-10])
