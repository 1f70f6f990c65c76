//! Places as rotations, as `config.json` says in its older and its newer words.

use serde_json::Value;

use super::Config;
use crate::engine::text::TextError;
use crate::engine::text::settings::unsupported;

impl Config {
    /// The base of the rotations of layers of this `kind`, where there are several; else what
    /// `said` says in the older words, or what is usual.
    pub(super) fn theta(
        &self,
        kind: Option<&str>,
        said: Option<f64>,
        usual: f64,
    ) -> Result<f64, TextError> {
        let newer = self.rope_parameters.as_ref();
        let newer = match kind {
            Some(kind) => newer.and_then(|of_kinds| of_kinds.get(kind)),
            None => newer,
        };
        for scaling in [self.rope_scaling.as_ref(), newer].into_iter().flatten() {
            let named = scaling.get("rope_type").or_else(|| scaling.get("type"));
            match named.map(Value::as_str) {
                None | Some(Some("default")) => {}
                Some(found) => {
                    let found = found.unwrap_or("no text");
                    return unsupported("rope_type", found, "`default`");
                }
            }
        }
        let theta = newer.and_then(|own| own.get("rope_theta")).and_then(Value::as_f64);
        let theta = theta.or(said).unwrap_or(usual);
        match theta.is_finite() && theta > 1.0 {
            true => Ok(theta),
            false => unsupported("rope_theta", &theta.to_string(), "numbers above 1"),
        }
    }
}
