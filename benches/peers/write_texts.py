#!/usr/bin/env python3
"""The peer of benches/generate.py, in a process of its own: llama.cpp writes after each prompt.

    write_texts.py --model FILE.gguf --prompts FILE.json --out FILE.json --slots 12 --threads 2

Its server holds `slots` texts at a time in one batch. Prints one line of JSON: seconds until the
model was ready and seconds of writing. The clock of writing starts with the first request.
"""

import argparse
import concurrent.futures
import json
import pathlib
import time

BEGUN = time.perf_counter()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--context", type=int, required=True, help="tokens of a text with its prompt")
    arguments = parser.parse_args()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.n_parallel = arguments.slots
    params.n_ctx = arguments.slots * arguments.context
    params.cont_batching = True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = arguments.threads
    params.warmup = False
    server = xllamacpp.Server(params)

    def write(prompt):
        asked = {
            "prompt": prompt, "n_predict": arguments.tokens, "temperature": 0.0, "cache_prompt": False,
        }
        answer = server.handle_completions(asked)
        if "choices" not in answer and "content" not in answer:
            raise SystemExit(f"llama.cpp refuses: {answer}")
        return answer

    prompts = json.loads(arguments.prompts.read_text())
    load = time.perf_counter() - BEGUN
    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(arguments.slots) as pool:
        answers = list(pool.map(write, prompts))
    seconds = time.perf_counter() - started
    arguments.out.write_text(json.dumps(answers))
    print(json.dumps({"load": load, "seconds": seconds}))


if __name__ == "__main__":
    main()
