//! One date's files, shard by shard: which names go, whichever generation they are of.
//!
//! All generations of a date are gone through together, because the names of one file lie in
//! several of them, under the same shard. Memory is a bit for each shard and the names of a few
//! shards, whatever their number.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use nightshift_core::conclusion::FinalState;
use nightshift_core::ids::{AttemptId, Generation, RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::{Outline, OutputFormat, Planned, ShardSet};
use nightshift_core::record::Record;
use nightshift_core::retention::Fate;

use super::names::{Counted, Hand, Name, take};
use super::{Action, CollectError, Collected, Judged};
use crate::error::StoreError;
use crate::root::Reader;

/// Shards that are gone through at the same time: enough to hide the latency of a read, few
/// enough to stay far below the blocking threads of the runtime.
const SHARDS_AT_ONCE: usize = 16;

/// What is to be done about the runs of one date.
#[derive(Debug)]
pub(super) struct Sweep {
    /// Runs of which something may go.
    targets: Vec<Target>,
    /// Runs that stay and whose records may name data of a target.
    witnesses: Vec<Witness>,
    /// Shards that have files of a target.
    pub(super) shards: ShardSet,
}

/// A run of which something may go.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) run: RunId,
    pub(super) state: FinalState,
    /// The generation that readers use instead; none if only lost attempts go.
    pub(super) superseded_by: Option<Generation>,
    /// How its visible files are named; only known where they go and there are any.
    visible: Option<(u32, OutputFormat)>,
    /// Bytes of its `_SUCCESS`, if it has one.
    pub(super) marker_bytes: Option<u64>,
    foreign: u64,
}

/// A run that stays.
#[derive(Debug)]
struct Witness {
    run: RunId,
    /// Whether it must have a record for every shard that is gone through.
    shards: Option<u32>,
}

impl Sweep {
    /// Finds out which shards have files that may go, and whose records have to be asked.
    pub(super) async fn prepare(root: &Reader, judged: &Judged) -> Result<Self, CollectError> {
        let mut sweep =
            Self { targets: Vec::new(), witnesses: Vec::new(), shards: ShardSet::default() };
        for one in &judged.runs {
            match (one.fate, one.state) {
                (Fate::Removed { superseded_by }, Some(state)) => {
                    sweep.target(root, &one.run, state, Some(superseded_by)).await?;
                }
                (Fate::Kept { sweep: true, .. }, Some(state)) => {
                    sweep.target(root, &one.run, state, None).await?;
                }
                _ => {}
            }
        }
        if sweep.targets.is_empty() {
            return Ok(sweep);
        }
        for one in &judged.runs {
            if !matches!(one.fate, Fate::Removed { .. }) {
                sweep.witness(root, &one.run, one.state.is_some()).await?;
            }
        }
        Ok(sweep)
    }

    async fn target(
        &mut self,
        root: &Reader,
        run: &RunId,
        state: FinalState,
        superseded_by: Option<Generation>,
    ) -> Result<(), CollectError> {
        let mut target = Target {
            run: run.clone(),
            state,
            superseded_by,
            visible: None,
            marker_bytes: None,
            foreign: 0,
        };
        let staged = self.note_staged(root, run).await?;
        let visible = match superseded_by {
            Some(_) => self.note_visible(root, &mut target).await?,
            None => false,
        };
        if visible {
            let outline = outline_of(root, run).await?.ok_or_else(|| missing_plan(run))?;
            target.visible = Some((outline.shard_count(), outline.task().output_format));
        }
        if staged || visible || target.marker_bytes.is_some() {
            self.targets.push(target);
        }
        Ok(())
    }

    /// Notes which shards have staged data; whether any has.
    async fn note_staged(&mut self, root: &Reader, run: &RunId) -> Result<bool, StoreError> {
        let mut staged = root.list(&Prefix::Attempts(run.clone()));
        let mut found = false;
        while let Some(listed) = staged.try_next().await? {
            found = true;
            self.shards.extend(listed.object.as_ref().and_then(Object::shard));
        }
        Ok(found)
    }

    /// Notes which shards have visible files, and what else lies beside them; whether any has.
    async fn note_visible(
        &mut self,
        root: &Reader,
        target: &mut Target,
    ) -> Result<bool, StoreError> {
        let RunId { partition, generation, .. } = target.run;
        let mut visible = root.list(&Prefix::Visible(partition, generation));
        let mut found = false;
        while let Some(listed) = visible.try_next().await? {
            match listed.object.as_ref().map(|object| (object, object.shard())) {
                Some((Object::Success { .. }, _)) => target.marker_bytes = Some(listed.size_bytes),
                Some((_, shard)) => {
                    found = true;
                    self.shards.extend(shard);
                }
                None => target.foreign += 1,
            }
        }
        Ok(found)
    }

