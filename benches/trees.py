#!/usr/bin/env python3
"""The benchmark of exported trees: 1,000,000 rows of 30 numbers, against onnxruntime and XGBoost.

    make bench-trees                         # builds, installs the peers into .venv-trees, runs this
    benches/trees.py [--rounds 5] [--rows 1000000]

A model of XGBoost with 100 trees of depth 6, trained on 20,000 rows and exported. In every round,
one after the other on the same cores, each reads the same Parquet file and writes identifiers and
scores to Parquet:

  nightshift       `nightshift run`, whole command, everything synced before it counts
  onnxruntime      pyarrow to one matrix, the session on all cores, pyarrow
  xgboost          the same with the library's own prediction, on all cores

The clock of the peers starts when their libraries and the model are loaded. Prints rows/s (best
round), the ratios (median of rounds), and how far the scores are from onnxruntime's.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "out" / "onnx"
FEATURES = [f"x{at}" for at in range(30)]
SPEC = """\
apiVersion: nightshift.dev/v1
kind: BatchInference
metadata: {{ name: bench-trees }}
spec:
  input: {{ uri: {input}, id: [id] }}
  model: {{ uri: {model} }}
  task: {{ kind: onnx, columns: [{columns}], outputs: [probabilities] }}
  output: {{ uri: {output} }}
  sharding: {{ count: {shards} }}
"""


def make(rows):
    """The data and the model, where they are missing; seeds, no dice."""
    data, model = WORK / f"rows-{rows}.parquet", WORK / "model"
    if not data.exists():
        dice = np.random.default_rng(1)
        columns = {name: dice.normal(size=rows).astype(np.float32) for name in FEATURES}
        pq.write_table(pa.table({"id": pa.array(range(rows), pa.int64()), **columns}), data)
    if not (model / "model.onnx").exists():
        import xgboost
        from onnxmltools import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        dice = np.random.default_rng(2)
        x = dice.normal(size=(20_000, len(FEATURES))).astype(np.float32)
        y = (x[:, 0] * x[:, 1] + np.sin(x[:, 2] * 2) + 0.3 * dice.normal(size=len(x)) > 0).astype(int)
        trained = xgboost.XGBClassifier(n_estimators=100, max_depth=6, learning_rate=0.1).fit(x, y)
        made = convert_xgboost(trained, initial_types=[("x", FloatTensorType([None, len(FEATURES)]))])
        model.mkdir(parents=True, exist_ok=True)
        (model / "model.onnx").write_bytes(made.SerializeToString())
        trained.save_model(WORK / "model.ubj")
    return data, model


def nightshift(binary, data, model):
    folder = WORK / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    spec = folder / "spec.yaml"
    columns = ", ".join(FEATURES)
    spec.write_text(SPEC.format(input=data, model=model, columns=columns, output=folder / "out", shards=8))
    started = time.perf_counter()
    done = subprocess.run([binary, "run", spec, "--output-format", "json"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr)
    table = pq.read_table(sorted((folder / "out").glob("all/gen=*/part-*.parquet")))
    flat = table["probabilities"].combine_chunks().flatten().to_numpy()
    return seconds, flat.reshape(len(table), -1)[np.argsort(table["id"].to_numpy()), 1]


def peer(score, data, out):
    started = time.perf_counter()
    table = pq.read_table(data)
    x = np.stack([table[name].to_numpy() for name in FEATURES], axis=1)
    scores = score(x)
    pq.write_table(pa.table({"id": table["id"], "score": scores}), out)
    return time.perf_counter() - started, scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--nightshift", type=pathlib.Path, default=ROOT / "target" / "release" / "nightshift")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    data, model = make(arguments.rows)
    import onnxruntime
    import xgboost

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    session = onnxruntime.InferenceSession(str(model / "model.onnx"), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    booster = xgboost.XGBClassifier()
    booster.load_model(WORK / "model.ubj")
    ways = {
        "nightshift": lambda: nightshift(arguments.nightshift, data, model),
        "onnxruntime": lambda: peer(lambda x: session.run(["probabilities"], {name: x})[0][:, 1], data, WORK / "a.parquet"),
        "xgboost": lambda: peer(lambda x: booster.predict_proba(x)[:, 1], data, WORK / "b.parquet"),
    }
    seconds, scores = {way: [] for way in ways}, {}
    for _ in range(arguments.rounds):
        for way, run in ways.items():
            taken, scores[way] = run()
            seconds[way].append(taken)
    for way, taken in seconds.items():
        far = np.abs(scores[way] - scores["onnxruntime"]).max()
        print(f"{way:12} {arguments.rows / min(taken):12,.0f} rows/s   median {statistics.median(taken):6.2f} s   furthest from onnxruntime {far:.1e}")
    for way in ("onnxruntime", "xgboost"):
        ratio = statistics.median(b / a for a, b in zip(seconds["nightshift"], seconds[way]))
        print(f"{ratio:.2f} times as fast as {way} (median of rounds)")


if __name__ == "__main__":
    main()
