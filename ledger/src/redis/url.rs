//! Where Redis is, with a password that is never shown.

use std::fmt;
use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use thiserror::Error;

/// Longest URL; far more than a host, a user and a password need.
const URL_MAX_BYTES: usize = 4096;

/// A `redis://` or `rediss://` URL: `rediss://user:password@host:6380/2`.
///
/// User and password are percent-encoded. Whatever formats it shows `***` for the password.
#[derive(Clone)]
pub struct RedisUrl {
    info: ConnectionInfo,
    shown: String,
}

/// Why a text is not a Redis URL. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the Redis URL cannot be used: {reason}; write redis://[user:password@]host[:port][/database], or rediss:// for TLS, with user and password percent-encoded"
)]
pub struct InvalidRedisUrl {
    /// What is wrong with it.
    pub reason: &'static str,
}

impl RedisUrl {
    /// Host and port.
    pub fn address(&self) -> String {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                if host.contains(':') {
                    format!("[{host}]:{port}")
                } else {
                    format!("{host}:{port}")
                }
            }
            other => other.to_string(),
        }
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// The text without the password, if it has one.
    pub(super) fn scrub(&self, text: &str) -> String {
        match self.info.redis_settings().password() {
            Some(password) if !password.is_empty() => text.replace(password, "***"),
            _ => text.to_owned(),
        }
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;
    fn from_str(text: &str) -> Result<Self, InvalidRedisUrl> {
        let invalid = |reason| InvalidRedisUrl { reason };
        if text.len() > URL_MAX_BYTES {
            return Err(invalid("it is too long"));
        }
        if !text.starts_with("redis://") && !text.starts_with("rediss://") {
            return Err(invalid("it starts with neither redis:// nor rediss://"));
        }
        if text.contains(['?', '#']) {
            return Err(invalid("`?` and `#` have no meaning in it"));
        }
        // The words of the library are not repeated: they may quote the text.
        let url = redis::parse_redis_url(text).ok_or(invalid("it does not parse"))?;
        let info = url
            .into_connection_info()
            .map_err(|_| invalid("host, port, database, user or password cannot be read"))?;
        let settings = info.redis_settings();
        if settings.db() < 0 {
            return Err(invalid("the database is not a number from 0"));
        }
        if settings.username().is_some() && settings.password().is_none() {
            return Err(invalid("it has a user but no password"));
        }
        let settings = settings.clone().set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        let mut url = Self { info, shown: String::new() };
        url.shown = url.describe();
        Ok(url)
    }
}

impl RedisUrl {
    fn describe(&self) -> String {
        let settings = self.info.redis_settings();
        let scheme = if self.is_tls() { "rediss" } else { "redis" };
        let user = settings.username().unwrap_or_default().escape_debug();
        let login = match settings.password() {
            Some(_) => format!("{user}:***@"),
            None => String::new(),
        };
        format!("{scheme}://{login}{}/{}", self.address(), settings.db())
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

#[cfg(test)]
mod tests;
