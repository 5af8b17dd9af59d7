#!/bin/bash
# Prepares an empty data directory as the environment says, then becomes the server.
set -euo pipefail

# The value of a variable, or of the file that <variable>_FILE names; $2 when neither is there.
value() {
    local file="${1}_FILE"
    if [ -n "${!1:-}" ] && [ -n "${!file:-}" ]; then
        echo "both $1 and $file are set" >&2
        return 1
    elif [ -n "${!file:-}" ]; then
        cat "${!file}"
    else
        echo "${!1:-${2:-}}"
    fi
}

# initdb wants the account that it runs as to have a name.
name_account() {
    if ! getent passwd "$(id -u)" >/dev/null; then
        NSS_WRAPPER_PASSWD="$(mktemp)" NSS_WRAPPER_GROUP="$(mktemp)"
        echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" >"$NSS_WRAPPER_PASSWD"
        echo "postgres:x:$(id -g):" >"$NSS_WRAPPER_GROUP"
        LD_PRELOAD="$(find /usr/lib -name libnss_wrapper.so)"
        export LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    fi
}

forget_name() {
    if [ -n "${NSS_WRAPPER_PASSWD:-}" ]; then
        rm -f "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"
        unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    fi
}

prepare() {
    local user database password method
    user="$(value POSTGRES_USER postgres)"
    database="$(value POSTGRES_DB "$user")"
    password="$(value POSTGRES_PASSWORD)"
    method="${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}"
    if [ -z "$password" ] && [ "$method" != trust ]; then
        echo "POSTGRES_PASSWORD is needed: nobody could log in" >&2
        exit 1
    fi
    name_account
    # shellcheck disable=SC2086 # several options in one variable
    eval "set -- ${POSTGRES_INITDB_ARGS:-}"
    initdb --username="$user" --pwfile=<(printf '%s\n' "$password") --auth-host="$method" "$@"
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait start --options="-c listen_addresses='' -c unix_socket_directories=/tmp" >/dev/null
    export PGHOST=/tmp PGUSER="$user" PGPASSWORD="$password" PGDATABASE="$database"
    if [ "$database" != postgres ]; then
        psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --dbname=postgres --set=name="$database" \
            <<<'CREATE DATABASE :"name";'
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) psql --no-psqlrc --set=ON_ERROR_STOP=1 --file="$file" ;;
            *.sql.gz) gunzip --stdout "$file" | psql --no-psqlrc --set=ON_ERROR_STOP=1 ;;
        esac
    done
    pg_ctl --wait --mode=fast stop >/dev/null
    forget_name
    unset PGHOST PGUSER PGPASSWORD PGDATABASE
    echo 'PostgreSQL init process complete; ready for start up.'
}

if [ "${1:0:1}" = - ]; then
    set -- postgres "$@"
fi
if [ "$1" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        install -d -o postgres -g postgres -m 700 "$PGDATA"
        exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
    fi
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA" 2>/dev/null || true
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        prepare
    fi
fi
exec "$@"
