//! Errors of the client, made plain: what the store answered, and nothing that is secret.
//!
//! The client's own text repeats the URL and the body of the answer. A body may name keys and
//! signatures, so of it only the code is taken.

use std::error::Error as StdError;

use nightshift_core::place::BucketKind;
use object_store::Error;
use thiserror::Error as ThisError;

use super::client::PENDING;
use super::rights::{Act, needs};
use crate::error::{Cause, chain};

/// Longest text of a transport's error that is kept.
const TEXT_MAX_CHARS: usize = 200;

/// Codes of answers that say who asks is not known: those of S3, which answers 400 to a token that
/// has expired, and that of Azure.
const UNKNOWN: [&str; 6] = [
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthenticationFailed",
];

/// What a store answered, or how it did not.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub(crate) enum Told {
    /// It refuses.
    #[error("the store answered {answer}; the credentials need {needs}")]
    Forbidden { answer: String, needs: &'static str },
    /// It does not know who asks.
    #[error(
        "the store answered {answer}; the credentials are missing, wrong or expired: see {variables}"
    )]
    Unknown { answer: String, variables: &'static str },
    /// Who hands out tokens refused to.
    #[error("no token was given, {answer}: see {variables}")]
    NoToken { answer: String, variables: &'static str },
    /// It answered something else.
    #[error("the store answered {answer}")]
    Answer { answer: String },
    /// It did not answer.
    #[error("the store gave no answer: {text}")]
    Silent { text: String },
    /// Nobody who hands out tokens answered.
    #[error("nobody gave a token: {text}; see {variables}")]
    NobodyGave { text: String, variables: &'static str },
}

/// The error without what the client repeats, after `act`.
pub(super) fn plain(error: Error, kind: BucketKind, act: Act) -> Error {
    let answer = answer(&error);
    let mut words = answer.iter().flat_map(|answer| answer.split(' '));
    let (status, code) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let told = |answer: Option<String>| -> Cause {
        Box::new(match answer {
            Some(answer) => Told::Answer { answer },
            None => Told::Silent { text: text(&error) },
        })
    };
    let unknown = UNKNOWN.contains(&code);
    let denied = match &error {
        Error::Unauthenticated { path, .. } => Some((path, Denied::Unknown)),
        Error::PermissionDenied { path, .. } if unknown => Some((path, Denied::Unknown)),
        Error::PermissionDenied { path, .. } => Some((path, Denied::Forbidden)),
        _ => None,
    };
    // Of some requests the client does not say what their status means.
    let denied = match (&error, status) {
        (Error::Generic { .. }, _) if is_of_token(&error) => {
            return no_token(kind, answer, text(&error));
        }
        (Error::Generic { .. }, _) if unknown => Some((String::new(), Denied::Unknown)),
        (Error::Generic { .. }, "401") => Some((String::new(), Denied::Unknown)),
        (Error::Generic { .. }, "403") => Some((String::new(), Denied::Forbidden)),
        _ => denied.map(|(path, denied)| (path.clone(), denied)),
    };
    if let Some((path, denied)) = denied {
        return denied.told(kind, act, path, answer);
    }
    match &error {
        Error::NotFound { path, .. } => {
            Error::NotFound { path: path.clone(), source: told(answer) }
        }
        Error::AlreadyExists { path, .. } => {
            Error::AlreadyExists { path: path.clone(), source: told(answer) }
        }
        Error::Precondition { path, .. } => {
            Error::Precondition { path: path.clone(), source: told(answer) }
        }
        Error::NotModified { path, .. } => {
            Error::NotModified { path: path.clone(), source: told(answer) }
        }
        Error::NotImplemented { .. } | Error::NotSupported { .. } | Error::InvalidPath { .. } => {
            error
        }
        _ => Error::Generic { store: kind.scheme(), source: told(answer) },
    }
}

/// How a store refuses.
#[derive(Debug, Clone, Copy)]
enum Denied {
    /// Who asks is known, and lacks a right.
    Forbidden,
    /// Who asks is not known.
    Unknown,
}

impl Denied {
    fn told(self, kind: BucketKind, act: Act, path: String, answer: Option<String>) -> Error {
        match self {
            Self::Forbidden => {
                let answer = answer.unwrap_or_else(|| "403".to_owned());
                let source = Box::new(Told::Forbidden { answer, needs: needs(kind, act) });
                Error::PermissionDenied { path, source }
            }
            Self::Unknown => {
                let answer = answer.unwrap_or_else(|| "401".to_owned());
                let source = Box::new(Told::Unknown { answer, variables: kind.identity() });
                Error::Unauthenticated { path, source }
            }
        }
    }
}

/// Whether an error is of who hands out tokens, and not of the store.
fn is_of_token(error: &Error) -> bool {
    chain(error).contains("Error performing token request")
}

/// What it means that there is no token: a refusal lasts, silence may pass.
fn no_token(kind: BucketKind, answer: Option<String>, text: String) -> Error {
    let variables = kind.identity();
    match answer {
        Some(answer) if answer.starts_with("40") => {
            let source = Box::new(Told::NoToken { answer, variables });
            Error::Unauthenticated { path: String::new(), source }
        }
        answer => {
            let text = answer.unwrap_or(text);
            let source = Box::new(Told::NobodyGave { text, variables });
            Error::Generic { store: kind.scheme(), source }
        }
    }
}

/// Whether an error says that there is no such bucket.
pub(crate) fn is_no_bucket(error: &(dyn StdError + 'static)) -> bool {
    let told = chain(error);
    told.contains("NoSuchBucket") || told.contains("ContainerNotFound")
}

/// Whether an error says that a copy is not whole yet.
pub(super) fn is_pending(error: &Error) -> bool {
    matches!(error, Error::AlreadyExists { .. }) && chain(error).contains(PENDING)
}

/// Status and code of an answer, as `403 AccessDenied`.
fn answer(error: &Error) -> Option<String> {
    let text = chain(error);
    // Of a delete among many there is a status alone.
    let (_, rest) = text.split_once("status code: ").or_else(|| text.split_once("(code: "))?;
    let status: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let code = rest.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map(|(code, _)| code).filter(|code| code.chars().all(char::is_alphanumeric));
    Some(match code {
        Some(code) => format!("{status} {code}"),
        None => status,
    })
}

/// The innermost words of an error, which name neither URL nor body.
pub(super) fn text(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn StdError), |&error| error.source());
    let words = causes.last().map(ToString::to_string).unwrap_or_default();
    let words = words.split("://").next().unwrap_or_default();
    let words = words.split('<').next().unwrap_or_default();
    words.chars().filter(|c| !c.is_control()).take(TEXT_MAX_CHARS).collect()
}

impl Told {
    /// An error of an operation that is none of the client's.
    pub(crate) fn into_store(self, kind: BucketKind) -> Error {
        let source: Cause = Box::new(self);
        Error::Generic { store: kind.scheme(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(body: &str) -> Error {
        let source = format!(
            "Error performing PUT http://h/b/k?sig=canary - Server returned non-2xx status code: 403 Forbidden: {body}"
        );
        Error::PermissionDenied { path: "k".into(), source: source.into() }
    }

    #[test]
    fn a_refusal_names_the_right_that_is_missing_and_no_secret() {
        let body =
            "<Error><Code>AccessDenied</Code><AWSAccessKeyId>canary</AWSAccessKeyId></Error>";
        let told = chain(&plain(denied(body), BucketKind::S3, Act::Put));
        assert!(told.contains("403 AccessDenied; the credentials need s3:PutObject"), "{told}");
        assert!(!told.contains("canary"), "{told}");
    }

    #[test]
    fn a_key_that_is_not_known_is_another_matter() {
        let body = "<Error><Code>InvalidAccessKeyId</Code></Error>";
        let error = plain(denied(body), BucketKind::S3, Act::Put);
        assert!(matches!(error, Error::Unauthenticated { .. }), "{error:?}");
        let told = chain(&error);
        assert!(told.contains("missing, wrong or expired"), "{told}");
    }

    fn generic(source: impl Into<Cause>) -> Error {
        Error::Generic { store: "x", source: source.into() }
    }

    #[test]
    fn a_status_is_understood_that_the_client_only_repeats() {
        let listing = "Error performing list request: Error performing GET http://h/canary - Server returned non-2xx status code: 403 Forbidden: <Error><Code>AuthorizationPermissionMismatch</Code></Error>";
        let error = plain(generic(listing), BucketKind::Azure, Act::List);
        assert!(matches!(error, Error::PermissionDenied { .. }), "{error:?}");
        let told = chain(&error);
        assert!(told.contains("containers/blobs/read") && !told.contains("canary"), "{told}");
        let deleted = "Bulk delete request failed for key canary: Forbidden (code: 403)";
        let error = plain(generic(deleted), BucketKind::Azure, Act::Delete);
        assert!(chain(&error).contains("403; the credentials need"), "{error:?}");
        assert!(chain(&error).contains("blobs/delete"), "{error:?}");
    }

    #[test]
    fn a_token_that_is_refused_is_not_asked_for_again() {
        let refused = "Error performing token request: Error performing POST http://h/canary - Server returned non-2xx status code: 400 Bad Request: {\"error\":\"invalid_grant canary\"}";
        let error = plain(generic(refused), BucketKind::Gcs, Act::Get);
        assert!(matches!(error, Error::Unauthenticated { .. }), "{error:?}");
        let told = chain(&error);
        assert!(told.contains("no token was given, 400: see GOOGLE_"), "{told}");
        assert!(!told.contains("canary"), "{told}");
        let silent = "Error performing token request: error sending request";
        let error = plain(generic(silent), BucketKind::Gcs, Act::Get);
        assert!(matches!(error, Error::Generic { .. }), "{error:?}");
        assert!(chain(&error).contains("nobody gave a token"), "{error:?}");
    }

    #[test]
    fn a_transport_is_told_by_its_innermost_words() {
        let source = std::io::Error::other("error sending request for url (http://canary/x)");
        let told = chain(&plain(generic(source), BucketKind::Gcs, Act::Get));
        assert!(told.contains("error sending request") && !told.contains("canary"), "{told}");
    }
}
