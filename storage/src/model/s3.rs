//! Models in S3 and stores that speak its protocol.
//!
//! The usual variables of AWS say where and who (`AWS_ACCESS_KEY_ID`, `AWS_REGION`,
//! `AWS_ENDPOINT_URL`, web identity and the rest of the chain). Reads are tried again by the
//! client; a download that breaks in the middle goes on where it was.

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use nightshift_core::model::{ObjectVersion, PinnedModel, S3Prefix};
use nightshift_core::place::BucketKind;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as ObjectPath;
use object_store::{
    ClientOptions, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, RetryConfig,
};

use super::ModelError;
use super::http::use_ring;
use super::patience::{Asked, Tries, Trouble};
use super::settings::ModelSettings;
use super::source::{ENTRIES_MAX, Found, ModelSource, Opened, Wanted, model_files};
use crate::endpoint::{self, Fault};
use crate::error::Cause;

const PERMISSION: &str = "the AWS credentials need s3:ListBucket of the bucket and s3:GetObject of the prefix (s3:GetObjectVersion where it keeps versions)";

/// The client's own further tries for one request; ours come on top.
const RETRIES: usize = 1;
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two pieces of an answer.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Objects of one model.
pub(super) struct S3Source {
    store: AmazonS3,
    prefix: String,
    objects: Vec<ObjectVersion>,
    asked: Asked,
}

/// Finds which objects there are now.
pub(super) async fn find(settings: &ModelSettings, place: &S3Prefix) -> Result<Found, ModelError> {
    let mut source = pinned(&place.bucket, &place.prefix, Vec::new())?;
    let mut tries: Tries = settings.patience.begin();
    let metas = loop {
        match source.list().await {
            Ok(metas) => break metas,
            Err(trouble) => tries.after(trouble, &source.asked).await?,
        }
    };
    let listed = metas.iter().filter_map(|meta| {
        let name = below(&place.prefix, meta)?;
        Some(Wanted { name, size_bytes: meta.size, sha256: None })
    });
    let files = model_files(&source.asked.what, listed)?;
    let objects = metas.into_iter().filter_map(|meta| {
        let name = below(&place.prefix, &meta)?;
        Some(ObjectVersion { name, etag: meta.e_tag, version: meta.version })
    });
    let mut objects: Vec<ObjectVersion> =
        objects.filter(|object| files.iter().any(|file| file.name == object.name)).collect();
    objects.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    source.objects.clone_from(&objects);
    let S3Prefix { bucket, prefix } = place.clone();
    let pinned = PinnedModel::S3 { bucket, prefix, objects };
    Ok(Found { pinned, version: None, files, source: Box::new(source) })
}

/// The objects that a plan names.
pub(super) fn pinned(
    bucket: &str,
    prefix: &str,
    objects: Vec<ObjectVersion>,
) -> Result<S3Source, ModelError> {
    let what = format!("s3://{bucket}/{prefix}");
    let asked = Asked { what, permission: PERMISSION, hint: ", AWS_REGION and AWS_ENDPOINT_URL" };
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
        ..RetryConfig::default()
    };
    let mut client = ClientOptions::new().with_timeout_disabled().with_read_timeout(SILENCE_MAX);
    for &variable in endpoint::variables(BucketKind::S3) {
        if let Some(plain) = plain_endpoint(variable)? {
            client = client.with_allow_http(plain);
        }
    }
    use_ring();
    let built = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(retry)
        .with_client_options(client)
        .build();
    let store = built.map_err(|error| ModelError::Answer {
        what: asked.what.clone(),
        problem: format!("the AWS_ variables do not fit together: {error}"),
    })?;
    Ok(S3Source { store, prefix: prefix.to_owned(), objects, asked })
}

/// Whether the endpoint that `variable` names, if it does, is reached without TLS.
fn plain_endpoint(variable: &'static str) -> Result<Option<bool>, ModelError> {
    let Ok(text) = std::env::var(variable) else { return Ok(None) };
    let problem = |fault| match fault {
        Fault::NotUrl => "is not a URL such as https://host",
        Fault::Credentials => "holds credentials; set AWS_ACCESS_KEY_ID instead",
        Fault::Host => {
            "cannot be used: its host hands out credentials of this machine and is never asked for a model"
        }
    };
    let wrong = |fault| ModelError::Setting { variable, problem: problem(fault).to_owned() };
    endpoint::is_plain(&text).map(Some).map_err(wrong)
}

/// The name of an object below `prefix`.
fn below(prefix: &str, meta: &ObjectMeta) -> Option<String> {
    let name = meta.location.as_ref().strip_prefix(prefix)?.strip_prefix('/')?;
    Some(name.to_owned())
}

impl S3Source {
    async fn list(&self) -> Result<Vec<ObjectMeta>, Trouble> {
        let prefix = ObjectPath::from(self.prefix.as_str());
        let listing = self.store.list(Some(&prefix)).take(ENTRIES_MAX + 1);
        let metas: Vec<ObjectMeta> = listing.try_collect().await.map_err(trouble)?;
        match metas.len() {
            0 => Err(Trouble::Missing),
            found if found > ENTRIES_MAX => Err(Trouble::useless(format!(
                "there are more than {ENTRIES_MAX} objects; name the prefix of one model"
            ))),
            _ => Ok(metas),
        }
    }
}

#[async_trait]
impl ModelSource for S3Source {
    async fn open(&self, name: &str, from: u64) -> Result<Opened, Trouble> {
        let known = self.objects.iter().find(|object| object.name == name);
        let options = GetOptions {
            if_match: known.and_then(|object| object.etag.clone()),
            version: known.and_then(|object| object.version.clone()),
            range: (from > 0).then_some(GetRange::Offset(from)),
            ..GetOptions::default()
        };
        let location = ObjectPath::from(format!("{}/{name}", self.prefix));
        let got = self.store.get_opts(&location, options).await.map_err(trouble)?;
        let from = got.range.start;
        Ok(Opened { from, chunks: got.into_stream().map_err(Cause::from).boxed() })
    }

    fn asked(&self) -> &Asked {
        &self.asked
    }
}

/// What it means that the client gave up.
fn trouble(error: Error) -> Trouble {
    match error {
        Error::NotFound { .. } => Trouble::Missing,
        Error::PermissionDenied { .. } => Trouble::Denied { status: 403 },
        Error::Unauthenticated { .. } => Trouble::Denied { status: 401 },
        Error::Precondition { .. } => Trouble::useless(
            "an object was replaced since the run was planned; restore it, or start a new generation with --force",
        ),
        Error::Generic { .. } => Trouble::again(error),
        other => Trouble::useless(other.to_string()),
    }
}
