//! Google Cloud Storage, by its XML interface.
//!
//! A create names generation 0 as the one to replace: there must be nothing. Reads are pinned by
//! the ETag, as those of other stores.

use std::sync::Arc;

use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

use super::answers::Meant;
use super::{CREDENTIAL_RETRIES, Clients, RETRIES, Reached, retry};
use crate::bucket::uploads::{GcsUploads, Uploads};
use crate::endpoint;
use crate::error::{StoreError, chain};

const ADDRESS: &str = "https://storage.googleapis.com";
const NOT_UNDERSTOOD: &str =
    "the credentials are not those of a service account or of a user, which are all that is known";
/// Another address, for a proxy or a private endpoint.
const ADDRESS_VARIABLE: &str = "GOOGLE_BASE_URL";

pub(super) fn connect(reached: &Reached<'_>) -> Result<Clients, StoreError> {
    let emulator = std::env::var(endpoint::EMULATOR).ok();
    let emulator = emulator.map(|text| endpoint::full(endpoint::EMULATOR, text));
    let address = match &emulator {
        Some(address) => address.clone(),
        None => std::env::var(ADDRESS_VARIABLE).unwrap_or_else(|_| ADDRESS.to_owned()),
    };
    let address = address.trim_end_matches('/').to_owned();
    let base = || {
        let builder = match emulator {
            // As other clients do: an emulator is sent no token of anybody.
            Some(_) => GoogleCloudStorageBuilder::new().with_bearer_token(""),
            None => from_env(),
        };
        // Always by name, so that no file of credentials can name another.
        builder
            .with_base_url(&address)
            .with_bucket_name(&reached.place.bucket)
            .with_client_options(reached.options())
            .with_http_connector(Meant)
    };
    let settings = |error: object_store::Error| {
        // The parser would repeat what it does not understand, and that may be a key.
        match chain(&error).contains("Unable to decode") {
            true => reached.problem(NOT_UNDERSTOOD.to_owned()),
            false => reached.settings(&error),
        }
    };
    let built = base().with_retry(retry(CREDENTIAL_RETRIES)).build().map_err(settings)?;
    let credentials = Arc::clone(built.credentials());
    let client = |retries| {
        let credentials = Arc::clone(&credentials);
        base().with_credentials(credentials).with_retry(retry(retries)).build().map_err(settings)
    };
    let patient = client(RETRIES)?;
    let url = format!("{address}/{}", reached.place.bucket);
    Ok(Clients {
        uploads: Uploads::Gcs(GcsUploads { client: patient.clone(), url }),
        patient: Arc::new(patient),
        single: Arc::new(client(0)?),
    })
}

/// The variables that begin with `GOOGLE_`. The builder's own reading of them would take
/// `SERVICE_ACCOUNT` for the path of a key, and pods use that name for other things.
fn from_env() -> GoogleCloudStorageBuilder {
    let mut builder = GoogleCloudStorageBuilder::new();
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        if name.starts_with("GOOGLE_")
            && let Ok(key) = name.to_ascii_lowercase().parse::<GoogleConfigKey>()
        {
            builder = builder.with_config(key, value);
        }
    }
    builder
}
