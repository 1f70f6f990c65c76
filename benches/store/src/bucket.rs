//! What the server keeps.

use std::collections::BTreeMap;

use bytes::Bytes;

/// An object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) data: Bytes,
    /// With its quotes.
    pub(crate) etag: String,
}

/// Objects, and uploads that have not ended. A key has its bucket before it.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    /// What was counted last, for ETags and names of uploads.
    last: u64,
}

/// Keys of a listing, and what they have in common up to the next slash.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) keys: Vec<(String, Object)>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) is_cut: bool,
}

impl Objects {
    fn count(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The ETag of the object that is there now; none if there was one and there must not be.
    pub(crate) fn put(&mut self, key: &str, data: Bytes, only_new: bool) -> Option<String> {
        if only_new && self.objects.contains_key(key) {
            return None;
        }
        let etag = format!("\"{:032x}\"", self.count());
        self.objects.insert(key.to_owned(), Object { data, etag: etag.clone() });
        Some(etag)
    }

    pub(crate) fn get(&self, key: &str) -> Option<Object> {
        self.objects.get(key).cloned()
    }

    pub(crate) fn delete(&mut self, key: &str) {
        self.objects.remove(key);
    }

    /// Objects whose keys begin with `prefix` and come after `after`, at most `most`.
    pub(crate) fn list(&self, prefix: &str, by_step: bool, after: &str, most: usize) -> Listing {
        let mut listing = Listing::default();
        let from = if after > prefix { after } else { prefix };
        for (key, object) in self.objects.range(from.to_owned()..) {
            let Some(rest) = key.strip_prefix(prefix) else { break };
            if key.as_str() <= after {
                continue;
            }
            let step = rest.split_once('/').filter(|_| by_step);
            if let Some((step, _)) = step {
                let step = format!("{prefix}{step}/");
                if listing.prefixes.last() != Some(&step) && step.as_str() > after {
                    listing.prefixes.push(step);
                }
                continue;
            }
            if listing.keys.len() == most {
                listing.is_cut = true;
                break;
            }
            listing.keys.push((key.clone(), object.clone()));
        }
        listing
    }

    /// The name of a new upload.
    pub(crate) fn begin(&mut self) -> String {
        let name = self.count().to_string();
        self.uploads.insert(name.clone(), BTreeMap::new());
        name
    }

    /// Whether there is such an upload.
    pub(crate) fn put_part(&mut self, upload: &str, part: u32, data: Bytes) -> bool {
        let Some(parts) = self.uploads.get_mut(upload) else { return false };
        parts.insert(part, data);
        true
    }

    /// All parts in a row; nothing if there is no such upload.
    pub(crate) fn end(&mut self, upload: &str) -> Option<Bytes> {
        let parts = self.uploads.remove(upload)?;
        Some(parts.into_values().flatten().collect())
    }
}
