#!/bin/sh -eu
# A line for each dump that is there, whatever is in it.
for dump in "$SHARE_PATH"/nightly/*.sql.gz; do
    [ -e "$dump" ] || continue
    name=$(basename "$dump")
    printf '{"id": "%s", "taken": "%s", "size": %s}\n' "$name" "${name%.sql.gz}" "$(wc -c < "$dump")"
done
