//! A store whose creates are decided by a process; everything else goes on to the store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use nightshift_core::layout::Object;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
};

use super::clerk::Clerk;
use super::{Answer, Decider};

/// An [`ObjectStore`] that asks somebody whether a create may happen.
#[derive(Debug)]
pub(crate) struct Creating {
    inner: Arc<dyn ObjectStore>,
    by: By,
}

#[derive(Debug)]
enum By {
    /// This process.
    Clerk(Arc<Clerk>),
    /// Another.
    Decider(Arc<dyn Decider>),
}

impl Creating {
    pub(super) fn by_clerk(inner: Arc<dyn ObjectStore>, clerk: Arc<Clerk>) -> Self {
        Self { inner, by: By::Clerk(clerk) }
    }

    /// One whose creates `decider` makes.
    pub(crate) fn by_decider(inner: Arc<dyn ObjectStore>, decider: Arc<dyn Decider>) -> Self {
        Self { inner, by: By::Decider(decider) }
    }

    async fn create(&self, location: &Path, bytes: Bytes) -> object_store::Result<()> {
        let decider = match &self.by {
            By::Clerk(clerk) => return clerk.create(&*self.inner, location, bytes).await,
            By::Decider(decider) => decider,
        };
        let path = location.to_string();
        let Some(object) = Object::parse(&path) else {
            let source = format!("nobody decides about {path}").into();
            return Err(Error::NotSupported { source });
        };
        match decider.create(object, bytes.to_vec()).await {
            Answer::Created => Ok(()),
            Answer::Exists => {
                Err(Error::AlreadyExists { path, source: "the object exists".into() })
            }
            Answer::Unclear(text) => {
                Err(Error::Generic { store: "coordinator", source: text.into() })
            }
            Answer::Refused(text) => Err(Error::NotSupported { source: text.into() }),
        }
    }
}

impl fmt::Display for Creating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Creating {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        if options.mode != PutMode::Create {
            return self.inner.put_opts(location, payload, options).await;
        }
        self.create(location, payload.into()).await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(
        &self,
        from: &Path,
        to: &Path,
        options: RenameOptions,
    ) -> object_store::Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
