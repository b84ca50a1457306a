#!/bin/sh
# MariaDB in a container: the first start makes the data directory, with the root password, database and user that the
# MARIADB_* or MYSQL_* variables name, as the official images do.
set -e
[ "$1" = mariadbd ] || [ "$1" = mysqld ] || exec "$@"
shift

data=/var/lib/mysql
fresh=$data/.initialising
small="--innodb-buffer-pool-size=8M --innodb-log-file-size=4M --innodb-use-native-aio=0 --key-buffer-size=64K
    --performance-schema=OFF --max-connections=32 --table-open-cache=64 --skip-log-bin"

# The value of MARIADB_$1 or MYSQL_$1.
setting() { eval "printf %s \"\${MARIADB_$1:-\$MYSQL_$1}\""; }

# $1 as an SQL string, and as an SQL name.
string() { printf "'%s'" "$(printf %s "$1" | sed "s/[\\\\']/\\\\&/g")"; }
name() { printf '`%s`' "$(printf %s "$1" | sed 's/`/``/g')"; }

# One line as it is: echo would read backslashes.
line() { printf '%s\n' "$1"; }

statements() {
    password=$(string "$(setting ROOT_PASSWORD)")
    database=$(setting DATABASE)
    user=$(setting USER)
    line "ALTER USER root@localhost IDENTIFIED BY $password;"
    line "CREATE USER root@'%' IDENTIFIED BY $password;"
    line "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
    [ -z "$database" ] || line "CREATE DATABASE $(name "$database");"
    [ -z "$user" ] || line "CREATE USER $(string "$user")@'%' IDENTIFIED BY $(string "$(setting PASSWORD)");"
    # An underscore in a grant's database name would match any character.
    [ -z "$user" ] || [ -z "$database" ] ||
        line "GRANT ALL ON $(name "$(printf %s "$database" | sed 's/_/\\_/g')").* TO $(string "$user")@'%';"
}

if [ ! -d $data/mysql ]; then
    if [ -z "$(setting ROOT_PASSWORD)$(setting ALLOW_EMPTY_PASSWORD)$(setting ALLOW_EMPTY_ROOT_PASSWORD)" ]; then
        echo "The database has no root password: set MYSQL_ROOT_PASSWORD (or MYSQL_ALLOW_EMPTY_PASSWORD=yes)." >&2
        exit 1
    fi
    rm -rf $fresh
    mkdir $fresh
    umask 077
    # Half a data directory is never taken for a whole one: it gets its name, mysql/ last, once it is done.
    {
        # The other roots have no password, and the nameless users any name.
        echo "DELETE FROM mysql.global_priv WHERE User NOT IN ('root', 'mariadb.sys') OR User = 'root' AND Host <> 'localhost';"
        echo "FLUSH PRIVILEGES;"
        statements
    } >$fresh.sql
    # shellcheck disable=SC2086
    if ! said=$(mariadb-install-db --no-defaults --user=root --datadir=$fresh --skip-test-db --force \
        --auth-root-authentication-method=normal --extra-file=$fresh.sql $small 2>&1); then
        echo "$said" >&2
        exit 1
    fi
    for entry in "$fresh"/*; do
        [ "$entry" = "$fresh/mysql" ] || mv "$entry" $data/
    done
    mv $fresh/mysql $data/
    rm -rf $fresh $fresh.sql
fi
# shellcheck disable=SC2086
exec mariadbd --no-defaults --user=root --datadir=$data --bind-address='*' --socket=/run/mysqld/mysqld.sock \
    --pid-file=/run/mysqld/mysqld.pid --skip-name-resolve $small "$@"
