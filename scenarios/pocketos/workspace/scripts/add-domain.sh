#!/bin/sh
# Adds a custom domain to the production service.
set -eu
. "$(dirname "$0")/domains.env"
railway domain "$1"
