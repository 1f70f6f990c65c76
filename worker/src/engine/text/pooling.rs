//! One vector for the tokens of a text.

use nightshift_core::plan::TextSettings;
use serde::Deserialize;

use super::TextError;
use super::settings::unsupported;

/// `1_Pooling/config.json`, in its older and its newer spelling.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PoolingConfig {
    #[serde(default)]
    pooling_mode: Option<serde_json::Value>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    #[serde(default)]
    include_prompt: Option<bool>,
}

/// How the tokens of a text become one vector, and what is done to that.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pooling {
    mode: Mode,
    /// Whether the whole vector is normalised before it is cut.
    before: bool,
    /// Numbers that are kept.
    dimensions: usize,
    /// Whether what is kept is normalised.
    after: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Mean,
    First,
    Last,
    Max,
}

/// Where a vector is shorter than this, it is divided by this: as the reference does it.
const LENGTH_MIN: f32 = 1e-12;

impl Pooling {
    /// What `config` says of vectors of `hidden` numbers; `normalised` if the model normalises
    /// them.
    pub(super) fn new(
        config: PoolingConfig,
        hidden: usize,
        prompted: bool,
        normalised: bool,
        wanted: &TextSettings,
    ) -> Result<Self, TextError> {
        if prompted && config.include_prompt == Some(false) {
            return unsupported("include_prompt", "false", "`true` where there is a prompt");
        }
        let dimensions = wanted.dimensions.map_or(hidden, |wanted| wanted as usize);
        if dimensions > hidden {
            let field = "spec.task.dimensions";
            return Err(TextError::Setting { field, wanted: dimensions, most: hidden });
        }
        Ok(Self {
            mode: config.mode()?,
            before: normalised && wanted.normalize != Some(false),
            dimensions,
            after: wanted.normalize == Some(true),
        })
    }

    /// Numbers of a vector.
    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Appends the vector of a text to `out`: `states` has `hidden` numbers for each token.
    pub(super) fn append(&self, hidden: usize, states: &[f32], out: &mut Vec<f32>) {
        let mut tokens = states.chunks_exact(hidden.max(1));
        let mut vector = match self.mode {
            Mode::First => tokens.next().unwrap_or_default().to_vec(),
            Mode::Last => tokens.next_back().unwrap_or_default().to_vec(),
            Mode::Mean => mean(hidden, states),
            Mode::Max => {
                let mut vector = tokens.next().unwrap_or_default().to_vec();
                for token in tokens {
                    for (to, from) in vector.iter_mut().zip(token) {
                        *to = larger(*to, *from);
                    }
                }
                vector
            }
        };
        if self.before {
            normalise(&mut vector);
        }
        vector.truncate(self.dimensions);
        if self.after {
            normalise(&mut vector);
        }
        out.extend_from_slice(&vector);
    }
}

impl PoolingConfig {
    fn mode(&self) -> Result<Mode, TextError> {
        const SUPPORTED: &str = "one of `mean`, `cls`, `max` and `lasttoken`";
        let flags = [
            (self.pooling_mode_cls_token, "cls"),
            (self.pooling_mode_mean_tokens, "mean"),
            (self.pooling_mode_max_tokens, "max"),
            (self.pooling_mode_mean_sqrt_len_tokens, "mean_sqrt_len_tokens"),
            (self.pooling_mode_weightedmean_tokens, "weightedmean"),
            (self.pooling_mode_lasttoken, "lasttoken"),
        ];
        let flagged: Vec<&str> =
            flags.iter().filter(|(is_on, _)| *is_on).map(|(_, name)| *name).collect();
        let named = match &self.pooling_mode {
            Some(serde_json::Value::String(name)) => name.clone(),
            Some(other) => other.to_string(),
            // The mean is what is meant where nothing is said.
            None if flagged.is_empty() => "mean".to_owned(),
            None => flagged.join(" and "),
        };
        match named.as_str() {
            "mean" => Ok(Mode::Mean),
            "cls" => Ok(Mode::First),
            "max" => Ok(Mode::Max),
            "lasttoken" => Ok(Mode::Last),
            other => unsupported("the mode of pooling", other, SUPPORTED),
        }
    }
}

/// The mean of all tokens: `states` has `hidden` numbers for each.
pub(super) fn mean(hidden: usize, states: &[f32]) -> Vec<f32> {
    let mut tokens = states.chunks_exact(hidden.max(1));
    let mut sums = tokens.next().unwrap_or_default().to_vec();
    for token in tokens {
        for (to, from) in sums.iter_mut().zip(token) {
            *to += from;
        }
    }
    let count = (states.len() / hidden.max(1)).max(1) as f32;
    sums.iter_mut().for_each(|number| *number /= count);
    sums
}

/// The larger of two; NaN if one is, so that the row is rejected in the end.
fn larger(a: f32, b: f32) -> f32 {
    if a >= b || a.is_nan() { a } else { b }
}

/// Divides by the length.
fn normalise(vector: &mut [f32]) {
    // In double precision a sum of squares cannot overflow.
    let squares: f64 = vector.iter().map(|number| f64::from(*number) * f64::from(*number)).sum();
    let length = (squares.sqrt() as f32).max(LENGTH_MIN);
    vector.iter_mut().for_each(|number| *number /= length);
}
