//! Copies that Azure has begun and not ended.
//!
//! Azure may answer a copy with `pending` and go on by itself, which it rarely does within one
//! account. The name is there from the beginning, and the bytes are not. So an answer about such a
//! blob is made a conflict: nobody reads it or counts its bytes before it is whole.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use reqwest::StatusCode;

/// The code of that conflict, which is Azure's own for a blob that cannot be written meanwhile.
pub(in crate::bucket) const PENDING: &str = "PendingCopyOperation";

const STATUS: &str = "x-ms-copy-status";

/// Connects to a store of which only whole blobs are seen.
#[derive(Debug)]
pub(super) struct OnlyWhole;

#[derive(Debug)]
struct Watched(HttpClient);

impl HttpConnector for OnlyWhole {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        ReqwestConnector::default().connect(options).map(|client| HttpClient::new(Watched(client)))
    }
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.0.execute(request).await?;
        if answer.headers().get(STATUS).is_none_or(|status| status != "pending") {
            return Ok(answer);
        }
        let body = format!("<Error><Code>{PENDING}</Code></Error>");
        let mut conflict = HttpResponse::new(body.into());
        *conflict.status_mut() = StatusCode::CONFLICT;
        Ok(conflict)
    }
}
