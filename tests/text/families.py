"""Makes the reference numbers of more families of text models: one tiny random model of each.

    pip install sentence-transformers
    python tests/text/families.py          # tests/text/families: folders and golden files

As `reference.py`, whose texts these models read: seeds are fixed, tests read what lies in the
folders, nothing of this runs in CI.
"""
import struct
import sys

import torch
import transformers
from safetensors.numpy import load_file, save_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers
from transformers import (
    LlamaConfig, LlamaModel, ModernBertConfig, ModernBertForSequenceClassification, ModernBertModel,
    MPNetConfig, MPNetForMaskedLM, MPNetForSequenceClassification, Qwen2Config, Qwen2ForCausalLM,
    Qwen3Config, Qwen3Model, RobertaConfig, RobertaForSequenceClassification, RobertaModel,
    XLMRobertaConfig, XLMRobertaForSequenceClassification, XLMRobertaModel,
)

from reference import HERE, ODD, VERSIONS, WORDS, sentences, write

ROOT = HERE / "families"
# Near one another, at the edges of windows, and with what tokenizers treat in a way of its own.
TEXTS = sentences(1, 12) + ODD + [
    "late  flight   to    york", "  late flight  ", "\n\nlate\n flight\r\n\r\nto", "late <mask> flight",
    "late <pad> flight", "a</s>b <s>", "I'LL they'RE we've", "12345678 1 22 333", "half ½ ② ﬁ ＡＢＣ",
    "late\u3000flight", "a" * 3_000, " " * 300 + "late", "word, " * 400,
]
LABELS = {0: "on time", 1: "late", 2: "cancelled"}
LABELLED = {"id2label": LABELS, "label2id": {v: k for k, v in LABELS.items()}}
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
LLAMA = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)


def corpus():
    return sentences(3, 200) + ["Привет, мир 今天天气很好 café naïve 1234 I'll don't", "late  flight"]


def tokenizer_files(folder, made, most, **names):
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"), pretty=False)
    write(folder / "tokenizer_config.json", {
        # As the file says, whatever the class of a family would make of it.
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": most,
        "model_input_names": ["input_ids", "attention_mask"], **names,
    })
    return made.get_vocab_size()


def byte_pairs(folder, most, special, pre=None, normalizer=None, post=None, mask=None, **names):
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre or pre_tokenizers.ByteLevel(add_prefix_space=False)
    if normalizer:
        made.normalizer = normalizer
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    ))
    if mask:
        made.add_special_tokens([AddedToken(mask, lstrip=True)])
    if post:
        made.post_processor = post(made)
    return tokenizer_files(folder, made, most, **names)


ROBERTA = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def roberta_tokenizer(folder, most):
    return byte_pairs(
        folder, most, ["<s>", "<pad>", "</s>", "<unk>"], mask="<mask>", **ROBERTA,
        post=lambda made: processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False),
    )


def template(made, single, pair):
    names = sorted({part.split(":")[0] for part in (single + " " + pair).split() if "$" not in part})
    return processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(name, made.token_to_id(name)) for name in names],
    )


def double_array(rules):
    """The double array of sentencepiece (darts-clone) that maps keys to numbers."""
    units, used = [0] * 256, {0}

    def place(at, keys):
        # `keys`: (rest of a key, number), sorted, all reached through unit `at`.
        labels = sorted({key[0] if key else 0 for key, _ in keys})
        base = 1
        while any((base ^ label) in used for label in labels):
            base += 1
        while len(units) <= base | 255:
            units.append(0)
        used.update(base ^ label for label in labels)
        units[at] |= (base ^ at) << 10
        for label in labels:
            own = [(key[1:], number) for key, number in keys if key and key[0] == label]
            if label == 0:
                units[base] = next(number for key, number in keys if not key) | 1 << 31
                units[at] |= 1 << 8
            else:
                units[base ^ label] |= label
                place(base ^ label, own)

    place(0, sorted(rules))
    return units


def charsmap():
    """A small one of the kind of XLM-R: `nmt_nfkc`."""
    rules, text = [], b""
    for key, value in {"ﬁ": "fi", "\u3000": " ", "²": "2", "½": "1⁄2", "\t": " ", "\n": " ", "\r": " ",
                       "Ａ": "A", "Ｂ": "B", "②": "2", "\u200b": " ", "\ufeff": " ", "\x01": ""}.items():
        rules.append((key.encode(), len(text)))
        text += value.encode() + b"\0"
    units = double_array(rules)
    return struct.pack(f"<{len(units) + 1}I", 4 * len(units), *units) + text


