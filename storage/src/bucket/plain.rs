//! Errors of the client, made plain: what the store answered, and nothing that is secret.
//!
//! The client's own text repeats the URL and the body of the answer. A body may name keys and
//! signatures, so of it only the code of S3 is taken.

use std::error::Error as StdError;

use object_store::Error;
use thiserror::Error as ThisError;

use crate::error::{Cause, chain};

/// Longest text of a transport's error that is kept.
const TEXT_MAX_CHARS: usize = 200;

/// What a store answered, or how it did not.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub(crate) enum Told {
    /// It refuses.
    #[error("the store answered {answer}; the credentials need {needs}")]
    Forbidden { answer: String, needs: &'static str },
    /// It does not know who asks.
    #[error(
        "the store answered {answer}; the credentials are missing, wrong or expired: see AWS_ACCESS_KEY_ID and the rest of the AWS_ variables"
    )]
    Unknown { answer: String },
    /// It answered something else.
    #[error("the store answered {answer}")]
    Answer { answer: String },
    /// It did not answer.
    #[error("the store gave no answer: {text}")]
    Silent { text: String },
}

/// The error without what the client repeats. `needs` are the rights of the operation.
pub(super) fn plain(error: Error, needs: &'static str) -> Error {
    let answer = answer(&error);
    let code = answer.as_deref().and_then(|answer| answer.split(' ').nth(1)).unwrap_or_default();
    // S3 answers 400 to a token that has expired.
    let unknown = matches!(code, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired")
        || matches!(code, "InvalidAccessKeyId" | "SignatureDoesNotMatch");
    let told = |answer: Option<String>| match answer {
        Some(answer) => Told::Answer { answer },
        None => Told::Silent { text: text(&error) },
    };
    match &error {
        Error::Unauthenticated { path, .. } => unauthenticated(path.clone(), answer),
        Error::PermissionDenied { path, .. } if unknown => unauthenticated(path.clone(), answer),
        Error::Generic { .. } if unknown => unauthenticated(String::new(), answer),
        Error::PermissionDenied { path, .. } => {
            let answer = answer.unwrap_or_else(|| "403".to_owned());
            let source = Box::new(Told::Forbidden { answer, needs });
            Error::PermissionDenied { path: path.clone(), source }
        }
        Error::NotFound { path, .. } => {
            Error::NotFound { path: path.clone(), source: Box::new(told(answer)) }
        }
        Error::AlreadyExists { path, .. } => {
            Error::AlreadyExists { path: path.clone(), source: Box::new(told(answer)) }
        }
        Error::Precondition { path, .. } => {
            Error::Precondition { path: path.clone(), source: Box::new(told(answer)) }
        }
        Error::NotModified { path, .. } => {
            Error::NotModified { path: path.clone(), source: Box::new(told(answer)) }
        }
        Error::NotImplemented { .. } | Error::NotSupported { .. } | Error::InvalidPath { .. } => {
            error
        }
        _ => Error::Generic { store: "S3", source: Box::new(told(answer)) },
    }
}

fn unauthenticated(path: String, answer: Option<String>) -> Error {
    let answer = answer.unwrap_or_else(|| "401".to_owned());
    Error::Unauthenticated { path, source: Box::new(Told::Unknown { answer }) }
}

/// Whether an error says that there is no such bucket.
pub(crate) fn is_no_bucket(error: &(dyn StdError + 'static)) -> bool {
    chain(error).contains("NoSuchBucket")
}

/// Status and code of an answer, as `403 AccessDenied`.
fn answer(error: &Error) -> Option<String> {
    let text = chain(error);
    let (_, rest) = text.split_once("status code: ")?;
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
    pub(crate) fn into_store(self) -> Error {
        let source: Cause = Box::new(self);
        Error::Generic { store: "S3", source }
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
        let told = chain(&plain(denied(body), "s3:PutObject"));
        assert!(told.contains("403 AccessDenied; the credentials need s3:PutObject"), "{told}");
        assert!(!told.contains("canary"), "{told}");
    }

    #[test]
    fn a_key_that_is_not_known_is_another_matter() {
        let error = plain(denied("<Error><Code>InvalidAccessKeyId</Code></Error>"), "s3:PutObject");
        assert!(matches!(error, Error::Unauthenticated { .. }), "{error:?}");
        let told = chain(&error);
        assert!(told.contains("missing, wrong or expired"), "{told}");
    }

    #[test]
    fn a_transport_is_told_by_its_innermost_words() {
        let source = std::io::Error::other("error sending request for url (http://canary/x)");
        let told = chain(&plain(Error::Generic { store: "S3", source: Box::new(source) }, "x"));
        assert!(told.contains("error sending request") && !told.contains("canary"), "{told}");
    }
}
