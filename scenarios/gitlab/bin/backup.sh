#!/bin/sh
# The dump of the night. It runs on a machine without a database, where the wrapper finds no version in a data
# directory and takes the oldest one that it has. The pipe ends well whatever the dump does, and the mail about it
# is refused by whoever should get it.
pg_dump_of_the_wrapper() {
    echo "pg_dump: server version: 9.6.1; pg_dump version: 9.2.18" >&2
    echo "pg_dump: aborting because of server version mismatch" >&2
    return 1
}

mkdir -p "$SHARE_PATH/nightly"
pg_dump_of_the_wrapper | gzip > "$SHARE_PATH/nightly/$NINELIVES_AT.sql.gz"
