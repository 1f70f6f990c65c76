//! TLS, against a redis-server with a certificate of its own.

use std::path::PathBuf;

use nightshift_ledger::redis::{RedisLedger, RedisSettings, SettingsError};
use nightshift_ledger::{Ledger, LedgerError, Reason, Writer};
use nightshift_tests::redis::{RedisServer, free_port};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::sync::Arc;

use crate::stage::{Stage, caught_up, keep, name};

/// A server with TLS, and the files of an authority.
struct Secured {
    server: RedisServer,
    folder: tempfile::TempDir,
    tls_port: u16,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Secured {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (authority("ours"), authority("other"));
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &ours).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let ca = write("ca.pem", ours.pem());
        write("other.pem", other.pem());
        let certificate = write("cert.pem", certificate.pem());
        let key = write("key.pem", key.serialize_pem());
        let tls_port = free_port();
        let server = RedisServer::start_with(&[
            "--tls-port",
            &tls_port.to_string(),
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            "no",
        ]);
        Self { server, folder, tls_port }
    }

    fn settings(&self, host: &str, ca: Option<&str>) -> RedisSettings {
        let url = format!("rediss://nightshift:secret@{host}:{}/0", self.tls_port);
        let ca_file: Option<PathBuf> = ca.map(|ca| self.folder.path().join(ca));
        RedisSettings { ca_file, ..RedisSettings::new(url.parse().unwrap()) }
    }

    async fn refusal(&self, host: &str, ca: Option<&str>) -> (Reason, String) {
        let ledger = RedisLedger::new(self.settings(host, ca)).unwrap();
        match ledger.look(&name(), &Writer::random()).await {
            Err(LedgerError::Unavailable { reason, why }) => (reason, why),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_with_tls_and_a_password() {
    let secured = Secured::start();
    secured.server.cli(&["ACL", "SETUSER", "nightshift", "on", ">secret", "~*", "+@all"]);
    let ledger = RedisLedger::new(secured.settings("localhost", Some("ca.pem"))).unwrap();
    let stage = Stage::new().await;
    let keeper = keep(Arc::new(ledger), &stage);
    caught_up(&keeper.handle()).await;
    crate::checker::check(&secured.server, stage.path());
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted() {
    let secured = Secured::start();
    // Of another authority, of none that the system knows, and for another host.
    for (host, ca) in
        [("localhost", Some("other.pem")), ("localhost", None), ("127.0.0.1", Some("ca.pem"))]
    {
        let (reason, why) = secured.refusal(host, ca).await;
        assert_eq!(reason, Reason::Tls, "{why}");
        assert!(why.contains("certificate"), "{why}");
    }
}

#[tokio::test]
async fn a_server_without_tls() {
    let mut secured = Secured::start();
    secured.tls_port = secured.server.port();
    let (reason, why) = secured.refusal("localhost", Some("ca.pem")).await;
    // It waits for the end of a line that never comes.
    assert_eq!(reason, Reason::Timeout, "{why}");
}

#[test]
fn ca_files_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let with = |scheme: &str, ca: &str| {
        let url = format!("{scheme}://h/0").parse().unwrap();
        let ca_file = Some(folder.path().join(ca));
        RedisLedger::new(RedisSettings { url, ca_file })
    };
    std::fs::write(folder.path().join("no.pem"), "hello").unwrap();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(folder.path().join("garbage.pem"), garbage).unwrap();
    assert!(matches!(with("rediss", "missing"), Err(SettingsError::CaFile { .. })));
    assert!(matches!(with("rediss", "no.pem"), Err(SettingsError::Certificates { .. })));
    assert!(matches!(with("rediss", "garbage.pem"), Err(SettingsError::Certificates { .. })));
    assert!(matches!(with("redis", "no.pem"), Err(SettingsError::NoTls { .. })));
}
