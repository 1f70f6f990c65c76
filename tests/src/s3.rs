//! S3 as moto plays it, in a server of a test's own.

use std::path::Path;

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
            Program::new(stores_program("moto_server")).args([
                "--host",
                "127.0.0.1",
                "--port",
                &port.to_string(),
            ])
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

    /// Puts the files of a folder below `prefix` of a bucket, which is made where it is missing.
    pub fn put(&self, bucket: &str, prefix: &str, folder: &Path) {
        let url = self.url();
        stores_script("bucket.py", [url.as_str(), bucket, prefix, folder.to_str().unwrap()]);
    }
}
