//! Families of models, as data: what their tensors are called and in which order their layers do
//! what they do. One forward pass ([`transformer`](super::transformer)) reads this.

use nightshift_kernels::matmul::Finish;

/// A family of models.
#[derive(Debug)]
pub(super) struct Family {
    /// Which of them it is, for what `config.json` says in words of its own.
    pub(super) kind: Kind,
    /// What `architectures` holds in a model for embeddings. A model for masked words or for
    /// generation is one, without its head.
    pub(super) embedders: &'static [&'static str],
    /// The same of models that write text.
    pub(super) generators: &'static [&'static str],
    /// The same of models for labels.
    pub(super) classifiers: &'static [&'static str],
    /// What its tensors are called.
    pub(super) names: Names,
    /// The end of a model for labels, if the family has such models.
    pub(super) head: Option<HeadNames>,
    /// Where norms stand.
    pub(super) order: Order,
    /// Whether the first of two products of a layer gates another beside it.
    pub(super) is_gated: bool,
    /// Whether a token looks at those before it alone.
    pub(super) is_causal: bool,
}

/// What a model is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Embed,
    Label,
    Generate,
}

impl Family {
    /// The names in `architectures` of models that serve `purpose`.
    pub(super) fn architectures(&self, purpose: Purpose) -> &'static [&'static str] {
        match purpose {
            Purpose::Embed => self.embedders,
            Purpose::Label => self.classifiers,
            Purpose::Generate => self.generators,
        }
    }
}

/// Families whose `config.json` differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bert,
    DistilBert,
    Roberta,
    Mpnet,
    ModernBert,
    Llama,
    Qwen2,
    Qwen3,
}

/// Where norms stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// After attention, and after the two products: of their sum with what went in.
    After,
    /// Before them: what comes out is added to what went in.
    Before,
}

/// What a family calls its tensors.
#[derive(Debug)]
pub(super) struct Names {
    /// Where a model with a head keeps the rest of itself.
    pub(super) prefix: &'static str,
    /// The table of words.
    pub(super) words: &'static str,
    /// The table of places, where places are looked up.
    pub(super) places: &'static str,
    /// The table of segments, where there are segments.
    pub(super) segments: &'static str,
    /// The norm of what was looked up.
    pub(super) first_norm: Option<&'static str>,
    /// Layers, each followed by its number and one of the names below.
    pub(super) layers: &'static str,
    /// Queries, keys and values: one matrix of all of them, or three.
    pub(super) qkv: &'static [&'static str],
    /// Norms of each head of queries and of keys.
    pub(super) head_norms: Option<[&'static str; 2]>,
    /// The product after attention.
    pub(super) attended: &'static str,
    /// The norm that belongs to attention.
    pub(super) attention_norm: &'static str,
    /// The first product; with a gate the gate comes first, in one matrix or in two.
    pub(super) up: &'static [&'static str],
    /// The second product.
    pub(super) down: &'static str,
    /// The norm that belongs to the products.
    pub(super) norm: &'static str,
    /// The norm of the last layer's states.
    pub(super) last_norm: Option<&'static str>,
}

/// The end of a model for labels, in the file's own words.
#[derive(Debug)]
pub(super) struct HeadNames {
    /// The first product.
    pub(super) dense: &'static str,
    /// What is done after it; as `config.json` says if absent.
    pub(super) finish: Option<Finish>,
    /// The norm of that.
    pub(super) norm: Option<&'static str>,
    /// The second product.
    pub(super) out: &'static str,
}

/// All families.
pub(super) static FAMILIES: [Family; 8] =
    [BERT, DISTILBERT, ROBERTA, MPNET, MODERNBERT, LLAMA, QWEN2, QWEN3];

/// The families for embeddings, for messages.
pub(super) const EMBEDDERS: &str = "`BertModel` and those of DistilBERT, RoBERTa, XLM-RoBERTa, MPNet, ModernBERT, Llama, Qwen2 and Qwen3";
/// The families that write text, for messages.
pub(super) const GENERATORS: &str = "`LlamaForCausalLM`, `Qwen2ForCausalLM` and `Qwen3ForCausalLM`";
/// The families for labels, for messages.
pub(super) const CLASSIFIERS: &str = "`BertForSequenceClassification` and those of DistilBERT, RoBERTa, XLM-RoBERTa, MPNet and ModernBERT";

const BERT_NAMES: Names = Names {
    prefix: "bert.",
    words: "embeddings.word_embeddings",
    places: "embeddings.position_embeddings",
    segments: "embeddings.token_type_embeddings",
    first_norm: Some("embeddings.LayerNorm"),
    layers: "encoder.layer",
    qkv: &["attention.self.query", "attention.self.key", "attention.self.value"],
    head_norms: None,
    attended: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: &["intermediate.dense"],
    down: "output.dense",
    norm: "output.LayerNorm",
    last_norm: None,
};

