#!/usr/bin/env python3
"""The flights job as a plain Python script: pyarrow and numpy, no framework, no promises.

It is the yardstick of the benchmark, so it is written to be fast. It reads only the columns that the
model needs, looks each category up once per dictionary entry, works in place, and keeps every core
busy. It does not sync to disk, and when it is killed nothing says what is missing.

    pip install pyarrow==26.0.1 numpy==2.4.6
    benches/million_flights.py out/million/flights.parquet
    benches/peers/score_flights.py out/million/flights.parquet out/peer

Every 5,000 rows become one Parquet file with flight_id and the outputs of the model. One JSON line goes
to standard output: wall seconds from after the imports to the last file, rows per second, and how
the time of the workers divides (seconds summed over them).
"""

import os

# One BLAS thread for each worker: the workers are the parallelism. A kernel choice made for another
# program must not slow numpy down.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import concurrent.futures
import json
import multiprocessing
import pathlib
import struct
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent.parent / "examples" / "flights"
CYCLES = {"hour": 24.0, "day_of_week": 7.0}


def read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file of f32: a length, a JSON header, then the numbers."""
    data = path.read_bytes()
    (header_bytes,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + header_bytes])
    header.pop("__metadata__", None)
    body = memoryview(data)[8 + header_bytes :]
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
        for name, entry in header.items()
    }


class Model:
    """The MLP of a nightshift-tabular directory."""

    def __init__(self, folder: pathlib.Path):
        config = json.loads((folder / "config.json").read_text())
        tensors = read_safetensors(folder / "model.safetensors")
        self.features = config["features"]
        self.outputs = config["outputs"]
        self.embeddings = {
            feature["name"]: tensors[f"embeddings.{feature['name']}.weight"]
            for feature in self.features
            if feature["kind"] == "categorical"
        }
        # Row 0 of an embedding is the unknown category.
        self.rows = {
            feature["name"]: {value: row for row, value in enumerate(feature["vocabulary"], start=1)}
            for feature in self.features
            if feature["kind"] == "categorical"
        }
        names = [f"layers.{i}" for i in range(len(config["layers"]))] + ["output"]
        self.layers = [
            (np.ascontiguousarray(tensors[f"{name}.weight"].T), tensors[f"{name}.bias"]) for name in names
        ]
        self.width = self.layers[0][0].shape[0]
        if any(layer["activation"] != "relu" for layer in config["layers"]):
            raise SystemExit("this script knows only relu")

    def columns(self) -> list[str]:
        return [feature["name"] for feature in self.features]

    def featurise(self, batch: pa.RecordBatch) -> np.ndarray:
        inputs = np.empty((batch.num_rows, self.width), np.float32)
        at = 0
        for feature in self.features:
            column = batch.column(feature["name"])
            at = getattr(self, feature["kind"])(feature, column, inputs, at)
        return inputs

    def numeric(self, feature: dict, column: pa.Array, inputs: np.ndarray, at: int) -> int:
        missing = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
        x = (column if missing is None else column.fill_null(0)).to_numpy().astype(np.float32)
        if missing is not None:
            x[missing] = feature["fill"]
        x -= np.float32(feature["mean"])
        x /= np.float32(feature["scale"])
        inputs[:, at] = x
        if not feature.get("indicator"):
            return at + 1
        inputs[:, at + 1] = 0.0 if missing is None else missing
        return at + 2

    def categorical(self, feature: dict, column: pa.DictionaryArray, inputs: np.ndarray, at: int) -> int:
        table = self.embeddings[feature["name"]]
        known = self.rows[feature["name"]]
        # One lookup for each entry of the dictionary, not for each row.
        entries = table[[known.get(value, 0) for value in column.dictionary.to_pylist()]]
        indices = column.indices
        if indices.null_count:
            entries = np.vstack([entries, table[:1]])
            indices = indices.fill_null(len(entries) - 1)
        end = at + table.shape[1]
        inputs[:, at:end] = entries[indices.to_numpy()]
        return end

    def datetime(self, feature: dict, column: pa.Array, inputs: np.ndarray, at: int) -> int:
        minutes = column.cast(pa.timestamp("ms")).to_numpy().view(np.int64) // 60_000
        for part in feature["parts"]:
            if part == "hour":
                value = (minutes % 1440) / 60.0
            elif part == "day_of_week":
                value = (minutes // 1440 + 3) % 7  # 1 January 1970 was a Thursday; Monday is 0
            else:
                raise SystemExit(f"this script does not know the part {part}")
            angle = (value * (2 * np.pi / CYCLES[part])).astype(np.float32)
            np.sin(angle, out=inputs[:, at])
            np.cos(angle, out=inputs[:, at + 1])
            at += 2
        return at

    def run(self, batch: pa.RecordBatch) -> dict[str, np.ndarray]:
        x = self.featurise(batch)
        for weight, bias in self.layers[:-1]:
            x = x @ weight
            x += bias
            np.maximum(x, 0.0, out=x)
        weight, bias = self.layers[-1]
        x = x @ weight
        x += bias
        scored = {}
        for i, output in enumerate(self.outputs):
            if output["kind"] == "regression":
                scored[output["name"]] = x[:, i] * np.float32(output["scale"]) + np.float32(output["mean"])
            else:
                scored[output["name"]] = 1.0 / (1.0 + np.exp(-x[:, i]))
        return scored


def score_groups(
    source: str, model: Model, out: str, groups: list[int], shard_rows: int, compression: str
) -> dict[str, float]:
    """Scores some row groups of `source`, one file for each `shard_rows` rows."""
    spent = {"read": 0.0, "infer": 0.0, "write": 0.0, "rows": 0, "files": 0}
    categories = list(model.embeddings)
    file = pq.ParquetFile(source, read_dictionary=categories)
    for group in groups:
        batches = file.iter_batches(
            shard_rows, row_groups=[group], columns=["flight_id", *model.columns()], use_threads=False
        )
        for number in range(1_000_000):
            started = time.perf_counter()
            batch = next(batches, None)
            was_read = time.perf_counter()
            spent["read"] += was_read - started
            if batch is None:
                break
            scored = model.run(batch)
            was_scored = time.perf_counter()
            table = pa.table({"flight_id": batch.column("flight_id"), **scored})
            # Ids and scores hardly repeat, so a dictionary would only cost time.
            pq.write_table(
                table, f"{out}/part-{group:04}-{number:04}.parquet",
                compression=compression, use_dictionary=False,
            )
            spent["infer"] += was_scored - was_read
            spent["write"] += time.perf_counter() - was_scored
            spent["rows"] += batch.num_rows
            spent["files"] += 1
    return spent


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("source", help="Parquet file of flights")
    arguments.add_argument("out", type=pathlib.Path, help="folder for the files of predictions")
    arguments.add_argument("--model", type=pathlib.Path, default=EXAMPLE / "models" / "delay-mlp")
    arguments.add_argument("--shard-rows", type=int, default=5_000)
    arguments.add_argument("--workers", type=int, default=os.cpu_count())
    arguments.add_argument("--pool", choices=["processes", "threads"], default="processes")
    arguments.add_argument("--compression", default="snappy")
    given = arguments.parse_args()

    started = time.perf_counter()
    given.out.mkdir(parents=True, exist_ok=True)
    model = Model(given.model)
    groups = range(pq.ParquetFile(given.source).metadata.num_row_groups)
    if given.pool == "processes":
        pool = concurrent.futures.ProcessPoolExecutor(
            given.workers, mp_context=multiprocessing.get_context("fork")
        )
    else:
        pool = concurrent.futures.ThreadPoolExecutor(given.workers)
    with pool:
        jobs = [
            pool.submit(
                score_groups, given.source, model, str(given.out), list(groups[worker :: given.workers]),
                given.shard_rows, given.compression,
            )
            for worker in range(given.workers)
        ]
        spent = [job.result() for job in jobs]
    seconds = time.perf_counter() - started
    total = {key: sum(one[key] for one in spent) for key in spent[0]}
    print(json.dumps({
        "peer": f"pyarrow+numpy, {given.workers} {given.pool}",
        "rows": total["rows"],
        "files": total["files"],
        "seconds": round(seconds, 3),
        "rows_per_second": round(total["rows"] / seconds),
        **{f"{part}_seconds": round(total[part], 3) for part in ("read", "infer", "write")},
    }))


if __name__ == "__main__":
    main()
