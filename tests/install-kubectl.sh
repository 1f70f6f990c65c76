#!/bin/sh
# Installs kubectl, with which tests render the kustomizations of deploy/. It must be 1.21 or newer:
# older ones know no components. As root on Debian or Ubuntu it takes a package where one is new
# enough, else the program of the Kubernetes project; elsewhere it says what to do.
set -eu
oldest=1.21
version=v1.34.1

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq kubectl >/dev/null 2>&1 && exit 0
    apt-get update -qq || true
    packaged=$(apt-cache policy kubernetes-client | sed -n 's/^  Candidate: //p')
    # Debian 12 calls its 1.20.2 "1.20.5+really1.20.2", which compares rightly all the same.
    if dpkg --compare-versions "${packaged:-0}" ge "$oldest"; then
        apt-get install -y -qq kubernetes-client >/dev/null && exit 0
    fi
fi
if [ "$(id -u)" = 0 ] && command -v curl >/dev/null && [ "$(uname -s)" = Linux ]; then
    case $(uname -m) in
        aarch64) machine=arm64 ;;
        *) machine=amd64 ;;
    esac
    from=https://dl.k8s.io/release/$version/bin/linux/$machine/kubectl
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    if curl -fsSL -o "$folder/kubectl" "$from" && sum=$(curl -fsSL "$from.sha256"); then
        echo "$sum  $folder/kubectl" | sha256sum -c --quiet
        install -m 755 "$folder/kubectl" /usr/local/bin/kubectl
        exit 0
    fi
fi
echo "kubectl is missing: install $oldest or newer, see https://kubernetes.io/docs/tasks/tools" >&2
exit 1
