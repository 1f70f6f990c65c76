#!/usr/bin/env bash
# Ten years of done dates: what a tick costs that finds nothing to do, with Redis and without.
#
#   benches/ticks.sh [DATES]      needs release programs (make build) and redis-server
set -euo pipefail
dates=${1:-3650}
repository=$(cd "$(dirname "$0")/.." && pwd)
nightshift=$repository/target/release/nightshift
folder=$(mktemp -d)
port=$((20000 + $$ % 20000))
redis-server --port "$port" --save '' --dir "$folder" >"$folder/redis.log" &
server=$!
trap 'kill $server; rm -rf "$folder"' EXIT
until redis-cli -p "$port" ping 2>/dev/null | grep -q PONG; do :; done

# The same table under every date, one shard each.
"$nightshift" example "$folder/flights" >/dev/null
table=$(ls "$folder"/flights/data/date=2013-01-12/*.parquet)
last=$(date -u -d yesterday +%F)
first=$(date -u -d "$last - $((dates - 1)) days" +%F)
mkdir "$folder/days"
for ((day = 0; day < dates; day++)); do
    name=$folder/days/date=$(date -u -d "$first + $day days" +%F)
    mkdir "$name"
    ln "$table" "$name/flights.parquet"
done
spec=$folder/flights/spec.yaml
"$nightshift" run "$spec" --input "$folder/days/date={date}/*.parquet" --dates "$first..$last" >/dev/null 2>&1

tick() {
    local begun ended
    begun=$(date +%s%N)
    "$nightshift" backfill "$spec" --input "$folder/days/date={date}/*.parquet" \
        --window "${dates}d" "$@" 2>/dev/null >"$folder/said"
    ended=$(date +%s%N)
    [ "$(tail -1 "$folder/said" | tr -d ,)" = "$dates of $dates dates are done" ] ||
        { cat "$folder/said" >&2; return 1; }
    echo $(((ended - begun) / 1000000))
}
redis=(--redis "redis://127.0.0.1:$port")
anew=$(tick "${redis[@]}")
echo "ledger made anew from $dates finals: $anew ms"
redis-cli -p "$port" config resetstat >/dev/null
for _ in 1 2 3 4 5; do
    asked=$(tick "${redis[@]}")
    echo "tick with Redis: $asked ms"
done
redis-cli -p "$port" info commandstats | grep -E 'exec|hmget' | cut -d, -f1
alone=$(tick)
echo "tick without Redis: $alone ms"
