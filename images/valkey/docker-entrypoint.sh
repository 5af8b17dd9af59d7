#!/bin/sh
# Arguments of the server alone are enough; it keeps its data in /data and never runs as root.
set -eu
case "${1:-}" in
    -*) set -- valkey-server "$@" ;;
esac
if [ "$1" = valkey-server ]; then
    shift
    set -- valkey-server --dir /data --protected-mode no --bind '* -::*' "$@"
    if [ "$(id -u)" = 0 ]; then
        chown nobody: /data
        exec setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"
    fi
fi
exec "$@"
