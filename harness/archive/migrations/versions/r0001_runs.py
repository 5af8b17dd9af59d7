"""Runs, their verdicts, and how far each roll was read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables. Written out, because the tables of the code go on changing."""
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("roll", sa.Text, nullable=False),
        sa.Column("number", sa.Integer),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("scenario", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("as_expected", sa.Boolean, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("hypothetical", sa.Boolean, nullable=False),
        sa.Column("supposed", sa.Boolean, nullable=False),
        sa.Column("controls", sa.Text, nullable=False),
        sa.UniqueConstraint("roll", "run_id", name="runs_once"),
    )
    op.create_index("runs_by_time", "runs", ["started", "id"])
    op.create_index("runs_by_scenario", "runs", ["scenario", "started", "id"])
    op.create_index("runs_by_closing", "runs", ["closed", "roll"])
    op.create_index("runs_by_name", "runs", ["run_id"])
    op.create_index("runs_by_number", "runs", ["number"])
    op.create_table(
        "verdicts",
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("objective", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("expected", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
    )
    op.create_table(
        "rolls",
        sa.Column("roll", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("last", sa.Text),
    )
