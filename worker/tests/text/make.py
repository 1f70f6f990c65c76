"""Makes the tiny BERT directory beside this file, and the embeddings of sentence-transformers.

    pip install sentence-transformers==6.2.0 && HF_HUB_OFFLINE=1 python3 make.py

Weights are random from a fixed seed. Large enough to tell poolings, prompts, cut lengths and
layers apart; far too small to mean anything.
"""
import json
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

HERE = Path(__file__).parent
DIR = HERE / "model"
WORDS = "[PAD] [UNK] [CLS] [SEP] the late flight to new york was delay ##ed by rain ##y wind ##s query passage : . , ! ? ' - 1 2 3 ##0 a b c ##d e ##f 夜 班 é ß über".split()


def main():
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=40, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=72, max_position_embeddings=32, architectures=["BertModel"],
        initializer_range=0.4, layer_norm_eps=1e-12,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:
                weights += 0.2 * torch.randn(weights.shape)
    DIR.mkdir(exist_ok=True)
    model.half().save_pretrained(DIR)

    vocab = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(WORDS[:4])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(DIR / "tokenizer.json"))

    def write(name, value):
        path = DIR / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value, indent=1) + "\n")

    write("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 32,
          "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"})
    write("sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    write("config_sentence_transformers.json",
          {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": None})
    module = "sentence_transformers.models."
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]

    def shape(pooling, normalise):
        chosen = modules if normalise else modules[:2]
        write("modules.json", [{"idx": n, "name": str(n), "path": path, "type": module + kind}
                               for n, (path, kind) in enumerate(chosen)])
        write("1_Pooling/config.json", {
            "word_embedding_dimension": 40, "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_max_tokens": pooling == "max",
            "pooling_mode_mean_sqrt_len_tokens": False})

    texts = ["", "the flight", "The late flight to New York was delayed by rain.", "夜班 ÉTÉ é, ß! über",
             "a" * 150, "[SEP] the [CLS]", "... !? '-", "\u00a0\t\n", "1 2 3 delayed winds " * 9,
             "unknown words 🌙🌙 only", "query passage:query", "rainy-rain'rain\u0301", "the\u0000late\u200bflight"]
    cases = []
    for pooling, normalise, settings in [
        ("mean", True, {}), ("cls", False, {}), ("max", False, {}),
        ("mean", True, {"prompt": "query"}), ("mean", False, {"normalize": True}),
        ("mean", True, {"dimensions": 16}), ("mean", True, {"dimensions": 16, "normalize": True}),
        ("mean", True, {"max_tokens": 6}),
    ]:
        shape(pooling, normalise)
        reference = SentenceTransformer(str(DIR), device="cpu", truncate_dim=settings.get("dimensions"),
                                        model_kwargs={"dtype": torch.float32})
        if "max_tokens" in settings:
            reference.max_seq_length = settings["max_tokens"]
        found = reference.encode(texts, prompt_name=settings.get("prompt"),
                                 normalize_embeddings=settings.get("normalize", False))
        cases.append({"pooling": pooling, "normalises": normalise, "settings": settings,
                      "embeddings": [[float(f"{x:.7g}") for x in row] for row in found.tolist()]})
    shape("mean", True)
    (HERE / "golden.json").write_text(json.dumps({"texts": texts, "cases": cases}, ensure_ascii=True) + "\n")


main()
