#!/bin/bash
# Prepares an empty data directory as the environment says, then becomes the server.
set -euo pipefail
DATA=/var/lib/mysql

# The value of MARIADB_<name> or MYSQL_<name>, or of the file that ..._FILE names; nothing when none is there.
value() {
    local prefix variable
    for prefix in MARIADB MYSQL; do
        variable="${prefix}_$1_FILE"
        if [ -n "${!variable:-}" ]; then
            cat "${!variable}"
            return
        fi
        variable="${prefix}_$1"
        if [ -n "${!variable:-}" ]; then
            echo "${!variable}"
            return
        fi
    done
}

# A text as a literal, a name as an identifier.
literal() { printf "'%s'" "$(printf %s "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g")"; }
identifier() { printf '`%s`' "${1//\`/\`\`}"; }

prepare() {
    local root database user password
    root="$(value ROOT_PASSWORD)"
    if [ -z "$root" ] && [ -z "$(value ALLOW_EMPTY_ROOT_PASSWORD)" ]; then
        echo "MARIADB_ROOT_PASSWORD is needed: nobody could log in" >&2
        exit 1
    fi
    database="$(value DATABASE)" user="$(value USER)" password="$(value PASSWORD)"
    mariadb-install-db --no-defaults --datadir="$DATA" --auth-root-authentication-method=normal \
        --skip-test-db --skip-name-resolve >/dev/null
    "$@" --skip-networking --socket="$DATA/prepare.sock" --pid-file="$DATA/prepare.pid" &
    local server=$!
    until mariadb-admin --no-defaults --socket="$DATA/prepare.sock" --user=root ping >/dev/null 2>&1; do
        kill -0 "$server" || exit 1
        sleep 0.1
    done
    {
        if [ -n "$database" ]; then
            echo "CREATE DATABASE $(identifier "$database");"
        fi
        if [ -n "$user" ]; then
            echo "CREATE USER $(literal "$user")@'%' IDENTIFIED BY $(literal "$password");"
            if [ -n "$database" ]; then
                echo "GRANT ALL ON $(identifier "$database").* TO $(literal "$user")@'%';"
            fi
        fi
    } | client
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) client "$database" <"$file" ;;
            *.sql.gz) gunzip --stdout "$file" | client "$database" ;;
        esac
    done
    {
        echo "CREATE USER root@'%' IDENTIFIED BY $(literal "$root");"
        echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
        echo "ALTER USER root@localhost IDENTIFIED BY $(literal "$root");"
        echo "SHUTDOWN;"
    } | client
    wait "$server"
    echo 'MariaDB init process done. Ready for start up.'
}

client() { mariadb --no-defaults --socket="$DATA/prepare.sock" --user=root ${1:+--database="$1"}; }

case "${1:-}" in
    -*) set -- mariadbd "$@" ;;
    mysqld) shift; set -- mariadbd "$@" ;;
esac
if [ "$1" = mariadbd ]; then
    if [ "$(id -u)" = 0 ]; then
        chown mysql: "$DATA"
        exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
    fi
    shift
    set -- mariadbd --datadir="$DATA" --socket="$DATA/mysqld.sock" --bind-address=0.0.0.0 "$@"
    if [ ! -d "$DATA/mysql" ]; then
        prepare "$@"
    fi
fi
exec "$@"
