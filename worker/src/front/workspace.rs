//! From the command line to checked settings: the spec with its overrides, and the partitions.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::session::Task;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nightshift_core::backfill::window::window;
use nightshift_core::exit::Exit;
use nightshift_core::ids::Partition;
use nightshift_core::model::is_location;
use nightshift_core::spec::{Overrides, SPEC_MAX_BYTES, Spec, SpecError, Template};

use super::args::{DateArgs, SpecArgs};
use super::failure::Failure;

/// A checked spec and where it lies.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The checked spec.
    pub spec: Arc<Spec>,
    /// The spec file as the user named it.
    pub file: String,
    /// Absolute folder of the spec file.
    base: String,
}

impl Workspace {
    /// Reads and checks the spec.
    ///
    /// # Errors
    /// If the file cannot be read, or the spec or an override is wrong.
    pub fn open(args: &SpecArgs) -> Result<Self, Failure> {
        let file = args.spec.display().to_string();
        let mut spec = Spec::parse(&file, &read_spec(&args.spec)?)?;
        let here = std::env::current_dir()
            .map_err(|error| Failure::new(Exit::Io, format_args!("no current folder: {error}")))?;
        let overrides = Overrides {
            input: place("--input", args.input.as_deref(), &here)?,
            model: place("--model", args.model.as_deref(), &here)?,
            output: place("--output", args.output.as_deref(), &here)?,
        };
        if let Some(version) = &args.model_version {
            spec = spec.with_model_version(version).map_err(|remedy| {
                let shown: String = version.chars().take(80).collect();
                let text = format_args!("--model-version `{shown}` is not a version; {remedy}");
                Failure::new(Exit::Usage, text)
            })?;
        }
        let absolute = std::path::absolute(&args.spec).unwrap_or_else(|_| args.spec.clone());
        let base = absolute.parent().unwrap_or(&here).to_string_lossy().into_owned();
        Ok(Self { spec: Arc::new(spec.with(overrides)), file, base })
    }

    /// The partitions that the command line names; for a dated spec it has to name some.
    ///
    /// # Errors
    /// If a date is needed and missing, or given where there are none.
    pub fn partitions(&self, args: &DateArgs) -> Result<Vec<Partition>, Failure> {
        let named = self.named_partitions(args)?;
        match named {
            Some(partitions) => Ok(partitions),
            None if self.spec.is_dated() => Err(Failure::new(
                Exit::Usage,
                "the spec's input has {date}, so a date is needed: add --date YYYY-MM-DD or --dates FROM..TO",
            )),
            None => Ok(vec![Partition::All]),
        }
    }

    /// The partitions that the command line names, if it names any.
    ///
    /// # Errors
    /// If a date is given for a spec without dates.
    pub fn named_partitions(&self, args: &DateArgs) -> Result<Option<Vec<Partition>>, Failure> {
        let zone = self.time_zone()?;
        let now = Timestamp::now();
        let dates = match (args.date, args.dates) {
            (Some(date), _) => vec![date.at(now, &zone)],
            (None, Some(dates)) => dates.at(now, &zone)?,
            (None, None) => return Ok(None),
        };
        if !self.spec.is_dated() {
            return Err(Failure::new(
                Exit::Usage,
                "the spec's input has no {date}, so --date means nothing: remove it, or put {date} into spec.input.uri",
            ));
        }
        Ok(Some(dates.into_iter().map(Partition::Date).collect()))
    }

    /// The dates of the last `days` days, today not counted, in the spec's time zone; `all` for
    /// a spec without dates.
    ///
    /// # Errors
    /// If the time zone is not known here.
    pub fn window(&self, days: u32) -> Result<Vec<Partition>, Failure> {
        if !self.spec.is_dated() {
            return Ok(vec![Partition::All]);
        }
        let dates = window(Timestamp::now(), &self.time_zone()?, days);
        Ok(dates.into_iter().map(Partition::Date).collect())
    }

    /// One partition as a task for a session.
    ///
    /// # Errors
    /// If the output would be read as input.
    pub fn task(&self, partition: Partition) -> Result<Task, Failure> {
        Ok(self.bound(partition)?)
    }

    /// The same, for callers that tell errors apart.
    ///
    /// # Errors
    /// As [`task`](Self::task).
    pub fn bound(&self, partition: Partition) -> Result<Task, SpecError> {
        let bound = self.spec.bind(&self.file, &self.base, partition)?;
        Ok(Task { spec: Arc::clone(&self.spec), bound, partition, force: None, shards: None })
    }

    /// The output root, which is one for all partitions.
    ///
    /// # Errors
    /// If the output would be read as input.
    pub fn output(&self) -> Result<String, Failure> {
        let any = if self.spec.is_dated() {
            Partition::Date(jiff::civil::Date::ZERO)
        } else {
            Partition::All
        };
        Ok(self.task(any)?.bound.output)
    }

    fn time_zone(&self) -> Result<TimeZone, Failure> {
        let name = &self.spec.backfill.timezone;
        TimeZone::get(name).map_err(|_| {
            Failure::new(
                Exit::Config,
                format_args!(
                    "{}: spec.backfill.timezone: `{name}` is not known here; use an IANA name such as Europe/Paris",
                    self.file
                ),
            )
        })
    }
}

/// The text of a spec file.
///
/// # Errors
/// If there is none, it cannot be read, or it is no text.
pub fn read_spec(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let too_large = |size| {
        Failure::new(
            Exit::Config,
            format_args!("{shown} has {size} bytes, which is no spec; name the YAML file"),
        )
    };
    let bytes = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(found) if found.len() > SPEC_MAX_BYTES as u64 => return Err(too_large(found.len())),
        _ => std::fs::read(path),
    };
    let bytes = bytes.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new(
            Exit::NoInput,
            format_args!("there is no spec at {shown}; name the YAML file of the job"),
        ),
        ErrorKind::PermissionDenied => Failure::new(
            Exit::Permission,
            format_args!("the spec {shown} may not be read; give this user the right to read it"),
        ),
        _ => Failure::new(Exit::Io, format_args!("the spec {shown} cannot be read: {error}")),
    })?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::new(
            Exit::Config,
            format_args!("{shown}:1:1: the file is not UTF-8 text; name the YAML file of the job"),
        )
    })
}

/// A place from the command line: relative to the current folder, unlike those in the spec.
fn place(flag: &str, text: Option<&str>, here: &Path) -> Result<Option<Template>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let absolute =
        if is_location(text) { text.to_owned() } else { format!("{}/{text}", here.display()) };
    let refused = |problem: String, remedy: &str| {
        Failure::new(Exit::Usage, format_args!("{flag} {text}: {problem}; {remedy}"))
    };
    if text.is_empty() {
        return Err(refused("it is empty".to_owned(), "name a path"));
    }
    let template =
        Template::parse(&absolute).map_err(|error| refused(error.to_string(), error.remedy()))?;
    if flag != "--input" && template.has_date() {
        return Err(refused("it cannot depend on the date".to_owned(), "remove {date}"));
    }
    Ok(Some(template))
}
