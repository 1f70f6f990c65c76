#!/bin/sh
# Installs prometheus and promtool, which tests start; the service that comes with the package is
# not started. As root on Debian or Ubuntu it does so; elsewhere it says what to do.
set -eu
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    # Without what the package recommends: an exporter of this machine's numbers.
    install="apt-get install -y -qq --no-install-recommends prometheus"
    RUNLEVEL=1 $install >/dev/null 2>&1 || {
        apt-get update -qq
        RUNLEVEL=1 $install >/dev/null
    }
    exit 0
fi
echo "prometheus and promtool are missing: install them, as with apt-get install prometheus" >&2
exit 1
