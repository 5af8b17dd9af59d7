"""Copies of a database as JSON, on a shelf: one a day, of which the newest are kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.errors import BackupError, DatabaseError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import OtherProtection, PostgresService, Protection
from harness.seams.drivers import Database, Due, PartTimer, Setting, Vessel

NAME = "%Y%m%dT%H%M%SZ"
DAY = timedelta(days=1)


class JsonCopyTool:
    """Settings: ``keep``, how many days. It goes to the service named by ``to``, of kind ``shelf``."""

    def __init__(
        self, name: str, protection: Protection, source: Endpoint, database: Database, setting: Setting
    ) -> None:
        assert isinstance(protection, OtherProtection)
        assert protection.to is not None
        service = setting.stack.services[source.service]
        assert isinstance(service, PostgresService)
        assert service.schema_ is not None
        self._name, self._source, self._database = name, source, database
        self._keep = int(str(protection.settings["keep"]))
        self._place, self._shelf = protection.to, setting.peers[protection.to].path
        self._tables = tuple(service.tables)
        self._schema = (setting.folder / service.schema_).read_text(encoding="utf-8")

    def due(self, now: datetime, span: timedelta) -> tuple[Due, ...]:
        """One a day, the newest of them a day old."""
        days = [day for day in range(self._keep, 0, -1) if day * DAY <= span]
        return tuple(Due(now - day * DAY, f"{day} days ago") for day in days)

    def take(self, due: Due) -> RecoveryPoint:
        """Write one file with all rows of every tracked table."""
        try:
            rows = {
                table: self._database.query(self._source, f"SELECT to_jsonb(t) FROM {table} AS t", {})
                for table in self._tables
            }
        except DatabaseError as error:
            raise BackupError(f"{self._source.service} cannot be read: {error}", hint="is it up?") from error
        path = self._shelf / f"{due.at.astimezone(UTC):{NAME}}.json"
        text = json.dumps({name: [row for (row,) in found] for name, found in rows.items()})
        path.write_text(text, encoding="utf-8")
        return self._point(path)

    def start(self) -> None:
        """Nothing runs all the time."""

    def stop(self) -> None:
        """Nothing runs all the time."""

    def points(self) -> tuple[RecoveryPoint, ...]:
        """What lies on the shelf, newest first."""
        return tuple(self._point(path) for path in sorted(self._shelf.glob("*.json"), reverse=True))

    def restore(self, point: RecoveryPoint, into: Vessel, mark: PartTimer) -> Endpoint:
        """Make the tables in an empty replica, and put the rows into them."""
        endpoint = into.start()
        mark("restore")
        self._database.execute(endpoint, self._schema, {})
        try:
            copies = json.loads((self._shelf / point.location).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RestoreError(
                f"{point.location} cannot be read: {error}", hint="try an older one"
            ) from error
        for table, rows in copies.items():
            statement = f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, :rows)"
            self._database.execute(endpoint, statement, {"rows": json.dumps(rows)})
        return endpoint

    def _point(self, path: Path) -> RecoveryPoint:
        taken = datetime.strptime(path.stem, NAME).replace(tzinfo=UTC)
        return RecoveryPoint(
            id=f"{self._name}-{path.stem}",
            protection=self._name,
            service=self._source.service,
            kind="dump",
            taken=taken,
            covers_until=taken,
            place=self._place,
            location=path.name,
            size=path.stat().st_size,
        )
