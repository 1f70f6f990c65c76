//! From a path or pattern to the files it names.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nightshift_core::place::Place;
use nightshift_core::plan::{Compression, InputFormat, PartitionColumn};
use percent_encoding::percent_decode_str;

use super::{InputError, Inputs};

mod glob;
mod listing;

use glob::Segment;

/// Most files that one input may have; a plan names each of them.
pub const FILES_MAX: usize = 1_000_000;

/// Deepest directory below a pattern's fixed part; ends a walk that a strange mount never would.
const DEPTH_MAX: usize = 64;

/// Names shown in a message about what is there instead.
const NEARBY_SHOWN: usize = 5;

/// One input file that exists, not opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Absolute path, or `s3://bucket/key`.
    pub uri: String,
    /// Format, from its name or as asked for.
    pub format: InputFormat,
    /// Compression, from its name.
    pub compression: Compression,
    /// `key=value` directories of its path, outermost first.
    pub partition_columns: Vec<PartitionColumn>,
}

/// Finds the input files that `pattern` names, sorted by path.
///
/// `pattern` is an absolute path or one of a bucket, as `s3://bucket/key`: a file, a directory (all data files below it) or a glob
/// with `*`, `?`, `[…]` within a name and `**` for any number of directories. Names that start
/// with `_` or `.` are skipped below the fixed part of the path, as Spark, Hive and DuckDB do.
/// The format comes from the extension (`.parquet`, `.csv`, `.jsonl`, `.ndjson`; text also with
/// `.gz` or `.zst`) or is `format` for every file. Links are followed; a directory that is its
/// own ancestor is entered once.
///
/// Every `key=value` directory of the path gives a partition column, percent-decoded; the
/// innermost one wins if a key comes twice.
///
/// # Errors
/// [`InputError::Missing`] if nothing matches, and the errors about patterns and formats.
pub fn discover(pattern: &str, format: Option<InputFormat>) -> Result<Vec<Found>, InputError> {
    discover_with(&Inputs::default(), pattern, format)
}

/// As [`discover`], by the connections of `inputs`.
///
/// # Errors
/// As [`discover`].
pub fn discover_with(
    inputs: &Inputs,
    pattern: &str,
    format: Option<InputFormat>,
) -> Result<Vec<Found>, InputError> {
    match pattern.parse() {
        Ok(Place::Bucket(place)) => {
            let named = listing::list(inputs, pattern, &place)?;
            select(pattern, named, format)
        }
        _ => discover_files(pattern, format),
    }
}

fn discover_files(pattern: &str, format: Option<InputFormat>) -> Result<Vec<Found>, InputError> {
    let invalid = |reason: &str| InputError::Pattern {
        pattern: pattern.to_owned(),
        reason: reason.to_owned(),
    };
    if !pattern.starts_with('/') {
        return Err(invalid("write an absolute path"));
    }
    if pattern.split('/').any(|part| part == "..") {
        return Err(invalid("write the path without `..`"));
    }
    let fixed = pattern.split('/').take_while(|part| !glob::is_pattern(part)).count();
    let base = pattern.split('/').take(fixed).collect::<Vec<_>>().join("/");
    let rest = pattern.split('/').skip(fixed).filter(|part| !part.is_empty());
    let segments: Vec<Segment> =
        rest.map(Segment::parse).collect::<Result<_, _>>().map_err(invalid)?;

    let base = PathBuf::from(if base.is_empty() { "/".to_owned() } else { base });
    let metadata = match fs::metadata(&base) {
        Ok(metadata) => metadata,
        Err(error) if segments.is_empty() || error.kind() != std::io::ErrorKind::NotFound => {
            return Err(InputError::from_io(pattern, error));
        }
        Err(_) => return Err(missing(pattern)),
    };
    if segments.is_empty() && metadata.is_file() {
        return Ok(vec![classify(&base, format)?]);
    }
    if !metadata.is_dir() {
        let uri = base.display().to_string();
        return Err(InputError::NotAFile { uri });
    }
    let mut walk = Walk { pattern, ancestors: Vec::new(), files: Vec::new() };
    if segments.is_empty() {
        walk.below(&base, &[Segment::Any])?;
    } else {
        walk.below(&base, &segments)?;
    }
    select(pattern, walk.files, format)
}

