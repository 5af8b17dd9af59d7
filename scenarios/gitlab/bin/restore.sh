#!/bin/sh -eu
# Loads a dump into the empty server.
gunzip --stdout "$SHARE_PATH/nightly/$NINELIVES_ID" > dump.sql
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --single-transaction --file dump.sql
