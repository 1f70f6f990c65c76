#!/usr/bin/env python3
"""The benchmark of the main job: 1,000,000 rows of real flights in 200 shards, against plain Python.

    make bench                     # builds, makes the data and runs this
    benches/flights.py [--rounds 7]

In every round, one after the other on the same cores:

  nightshift           `nightshift run`, one command, everything on disk before it counts
  without sync         the same with every sync left out: what durability costs
  python, processes    benches/peers/score_flights.py, two processes, no sync, no promises
  python, threads      the same with two threads

Prints the best and the median of each (wall time of the whole command for nightshift, start of
the process included; for Python from after its imports, in its favour), the ratio to the better
Python, where the time of nightshift went, and peak memory.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "out" / "million"
SPEC = """\
apiVersion: nightshift.dev/v1
kind: BatchInference
metadata: {{ name: million-flights }}
spec:
  input: {{ uri: {input}, id: [flight_id] }}
  model: {{ uri: {model} }}
  task: {{ kind: tabular }}
  output: {{ uri: {output} }}
  sharding: {{ count: 200 }}
"""


def prepare(python):
    data = WORK / "flights.parquet"
    if not data.is_file():
        WORK.mkdir(parents=True, exist_ok=True)
        subprocess.run([python, ROOT / "benches" / "million_flights.py", data], check=True)
    spec = WORK / "spec.yaml"
    model = ROOT / "examples" / "flights" / "models" / "delay-mlp"
    spec.write_text(SPEC.format(input=data, model=model, output=WORK / "predictions"))
    return data, spec


def fresh(name):
    """A folder that never was: some file systems are slow to reuse what was just deleted."""
    fresh.number = getattr(fresh, "number", 0) + 1
    return WORK / "runs" / f"{os.getpid()}-{fresh.number}-{name}"


def nightshift(binary, spec, *flags):
    """One run from nothing; seconds of the whole command, its own figures, peak memory in MB."""
    command = [binary, "run", spec, "--output", fresh("nightshift"), "--output-format", "json", *flags]
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    text = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{command} failed with status {status}")
    line = json.loads(text)["dates"][0]
    if line["rows_out"] != 1_000_000 or line["shards"] != 200:
        sys.exit(f"{command} did something else: {line}")
    return seconds, line["parts"], usage.ru_maxrss / 1024


def python_script(python, data, pool):
    command = [python, ROOT / "benches" / "peers" / "score_flights.py", data, fresh("python"), "--pool", pool]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--python", default=str(ROOT / ".venv" / "bin" / "python"))
    parser.add_argument("--nightshift", default=str(ROOT / "target" / "release" / "nightshift"))
    args = parser.parse_args()
    data, spec = prepare(args.python)
    shutil.rmtree(WORK / "runs", ignore_errors=True)
    (WORK / "runs").mkdir()
    seconds = {"nightshift": [], "without sync": [], "python, processes": [], "python, threads": []}
    parts, peak_mb = [], 0.0
    for _ in range(args.rounds):
        took, part, memory = nightshift(args.nightshift, spec)
        seconds["nightshift"].append(took)
        parts.append((took, part))
        peak_mb = max(peak_mb, memory)
        seconds["without sync"].append(nightshift(args.nightshift, spec, "--without-sync")[0])
        seconds["python, processes"].append(python_script(args.python, data, "processes"))
        seconds["python, threads"].append(python_script(args.python, data, "threads"))

    shutil.rmtree(WORK / "runs", ignore_errors=True)
    rows = 1_000_000
    peer = min(statistics.median(seconds["python, processes"]), statistics.median(seconds["python, threads"]))
    print(f"{rows:,} rows, 200 shards, {args.rounds} rounds, {os.cpu_count()} cores\n")
    print(f"{'':<20}{'best s':>9}{'median s':>10}{'rows/s (median)':>18}{'to python':>11}")
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"{name:<20}{min(times):>9.3f}{middle:>10.3f}{rows / middle:>18,.0f}{peer / middle:>10.2f}x")
    took, part = sorted(parts, key=lambda pair: pair[0])[len(parts) // 2]
    print(f"\nparts of the median run ({took:.3f} s), seconds added up over threads:")
    for name in ("read_s", "infer_s", "write_s", "commit_s", "sync_s"):
        print(f"  {name:<10}{part[name]:>8.3f}")
    print(f"  synced {part['synced_files']} files and {part['synced_directories']} directories")
    print(f"peak memory {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
