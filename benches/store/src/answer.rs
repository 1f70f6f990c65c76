//! Requests of S3 and their answers.

use std::fmt::Write;
use std::sync::PoisonError;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use crate::Store;
use crate::bucket::{Object, Objects};

/// Largest body.
const BODY_MAX: usize = 256 << 20;
/// Keys of a page.
const PAGE: usize = 1_000;

pub(crate) async fn answer(State(store): State<Store>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        return error(StatusCode::BAD_REQUEST, "IncompleteBody");
    };
    let path = decoded(head.uri.path());
    let key = path.trim_start_matches('/');
    let query = Query(head.uri.query().unwrap_or_default());
    // No request leaves the objects half changed.
    let mut objects = store.lock().unwrap_or_else(PoisonError::into_inner);
    let is_bucket = !key.trim_end_matches('/').contains('/');
    match head.method {
        Method::PUT if is_bucket => StatusCode::OK.into_response(),
        // Buckets are there when they are first named; nobody needs to know which.
        Method::GET if key.is_empty() => {
            xml("<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>".to_owned())
        }
        Method::GET if is_bucket => list(&objects, key.trim_end_matches('/'), query),
        Method::PUT => put(&mut objects, key, query, &head.headers, body),
        Method::GET | Method::HEAD => {
            get(&objects, key, &head.headers, head.method == Method::HEAD)
        }
        Method::POST => upload(&mut objects, key, query),
        Method::DELETE => {
            match query.get("uploadId") {
                Some(name) => drop(objects.end(&name)),
                None => objects.delete(key),
            }
            StatusCode::NO_CONTENT.into_response()
        }
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

fn put(
    objects: &mut Objects,
    key: &str,
    query: Query<'_>,
    headers: &HeaderMap,
    body: Bytes,
) -> Response {
    if let (Some(name), Some(part)) = (query.get("uploadId"), query.get("partNumber")) {
        let known = part.parse().is_ok_and(|part| objects.put_part(&name, part, body));
        return match known {
            true => [(header::ETAG, format!("\"{part}\""))].into_response(),
            false => error(StatusCode::NOT_FOUND, "NoSuchUpload"),
        };
    }
    let only_new = text(headers, "if-none-match") == Some("*");
    let source = text(headers, "x-amz-copy-source").map(decoded);
    let is_copy = source.is_some();
    let data = match source {
        None => Some(body),
        Some(source) => objects.get(source.trim_start_matches('/')).map(|object| object.data),
    };
    let Some(data) = data else { return error(StatusCode::NOT_FOUND, "NoSuchKey") };
    let Some(etag) = objects.put(key, data, only_new) else {
        return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    };
    if !is_copy {
        return [(header::ETAG, etag)].into_response();
    }
    xml(format!("<CopyObjectResult><ETag>{etag}</ETag>{MODIFIED}</CopyObjectResult>"))
}

fn get(objects: &Objects, key: &str, headers: &HeaderMap, head_only: bool) -> Response {
    let Some(Object { data, etag }) = objects.get(key) else {
        return error(StatusCode::NOT_FOUND, "NoSuchKey");
    };
    if text(headers, "if-match").is_some_and(|wanted| wanted != etag) {
        return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    }
    let size = data.len();
    let asked = text(headers, "range").and_then(|range| range.strip_prefix("bytes="));
    let range = asked.and_then(|range| match range.split_once('-')? {
        ("", last) => Some(size.saturating_sub(last.parse().ok()?)..size),
        (first, "") => Some(first.parse().ok()?..size),
        (first, last) => Some(first.parse().ok()?..(last.parse::<usize>().ok()? + 1).min(size)),
    });
    let mut answer = Response::builder()
        .header(header::ETAG, etag)
        .header(header::LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT")
        .header(header::ACCEPT_RANGES, "bytes");
    let part = match range {
        None => data,
        Some(range) if range.start < range.end => {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            answer = answer.status(StatusCode::PARTIAL_CONTENT);
            answer = answer.header(header::CONTENT_RANGE, shown);
            data.slice(range)
        }
        Some(_) => return error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
    };
    let answer = answer.header(header::CONTENT_LENGTH, part.len());
    let body = if head_only { Body::empty() } else { Body::from(part) };
    answer.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn upload(objects: &mut Objects, key: &str, query: Query<'_>) -> Response {
    let Some(name) = query.get("uploadId") else {
        let name = objects.begin();
        return xml(format!(
            "<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
        ));
    };
    let ended = objects.end(&name).and_then(|data| objects.put(key, data, false));
    match ended {
        Some(etag) => xml(format!(
            "<CompleteMultipartUploadResult><Key>{}</Key><ETag>{etag}</ETag></CompleteMultipartUploadResult>",
            escaped(key)
        )),
        None => error(StatusCode::NOT_FOUND, "NoSuchUpload"),
    }
}

fn list(objects: &Objects, bucket: &str, query: Query<'_>) -> Response {
    let prefix = format!("{bucket}/{}", query.get("prefix").unwrap_or_default());
    let after = query.get("continuation-token").or_else(|| query.get("start-after"));
    let after = after.map_or(String::new(), |after| format!("{bucket}/{after}"));
    let most = query.get("max-keys").and_then(|most| most.parse().ok()).unwrap_or(PAGE).min(PAGE);
    let listing = objects.list(&prefix, query.get("delimiter").is_some(), &after, most);
    let own = |key: &str| escaped(key.strip_prefix(bucket).unwrap_or(key).trim_start_matches('/'));
    let mut out = format!("<ListBucketResult><IsTruncated>{}</IsTruncated>", listing.is_cut);
    for (key, object) in &listing.keys {
        let (key, size, etag) = (own(key), object.data.len(), &object.etag);
        // Writing to text does not fail.
        let _ = write!(
            out,
            "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>{etag}</ETag>{MODIFIED}</Contents>"
        );
    }
    for prefix in &listing.prefixes {
        let _ = write!(out, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", own(prefix));
    }
    if let (true, Some((key, _))) = (listing.is_cut, listing.keys.last()) {
        let _ = write!(out, "<NextContinuationToken>{}</NextContinuationToken>", own(key));
    }
    out.push_str("</ListBucketResult>");
    xml(out)
}

/// When everything was written, as far as anybody is told.
const MODIFIED: &str = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>";

fn xml(text: String) -> Response {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}");
    ([(header::CONTENT_TYPE, "application/xml")], text).into_response()
}

fn error(status: StatusCode, code: &str) -> Response {
    (status, xml(format!("<Error><Code>{code}</Code></Error>"))).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What stands behind the `?`.
#[derive(Clone, Copy)]
struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(self, name: &str) -> Option<String> {
        let pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
    }
}
