//! Uploads that nobody finished: parts without a name, which cost money until they are removed.
//!
//! The client has no call that lists them, so the request is made here: S3 and Google Cloud
//! Storage answer it alike. A store that does not know the request has none to tell of.

use std::time::Duration;

use jiff::Timestamp;
use object_store::aws::AmazonS3;
use object_store::gcp::GoogleCloudStorage;
use object_store::multipart::MultipartStore;
use object_store::path::Path as ObjectPath;
use object_store::signer::{SignedUrlOptions, Signer};
use reqwest::{Method, Url};

use super::Bucket;
use super::rights::Act;
use crate::error::StoreError;

/// How long the signed request may be used.
const SIGNED_FOR: Duration = Duration::from_secs(60);
/// Uploads that one listing gives at most, by S3; the next collection takes the next ones.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// One upload that was begun and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfinished {
    key: String,
    id: String,
    /// When it was begun, by the store's clock.
    pub(crate) begun: Timestamp,
}

/// How uploads are asked for that nobody finished.
pub(super) enum Uploads {
    /// By a request that the client signs.
    S3(AmazonS3),
    /// By a request with the client's token.
    Gcs(GcsUploads),
    /// The store forgets them by itself: Azure keeps blocks without a name for a week, and has no
    /// list of them.
    Expire,
}

/// What the uploads of a bucket of Google Cloud Storage are asked for by.
pub(super) struct GcsUploads {
    pub(super) client: GoogleCloudStorage,
    /// Of the bucket.
    pub(super) url: String,
}

impl Bucket {
    /// Uploads below this place that nobody finished; none where the store does not tell.
    pub(crate) async fn unfinished(&self) -> Vec<Unfinished> {
        match self.ask_unfinished().await {
            Some(text) => parse(&text),
            None => Vec::new(),
        }
    }

    async fn ask_unfinished(&self) -> Option<String> {
        let prefix = format!("{}/", self.place.prefix);
        let prefix = if prefix == "/" { "" } else { prefix.as_str() };
        let client = reqwest::Client::builder().timeout(SIGNED_FOR).build().ok()?;
        let query = [("uploads", ""), ("prefix", prefix)];
        let request = match &self.uploads {
            Uploads::S3(store) => {
                let options = SignedUrlOptions::default().with_query(query);
                let root = ObjectPath::default();
                let url = store.signed_url_opts(Method::GET, &root, SIGNED_FOR, &options);
                client.get(url.await.ok()?)
            }
            Uploads::Gcs(GcsUploads { client: store, url }) => {
                let token = store.credentials().get_credential().await.ok()?;
                let url = Url::parse_with_params(url, query).ok()?;
                client.get(url).bearer_auth(&token.bearer)
            }
            Uploads::Expire => return None,
        };
        let mut answer = request.send().await.ok()?;
        if !answer.status().is_success() {
            tracing::debug!(status = %answer.status(), "the store does not list uploads");
            return None;
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.ok()? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                return None;
            }
        }
        String::from_utf8(bytes).ok()
    }

    /// Removes the parts of an upload.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn abort(&self, upload: &Unfinished) -> Result<(), StoreError> {
        let failed = |error| {
            let error = self.plain(error, Act::Abort);
            StoreError::from_store("abort the upload of", &upload.key, error)
        };
        let key = ObjectPath::parse(&upload.key)
            .map_err(|source| failed(object_store::Error::InvalidPath { source }))?;
        let aborted = match &self.uploads {
            Uploads::S3(store) => store.abort_multipart(&key, &upload.id).await,
            Uploads::Gcs(GcsUploads { client, .. }) => {
                client.abort_multipart(&key, &upload.id).await
            }
            Uploads::Expire => Ok(()),
        };
        match aborted {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// The uploads of an answer; what is not understood is left alone.
fn parse(text: &str) -> Vec<Unfinished> {
    let field = |upload: &str, name: &str| -> Option<String> {
        let (_, rest) = upload.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        let plain = value.replace("&quot;", "\"").replace("&apos;", "'").replace("&lt;", "<");
        Some(plain.replace("&gt;", ">").replace("&amp;", "&"))
    };
    let uploads = text.split("<Upload>").skip(1);
    let found = uploads.filter_map(|upload| {
        Some(Unfinished {
            key: field(upload, "Key")?,
            id: field(upload, "UploadId")?,
            begun: field(upload, "Initiated")?.parse().ok()?,
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_of_an_answer_is_taken() {
        let text = "<?xml version=\"1.0\"?><ListMultipartUploadsResult><Bucket>b</Bucket>\
            <Upload><Key>a/b&amp;c</Key><UploadId>u1</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>\
            <Upload><Key>odd</Key><UploadId>u2</UploadId><Initiated>soon</Initiated></Upload>\
            </ListMultipartUploadsResult>";
        let begun = "2026-01-01T00:00:00Z".parse().unwrap();
        let (key, id) = ("a/b&c".to_owned(), "u1".to_owned());
        assert_eq!(parse(text), [Unfinished { key, id, begun }]);
        assert_eq!(parse("<html>"), []);
    }
}
