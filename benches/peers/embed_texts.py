#!/usr/bin/env python3
"""One peer of benches/embed.py, in a process of its own: embeds the texts of a Parquet file.

    embed_texts.py --peer sentence-transformers-f32 --model DIR --texts FILE --out FILE.npy

Prints one line of JSON: seconds until the model was ready (imports included), seconds of encoding,
peak resident bytes. Each peer gets what its users would do: batches of texts of about one length,
the threads of all cores, no gradients.
"""

import argparse
import json
import pathlib
import resource
import time

BEGUN = time.perf_counter()
BATCHES = (32, 128)


def sentence_transformers(model, dtype):
    import torch
    from sentence_transformers import SentenceTransformer

    kwargs = {} if dtype == "f32" else {"model_kwargs": {"torch_dtype": torch.bfloat16}}
    loaded = SentenceTransformer(str(model), device="cpu", **kwargs)
    return lambda texts, batch: loaded.encode(texts, batch_size=batch, show_progress_bar=False)


def onnxruntime(model, file, threads):
    """The graph that `export` wrote, with mean pooling and normalisation as the model says."""
    import numpy as np
    import onnxruntime as ort
    from transformers import AutoTokenizer

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    tokenizer = AutoTokenizer.from_pretrained(str(model))
    longest = json.loads((model / "sentence_bert_config.json").read_text())["max_seq_length"]

    def encode(texts, batch):
        order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
        out = np.empty((len(texts), 384), np.float32)
        for first in range(0, len(order), batch):
            rows = order[first : first + batch]
            tokens = tokenizer(
                [texts[row] for row in rows], padding=True, truncation=True, max_length=longest,
                return_tensors="np",
            )
            states = session.run(None, {name: tokens[name] for name in ("input_ids", "attention_mask", "token_type_ids")})[0]
            mask = tokens["attention_mask"][:, :, None].astype(np.float32)
            mean = (states * mask).sum(1) / mask.sum(1)
            out[rows] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return out

    return encode


def export(model, folder):
    """Writes model.onnx, and model.int8.onnx by onnxruntime's own dynamic quantisation."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel

    plain = folder / "model.onnx"
    if not plain.exists():
        bert = AutoModel.from_pretrained(str(model), attn_implementation="eager").eval()

        class States(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.bert = bert

            def forward(self, input_ids, attention_mask, token_type_ids):
                return self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state

        example = torch.ones((2, 9), dtype=torch.int64)
        names = ["input_ids", "attention_mask", "token_type_ids"]
        torch.onnx.export(
            States(), (example,) * 3, str(plain), input_names=names, output_names=["states"], dynamo=False,
            dynamic_axes={name: {0: "rows", 1: "tokens"} for name in [*names, "states"]}, opset_version=17,
        )
    small = folder / "model.int8.onnx"
    if not small.exists():
        quantize_dynamic(str(plain), str(small), weight_type=QuantType.QInt8)
    return plain, small


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--texts", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--exports", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if arguments.peer == "export":
        export(arguments.model, arguments.exports)
        return
    if arguments.peer.startswith("sentence"):
        import torch

        torch.set_num_threads(arguments.threads)
        encode = sentence_transformers(arguments.model, arguments.peer.rsplit("-", 1)[1])
    else:
        small = arguments.peer.endswith("int8")
        file = arguments.exports / ("model.int8.onnx" if small else "model.onnx")
        encode = onnxruntime(arguments.model, file, arguments.threads)
    import numpy as np
    import pyarrow.parquet as pq

    texts = pq.read_table(arguments.texts)["text"].to_pylist()
    loaded = time.perf_counter() - BEGUN
    # The better of two sizes of batches, as somebody would find who tries.
    encode(texts[:8], 8)
    probe = texts[:: max(1, len(texts) // 128)]
    speeds = {}
    for batch in BATCHES:
        started = time.perf_counter()
        encode(probe, batch)
        speeds[batch] = time.perf_counter() - started
    batch = min(speeds, key=speeds.get)
    started = time.perf_counter()
    vectors = encode(texts, batch)
    seconds = time.perf_counter() - started
    np.save(arguments.out, np.asarray(vectors, dtype=np.float32))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(dict(load=loaded, seconds=seconds, batch=batch, peak_bytes=peak)))


if __name__ == "__main__":
    main()
