//! Versions of Kubernetes, as far as fields depend on them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A version of Kubernetes such as 1.34.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
}

impl Version {
    /// Version 1.`minor`.
    pub(super) const fn one(minor: u16) -> Self {
        Self { major: 1, minor }
    }
}

/// The oldest version that Nightshift supports.
impl Default for Version {
    fn default() -> Self {
        Self::one(34)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that is no version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no version of Kubernetes; write it like 1.34")]
pub struct InvalidVersion {
    text: String,
}

impl FromStr for Version {
    type Err = InvalidVersion;

    /// Takes what `kubectl version` says too: `v1.34.2`, `v1.34.2-gke.100`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidVersion { text: text.to_owned() };
        let mut parts = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or_else(invalid);
        let version = Self { major: number()?, minor: number()? };
        // The fields that are looked at came with 1.x; a 0 or 2 is a slip of the keyboard.
        if version.major == 1 { Ok(version) } else { Err(invalid()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_kubectl_writes_them() {
        for (text, minor) in [("1.34", 34), ("v1.30.2", 30), ("v1.29.4-gke.100", 29)] {
            assert_eq!(text.parse::<Version>().unwrap(), Version::one(minor), "{text}");
        }
        for text in ["", "1", "34", "2.1", "1.x", "1."] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
