//! One connection to the server, made when it is needed and given up after any failure.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, TlsCertificates};
use thiserror::Error;
use tokio::sync::{Mutex, MutexGuard};

use crate::LedgerError;
use crate::redis::refusal::refusal;
use crate::redis::url::RedisUrl;

/// Time for resolving, connecting, TLS and login together. A server in the same data centre
/// needs milliseconds; one that needs longer counts as gone.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for the answers to one batch of commands.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How Redis is reached.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Where it is.
    pub url: RedisUrl,
    /// PEM file with the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Why settings cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The CA file cannot be read.
    #[error("cannot read the Redis CA file {path}; check the path and its permissions")]
    CaFile {
        /// The file.
        path: String,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The CA file has no usable certificate.
    #[error("{path} is no file of PEM certificates; give the authority that signed Redis's")]
    Certificates {
        /// The file.
        path: String,
    },
    /// A CA file makes no sense without TLS.
    #[error("a Redis CA file is given, but {url} does not use TLS; write rediss://")]
    NoTls {
        /// The URL, without its password.
        url: String,
    },
}

/// The server, and the connection to it while there is one.
pub(super) struct Link {
    url: RedisUrl,
    client: Client,
    config: AsyncConnectionConfig,
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// The connection, for one operation. Unless it is kept it is closed when this is dropped:
/// after a failure, an early return or a cancelled future nobody knows what is still watched
/// or under way on it.
pub(super) struct Lease<'a> {
    link: &'a Link,
    slot: MutexGuard<'a, Option<MultiplexedConnection>>,
    connection: MultiplexedConnection,
}

impl RedisSettings {
    /// Settings with the system's authorities.
    pub fn new(url: RedisUrl) -> Self {
        Self { url, ca_file: None }
    }
}

impl Link {
    pub(super) fn new(settings: RedisSettings) -> Result<Self, SettingsError> {
        let RedisSettings { url, ca_file } = settings;
        // One provider for the whole process; whoever installed one before is right too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = match ca_file {
            None => TlsCertificates { client_tls: None, root_cert: None },
            Some(_) if !url.is_tls() => {
                return Err(SettingsError::NoTls { url: url.to_string() });
            }
            Some(path) => {
                let shown = path.display().to_string();
                let pem = std::fs::read(&path)
                    .map_err(|source| SettingsError::CaFile { path: shown.clone(), source })?;
                if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
                    return Err(SettingsError::Certificates { path: shown });
                }
                TlsCertificates { client_tls: None, root_cert: Some(pem) }
            }
        };
        let info = url.info().clone();
        let client = if url.is_tls() {
            Client::build_with_tls(info, certificates)
        } else {
            Client::open(info)
        };
        let shown = url.to_string();
        let client = client.map_err(|_| SettingsError::Certificates { path: shown })?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        Ok(Self { url, client, config, connection: Mutex::new(None) })
    }

    /// The connection; operations take turns.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, LedgerError> {
        let mut slot = self.connection.lock().await;
        let connection = match slot.take() {
            Some(connection) => connection,
            None => self
                .client
                .get_multiplexed_async_connection_with_config(&self.config)
                .await
                .map_err(|error| refusal(&self.url, error))?,
        };
        Ok(Lease { link: self, slot, connection })
    }
}

impl Lease<'_> {
    /// Sends commands and waits for their answers.
    pub(super) async fn query<T: FromRedisValue>(
        &mut self,
        pipe: &Pipeline,
    ) -> Result<T, LedgerError> {
        let answer = pipe.query_async(&mut self.connection).await;
        answer.map_err(|error| refusal(&self.link.url, error))
    }

    /// Leaves the connection to the next operation: every answer came, nothing is watched.
    pub(super) fn keep(mut self) {
        *self.slot = Some(self.connection);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("url", &self.url).finish_non_exhaustive()
    }
}
