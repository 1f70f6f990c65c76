//! What a person decides about a run that its gate withheld: recorded, published, counted, told.
//!
//! The approval in the store decides, whoever writes it: this coordinator, another one, or a
//! `nightshift approve` with the output at hand. It is created once, so there is one verdict
//! however many people ask. All that comes after it may be done again by whoever comes next.

use nightshift_core::conclusion::Final;
use nightshift_core::gates::Judgement;
use nightshift_core::ids::RunId;
use nightshift_core::layout::Object;
use nightshift_proto::runs::judge::{self as proto, JudgeRun, JudgedRun};
use nightshift_storage::error::StoreError;
use nightshift_storage::releasing::{self, Asked, JudgeError, Judged};
use nightshift_storage::root::Reader;

use super::Coordinator;
use crate::refusal::Refusal;
use crate::roots::ServedRoot;

impl Coordinator {
    /// Records a decision about a withheld run, and publishes its output if that is an approval.
    /// The same decision again is answered as done, and goes on where an earlier call died.
    ///
    /// # Errors
    /// If the run is not known, has no verdict, is not withheld, lacks shards or was decided
    /// otherwise; or if the store fails, and then the same call goes on with it.
    pub async fn judge(&self, judge: &JudgeRun) -> Result<JudgedRun, Refusal> {
        let run = &judge.run;
        let Some(served) = self.root_of(run) else {
            return Err(match self.is_recovered() {
                true => Refusal::UnknownRun { run: run.clone() },
                false => Refusal::Recovering,
            });
        };
        let Judged { approval, first, report } = match self.judge_stored(&served, judge).await {
            Err(JudgeError::NoVerdict { .. }) => {
                if self.status(run).await?.state.verdict().is_none() {
                    return Err(Refusal::NotConcluded { run: run.clone() });
                }
                // It got its verdict between the two looks.
                self.judge_stored(&served, judge).await?
            }
            Err(error @ JudgeError::DecidedOtherwise { .. }) => {
                // Perhaps somebody with the output at hand, of whom nothing is known here yet.
                if let Some(verdict) = self.verdict(run).await? {
                    self.met_judgement(&served.root, &verdict).await?;
                }
                return Err(error.into());
            }
            judged => judged?,
        };
        let (judgement, by) = (approval.judgement, &approval.decided_by);
        tracing::info!(%run, %judgement, by, first, "a person has decided");
        self.count_judgement(&report.verdict, judgement);
        let is_visible = judgement == Judgement::Approved;
        if is_visible {
            self.ledger.run_approved(&report.verdict);
        }
        Ok(JudgedRun {
            run: run.clone(),
            judged: proto::Judged::of(approval),
            first,
            output: is_visible.then(|| format!("{}/{}", served.output, report.output)),
        })
    }

    async fn judge_stored(
        &self,
        served: &ServedRoot,
        judge: &JudgeRun,
    ) -> Result<Judged, JudgeError> {
        let asked = Asked {
            run: judge.run.clone(),
            judgement: judge.judgement,
            who: judge.requested_by.to_string(),
            now: self.clock.wall(),
            reason: judge.reason.clone(),
        };
        releasing::judge(&served.root, asked).await
    }

    /// Counts what somebody decided about a run without this coordinator, and tells the ledger of
    /// an output that is visible by now.
    pub(super) async fn met_judgement(
        &self,
        reader: &Reader,
        verdict: &Final,
    ) -> Result<(), StoreError> {
        let Some(judgement) = reader.judgement(verdict).await? else { return Ok(()) };
        self.count_judgement(verdict, judgement);
        let RunId { partition, generation, .. } = verdict.run;
        if judgement == Judgement::Approved
            && reader.exists(&Object::Success { partition, generation }).await?
        {
            self.ledger.run_approved(verdict);
        }
        Ok(())
    }
}
