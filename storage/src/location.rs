//! From what a user writes in `uri:` to a path on a volume, or a prefix of a bucket.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use nightshift_core::place::{BucketPlace, InvalidPlace, Place};

use crate::error::StoreError;

/// Longest location; Linux's `PATH_MAX`.
const LOCATION_MAX_BYTES: usize = 4096;

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// An absolute path.
    Volume(PathBuf),
    /// A prefix of a bucket.
    Bucket(BucketPlace),
}

/// Where `uri` is: a path, a `file://` URI, or the prefix of a bucket, as `s3://bucket/prefix`.
///
/// # Errors
/// [`StoreError::Place`] for credentials, data and addresses that are no place,
/// [`StoreError::UnsupportedScheme`] for other stores, and those of [`local_path`].
pub fn locate(uri: &str) -> Result<Location, StoreError> {
    match uri.parse() {
        Ok(Place::Bucket(place)) => Ok(Location::Bucket(place)),
        Err(
            source @ (InvalidPlace::Data
            | InvalidPlace::Account { .. }
            | InvalidPlace::Credentials { .. }
            | InvalidPlace::NoBucket { .. }
            | InvalidPlace::Bucket { .. }
            | InvalidPlace::Metadata { .. }
            | InvalidPlace::Prefix),
        ) => Err(StoreError::Place { source }),
        Ok(Place::Volume(_)) | Err(_) => local_path(uri).map(Location::Volume),
    }
}

/// The absolute path that `uri` names: a path, relative to the working directory or absolute,
/// or a `file://` URI.
///
/// # Errors
/// [`StoreError::UnsupportedScheme`] for other stores, [`StoreError::InvalidUri`] for text that
/// is no location.
pub fn local_path(uri: &str) -> Result<PathBuf, StoreError> {
    let shown = || uri.chars().take(200).collect::<String>();
    let invalid = |reason| StoreError::InvalidUri { uri: shown(), reason };
    if uri.is_empty() {
        return Err(invalid("it is empty"));
    }
    if uri.len() > LOCATION_MAX_BYTES {
        return Err(invalid("it is longer than a path may be"));
    }
    if uri.contains('\0') {
        return Err(invalid("it contains a zero byte"));
    }
    let path = match uri.split_once("://") {
        Some(("file", rest)) => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') {
                return Err(invalid("a file:// URI has three slashes, as in file:///data/out"));
            }
            let decoded = percent_decode_str(path).decode_utf8();
            let decoded = decoded.map_err(|_| invalid("it does not decode to UTF-8"))?;
            if decoded.contains('\0') {
                return Err(invalid("it contains a zero byte"));
            }
            PathBuf::from(decoded.as_ref())
        }
        Some((scheme, _)) if is_scheme(scheme) => {
            return Err(StoreError::UnsupportedScheme { uri: shown(), scheme: scheme.to_owned() });
        }
        _ => PathBuf::from(uri),
    };
    std::path::absolute(path).map_err(|_| invalid("the working directory is gone"))
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

#[cfg(test)]
mod tests;
