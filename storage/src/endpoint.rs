//! Addresses of object stores, as the environment names them.

use nightshift_core::model::refused_host;
use nightshift_core::place::BucketKind;
use reqwest::Url;

/// The address of an emulator of Google Cloud Storage, with or without `http://`.
pub(crate) const EMULATOR: &str = "STORAGE_EMULATOR_HOST";

/// The variables that may hold an address of a store of this kind.
pub(crate) fn variables(kind: BucketKind) -> &'static [&'static str] {
    match kind {
        BucketKind::S3 => &["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"],
        BucketKind::Gcs => &["GOOGLE_BASE_URL", EMULATOR],
        BucketKind::Azure => {
            &["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT", "AZURITE_BLOB_STORAGE_URL"]
        }
    }
}

/// The address that `text` of `variable` means.
pub(crate) fn full(variable: &str, text: String) -> String {
    match variable == EMULATOR && !text.contains("://") {
        true => format!("http://{text}"),
        false => text,
    }
}

/// Why an address cannot be used. It is not repeated: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is no URL of the web.
    NotUrl,
    /// It holds a name or a password.
    Credentials,
    /// Its host hands out credentials of this machine.
    Host,
}

/// Whether the store at the address `text` is reached without TLS.
pub(crate) fn is_plain(text: &str) -> Result<bool, Fault> {
    let url = Url::parse(text).map_err(|_| Fault::NotUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::NotUrl);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::Credentials);
    }
    if url.host_str().is_none_or(refused_host) {
        return Err(Fault::Host);
    }
    Ok(url.scheme() == "http")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_is_named_with_or_without_a_scheme() {
        assert_eq!(full(EMULATOR, "127.0.0.1:4443".to_owned()), "http://127.0.0.1:4443");
        assert_eq!(full(EMULATOR, "https://gcs.example".to_owned()), "https://gcs.example");
        assert_eq!(full("GOOGLE_BASE_URL", "gcs".to_owned()), "gcs");
        let secret = full(EMULATOR, "user:secret@gcs".to_owned());
        assert_eq!(is_plain(&secret), Err(Fault::Credentials));
    }

    #[test]
    fn an_endpoint_is_a_plain_address_of_a_store() {
        assert_eq!(is_plain("http://127.0.0.1:9000"), Ok(true));
        assert_eq!(is_plain("https://minio.example"), Ok(false));
        for (refused, fault) in [
            ("minio", Fault::NotUrl),
            ("data:,x", Fault::NotUrl),
            ("ftp://x", Fault::NotUrl),
            ("http://key:secret@minio", Fault::Credentials),
            ("http://169.254.169.254", Fault::Host),
        ] {
            assert_eq!(is_plain(refused), Err(fault), "{refused}");
        }
    }
}
