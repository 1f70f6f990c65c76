//! The final, one record at a time: concluding needs no more memory for a million shards than
//! for one.

use super::{Final, FinalState, NotConcluded, QUARANTINED_SHOWN_MAX, QuarantinedShard, Totals};
use crate::ids::ShardIndex;
use crate::plan::Planned;
use crate::record::{Record, Verdict};

/// A [`Final`] in the making.
///
/// Records come in the order of their shards, because sums of seconds depend on the order: that
/// way every process computes the same bytes.
#[derive(Debug, Clone)]
pub struct Tally<'p, P> {
    plan: &'p P,
    /// The final of the shards counted so far.
    verdict: Final,
    /// The shard after the last one counted.
    next: u32,
    /// Shards passed over, and the first of them.
    missing: u64,
    first_missing: Option<ShardIndex>,
}

impl<'p, P: Planned> Tally<'p, P> {
    /// A tally of no records yet.
    pub fn new(plan: &'p P) -> Self {
        let totals =
            Totals { shards: plan.shard_count().into(), rows_in: plan.rows(), ..Totals::default() };
        let verdict = Final {
            version: Final::VERSION,
            run: plan.run().clone(),
            state: FinalState::Succeeded,
            fingerprint: plan.fingerprint(),
            model_digest: plan.model().digest,
            planned_at: plan.planned_at(),
            decided_at: plan.planned_at(),
            totals,
            quarantined: Vec::new(),
            scores: None,
        };
        Self { plan, verdict, next: 0, missing: 0, first_missing: None }
    }

    /// Counts the record of `shard`.
    ///
    /// # Errors
    /// [`NotConcluded::Invalid`] if it contradicts the plan, [`NotConcluded::OutOfOrder`] if
    /// a record of the same or a later shard was counted before. It is not counted then.
    pub fn add(&mut self, shard: ShardIndex, record: &Record) -> Result<(), NotConcluded> {
        let invalid = |source| NotConcluded::Invalid { shard, source };
        record.check(self.plan, shard).map_err(invalid)?;
        if shard.0 < self.next {
            return Err(NotConcluded::OutOfOrder { shard });
        }
        self.pass_over(shard.0);
        // A shard of the plan, so there is a number after it.
        self.next = shard.0 + 1;
        let rows = self.plan.shard_rows(shard).unwrap_or_default();
        let verdict = &mut self.verdict;
        verdict.decided_at = verdict.decided_at.max(record.decided_at);
        verdict.totals.add(record, rows);
        if let Some(scores) = record.committed().and_then(|committed| committed.scores.as_ref()) {
            verdict.scores.get_or_insert_default().merge(scores);
        }
        if let Verdict::Quarantined(q) = &record.verdict
            && verdict.quarantined.len() < QUARANTINED_SHOWN_MAX
        {
            verdict.quarantined.push(QuarantinedShard {
                shard,
                rows,
                class: q.class,
                reason: q.reason.clone(),
                message: q.message.clone(),
            });
        }
        Ok(())
    }

    /// The final.
    ///
    /// # Errors
    /// [`NotConcluded::Undecided`] if a shard has no record.
    pub fn finish(mut self) -> Result<Final, NotConcluded> {
        let shards = self.plan.shard_count();
        self.pass_over(shards);
        if let Some(first) = self.first_missing {
            let undecided = self.missing;
            return Err(NotConcluded::Undecided { undecided, shards: shards.into(), first });
        }
        self.verdict.state = self.verdict.totals.state();
        Ok(self.verdict)
    }

    /// Notes that shards before `to` that were not counted will not come any more.
    fn pass_over(&mut self, to: u32) {
        if to > self.next {
            self.missing += u64::from(to - self.next);
            self.first_missing = self.first_missing.or(Some(ShardIndex(self.next)));
        }
    }
}

impl Totals {
    /// Adds one checked record. What a record says of itself alone is added with saturation: a
    /// record may claim any number of bytes.
    fn add(&mut self, record: &Record, rows: u64) {
        let c = match &record.verdict {
            Verdict::Committed(committed) => committed,
            Verdict::Quarantined(_) => {
                self.quarantined += 1;
                self.rows_quarantined = self.rows_quarantined.saturating_add(rows);
                return;
            }
        };
        self.committed += 1;
        self.inherited += u64::from(record.inherited_from.is_some());
        self.rows_out = self.rows_out.saturating_add(c.rows_out);
        self.rows_rejected = self.rows_rejected.saturating_add(c.rows_rejected);
        self.output_bytes = self.output_bytes.saturating_add(c.output.size_bytes);
        for (reason, count) in &c.rejects_by_reason {
            match self.rejects_by_reason.get_mut(reason) {
                Some(sum) => *sum = sum.saturating_add(*count),
                None => _ = self.rejects_by_reason.insert(reason.clone(), *count),
            }
        }
        // An inherited shard cost this run nothing.
        if record.inherited_from.is_none() {
            self.read_s += c.timing.read_s;
            self.infer_s += c.timing.infer_s;
            self.write_s += c.timing.write_s;
        }
    }

    fn state(&self) -> FinalState {
        match (self.committed, self.quarantined) {
            (_, 0) => FinalState::Succeeded,
            (0, _) => FinalState::Failed,
            _ => FinalState::Partial,
        }
    }
}
