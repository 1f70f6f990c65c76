//! An address on the network that a spec may name: checked before anything is sent there.
//!
//! A spec travels to a coordinator, which then sends on somebody else's behalf. So there is one
//! kind of host that no spec may name: the services from which a machine in a cloud gets its own
//! credentials. A name is looked up only when something is sent, so whoever sends has to ask
//! [`is_metadata`] again for every address that it found.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use url::{Host, Url};

/// Longest address; what servers and proxies take.
const URL_MAX_BYTES: usize = 2_048;

/// An `http://` or `https://` address without credentials, and not that of a metadata service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why text is no [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidEndpoint {
    /// It is no URL at all.
    #[error("it is not a URL ({reason})")]
    Malformed {
        /// What the parser says.
        reason: String,
    },
    /// Another scheme.
    #[error("`{scheme}://` is not possible here")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// A user name or a password.
    #[error("it holds a user name or a password")]
    Credentials,
    /// A part that is never sent.
    #[error("it holds a `#` part, which is never sent")]
    Fragment,
    /// A service that gives machines their credentials.
    #[error("`{host}` is where a machine gets its own credentials")]
    Metadata {
        /// The host.
        host: String,
    },
    /// Longer than servers take.
    #[error("it is longer than {URL_MAX_BYTES} bytes")]
    Long,
}

impl InvalidEndpoint {
    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Malformed { .. } | Self::Scheme { .. } => "write http://… or https://…",
            Self::Credentials => "remove them: a spec is no place for a secret",
            Self::Fragment => "remove it",
            Self::Metadata { .. } => "name a service of your own",
            Self::Long => "name a shorter one",
        }
    }
}

impl Endpoint {
    /// Parses `text`. Numbers in any spelling count as the address that they stand for.
    ///
    /// # Errors
    /// See [`InvalidEndpoint`].
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        if text.len() > URL_MAX_BYTES {
            return Err(InvalidEndpoint::Long);
        }
        let url = Url::parse(text)
            .map_err(|error| InvalidEndpoint::Malformed { reason: error.to_string() })?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme().chars().take(20).collect();
            return Err(InvalidEndpoint::Scheme { scheme });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidEndpoint::Credentials);
        }
        if url.fragment().is_some() {
            return Err(InvalidEndpoint::Fragment);
        }
        let metadata = match url.host() {
            Some(Host::Ipv4(address)) => is_metadata(address.into()),
            Some(Host::Ipv6(address)) => is_metadata(address.into()),
            Some(Host::Domain(name)) => is_metadata_name(name),
            None => false,
        };
        if metadata {
            let host = url.host_str().unwrap_or_default().to_owned();
            return Err(InvalidEndpoint::Metadata { host });
        }
        Ok(Self(url))
    }

    /// The whole address, for whoever sends there.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Scheme, host and port, for logs: the path of a webhook is often as good as a password.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Whether `address` is one where machines in a cloud get their credentials, or stands for no
/// host: the link-local ranges (RFC 3927, RFC 4291), which hold the services of AWS, Azure,
/// Google, Oracle and others; what AWS and Google use in IPv6; and the two that lie elsewhere,
/// of Alibaba (100.100.100.200) and Azure (168.63.129.16).
pub fn is_metadata(address: IpAddr) -> bool {
    const AWS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    const GOOGLE: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);
    const ELSEWHERE: [Ipv4Addr; 3] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(192, 0, 0, 192),
    ];
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified() || ELSEWHERE.contains(&v4),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || v6.is_unspecified() || v6 == AWS || v6 == GOOGLE
        }
    }
}

/// Names under which those services are known.
fn is_metadata_name(name: &str) -> bool {
    const NAMES: [&str; 4] =
        ["metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"];
    NAMES.contains(&name.trim_end_matches('.').to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_addresses_are_fine() {
        for fine in [
            "https://example.com/hook?x=1",
            "http://127.0.0.1:8080/",
            "http://lineage.data.svc.cluster.local:5000/api/v1/lineage",
            "http://10.0.0.7/",
            "https://[2001:db8::1]/",
        ] {
            assert_eq!(Endpoint::parse(fine).unwrap().as_str(), fine);
        }
    }

    #[test]
    fn no_spelling_of_a_metadata_service_gets_through() {
        for hostile in [
            "http://169.254.169.254/latest/meta-data/",
            "http://169.254.170.2/",
            "http://2852039166/",
            "http://0xA9FEA9FE/",
            "http://0251.0376.0251.0376/",
            "http://169.254.43518/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fd00:ec2::254]/",
            "http://[fe80::1]/",
            "http://metadata.google.internal/",
            "http://METADATA.google.internal./",
            "http://100.100.100.200/",
            "http://168.63.129.16/",
            "http://0/",
            "http://[::]/",
        ] {
            let error = Endpoint::parse(hostile).unwrap_err();
            assert!(matches!(error, InvalidEndpoint::Metadata { .. }), "{hostile}: {error}");
        }
    }

    #[test]
    fn secrets_fragments_and_other_schemes_are_refused() {
        let refused = |text| Endpoint::parse(text).unwrap_err();
        assert_eq!(refused("https://me:pass@example.com/"), InvalidEndpoint::Credentials);
        assert_eq!(refused("https://token@example.com/"), InvalidEndpoint::Credentials);
        assert_eq!(refused("https://example.com/#x"), InvalidEndpoint::Fragment);
        assert!(matches!(refused("ftp://example.com/"), InvalidEndpoint::Scheme { .. }));
        assert!(matches!(refused("example.com"), InvalidEndpoint::Malformed { .. }));
        assert!(matches!(refused("https://"), InvalidEndpoint::Malformed { .. }));
        let long = format!("https://example.com/{}", "x".repeat(URL_MAX_BYTES));
        assert_eq!(Endpoint::parse(&long).unwrap_err(), InvalidEndpoint::Long);
    }

    #[test]
    fn what_is_logged_has_no_path() {
        let endpoint = Endpoint::parse("https://hooks.example.com:8443/T000/secret").unwrap();
        assert_eq!(endpoint.to_string(), "https://hooks.example.com:8443");
    }
}
