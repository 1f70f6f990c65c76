#!/usr/bin/env python3
"""Do workers say in time that they live while all cores are busy in inference?

Starts a coordinator with the default lease (30 s, a heartbeat every 10 s) and two workers with as
many inference threads each as this machine has cores. They score a made-up table with a large made-up
model (three hidden layers of 1,024 units) until the run is over, for `--minutes` or so. Then it prints
the longest gap between two heartbeats of each worker, and how many leases ended for want of one.

    make build tools
    .venv/bin/python benches/heartbeats.py --minutes 5

The aim is a longest gap under 12 s, and no lease that expires.
"""

import argparse
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BIN = pathlib.Path(__file__).resolve().parent.parent / "target" / "release"
UNITS = 1024
SHARD_ROWS = 100_000


def make_model(folder: pathlib.Path) -> None:
    """A multilayer perceptron over eight numbers, large enough to keep a core busy."""
    folder.mkdir(parents=True)
    features = [{"kind": "numeric", "name": f"x{n}", "mean": 0, "scale": 1} for n in range(8)]
    config = {
        "format": "nightshift-tabular",
        "version": 1,
        "features": features,
        "layers": [{"units": UNITS, "activation": "relu"}] * 3,
        "outputs": [{"name": "y", "kind": "regression"}],
    }
    (folder / "config.json").write_text(json.dumps(config))
    random = np.random.default_rng(1)
    sizes = [8, UNITS, UNITS, UNITS, 1]
    names = [f"layers.{n}" for n in range(3)] + ["output"]
    arrays = {}
    for name, rows, columns in zip(names, sizes[1:], sizes):
        arrays[f"{name}.weight"] = random.normal(0, columns**-0.5, (rows, columns))
        arrays[f"{name}.bias"] = np.zeros(rows)
    header, data = {}, b""
    for name, array in sorted(arrays.items()):
        raw = np.ascontiguousarray(array, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def make_input(path: pathlib.Path, rows: int) -> None:
    random = np.random.default_rng(2)
    columns = {"id": pa.array(np.arange(rows))}
    columns |= {f"x{n}": pa.array(random.normal(size=rows).astype(np.float32)) for n in range(8)}
    pq.write_table(pa.table(columns), path, row_group_size=SHARD_ROWS)


def speed(folder: pathlib.Path) -> float:
    """Rows a second of this machine with this model, from a small run in one process."""
    rows = 2 * SHARD_ROWS
    make_input(folder / "probe.parquet", rows)
    started = time.monotonic()
    single = ["--model", folder / "model", "--input", folder / "probe.parquet", "--output", folder / "probe-out.parquet"]
    subprocess.run([BIN / "nightshift-worker", *single], check=True, stderr=subprocess.DEVNULL)
    return rows / (time.monotonic() - started)


def longest_gap_s(log: pathlib.Path) -> float:
    """The longest gap between two heartbeats, as the worker says at its end."""
    found = re.search(r"longest gap between heartbeats (\d+) ms", log.read_text())
    if not found:
        raise SystemExit(f"the worker did not say how often it was heard of: {log.read_text()[-500:]}")
    return int(found[1]) / 1000


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=5.0)
    given = arguments.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_model(folder / "model")
        # One file is scored on one core.
        rows = int(speed(folder) * cores * given.minutes * 60)
        make_input(folder / "input.parquet", rows)
        (folder / "spec.yaml").write_text(
            "apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: { name: heartbeats }\nspec:\n"
            "  input: { uri: input.parquet, id: [id] }\n  model: { uri: model }\n  task: { kind: tabular }\n"
            f"  output: {{ uri: out }}\n  sharding: {{ rows: {SHARD_ROWS} }}\n"
        )
        log = (folder / "coordinator.log").open("w")
        coordinator = subprocess.Popen(
            [BIN / "nightshift-coordinator", "--home", folder / "home", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"],
            stderr=log,
        )
        workers = []
        try:
            while "serving gRPC on " not in (said := (folder / "coordinator.log").read_text()):
                time.sleep(0.05)
            words = said.split("serving gRPC on ")[1].split()
            environment = os.environ | {"NIGHTSHIFT_COORDINATOR": f"http://{words[0]}"}
            for number in range(2):
                command = [BIN / "nightshift-worker", "--workers", str(cores)]
                err = (folder / f"worker-{number}.log").open("w")
                workers.append(subprocess.Popen(command, env=environment, stderr=err))
            started = time.monotonic()
            submit = [BIN / "nightshift", "submit", folder / "spec.yaml", "--wait"]
            subprocess.run(submit, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            took = time.monotonic() - started
            metrics = urllib.request.urlopen(f"http://{words[4]}/metrics").read().decode()
        finally:
            for process in [*workers, coordinator]:
                process.terminate()
                process.wait()
        expired = [line for line in metrics.splitlines() if line.startswith("nightshift_lease_expirations_total")]
        print(f"{rows:,} rows in {took:.0f} s, {2 * cores} inference threads on {cores} cores")
        for number in range(2):
            print(f"worker {number}: longest gap between heartbeats {longest_gap_s(folder / f'worker-{number}.log'):.2f} s")
        print(f"leases that expired: {expired[0].split()[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
