//! Performs what [`nightshift_core::settle`] decides, against a real store.

use std::time::Duration;

use bytes::Bytes;
use nightshift_core::settle::{
    AwaitReply, CreateReply, Decision, Denial, ReadBack, Refusal, Unclear,
};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::time::{sleep, timeout};

use crate::error::{Cause, StoreError, denial_of};

/// How long one call to the store may take before its outcome counts as unknown. Longer than
/// any healthy store needs for 64 KiB, shorter than two leases.
const CALL_MAX: Duration = Duration::from_secs(30);

/// How a settlement ended, and how that is known.
#[derive(Debug)]
pub(crate) struct Outcome<P> {
    pub(crate) settlement: Settlement<P>,
    /// The object was read back: it may be another process's, and not be durable yet.
    pub(crate) read_back: bool,
}

/// How a settlement ended.
#[derive(Debug)]
pub(crate) enum Settlement<P> {
    /// The stored bytes are the ones that were sent.
    Won(P),
    /// The stored bytes are these.
    Lost(Bytes),
}

/// Something to be created once.
pub(crate) struct Candidate<'a> {
    pub(crate) store: &'a dyn ObjectStore,
    pub(crate) path: &'a Path,
    pub(crate) bytes: &'a Bytes,
    /// The word for messages.
    pub(crate) kind: &'static str,
    /// Most bytes that a winner's object may have.
    pub(crate) size_max_bytes: u64,
}

/// Creates the candidate, or finds out who did.
pub(crate) async fn settle<P>(
    candidate: Candidate<'_>,
    start: AwaitReply<P>,
) -> Result<Outcome<P>, StoreError> {
    let mut last: Option<Cause> = None;
    let mut read_back = false;
    let mut step = Decision::RetrySameBytes { after: Duration::ZERO, then: start };
    loop {
        step = match step {
            Decision::RetrySameBytes { after, then } => {
                wait(after).await;
                then.answered(candidate.create(&mut last).await)
            }
            Decision::ReadBack { after, then } => {
                wait(after).await;
                read_back = true;
                then.found(candidate.read_back(&mut last).await?, jitter())
            }
            Decision::Won(prize) => {
                return Ok(Outcome { settlement: Settlement::Won(prize), read_back });
            }
            Decision::Lost(bytes) => {
                return Ok(Outcome { settlement: Settlement::Lost(bytes), read_back });
            }
            Decision::Unsettled { creates } => {
                return Err(StoreError::Unsettled {
                    path: candidate.path.to_string(),
                    creates,
                    source: last.unwrap_or_else(|| "the object never appeared".into()),
                });
            }
            Decision::Denied(denial) => {
                let source = last.unwrap_or_else(|| format!("{denial:?}").into());
                return Err(StoreError::from_cause("create", candidate.path.to_string(), source));
            }
        }
    }
}

impl Candidate<'_> {
    async fn create(&self, last: &mut Option<Cause>) -> CreateReply {
        let payload = PutPayload::from(self.bytes.clone());
        let options = PutOptions::from(PutMode::Create);
        let put = self.store.put_opts(self.path, payload, options);
        let (reply, cause): (_, Cause) = match timeout(CALL_MAX, put).await {
            Ok(Ok(_)) => return CreateReply::Created,
            Ok(Err(error)) => (classify(&error), Box::new(error)),
            Err(elapsed) => (CreateReply::Unknown(Unclear::Timeout), Box::new(elapsed)),
        };
        tracing::debug!(path = %self.path, ?reply, error = %cause, "create was not a clean ok");
        *last = Some(cause);
        reply
    }

    async fn read_back(&self, last: &mut Option<Cause>) -> Result<ReadBack<Bytes>, StoreError> {
        let read = async {
            let object = self.store.get(self.path).await?;
            let size_bytes = object.meta.size;
            if size_bytes > self.size_max_bytes {
                return Ok(Err(size_bytes));
            }
            object.bytes().await.map(Ok)
        };
        let cause: Cause = match timeout(CALL_MAX, read).await {
            Ok(Ok(Ok(bytes))) if bytes == *self.bytes => return Ok(ReadBack::Mine),
            Ok(Ok(Ok(bytes))) => return Ok(ReadBack::Another(bytes)),
            Ok(Ok(Err(size_bytes))) => {
                return Err(StoreError::TooLarge {
                    path: self.path.to_string(),
                    kind: self.kind,
                    size_bytes,
                    limit_bytes: self.size_max_bytes,
                });
            }
            Ok(Err(Error::NotFound { .. })) => return Ok(ReadBack::Absent),
            Ok(Err(error)) => Box::new(error),
            Err(elapsed) => Box::new(elapsed),
        };
        *last = Some(cause);
        Ok(ReadBack::Unreadable)
    }
}

/// What the store's answer to a create means.
fn classify(error: &Error) -> CreateReply {
    match error {
        Error::AlreadyExists { .. } => CreateReply::Refused(Refusal::AlreadyExists),
        Error::Precondition { .. } => CreateReply::Refused(Refusal::Precondition),
        Error::NotModified { .. } => CreateReply::Refused(Refusal::NotModified),
        Error::Unauthenticated { .. } => CreateReply::Denied(Denial::Unauthenticated),
        Error::PermissionDenied { .. } => CreateReply::Denied(Denial::Forbidden),
        other => match denial_of(other) {
            Some(denial) => CreateReply::Denied(denial),
            None => CreateReply::Unknown(Unclear::Failed),
        },
    }
}

async fn wait(after: Duration) {
    if !after.is_zero() {
        sleep(after).await;
    }
}

/// A random number within 0…1.
fn jitter() -> f64 {
    // A ULID carries 80 random bits; the lower 32 are plenty to spread waits.
    f64::from(ulid::Ulid::generate().random() as u32) / f64::from(u32::MAX)
}
