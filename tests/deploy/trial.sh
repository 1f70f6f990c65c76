#!/usr/bin/env bash
# Runs the programs of the image archives as a pod would:
#
#   tests/deploy/trial.sh target/images
#
# skopeo reads each archive both as Docker and as OCI would, umoci unpacks it. The programs then run as
# user 65532 on a read-only root that has nothing but /data and /tmp to write to: a whole run shard by
# shard, a time zone, and a coordinator with TLS. Needs root, skopeo and umoci.
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
images=$(cd "${1:?usage: trial.sh FOLDER-OF-ARCHIVES}" && pwd)
for tool in skopeo umoci openssl unshare; do
    command -v "$tool" >/dev/null || { echo "trial.sh: $tool is missing: apt-get install skopeo umoci openssl util-linux"; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "trial.sh: mounting and changing the root need root"; exit 1; }
# Mounts of this process alone, so that none is left behind.
[ "${IN_TRIAL:-}" ] || IN_TRIAL=1 exec unshare --mount "$0" "$images"

work=$(mktemp -d)
chroot=$(command -v chroot)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; umount -R "$work"/*/rootfs 2>/dev/null; rm -rf "$work"' EXIT
mkdir -m 777 "$work/data"

for name in nightshift nightshift-coordinator nightshift-worker nightshift-sidecar; do
    archive=$images/$name.tar
    docker=$(skopeo inspect --config "docker-archive:$archive" | sha256sum)
    oci=$(skopeo inspect --config "oci-archive:$archive" | sha256sum)
    [ "$docker" = "$oci" ] || { echo "$name: Docker and OCI readers see different images"; exit 1; }
    skopeo copy --quiet "oci-archive:$archive" "oci:$work/layout-$name:tried"
    umoci --log=error unpack --image "$work/layout-$name:tried" "$work/$name"
    root=$work/$name/rootfs
    # What a container runtime mounts.
    mkdir -p "$root/data" "$root/dev" "$root/proc"
    echo '127.0.0.1 localhost' >"$root/etc/hosts"
    [ "$name" = nightshift-coordinator ] || cp -f "$root/etc/hosts" "$root/etc/resolv.conf"
    mount --bind "$root" "$root"
    mount -o remount,bind,ro "$root"
    mount --bind "$work/data" "$root/data"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
done

# PROGRAM ARGUMENTS: as the user of the image, with an empty environment.
run() {
    local name=$1
    shift
    env -i "${variables[@]}" "$chroot" --userspec=65532:65532 --groups= "$work/$name/rootfs" "/$name" "$@"
}
variables=(PATH=/)

for name in nightshift nightshift-coordinator nightshift-worker nightshift-sidecar; do
    run "$name" --version
    if chroot --userspec=65532:65532 --groups= "$work/$name/rootfs" /bin/sh -c true 2>/dev/null; then
        echo "$name: has a shell"
        exit 1
    fi
done

run nightshift example /data/flights >/dev/null
for shard in 0 1 2 3; do
    run nightshift-worker --spec /data/flights/spec.yaml --date 2013-01-01 --shard-index "$shard" --num-shards 4
done
run nightshift verify /data/flights/spec.yaml --date 2013-01-01

# Without zoneinfo on the root: a zone that is unknown ends with 78, a date without input with 66.
sed 's|^  output:|  backfill: { timezone: Pacific/Auckland }\n  output:|' "$work/data/flights/spec.yaml" >"$work/data/flights/zone.yaml"
code=0
run nightshift plan /data/flights/zone.yaml --date yesterday 2>/dev/null || code=$?
[ "$code" = 66 ] || { echo "a time zone: exit code $code instead of 66"; exit 1; }
echo "time zones are built in"

"$repository/deploy/components/grpc-tls/certificates.sh" "$work/data/tls" >/dev/null
chmod -R a+rX "$work/data/tls"
tls=/data/tls
mkdir -m 777 "$work/data/home"
variables=(PATH=/ NIGHTSHIFT_TLS_CERT=$tls/coordinator.crt NIGHTSHIFT_TLS_KEY=$tls/coordinator.key NIGHTSHIFT_TLS_CLIENT_CA=$tls/ca.crt)
env -i "${variables[@]}" "$chroot" --userspec=65532:65532 --groups= "$work/nightshift-coordinator/rootfs" \
    /nightshift-coordinator --home /data/home --listen 127.0.0.1:17070 --http 127.0.0.1:17071 >"$work/coordinator.log" 2>&1 &
server=$!
variables=(PATH=/ NIGHTSHIFT_COORDINATOR=https://localhost:17070 NIGHTSHIFT_TLS_CA=$tls/ca.crt NIGHTSHIFT_TLS_CERT=$tls/worker.crt NIGHTSHIFT_TLS_KEY=$tls/worker.key)
run nightshift submit /data/flights/spec.yaml --date 2013-01-02 || { cat "$work/coordinator.log"; exit 1; }
# Without NIGHTSHIFT_TLS_CA the authorities of the image count, which do not know this one.
saved=("${variables[@]}")
variables=(PATH=/ NIGHTSHIFT_COORDINATOR=https://localhost:17070 NIGHTSHIFT_TLS_CERT=$tls/worker.crt NIGHTSHIFT_TLS_KEY=$tls/worker.key)
for name in nightshift nightshift-worker; do
    test -s "$work/$name/rootfs/etc/ssl/certs/ca-certificates.crt" || { echo "$name: no authorities"; exit 1; }
    mount --bind "$work/data/tls/ca.crt" "$work/$name/rootfs/etc/ssl/certs/ca-certificates.crt"
done
run nightshift-worker --coordinator https://localhost:17070 --run flight-delays-2013-01-02-g1
run nightshift status flight-delays-2013-01-02-g1
variables=("${saved[@]}")
run nightshift status flight-delays-2013-01-02-g1 --output-format json | grep -q '"state": "succeeded"'
echo "TLS works with the authorities of the image and with those that are named"
echo "every image works"
