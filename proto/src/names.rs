//! Ids that only the protocol has: workers, requests, pages, traces and reasons of failure.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::field::{InvalidText, OutOfRange};
use crate::limits::{BATCH_SIZE_MAX, ID_MAX_BYTES, REASON_MAX_BYTES};

/// Defines a newtype over text with one validating constructor.
macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                let check: fn(&str) -> Result<(), InvalidText> = $check;
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_name! {
    /// What a worker calls itself: unique among living workers, kept for the life of the process.
    WorkerName, visible
}

text_name! {
    /// Random id of a request; a call that is repeated with the same id happens once.
    RequestId, visible
}

text_name! {
    /// Random id of the last numbers of a pod; the same one counts once.
    SnapshotId, visible
}

text_name! {
    /// What a pod is called.
    PodName, visible
}

text_name! {
    /// Name of a sample on a page of metrics: 1 to 128 letters, digits, `_` and `:`.
    SampleName, sample
}

text_name! {
    /// Who asks for a run, for people: user and host.
    Requester, visible
}

text_name! {
    /// Where the next page of a list begins; only the coordinator knows what it means.
    PageToken, visible
}

text_name! {
    /// Short name under which failures are counted: 1 to 64 of `a-z`, `0-9` and `_`, a letter first.
    Reason, reason
}

text_name! {
    /// A W3C trace context in the form of its header `traceparent`, version 00.
    ///
    /// <https://www.w3.org/TR/trace-context/#traceparent-header>
    TraceParent, traceparent
}

/// A batch size that an attempt has learned, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchSize(NonZeroU32);

// === impl BatchSize ===

impl BatchSize {
    /// The batch size `size`.
    ///
    /// # Errors
    /// If it is 0 or more than [`BATCH_SIZE_MAX`].
    pub fn new(size: u32) -> Result<Self, OutOfRange> {
        let invalid = OutOfRange { value: size.into(), min: 1, max: BATCH_SIZE_MAX.into() };
        NonZeroU32::new(size).filter(|size| size.get() <= BATCH_SIZE_MAX).map(Self).ok_or(invalid)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// Reads a field in which 0 means that nothing has been learned.
    pub(crate) fn read(size: u32) -> Result<Option<Self>, OutOfRange> {
        if size == 0 { Ok(None) } else { Self::new(size).map(Some) }
    }

    /// The field's content.
    pub(crate) fn field(size: Option<Self>) -> u32 {
        size.map_or(0, Self::get)
    }
}

// === checks ===

/// 1 to [`ID_MAX_BYTES`] of visible ASCII: safe in logs, keys and metric labels.
fn visible(text: &str) -> Result<(), InvalidText> {
    only(text, ID_MAX_BYTES, "visible ASCII characters without spaces", |c| c.is_ascii_graphic())
}

fn sample(text: &str) -> Result<(), InvalidText> {
    const ALLOWED: &str = "letters, digits, `_` and `:`";
    only(text, ID_MAX_BYTES, ALLOWED, |c| c.is_ascii_alphanumeric() || c == b'_' || c == b':')
}

fn reason(text: &str) -> Result<(), InvalidText> {
    const ALLOWED: &str = "lower-case letters, digits and `_`, a letter first";
    only(text, REASON_MAX_BYTES, ALLOWED, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'
    })?;
    if text.starts_with(|c: char| c.is_ascii_lowercase()) {
        Ok(())
    } else {
        Err(InvalidText::Character { position: 0, allowed: ALLOWED })
    }
}

fn traceparent(text: &str) -> Result<(), InvalidText> {
    let shape = InvalidText::Shape {
        shape: "00-<32 digits>-<16 digits>-<2 digits>, hexadecimal, lower case, neither id zero",
    };
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id = |part: &str, digits| hex(part, digits) && part.bytes().any(|c| c != b'0');
    let mut parts = text.split('-');
    let mut next = || parts.next().unwrap_or_default();
    let ok = next() == "00" && id(next(), 32) && id(next(), 16) && hex(next(), 2);
    if ok && parts.next().is_none() { Ok(()) } else { Err(shape) }
}

fn only(
    text: &str,
    max_bytes: usize,
    allowed: &'static str,
    ok: fn(u8) -> bool,
) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.len() > max_bytes {
        return Err(InvalidText::TooLong { length_bytes: text.len(), max_bytes });
    }
    match text.bytes().position(|c| !ok(c)) {
        Some(position) => Err(InvalidText::Character { position, allowed }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
