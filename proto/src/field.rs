//! Why one field of a message is refused: the sources of the `Invalid*` errors.
//!
//! The error of a message says where ("`max` of the acquire request is refused"); its source, one
//! of these, says what is wrong and what is allowed. None of them repeats what was sent at length.

use std::str::FromStr;

use thiserror::Error;

/// Defines the error of one message: an enum with a variant for each field that can be refused.
///
/// `field()` gives the name that the `.proto` file uses, and the source says why.
macro_rules! invalid_message {
    ($name:ident of $message:literal { $($variant:ident: $source:ty = $field:literal),* $(,)? }) => {
        #[doc = concat!("Why ", $message, " is refused: one variant for each of its fields.")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum $name {
            $(
                #[doc = concat!("The field `", $field, "` is refused.")]
                #[error("`{}` of {} is refused", $field, $message)]
                $variant {
                    /// Why.
                    source: $source,
                },
            )*
        }

        impl $name {
            /// The field that is refused, by its name in the `.proto` file.
            pub fn field(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $field,)*
                }
            }
        }
    };
}
pub(crate) use invalid_message;

/// Pairs a domain enum with a generated one of the same variants and `Unspecified`.
macro_rules! same_enum {
    ($domain:ident = $wire:ident { $($variant:ident),* $(,)? }) => {
        impl From<$domain> for crate::wire::$wire {
            fn from(value: $domain) -> Self {
                match value {
                    $($domain::$variant => Self::$variant,)*
                }
            }
        }

        impl TryFrom<crate::wire::$wire> for $domain {
            type Error = crate::field::UnknownValue;

            fn try_from(value: crate::wire::$wire) -> Result<Self, Self::Error> {
                match value {
                    crate::wire::$wire::Unspecified => Err(crate::field::UnknownValue { value: 0 }),
                    $(crate::wire::$wire::$variant => Ok(Self::$variant),)*
                }
            }
        }
    };
}
pub(crate) use same_enum;

/// A text is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidText {
    /// It is empty.
    #[error("it is empty, but must be set")]
    Empty,
    /// It has too many bytes.
    #[error("it has {length_bytes} bytes; at most {max_bytes} are allowed")]
    TooLong {
        /// Bytes that it has.
        length_bytes: usize,
        /// Bytes that it may have.
        max_bytes: usize,
    },
    /// It has too many characters.
    #[error("it has more than {max_chars} characters; shorten it")]
    TooManyChars {
        /// Characters that it may have.
        max_chars: usize,
    },
    /// It has a character that is not allowed.
    #[error("byte {position} is not allowed; use {allowed}")]
    Character {
        /// Position of the first such byte, from 0.
        position: usize,
        /// What is allowed, in words.
        allowed: &'static str,
    },
    /// It does not have the shape.
    #[error("it does not read {shape}")]
    Shape {
        /// The shape, in words.
        shape: &'static str,
    },
}

/// A number is beyond its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is {value}; it must be from {min} to {max}")]
pub struct OutOfRange {
    /// The number.
    pub value: u64,
    /// The least that is allowed.
    pub min: u64,
    /// The most that is allowed.
    pub max: u64,
}

/// A number has no meaning in an enum, or is the 0 of an enum that was not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{value} is not one of its values; set one that nightshift.v1 names, other than 0")]
pub struct UnknownValue {
    /// The number.
    pub value: i32,
}

/// A message within a message is not there or is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPart<E: std::error::Error + 'static> {
    /// It is not there.
    #[error("it is missing, but must be set")]
    Missing,
    /// One of its fields is refused.
    #[error(transparent)]
    Refused {
        /// Which, and why.
        source: E,
    },
}

/// A list is too long, or one of its elements is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidList<E: std::error::Error + 'static> {
    /// It is too long.
    #[error("it has {count} elements; at most {max} are allowed, so send the rest in another call")]
    TooMany {
        /// Elements that it has.
        count: usize,
        /// Elements that it may have.
        max: usize,
    },
    /// One element is refused.
    #[error("element {position} is refused")]
    Element {
        /// Position of the first such element, from 0.
        position: usize,
        /// Why.
        source: E,
    },
}

