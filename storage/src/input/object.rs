//! One input file, opened: positioned reads, its version, and the faults of its device.
//!
//! Everything that reads input goes through [`InputObject`], whether it is a file or, by ranged
//! reads of `remote`, an object of a bucket.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, PoisonError};

use nightshift_core::plan::{InputFile, Pin};
use rustix::buffer::spare_capacity;

use super::remote::RemoteObject;
use super::{InputError, Inputs};

/// An input file held open; cheap to share between threads, since reads carry their position.
#[derive(Debug)]
pub struct InputObject {
    source: Source,
    uri: String,
    pin: Pin,
    fault: Mutex<Option<io::Error>>,
}

#[derive(Debug)]
enum Source {
    File(File),
    Remote(RemoteObject),
}

impl InputObject {
    /// Opens one file or object by connections of its own; see [`Inputs::open`].
    ///
    /// # Errors
    /// As [`Inputs::open`].
    pub fn open(uri: &str) -> Result<Self, InputError> {
        Inputs::default().open(uri)
    }

    pub(super) fn of_bucket(uri: String, remote: RemoteObject) -> Self {
        let pin = remote.pin().clone();
        Self { source: Source::Remote(remote), uri, pin, fault: Mutex::new(None) }
    }

    /// Opens the regular file at the absolute path `uri` and takes its version.
    pub(super) fn of_volume(uri: &str) -> Result<Self, InputError> {
        let io = |source| InputError::from_io(uri, source);
        if !std::fs::metadata(uri).map_err(io)?.is_file() {
            return Err(InputError::NotAFile { uri: uri.to_owned() });
        }
        let file = File::open(uri).map_err(io)?;
        let pin = pin_of(&file.metadata().map_err(io)?);
        Ok(Self { source: Source::File(file), uri: uri.to_owned(), pin, fault: Mutex::new(None) })
    }

    /// The version at the time of opening.
    pub fn pin(&self) -> &Pin {
        &self.pin
    }

    /// The absolute path, or `s3://bucket/key`.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Length in bytes at the time of opening; reads end there, even if the file has grown.
    pub fn size_bytes(&self) -> u64 {
        self.pin.size_bytes
    }

    /// Most bytes that it holds in memory between reads: none for a file.
    pub fn held_bytes_max(&self) -> u64 {
        match &self.source {
            Source::File(_) => 0,
            Source::Remote(remote) => remote.held_bytes_max(),
        }
    }

    /// Refuses if the open file is not, or no longer, the version `planned`. An object of a bucket
    /// is no longer what it was as soon as a read has said so.
    ///
    /// # Errors
    /// [`InputError::Changed`], or [`InputError::Io`] if the version cannot be read.
    pub fn check(&self, planned: &Pin) -> Result<(), InputError> {
        let found = match &self.source {
            Source::File(file) => {
                let failed = |source| InputError::from_io(&self.uri, source);
                pin_of(&file.metadata().map_err(failed)?)
            }
            Source::Remote(remote) => remote.changed().unwrap_or_else(|| self.pin.clone()),
        };
        if found == *planned {
            Ok(())
        } else {
            Err(InputError::changed(&self.uri, planned, &found))
        }
    }

    /// Reads bytes from `offset` on; 0 at the end of the file.
    ///
    /// # Errors
    /// What the device says; also kept for [`InputObject::take_fault`].
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left =
            usize::try_from(self.pin.size_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..wanted) else { return Ok(0) };
        loop {
            let read = match &self.source {
                Source::File(file) => file.read_at(buffer, offset),
                Source::Remote(remote) => remote.read_at(offset, buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(error)),
                read => return read,
            }
        }
    }

    /// Reads exactly the bytes `offset..offset + length`. The buffer is not cleared first, which
    /// would cost as much as reading it from the page cache.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the range is not within the file, found out before any
    /// memory is taken for it; else what the device says, also kept for [`InputObject::take_fault`].
    pub fn read_range(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.pin.size_bytes) {
            let size = self.pin.size_bytes;
            let told =
                format!("{length} bytes at {offset} are beyond the end of the file at {size}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, told));
        }
        let file = match &self.source {
            Source::File(file) => file,
            Source::Remote(_) => return self.gather(offset, length),
        };
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            match rustix::io::pread(file, spare_capacity(&mut bytes), at) {
                Ok(0) => {
                    let told = format!("the file ends at {at}");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, told));
                }
                Ok(_) => {}
                Err(error) if error == rustix::io::Errno::INTR => {}
                Err(error) => return Err(self.fault(error.into())),
            }
        }
        // The allocator may have given more room than asked for, and the read filled it.
        bytes.truncate(length);
        Ok(bytes)
    }

    /// The bytes of a range within the object.
    fn gather(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(offset + filled as u64, rest)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(bytes)
    }

    fn fault(&self, error: io::Error) -> io::Error {
        let told = io::Error::new(error.kind(), error.to_string());
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        told
    }

    /// The last failure of the device itself, if a read met one. Decoders turn an I/O error
    /// into their own error type and often into text; this tells a broken disk (try again)
    /// from a broken file (do not).
    pub fn take_fault(&self) -> Option<io::Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The last failure that is not one of the bytes: the object was replaced, or its device or
    /// store failed. See [`InputObject::take_fault`].
    pub fn take_failure(&self) -> Option<InputError> {
        let source = self.take_fault()?;
        if let Source::Remote(remote) = &self.source
            && let Some(found) = remote.changed()
        {
            return Some(InputError::changed(&self.uri, &self.pin, &found));
        }
        Some(InputError::Io { uri: self.uri.clone(), source })
    }

    /// A sequential reader that starts at `offset`.
    pub fn stream(self: &Arc<Self>, offset: u64) -> ObjectStream {
        ObjectStream { object: Arc::clone(self), offset }
    }
}

/// Reads an [`InputObject`] front to back.
#[derive(Debug)]
pub struct ObjectStream {
    object: Arc<InputObject>,
    offset: u64,
}

impl Read for ObjectStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.object.read_at(self.offset, buffer)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Checks that the file at the place of `file` still is the version that was planned.
///
/// # Errors
/// [`InputError::Changed`] naming both versions, or why the file cannot be looked at.
pub fn verify_pin(file: &InputFile) -> Result<(), InputError> {
    Inputs::default().verify_pin(file)
}

pub(super) fn verify_file(file: &InputFile) -> Result<(), InputError> {
    let metadata =
        std::fs::metadata(&file.uri).map_err(|source| InputError::from_io(&file.uri, source))?;
    let found = pin_of(&metadata);
    if found == file.pin { Ok(()) } else { Err(InputError::changed(&file.uri, &file.pin, &found)) }
}

/// Size and modification time: what a volume tells about a version.
fn pin_of(metadata: &Metadata) -> Pin {
    let nanos = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Pin { size_bytes: metadata.len(), version: format!("mtime:{nanos}") }
}
