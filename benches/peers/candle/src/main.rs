//! One peer of `benches/embed.py`: all-MiniLM-L6-v2 through the BERT of candle-transformers.
//!
//!     embed-with-candle MODEL TEXTS.jsonl OUT.f32
//!
//! `TEXTS.jsonl` has an object with `text` a line; the vectors go to `OUT.f32`, 32-bit floats in
//! their order. Prints one line of JSON: seconds until the model was ready, seconds of encoding
//! and rows of a batch. As for the other peers, texts of about one length share a batch, the better of some sizes
//! of batches is taken, and the clock of encoding starts when all is loaded.

use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context, Result, anyhow};
use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, DTYPE};
use serde_json::{Value, json};
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

/// Rows of a batch that are tried.
const BATCHES: [usize; 3] = [1, 8, 32];

struct Peer {
    model: BertModel,
    tokenizer: Tokenizer,
}

fn main() -> Result<()> {
    let begun = Instant::now();
    let mut arguments = env::args().skip(1).map(PathBuf::from);
    let mut next = || arguments.next().context("usage: embed-with-candle MODEL TEXTS.jsonl OUT.f32");
    let (folder, texts, out) = (next()?, next()?, next()?);
    let texts: Vec<String> = fs::read_to_string(texts)?
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line)?;
            Ok(row["text"].as_str().context("a line without text")?.to_owned())
        })
        .collect::<Result<_>>()?;

    let json = |name: &str| -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(folder.join(name))?)?)
    };
    let longest = json("sentence_bert_config.json")?["max_seq_length"].as_u64();
    let config: Config = serde_json::from_value(json("config.json")?)?;
    let mut tokenizer = Tokenizer::from_file(folder.join("tokenizer.json")).map_err(|e| anyhow!(e))?;
    let max_length = longest.context("no max_seq_length")? as usize;
    let truncation = TruncationParams { max_length, ..Default::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(|e| anyhow!(e))?;
    tokenizer.with_padding(Some(PaddingParams::default()));
    let weights = fs::read(folder.join("model.safetensors"))?;
    let weights = VarBuilder::from_buffered_safetensors(weights, DTYPE, &Device::Cpu)?;
    let peer = Peer { model: BertModel::load(weights, &config)?, tokenizer };
    let load = begun.elapsed().as_secs_f64();

    peer.encode(&texts[..texts.len().min(8)], 8)?;
    let probe: Vec<String> = texts.iter().step_by((texts.len() / 128).max(1)).cloned().collect();
    let mut fastest = (f64::INFINITY, 1);
    for batch in BATCHES {
        let started = Instant::now();
        peer.encode(&probe, batch)?;
        let seconds = started.elapsed().as_secs_f64();
        if seconds < fastest.0 {
            fastest = (seconds, batch);
        }
    }
    let started = Instant::now();
    let vectors = peer.encode(&texts, fastest.1)?;
    let seconds = started.elapsed().as_secs_f64();
    let bytes: Vec<u8> = vectors.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    fs::write(out, bytes)?;
    println!("{}", json!({ "load": load, "seconds": seconds, "batch": fastest.1 }));
    Ok(())
}

impl Peer {
    /// A vector of length 1 for each text: the mean of its tokens.
    fn encode(&self, texts: &[String], batch: usize) -> Result<Vec<Vec<f32>>> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(texts[at].len()));
        let mut vectors = vec![Vec::new(); texts.len()];
        for rows in order.chunks(batch) {
            let own: Vec<&str> = rows.iter().map(|&at| texts[at].as_str()).collect();
            let tokens = self.tokenizer.encode_batch(own, true).map_err(|e| anyhow!(e))?;
            let column = |of: fn(&tokenizers::Encoding) -> &[u32]| {
                let lines: Vec<Tensor> = tokens
                    .iter()
                    .map(|tokens| Tensor::new(of(tokens), &Device::Cpu))
                    .collect::<candle_core::Result<_>>()?;
                Tensor::stack(&lines, 0)
            };
            let ids = column(|tokens| tokens.get_ids())?;
            let mask = column(|tokens| tokens.get_attention_mask())?;
            let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
            let mask = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
            let mean = states.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&mask.sum(1)?)?;
            let mean = mean.broadcast_div(&mean.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)?;
            for (&at, vector) in rows.iter().zip(mean.to_vec2::<f32>()?) {
                vectors[at] = vector;
            }
        }
        Ok(vectors)
    }
}
