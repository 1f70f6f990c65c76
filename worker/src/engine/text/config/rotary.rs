//! Places as rotations, as `config.json` says in its older and its newer words.

use nightshift_kernels::rotary::{Frequencies, Scaling};
use serde_json::Value;

use super::Config;
use crate::engine::text::TextError;
use crate::engine::text::settings::unsupported;

/// Kinds of scaling that are known, for messages.
const KINDS: &str = "`default`, `linear` and `llama3`";

impl Config {
    /// The rotations of layers of this `kind`, where there are several; their base is else what
    /// `said` says in the older words, or what is usual.
    pub(super) fn rotation(
        &self,
        kind: Option<&str>,
        said: Option<f64>,
        usual: f64,
    ) -> Result<Frequencies, TextError> {
        let newer = self.rope_parameters.as_ref();
        let newer = match kind {
            Some(kind) => newer.and_then(|of_kinds| of_kinds.get(kind)),
            None => newer,
        };
        let mut scaling = Scaling::None;
        for said in [self.rope_scaling.as_ref(), newer].into_iter().flatten() {
            match self.scaling(said)? {
                Scaling::None => {}
                found => scaling = found,
            }
        }
        let theta = newer.and_then(|own| own.get("rope_theta")).and_then(Value::as_f64);
        let theta = theta.or(said).unwrap_or(usual);
        match theta.is_finite() && theta > 1.0 {
            true => Ok(Frequencies { theta, scaling }),
            false => unsupported("rope_theta", &theta.to_string(), "numbers above 1"),
        }
    }

    /// What `said` says of frequencies, in the words of transformers, or in those that a GGUF file
    /// was [described](crate::engine::text::generate::gguf) with.
    fn scaling(&self, said: &Value) -> Result<Scaling, TextError> {
        let named = said.get("rope_type").or_else(|| said.get("type"));
        let number = |field: &'static str, least: f32| {
            let found = said.get(field).and_then(Value::as_f64).map(|number| number as f32);
            match found.filter(|number| number.is_finite() && *number >= least) {
                Some(number) => Ok(number),
                None => {
                    let found = said.get(field).map_or("absent".to_owned(), Value::to_string);
                    unsupported(
                        field,
                        &found,
                        if least > 0.0 { "a number from 1" } else { "a number from 0" },
                    )
                }
            }
        };
        match named.map(Value::as_str) {
            None | Some(Some("default")) => Ok(Scaling::None),
            Some(Some("linear")) => Ok(Scaling::Linear { factor: number("factor", 1.0)? }),
            Some(Some("llama3")) => {
                let low = number("low_freq_factor", 0.0)?;
                let high = number("high_freq_factor", 0.0)?;
                if high <= low {
                    let more = "a number above low_freq_factor";
                    return unsupported("high_freq_factor", &high.to_string(), more);
                }
                let trained = match said.get("original_max_position_embeddings") {
                    Some(_) => number("original_max_position_embeddings", 1.0)?,
                    None => self.max_position_embeddings as f32,
                };
                Ok(Scaling::Llama3 { factor: number("factor", 1.0)?, low, high, trained })
            }
            Some(Some("factors")) => {
                let listed = said.get("factors").and_then(Value::as_array);
                let factors = listed.into_iter().flatten().map(|one| one.as_f64());
                let factors: Option<Vec<f32>> =
                    factors.map(|one| one.map(|one| one as f32)).collect();
                match factors.filter(|all| all.iter().all(|one| one.is_finite() && *one > 0.0)) {
                    Some(factors) => Ok(Scaling::Each(factors)),
                    None => unsupported("rope_freqs.weight", "another", "numbers above 0"),
                }
            }
            Some(found) => unsupported("rope_type", found.unwrap_or("no text"), KINDS),
        }
    }
}
