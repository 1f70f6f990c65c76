//! Taking in the last numbers of pods that end.

use std::sync::PoisonError;

use nightshift_proto::pods::{HandIn, HandedIn};
use nightshift_telemetry::exposition::Page;

use super::Coordinator;
use crate::refusal::Refusal;

impl Coordinator {
    /// Adds up what a pod leaves.
    ///
    /// # Errors
    /// If the run's name is not served here: anybody's names would fill the memory.
    pub fn hand_in(&self, handed: &HandIn) -> Result<HandedIn, Refusal> {
        if self.root_of(&handed.run).is_none() {
            return Err(Refusal::UnknownRun { run: handed.run.clone() });
        }
        // Whole between calls, so a panic elsewhere cannot break it.
        let mut pods = self.ended_pods.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = pods.take(handed);
        drop(pods);
        tracing::debug!(
            run = %handed.run,
            pod = %handed.pod,
            counted = answer.counted,
            left_out = answer.left_out,
            "a pod that ends handed in its numbers"
        );
        Ok(answer)
    }

    /// Writes what pods that are gone came to.
    pub(crate) fn write_ended_pods(&self, page: &mut Page) {
        self.ended_pods.lock().unwrap_or_else(PoisonError::into_inner).write(page);
    }
}
