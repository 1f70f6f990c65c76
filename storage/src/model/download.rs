//! One file of a model, from its store to a disk.

use std::path::Path;

use futures::StreamExt;
use nightshift_core::ids::Digest;
use nightshift_core::plan::ModelFile;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, SeekFrom};

use super::ModelError;
use super::patience::{Patience, Trouble};
use super::source::{ModelSource, Opened, Wanted};

/// Times that one file is taken up again where it broke off, however much came in between: a store
/// that sends a few bytes a time is no use.
const RESUMES_MAX: u32 = 1_000;

/// Downloads `wanted` to `to`, which must not exist, and gives what arrived. Its digest is the one
/// that the store lists, if it lists one.
///
/// # Errors
/// If the store refuses or stays away, the bytes are not the listed ones, or the disk fails.
pub(super) async fn download(
    source: &dyn ModelSource,
    wanted: &Wanted,
    to: &Path,
    patience: Patience,
) -> Result<ModelFile, ModelError> {
    let broken = |what| move |error| ModelError::cache(what, to, wanted.size_bytes, error);
    let file = File::create_new(to).await.map_err(broken("create"))?;
    let mut partial = Partial { file, hash: Sha256::new(), size_bytes: 0 };
    let (mut tries, mut resumes) = (patience.begin(), 0);
    loop {
        let before = partial.size_bytes;
        let trouble = match source.open(&wanted.name, partial.size_bytes).await {
            Ok(opened) => match partial.take(opened, wanted).await {
                Ok(()) => break,
                Err(Interrupted::Disk(error)) => return Err(broken("write")(error)),
                Err(Interrupted::Store(trouble)) => trouble,
            },
            Err(trouble) => trouble,
        };
        if partial.size_bytes > before {
            tries.progressed();
        }
        resumes += 1;
        let trouble = match resumes {
            RESUMES_MAX => Trouble::useless(format!("{} broke off {resumes} times", wanted.name)),
            _ => trouble,
        };
        tries.after(trouble, source.asked()).await?;
    }
    partial.file.flush().await.map_err(broken("write"))?;
    let found = Digest(partial.hash.finalize().into());
    match wanted.sha256 {
        Some(listed) if listed != found => {
            let (file, path) = (wanted.name.clone(), source.asked().what.clone());
            Err(ModelError::WrongBytes { file, path, listed, found })
        }
        _ => {
            let (name, size_bytes) = (wanted.name.clone(), partial.size_bytes);
            Ok(ModelFile { name, size_bytes, sha256: found })
        }
    }
}

/// A file that is on its way.
struct Partial {
    file: File,
    hash: Sha256,
    size_bytes: u64,
}

enum Interrupted {
    Store(Trouble),
    Disk(std::io::Error),
}

impl Partial {
    /// Takes all that comes, up to the size that the store lists and not a byte more.
    async fn take(&mut self, opened: Opened, wanted: &Wanted) -> Result<(), Interrupted> {
        if opened.from != self.size_bytes {
            // A store that knows no ranges begins again, and so does the file.
            if opened.from != 0 {
                let text = "the store sends another part of a file than it was asked for";
                return Err(Interrupted::Store(Trouble::useless(text)));
            }
            self.restart().await.map_err(Interrupted::Disk)?;
        }
        let mut chunks = opened.chunks;
        while let Some(chunk) = chunks.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                // All of it is here; how the connection ended does not matter.
                Err(_) if self.size_bytes == wanted.size_bytes => break,
                Err(cause) => return Err(Interrupted::Store(Trouble::again(cause))),
            };
            let size_bytes = self.size_bytes + chunk.len() as u64;
            if size_bytes > wanted.size_bytes {
                let text = format!(
                    "{} has more bytes than {}; it was replaced in the meantime",
                    wanted.name, wanted.size_bytes
                );
                return Err(Interrupted::Store(Trouble::useless(text)));
            }
            self.file.write_all(&chunk).await.map_err(Interrupted::Disk)?;
            self.hash.update(&chunk);
            self.size_bytes = size_bytes;
        }
        // An answer that breaks off is an error of its stream; this one was whole.
        if self.size_bytes < wanted.size_bytes {
            let text = format!(
                "{} has {} bytes instead of {}; it was replaced in the meantime",
                wanted.name, self.size_bytes, wanted.size_bytes
            );
            return Err(Interrupted::Store(Trouble::useless(text)));
        }
        Ok(())
    }

    async fn restart(&mut self) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(0)).await?;
        self.file.set_len(0).await?;
        (self.hash, self.size_bytes) = (Sha256::new(), 0);
        Ok(())
    }
}
