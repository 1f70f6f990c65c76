//! Answers that say 200 and mean something else.
//!
//! Azure may answer a copy with `pending` and go on by itself, which it rarely does within one
//! account. The name is there from the beginning, and the bytes are not. So an answer about such a
//! blob is made a conflict: nobody reads it or counts its bytes before it is whole.
//!
//! A store that fails after it has begun to answer says so in the body. The client knows that of
//! copies and of uploads in parts, and would take such an answer to a listing for an empty one: the
//! rest of an input would be missing, and nobody would notice. It is made what it is, a failure of
//! the store, after which the client asks again. So it does where the text of a refusal breaks off,
//! which alone says what is refused.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};
use reqwest::StatusCode;

/// The code of the conflict of a copy, which is Azure's own for a blob that cannot be written
/// meanwhile.
pub(in crate::bucket) const PENDING: &str = "PendingCopyOperation";

const COPY_STATUS: &str = "x-ms-copy-status";
/// What a query has that asks for a listing: of S3 and Google, and of Azure.
const LISTS: [&str; 2] = ["list-type=2", "comp=list"];
/// What the documents of listings are called: by S3 and Google, and by Azure.
const LISTINGS: [&str; 2] = ["ListBucketResult", "EnumerationResults"];

/// Connects to a store whose answers are taken for what they mean.
#[derive(Debug)]
pub(super) struct Meant;

#[derive(Debug)]
struct Watched(HttpClient);

impl HttpConnector for Meant {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        ReqwestConnector::default().connect(options).map(|client| HttpClient::new(Watched(client)))
    }
}

#[async_trait]
impl HttpService for Watched {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let query = request.uri().query().unwrap_or_default();
        let lists = request.method() == "GET" && LISTS.iter().any(|word| query.contains(word));
        let answer = self.0.execute(request).await?;
        if answer.headers().get(COPY_STATUS).is_some_and(|status| status == "pending") {
            let body = format!("<Error><Code>{PENDING}</Code></Error>");
            return Ok(with_status(StatusCode::CONFLICT, body.into()));
        }
        let succeeds = answer.status().is_success();
        if succeeds && !lists {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let broken = |error| HttpError::new(HttpErrorKind::Interrupted, error);
        let body = body.bytes().await.map_err(broken)?;
        Ok(match succeeds && !is_listing(&body) {
            true => with_status(StatusCode::SERVICE_UNAVAILABLE, body.into()),
            false => HttpResponse::from_parts(head, body.into()),
        })
    }
}

fn with_status(status: StatusCode, body: HttpResponseBody) -> HttpResponse {
    let mut answer = HttpResponse::new(body);
    *answer.status_mut() = status;
    answer
}

/// Whether a document is a listing, by the name of its first element.
fn is_listing(body: &[u8]) -> bool {
    /// More than a declaration and white space.
    const LOOKED_AT: usize = 1024;
    let begin = String::from_utf8_lossy(body.get(..LOOKED_AT).unwrap_or(body));
    let mut elements = begin.split('<').skip(1).filter(|text| !text.starts_with(['?', '!']));
    let first = elements.next().unwrap_or_default();
    // A name may have a prefix.
    let name = first.split([' ', '>', '/', '\n', '\t', '\r']).next().unwrap_or_default();
    LISTINGS.contains(&name.rsplit(':').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_told_from_an_error() {
        for (body, is) in [
            ("<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"><Name>b</Name>", true),
            ("\u{feff}<?xml version=\"1.0\"?><EnumerationResults ServiceEndpoint=\"x\">", true),
            ("<ListBucketResult/>", true),
            ("<s3:ListBucketResult>", true),
            ("<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>", false),
            ("<Error><Code>ListBucketResult</Code></Error>", false),
            ("<html>", false),
            ("", false),
        ] {
            assert_eq!(is_listing(body.as_bytes()), is, "{body}");
        }
    }
}