const BERT: Family = Family {
    kind: Kind::Bert,
    embedders: &["BertModel", "BertForMaskedLM"],
    generators: &[],
    classifiers: &["BertForSequenceClassification"],
    names: BERT_NAMES,
    head: Some(HeadNames {
        dense: "bert.pooler.dense",
        finish: Some(Finish::Tanh),
        norm: None,
        out: "classifier",
    }),
    order: Order::After,
    is_gated: false,
    is_causal: false,
};

const DISTILBERT: Family = Family {
    kind: Kind::DistilBert,
    embedders: &["DistilBertModel", "DistilBertForMaskedLM"],
    classifiers: &["DistilBertForSequenceClassification"],
    names: Names {
        prefix: "distilbert.",
        layers: "transformer.layer",
        qkv: &["attention.q_lin", "attention.k_lin", "attention.v_lin"],
        attended: "attention.out_lin",
        attention_norm: "sa_layer_norm",
        up: &["ffn.lin1"],
        down: "ffn.lin2",
        norm: "output_layer_norm",
        ..BERT_NAMES
    },
    head: Some(HeadNames {
        dense: "pre_classifier",
        finish: Some(Finish::Relu),
        norm: None,
        out: "classifier",
    }),
    ..BERT
};

/// `classifier.dense`, tanh, `classifier.out_proj`.
const TANH_HEAD: HeadNames = HeadNames {
    dense: "classifier.dense",
    finish: Some(Finish::Tanh),
    norm: None,
    out: "classifier.out_proj",
};

const ROBERTA: Family = Family {
    kind: Kind::Roberta,
    embedders: &["RobertaModel", "RobertaForMaskedLM", "XLMRobertaModel", "XLMRobertaForMaskedLM"],
    classifiers: &["RobertaForSequenceClassification", "XLMRobertaForSequenceClassification"],
    names: Names { prefix: "roberta.", ..BERT_NAMES },
    head: Some(TANH_HEAD),
    ..BERT
};

const MPNET: Family = Family {
    kind: Kind::Mpnet,
    embedders: &["MPNetModel", "MPNetForMaskedLM"],
    classifiers: &["MPNetForSequenceClassification"],
    names: Names {
        prefix: "mpnet.",
        qkv: &["attention.attn.q", "attention.attn.k", "attention.attn.v"],
        attended: "attention.attn.o",
        attention_norm: "attention.LayerNorm",
        ..BERT_NAMES
    },
    head: Some(TANH_HEAD),
    ..BERT
};

const MODERNBERT: Family = Family {
    kind: Kind::ModernBert,
    embedders: &["ModernBertModel", "ModernBertForMaskedLM"],
    classifiers: &["ModernBertForSequenceClassification"],
    names: Names {
        prefix: "model.",
        words: "embeddings.tok_embeddings",
        first_norm: Some("embeddings.norm"),
        layers: "layers",
        qkv: &["attn.Wqkv"],
        attended: "attn.Wo",
        attention_norm: "attn_norm",
        up: &["mlp.Wi"],
        down: "mlp.Wo",
        norm: "mlp_norm",
        last_norm: Some("final_norm"),
        ..BERT_NAMES
    },
    head: Some(HeadNames {
        dense: "head.dense",
        finish: None,
        norm: Some("head.norm"),
        out: "classifier",
    }),
    order: Order::Before,
    is_gated: true,
    ..BERT
};

const LLAMA_NAMES: Names = Names {
    prefix: "model.",
    words: "embed_tokens",
    first_norm: None,
    layers: "layers",
    qkv: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    attended: "self_attn.o_proj",
    attention_norm: "input_layernorm",
    up: &["mlp.gate_proj", "mlp.up_proj"],
    down: "mlp.down_proj",
    norm: "post_attention_layernorm",
    last_norm: Some("norm"),
    ..BERT_NAMES
};

const LLAMA: Family = Family {
    kind: Kind::Llama,
    embedders: &["LlamaModel", "LlamaForCausalLM"],
    generators: &["LlamaForCausalLM"],
    classifiers: &[],
    names: LLAMA_NAMES,
    head: None,
    order: Order::Before,
    is_gated: true,
    is_causal: true,
};

const QWEN2: Family = Family {
    kind: Kind::Qwen2,
    embedders: &["Qwen2Model", "Qwen2ForCausalLM"],
    generators: &["Qwen2ForCausalLM"],
    names: LLAMA_NAMES,
    head: None,
    ..LLAMA
};

const QWEN3: Family = Family {
    kind: Kind::Qwen3,
    embedders: &["Qwen3Model", "Qwen3ForCausalLM"],
    generators: &["Qwen3ForCausalLM"],
    names: Names { head_norms: Some(["self_attn.q_norm", "self_attn.k_norm"]), ..LLAMA_NAMES },
    head: None,
    ..LLAMA
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_belongs_to_one_family() {
        let names = FAMILIES.iter().flat_map(|own| own.embedders.iter().chain(own.classifiers));
        let mut names: Vec<_> = names.collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for family in &FAMILIES {
            assert_eq!(family.head.is_some(), !family.classifiers.is_empty(), "{:?}", family.kind);
        }
    }
}
