//! Clients of a bucket, as the environment says: the usual variables and files of AWS.

use std::sync::Arc;
use std::time::Duration;

use nightshift_core::place::BucketPlace;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredentialProvider};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::profile::Profile;
use crate::endpoint::{self, Fault};
use crate::error::StoreError;

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

/// A client that tries again by itself, and one that never does.
pub(super) fn connect(place: &BucketPlace) -> Result<(AmazonS3, AmazonS3), StoreError> {
    let plain = check_endpoints()?;
    let options = ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(CONNECT_MAX)
        .with_timeout(request_max()?);
    let base = || {
        crate::model::use_ring();
        AmazonS3Builder::from_env()
            .with_bucket_name(&place.bucket)
            .with_client_options(options.clone())
            // Every store has the delete of one object, not every one that of many.
            .with_disable_bulk_delete(true)
    };
    let settings = |error: object_store::Error| StoreError::Settings {
        place: place.to_string(),
        problem: super::plain::text(&error),
    };
    let credentials: AwsCredentialProvider = match Profile::from_env() {
        Some(profile) => Arc::new(profile),
        None => {
            let built = base().with_retry(retry(CREDENTIAL_RETRIES)).build().map_err(settings)?;
            Arc::clone(built.credentials())
        }
    };
    let client = |retries| {
        let credentials = Arc::clone(&credentials);
        base().with_credentials(credentials).with_retry(retry(retries)).build().map_err(settings)
    };
    Ok((client(RETRIES)?, client(0)?))
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
fn check_endpoints() -> Result<bool, StoreError> {
    let mut plain = false;
    for variable in endpoint::VARIABLES {
        let Ok(text) = std::env::var(variable) else { continue };
        plain |= endpoint::is_plain(&text).map_err(|fault| StoreError::Settings {
            place: variable.to_owned(),
            problem: problem(fault).to_owned(),
        })?;
    }
    Ok(plain)
}

fn problem(fault: Fault) -> &'static str {
    match fault {
        Fault::NotUrl => "it is no URL such as https://host",
        Fault::Credentials => "it holds credentials; set AWS_ACCESS_KEY_ID instead",
        Fault::Host => "its host hands out credentials of this machine and is no store",
    }
}