/// A moment is outside of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{seconds} s and {nanos} ns after 1970 is not a moment between the years -9999 and 9999")]
pub struct InvalidMoment {
    /// Its seconds.
    pub seconds: i64,
    /// Its nanoseconds.
    pub nanos: i32,
}

/// A number of seconds is negative, infinite or not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is not a number of seconds: it must be finite and not negative")]
pub struct InvalidSeconds;

// === checks ===

/// The number, if it is within the limits.
pub(crate) fn within(value: u32, min: u32, max: u32) -> Result<u32, OutOfRange> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(OutOfRange { value: value.into(), min: min.into(), max: max.into() })
    }
}

/// The value of an enum field.
pub(crate) fn choice<W, D>(value: i32) -> Result<D, UnknownValue>
where
    W: TryFrom<i32>,
    D: TryFrom<W, Error = UnknownValue>,
{
    W::try_from(value).map_err(|_| UnknownValue { value }).and_then(D::try_from)
}

/// A message that must be there.
pub(crate) fn part<W, D, E>(value: Option<W>) -> Result<D, InvalidPart<E>>
where
    D: TryFrom<W, Error = E>,
    E: std::error::Error + 'static,
{
    D::try_from(value.ok_or(InvalidPart::Missing)?)
        .map_err(|source| InvalidPart::Refused { source })
}

/// A list of at most `max` elements; the length is checked before any element is looked at.
pub(crate) fn list<W, D, E>(values: Vec<W>, max: usize) -> Result<Vec<D>, InvalidList<E>>
where
    D: TryFrom<W, Error = E>,
    E: std::error::Error + 'static,
{
    let count = values.len();
    if count > max {
        return Err(InvalidList::TooMany { count, max });
    }
    let element = |(position, value)| {
        D::try_from(value).map_err(|source| InvalidList::Element { position, source })
    };
    values.into_iter().enumerate().map(element).collect()
}

/// A list on its way out.
pub(crate) fn out<D, W: From<D>>(values: Vec<D>) -> Vec<W> {
    values.into_iter().map(W::from).collect()
}

/// A text that is read as a value, or is empty.
pub(crate) fn optional<T: FromStr>(text: &str) -> Result<Option<T>, T::Err> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

/// The text of a value that may be absent.
pub(crate) fn text_of<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Text for people, which may be empty.
pub(crate) fn prose(text: String) -> Result<String, InvalidText> {
    let max_chars = crate::limits::MESSAGE_MAX_CHARS;
    // Counting stops at the limit, so a text of a mebibyte costs no more than a long one.
    if text.chars().nth(max_chars).is_some() {
        Err(InvalidText::TooManyChars { max_chars })
    } else {
        Ok(text)
    }
}

/// Text of at most `max_bytes` bytes, which may be empty.
pub(crate) fn at_most(text: String, max_bytes: usize) -> Result<String, InvalidText> {
    let length_bytes = text.len();
    if length_bytes > max_bytes {
        Err(InvalidText::TooLong { length_bytes, max_bytes })
    } else {
        Ok(text)
    }
}

/// Text of 1 to `max_bytes` bytes.
pub(crate) fn set(text: String, max_bytes: usize) -> Result<String, InvalidText> {
    if text.is_empty() { Err(InvalidText::Empty) } else { at_most(text, max_bytes) }
}

/// A path or URI: on one line, because it ends up in messages and commands.
pub(crate) fn location(text: String) -> Result<String, InvalidText> {
    let text = set(text, crate::limits::PATH_MAX_BYTES)?;
    let control = text.char_indices().find(|(_, c)| c.is_control());
    match control {
        Some((position, _)) => {
            Err(InvalidText::Character { position, allowed: "no control characters" })
        }
        None => Ok(text),
    }
}
