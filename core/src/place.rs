//! Where input lies and output goes: a path on a volume, or a prefix of a bucket.
//!
//! [`Place`] is `spec.input.uri` and `spec.output.uri` as a type, after placeholders were filled
//! in. The last steps of an input may be a pattern; what lies there is for `storage` to find.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::model::refused_host;

/// Longest place in bytes; Linux's `PATH_MAX`, and more than the 1,024 of a key.
const PLACE_MAX_BYTES: usize = 4096;
/// Longest prefix, so that every name below it still fits into the 1,024 bytes of a key.
const PREFIX_MAX_BYTES: usize = 700;

/// A place that a spec may name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A path, or what stands behind `file://`; relative until somebody makes it absolute.
    Volume(String),
    /// Objects of a bucket.
    Bucket(BucketPlace),
}

/// `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketPlace {
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
    /// A name and a password, or a signature.
    #[error("it holds credentials, which would be stored in every plan")]
    Credentials,
    /// There is no bucket between the slashes.
    #[error("it names no bucket")]
    NoBucket,
    /// The bucket has a name that no bucket has.
    #[error("`{bucket}` is no name of a bucket")]
    Bucket {
        /// The name.
        bucket: String,
    },
    /// The bucket is an address that hands out credentials.
    #[error("`{bucket}` hands out credentials of a machine and is no bucket")]
    Metadata {
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
            Self::Scheme { .. } => "name a path, file:///… or s3://bucket/prefix",
            Self::Credentials => {
                "remove them, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the process"
            }
            Self::NoBucket => "write s3://bucket/prefix, as in s3://lake/predictions",
            Self::Bucket { .. } => "a bucket has 3 to 63 small letters, digits, dots and `-`",
            Self::Metadata { .. } => {
                "name a bucket, and set AWS_ENDPOINT_URL where the store is not AWS"
            }
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
            Some(("s3" | "s3a", rest)) => bucket_place(rest).map(Self::Bucket),
            Some(("file", _)) | None => Ok(Self::Volume(text.to_owned())),
            Some((scheme, rest)) if is_scheme(scheme) => {
                let authority = rest.split('/').next().unwrap_or_default();
                if authority.contains('@') {
                    return Err(InvalidPlace::Credentials);
                }
                Err(InvalidPlace::Scheme { scheme: clip(scheme) })
            }
            Some(_) => Ok(Self::Volume(text.to_owned())),
        }
    }
}

fn bucket_place(rest: &str) -> Result<BucketPlace, InvalidPlace> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    // A `?` in a key is rare, and a signed URL is not; patterns of input have their own check.
    let signed = ["X-Amz-Signature", "X-Amz-Credential", "AWSAccessKeyId"];
    if bucket.contains('@') || signed.iter().any(|word| prefix.contains(word)) {
        return Err(InvalidPlace::Credentials);
    }
    if bucket.is_empty() {
        return Err(InvalidPlace::NoBucket);
    }
    let host = bucket.rsplit_once(':').map_or(bucket, |(host, _)| host);
    if refused_host(host) {
        return Err(InvalidPlace::Metadata { bucket: clip(bucket) });
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    if !(3..=63).contains(&bucket.len())
        || !bucket.chars().all(plain)
        || bucket.contains("..")
        || bucket.parse::<IpAddr>().is_ok()
    {
        return Err(InvalidPlace::Bucket { bucket: clip(bucket) });
    }
    let prefix = prefix.trim_matches('/');
    if prefix.len() > PREFIX_MAX_BYTES {
        return Err(InvalidPlace::TooLong);
    }
    let odd = |step: &str| matches!(step, "" | "." | "..");
    if !prefix.is_empty() && (prefix.split('/').any(odd) || prefix.contains(['#', '\\'])) {
        return Err(InvalidPlace::Prefix);
    }
    Ok(BucketPlace { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
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
        let Self { bucket, prefix } = self;
        match prefix.as_str() {
            "" => write!(f, "s3://{bucket}"),
            prefix => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_place_is_a_path_or_a_prefix_of_a_bucket() {
        let bucket = |text: &str| match text.parse() {
            Ok(Place::Bucket(BucketPlace { bucket, prefix })) => (bucket, prefix),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(bucket("s3://lake/out"), ("lake".to_owned(), "out".to_owned()));
        assert_eq!(bucket("s3a://lake/a/b/"), ("lake".to_owned(), "a/b".to_owned()));
        assert_eq!(bucket("s3://lake"), ("lake".to_owned(), String::new()));
        assert_eq!(bucket("s3://lake/d=*/?.csv"), ("lake".to_owned(), "d=*/?.csv".to_owned()));
        for path in ["out", "/data/out", "file:///data/out", "odd name://x"] {
            assert_eq!(path.parse(), Ok(Place::Volume(path.to_owned())), "{path}");
        }
    }

    #[test]
    fn what_is_no_place_is_told_why() {
        for (text, wanted) in [
            ("", InvalidPlace::Empty),
            ("s3://", InvalidPlace::NoBucket),
            ("s3:///key", InvalidPlace::NoBucket),
            ("s3://key:secret@lake/out", InvalidPlace::Credentials),
            ("https://key:secret@host/out", InvalidPlace::Credentials),
            ("s3://lake/o?X-Amz-Signature=1", InvalidPlace::Credentials),
            ("data:text/csv,a", InvalidPlace::Data),
            ("DATA:;base64,eA==", InvalidPlace::Data),
            ("gs://lake/out", InvalidPlace::Scheme { scheme: "gs".to_owned() }),
            ("s3://lake/a//b", InvalidPlace::Prefix),
            ("s3://lake/../b", InvalidPlace::Prefix),
            ("s3://lake/a\nb", InvalidPlace::Control),
            ("s3://10.0.0.1/x", InvalidPlace::Bucket { bucket: "10.0.0.1".to_owned() }),
            ("s3://La/x", InvalidPlace::Bucket { bucket: "La".to_owned() }),
            (
                "s3://169.254.169.254/latest",
                InvalidPlace::Metadata { bucket: "169.254.169.254".to_owned() },
            ),
        ] {
            assert_eq!(text.parse::<Place>(), Err(wanted), "{text}");
        }
    }

    #[test]
    fn no_message_repeats_a_credential() {
        for text in
            ["s3://AKIA:canary@lake/x", "gs://u:canary@h/x", "s3://lake/canary?AWSAccessKeyId"]
        {
            let error = text.parse::<Place>().unwrap_err();
            let told = format!("{error} {error:?} {}", error.remedy());
            assert!(!told.contains("canary"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_the_same_place(text in "(s3://)?[a-z0-9./=*-]{0,40}") {
            if let Ok(place) = text.parse::<Place>() {
                prop_assert_eq!(place.to_string().parse(), Ok(place));
            }
        }
    }
}
