"""What alembic runs: the migrations over the connection that it was handed, in its transaction."""

from __future__ import annotations

from alembic import context

from harness.archive.tables import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
)
context.run_migrations()
