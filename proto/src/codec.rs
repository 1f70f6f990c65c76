//! The codec of all calls: protobuf, with a bound on what a message may unfold into.
//!
//! A repeated message costs two bytes on the wire when it is empty, and its full size in memory.
//! So the fields at the top of a message are counted before anything is allocated, and a message
//! with more than [`TOP_LEVEL_FIELDS_MAX`] of them is refused. No request repeats a field further
//! down. Bytes that are not protobuf are left to the decoder, which names the mistake.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use crate::limits::TOP_LEVEL_FIELDS_MAX;

/// Bytes that a call's buffer has room for at first: a grant, a report and most answers fit. A
/// coordinator has thousands of calls open, each with two buffers.
const BUFFER_BYTES: usize = 1 << 10;
/// Bytes after which a buffer is handed on; matters to streams alone. The library's own choice.
const YIELD_BYTES: usize = 32 << 10;

/// Writes `T` and reads `U`.
#[derive(Debug, Clone)]
pub struct BoundedCodec<T, U> {
    messages: PhantomData<fn(T) -> U>,
}

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self { messages: PhantomData }
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder { prost: ProstCodec::<T, U>::raw_decoder(buffers()) }
    }
}

/// Sizes of the buffers of one call.
fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}

/// Reads `U`.
#[derive(Debug, Clone)]
pub struct BoundedDecoder<U> {
    prost: ProstDecoder<U>,
}

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // A message lies in one piece, so the chunk is all of it.
        if has_too_many_fields(bytes.chunk()) {
            return Err(Status::invalid_argument(format!(
                "the message has more than {TOP_LEVEL_FIELDS_MAX} fields: send shorter lists, in several calls"
            )));
        }
        self.prost.decode(bytes)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.prost.buffer_settings()
    }
}

/// Whether a message has more than [`TOP_LEVEL_FIELDS_MAX`] fields at its top.
fn has_too_many_fields(mut bytes: &[u8]) -> bool {
    for _ in 0..TOP_LEVEL_FIELDS_MAX {
        if bytes.is_empty() {
            return false;
        }
        // Where the bytes are not protobuf the decoder stops too, after as many fields.
        let Some(rest) = after_field(bytes) else { return false };
        bytes = rest;
    }
    !bytes.is_empty()
}

/// What follows the first field, by the rules of the wire format
/// (<https://protobuf.dev/programming-guides/encoding/>). The ends of a group count as fields, and
/// so does what is between them.
fn after_field(bytes: &[u8]) -> Option<&[u8]> {
    let (key, rest) = varint(bytes)?;
    match key & 7 {
        0 => varint(rest).map(|(_, rest)| rest),
        1 => rest.get(8..),
        2 => {
            let (length, rest) = varint(rest)?;
            rest.get(usize::try_from(length).ok()?..)
        }
        3 | 4 => Some(rest),
        5 => rest.get(4..),
        _ => None,
    }
}

/// The number at the start, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    const BYTES_MAX: usize = 10;
    let mut value = 0_u64;
    for (at, &byte) in bytes.iter().take(BYTES_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return bytes.get(at + 1..).map(|rest| (value, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests;
