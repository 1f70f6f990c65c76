//! Which right an operation needs, in the words of each store.

use nightshift_core::place::BucketKind;

/// What is done in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Put,
    Get,
    List,
    Delete,
    Copy,
    Abort,
}

/// The rights that `act` needs.
pub(super) fn needs(kind: BucketKind, act: Act) -> &'static str {
    match kind {
        BucketKind::S3 => match act {
            Act::Put => "s3:PutObject",
            Act::Get => "s3:GetObject (and s3:ListBucket, to be told that an object is missing)",
            Act::List => "s3:ListBucket",
            Act::Delete => "s3:DeleteObject",
            Act::Copy => "s3:GetObject and s3:PutObject",
            Act::Abort => "s3:AbortMultipartUpload",
        },
        BucketKind::Gcs => match act {
            Act::Put => {
                "storage.objects.create (for large files storage.multipartUploads.create, and storage.objects.delete to replace one)"
            }
            Act::Get => {
                "storage.objects.get (and storage.objects.list, to be told that an object is missing)"
            }
            Act::List => "storage.objects.list",
            Act::Delete => "storage.objects.delete",
            Act::Copy => {
                "storage.objects.get and storage.objects.create (and storage.objects.delete, to replace one)"
            }
            Act::Abort => "storage.multipartUploads.abort",
        },
        BucketKind::Azure => match act {
            Act::Put => {
                "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write (`cw` of a SAS)"
            }
            Act::Get => {
                "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read (`r` of a SAS)"
            }
            Act::List => {
                "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read (`l` of a SAS)"
            }
            Act::Delete | Act::Abort => {
                "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete (`d` of a SAS)"
            }
            Act::Copy => {
                "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read and …/blobs/write (`rcw` of a SAS)"
            }
        },
    }
}
