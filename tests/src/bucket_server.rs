//! Servers that hold buckets as other stores than S3 do: Azurite, the emulator of Azure Blob
//! Storage, and a double of Google Cloud Storage (`tests/stores/gcs.py`, which says what it is).

use std::path::Path;

use crate::binaries::repository;
use crate::process::Program;
use crate::server::PythonServer;
use crate::tools::{stores_program, stores_script};

/// The key of the account, as Azure writes keys; no output and no message may hold it.
const AZURE_KEY: &str = "Y2FuYXJ5LXNlY3JldC1rZXk=";
const AZURE_ACCOUNT: &str = "tests";
/// The token that the double takes.
const GCS_TOKEN: &str = "canary-secret";

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// A server of a store.
#[derive(Debug)]
pub struct BucketServer {
    kind: Kind,
    server: PythonServer,
    /// What the tests themselves ask by.
    pass: String,
}

impl Kind {
    /// What its URIs begin with.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Gcs => "gcs_files.py",
            Self::Azure => "azure_files.py",
        }
    }
}

impl BucketServer {
    /// Starts one without buckets.
    pub fn start(kind: Kind) -> Self {
        match kind {
            Kind::Gcs => {
                let script = repository().join("tests/stores/gcs.py");
                let python = stores_program("python");
                let server = PythonServer::start("/ready", |port| {
                    Program::new(python).arg(script).arg(port.to_string()).arg(GCS_TOKEN)
                });
                Self { kind, server, pass: GCS_TOKEN.to_owned() }
            }
            Kind::Azure => {
                let given = ["sas", AZURE_ACCOUNT, AZURE_KEY];
                let pass = stores_script(kind.script(), given).trim().to_owned();
                let ready = format!("/{AZURE_ACCOUNT}/?comp=list&{pass}");
                let server = PythonServer::start(&ready, azurite);
                Self { kind, server, pass }
            }
        }
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What a process needs to reach it by way of `url`.
    pub fn environment_by(&self, url: String) -> Vec<(&'static str, String)> {
        match self.kind {
            Kind::Gcs => {
                vec![("GOOGLE_BASE_URL", url), ("GOOGLE_BEARER_TOKEN", GCS_TOKEN.to_owned())]
            }
            Kind::Azure => vec![
                ("AZURE_STORAGE_USE_EMULATOR", "true".to_owned()),
                ("AZURITE_BLOB_STORAGE_URL", url),
                ("AZURE_STORAGE_ACCOUNT_NAME", AZURE_ACCOUNT.to_owned()),
                ("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY.to_owned()),
            ],
        }
    }

    /// What a process needs to reach it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.environment_by(self.url())
    }

    /// The same as a store that is no emulator would be reached, by a signature in every request's
    /// query in place of one of its headers. Of Azure only.
    pub fn signed_environment_by(&self, url: &str) -> Vec<(&'static str, String)> {
        assert_eq!(self.kind, Kind::Azure);
        vec![
            ("AZURE_STORAGE_ENDPOINT", format!("{url}/{AZURE_ACCOUNT}")),
            ("AZURE_STORAGE_ACCOUNT", AZURE_ACCOUNT.to_owned()),
            ("AZURE_STORAGE_SAS_TOKEN", self.pass.clone()),
        ]
    }

    /// What a process needs to reach it as an account whose key is in `file`, which is made. Of
    /// Google only.
    pub fn account_environment(&self, file: &Path) -> Vec<(&'static str, String)> {
        assert_eq!(self.kind, Kind::Gcs);
        let file = file.to_str().unwrap();
        stores_script("gcs_key.py", [self.url().as_str(), file]);
        vec![("GOOGLE_BASE_URL", self.url()), ("GOOGLE_APPLICATION_CREDENTIALS", file.to_owned())]
    }

    /// What no output and no message may hold.
    pub fn canaries(&self) -> Vec<String> {
        match self.kind {
            Kind::Gcs => vec![GCS_TOKEN.to_owned()],
            Kind::Azure => vec![AZURE_KEY.to_owned(), "sig=".to_owned()],
        }
    }

    /// Takes what lies below `prefix` of a bucket into a folder; gives how many uploads nobody
    /// finished.
    #[track_caller]
    pub fn fetch(&self, bucket: &str, prefix: &str, folder: &Path) -> u32 {
        self.move_files("fetch", bucket, prefix, folder).trim().parse().unwrap()
    }

    /// Puts the files of a folder below `prefix` of a bucket, which is made where it is missing.
    #[track_caller]
    pub fn put(&self, bucket: &str, prefix: &str, folder: &Path) {
        self.move_files("put", bucket, prefix, folder);
    }

    /// Begins an upload, some time ago, that nobody finishes. Of Google only.
    #[track_caller]
    pub fn begin_upload(&self, bucket: &str, key: &str, seconds_ago: u64) {
        assert_eq!(self.kind, Kind::Gcs);
        let (url, ago) = (self.url(), seconds_ago.to_string());
        stores_script(self.kind.script(), ["begin", &url, &self.pass, bucket, key, &ago]);
    }

    #[track_caller]
    fn move_files(&self, what: &str, bucket: &str, prefix: &str, folder: &Path) -> String {
        let url = match self.kind {
            Kind::Gcs => self.url(),
            Kind::Azure => format!("{}/{AZURE_ACCOUNT}", self.url()),
        };
        let given = [what, url.as_str(), &self.pass, bucket, prefix, folder.to_str().unwrap()];
        stores_script(self.kind.script(), given)
    }

    /// Whether there is an object.
    pub fn has(&self, bucket: &str, key: &str) -> bool {
        let address = self.url().strip_prefix("http://").unwrap().parse().unwrap();
        let path = match self.kind {
            Kind::Gcs => format!("/ready/{bucket}/{key}"),
            Kind::Azure => format!("/{AZURE_ACCOUNT}/{bucket}/{key}?{}", self.pass),
        };
        crate::http::get(address, &path).is_some_and(|(status, _)| status == 200)
    }
}

/// Azurite at a port, with everything in memory.
fn azurite(port: u16) -> Program {
    let main = repository().join(".azurite/node_modules/azurite/dist/src/blob/main.js");
    assert!(main.is_file(), "{} is missing: run `make tools`", main.display());
    Program::new("node")
        .arg(main)
        .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
        .args(["--inMemoryPersistence", "--disableTelemetry", "--silent", "--skipApiVersionCheck"])
        .env("AZURITE_ACCOUNTS", format!("{AZURE_ACCOUNT}:{AZURE_KEY}"))
}
