//! S3 as moto plays it, in a server of a test's own.

use std::path::Path;

use crate::binaries::repository;
use crate::process::Program;
use crate::server::PythonServer;
use crate::tools::{stores_program, stores_script};

/// A server that speaks S3.
#[derive(Debug)]
pub struct S3 {
    server: PythonServer,
}

impl S3 {
    /// Starts one without buckets.
    pub fn start() -> Self {
        let server = PythonServer::start("/moto-api/", |port| {
            let script = repository().join("tests/stores/s3.py");
            Program::new(stores_program("python")).arg(script).arg(port.to_string())
        });
        Self { server }
    }

    /// `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What a process needs to read from it.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "canary-secret".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    /// The same for a process that reaches it by way of `url`.
    pub fn environment_by(&self, url: String) -> Vec<(&'static str, String)> {
        let environment = self.environment().into_iter();
        environment
            .map(|(name, value)| match name {
                "AWS_ENDPOINT_URL" => (name, url.clone()),
                _ => (name, value),
            })
            .collect()
    }

    /// Takes what lies below `prefix` of a bucket into a folder; gives how many uploads of the
    /// bucket nobody finished.
    pub fn fetch(&self, bucket: &str, prefix: &str, folder: &Path) -> u32 {
        let url = self.url();
        let told =
            stores_script("fetch.py", [url.as_str(), bucket, prefix, folder.to_str().unwrap()]);
        told.trim().parse().unwrap()
    }

    /// Begins an upload of `key` that nobody finishes. Moto says of each that it was begun in 2010.
    pub fn begin_upload(&self, bucket: &str, key: &str) {
        let url = self.url();
        stores_script("upload.py", [url.as_str(), bucket, key]);
    }

    /// Whether there is an object. Moto asks who is there, and believes any signature.
    pub fn has(&self, bucket: &str, key: &str) -> bool {
        let address = self.url().strip_prefix("http://").unwrap().parse().unwrap();
        crate::http::get(address, &format!("/{bucket}/{key}?Signature=tests"))
            .is_some_and(|(status, _)| status == 200)
    }

    /// Puts the files of a folder below `prefix` of a bucket, which is made where it is missing.
    pub fn put(&self, bucket: &str, prefix: &str, folder: &Path) {
        let url = self.url();
        stores_script("bucket.py", [url.as_str(), bucket, prefix, folder.to_str().unwrap()]);
    }
}
