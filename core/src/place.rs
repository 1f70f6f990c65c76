//! Where input lies and output goes: a path on a volume, or a prefix of a bucket.
//!
//! [`Place`] is `spec.input.uri` and `spec.output.uri` as a type, after placeholders were filled
//! in. The last steps of an input may be a pattern; what lies there is for `storage` to find.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::model::refused_host;

mod kind;

pub use kind::BucketKind;

/// Longest place in bytes; Linux's `PATH_MAX`, and more than the 1,024 of a key.
const PLACE_MAX_BYTES: usize = 4096;
/// Longest prefix, so that every name below it still fits into the 1,024 bytes of a key.
const PREFIX_MAX_BYTES: usize = 700;
/// Schemes of Azure that name the account, too.
const ACCOUNT_SCHEMES: [&str; 6] = ["abfs", "abfss", "adl", "azure", "wasb", "wasbs"];

/// A place that a spec may name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A path, or what stands behind `file://`; relative until somebody makes it absolute.
    Volume(String),
    /// Objects of a bucket.
    Bucket(BucketPlace),
}

/// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketPlace {
    /// The store that has the bucket.
    pub kind: BucketKind,
    /// The bucket.
    pub bucket: String,
    /// What keys begin with, without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
}

/// Why text is no place. No message repeats what may be a credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPlace {
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// More than a path or a key may have.
    #[error("it is longer than a path or a key may be")]
    TooLong,
    /// A character that no path should hold.
    #[error("it holds a control character")]
    Control,
    /// A store that is not known.
    #[error("`{scheme}://` is not supported by this build")]
    Scheme {
        /// Its scheme.
        scheme: String,
    },
    /// Data instead of a place.
    #[error("a `data:` URL holds data and is no place")]
    Data,
    /// An account beside the container, as Hadoop and Spark write it.
    #[error("`{scheme}://` names an account, which is a setting of the process")]
    Account {
        /// Its scheme.
        scheme: String,
    },
    /// A name and a password, or a signature.
    #[error("it holds credentials, which would be stored in every plan")]
    Credentials {
        /// The store; S3 where none is known.
        kind: BucketKind,
    },
    /// There is no bucket between the slashes.
    #[error("it names no {}", .kind.bucket())]
    NoBucket {
        /// The store.
        kind: BucketKind,
    },
    /// The bucket has a name that no bucket has.
    #[error("`{bucket}` is no name of a {}", .kind.bucket())]
    Bucket {
        /// The store.
        kind: BucketKind,
        /// The name.
        bucket: String,
    },
    /// The bucket is an address that hands out credentials.
    #[error("`{bucket}` hands out credentials of a machine and is no bucket")]
    Metadata {
        /// The store.
        kind: BucketKind,
        /// The address.
        bucket: String,
    },
    /// The prefix has steps that lead nowhere.
    #[error("its prefix has an empty step, `.` or `..`, or one of the characters `#` and `\\`")]
    Prefix,
}

impl InvalidPlace {
    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Empty | Self::Data => "name a path, or s3://bucket/prefix",
            Self::TooLong => "shorten it",
            Self::Control => "remove the line break, tab or other control character",
            Self::Scheme { .. } => {
                "name a path, file:///…, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
            }
            Self::Account { .. } => {
                "write az://container/prefix, and set AZURE_STORAGE_ACCOUNT_NAME for the process"
            }
            Self::Credentials { kind } => kind.instead_of_credentials(),
            Self::NoBucket { kind } => kind.shape(),
            Self::Bucket { kind, .. } => kind.names(),
            Self::Metadata { kind, .. } => match kind {
                BucketKind::S3 => {
                    "name a bucket, and set AWS_ENDPOINT_URL where the store is not AWS"
                }
                kind => kind.shape(),
            },
            Self::Prefix => "write the prefix as in s3://lake/a/b",
        }
    }
}

impl Place {
    /// Whether it is a place in a bucket.
    pub fn is_bucket(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        if text.trim().is_empty() {
            return Err(InvalidPlace::Empty);
        }
        if text.len() > PLACE_MAX_BYTES {
            return Err(InvalidPlace::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidPlace::Control);
        }
        let scheme = text.get(..5).unwrap_or_default();
        if scheme.eq_ignore_ascii_case("data:") {
            return Err(InvalidPlace::Data);
        }
        match text.split_once("://") {
            Some(("file", _)) | None => Ok(Self::Volume(text.to_owned())),
            Some((scheme, rest)) if is_scheme(scheme) => {
                if let Some(kind) = BucketKind::of_scheme(scheme) {
                    return bucket_place(kind, rest).map(Self::Bucket);
                }
                if ACCOUNT_SCHEMES.contains(&scheme) {
                    return Err(InvalidPlace::Account { scheme: clip(scheme) });
                }
                let authority = rest.split('/').next().unwrap_or_default();
                if authority.contains('@') {
                    return Err(InvalidPlace::Credentials { kind: BucketKind::S3 });
                }
                Err(InvalidPlace::Scheme { scheme: clip(scheme) })
            }
            Some(_) => Ok(Self::Volume(text.to_owned())),
        }
    }
}

fn bucket_place(kind: BucketKind, rest: &str) -> Result<BucketPlace, InvalidPlace> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.contains('@') || kind.is_signed(prefix) || kind.is_signed(bucket) {
        return Err(InvalidPlace::Credentials { kind });
    }
    if bucket.is_empty() {
        return Err(InvalidPlace::NoBucket { kind });
    }
    let host = bucket.rsplit_once(':').map_or(bucket, |(host, _)| host);
    if refused_host(host) {
        return Err(InvalidPlace::Metadata { kind, bucket: clip(bucket) });
    }
    if !(3..=63).contains(&bucket.len())
        || !bucket.chars().all(|c| kind.allows(c))
        || bucket.contains("..")
        || bucket.parse::<IpAddr>().is_ok()
    {
        return Err(InvalidPlace::Bucket { kind, bucket: clip(bucket) });
    }
    let prefix = prefix.trim_matches('/');
    if prefix.len() > PREFIX_MAX_BYTES {
        return Err(InvalidPlace::TooLong);
    }
    let odd = |step: &str| matches!(step, "" | "." | "..");
    if !prefix.is_empty() && (prefix.split('/').any(odd) || prefix.contains(['#', '\\'])) {
        return Err(InvalidPlace::Prefix);
    }
    Ok(BucketPlace { kind, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Text for a message: its beginning.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(path) => f.write_str(path),
            Self::Bucket(place) => place.fmt(f),
        }
    }
}

impl fmt::Display for BucketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, bucket, prefix } = self;
        let scheme = kind.scheme();
        match prefix.as_str() {
            "" => write!(f, "{scheme}://{bucket}"),
            prefix => write!(f, "{scheme}://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests;
