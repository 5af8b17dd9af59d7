#!/bin/sh -eu
# The dump of the night, made by the program that belongs to the server. A step that fails ends it.
mkdir -p "$SHARE_PATH/nightly"
pg_dump --file=dump.sql
grep -q '^COPY ' dump.sql || { echo "there is no table in the dump" >&2; exit 1; }
gzip --force dump.sql
mv dump.sql.gz "$SHARE_PATH/nightly/$NINELIVES_AT.sql.gz"
