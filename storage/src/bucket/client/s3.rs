//! Amazon S3, and stores that speak its protocol.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};

use super::answers::Meant;
use super::{CREDENTIAL_RETRIES, Clients, RETRIES, Reached, retry};
use crate::bucket::profile::Profile;
use crate::bucket::uploads::Uploads;
use crate::error::StoreError;

pub(super) fn connect(reached: &Reached<'_>) -> Result<Clients, StoreError> {
    let base = || {
        AmazonS3Builder::from_env()
            .with_bucket_name(&reached.place.bucket)
            .with_client_options(reached.options())
            .with_http_connector(Meant)
            // Every store has the delete of one object, not every one that of many.
            .with_disable_bulk_delete(true)
    };
    let settings = |error| reached.settings(&error);
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
    let patient = client(RETRIES)?;
    Ok(Clients {
        uploads: Uploads::S3(patient.clone()),
        patient: Arc::new(patient),
        single: Arc::new(client(0)?),
    })
}
