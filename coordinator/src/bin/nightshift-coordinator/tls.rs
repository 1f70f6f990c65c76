//! The certificate that gRPC is served with, and the authorities whose clients are answered.

use std::path::Path;

use nightshift_core::exit::Exit;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::args::Arguments;
use nightshift_telemetry::Failure;

/// What the flags say; none if gRPC is served without TLS. The files are read once, here.
///
/// # Errors
/// If a file cannot be read. Whether it holds a certificate is found when serving begins.
pub(crate) fn of(arguments: &Arguments) -> Result<Option<ServerTlsConfig>, Failure> {
    let (Some(cert), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) else {
        return Ok(None);
    };
    let identity = Identity::from_pem(read("--tls-cert", cert)?, read("--tls-key", key)?);
    let mut tls = ServerTlsConfig::new().identity(identity);
    if let Some(authorities) = &arguments.tls_client_ca {
        tls = tls.client_ca_root(Certificate::from_pem(read("--tls-client-ca", authorities)?));
    }
    Ok(Some(tls))
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
