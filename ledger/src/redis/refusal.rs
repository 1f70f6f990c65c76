//! What the Redis library reports, as a reason and words without secrets.

use std::error::Error;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::redis::url::RedisUrl;
use crate::{LedgerError, Reason};

/// Characters of a server's words that are repeated: one line of a log.
const WORDS_MAX: usize = 200;

/// Says what a failed command of the server at `url` means.
pub(super) fn refusal(url: &RedisUrl, error: RedisError) -> LedgerError {
    let (reason, words) = classify(error);
    let words = words.map(|words| clip(&url.scrub(&words)));
    let address = url.address();
    let Some(reason) = reason else {
        return LedgerError::Damaged {
            key: format!("a key at {address}"),
            found: words.unwrap_or_default(),
        };
    };
    let advice = advice(reason);
    let why = match words {
        Some(words) => format!("redis at {address}: {words}{advice}"),
        None => format!("redis at {address}{advice}"),
    };
    LedgerError::Unavailable { reason, why }
}

/// No reason means that a key holds something of another kind.
fn classify(error: RedisError) -> (Option<Reason>, Option<String>) {
    let words = Some(error.to_string());
    let kind = error.kind();
    let is_refused = error.is_connection_refusal();
    let is_timeout = error.is_timeout();
    let is_tls = is_tls(&error);
    if let Some(errors) = error.into_server_errors() {
        // Commands of a transaction fail for the reason of the first; `EXECABORT` follows.
        let found = errors.iter().map(|(_, error)| error).find(|error| error.code() != "EXECABORT");
        let words =
            found.map(|error| format!("{} {}", error.code(), error.details().unwrap_or_default()));
        return (found.map_or(Some(Reason::Server), |found| of_code(found.code())), words);
    }
    let reason = match kind {
        _ if is_tls => Reason::Tls,
        ErrorKind::AuthenticationFailed => Reason::Auth,
        ErrorKind::Io if is_timeout => Reason::Timeout,
        ErrorKind::Io if is_refused => Reason::Refused,
        ErrorKind::Io if words.as_deref().is_some_and(is_lookup) => Reason::Unresolved,
        ErrorKind::Io => Reason::Disconnected,
        ErrorKind::InvalidClientConfig => Reason::Unresolved,
        ErrorKind::Server(kind) => of_kind(kind),
        _ => Reason::Server,
    };
    (Some(reason), words)
}

fn of_code(code: &str) -> Option<Reason> {
    Some(match code {
        "WRONGTYPE" => return None,
        "NOAUTH" | "WRONGPASS" => Reason::Auth,
        "NOPERM" => Reason::NoPermission,
        "READONLY" => Reason::ReadOnly,
        "LOADING" => Reason::Loading,
        "MISCONF" | "NOREPLICAS" => Reason::Misconfigured,
        "OOM" => Reason::OutOfMemory,
        "MASTERDOWN" => Reason::MasterDown,
        "BUSY" | "UNKILLABLE" => Reason::Busy,
        "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "CROSSSLOT" => Reason::Cluster,
        _ => Reason::Server,
    })
}

fn of_kind(kind: ServerErrorKind) -> Reason {
    match kind {
        ServerErrorKind::BusyLoading => Reason::Loading,
        ServerErrorKind::ReadOnly => Reason::ReadOnly,
        ServerErrorKind::MasterDown => Reason::MasterDown,
        ServerErrorKind::NoPerm => Reason::NoPermission,
        ServerErrorKind::Moved
        | ServerErrorKind::Ask
        | ServerErrorKind::TryAgain
        | ServerErrorKind::ClusterDown
        | ServerErrorKind::CrossSlot => Reason::Cluster,
        _ => Reason::Server,
    }
}

/// What a person can do about it, where the server's own words do not say.
fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::Auth => "; check user and password in the Redis URL",
        Reason::NoPermission => "; give the user the ACL of docs/ledger.md",
        Reason::ReadOnly => "; point the Redis URL at the primary",
        Reason::Timeout => ": no answer in time",
        Reason::Cluster => "; Redis Cluster is not supported, use a single primary",
        Reason::Tls => "; check the certificate, or give its authority with --redis-ca",
        _ => "",
    }
}

/// Whether the TLS handshake failed, anywhere down the causes.
fn is_tls(error: &RedisError) -> bool {
    // The library shares its causes, and an I/O error hides what it wraps from `source`.
    let is_tls_itself = |error: &(dyn Error + 'static)| {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        error.is::<rustls::Error>() || wrapped.is_some_and(|inner| inner.is::<rustls::Error>())
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>();
        if is_tls_itself(error) || shared.is_some_and(|shared| is_tls_itself(shared.as_ref())) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_lookup(words: &str) -> bool {
    words.contains("lookup address")
}

fn clip(words: &str) -> String {
    let words = words.trim();
    let clipped: String = words.chars().take(WORDS_MAX).flat_map(char::escape_debug).collect();
    if words.chars().count() > WORDS_MAX { format!("{clipped}…") } else { clipped }
}
