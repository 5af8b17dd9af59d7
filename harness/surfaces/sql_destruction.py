"""What SQL can destroy on a PostgreSQL server. Each entry names the test that shows it."""

from __future__ import annotations

from harness.facts import Destruction

_SHOWN = "tests/surfaces/test_sql_destruction.py::"

SQL_DESTRUCTION = (
    Destruction(
        operation="`DROP TABLE`, `DROP SCHEMA ... CASCADE`, `ALTER TABLE ... DROP COLUMN`",
        verb="execute",
        undo="`ROLLBACK` until it is committed",
        takes_along="",
        guard="only the owner may: the role that the application uses owns nothing",
        basis="observed",
        evidence=_SHOWN + "test_a_loss_can_be_taken_back_until_it_is_committed",
        called=("DROP TABLE", "DROP SCHEMA", "DROP COLUMN"),
    ),
    Destruction(
        operation="`TRUNCATE ... CASCADE`",
        verb="execute",
        undo="`ROLLBACK` until it is committed",
        takes_along="",
        guard="the privilege `TRUNCATE`, which a role that deletes rows need not have",
        basis="observed",
        evidence=_SHOWN + "test_a_writer_deletes_rows_and_drops_nothing",
        called=("TRUNCATE",),
    ),
    Destruction(
        operation="`DELETE` or `UPDATE` without `WHERE`",
        verb="execute",
        undo="`ROLLBACK` until it is committed",
        takes_along="",
        guard="the privileges `DELETE` and `UPDATE`",
        basis="observed",
        evidence=_SHOWN + "test_a_role_without_the_right_is_refused_every_loss",
        called=("DELETE", "UPDATE"),
    ),
    Destruction(
        operation="`DROP DATABASE`",
        verb="execute",
        undo="",
        takes_along="",
        guard="only the owner may; not while anybody is connected, unless `WITH (FORCE)` and it may end their"
        " sessions: for those of other roles `pg_signal_backend`",
        basis="observed",
        evidence=_SHOWN + "test_a_database_is_dropped_at_once_by_whoever_owns_it",
        called=("DROP DATABASE",),
    ),
    Destruction(
        operation="`pg_drop_replication_slot`",
        verb="execute",
        undo="",
        takes_along="log that the archive or the standby behind the slot has not read yet",
        guard="the attribute `REPLICATION`",
        basis="observed",
        evidence=_SHOWN + "test_without_its_slot_a_receiver_loses_the_log_it_has_not_read",
        called=("pg_drop_replication_slot",),
    ),
    Destruction(
        operation="`ALTER SYSTEM SET archive_command`",
        verb="execute",
        undo="setting it back; what was written meanwhile is not in the archive",
        takes_along="every later recovery point of the archive",
        guard="superusers only",
        basis="observed",
        evidence=_SHOWN + "test_only_a_superuser_stops_the_archive",
        called=("ALTER SYSTEM SET archive_command",),
    ),
    Destruction(
        operation="`COPY ... TO` a file, or `TO PROGRAM`",
        verb="execute",
        undo="",
        takes_along="whatever the server's account can write: its data, and copies beside it",
        guard="superusers and the roles `pg_write_server_files` and `pg_execute_server_program` only; "
        "copies under another account",
        basis="observed",
        evidence=_SHOWN + "test_only_a_superuser_reaches_the_servers_files",
        called=("COPY TO PROGRAM",),
    ),
    Destruction(
        operation="any of these, on a server with a standby",
        verb="execute",
        undo="",
        takes_along="the standby, which replays what it gets as soon as it can",
        guard="a standby with `recovery_min_apply_delay`, and time to notice within it",
        basis="documented",
        evidence="https://www.postgresql.org/docs/18/runtime-config-replication.html",
        called=(),
    ),
)
