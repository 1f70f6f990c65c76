//! From YAML text to a checked [`Spec`]: shapes by serde, then every value one by one.

use jiff::SignedDuration;
use serde_saphyr::{Error as YamlError, Location, Spanned};

use super::raw;
use super::{
    Backfill, DEFAULT_SHARD_ROWS, Input, Model, Order, Output, Reprocess, Retention, Retries,
    SPEC_MAX_BYTES, Spec, SpecError, Template, Workers,
};
use crate::place::Place;
use crate::plan::{OutputFormat, SHARDS_MAX, Sharding};
use crate::window::{InvalidWindow, Window};

mod gates;
mod generate;
mod task;

pub(super) use gates::RawGates;

mod report;

const API_VERSION: &str = "nightshift.dev/v1";
const KIND: &str = "BatchInference";
/// Longest backfill window, in days: ten years.
const WINDOW_MAX_DAYS: u32 = 3_653;

/// Parses and checks; see [`Spec::parse`].
pub(super) fn parse(file: &str, text: &str) -> Result<Spec, SpecError> {
    let checker = Checker { file };
    if text.len() > SPEC_MAX_BYTES {
        let problem =
            format!("{} bytes are more than the {SPEC_MAX_BYTES} a spec may have", text.len());
        return Err(checker.whole_file(&problem, "name the YAML spec, not a data file"));
    }
    if text.trim().is_empty() {
        return Err(checker.whole_file(
            "the file is empty",
            "write a spec that starts with `apiVersion: nightshift.dev/v1`",
        ));
    }
    let mut path = String::new();
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let document = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(yaml, &mut track);
        <raw::Document as serde::Deserialize>::deserialize(tracked)
            .inspect_err(|_| path = user_path(&track.path().to_string()))
    });
    let document = document.map_err(|error| checker.yaml(&error, &path))?;
    checker.check(document)
}

/// The path without the steps that only our own wrapper for places adds.
fn user_path(path: &str) -> String {
    path.split('.')
        .filter(|step| !matches!(*step, "value" | "?" | ""))
        .collect::<Vec<_>>()
        .join(".")
}

struct Checker<'a> {
    file: &'a str,
}

