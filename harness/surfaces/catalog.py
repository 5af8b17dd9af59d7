"""What a PostgreSQL server says of itself, to be compared before and after a call.

An action's own words prove nothing: ``DROP TABLE IF EXISTS`` may have dropped nothing, a function may have
dropped everything. The server's catalog tells (PostgreSQL 18, chapter 52, "System Catalogs").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from psycopg.rows import args_row

from harness.seams.postgres_client import Connection

OBJECTS = rb"""
SELECT kinds.kind, c.oid, n.nspname || '.' || c.relname,
       md5(concat_ws('|', n.nspname, c.relname, c.relowner, c.relacl, c.relrowsecurity, c.reloptions,
           (SELECT string_agg(concat_ws(':', attname, atttypid, atttypmod, attnotnull, attisdropped, attacl,
                                        attidentity, pg_get_expr(adbin, adrelid)), ',' ORDER BY attnum)
            FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = c.oid AND attnum > 0),
           (SELECT string_agg(pg_get_constraintdef(oid), ',' ORDER BY oid)
            FROM pg_constraint WHERE conrelid = c.oid),
           (SELECT string_agg(pg_get_triggerdef(oid) || tgenabled::text, ',' ORDER BY oid)
            FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal),
           (SELECT string_agg(pg_get_ruledef(oid), ',' ORDER BY oid) FROM pg_rewrite WHERE ev_class = c.oid),
           (SELECT string_agg(p::text, ',' ORDER BY oid) FROM pg_policy AS p WHERE polrelid = c.oid))),
       c.relfilenode,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) ELSE 0 END
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN (VALUES ('r', 'table'), ('p', 'table'), ('f', 'foreign-table'), ('v', 'view'),
             ('m', 'materialized-view'), ('S', 'sequence'), ('i', 'index'), ('I', 'index'))
     AS kinds (relkind, kind) ON kinds.relkind = c.relkind
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT 'function', p.oid, n.nspname || '.' || p.proname, md5(p::text), 0, 0
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.oid >= 16384
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT 'schema', n.oid, n.nspname, md5(n::text), 0, 0
FROM pg_namespace AS n
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT 'database', d.oid, d.datname,
       md5(concat_ws('|', datname, datdba, datallowconn, datconnlimit, datacl,
           (SELECT string_agg(s::text, ',' ORDER BY setrole) FROM pg_db_role_setting AS s
            WHERE setdatabase = d.oid))),
       0, 0
FROM pg_database AS d
UNION ALL
SELECT 'role', r.oid, r.rolname,
       md5(concat_ws('|', r::text,
           (SELECT string_agg(s::text, ',') FROM pg_db_role_setting AS s
            WHERE setrole = r.oid AND setdatabase = 0),
           (SELECT string_agg(m::text, ',' ORDER BY m.oid) FROM pg_auth_members AS m WHERE member = r.oid))),
       0, 0
FROM pg_authid AS r WHERE r.rolname !~ '^pg_'
UNION ALL
SELECT 'setting', 0, f.name, md5(f.setting), 0, 0
FROM pg_file_settings AS f WHERE f.sourcefile LIKE '%.auto.conf'
UNION ALL
SELECT 'replication-slot', 0, s.slot_name, md5(concat_ws('|', slot_type, plugin, database)), 0, 0
FROM pg_replication_slots AS s WHERE NOT s.temporary
"""
"""Whatever a principal can create, change and drop. ``relfilenode`` changes when a table is truncated.

The server's own three thousand functions have numbers below 16384 (transam.h, FirstNormalObjectId), and are
not looked through each time.
"""

REWRITES = frozenset(("VACUUM", "CLUSTER", "REINDEX", "REFRESH MATERIALIZED VIEW"))
"""Command tags of what writes a table anew and loses nothing of it."""


class Identity(NamedTuple):
    """What tells one object from all others, also when it is renamed; what has no number cannot be."""

    kind: str
    oid: int
    name: str


@dataclass(frozen=True)
class Entry:
    """One object of the catalog.

    Attributes:
        name: with its schema, as the replica's inventory has it.
        definition: a digest of all that defines it.
        storage: the file it lies in; 0 for what has none.
        size: of that file, in bytes.
    """

    name: str
    definition: str
    storage: int
    size: int


@dataclass(frozen=True)
class Change:
    """What became of one object."""

    kind: str
    name: str
    what: str


class Catalog:
    """The objects of one database, and the databases, roles, settings and slots of its server, at one moment.

    Args:
        connection: of a superuser.

    Raises:
        psycopg.Error: the server does not answer.
    """

    def __init__(self, connection: Connection) -> None:
        with connection.cursor(row_factory=args_row(_entry)) as cursor:
            self._entries: Mapping[Identity, Entry] = dict(cursor.execute(OBJECTS, prepare=True).fetchall())

    def changes_since(self, before: Catalog, tags: frozenset[str]) -> tuple[Change, ...]:
        """What was created, altered, emptied or dropped since, by kind and name.

        Args:
            before: of the same database.
            tags: command tags of the statements in between.
        """
        old, new = before._entries, self._entries
        harmless = bool(tags) and tags <= REWRITES
        found = [Change(i.kind, old[i].name, "dropped") for i in old.keys() - new.keys()]
        found += [Change(i.kind, new[i].name, "created") for i in new.keys() - old.keys()]
        for identity in old.keys() & new.keys():
            was, now = old[identity], new[identity]
            if was.definition != now.definition:
                found.append(Change(identity.kind, was.name, "altered"))
            elif was.storage != now.storage and was.size > 0 and not harmless:
                found.append(Change(identity.kind, was.name, "emptied" if now.size == 0 else "rewritten"))
        return tuple(sorted(found, key=lambda change: (change.kind, change.name)))


def _entry(
    kind: str, oid: int, name: str, definition: str, storage: int, size: int
) -> tuple[Identity, Entry]:
    identity = Identity(kind, oid, "" if oid else name)
    return identity, Entry(name, definition, storage, size)
