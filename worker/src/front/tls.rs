//! The connection to a coordinator: plain, or with TLS and a certificate on either side.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use nightshift_core::exit::Exit;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::address::Address;
use super::failure::Failure;

/// What these flags stand under in the help.
const HEADING: &str = "TLS to the coordinator (https://)";

/// Certificates for a coordinator at an `https://` address.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArgs {
    /// PEM file with the authorities to trust, instead of the system's
    #[arg(long, help_heading = HEADING, env = "NIGHTSHIFT_TLS_CA", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_ca: Option<PathBuf>,

    /// PEM file with the certificate to show to a coordinator that asks for one
    #[arg(long, help_heading = HEADING, env = "NIGHTSHIFT_TLS_CERT", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file with the key of that certificate
    #[arg(long, help_heading = HEADING, env = "NIGHTSHIFT_TLS_KEY", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// Where to connect to for `address`. Files are read once, here.
    ///
    /// # Errors
    /// If a file cannot be read or is no PEM, or files are given for an address without TLS:
    /// whoever gives them counts on being protected.
    pub fn endpoint(&self, address: &Address) -> Result<Endpoint, Failure> {
        let refused = |text: &dyn std::fmt::Display| {
            Failure::new(Exit::Usage, format_args!("--coordinator {address}: {text}"))
        };
        let endpoint =
            Endpoint::from_shared(address.to_string()).map_err(|error| refused(&error))?;
        if !address.is_tls() {
            return match [&self.tls_ca, &self.tls_cert].into_iter().flatten().next() {
                Some(file) => Err(refused(&format_args!(
                    "`{}` is given for TLS, which this address does not ask for; write https://",
                    file.display()
                ))),
                None => Ok(endpoint),
            };
        }
        let mut tls = ClientTlsConfig::new();
        tls = match &self.tls_ca {
            Some(file) => tls.ca_certificate(Certificate::from_pem(read("--tls-ca", file)?)),
            None => tls.with_native_roots(),
        };
        if let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) {
            let identity = Identity::from_pem(read("--tls-cert", cert)?, read("--tls-key", key)?);
            tls = tls.identity(identity);
        }
        endpoint.tls_config(tls).map_err(|error| {
            let text = crate::describe(&error);
            Failure::new(
                Exit::Config,
                format_args!(
                    "TLS to {address}: {text}; see that the files are PEM and belong together"
                ),
            )
        })
    }
}

fn read(flag: &str, file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::Permission,
            _ => Exit::Config,
        };
        Failure::new(exit, format_args!("{flag} {}: {error}", file.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(tls: &TlsArgs, address: &str) -> String {
        tls.endpoint(&address.parse().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn files_for_an_address_without_tls_are_refused() {
        let tls = TlsArgs { tls_ca: Some("ca.pem".into()), ..TlsArgs::default() };
        assert!(failure(&tls, "http://host:7070").contains("write https://"));
        assert!(TlsArgs::default().endpoint(&Address::default()).is_ok());
    }

    #[test]
    fn a_file_that_is_not_there_or_is_no_pem_is_named() {
        let tls = TlsArgs { tls_ca: Some("no/such/ca.pem".into()), ..TlsArgs::default() };
        assert!(failure(&tls, "https://host:7070").contains("no/such/ca.pem"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n!\n").unwrap();
        let tls = TlsArgs { tls_ca: Some(file), ..TlsArgs::default() };
        assert!(failure(&tls, "https://host:7070").contains("TLS to https://host:7070"));
    }
}
