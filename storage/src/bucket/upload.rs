//! One object written front to back by a thread that computes: small ones in one request when
//! they are sealed, large ones part by part while they are written.
//!
//! Memory is two parts: one that fills and one that is on its way. Nothing has the object's name
//! before [`Ended::place`] returns. An upload that is dropped before is aborted; one whose process
//! was killed leaves parts without a name, which the collector removes.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path as ObjectPath;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutOptions, PutPayload, UploadPart,
};

use super::rights::Act;
use super::{Bucket, plain};
use crate::error::StoreError;

/// Bytes of a part, and of an object that takes one request. S3 asks for 5 MiB at least.
const PART_BYTES: usize = 8 << 20;
/// Largest object that S3 copies in one request, which is how it gets its visible name. The
/// other stores would copy larger ones; one limit is easier to know.
pub(crate) const OBJECT_BYTES_MAX: u64 = 5 << 30;

type Sending = std::sync::mpsc::Receiver<object_store::Result<()>>;

/// An object that is being written.
pub(crate) struct Upload {
    bucket: Arc<Bucket>,
    key: ObjectPath,
    buffer: Vec<u8>,
    size_bytes: u64,
    parts: Option<Box<dyn MultipartUpload>>,
    /// The part that is on its way.
    sending: Option<Sending>,
}

/// An object that is complete and has no name yet.
pub(crate) struct Ended(Upload);

impl Upload {
    pub(crate) fn begin(bucket: &Arc<Bucket>, key: ObjectPath) -> Self {
        let bucket = Arc::clone(bucket);
        Self { bucket, key, buffer: Vec::new(), size_bytes: 0, parts: None, sending: None }
    }

    /// Takes bytes. Blocks while a part is on its way that is too slow.
    ///
    /// # Errors
    /// What the store says, and [`io::ErrorKind::FileTooLarge`] beyond [`OBJECT_BYTES_MAX`].
    pub(crate) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.size_bytes += bytes.len() as u64;
        if self.size_bytes > OBJECT_BYTES_MAX {
            let told = "an output file in a bucket has at most 5 GiB; make more shards";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, told));
        }
        while !bytes.is_empty() {
            if self.buffer.len() == PART_BYTES {
                self.send()?;
            }
            let room = (PART_BYTES - self.buffer.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// The object has all its bytes.
    pub(crate) fn end(self) -> Ended {
        Ended(self)
    }

    /// Sends the full buffer as the next part, after the one before it has arrived.
    fn send(&mut self) -> io::Result<()> {
        self.arrived()?;
        if self.parts.is_none() {
            let (bucket, key) = (Arc::clone(&self.bucket), self.key.clone());
            let begun = async move { bucket.put_multipart_opts(&key, Default::default()).await };
            self.parts = Some(self.bucket.wait(begun).unwrap_or_else(gone).map_err(into_io)?);
        }
        let part = std::mem::replace(&mut self.buffer, Vec::with_capacity(PART_BYTES));
        if let Some(part) = self.part(part) {
            let (reply, sending) = std::sync::mpsc::sync_channel(1);
            self.bucket.spawn(async move {
                // Whoever gave the upload up does not ask.
                let _ = reply.send(part.await);
            });
            self.sending = Some(sending);
        }
        Ok(())
    }

    fn part(&mut self, bytes: Vec<u8>) -> Option<UploadPart> {
        Some(self.parts.as_mut()?.put_part(PutPayload::from(Bytes::from(bytes))))
    }

    fn arrived(&mut self) -> io::Result<()> {
        let Some(sending) = self.sending.take() else { return Ok(()) };
        let arrived = sending.recv().unwrap_or_else(|_| gone());
        arrived.map_err(|error| into_io(self.bucket.plain(error, Act::Put)))
    }
}

impl Ended {
    /// Gives the object its name. Nobody else has it, so that doing it again does no harm.
    ///
    /// # Errors
    /// What the store says; the object may have its name all the same.
    pub(crate) async fn place(self) -> Result<(), StoreError> {
        let mut upload = self.0;
        let bucket = Arc::clone(&upload.bucket);
        let failed = |key: &ObjectPath, error| {
            StoreError::from_store("stage", key, bucket.plain(error, Act::Put))
        };
        let (key, size_bytes) = (upload.key.clone(), upload.size_bytes);
        let rest = std::mem::take(&mut upload.buffer);
        if upload.parts.is_none() {
            let payload = PutPayload::from(Bytes::from(rest));
            let put = upload.bucket.put_opts(&key, payload, PutOptions::default());
            return put.await.map(drop).map_err(|error| failed(&key, error));
        }
        if let Some(sending) = upload.sending.take() {
            // The part before this one had all the time of a part, and rarely takes more.
            let arrived = tokio::task::spawn_blocking(move || sending.recv());
            let arrived = arrived.await.ok().and_then(Result::ok).unwrap_or_else(gone);
            arrived.map_err(|error| failed(&key, error))?;
        }
        if !rest.is_empty()
            && let Some(part) = upload.part(rest)
        {
            part.await.map_err(|error| failed(&key, error))?;
        }
        let Some(parts) = upload.parts.as_mut() else { return Ok(()) };
        match parts.complete().await {
            Ok(_) => {
                upload.parts = None;
                Ok(())
            }
            // The answer may have been lost, and not the object.
            Err(error) => match upload.bucket.head(&key).await {
                Ok(found) if found.size == size_bytes => {
                    upload.parts = None;
                    Ok(())
                }
                _ => Err(failed(&key, error)),
            },
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut parts) = self.parts.take() else { return };
        let key = self.key.clone();
        self.bucket.spawn(async move {
            if let Err(error) = parts.abort().await {
                let reason = plain::text(&error);
                tracing::debug!(%key, reason, "parts of a given up object stay behind");
            }
        });
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("key", &self.key).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The runtime ends, and with it whatever was asked of it.
fn gone<T>() -> object_store::Result<T> {
    let source = "the process ends".into();
    Err(object_store::Error::Generic { store: "bucket", source })
}

fn into_io(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, crate::error::chain(&error))
}
