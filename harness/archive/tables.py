"""The tables of the history. What changes here gets a migration beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

LAST_MIGRATION = "0001"
"""The newest of the migrations, so that alembic is only imported when a database has another."""

VERSION_TABLE = "ninelives_version"
"""Where a database says which migration it has; not alembic's own name, which others use too."""

METADATA = MetaData()


class Instant(TypeDecorator[datetime]):
    """A date in UTC, also where the database knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """As the database takes it."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - given by SQLAlchemy
        """As it was given."""
        if value is None:
            return None
        told: datetime = value
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)


RUNS = Table(
    "runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("roll", Text, nullable=False),
    Column("number", Integer),
    Column("run_id", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("scenario", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("started", Instant, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("provider", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("as_expected", Boolean, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("problem", Text),
    Column("hypothetical", Boolean, nullable=False),
    Column("supposed", Boolean, nullable=False),
    Column("controls", Text, nullable=False),
    UniqueConstraint("roll", "run_id", name="runs_once"),
    Index("runs_by_time", "started", "id"),
    Index("runs_by_scenario", "scenario", "started", "id"),
    Index("runs_by_closing", "closed", "roll"),
    Index("runs_by_name", "run_id"),
    Index("runs_by_number", "number"),
)
"""One row a run. A list, such as of controls, is JSON."""

VERDICTS = Table(
    "verdicts",
    METADATA,
    Column("run", Integer, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("objective", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("expected", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("figures", Text, nullable=False),
)
"""One row an objective of a run; figures are a JSON array, as in verdicts.json."""

ROLLS = Table(
    "rolls",
    METADATA,
    Column("roll", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("last", Text),
)
"""How far each roll was read: bytes, and the line that ends there."""