    async fn witness(
        &mut self,
        root: &Reader,
        run: &RunId,
        concluded: bool,
    ) -> Result<(), CollectError> {
        let outline = match outline_of(root, run).await? {
            Some(outline) => outline,
            None if concluded => return Err(missing_plan(run)),
            // It will take over from a run that stays, if from any.
            None => return Ok(()),
        };
        let swept = self.targets.iter().any(|target| target.run == *run);
        if swept || outline.inherits.is_some() {
            let shards = concluded.then(|| outline.shard_count());
            self.witnesses.push(Witness { run: run.clone(), shards });
        }
        Ok(())
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Counts what goes of each run, and removes it if the hand is to. Markers are only counted:
    /// whoever removes has taken them away before.
    pub(super) async fn go_through(
        &self,
        root: &Reader,
        hand: Hand,
    ) -> Result<Vec<Collected>, CollectError> {
        let mut totals = vec![Counted::default(); self.targets.len()];
        let mut shards = stream::iter(self.shards.iter())
            .map(|shard| self.shard(root, hand, shard))
            .buffer_unordered(SHARDS_AT_ONCE);
        while let Some(counted) = shards.try_next().await? {
            totals.iter_mut().zip(counted).for_each(|(total, one)| total.add(one));
        }
        drop(shards);
        let swept = self.targets.iter().zip(totals).map(|(target, mut total)| {
            if let Some(freed_bytes) = target.marker_bytes {
                total.add(Counted { files: 1, freed_bytes });
            }
            target.collected(total)
        });
        // What is worth telling: runs of which something goes.
        Ok(swept.filter(|one| one.files > 0).collect())
    }

    async fn shard(
        &self,
        root: &Reader,
        hand: Hand,
        shard: ShardIndex,
    ) -> Result<Vec<Counted>, CollectError> {
        let named = self.named(root, shard).await?;
        let mut names = Vec::new();
        for (owner, target) in self.targets.iter().enumerate() {
            let mut staged = root.list(&Prefix::ShardAttempts(target.run.clone(), shard));
            while let Some(listed) = staged.try_next().await? {
                if let Some(object @ Object::Staged { .. }) = &listed.object
                    && !is_named(&named, object)
                {
                    names.push(Name { object: object.clone(), owner });
                }
            }
            // The visible name goes first: while it is there, its data is too.
            for object in target.visible_files(shard) {
                names.insert(0, Name { object, owner });
            }
        }
        Ok(take(root, names, self.targets.len(), hand).await?)
    }

    /// Attempts at `shard` that a record of a run that stays names.
    async fn named(
        &self,
        root: &Reader,
        shard: ShardIndex,
    ) -> Result<BTreeSet<(RunId, AttemptId)>, CollectError> {
        let mut named = BTreeSet::new();
        for witness in &self.witnesses {
            let object = Object::Record { run: witness.run.clone(), shard };
            match root.read::<Record>(&object).await? {
                Some(record) => named.extend(attempts_named(&record)),
                None if witness.shards.is_some_and(|shards| shard.0 < shards) => {
                    return Err(CollectError::RecordMissing { run: witness.run.clone(), shard });
                }
                None => {}
            }
        }
        Ok(named)
    }
}

impl Target {
    fn visible_files(&self, shard: ShardIndex) -> Vec<Object> {
        let Some((shards, format)) = self.visible.filter(|(shards, _)| shard.0 < *shards) else {
            return Vec::new();
        };
        let RunId { partition, generation, .. } = self.run;
        vec![
            Object::Part { partition, generation, shard, shards, format },
            Object::Rejects { partition, generation, shard, shards },
        ]
    }

    fn collected(&self, counted: Counted) -> Collected {
        Collected {
            run: self.run.clone(),
            state: self.state,
            action: if self.superseded_by.is_some() { Action::Remove } else { Action::Sweep },
            superseded_by: self.superseded_by,
            files: counted.files,
            freed_bytes: counted.freed_bytes,
            foreign: self.foreign,
        }
    }
}

fn is_named(named: &BTreeSet<(RunId, AttemptId)>, object: &Object) -> bool {
    match object {
        Object::Staged { run, attempt, .. } => named.contains(&(run.clone(), attempt.clone())),
        _ => false,
    }
}

/// The attempts whose staged files a record names: one, if it is committed.
fn attempts_named(record: &Record) -> Vec<(RunId, AttemptId)> {
    let Some(committed) = record.committed() else { return Vec::new() };
    let files = std::iter::once(&committed.output).chain(&committed.rejects);
    let attempt = |staged: &Object| match staged {
        Object::Staged { run, attempt, .. } => Some((run.clone(), attempt.clone())),
        _ => None,
    };
    files.filter_map(|file| attempt(&file.staged)).collect()
}

async fn outline_of(root: &Reader, run: &RunId) -> Result<Option<Outline>, StoreError> {
    let found = root.read_hashed::<Outline>(&Object::Plan { run: run.clone() }).await?;
    Ok(found.map(|(outline, _)| outline))
}

fn missing_plan(run: &RunId) -> CollectError {
    CollectError::PlanMissing { run: run.clone() }
}
