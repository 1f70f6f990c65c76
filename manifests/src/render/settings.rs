//! What `--set key=value` says, and what holds where it says nothing.

use std::fmt::Write as _;

use nightshift_core::ids::Partition;
use nightshift_core::model::is_location;
use nightshift_core::spec::Template;

use super::Pattern::{self, Backfill, Coordinator, CronJob, Indexed, Job};
use super::{RenderError, Request};
use crate::names;

/// A key of `--set`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Patterns that have it.
    pub patterns: &'static [Pattern],
    /// What it means, for the manual.
    pub meaning: &'static str,
}

const ALL: &[Pattern] = &Pattern::ALL;
const PODS: &[Pattern] = &[Job, CronJob, Indexed, Backfill];
const TIMED: &[Pattern] = &[CronJob, Backfill];
const DATED: &[Pattern] = &[Job, Indexed, Coordinator];
const PLACED: &[Pattern] = &[Job, CronJob, Indexed];

/// Every key.
pub const KEYS: [Key; 28] = [
    key("name", PODS, "name of the objects; by default the spec's, with the date or pattern"),
    key("namespace", ALL, "namespace of the objects; by default kubectl's"),
    key("image", ALL, "container image"),
    key("date", DATED, "the date, as in 2013-01-31; needed where the spec has {date}"),
    key("input", PLACED, "input instead of the spec's, below /data"),
    key("output", PLACED, "output folder instead of the spec's, below /data"),
    key("model-version", PODS, "model version instead of the spec's"),
    key("claim", PODS, "PersistentVolumeClaim mounted at /data: nightshift-data"),
    key("service-account", PODS, "ServiceAccount of the pods: nightshift-worker"),
    key("cpu", PODS, "CPU request, and as many threads: the spec's workers.resources, or 1"),
    key("memory", PODS, "memory request and limit: the spec's, or 512Mi and 1Gi"),
    key("collector", PODS, "where traces and metrics go, by OTLP: http://collector:4317"),
    key("retries", PODS, "pods that may fail before the Job does"),
    key("deadline", PODS, "seconds after which the Job is ended"),
    key("ttl", PODS, "seconds after which a finished Job is removed"),
    key("schedule", TIMED, "cron expression: 0 2 * * * or, for backfill, 0 * * * *"),
    key("timezone", TIMED, "time zone of the schedule: the spec's backfill.timezone"),
    key("starting-deadline", TIMED, "seconds by which a Job may start late: 600"),
    key("variant", &[CronJob], "strict keeps 2 failed Jobs instead of 3 and tries once more only"),
    key("completions", &[Indexed], "shards, one pod each: 100"),
    key("parallelism", &[Indexed], "pods at a time: 10"),
    key("backoff", &[Indexed], "whether retries count for each shard (index) or for all (job)"),
    key("window", &[Backfill], "days to look back: the spec's backfill.window"),
    key("max-dates", &[Backfill], "dates an hour: 1"),
    key("via", &[Backfill], "coordinator hands the dates to one instead of scoring in the pod"),
    key(
        "redis-secret",
        &[Backfill],
        "Secret whose key REDIS_URL says where Redis is: nightshift-redis",
    ),
    key("coordinator", &[Backfill, Coordinator], "address of the coordinator"),
    key("generation", &[Coordinator], "generation of the run: 1"),
];

const fn key(name: &'static str, patterns: &'static [Pattern], meaning: &'static str) -> Key {
    Key { name, patterns, meaning }
}

/// A request whose keys exist.
pub(super) struct Settings<'a> {
    pub(super) request: &'a Request<'a>,
}

impl<'a> Settings<'a> {
    pub(super) fn new(request: &'a Request<'a>) -> Result<Self, RenderError> {
        let keys: Vec<&str> = KEYS
            .iter()
            .filter(|key| key.patterns.contains(&request.pattern))
            .map(|key| key.name)
            .collect();
        for (written, _) in request.settings {
            if !keys.contains(&written.as_str()) {
                return Err(RenderError::UnknownKey {
                    key: clip(written),
                    pattern: request.pattern.name(),
                    remedy: nearest(written, &keys),
                });
            }
        }
        Ok(Self { request })
    }

