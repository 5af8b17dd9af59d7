"""MariaDB's copies by hand: the dump is downloaded and loaded, and the logs are piped after it."""

from __future__ import annotations

import shlex

from harness.facts import OPERATOR, Endpoint
from harness.seams.mariadb_tools import binary

from .case import VAULT, Case

ROWS_A_MEGABYTE = 3_000
LATER_SHARE = 34
SCHEMA = "CREATE TABLE things (id INT PRIMARY KEY, note TEXT NOT NULL, written_at DATETIME(6) NOT NULL);"
FILL = (
    "INSERT INTO things SELECT seq, CONCAT(SHA2(seq, 512), SHA2(seq + 1, 512)), NOW(6) "
    "FROM seq_1_to_100000000 WHERE seq BETWEEN :first AND :last"
)


class MariadbDump(Case):
    """The dump is downloaded and loaded."""

    services = {
        "shop": {
            "kind": "mariadb",
            "schema": "schema.sql",
            "tables": {"things": {"key": "id", "time": "written_at"}},
        },
        "vault": VAULT,
    }
    protection = {"tool": "mariadb-dump", "to": "vault", "every": "1d", "keep": 1}
    files = {"schema.sql": SCHEMA}

    @property
    def rows(self) -> int:
        return self.megabytes * ROWS_A_MEGABYTE

    def fill(self) -> None:
        self._write(1, self.rows)

    def count(self, endpoint: Endpoint) -> int:
        ((found,),) = self.bench.database("shop").query(endpoint, "SELECT count(*) FROM things", {})
        return int(str(found))

    def load(self, endpoint: Endpoint) -> None:
        dump = endpoint.lease.directory / "by-hand.sql"
        self.download(self.point.location.partition("@")[0], dump)
        self.run(["sh", "-c", f"{self._client(endpoint)} < {dump}"], self._password(endpoint))

    def _write(self, first: int, last: int) -> None:
        """In pieces, as a statement has ten seconds."""
        for begin in range(first, last + 1, 50_000):
            end = min(begin + 49_999, last)
            self.bench.database("shop").execute(self.source, FILL, {"first": begin, "last": end})

    def _client(self, endpoint: Endpoint) -> str:
        operator = endpoint.credentials[OPERATOR]
        options = ["--no-defaults", "--protocol=tcp", "--skip-ssl", "--binary-mode", "--batch"]
        options += [f"--host={endpoint.host}", f"--port={endpoint.port}", f"--user={operator.name}"]
        return shlex.join([str(binary("mariadb")), *options, endpoint.name])

    def _password(self, endpoint: Endpoint) -> dict[str, str]:
        return {"MYSQL_PWD": endpoint.credentials[OPERATOR].secret.reveal()}


class MariadbBinlogs(MariadbDump):
    """``mariadb-binlog`` is piped into the client after the dump."""

    protection = {"tool": "mariadb-binlogs", "to": "vault", "every": "1d", "keep": 1}

    def fill_after(self) -> None:
        self._write(self.rows + 1, self.rows + self.rows // LATER_SHARE)

    def load(self, endpoint: Endpoint) -> None:
        super().load(endpoint)
        moment = self.tool._moment(self.tool._find(self.point))
        assert moment is not None
        logs = sorted(path for path in self.source.path.glob("binlog.*[0-9]") if path.name >= moment.log)
        options = [f"--start-position={moment.offset}", "--skip-gtid-strict-mode"]
        line = [str(binary("mariadb-binlog")), "--no-defaults", *options, f"--database={self.source.name}"]
        # What one statement changed comes back as one packet, which may be larger than a server takes.
        most = f"--execute=SET GLOBAL max_allowed_packet = {1 << 30}"
        self.run(["sh", "-c", f"{self._client(endpoint)} {shlex.quote(most)}"], self._password(endpoint))
        piped = f"{shlex.join([*line, *map(str, logs)])} | {self._client(endpoint)} --max-allowed-packet=1G"
        self.run(["sh", "-c", piped], self._password(endpoint))
