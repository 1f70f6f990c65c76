//! Files that are as they should be, and files that are not.

use std::error::Error as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::blocks::{Kind, floats};
use super::*;

/// A file as it is written: pairs of metadata, then tensors of floats.
#[derive(Default, Clone)]
struct File {
    pairs: Vec<(String, u32, Vec<u8>)>,
    /// Name, dimensions from the fastest, type, offset.
    tensors: Vec<(String, Vec<u64>, u32, u64)>,
    data: Vec<u8>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn texts(texts: &[&str]) -> Vec<u8> {
    let mut bytes = [&8_u32.to_le_bytes()[..], &(texts.len() as u64).to_le_bytes()].concat();
    texts.iter().for_each(|own| bytes.extend(text(own)));
    bytes
}

impl File {
    fn pair(mut self, key: &str, kind: u32, value: Vec<u8>) -> Self {
        self.pairs.push((key.to_owned(), kind, value));
        self
    }

    fn number(self, key: &str, number: u32) -> Self {
        self.pair(key, 4, number.to_le_bytes().to_vec())
    }

    fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Self {
        self.tensors.push((name.to_owned(), dimensions.to_vec(), kind, offset));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = [&b"GGUF"[..], &3_u32.to_le_bytes()].concat();
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.pairs {
            out.extend(text(key));
            out.extend(kind.to_le_bytes());
            out.extend(value);
        }
        for (name, dimensions, kind, offset) in &self.tensors {
            out.extend(text(name));
            out.extend((dimensions.len() as u32).to_le_bytes());
            dimensions.iter().for_each(|own| out.extend(own.to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend(offset.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(&self.data);
        out
    }

    fn problem(&self) -> String {
        parsed(&self.bytes()).unwrap_err()
    }
}

/// What is made of a file of these bytes, or what is wrong with it.
fn parsed(bytes: &[u8]) -> Result<Gguf, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let opened = OpenFile::open(file.path().to_path_buf(), u64::MAX).map_err(|e| e.to_string())?;
    Gguf::read(opened).map_err(|error| error.source().unwrap().to_string())
}

/// A file that is as it should be, of a model of one layer that has a table of words alone.
fn good() -> File {
    let file = File { data: (0..192).collect(), ..File::default() };
    file.pair("general.architecture", 8, text("llama"))
        .number("llama.attention.head_count", 2)
        .number("llama.embedding_length", 8)
        .number("llama.block_count", 1)
        .number("llama.feed_forward_length", 8)
        .number("llama.context_length", 64)
        .pair("llama.rope.freq_base", 6, 1e4_f32.to_le_bytes().to_vec())
        .pair("tokenizer.ggml.model", 8, text("gpt2"))
        .pair("tokenizer.ggml.pre", 8, text("smollm"))
        .pair("tokenizer.ggml.tokens", 9, texts(&["<e>", "a", "b", "ab"]))
        .pair("tokenizer.ggml.merges", 9, texts(&["a b"]))
        .number("tokenizer.ggml.eos_token_id", 0)
        .tensor("token_embd.weight", &[8, 4], 0, 0)
        .tensor("blk.0.attn_q.weight", &[2, 8], 1, 128)
}

#[test]
fn a_file_is_described_in_the_words_of_transformers() {
    let bytes = good().bytes();
    let gguf = parsed(&bytes).unwrap();
    let described = Described::of(&gguf).unwrap();
    assert_eq!(described.config["architectures"][0], "LlamaForCausalLM");
    assert_eq!(described.config["vocab_size"], 4);
    assert_eq!(described.config["tie_word_embeddings"], true);
    assert_eq!(described.ends, [0]);
    let words = crate::engine::text::generate::words::Words::new(&described.tokenizer, 4).unwrap();
    assert_eq!(words.tokens("ab", true, 9).unwrap().unwrap(), [3]);
    let spec = TensorSpec { name: "embed_tokens.weight".to_owned(), shape: vec![4, 8] };
    assert_eq!(gguf.tensor(&spec).unwrap().len(), 32);
    // Two heads of four rows each: rows 0 2 1 3 of each, as pairs lie half a head apart.
    let rows: Vec<f32> = (0..8).map(|row| row as f32).collect();
    assert_eq!(turned_back(&rows, 2, &[8, 1]), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
}

#[test]
fn scaled_rotations_are_described() {
    let described = |file: File| {
        let bytes = file.bytes();
        let gguf = parsed(&bytes).unwrap();
        Described::of(&gguf).map(|described| described.config["rope_parameters"].clone())
    };
    assert_eq!(described(good()).unwrap(), json!({ "rope_theta": 1e4 }));
    let scaled = good().pair("llama.rope.scaling.type", 8, text("linear")).pair(
        "llama.rope.scaling.factor",
        6,
        4_f32.to_le_bytes().to_vec(),
    );
    let wanted = json!({ "rope_type": "linear", "rope_theta": 1e4, "factor": 4.0 });
    assert_eq!(described(scaled).unwrap(), wanted);
    // A pair of a head of four numbers has a factor each.
    let mut each = good().tensor("rope_freqs.weight", &[2], 0, 160);
    each.data.splice(160..168, [1_f32, 8.0].iter().flat_map(|one| one.to_le_bytes()));
    let wanted = json!({ "rope_type": "factors", "rope_theta": 1e4, "factors": [1.0, 8.0] });
    assert_eq!(described(each).unwrap(), wanted);
    let yarn = good().pair("llama.rope.scaling.type", 8, text("yarn"));
    let problem = described(yarn).unwrap_err().to_string();
    assert!(problem.contains("rope.scaling.type") && problem.contains("`yarn`"), "{problem}");
    let short = good().tensor("rope_freqs.weight", &[1], 0, 160);
    let problem = described(short).unwrap_err().to_string();
    assert!(problem.contains("rope_freqs.weight"), "{problem}");
}

#[test]
fn a_header_is_read_as_far_as_it_goes() {
    // Longer than what is read at first.
    let long = |bytes: u64| {
        let words = vec![b'w'; 1 << 20];
        (0..bytes >> 20).fold(good(), |file, at| {
            file.pair(&format!("x.{at}"), 8, [&(1_u64 << 20).to_le_bytes()[..], &words].concat())
        })
    };
    let gguf = parsed(&long(3 * FIRST_BYTES).bytes()).unwrap();
    let spec = TensorSpec { name: "embed_tokens.weight".to_owned(), shape: vec![4, 8] };
    assert_eq!(
        gguf.tensor(&spec).unwrap(),
        parsed(&good().bytes()).unwrap().tensor(&spec).unwrap()
    );
    let problem = parsed(&long(HEADER_BYTES_MAX + (1 << 20)).bytes()).unwrap_err();
    assert!(problem.starts_with("the header has more than the 268435456 bytes"), "{problem}");
    let mut cut = long(3 * FIRST_BYTES).bytes();
    cut.truncate(2 * FIRST_BYTES as usize);
    let truncated = GgufError::Truncated { what: "a text" };
    assert_eq!(parsed(&cut).unwrap_err(), truncated.to_string());
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let cases: Vec<(File, &str)> = vec![
        (good().number("llama.block_count", 1), "`llama.block_count` is there twice"),
        (good().tensor("token_embd.weight", &[8], 0, 0), "`token_embd.weight` is there twice"),
        (good().tensor("x", &[8], 0, 64), "tensors `token_embd.weight` and `x` overlap"),
        (good().tensor("x", &[8], 0, 7), "tensor `x` has 32 bytes from 7 of 192"),
        (good().tensor("x", &[8], 0, 192), "tensor `x` has 32 bytes from 192 of 192"),
        (good().tensor("x", &[8], 0, u64::MAX - 31), "tensor `x` has 32 bytes from"),
        (good().tensor("x", &[1 << 40, 1 << 40], 0, 160), "tensor `x` has impossible dimensions"),
        (good().tensor("x", &[31, 2], 2, 160), "tensor `x` has impossible dimensions"),
        (good().tensor("x", &[0], 0, 160), "tensor `x` has impossible dimensions"),
        (good().tensor("x", &[1; 5], 0, 160), "the file claims 5 dimensions"),
        (good().tensor("x", &[256], 10, 160), "tensor `x` has type 10"),
        (good().number("general.alignment", 48), "`general.alignment` is 48"),
        (good().pair("x", 13, Vec::new()), "`x` has type 13"),
        (good().pair("x", 9, [9_u32.to_le_bytes(), [0; 4], [0; 4]].concat()), "`x` has type 9"),
        (
            good().pair("x", 8, u64::MAX.to_le_bytes().to_vec()),
            "the file claims 18446744073709551615 a text",
        ),
        (good().pair("x", 8, 1_000_u64.to_le_bytes().to_vec()), "the file ends within a text"),
        (
            good().pair("x", 9, [&4_u32.to_le_bytes()[..], &(1_u64 << 20).to_le_bytes()].concat()),
            "the file ends within elements of a list",
        ),
        (good().pair("x", 8, [&1_u64.to_le_bytes()[..], &[0xFF]].concat()), "a text is not UTF-8"),
    ];
    for (file, wanted) in cases {
        let problem = file.problem();
        assert!(problem.starts_with(wanted), "{problem} for {wanted}");
    }
    for (at, bytes, wanted) in [
        (0, b"GGML".as_slice(), "the file does not begin with `GGUF`"),
        (4, &[1, 0, 0, 0], "the file has version 1"),
        (8, &[255; 8], "the file claims 18446744073709551615 tensors"),
        (16, &[255; 8], "the file claims 18446744073709551615 pairs of metadata"),
    ] {
        let mut file = good().bytes();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let problem = parsed(&file).unwrap_err();
        assert!(problem.starts_with(wanted), "{problem}");
    }
}

#[test]
fn models_that_are_not_supported_are_refused_by_name() {
    let of = |file: File| {
        let bytes = file.bytes();
        let gguf = parsed(&bytes)?;
        Described::of(&gguf).map(|_| ()).map_err(|error| error.to_string())
    };
    let with = |key: &str, value: &str| {
        let mut file = good();
        file.pairs.retain(|(own, ..)| own != key);
        file.pair(key, 8, text(value))
    };
    for (key, value) in [
        ("general.architecture", "mamba"),
        ("tokenizer.ggml.model", "llama"),
        ("tokenizer.ggml.pre", "tekken"),
    ] {
        let problem = of(with(key, value)).unwrap_err().to_string();
        assert!(problem.starts_with(&format!("`{key}` is `{value}`")), "{problem}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn a_damaged_file_is_refused_or_read_and_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = good().bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(length.index(bytes.len()));
        }
        if let Ok(gguf) = parsed(&bytes) {
            if let Ok(described) = Described::of(&gguf) {
                let _ = crate::engine::text::generate::words::Words::new(&described.tokenizer, 4);
            }
            for (name, shape) in [("embed_tokens", [4, 8]), ("layers.0.self_attn.q_proj", [8, 2])] {
                let spec = TensorSpec { name: format!("{name}.weight"), shape: shape.to_vec() };
                let _ = gguf.tensor(&spec);
            }
        }
    }
}

#[test]
fn blocks_are_the_numbers_of_the_reference() {
    #[derive(Deserialize)]
    struct Case {
        kind: u32,
        block: Vec<u8>,
        numbers: Vec<f32>,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/text/generate/blocks.json");
    let cases: Vec<Case> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 8);
    for Case { kind, block, numbers } in cases {
        let kind = Kind::numbered(kind).unwrap();
        assert_eq!((kind.bytes(), kind.numbers()), (block.len(), numbers.len()));
        let mut own = Vec::new();
        floats(kind, &block, &mut own);
        assert_eq!(own.len(), numbers.len());
        for (at, (found, wanted)) in own.iter().zip(&numbers).enumerate() {
            let near = (found - wanted).abs() <= 1e-5 * (1.0 + wanted.abs());
            assert!(near, "{kind:?} {at}: {found} for {wanted}");
        }
    }
}