    /// What was written for a key; the last one counts.
    pub(super) fn written(&self, key: &str) -> Option<&'a str> {
        let written = self.request.settings.iter().rev().find(|(name, _)| name == key);
        written.map(|(_, value)| value.as_str())
    }

    /// Where traces and metrics go, if anywhere.
    pub(super) fn collector(&self) -> Result<Option<&'a str>, RenderError> {
        let key = "collector";
        let Some(text) = self.given(key)? else { return Ok(None) };
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match rest.filter(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)) {
            Some(_) => Ok(Some(text)),
            None => Err(invalid(key, text, "write an address as in http://collector:4317")),
        }
    }

    /// Text that is not empty and has no line break.
    pub(super) fn text(&self, key: &'static str, default: &str) -> Result<String, RenderError> {
        Ok(self.given(key)?.unwrap_or(default).to_owned())
    }

    /// The same, where it was written.
    pub(super) fn given(&self, key: &'static str) -> Result<Option<&'a str>, RenderError> {
        match self.written(key) {
            Some(text) if text.trim().is_empty() || text.chars().any(char::is_control) => {
                Err(invalid(key, text, "write one line of text"))
            }
            written => Ok(written),
        }
    }

    pub(super) fn number(
        &self,
        key: &'static str,
        default: u32,
        min: u32,
        max: u32,
    ) -> Result<u32, RenderError> {
        let Some(text) = self.written(key) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| invalid(key, text, &format!("write a number from {min} to {max}")))
    }

    /// One of some words; the first is the default.
    pub(super) fn choice(
        &self,
        key: &'static str,
        words: &[&'static str],
    ) -> Result<&'static str, RenderError> {
        let Some(text) = self.written(key) else { return Ok(words[0]) };
        let chosen = words.iter().find(|word| **word == text);
        chosen.copied().ok_or_else(|| invalid(key, text, &format!("write {}", words.join(" or "))))
    }

    /// The name of an object: what was written, or `default`, cut where it is too long.
    pub(super) fn name(&self, default: &str, max: usize) -> Result<String, RenderError> {
        self.object("name", &names::shortened(default, max), max)
    }

    /// The name of an object that is there already, or is being named.
    pub(super) fn object(
        &self,
        key: &'static str,
        default: &str,
        max: usize,
    ) -> Result<String, RenderError> {
        let name = self.text(key, default)?;
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fine = name.len() <= max
            && name.chars().all(|c| inner(c) || c == '-')
            && name.starts_with(inner)
            && name.ends_with(inner);
        let remedy = format!("use at most {max} lower-case letters, digits and `-`");
        if fine { Ok(name) } else { Err(invalid(key, &name, &remedy)) }
    }

    /// The partition of a pattern that runs once.
    pub(super) fn partition(&self) -> Result<Partition, RenderError> {
        match (self.request.spec.is_dated(), self.written("date")) {
            (true, None) => Err(RenderError::MissingDate),
            (false, None) => Ok(Partition::All),
            (false, Some(text)) => Err(RenderError::NoDates { value: clip(text) }),
            // Pods of one Job may start on different days, so that `yesterday` is no date here.
            (true, Some(text)) => match text.parse() {
                Ok(Partition::Date(date)) => Ok(Partition::Date(date)),
                _ => Err(invalid("date", text, "write a date such as 2013-01-31")),
            },
        }
    }

    /// Input and output of the pods, if they are on the volume.
    pub(super) fn places(&self) -> Result<(String, String), RenderError> {
        let spec = self.request.spec;
        // Models of a store are fetched by whoever needs them.
        let model = spec.model.uri.as_str();
        if !is_location(model) || model.starts_with('/') || model.starts_with("file://") {
            self.on_volume("spec.model.uri", None, &spec.model.uri)?;
        }
        let input = self.on_volume("spec.input.uri", Some("input"), &spec.input.uri)?;
        let output = self.on_volume("spec.output.uri", Some("output"), &spec.output.uri)?;
        Ok((input, output))
    }

    fn on_volume(
        &self,
        field: &'static str,
        key: Option<&'static str>,
        uri: &Template,
    ) -> Result<String, RenderError> {
        // Only patterns that put the places into the arguments can put others there.
        let known = |key: &&str| {
            KEYS.iter().any(|k| k.name == *key && k.patterns.contains(&self.request.pattern))
        };
        let key = key.filter(known);
        let written = key.and_then(|key| self.written(key).map(|text| (key, text)));
        let text = written.map_or(uri.as_str(), |(_, text)| text);
        if let Some((key, text)) = written
            && let Err(error) = Template::parse(text)
        {
            return Err(invalid(key, text, &format!("{error}; {}", error.remedy())));
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        if path.starts_with("/data/") && !path.split('/').any(|step| step == "..") {
            return Ok(text.to_owned());
        }
        match written {
            Some((key, text)) => Err(invalid(key, text, "name a path below /data")),
            None => Err(RenderError::OutsideVolume {
                file: self.request.file.to_owned(),
                field,
                uri: text.to_owned(),
                hint: key.map(|key| format!(", as in --set {key}=/data/…")).unwrap_or_default(),
            }),
        }
    }

    /// The version of the model that pods are told, where one is known.
    pub(super) fn model_version(&self) -> Result<Option<String>, RenderError> {
        let Some(version) = self.written("model-version") else {
            return Ok(self.request.spec.model.version.clone());
        };
        let checked = self.request.spec.clone().with_model_version(version);
        checked.map(|spec| spec.model.version).map_err(|it| invalid("model-version", version, it))
    }

    /// The command that prints this, as it can be typed again.
    pub(super) fn command(&self) -> String {
        let request = self.request;
        let mut command =
            format!("nightshift render {} {}", request.pattern.name(), shell(request.file));
        if let Some((file, _)) = request.job_template {
            // Writing to a String cannot fail.
            let _ = write!(command, " --job-template {}", shell(file));
        }
        for (key, value) in request.settings {
            let _ = write!(command, " --set {}", shell(&format!("{key}={value}")));
        }
        command
    }
}

fn invalid(key: &'static str, value: &str, remedy: &str) -> RenderError {
    RenderError::InvalidValue { key, value: clip(value), remedy: remedy.to_owned() }
}

fn nearest(written: &str, keys: &[&str]) -> String {
    let written = clip(written);
    let near = keys
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&written, key), key))
        .min()
        .filter(|(distance, key)| *distance <= 1 + key.len() / 4);
    let all = format!("use one of {}", keys.join(", "));
    match near {
        Some((_, key)) => format!("did you mean `{key}`? {all}"),
        None => all,
    }
}

/// A word of a command line, in quotes where a shell would take it apart.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    // A comment is one line.
    let line: String = word.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("'{}'", line.replace('\'', "'\\''"))
}

/// At most 80 characters of what the user wrote, control characters made visible.
fn clip(text: &str) -> String {
    const SHOWN: usize = 80;
    let head: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().count() > SHOWN { format!("{head}…") } else { head }
}
