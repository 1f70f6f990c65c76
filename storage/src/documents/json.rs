//! Documents as bytes.

use std::io;

use bytes::Bytes;
use nightshift_core::document::{Document, Kind};
use nightshift_core::ids::Digest;
use nightshift_core::layout::Object;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::StoreError;
use crate::root::{blocking, key};

/// The stored form of a document.
///
/// A large one is written twice, at first only to be counted: a buffer that grows by doubling
/// would take three times the bytes of a plan.
pub(crate) fn to_bytes<T: Document + Serialize>(
    object: &Object,
    document: &T,
) -> Result<Bytes, StoreError> {
    let malformed =
        |source| StoreError::Malformed { path: object.path(), kind: T::KIND.name(), source };
    let mut count = Count(0);
    if T::KIND == Kind::Plan {
        serde_json::to_writer(&mut count, document).map_err(malformed)?;
    }
    let mut bytes = Vec::with_capacity(count.0 + 1);
    serde_json::to_writer(&mut bytes, document).map_err(malformed)?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

/// A sink that counts.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Understands the stored bytes of a large document, apart from the runtime's threads.
pub(crate) async fn parse_hashed<T: Document>(
    object: &Object,
    bytes: Bytes,
) -> Result<(T, Digest), StoreError> {
    let path = key(object);
    blocking(move || Ok((parse(&path, &bytes)?, digest(&bytes)))).await
}

/// SHA-256 of stored bytes.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The only part of a document that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

pub(crate) fn parse<T: Document>(path: &Path, bytes: &[u8]) -> Result<T, StoreError> {
    let kind = T::KIND.name();
    let unknown = |found| StoreError::UnknownVersion {
        path: path.to_string(),
        kind,
        found,
        known: T::VERSION,
    };
    match serde_json::from_slice::<T>(bytes) {
        Ok(document) if document.version() == T::VERSION => Ok(document),
        Ok(document) => Err(unknown(u64::from(document.version()))),
        // Another version rarely has the same fields; its number is the better message.
        Err(source) => match serde_json::from_slice::<Versioned>(bytes) {
            Ok(Versioned { version }) if version != u64::from(T::VERSION) => Err(unknown(version)),
            _ => Err(StoreError::Malformed { path: path.to_string(), kind, source }),
        },
    }
}
