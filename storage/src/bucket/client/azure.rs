//! Azure Blob Storage. The account is a setting of the process; the bucket is a container.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::answers::Meant;
use super::{CREDENTIAL_RETRIES, Clients, RETRIES, Reached, retry};
use crate::bucket::uploads::Uploads;
use crate::error::StoreError;

/// What the tools of Azure call two settings that the client knows by other names.
const TOOLS: [(&str, AzureConfigKey); 2] = [
    ("AZURE_STORAGE_ACCOUNT", AzureConfigKey::AccountName),
    ("AZURE_STORAGE_KEY", AzureConfigKey::AccessKey),
];

/// What the client takes for yes.
const YES: [&str; 5] = ["1", "true", "on", "yes", "y"];

pub(super) fn connect(reached: &Reached<'_>) -> Result<Clients, StoreError> {
    let base = || {
        let mut builder = MicrosoftAzureBuilder::from_env();
        for (variable, key) in TOOLS {
            if builder.get_config_value(&key).is_none()
                && let Ok(value) = std::env::var(variable)
            {
                builder = builder.with_config(key, value);
            }
        }
        builder
            .with_container_name(&reached.place.bucket)
            .with_client_options(reached.options())
            .with_http_connector(Meant)
    };
    let settings = |error| reached.settings(&error);
    let named = base();
    let value = |key| named.get_config_value(&key);
    let yes = |text: String| YES.iter().any(|yes| yes.eq_ignore_ascii_case(&text));
    let emulator = value(AzureConfigKey::UseEmulator).is_some_and(yes);
    if !emulator && value(AzureConfigKey::AccountName).is_none() {
        return Err(reached.problem("set AZURE_STORAGE_ACCOUNT_NAME to the account".to_owned()));
    }
    let built = named.with_retry(retry(CREDENTIAL_RETRIES)).build().map_err(settings)?;
    let credentials = Arc::clone(built.credentials());
    let client = |retries| {
        let credentials = Arc::clone(&credentials);
        base().with_credentials(credentials).with_retry(retry(retries)).build().map_err(settings)
    };
    Ok(Clients {
        patient: Arc::new(client(RETRIES)?),
        single: Arc::new(client(0)?),
        uploads: Uploads::Expire,
    })
}