impl Checker<'_> {
    fn error(&self, at: Location, field: &str, problem: &str, remedy: &str) -> SpecError {
        SpecError {
            file: self.file.to_owned(),
            line: at.line().max(1),
            column: at.column().max(1),
            field: field.to_owned(),
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        }
    }

    fn whole_file(&self, problem: &str, remedy: &str) -> SpecError {
        self.error(Location::UNKNOWN, "", problem, remedy)
    }

    /// What YAML or serde refused, in the words of somebody who writes specs.
    fn yaml(&self, error: &YamlError, path: &str) -> SpecError {
        let at = error.location().unwrap_or(Location::UNKNOWN);
        match error {
            YamlError::SerdeUnknownField { field, expected, .. } => {
                let parent =
                    path.strip_suffix(field.as_str()).unwrap_or(path).trim_end_matches('.');
                let field_path = join(parent, &clip(field));
                self.error(at, &field_path, "unknown field", &did_you_mean(field, expected))
            }
            YamlError::SerdeMissingField { field, .. } => {
                let remedy = format!("add `{field}:`");
                self.error(at, &join(path, field), "the field is missing", &remedy)
            }
            YamlError::DuplicateMappingKey { key, .. } => {
                let key = clip(key.as_deref().unwrap_or("?"));
                self.error(at, &join(path, &key), "the key occurs twice", "keep one of the two")
            }
            YamlError::SerdeUnknownVariant { variant, expected, .. } => {
                let problem = format!("`{}` is not possible here", clip(variant));
                self.error(at, path, &problem, &did_you_mean(variant, expected))
            }
            YamlError::SerdeInvalidType { unexpected, expected, .. } => {
                let problem = format!("found {}, expected {expected}", clip(unexpected));
                self.error(at, path, &problem, &format!("write {expected}"))
            }
            YamlError::InvalidScalar { ty, .. } => {
                let wanted = plain_type(ty);
                self.error(at, path, &format!("expected {wanted}"), &format!("write {wanted}"))
            }
            YamlError::Eof { .. } => self.error(
                at,
                path,
                "the document ends before a value",
                "write a spec that starts with `apiVersion: nightshift.dev/v1`",
            ),
            YamlError::MultipleDocuments { .. } => {
                self.error(at, "", "there is a second document after `---`", "keep one spec a file")
            }
            other => {
                let text = other.to_string();
                let first = text.lines().next().unwrap_or_default();
                self.error(at, path, &clip(first), "write a spec as in docs/spec.md")
            }
        }
    }

    fn check(&self, raw: raw::Document) -> Result<Spec, SpecError> {
        self.one_of(&raw.api_version, "apiVersion", &[(API_VERSION, ())])?;
        self.one_of(&raw.kind, "kind", &[(KIND, ())])?;
        let name = raw.metadata.name;
        let name = name.value.parse().map_err(|error: crate::ids::InvalidId| {
            let remedy = "choose a short name such as `flight-delays`";
            self.error(name.referenced, "metadata.name", &error.to_string(), remedy)
        })?;
        let body = raw.spec;
        let output = self.output(&body.output)?;
        let report = self.report(&body.report, &name)?;
        let spec = Spec {
            name,
            input: self.input(&body.input)?,
            model: self.model(&body.model)?,
            task: self.task(&body.task, &body.model, &body.output)?,
            output,
            sharding: self.sharding(body.sharding.as_ref())?,
            retries: self.retries(&body.retries)?,
            backfill: self.backfill(&body.backfill)?,
            workers: self.workers(body.workers)?,
            retention: self.retention(&body.retention)?,
            window: self.window(body.window.as_ref())?,
            gates: body.gates.map(|gates| self.gates(gates)).transpose()?,
            report,
        };
        if spec.model.version.is_none()
            && (spec.output.uri.has_model_version() || spec.model.uri.has_model_version())
        {
            let at = body.model.uri.referenced;
            let problem = "`{model_version}` is used, but there is no model version";
            return Err(self.error(
                at,
                "spec.model.version",
                problem,
                "add `version:` to the model",
            ));
        }
        // The base only matters for paths, which are all fine.
        if let Err(error) = spec.model_uri("/", crate::ids::Partition::All) {
            let at = body.model.uri.referenced;
            return Err(self.error(
                at,
                "spec.model.uri",
                &error.to_string(),
                super::bind::MODEL_REMEDY,
            ));
        }
        Ok(spec)
    }

    fn input(&self, raw: &raw::Input) -> Result<Input, SpecError> {
        let id = self.columns(&raw.id, "spec.input.id")?;
        if id.is_empty() {
            let remedy = "name the columns that identify a row, as in `id: [flight_id]`";
            return Err(self.error(
                raw.id.referenced,
                "spec.input.id",
                "no column is named",
                remedy,
            ));
        }
        let keep = match &raw.keep {
            Some(keep) => self.columns(keep, "spec.input.keep")?,
            None => Vec::new(),
        };
        if let (Some(both), Some(raw)) = (keep.iter().find(|column| id.contains(column)), &raw.keep)
        {
            let problem = format!("`{both}` is an id column already");
            return Err(self.error(raw.referenced, "spec.input.keep", &problem, "remove it here"));
        }
        let uri = self.place(&raw.uri, "spec.input.uri")?;
        if uri.has_model_version() {
            return Err(self.error(
                raw.uri.referenced,
                "spec.input.uri",
                "`{model_version}` cannot choose the input",
                "use {date} or {name}",
            ));
        }
        Ok(Input { uri, format: raw.format, id, keep })
    }

    fn columns(&self, raw: &Spanned<Vec<String>>, field: &str) -> Result<Vec<String>, SpecError> {
        for (position, column) in raw.value.iter().enumerate() {
            if column.is_empty() {
                return Err(self.error(
                    raw.referenced,
                    field,
                    "a column name is empty",
                    "remove it",
                ));
            }
            if raw.value[..position].contains(column) {
                let problem = format!("`{}` occurs twice", clip(column));
                return Err(self.error(raw.referenced, field, &problem, "keep one of the two"));
            }
        }
        Ok(raw.value.clone())
    }

    fn model(&self, raw: &raw::Model) -> Result<Model, SpecError> {
        let uri = self.template(&raw.uri, "spec.model.uri")?;
        if uri.has_date() {
            return Err(self.error(
                raw.uri.referenced,
                "spec.model.uri",
                "a model cannot depend on the date",
                "use {model_version} or {name}",
            ));
        }
        let sha256 = match &raw.sha256 {
            None => None,
            Some(raw) => Some(raw.value.parse().map_err(|error: crate::ids::InvalidId| {
                let remedy =
                    "write what `sha256sum config.json model.safetensors | sha256sum` prints";
                self.error(raw.referenced, "spec.model.sha256", &error.to_string(), remedy)
            })?),
        };
        let version = match &raw.version {
            None => None,
            Some(raw) => {
                if !is_version(&raw.value) {
                    let problem = format!("`{}` is not a version", clip(&raw.value));
                    let remedy = VERSION_REMEDY;
                    return Err(self.error(raw.referenced, "spec.model.version", &problem, remedy));
                }
                Some(raw.value.clone())
            }
        };
        Ok(Model { uri, version, sha256 })
    }

    fn output(&self, raw: &raw::Output) -> Result<Output, SpecError> {
        let field = "spec.output.uri";
        let uri = self.place(&raw.uri, field)?;
        if uri.as_str().split('/').any(|step| step == "..") {
            let remedy = "write the folder without `..`, or an absolute path";
            return Err(self.error(
                raw.uri.referenced,
                field,
                "`..` may not lead out of a folder",
                remedy,
            ));
        }
        if uri.has_date() {
            let remedy = "remove {date}: each date gets its own date=… folder below the output";
            return Err(self.error(
                raw.uri.referenced,
                field,
                "the output root is one for all dates",
                remedy,
            ));
        }
        Ok(Output { uri, format: raw.format.unwrap_or(OutputFormat::Parquet) })
    }

    /// A place of rows: a path, or the prefix of a bucket.
    fn place(&self, raw: &Spanned<String>, field: &str) -> Result<Template, SpecError> {
        let template = self.template(raw, field)?;
        // What stands for a placeholder changes nothing about the shape of a place.
        let date = crate::ids::Partition::Date(jiff::civil::Date::ZERO);
        let filled = template.as_str().replace("{date}", &date.to_string());
        let filled = filled.replace("{name}", "name").replace("{model_version}", "version");
        match filled.parse::<Place>() {
            Ok(_) => Ok(template),
            Err(invalid) => {
                let at = raw.referenced;
                Err(self.error(at, field, &invalid.to_string(), invalid.remedy()))
            }
        }
    }

    fn template(&self, raw: &Spanned<String>, field: &str) -> Result<Template, SpecError> {
        Template::parse(&raw.value)
            .map_err(|error| self.error(raw.referenced, field, &error.to_string(), error.remedy()))
    }

    fn sharding(&self, raw: Option<&Spanned<raw::Sharding>>) -> Result<Sharding, SpecError> {
        let Some(raw) = raw else { return Ok(Sharding::Rows(DEFAULT_SHARD_ROWS)) };
        match &raw.value {
            raw::Sharding { rows: Some(rows), count: None, by: None } => {
                let rows = self.within(rows, "spec.sharding.rows", 1, i64::MAX)?;
                Ok(Sharding::Rows(rows.unsigned_abs()))
            }
            raw::Sharding { rows: None, count: Some(count), by: None } => {
                let count = self.within(count, "spec.sharding.count", 1, SHARDS_MAX.into())?;
                Ok(Sharding::Count(count as u32))
            }
            raw::Sharding { rows: None, count: None, by: Some(by) } => {
                self.one_of(by, "spec.sharding.by", &[("file", Sharding::File)])
            }
            _ => Err(self.error(
                raw.referenced,
                "spec.sharding",
                "it needs exactly one of rows, count and by",
                "write `{ rows: 50000 }`, `{ count: 200 }` or `{ by: file }`",
            )),
        }
    }

    fn retries(&self, raw: &raw::Retries) -> Result<Retries, SpecError> {
        let crashes = self.or_within(&raw.crashes, "spec.retries.crashes", 4, 0, 100)?;
        let rejects_max_ratio = match &raw.rejects.max_ratio {
            None => 0.001,
            Some(ratio) if (0.0..=1.0).contains(&ratio.value) => ratio.value,
            Some(ratio) => {
                let problem = format!("{} is not a share", ratio.value);
                let field = "spec.retries.rejects.max_ratio";
                return Err(self.error(
                    ratio.referenced,
                    field,
                    &problem,
                    "use a number from 0 to 1",
                ));
            }
        };
        let min = self.or_within(&raw.rejects.min, "spec.retries.rejects.min", 10, 0, i64::MAX)?;
        Ok(Retries { crashes: crashes as u32, rejects_max_ratio, rejects_min: min.unsigned_abs() })
    }

    fn backfill(&self, raw: &raw::Backfill) -> Result<Backfill, SpecError> {
        let window_days = match &raw.window {
            None => 14,
            Some(window) => {
                let days = window.value.strip_suffix('d').and_then(|days| days.parse().ok());
                days.filter(|days| (1..=WINDOW_MAX_DAYS).contains(days)).ok_or_else(|| {
                    let problem = format!("`{}` is not a number of days", clip(&window.value));
                    let remedy = format!("write 1d to {WINDOW_MAX_DAYS}d, as in `14d`");
                    self.error(window.referenced, "spec.backfill.window", &problem, &remedy)
                })?
            }
        };
        let timezone = match &raw.timezone {
            None => "UTC".to_owned(),
            Some(zone) => {
                let fine = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
                if zone.value.is_empty() || !zone.value.chars().all(fine) {
                    let problem = format!("`{}` is not a time zone", clip(&zone.value));
                    let remedy = "use an IANA name such as `Europe/Paris`";
                    return Err(self.error(
                        zone.referenced,
                        "spec.backfill.timezone",
                        &problem,
                        remedy,
                    ));
                }
                zone.value.clone()
            }
        };
        let order = [("oldest", Order::Oldest), ("newest", Order::Newest)];
        let reprocess = [
            ("never", Reprocess::Never),
            ("on-model-change", Reprocess::OnModelChange),
            ("on-any-change", Reprocess::OnAnyChange),
        ];
        Ok(Backfill {
            window_days,
            order: self.or_one_of(&raw.order, "spec.backfill.order", &order)?,
            timezone,
            reprocess: self.or_one_of(&raw.reprocess, "spec.backfill.reprocess", &reprocess)?,
        })
    }

    fn workers(&self, raw: raw::Workers) -> Result<Workers, SpecError> {
        let parallelism =
            self.or_within(&raw.parallelism, "spec.workers.parallelism", 1, 1, 10_000)?;
        Ok(Workers {
            parallelism: parallelism as u32,
            image: raw.image,
            resources: raw.resources,
            pod_template: raw.pod_template,
        })
    }

    fn window(&self, raw: Option<&Spanned<String>>) -> Result<Option<Window>, SpecError> {
        let Some(raw) = raw else { return Ok(None) };
        raw.value.parse().map(Some).map_err(|error: InvalidWindow| {
            self.error(raw.referenced, "spec.window", &error.to_string(), Window::REMEDY)
        })
    }

    fn retention(&self, raw: &raw::Retention) -> Result<Retention, SpecError> {
        let superseded = match &raw.superseded {
            None => SignedDuration::from_hours(24),
            Some(text) => {
                let parsed: Option<SignedDuration> = text.value.parse().ok();
                parsed.filter(|span| !span.is_negative()).ok_or_else(|| {
                    let problem = format!("`{}` is not a duration", clip(&text.value));
                    let field = "spec.retention.superseded";
                    self.error(text.referenced, field, &problem, "write it as in `24h` or `90m`")
                })?
            }
        };
        Ok(Retention {
            succeeded: self.or_within(&raw.succeeded, "spec.retention.succeeded", 3, 1, 10_000)?
                as u32,
            failed: self.or_within(&raw.failed, "spec.retention.failed", 2, 0, 10_000)? as u32,
            superseded,
        })
    }

    fn within(
        &self,
        raw: &Spanned<i64>,
        field: &str,
        min: i64,
        max: i64,
    ) -> Result<i64, SpecError> {
        if (min..=max).contains(&raw.value) {
            return Ok(raw.value);
        }
        let remedy = match max {
            i64::MAX => format!("use {min} or more"),
            _ => format!("use a number from {min} to {max}"),
        };
        Err(self.error(raw.referenced, field, &format!("{} is not possible", raw.value), &remedy))
    }

    fn or_within(
        &self,
        raw: &Option<Spanned<i64>>,
        field: &str,
        default: i64,
        min: i64,
        max: i64,
    ) -> Result<i64, SpecError> {
        raw.as_ref().map_or(Ok(default), |raw| self.within(raw, field, min, max))
    }

    fn one_of<T: Clone>(
        &self,
        raw: &Spanned<String>,
        field: &str,
        choices: &[(&'static str, T)],
    ) -> Result<T, SpecError> {
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == raw.value) {
            return Ok(value.clone());
        }
        let names: Vec<&'static str> = choices.iter().map(|(name, _)| *name).collect();
        let problem = format!("`{}` is not possible here", clip(&raw.value));
        Err(self.error(raw.referenced, field, &problem, &did_you_mean(&raw.value, &names)))
    }

    /// The chosen value, or the first choice where the field is left out.
    fn or_one_of<T: Clone, const N: usize>(
        &self,
        raw: &Option<Spanned<String>>,
        field: &str,
        choices: &[(&'static str, T); N],
    ) -> Result<T, SpecError> {
        raw.as_ref().map_or(Ok(choices[0].1.clone()), |raw| self.one_of(raw, field, choices))
    }
}

/// What a model version may be.
pub(super) const VERSION_REMEDY: &str = "use up to 64 letters, digits, `.`, `_` and `-`";

/// Whether text may stand for `{model_version}` in a path: one folder name, never a way out.
pub(super) fn is_version(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !matches!(text, "" | "." | "..") && text.len() <= 64 && text.chars().all(fine)
}

fn join(parent: &str, field: &str) -> String {
    if parent.is_empty() { field.to_owned() } else { format!("{parent}.{field}") }
}

fn plain_type(ty: &str) -> &'static str {
    match ty {
        "i64" | "integer" => "a whole number",
        "f64" | "floating point" => "a number",
        "bool" | "boolean" => "true or false",
        _ => "a value of another type",
    }
}

/// `did you mean …` when one choice is near, else the choices.
fn did_you_mean(written: &str, choices: &[&'static str]) -> String {
    let near = choices
        .iter()
        .map(|choice| (strsim::damerau_levenshtein(&clip(written), choice), choice))
        .min()
        .filter(|(distance, choice)| *distance <= 1 + choice.len() / 4);
    match (near, choices) {
        (Some((_, choice)), _) => format!("did you mean `{choice}`?"),
        (None, []) => "remove it".to_owned(),
        (None, [only]) => format!("use `{only}`"),
        (None, several) => format!("use one of {}", several.join(", ")),
    }
}

/// At most 80 characters of what the user wrote, control characters made visible.
fn clip(text: &str) -> String {
    const SHOWN: usize = 80;
    let head: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().count() > SHOWN { format!("{head}…") } else { head }
}
