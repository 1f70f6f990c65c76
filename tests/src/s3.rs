//! S3 as moto plays it, in a server of a test's own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::binaries::repository;
use crate::http;
use crate::process::Program;
use crate::server::PythonServer;
use crate::tools::{stores_program, stores_script};

/// Moto asks who is there, and believes any signature.
const SIGNED: &str = "Signature=tests";
/// What of a key is written otherwise in a URL.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

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

    /// Puts the files of a folder below `prefix` of a bucket, which is made where it is missing.
    pub fn put(&self, bucket: &str, prefix: &str, folder: &Path) {
        let url = self.url();
        stores_script("bucket.py", [url.as_str(), bucket, prefix, folder.to_str().unwrap()]);
    }

    /// Makes a bucket.
    pub fn create_bucket(&self, bucket: &str) {
        let target = format!("/{bucket}?{SIGNED}");
        let made = http::ask(self.address(), "PUT", &target, &[]).map(|(status, _)| status);
        assert_eq!(made, Some(200), "bucket {bucket}");
    }

    /// Whether there is an object.
    pub fn has(&self, bucket: &str, key: &str) -> bool {
        self.object(bucket, key).is_some()
    }

    /// The bytes of an object, if it is there.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let (status, bytes) = http::ask(self.address(), "GET", &target(bucket, key), &[])?;
        (status == 200).then_some(bytes)
    }

    /// Writes an object, in the place of one that may be there.
    pub fn put_object(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let put = http::ask(self.address(), "PUT", &target(bucket, key), bytes);
        assert_eq!(put.map(|(status, _)| status), Some(200), "{key}");
    }

    /// Removes an object.
    pub fn delete_object(&self, bucket: &str, key: &str) {
        let gone = http::ask(self.address(), "DELETE", &target(bucket, key), &[]);
        assert_eq!(gone.map(|(status, _)| status), Some(204), "{key}");
    }

    /// The objects whose keys begin with `prefix`, with the ETag of each.
    pub fn list(&self, bucket: &str, prefix: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut from = String::new();
        loop {
            let prefix = utf8_percent_encode(prefix, ENCODED);
            let path = format!("/{bucket}?list-type=2&prefix={prefix}{from}&{SIGNED}");
            let (status, page) = http::ask(self.address(), "GET", &path, &[]).unwrap();
            assert_eq!(status, 200, "the listing of {bucket}");
            let page = String::from_utf8(page).unwrap();
            for object in page.split("<Contents>").skip(1) {
                found.insert(field(object, "Key").unwrap(), field(object, "ETag").unwrap());
            }
            match field(&page, "NextContinuationToken") {
                Some(token) => {
                    from = format!("&continuation-token={}", utf8_percent_encode(&token, ENCODED));
                }
                None => return found,
            }
        }
    }

    /// Where it is called.
    pub fn address(&self) -> SocketAddr {
        self.url().strip_prefix("http://").unwrap().parse().unwrap()
    }
}

fn target(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}?{SIGNED}", utf8_percent_encode(key, ENCODED))
}

fn field(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value.replace("&quot;", "\"").replace("&amp;", "&"))
}
