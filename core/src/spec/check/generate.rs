//! `spec.task` of `kind: generate`.

use serde_saphyr::{Location, Spanned};

use super::{Checker, clip};
use crate::plan::{Ask, Dtype, GenerateSettings, Prompt};
use crate::spec::{SpecError, raw};

/// Most tokens of a prompt, and of what is written.
const TOKENS_MAX: i64 = 65_536;
/// Most texts that end what is written.
const STOPS_MAX: usize = 16;
/// Most bytes of such a text.
const STOP_BYTES_MAX: usize = 256;
/// Largest temperature: beyond it tokens are drawn almost evenly.
const TEMPERATURE_MAX: f64 = 10.0;

impl Checker<'_> {
    /// The settings of a task that writes text.
    pub(super) fn generate(
        &self,
        raw: &raw::Task,
        dtype: Dtype,
    ) -> Result<GenerateSettings, SpecError> {
        let ask = self.ask(raw)?;
        let Some(new) = &raw.max_new_tokens else {
            let problem = "`kind: generate` writes no more than it is told to";
            let remedy = "add `max_new_tokens:`, as in `max_new_tokens: 64`";
            let at = raw.kind.referenced;
            return Err(self.error(at, "spec.task.max_new_tokens", problem, remedy));
        };
        let new = self.within(new, "spec.task.max_new_tokens", 1, TOKENS_MAX)?;
        let max_tokens = match &raw.max_tokens {
            Some(most) => Some(self.within(most, "spec.task.max_tokens", 1, TOKENS_MAX)? as u32),
            None => None,
        };
        let between = |raw: &Option<Spanned<f64>>, field, usual: f64, least: f64, most: f64| {
            let Some(raw) = raw else { return Ok(usual) };
            match (least..=most).contains(&raw.value) {
                true => Ok(raw.value),
                false => {
                    let problem = format!("{} is not possible", raw.value);
                    let remedy = format!("use a number from {least} to {most}");
                    Err(self.error(raw.referenced, field, &problem, &remedy))
                }
            }
        };
        let temperature =
            between(&raw.temperature, "spec.task.temperature", 0.0, 0.0, TEMPERATURE_MAX)?;
        let top_p = between(&raw.top_p, "spec.task.top_p", 1.0, 0.0, 1.0)?;
        let seed = match &raw.seed {
            Some(seed) => self.within(seed, "spec.task.seed", 0, i64::MAX)?.unsigned_abs(),
            None => 0,
        };
        Ok(GenerateSettings {
            ask,
            max_new_tokens: new as u32,
            max_tokens,
            stop: self.stops(raw)?,
            temperature,
            top_p,
            seed,
            dtype,
        })
    }

    /// What a row asks.
    fn ask(&self, raw: &raw::Task) -> Result<Ask, SpecError> {
        let is_batch = match &raw.shape {
            Some(shape) => {
                let shapes = [("openai-batch", true), ("prompt", false)];
                self.one_of(shape, "spec.task.shape", &shapes)?
            }
            None => false,
        };
        let chat = raw.chat.as_ref().is_some_and(|chat| chat.value) || raw.system.is_some();
        if is_batch {
            let own: [(&str, Option<Location>); 3] = [
                ("prompt", raw.prompt.as_ref().map(|it| it.referenced)),
                ("system", raw.system.as_ref().map(|it| it.referenced)),
                ("chat", raw.chat.as_ref().map(|it| it.referenced)),
            ];
            if let Some((name, Some(at))) = own.into_iter().find(|(_, at)| at.is_some()) {
                let problem = "requests of `shape: openai-batch` have messages of their own";
                let field = format!("spec.task.{name}");
                return Err(self.error(at, &field, problem, "remove it, or remove `shape:`"));
            }
            return Ok(Ask::OpenaiBatch);
        }
        let Some(prompt) = &raw.prompt else {
            let problem = "`kind: generate` asks something of each row";
            let remedy = "add `prompt:` with columns in it, as in `prompt: \"Sum up: {body}\"`";
            return Err(self.error(raw.kind.referenced, "spec.task.prompt", problem, remedy));
        };
        let at = prompt.referenced;
        let prompt = Prompt::parse(&prompt.value).map_err(|error| {
            self.error(at, "spec.task.prompt", &error.to_string(), error.remedy())
        })?;
        let system = raw.system.as_ref().map(|system| system.value.clone());
        match (&raw.chat, system) {
            (Some(off), Some(_)) if !off.value => {
                let problem = "`chat: false` has no words of a system";
                let remedy = "remove it, or write `chat: true`";
                Err(self.error(off.referenced, "spec.task.system", problem, remedy))
            }
            (_, system) if chat => Ok(Ask::Chat { prompt, system }),
            _ => Ok(Ask::Prompt(prompt)),
        }
    }

    /// Texts that end what is written.
    fn stops(&self, raw: &raw::Task) -> Result<Vec<String>, SpecError> {
        let Some(stops) = &raw.stop else { return Ok(Vec::new()) };
        let field = "spec.task.stop";
        if stops.value.len() > STOPS_MAX {
            let problem = format!("there are {} texts", stops.value.len());
            let remedy = format!("name {STOPS_MAX} at most");
            return Err(self.error(stops.referenced, field, &problem, &remedy));
        }
        let is_odd = |stop: &&String| stop.is_empty() || stop.len() > STOP_BYTES_MAX;
        if let Some(odd) = stops.value.iter().find(is_odd) {
            let problem = format!("`{}` cannot end a text", clip(odd));
            let remedy = format!("write texts of 1 to {STOP_BYTES_MAX} bytes");
            return Err(self.error(stops.referenced, field, &problem, &remedy));
        }
        Ok(stops.value.clone())
    }
}