def unigram_tokenizer(folder, most):
    plain = sorted({c for text in TEXTS + corpus() for c in text if c.isalpha() and ord(c) < 0x500})
    pieces = [("▁", -3.0), *(("▁" + word, -6.0 - len(word) / 9) for word in WORDS)]
    pieces += [(c, -8.0 - n / 50) for n, c in enumerate(plain + list("0123456789.,?!-'"))]
    special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    made = Tokenizer(models.Unigram(special + list(dict(pieces).items()), unk_id=3, byte_fallback=False))
    made.normalizer = normalizers.Sequence([
        normalizers.Precompiled(charsmap()), normalizers.Replace(Regex(" {2,}"), " "),
    ])
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(),
    ])
    made.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)])
    made.post_processor = template(made, "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    return tokenizer_files(folder, made, most, **ROBERTA)


def mpnet_tokenizer(folder, most):
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]"] + list("abcdefghijklmnopqrstuvwxyz0123456789.,?!-'<>/")
    vocabulary += WORDS + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"] + ["##ing"]
    vocabulary = {word: at for at, word in enumerate(dict.fromkeys(vocabulary))}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(["<s>", "<pad>", "</s>", "[UNK]", AddedToken("<mask>", lstrip=True)])
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return tokenizer_files(folder, made, most, **ROBERTA | {"unk_token": "[UNK]"})


def modern_tokenizer(folder, most):
    def post(made):
        made.add_tokens([AddedToken("  ", normalized=True), AddedToken("    ", normalized=True)])
        return template(made, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]")
    return byte_pairs(
        folder, most, ["[PAD]", "[CLS]", "[SEP]", "[UNK]"], mask="[MASK]", post=post,
        normalizer=normalizers.NFC(), cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        unk_token="[UNK]",
    )


def decoder_tokenizer(folder, most, pattern, end):
    pre = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    def post(made):
        whole = processors.ByteLevel(trim_offsets=False)
        if end:
            whole = processors.Sequence([whole, template(made, "$A <|endoftext|>", "$A $B <|endoftext|>")])
        return whole
    return byte_pairs(folder, most, ["<|endoftext|>"], pre=pre, normalizer=normalizers.NFC(), post=post,
                      pad_token="<|endoftext|>", eos_token="<|endoftext|>")


def save(model, folder, dtype=torch.float16):
    for name, parameter in model.named_parameters():
        # Fresh models have norms of 1 and biases of 0, which would hide a swap.
        is_norm = "norm" in name.lower() and name.endswith("weight")
        if name.endswith("bias") or is_norm:
            torch.nn.init.normal_(parameter, mean=float(is_norm), std=0.2)
        elif parameter.dim() == 2:
            # Wide enough that outputs differ by more than rounding.
            torch.nn.init.normal_(parameter, std=0.35)
    model.to(dtype).save_pretrained(folder)
    stored = folder / "model.safetensors"
    # A head that embeddings do not need is as large as a table of words.
    tensors = {k: v for k, v in load_file(stored).items() if not k.startswith(("lm_head", "cls."))}
    # Sorted, without metadata of the writer: the same bytes from the same seed.
    save_file(dict(sorted(tensors.items())), stored)
    stored.chmod(0o644)
    (folder / "generation_config.json").unlink(missing_ok=True)


def rounded(rows):
    return [[round(float(x), 6) for x in row] for row in rows]


