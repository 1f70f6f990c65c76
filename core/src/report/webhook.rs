//! The message to a webhook: what it says, and the signature that shows who sent it.
//!
//! Envelope and signature follow Standard Webhooks 1.0 (<https://www.standardwebhooks.com>), for
//! which receivers in most languages have a library.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::Report;
use crate::conclusion::FinalState;
use crate::figures::{duration, thousands};
use crate::ids::{Digest, Generation, Partition, RunId, SpecName};
use crate::plan::Reporting;
use crate::root::RootId;

/// What a secret begins with whose bytes are written in Base64.
const SECRET_PREFIX: &str = "whsec_";
/// Fewest bytes of a secret: what the standard asks for.
pub const SECRET_MIN_BYTES: usize = 24;
/// Given-up shards whose reasons a message spells out.
const REASONS_SHOWN: usize = 5;

/// The body of the message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// What happened; always `run.concluded`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When: the time of the verdict.
    pub timestamp: Timestamp,
    /// One sentence for people.
    pub text: String,
    /// The verdict.
    pub data: Verdict,
}

/// What the message is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The run.
    pub run: RunId,
    /// The spec.
    pub name: SpecName,
    /// The date, or `all`.
    pub date: Partition,
    /// The generation.
    pub generation: Generation,
    /// The verdict.
    pub state: FinalState,
    /// Rows in the plan.
    pub rows_in: u64,
    /// Rows with a prediction.
    pub rows_out: u64,
    /// Rows in rejects files.
    pub rows_rejected: u64,
    /// Rows of given-up shards.
    pub rows_quarantined: u64,
    /// Shards in the plan.
    pub shards: u64,
    /// Shards given up.
    pub quarantined: u64,
    /// Why, for the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Seconds from the plan to the verdict.
    pub elapsed_s: f64,
    /// Digest of the model.
    pub model_digest: Digest,
    /// Version of the model, where the spec gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
    /// Folder of the predictions.
    pub output: String,
    /// The page of the report, where one is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// A secret that signs messages.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// A secret that cannot be used. The text never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidSecret {
    /// What follows `whsec_` is not Base64.
    #[error("what follows `whsec_` in it is not Base64")]
    Malformed,
    /// So short that it can be guessed.
    #[error("it has fewer than {SECRET_MIN_BYTES} bytes; make one with `openssl rand -base64 32`")]
    Short,
}

impl Message {
    /// The message about a concluded run, whose report is at `page` if it has one.
    pub fn new(report: &Report, reporting: &Reporting, page: Option<String>) -> Self {
        let verdict = &report.verdict;
        let (run, totals) = (&verdict.run, &verdict.totals);
        let reasons = verdict.quarantined.iter().take(REASONS_SHOWN);
        Self {
            kind: "run.concluded",
            timestamp: verdict.decided_at,
            text: sentence(report),
            data: Verdict {
                run: run.clone(),
                name: run.name.clone(),
                date: run.partition,
                generation: run.generation,
                state: verdict.state,
                rows_in: totals.rows_in,
                rows_out: totals.rows_out,
                rows_rejected: totals.rows_rejected,
                rows_quarantined: totals.rows_quarantined,
                shards: totals.shards,
                quarantined: totals.quarantined,
                reasons: reasons
                    .map(|shard| {
                        format!("shard {}: {}: {}", shard.shard, shard.reason, shard.message)
                    })
                    .collect(),
                elapsed_s: report.elapsed_s(),
                model_digest: verdict.model_digest,
                model_version: report.model.version.clone(),
                output: format!("{}/{}", reporting.output, report.output),
                report: page,
            },
        }
    }
}

/// The verdict in one sentence.
pub fn sentence(report: &Report) -> String {
    let verdict = &report.verdict;
    let (run, totals) = (&verdict.run, &verdict.totals);
    let date = match run.partition {
        Partition::All => String::new(),
        Partition::Date(date) => format!(" for {date}"),
    };
    let mut text = format!(
        "{}{date} {}: {} of {} rows scored in {}",
        run.name,
        verdict.state.as_str(),
        thousands(totals.rows_out),
        thousands(totals.rows_in),
        duration(report.elapsed_s())
    );
    for (rows, what) in [(totals.rows_rejected, "rejected"), (totals.rows_quarantined, "given up")]
    {
        if rows > 0 {
            text.push_str(&format!(", {} {what}", thousands(rows)));
        }
    }
    text
}

/// The identity of the message about a run, the same however often it is sent; the root keeps
/// runs of the same name in different outputs apart.
pub fn message_id(root: &RootId, run: &RunId) -> String {
    format!("msg_{root}_{run}")
}

impl Secret {
    /// A secret as an environment variable holds it: `whsec_` and Base64, or the bytes as they
    /// are.
    ///
    /// # Errors
    /// See [`InvalidSecret`].
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let text = text.trim();
        let bytes = match text.strip_prefix(SECRET_PREFIX) {
            Some(encoded) => BASE64.decode(encoded).map_err(|_| InvalidSecret::Malformed)?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < SECRET_MIN_BYTES {
            return Err(InvalidSecret::Short);
        }
        Ok(Self(bytes))
    }

    /// The value of the header `webhook-signature` for a message that is sent at `at`.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let seconds = at.as_second().to_string();
        let mac = hmac(&self.0, &[id.as_bytes(), b".", seconds.as_bytes(), b".", body]);
        format!("v1,{}", BASE64.encode(mac))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// HMAC with SHA-256 (RFC 2104) of the parts, one after the other.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    /// Block size of SHA-256.
    const BLOCK: usize = 64;
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut inner = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36));
    parts.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c));
    outer.update(inner.finalize());
    outer.finalize().into()
}

#[cfg(test)]
mod tests;
