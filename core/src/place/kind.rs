//! The stores that hold buckets, and what differs between them in words.

use std::fmt;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BucketKind {
    /// Amazon S3, or a store that speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage, whose buckets are called containers.
    Azure,
}

impl BucketKind {
    /// The kind that a scheme names, under any of its spellings.
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" | "s3a" => Some(Self::S3),
            "gs" | "gcs" => Some(Self::Gcs),
            "az" => Some(Self::Azure),
            _ => None,
        }
    }

    /// The kind of the store that holds `uri`; none for a path.
    pub fn of(uri: &str) -> Option<Self> {
        Self::of_scheme(uri.split_once("://")?.0)
    }

    /// What its URIs begin with.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }

    /// What it calls a bucket.
    pub fn bucket(self) -> &'static str {
        match self {
            Self::S3 | Self::Gcs => "bucket",
            Self::Azure => "container",
        }
    }

    /// The variables that say where it is; one of them is wrong where a bucket is not found.
    pub fn whereabouts(self) -> &'static str {
        match self {
            Self::S3 => "AWS_REGION and AWS_ENDPOINT_URL",
            Self::Gcs => "GOOGLE_BASE_URL and STORAGE_EMULATOR_HOST",
            Self::Azure => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ENDPOINT",
        }
    }

    /// The variables that say who asks.
    pub fn identity(self) -> &'static str {
        match self {
            Self::S3 => "AWS_ACCESS_KEY_ID and the rest of the AWS_ variables",
            Self::Gcs => "GOOGLE_APPLICATION_CREDENTIALS and the rest of the GOOGLE_ variables",
            Self::Azure => "AZURE_STORAGE_ACCOUNT_KEY and the rest of the AZURE_ variables",
        }
    }

    /// What to write instead of credentials.
    pub(super) fn instead_of_credentials(self) -> &'static str {
        match self {
            Self::S3 => {
                "remove them, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the process"
            }
            Self::Gcs => {
                "remove them, and set GOOGLE_APPLICATION_CREDENTIALS for the process to a file"
            }
            Self::Azure => {
                "remove them, and set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY for the process"
            }
        }
    }

    /// What to write instead of a place without a bucket.
    pub(super) fn shape(self) -> &'static str {
        match self {
            Self::S3 => "write s3://bucket/prefix, as in s3://lake/predictions",
            Self::Gcs => "write gs://bucket/prefix, as in gs://lake/predictions",
            Self::Azure => {
                "write az://container/prefix, as in az://lake/predictions, and set AZURE_STORAGE_ACCOUNT_NAME"
            }
        }
    }

    /// What names of its buckets are made of.
    pub(super) fn names(self) -> &'static str {
        match self {
            Self::S3 => "a bucket has 3 to 63 small letters, digits, dots and `-`",
            Self::Gcs => "a bucket has 3 to 63 small letters, digits, dots, `-` and `_`",
            Self::Azure => {
                "a container has 3 to 63 small letters, digits and `-`; the account is named by AZURE_STORAGE_ACCOUNT_NAME"
            }
        }
    }

    /// Whether `c` may be in the name of a bucket.
    pub(super) fn allows(self, c: char) -> bool {
        let odd = match self {
            Self::S3 | Self::Gcs => "-._",
            Self::Azure => "-",
        };
        c.is_ascii_lowercase() || c.is_ascii_digit() || odd.contains(c)
    }

    /// Whether what stands behind the bucket holds a signature. A `?` in a key is rare, and a
    /// signed URL is not; patterns of input have their own check.
    pub(super) fn is_signed(self, prefix: &str) -> bool {
        let words: &[&str] = match self {
            Self::S3 => &["X-Amz-Signature", "X-Amz-Credential", "AWSAccessKeyId"],
            Self::Gcs => &["X-Goog-Signature", "X-Goog-Credential", "GoogleAccessId"],
            Self::Azure => &["?sig=", "&sig="],
        };
        words.iter().any(|word| prefix.contains(word))
    }
}

impl fmt::Display for BucketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S3 => "S3",
            Self::Gcs => "Google Cloud Storage",
            Self::Azure => "Azure Blob Storage",
        })
    }
}
