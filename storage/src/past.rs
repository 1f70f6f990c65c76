//! Runs that are over, the newest first: what may be foretold from them.

use futures::TryStreamExt;
use nightshift_core::conclusion::Final;
use nightshift_core::ids::{Generation, Partition};
use nightshift_core::layout::{Object, Prefix};

use crate::error::StoreError;
use crate::root::Reader;

impl Reader {
    /// The newest finals that `is_wanted`, at most `wanted_max` of them. At most `reads_max` are
    /// read; all are listed, with bounded memory.
    ///
    /// # Errors
    /// If the store does not answer, or a final cannot be read.
    pub async fn past(
        &self,
        wanted_max: usize,
        reads_max: usize,
        is_wanted: impl Fn(&Final) -> bool,
    ) -> Result<Vec<Final>, StoreError> {
        let mut wanted = Vec::new();
        for (partition, generation) in self.newest_finals(reads_max).await? {
            if wanted.len() >= wanted_max {
                break;
            }
            let verdict: Option<Final> =
                self.read(&Object::Final { partition, generation }).await?;
            wanted.extend(verdict.filter(&is_wanted));
        }
        Ok(wanted)
    }

    /// The finals that were written last, the newest first.
    async fn newest_finals(&self, max: usize) -> Result<Vec<(Partition, Generation)>, StoreError> {
        let mut newest = Vec::new();
        let mut listed = self.list(&Prefix::AllFinals);
        while let Some(one) = listed.try_next().await? {
            if let Some(Object::Final { partition, generation }) = one.object {
                newest.push((one.modified, partition, generation));
            }
            // Sorted now and then, not each time.
            if newest.len() > 2 * max + 1_000 {
                newest.sort_by(|a, b| b.cmp(a));
                newest.truncate(max);
            }
        }
        newest.sort_by(|a, b| b.cmp(a));
        newest.truncate(max);
        Ok(newest.into_iter().map(|(_, partition, generation)| (partition, generation)).collect())
    }
}
