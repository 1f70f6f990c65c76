//! The objects of a bucket that a pattern names, from a listing that is gone through page by page.

use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use nightshift_core::place::BucketPlace;
use object_store::path::Path as ObjectPath;
use object_store::{Error, ObjectStore, ObjectStoreExt};

use super::glob::{self, Segment};
use super::{FILES_MAX, NEARBY_SHOWN};
use crate::input::remote::{ended, failed};
use crate::input::{InputError, Inputs};

/// The URIs of the objects that match `pattern`, which is at `place`; in no order.
pub(super) fn list(
    inputs: &Inputs,
    pattern: &str,
    place: &BucketPlace,
) -> Result<Vec<PathBuf>, InputError> {
    let invalid = |reason: &str| InputError::Pattern {
        pattern: pattern.to_owned(),
        reason: reason.to_owned(),
    };
    let steps: Vec<&str> = place.prefix.split('/').filter(|step| !step.is_empty()).collect();
    let fixed = steps.iter().take_while(|step| !glob::is_pattern(step)).count();
    let (fixed, varying) = steps.split_at(fixed);
    let segments: Vec<Segment> = varying
        .iter()
        .map(|step| Segment::parse(step))
        .collect::<Result<_, _>>()
        .map_err(invalid)?;
    let base =
        ObjectPath::parse(fixed.join("/")).map_err(|_| invalid("its key is none of an object"))?;
    let bucket = inputs.bucket(pattern, place)?;
    let store = Arc::clone(&bucket);
    let whole = BucketPlace { prefix: String::new(), ..place.clone() };
    let head = format!("{whole}/");
    let listing = async move {
        let mut listed = Listed::default();
        if segments.is_empty() && !base.as_ref().is_empty() {
            match store.head(&base).await {
                Ok(_) => {
                    listed.files.push(PathBuf::from(format!("{head}{base}")));
                    return Ok(listed);
                }
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut objects = store.list(Some(&base));
        while let Some(one) = objects.try_next().await? {
            let key = one.location.as_ref();
            let below = key.strip_prefix(base.as_ref()).unwrap_or(key).trim_start_matches('/');
            let parts: Vec<&str> = below.split('/').collect();
            let hidden = parts.iter().any(|part| part.is_empty() || part.starts_with(['_', '.']));
            if hidden || !matches(&segments, &parts) {
                listed.others += 1;
                if listed.shown.len() < NEARBY_SHOWN {
                    listed.shown.push(key.to_owned());
                }
                continue;
            }
            if listed.files.len() >= FILES_MAX {
                listed.too_many = true;
                break;
            }
            listed.files.push(PathBuf::from(format!("{head}{key}")));
        }
        Ok(listed)
    };
    let listed = bucket.wait(listing).unwrap_or_else(ended);
    let listed = listed.map_err(|error| failed(pattern, error))?;
    if listed.too_many {
        return Err(InputError::TooManyFiles { pattern: pattern.to_owned(), max: FILES_MAX });
    }
    if listed.files.is_empty() {
        let (pattern, nearby) = (pattern.to_owned(), listed.nearby(&fixed.join("/")));
        return Err(InputError::Missing { pattern, nearby });
    }
    Ok(listed.files)
}

/// What a listing gave.
#[derive(Debug, Default)]
struct Listed {
    files: Vec<PathBuf>,
    /// Objects that do not match, and the first keys of them.
    others: u64,
    shown: Vec<String>,
    too_many: bool,
}

impl Listed {
    fn nearby(&self, base: &str) -> String {
        match self.others {
            0 => format!("no key begins with `{base}`; check the prefix"),
            others => format!(
                "{others} keys begin with `{base}`, as {}, and none of them matches; check the rest",
                self.shown.join(", ")
            ),
        }
    }
}

/// Whether the steps of a key below the fixed part are those of the pattern. A pattern that ends
/// at a folder takes all that is below it.
fn matches(segments: &[Segment], parts: &[&str]) -> bool {
    match (segments, parts) {
        ([], parts) => !parts.is_empty(),
        (_, []) => false,
        ([Segment::Any, rest @ ..], [_, below @ ..]) => {
            let here = if rest.is_empty() { true } else { matches_rest(rest, parts) };
            here || matches(segments, below)
        }
        ([Segment::Name(name), rest @ ..], [part, below @ ..]) => {
            name.matches(part) && matches_rest(rest, below)
        }
    }
}

/// As [`matches`], where the object itself may be what was named last.
fn matches_rest(segments: &[Segment], parts: &[&str]) -> bool {
    (segments.is_empty() && parts.is_empty()) || matches(segments, parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pattern: &str, key: &str) -> bool {
        let segments: Vec<Segment> =
            pattern.split('/').map(|step| Segment::parse(step).unwrap()).collect();
        matches(&segments, &key.split('/').collect::<Vec<_>>())
    }

    #[test]
    fn keys_match_as_paths_do() {
        for (pattern, key) in [
            ("*.parquet", "a.parquet"),
            ("date=*/*.parquet", "date=2013-01-01/a.parquet"),
            ("date=*", "date=2013-01-01/deep/a.parquet"),
            ("**", "a.parquet"),
            ("**/*.csv", "a.csv"),
            ("**/*.csv", "x/y/a.csv"),
            ("x/**/a.csv", "x/a.csv"),
            ("x/**/a.csv", "x/y/z/a.csv"),
        ] {
            assert!(named(pattern, key), "{pattern} and {key}");
        }
        for (pattern, key) in [
            ("*.parquet", "a.csv"),
            ("*.parquet", "x/a.parquet"),
            ("date=*/*.parquet", "a.parquet"),
            ("**/*.csv", "x/a.parquet"),
            ("x/**/a.csv", "y/a.csv"),
        ] {
            assert!(!named(pattern, key), "{pattern} and {key}");
        }
    }
}
