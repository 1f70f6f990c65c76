#!/usr/bin/env python3
"""Read → score → write from a bucket against a disk: 1,000,000 flights in 200 shards.

    make bench-buckets                       # builds, makes the data and runs this
    benches/buckets.py [--rounds 7] [--server lean|moto] [--endpoint URL]

Without an endpoint it starts a server on the same cores, whose own time is in the figures: the
lean one of benches/store (Rust, objects in memory), or that of the tests (moto, which is Python
and takes milliseconds for a request). In every round, one after the other:

  disk       input and output on a volume, everything synced before it counts
  bucket     the same input and output in a bucket of the server

Prints best and median of each (wall time of the whole command), the median of the ratios within a
round, and the time of the processor that nightshift took in each. Then one more run over moto, which
logs them, says how many requests a shard takes, by kind.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import flights

ROOT = flights.ROOT
STORES = ROOT / ".venv-stores" / "bin" / "python"
SHARDS = 200  # of flights.SPEC
KEYS = dict(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION="us-east-1")


def start_server(kind):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = flights.WORK / "s3.log"
    lean = [ROOT / "target" / "release" / "nightshift-bench-store", str(port)]
    moto = [STORES, ROOT / "tests" / "stores" / "s3.py", str(port)]
    with log.open("w") as out:
        server = subprocess.Popen(lean if kind == "lean" else moto, stderr=out)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server, f"http://127.0.0.1:{port}", log
        except OSError:
            time.sleep(0.1)
    sys.exit("the S3 server does not answer")


def run(binary, spec, place_in, place_out, environment):
    command = [binary, "run", spec, "--input", place_in, "--output", place_out]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--output-format", "json"], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{command} ended with {status}")
    return seconds, usage.ru_utime + usage.ru_stime


def requests(log, skip):
    """Requests in the server's log after `skip` lines, by method."""
    lines = log.read_text(errors="replace").splitlines()[skip:]
    found = (re.search(r'"(?:\x1b\[[0-9;]*m)*(GET|PUT|HEAD|POST|DELETE) ', line) for line in lines)
    return collections.Counter(match.group(1) for match in found if match)


def put_input(endpoint, folder):
    command = [STORES, ROOT / "tests" / "stores" / "bucket.py", endpoint, "bench", "in", folder]
    subprocess.run(command, check=True)


def count(binary, spec, folder, name):
    """Prints the requests of one run, by the log of moto."""
    server, endpoint, log = start_server("moto")
    try:
        put_input(endpoint, folder)
        environment = {**os.environ, **KEYS, "AWS_ENDPOINT_URL": endpoint}
        skip = len(log.read_text(errors="replace").splitlines())
        run(binary, spec, f"s3://bench/in/{name}", "s3://bench/out", environment)
        counted = requests(log, skip)
        kinds = ", ".join(f"{count} {kind}" for kind, count in counted.most_common())
        print(f"requests of a run: {kinds}; {sum(counted.values()) / SHARDS:.2f} a shard")
    finally:
        server.terminate()
        server.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--server", choices=["lean", "moto"], default="lean")
    parser.add_argument("--endpoint")
    arguments = parser.parse_args()
    data, spec = flights.prepare(ROOT / ".venv" / "bin" / "python")
    binary = ROOT / "target" / "release" / "nightshift"
    server, endpoint = None, arguments.endpoint
    if endpoint is None:
        server, endpoint, _ = start_server(arguments.server)
    environment = {**os.environ, **({} if arguments.endpoint else KEYS), "AWS_ENDPOINT_URL": endpoint}
    folder = data.parent / "in"
    folder.mkdir(exist_ok=True)
    if not (folder / data.name).exists():
        os.link(data, folder / data.name)
    try:
        put_input(endpoint, folder)
        seconds = collections.defaultdict(list)
        for number in range(arguments.rounds):
            seconds["disk"].append(run(binary, spec, str(data), str(flights.fresh("disk")), environment))
            place = f"s3://bench/out-{os.getpid()}-{number}"
            seconds["bucket"].append(run(binary, spec, f"s3://bench/in/{data.name}", place, environment))
    finally:
        if server:
            server.terminate()
            server.wait()
    for name, taken in seconds.items():
        walls, work = [wall for wall, _ in taken], statistics.median(cpu for _, cpu in taken)
        print(f"{name:8} best {min(walls):6.2f} s   median {statistics.median(walls):6.2f} s   processor {work:6.2f} s")
    pairs = zip(seconds["bucket"], seconds["disk"])
    ratio = statistics.median(bucket / disk for (bucket, _), (disk, _) in pairs)
    print(f"bucket / disk: {ratio:.2f} (median of rounds)")
    count(binary, spec, folder, data.name)


if __name__ == "__main__":
    main()