/// Sorts, keeps data files, and refuses a mixture.
fn select(
    pattern: &str,
    mut files: Vec<PathBuf>,
    format: Option<InputFormat>,
) -> Result<Vec<Found>, InputError> {
    files.sort_unstable();
    // `**` matches a path in more than one way.
    files.dedup();
    let mut found: Vec<Found> = Vec::with_capacity(files.len());
    for path in &files {
        match classify(path, format) {
            Ok(file) => found.push(file),
            // A README beside the data is no reason to refuse the data.
            Err(InputError::UnknownFormat { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    let Some(first) = found.first() else {
        return Err(match files.first() {
            Some(path) => InputError::Missing {
                pattern: pattern.to_owned(),
                nearby: format!(
                    "there are {} files, {} first, but none whose name ends in .parquet, .csv, .jsonl or .ndjson (text also with .gz or .zst)",
                    files.len(),
                    path.display()
                ),
            },
            None => missing(pattern),
        });
    };
    if let Some(other) = found.iter().find(|file| file.format != first.format) {
        return Err(InputError::MixedFormats {
            first: first.uri.clone(),
            first_format: first.format,
            second: other.uri.clone(),
            second_format: other.format,
        });
    }
    Ok(found)
}

fn classify(path: &Path, wanted: Option<InputFormat>) -> Result<Found, InputError> {
    let uri = path.to_str().ok_or_else(|| InputError::UnknownFormat {
        uri: path.display().to_string(),
        remedy: "its name is not UTF-8; rename it",
    })?;
    let unknown = |remedy| InputError::UnknownFormat { uri: uri.to_owned(), remedy };
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let (stem, compression) = match name.rsplit_once('.') {
        Some((stem, "gz")) => (stem, Compression::Gzip),
        Some((stem, "zst" | "zstd")) => (stem, Compression::Zstd),
        _ => (name.as_str(), Compression::None),
    };
    let known = match stem.rsplit_once('.').map(|(_, extension)| extension) {
        Some("parquet" | "pq") => Some(InputFormat::Parquet),
        Some("csv") => Some(InputFormat::Csv),
        Some("jsonl" | "ndjson") => Some(InputFormat::Jsonl),
        _ => None,
    };
    let format = wanted.or(known).ok_or_else(|| {
        unknown("name it .parquet, .csv, .jsonl or .ndjson (text also with .gz or .zst), or state the format")
    })?;
    if format == InputFormat::Parquet && compression != Compression::None {
        return Err(unknown("Parquet compresses inside; decompress the file around it"));
    }
    let partition_columns = partition_columns(path.parent().unwrap_or(path));
    Ok(Found { uri: uri.to_owned(), format, compression, partition_columns })
}

fn partition_columns(directory: &Path) -> Vec<PartitionColumn> {
    let mut columns: Vec<PartitionColumn> = Vec::new();
    for component in directory.components() {
        let Component::Normal(name) = component else { continue };
        let Some((key, value)) = name.to_str().and_then(|name| name.split_once('=')) else {
            continue;
        };
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (name, value) = (decode(key), decode(value));
        if name.is_empty() {
            continue;
        }
        columns.retain(|column| column.name != name);
        columns.push(PartitionColumn { name, value });
    }
    columns
}

/// A walk over directories, and what it has found.
struct Walk<'a> {
    pattern: &'a str,
    /// Device and inode of the directories that the walk is in.
    ancestors: Vec<(u64, u64)>,
    files: Vec<PathBuf>,
}

impl Walk<'_> {
    fn below(&mut self, directory: &Path, segments: &[Segment]) -> Result<(), InputError> {
        let Some((segment, rest)) = segments.split_first() else { return Ok(()) };
        let io = |source| InputError::from_io(&directory.display().to_string(), source);
        let metadata = fs::metadata(directory).map_err(io)?;
        let here = (metadata.dev(), metadata.ino());
        // `**` without moving down comes here twice with the same directory; that is no cycle.
        if self.ancestors.len() >= DEPTH_MAX || self.ancestors.contains(&here) {
            return Ok(());
        }
        if let Segment::Any = segment
            && !rest.is_empty()
        {
            self.below(directory, rest)?;
        }
        self.ancestors.push(here);
        // Sorted, so that the limit on files cuts the same ones everywhere.
        let mut entries: BTreeMap<PathBuf, String> = BTreeMap::new();
        for entry in fs::read_dir(directory).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with(['_', '.']) {
                entries.insert(entry.path(), name);
            }
        }
        for (path, name) in entries {
            self.visit(path, &name, segment, segments, rest)?;
        }
        self.ancestors.pop();
        Ok(())
    }

    fn visit(
        &mut self,
        path: PathBuf,
        name: &str,
        segment: &Segment,
        segments: &[Segment],
        rest: &[Segment],
    ) -> Result<(), InputError> {
        // Follows links; one that leads nowhere names no data.
        let Ok(metadata) = fs::metadata(&path) else { return Ok(()) };
        match segment {
            Segment::Any if metadata.is_dir() => return self.below(&path, segments),
            Segment::Any if !rest.is_empty() => return Ok(()),
            Segment::Name(pattern) if !pattern.matches(name) => return Ok(()),
            Segment::Any | Segment::Name(_) => {}
        }
        if metadata.is_dir() {
            // A glob may end at directories, as in data/date=2013-01-*: all files below them.
            let below: &[Segment] = if rest.is_empty() { &[Segment::Any] } else { rest };
            return self.below(&path, below);
        }
        if !rest.is_empty() || !metadata.is_file() {
            return Ok(());
        }
        if self.files.len() >= FILES_MAX {
            let pattern = self.pattern.to_owned();
            return Err(InputError::TooManyFiles { pattern, max: FILES_MAX });
        }
        self.files.push(path);
        Ok(())
    }
}

fn missing(pattern: &str) -> InputError {
    InputError::Missing { pattern: pattern.to_owned(), nearby: nearby(pattern) }
}

/// What there is in the closest directory of `pattern` that exists.
pub(super) fn nearby(pattern: &str) -> String {
    let fixed: Vec<&str> = pattern.split('/').take_while(|part| !glob::is_pattern(part)).collect();
    let fixed = PathBuf::from(format!("{}/", fixed.join("/")));
    let Some(directory) = fixed.ancestors().find(|path| path.is_dir()) else {
        return "no part of the path exists; check its beginning".to_owned();
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .take(FILES_MAX)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with(['_', '.']))
        .collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NEARBY_SHOWN);
    names.truncate(NEARBY_SHOWN);
    match (names.is_empty(), more) {
        (true, _) => format!("{} is empty; check the path", directory.display()),
        (false, 0) => format!("{} holds {}; check the path", directory.display(), names.join(", ")),
        (false, more) => {
            format!(
                "{} holds {} and {more} more; check the path",
                directory.display(),
                names.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests;
