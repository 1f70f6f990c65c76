#!/bin/sh
# Makes an authority and two certificates for gRPC with openssl, where no cert-manager does it:
#
#   deploy/components/grpc-tls/certificates.sh FOLDER [DAYS]
#
# FOLDER gets ca.crt and ca.key, coordinator.crt and .key, worker.crt and .key. Keep ca.key: who has
# it can make certificates that open the coordinator. It does not belong into the cluster.
set -eu
folder=${1:?usage: certificates.sh FOLDER [DAYS]}
days=${2:-365}
umask 077
mkdir -p "$folder"
cd "$folder"

key() {
    openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null ||
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
}

# NAME USAGE SUBJECT-ALTERNATIVE-NAMES
certificate() {
    key "$1"
    printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "$2" "$3" >"$1.ext"
    openssl req -new -key "$1.key" -subj "/CN=nightshift-$1" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" \
        -days "$days" -extfile "$1.ext" -out "$1.crt" 2>/dev/null
    rm "$1.csr" "$1.ext"
}

key ca
openssl req -x509 -new -key ca.key -subj /CN=nightshift -days "$days" -out ca.crt \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign'
# The names by which workers, Jobs and a forwarded port know the coordinator.
certificate coordinator serverAuth \
    'DNS:nightshift-coordinator,DNS:nightshift-coordinator.nightshift.svc,DNS:localhost'
certificate worker clientAuth 'DNS:nightshift-worker'
openssl verify -CAfile ca.crt coordinator.crt worker.crt
