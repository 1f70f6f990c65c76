//! The address of a coordinator, as people write it.

use std::fmt;
use std::str::FromStr;

use nightshift_proto::limits::PATH_MAX_BYTES;
use thiserror::Error;
use tonic::transport::Uri;

/// `http://HOST:PORT` or `https://HOST:PORT`, and nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

/// Why text is not the address of a coordinator. None repeats what might hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAddress {
    /// There is nothing.
    #[error("the address is empty; write http://HOST:PORT")]
    Empty,
    /// Nobody can mean that.
    #[error("the address has {length_bytes} bytes, which is no address; write http://HOST:PORT")]
    TooLong {
        /// Its length.
        length_bytes: usize,
    },
    /// It names a user, maybe with a password.
    #[error("the address holds a user name, which a coordinator does not ask for; remove it")]
    User,
    /// It is something else.
    #[error("the address is not one of HTTP; write http://HOST:PORT, as in http://127.0.0.1:7070")]
    Shape,
    /// The port is missing.
    #[error("the address has no port; write http://HOST:PORT, as in http://127.0.0.1:7070")]
    NoPort,
    /// There is more than an address.
    #[error("the address goes on after the port; write http://HOST:PORT and nothing more")]
    Path,
}

impl Address {
    /// Where a coordinator listens that nobody told otherwise.
    pub const DEFAULT: &str = "http://127.0.0.1:7070";

    /// The text of a URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether connections are to be made with TLS.
    pub fn is_tls(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl Default for Address {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text.is_empty() {
            return Err(InvalidAddress::Empty);
        }
        if text.len() > PATH_MAX_BYTES {
            return Err(InvalidAddress::TooLong { length_bytes: text.len() });
        }
        let uri: Uri = text.parse().map_err(|_| InvalidAddress::Shape)?;
        let authority = uri.authority().ok_or(InvalidAddress::Shape)?;
        if authority.as_str().contains('@') {
            return Err(InvalidAddress::User);
        }
        let scheme = match uri.scheme_str() {
            Some("http") => "http",
            Some("https") => "https",
            _ => return Err(InvalidAddress::Shape),
        };
        if authority.host().is_empty() {
            return Err(InvalidAddress::Shape);
        }
        if authority.port_u16().is_none_or(|port| port == 0) {
            return Err(InvalidAddress::NoPort);
        }
        if !matches!(uri.path_and_query().map(|path| path.as_str()), None | Some("" | "/")) {
            return Err(InvalidAddress::Path);
        }
        Ok(Self(format!("{scheme}://{authority}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, read) in [
            ("http://127.0.0.1:7070", "http://127.0.0.1:7070"),
            ("http://nightshift:7070/", "http://nightshift:7070"),
            ("http://[::1]:7070", "http://[::1]:7070"),
            ("https://nightshift:7070/", "https://nightshift:7070"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().as_str(), read);
        }
        assert_eq!(Address::DEFAULT.parse(), Ok(Address::default()));
    }

    #[test]
    fn what_is_not_one_says_what_to_write() {
        use InvalidAddress::*;
        for (text, why) in [
            ("", Empty),
            ("127.0.0.1:7070", Shape),
            ("nightshift", Shape),
            ("ftp://nightshift:7070", Shape),
            ("http://:7070", Shape),
            ("http://a b:7070", Shape),
            ("http://nightshift", NoPort),
            ("http://nightshift:0", NoPort),
            ("http://nightshift:70700", NoPort),
            ("http://me:secret@nightshift:7070", User),
            ("http://nightshift:7070/runs", Path),
            ("http://nightshift:7070?x=1", Path),
        ] {
            let refused = text.parse::<Address>().unwrap_err();
            assert_eq!(refused, why, "{text}");
            assert!(!refused.to_string().contains("secret"));
        }
        let long = format!("http://{}:7070", "a".repeat(PATH_MAX_BYTES));
        assert!(matches!(long.parse::<Address>(), Err(TooLong { .. })));
    }
}
