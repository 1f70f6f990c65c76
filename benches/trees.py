#!/usr/bin/env python3
"""The benchmark of exported trees: 1,000,000 rows of 30 numbers, against onnxruntime and the
libraries that trained them.

    make bench-trees                         # builds, installs the peers into .venv-trees, runs this
    benches/trees.py [--rounds 5] [--rows 1000000] [--shapes xgboost lightgbm]

Models trained on 20,000 rows and exported:

  xgboost          100 trees of depth 6, two classes
  classes          the same library: 5 classes, 40 rounds of depth 6, so 200 trees
  lightgbm         100 trees of 31 leaves, grown leaf by leaf, two classes
  forest           sklearn's random forest: 100 trees grown to the end, two classes

In every round, one after the other on the same cores, each reads the same Parquet file and writes
identifiers and the scores of all classes to Parquet:

  nightshift       `nightshift run`, whole command, everything synced before it counts
  onnxruntime      pyarrow to one matrix, the session on all cores, pyarrow
  library          the same with the library's own prediction, on all cores

The clock of the peers starts when their libraries and the model are loaded. Prints rows/s (best
round), the ratios (median of rounds), and how far the scores are from onnxruntime's.
"""

import argparse
import os
import pathlib
import pickle
import statistics
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from children import nightshift

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "out" / "onnx"
FEATURES = [f"x{at}" for at in range(30)]
SHAPES = ["xgboost", "classes", "lightgbm", "forest"]
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
    """The data, where it is missing; seeds, no dice."""
    data = WORK / f"rows-{rows}.parquet"
    if not data.exists():
        dice = np.random.default_rng(1)
        columns = {name: dice.normal(size=rows).astype(np.float32) for name in FEATURES}
        pq.write_table(pa.table({"id": pa.array(range(rows), pa.int64()), **columns}), data)
    return data


def train(shape):
    """A model of a shape as its library has it, and the folder with the exported one."""
    folder = WORK / shape
    if not (folder / "export" / "model.onnx").exists():
        dice = np.random.default_rng(2)
        x = dice.normal(size=(20_000, len(FEATURES))).astype(np.float32)
        truth = x[:, 0] * x[:, 1] + np.sin(x[:, 2] * 2) + 0.3 * dice.normal(size=len(x))
        y, classes = (truth > 0).astype(int), np.digitize(truth, [-1, -0.3, 0.3, 1])
        from onnxmltools.convert.common.data_types import FloatTensorType

        types = [("x", FloatTensorType([None, len(FEATURES)]))]
        if shape in ("xgboost", "classes"):
            import xgboost
            from onnxmltools import convert_xgboost

            rounds = 100 if shape == "xgboost" else 40
            model = xgboost.XGBClassifier(n_estimators=rounds, max_depth=6, learning_rate=0.1)
            model.fit(x, y if shape == "xgboost" else classes)
            made = convert_xgboost(model, initial_types=types)
        elif shape == "lightgbm":
            import lightgbm
            from onnxmltools import convert_lightgbm

            model = lightgbm.LGBMClassifier(n_estimators=100, num_leaves=31, verbose=-1).fit(x, y)
            made = convert_lightgbm(model, initial_types=types, zipmap=False)
        else:
            from skl2onnx import to_onnx
            from sklearn.ensemble import RandomForestClassifier

            model = RandomForestClassifier(100, random_state=3, n_jobs=-1).fit(x, y)
            made = to_onnx(model, x[:1], options={"zipmap": False})
        (folder / "export").mkdir(parents=True, exist_ok=True)
        (folder / "model.pickle").write_bytes(pickle.dumps(model))
        (folder / "export" / "model.onnx").write_bytes(made.SerializeToString())
    return pickle.loads((folder / "model.pickle").read_bytes()), folder / "export"


def scored(binary, data, model):
    """Seconds and scores of a run."""
    run = {"input": data, "model": model, "columns": ", ".join(FEATURES), "shards": 8}
    seconds, _, table = nightshift(binary, WORK, SPEC, **run)
    flat = table["probabilities"].combine_chunks().flatten().to_numpy()
    return seconds, flat.reshape(len(table), -1)


def peer(score, data, out):
    started = time.perf_counter()
    table = pq.read_table(data)
    x = np.stack([table[name].to_numpy() for name in FEATURES], axis=1)
    scores = np.asarray(score(x), dtype=np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(scores.ravel()), scores.shape[1])
    pq.write_table(pa.table({"id": table["id"], "scores": lists}), out)
    return time.perf_counter() - started, scores


def bench(shape, data, arguments):
    import onnxruntime

    model, export = train(shape)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count()
    session = onnxruntime.InferenceSession(str(export / "model.onnx"), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    out = WORK / "peer.parquet"
    ways = {
        "nightshift": lambda: scored(arguments.nightshift, data, export),
        "onnxruntime": lambda: peer(lambda x: session.run(["probabilities"], {name: x})[0], data, out),
        "library": lambda: peer(model.predict_proba, data, out),
    }
    seconds, scores = {way: [] for way in ways}, {}
    for _ in range(arguments.rounds):
        for way, run in ways.items():
            taken, scores[way] = run()
            seconds[way].append(taken)
    print(shape)
    for way, taken in seconds.items():
        far = np.abs(scores[way] - scores["onnxruntime"]).max()
        print(f"  {way:12} {arguments.rows / min(taken):12,.0f} rows/s   median {statistics.median(taken):6.2f} s   furthest from onnxruntime {far:.1e}")
    for way in ("onnxruntime", "library"):
        ratio = statistics.median(b / a for a, b in zip(seconds["nightshift"], seconds[way]))
        print(f"  {ratio:.2f} times as fast as {way} (median of rounds)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, choices=SHAPES)
    parser.add_argument("--nightshift", type=pathlib.Path, default=ROOT / "target" / "release" / "nightshift")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    data = make(arguments.rows)
    for shape in arguments.shapes:
        bench(shape, data, arguments)


if __name__ == "__main__":
    main()
