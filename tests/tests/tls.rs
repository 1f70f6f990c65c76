//! gRPC with TLS: coordinator, worker and operator with certificates of one authority, and those
//! who have none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::path::PathBuf;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::binaries::repository;
use nightshift_tests::http;
use nightshift_tests::ports::free_port;
use nightshift_tests::process::{Program, Running};
use nightshift_tests::waiting::wait_for;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const ROWS: u64 = 400;

/// A coordinator that only answers who shows a certificate of the authority in `ca.pem`.
struct Secured {
    coordinator: Running,
    url: String,
    bench: Bench,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Secured {
    fn start() -> Self {
        let spec = SpecText { sharding: "count: 4".to_owned(), ..SpecText::default() };
        let bench = Bench::with(&spec, "rows.parquet", ROWS);
        let (ours, other) = (authority("ours"), authority("other"));
        let write = |name: &str, text: String| std::fs::write(bench.path(name), text).unwrap();
        for (name, issuer) in [("server", &ours), ("client", &ours), ("stranger", &other)] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            write(&format!("{name}.pem"), params.signed_by(&key, issuer).unwrap().pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        write("ca.pem", ours.pem());
        write("other.pem", other.pem());
        Self::serve(bench)
    }

    /// With `ca.pem` and the certificate `server` of the bench.
    fn serve(bench: Bench) -> Self {
        let (grpc, web) = (free_port(), free_port());
        let path = |name: &str| bench.path(name);
        let coordinator = Program::coordinator()
            .arg("--home")
            .arg(path("home"))
            .args(["--listen", &format!("127.0.0.1:{grpc}")])
            .args(["--http", &format!("127.0.0.1:{web}")])
            .arg("--tls-cert")
            .arg(path("server.pem"))
            .arg("--tls-key")
            .arg(path("server.key"))
            .arg("--tls-client-ca")
            .arg(path("ca.pem"))
            .logged()
            .start();
        let address = ([127, 0, 0, 1], web).into();
        wait_for("the coordinator is ready", || {
            http::get(address, "/readyz").is_some_and(|(status, _)| status == 200).then_some(())
        });
        Self { coordinator, url: format!("https://localhost:{grpc}"), bench }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.bench.path(name)
    }

    /// The program with the address of the coordinator, an authority and a certificate.
    fn told(&self, program: Program, authority: &str, certificate: Option<&str>) -> Program {
        let program = program
            .env("NIGHTSHIFT_COORDINATOR", &self.url)
            .env("NIGHTSHIFT_GIVE_UP_AFTER", "1s")
            .env("NIGHTSHIFT_TLS_CA", self.file(authority));
        match certificate {
            Some(name) => program
                .env("NIGHTSHIFT_TLS_CERT", self.file(&format!("{name}.pem")))
                .env("NIGHTSHIFT_TLS_KEY", self.file(&format!("{name}.key"))),
            None => program,
        }
    }
}

#[test]
fn a_run_goes_from_submit_to_its_verdict_over_tls() {
    let mut secured = Secured::start();
    let worker = Program::worker().args(["--workers", "1"]).logged();
    let mut worker = secured.told(worker, "ca.pem", Some("client")).start();
    let submit = Program::nightshift().arg("submit").arg(secured.bench.spec()).arg("--wait");
    let done = secured.told(submit, "ca.pem", Some("client")).run().expect(0);
    assert!(done.stdout.contains("succeeded"), "{done}");
    worker.signal(rustix::process::Signal::TERM);
    worker.finish().expect(75);
    secured.coordinator.signal(rustix::process::Signal::TERM);
    secured.coordinator.finish().expect(0);
}

#[test]
fn the_certificates_of_the_manifests_are_good_for_what_they_are_for() {
    let bench = Bench::new();
    let script = repository().join("deploy/components/grpc-tls/certificates.sh");
    Program::new(script).arg(bench.path("made")).run().expect(0);
    for (made, name) in [
        ("ca.crt", "ca.pem"),
        ("coordinator.crt", "server.pem"),
        ("coordinator.key", "server.key"),
        ("worker.crt", "client.pem"),
        ("worker.key", "client.key"),
    ] {
        std::fs::rename(bench.path("made").join(made), bench.path(name)).unwrap();
    }
    let secured = Secured::serve(bench);
    let status = || Program::nightshift().arg("status");
    secured.told(status(), "ca.pem", Some("client")).run().expect(0);
    secured.told(status(), "ca.pem", None).run().expect(69);
    // The coordinator's own certificate says that it is for serving.
    secured.told(status(), "ca.pem", Some("server")).run().expect(69);
}

#[test]
fn who_shows_no_certificate_or_a_strangers_is_not_answered() {
    let secured = Secured::start();
    for (authority, certificate) in
        [("ca.pem", None), ("ca.pem", Some("stranger")), ("other.pem", Some("client"))]
    {
        let status = Program::nightshift().arg("status");
        let done = secured.told(status, authority, certificate).run().expect(69);
        assert!(done.stderr.contains(&secured.url), "{authority} {certificate:?}: {done}");
    }
    let plain = Program::nightshift().arg("status").env("NIGHTSHIFT_GIVE_UP_AFTER", "1s");
    let url = secured.url.replace("https", "http");
    plain.env("NIGHTSHIFT_COORDINATOR", &url).run().expect(69);
    // Whoever is well is answered all the while.
    let status = Program::nightshift().arg("status");
    secured.told(status, "ca.pem", Some("client")).run().expect(0);
}

#[test]
fn a_certificate_that_is_none_is_refused_at_the_start() {
    let bench = Bench::new();
    std::fs::write(bench.path("server.pem"), "no certificate").unwrap();
    let start = |cert: &str| {
        Program::coordinator()
            .arg("--home")
            .arg(bench.path("home"))
            .args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--tls-cert"])
            .arg(bench.path(cert))
            .arg("--tls-key")
            .arg(bench.path("server.pem"))
            .run()
            .expect(78)
    };
    assert!(start("missing.pem").stderr.contains("missing.pem"));
    assert!(start("server.pem").stderr.contains("--tls-cert"));
}

#[test]
fn a_sidecar_hands_in_over_tls_and_a_stranger_does_not() {
    let secured = Secured::start();
    let submit = Program::nightshift().arg("submit").arg(secured.bench.spec());
    secured.told(submit, "ca.pem", Some("client")).run().expect(0);
    // Its numbers come from a run of its own: what is looked at is how they are handed in.
    for (certificate, said) in
        [("client", "the coordinator has the last numbers"), ("stranger", "gone with the pod")]
    {
        let sidecar = Program::sidecar()
            .args(["--otlp", "127.0.0.1:0", "--listen", "127.0.0.1:0"])
            .env("NIGHTSHIFT_RUN", "flights-all-g1");
        let mut sidecar = secured.told(sidecar, "ca.pem", Some(certificate)).start();
        let receiving = "receiving OTLP on ";
        sidecar.wait_until_said("where it receives", |said| said.contains(receiving));
        let places = sidecar.stderr_so_far();
        let otlp = places.split(receiving).nth(1).unwrap().split_whitespace().next().unwrap();
        let bench = Bench::with(&SpecText::default(), "rows.parquet", ROWS);
        let run = Program::nightshift().arg("run").arg(bench.spec());
        run.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{otlp}")).run().expect(0);
        sidecar.signal(rustix::process::Signal::TERM);
        let ended = sidecar.finish().expect(0);
        assert!(ended.stderr.contains(said), "{certificate}: {ended}");
    }
}
