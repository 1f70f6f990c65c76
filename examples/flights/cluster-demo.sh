#!/usr/bin/env bash
# A cluster on this machine: a Redis, a coordinator and four workers score the flights example
# and print the table that `nightshift run` prints.
#
#   cluster-demo.sh FROM..TO        (run by `make cluster-demo`)
#
# Everything it starts ends with it. Output: examples/flights/cluster-out.
set -euo pipefail
cd "$(dirname "$0")/../.."

dates=${1:?give the dates, as in 2013-01-01..2013-01-14}
bin=${NIGHTSHIFT_BIN:-target/release}
workers=${WORKERS:-4}
out=examples/flights/cluster-out

command -v redis-server >/dev/null && command -v redis-cli >/dev/null || {
    echo "redis-server is missing: apt-get install redis-server" >&2
    exit 1
}
work=$(mktemp -d)
started=()
finish() {
    # Workers first: they give their leases back to a coordinator that still listens.
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        kill "${started[$i]}" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# Waits until a command succeeds, ten seconds at most.
await() {
    local what=$1
    shift
    for _ in $(seq 100); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "$what did not start:" >&2
    cat "$work"/*.log >&2
    exit 1
}

# A port that nobody has: Redis ends at once when it cannot have the one it is given.
for redis_port in $(shuf -i 20000-59999 -n 10); do
    redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --dir "$work" >"$work/redis.log" 2>&1 &
    redis=$!
    until redis-cli -p "$redis_port" ping >/dev/null 2>&1 || ! kill -0 "$redis" 2>/dev/null; do
        sleep 0.02
    done
    if kill -0 "$redis" 2>/dev/null; then break; fi
done
started+=("$redis")
await redis-server redis-cli -p "$redis_port" ping

"$bin/nightshift-coordinator" --home "$out/coordinator" --listen 127.0.0.1:0 --http 127.0.0.1:0 \
    --redis "redis://127.0.0.1:$redis_port" 2>"$work/coordinator.log" &
started+=($!)
await nightshift-coordinator grep -q 'serving gRPC' "$work/coordinator.log"
address=$(sed -n 's/.*serving gRPC on \([^ ]*\) .*/\1/p' "$work/coordinator.log" | head -1)
export NIGHTSHIFT_COORDINATOR="http://$address"
echo "coordinator at $NIGHTSHIFT_COORDINATOR, $workers workers, Redis on port $redis_port"

for n in $(seq "$workers"); do
    "$bin/nightshift-worker" --workers 1 2>"$work/worker-$n.log" &
    started+=($!)
done

"$bin/nightshift" submit examples/flights/spec.yaml --dates "$dates" \
    --output "$out/predictions" --wait

echo
echo "what Redis says:"
redis-cli -p "$redis_port" hlen 'nightshift:{flight-delays}:dates' | sed 's/$/ dates are complete/'
