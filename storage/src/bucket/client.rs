//! Clients of a bucket, as the environment says: the usual variables and files of its store.

use std::sync::Arc;
use std::time::Duration;

use nightshift_core::place::{BucketKind, BucketPlace};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::plain;
use super::uploads::Uploads;
use crate::endpoint::{self, Fault};
use crate::error::StoreError;

mod answers;
mod azure;
mod gcs;
mod s3;

pub(super) use answers::PENDING;

/// The patient client's further tries for one request, which ride out some 20 seconds.
const RETRIES: usize = 8;
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Tries for credentials: where none are set, an instance without a metadata service must not be
/// asked for minutes.
const CREDENTIAL_RETRIES: usize = 2;

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long one request may take, with its body.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// Seconds of [`REQUEST_MAX`] for who knows better: a slow line, or a test.
const REQUEST_MAX_VARIABLE: &str = "NIGHTSHIFT_STORE_TIMEOUT";

/// What reaches a bucket.
pub(super) struct Clients {
    /// Tries again by itself.
    pub(super) patient: Arc<dyn ObjectStore>,
    /// Never does.
    pub(super) single: Arc<dyn ObjectStore>,
    /// How uploads are asked for that nobody finished.
    pub(super) uploads: Uploads,
}

/// What ends a request that is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The time that it takes with its body.
    Whole,
    /// The time without another byte: its body may be of any size.
    Silence,
}

/// The clients of the bucket of `place`. They share their credentials.
///
/// # Errors
/// [`StoreError::Settings`] if the variables of the store do not fit together.
pub(super) fn connect(place: &BucketPlace, wait: Wait) -> Result<Clients, StoreError> {
    crate::model::use_ring();
    let reached =
        Reached { place, plain: check_endpoints(place.kind)?, request_max: request_max()?, wait };
    match place.kind {
        BucketKind::S3 => s3::connect(&reached),
        BucketKind::Gcs => gcs::connect(&reached),
        BucketKind::Azure => azure::connect(&reached),
    }
}

/// Which bucket is reached, and how.
struct Reached<'a> {
    place: &'a BucketPlace,
    /// Without TLS.
    plain: bool,
    request_max: Duration,
    wait: Wait,
}

impl Reached<'_> {
    fn options(&self) -> ClientOptions {
        let options =
            ClientOptions::new().with_allow_http(self.plain).with_connect_timeout(CONNECT_MAX);
        match self.wait {
            Wait::Whole => options.with_timeout(self.request_max),
            Wait::Silence => options.with_timeout_disabled().with_read_timeout(self.request_max),
        }
    }

    /// What the client says of its settings.
    fn settings(&self, error: &object_store::Error) -> StoreError {
        self.problem(plain::text(error))
    }

    fn problem(&self, problem: String) -> StoreError {
        StoreError::Settings { place: self.place.to_string(), problem }
    }
}

fn retry(max_retries: usize) -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: PAUSE, max_backoff: PAUSE_MAX, base: 2.0 };
    RetryConfig { max_retries, retry_timeout: RETRY_TIMEOUT, backoff }
}

/// How long one request may take.
///
/// # Errors
/// [`StoreError::Settings`] if the variable that says so holds no such number.
pub(crate) fn request_max() -> Result<Duration, StoreError> {
    let Ok(text) = std::env::var(REQUEST_MAX_VARIABLE) else { return Ok(REQUEST_MAX) };
    let seconds = text.parse().ok().filter(|seconds| (1..=600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| StoreError::Settings {
        place: REQUEST_MAX_VARIABLE.to_owned(),
        problem: "it is a number of seconds from 1 to 600".to_owned(),
    })
}

/// Whether the store is reached without TLS, by the variables that name its address.
///
/// # Errors
/// [`StoreError::Settings`] for an address with credentials, one that hands them out, or text
/// that is none. It is not repeated.
fn check_endpoints(kind: BucketKind) -> Result<bool, StoreError> {
    let mut plain = false;
    for &variable in endpoint::variables(kind) {
        let Ok(text) = std::env::var(variable) else { continue };
        plain |= endpoint::is_plain(&endpoint::full(variable, text)).map_err(|fault| {
            let problem = problem(kind, fault);
            StoreError::Settings { place: variable.to_owned(), problem }
        })?;
    }
    Ok(plain)
}

fn problem(kind: BucketKind, fault: Fault) -> String {
    match fault {
        Fault::NotUrl => "it is no URL such as https://host".to_owned(),
        Fault::Credentials => {
            let variables = kind.identity();
            let instead = variables.split(' ').next().unwrap_or_default();
            format!("it holds credentials; set {instead} instead")
        }
        Fault::Host => "its host hands out credentials of this machine and is no store".to_owned(),
    }
}
