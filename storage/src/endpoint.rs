//! Addresses of stores that speak S3, as the environment names them.

use nightshift_core::model::refused_host;
use reqwest::Url;

/// The variables that may hold one.
pub(crate) const VARIABLES: [&str; 3] = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"];

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
