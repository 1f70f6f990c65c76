#!/bin/sh
# Installs redis-server, which tests and the cluster demo start. As root on Debian or Ubuntu it does
# so; elsewhere it says what to do.
set -eu
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq redis-server >/dev/null 2>&1 || {
        apt-get update -qq
        apt-get install -y -qq redis-server >/dev/null
    }
    exit 0
fi
echo "redis-server is missing: install it, as with apt-get install redis-server" >&2
exit 1
