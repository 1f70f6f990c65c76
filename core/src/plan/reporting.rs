//! Who is told of a run, as its plan keeps it: places filled in, nothing left to check.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::endpoint::Endpoint;

/// Longest name of an environment variable.
const VARIABLE_MAX_BYTES: usize = 100;
/// What the name of a variable with a secret begins with, so that no spec can make a process use
/// a variable that is there for something else.
const VARIABLE_PREFIX: &str = "NIGHTSHIFT_";

/// Who is told of a run, and what for that purpose has to be known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reporting {
    /// The input as the spec names it: an absolute path or pattern, or one in a bucket.
    pub input: String,
    /// The output root: an absolute path, or a prefix of a bucket.
    pub output: String,
    /// Folder for `report.json` and `report.html`: an absolute path, or a prefix of a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Who gets a message when the run has its verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Who gets OpenLineage events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
}

/// Who gets a message when a run has its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where it is posted.
    pub url: Endpoint,
    /// Environment variable with the secret that signs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<SecretName>,
}

/// Who gets OpenLineage events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// Where they go.
    pub target: LineageTarget,
    /// Namespace of the job in the lineage graph.
    pub namespace: String,
    /// Columns that the run reads, in the order of the input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
}

/// Where OpenLineage events go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineageTarget {
    /// A file of JSON lines, an absolute path; events are added at its end.
    File(String),
    /// A service.
    Url(Endpoint),
}

/// A column of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as Arrow names it.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Name of an environment variable that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

/// Text that is no [`SecretName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "it is not {VARIABLE_PREFIX} and then capital letters, digits and `_`, {VARIABLE_MAX_BYTES} at most"
)]
pub struct InvalidSecretName;

// === impl SecretName ===

impl FromStr for SecretName {
    type Err = InvalidSecretName;

    fn from_str(text: &str) -> Result<Self, InvalidSecretName> {
        let fine = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
        let rest = text.strip_prefix(VARIABLE_PREFIX).ok_or(InvalidSecretName)?;
        if rest.is_empty() || text.len() > VARIABLE_MAX_BYTES || !rest.bytes().all(fine) {
            return Err(InvalidSecretName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for SecretName {
    type Error = InvalidSecretName;

    fn try_from(text: String) -> Result<Self, InvalidSecretName> {
        text.parse()
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