def embed(name, pooling="mean", normalise=False, prompts=None, cases=({},)):
    folder = ROOT / name
    module = "sentence_transformers.models."
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")][: 2 + normalise]
    write(folder / "modules.json", [
        {"idx": n, "name": str(n), "path": path, "type": module + kind} for n, (path, kind) in enumerate(kinds)
    ])
    width = transformers.AutoConfig.from_pretrained(folder).hidden_size
    write(folder / "1_Pooling/config.json", {
        "word_embedding_dimension": width, "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_lasttoken": pooling == "lasttoken",
        "include_prompt": True,
    })
    if prompts:
        write(folder / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": None})
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    golden = {"versions": VERSIONS, "cases": []}
    for case in cases:
        # Without tokens there is no vector: a row of its own in tests.
        rows = [model.encode(text, prompt_name=case.get("prompt")) if text or pooling != "lasttoken" else []
                for text in TEXTS]
        limit = model.max_seq_length
        prompt = (prompts or {}).get(case.get("prompt"), "")
        counts = [len(model.tokenizer(prompt + text, truncation=False)["input_ids"]) for text in TEXTS]
        golden["cases"].append({
            "settings": case, "embeddings": rounded(rows), "cut_rows": sum(n > limit for n in counts),
            "tokens": sum(min(n, limit) for n in counts),
        })
    write(ROOT / f"{name}.json", golden)


def classify(name, cases=({},)):
    golden = {"versions": VERSIONS, "cases": []}
    for case in cases:
        pipeline = transformers.pipeline("text-classification", str(ROOT / name), device="cpu", dtype=torch.float32)
        for key, value in case.items():
            setattr(pipeline.model.config, key, value)
        rows = [pipeline([text], top_k=None, truncation=True)[0] for text in TEXTS]
        scores = [[round(next(one["score"] for one in row if one["label"] == label), 7)
                   for label in LABELS.values()] for row in rows]
        golden["cases"].append({"config": case, "scores": scores})
    write(ROOT / f"{name}.json", golden)


def rerank(name):
    model = CrossEncoder(str(ROOT / name), device="cpu", model_kwargs={"dtype": torch.float32})
    queries = sentences(2, len(TEXTS))
    scores = [round(float(model.predict([pair])[0]), 7) for pair in zip(queries, TEXTS)]
    write(ROOT / f"{name}.json", {"versions": VERSIONS, "queries": queries, "cases": [{"scores": scores}]})


def bert_like(kind, words, places, **more):
    return kind(vocab_size=words, hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
                intermediate_size=40, max_position_embeddings=places, layer_norm_eps=1e-5,
                pad_token_id=1, bos_token_id=0, eos_token_id=2, **more)


def roberta():
    folder = ROOT / "roberta_embed"
    save(RobertaModel(bert_like(RobertaConfig, roberta_tokenizer(folder, 64), 66, type_vocab_size=1),
                      add_pooling_layer=False), folder)
    embed("roberta_embed", "cls", normalise=True)
    folder = ROOT / "roberta_classify"
    save(RobertaForSequenceClassification(bert_like(
        RobertaConfig, roberta_tokenizer(folder, 64), 66, type_vocab_size=1, **LABELLED)), folder)
    classify("roberta_classify")
    folder = ROOT / "xlmr_embed"
    save(XLMRobertaModel(bert_like(XLMRobertaConfig, unigram_tokenizer(folder, 64), 66, type_vocab_size=1),
                         add_pooling_layer=False), folder)
    embed("xlmr_embed")
    folder = ROOT / "xlmr_rerank"
    save(XLMRobertaForSequenceClassification(bert_like(
        XLMRobertaConfig, unigram_tokenizer(folder, 64), 66, type_vocab_size=1, num_labels=1)), folder)
    rerank("xlmr_rerank")


def mpnet():
    # Longer than the largest distance that the bias tells apart.
    folder = ROOT / "mpnet_embed"
    save(MPNetForMaskedLM(bert_like(MPNetConfig, mpnet_tokenizer(folder, 200), 202)), folder)
    embed("mpnet_embed", normalise=True)
    folder = ROOT / "mpnet_classify"
    save(MPNetForSequenceClassification(bert_like(MPNetConfig, mpnet_tokenizer(folder, 200), 202, **LABELLED)), folder)
    classify("mpnet_classify")


def modernbert():
    def shape(words, **more):
        return ModernBertConfig(
            vocab_size=words, hidden_size=24, num_hidden_layers=4, num_attention_heads=2, intermediate_size=40,
            max_position_embeddings=128, local_attention=16, pad_token_id=0, cls_token_id=1, sep_token_id=2,
            bos_token_id=1, eos_token_id=2, **more,
        )
    folder = ROOT / "modernbert_embed"
    save(ModernBertModel(shape(modern_tokenizer(folder, 128))), folder)
    embed("modernbert_embed")
    folder = ROOT / "modernbert_classify"
    save(ModernBertForSequenceClassification(shape(modern_tokenizer(folder, 128), **LABELLED)), folder)
    classify("modernbert_classify", [{"classifier_pooling": kind} for kind in ("cls", "mean")])


def decoders_():
    def shape(kind, words, **more):
        return kind(
            vocab_size=words, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            intermediate_size=40, max_position_embeddings=128, eos_token_id=0, bos_token_id=0, **more,
        )
    folder = ROOT / "qwen3_embed"
    save(Qwen3Model(shape(Qwen3Config, decoder_tokenizer(folder, 128, QWEN, True), head_dim=16)), folder)
    embed("qwen3_embed", "lasttoken", normalise=True, cases=({}, {"prompt": "query"}),
          prompts={"query": "Instruct: find the flight\nQuery:", "document": ""})
    folder = ROOT / "qwen2_embed"
    save(Qwen2ForCausalLM(shape(Qwen2Config, decoder_tokenizer(folder, 128, QWEN, False), tie_word_embeddings=True)), folder)
    embed("qwen2_embed", "lasttoken", normalise=True)
    folder = ROOT / "llama_embed"
    save(LlamaModel(shape(LlamaConfig, decoder_tokenizer(folder, 128, LLAMA, True))), folder)
    embed("llama_embed")


if __name__ == "__main__":
    chosen = {"roberta": roberta, "mpnet": mpnet, "modernbert": modernbert, "decoders": decoders_}
    write(ROOT / "texts.json", {"texts": TEXTS, "cases": []})
    for name in sys.argv[1:] or chosen:
        torch.manual_seed(20130101)
        chosen[name]()
