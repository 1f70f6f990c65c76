//! Names and labels that Kubernetes accepts, for text that may be too long for it.
//!
//! What fits stays as it is, so that people find a run by its id. What does not is cut and ends
//! in a digest of the whole text, so that two long names never become one.

use nightshift_core::ids::RunId;
use sha2::{Digest, Sha256};

/// Longest DNS label (RFC 1123), and longest value of a label.
pub const LABEL_MAX: usize = 63;

/// Longest name of a worker Job. The pods of an Indexed Job have the host name `<job>-<index>`,
/// which must be a DNS label; with at most 10 000 slots the index has four digits.
pub const JOB_NAME_MAX: usize = LABEL_MAX - "-9999".len();

/// Longest name of a CronJob: the controller adds 11 characters for the time to its Jobs.
pub const CRON_JOB_NAME_MAX: usize = 52;

/// Name of the worker Job of `run`, and of its ConfigMap: the run id where that fits.
pub fn job_name(run: &RunId) -> String {
    shortened(&run.to_string(), JOB_NAME_MAX)
}

/// `text` as the value of a label: itself where that fits.
pub fn label_value(text: &str) -> String {
    shortened(text, LABEL_MAX)
}

/// `text`, or its head and eight hexadecimal digits of its SHA-256, in at most `max` bytes.
///
/// A cut run id is never another run's id: those end in `-g<n>`, and `g` is no such digit.
pub fn shortened(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let digest = Sha256::digest(text.as_bytes());
    let tail: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let head = text.floor_char_boundary(max.saturating_sub(tail.len() + 1));
    let head = text[..head].trim_end_matches(['-', '.', '_']);
    format!("{head}-{tail}")
}

#[cfg(test)]
mod tests;
