//! One line about the workers of a run: the most important of what is the matter.

use std::collections::BTreeMap;
use std::time::Instant;

use nightshift_core::ids::RunId;

use super::{Cluster, NEWS, Seen, TOLD_AGAIN};
use crate::launch::Sighting;
use crate::launch::kube::explain::Explanation;
use crate::launch::kube::tell::Told;

/// Different things that are told about one run at a time.
const TOLD_MAX: usize = 3;

impl Cluster {
    /// Passes on how the workers of a run are, if that has changed.
    pub(super) fn notice(&mut self, run: &RunId, now: Instant, seen: &mut Seen) {
        let told = self.matters(run, now);
        self.tell(run, &told, now, seen);
        let lines: Vec<String> = told.into_iter().take(TOLD_MAX).map(|(line, _)| line).collect();
        let text = lines.join("; ");
        let before = self.notices.get(run).map_or("", String::as_str);
        if before != text {
            if text.is_empty() {
                self.notices.remove(run);
            } else {
                self.notices.insert(run.clone(), text.clone());
            }
            seen.sightings.push(Sighting::Noticed { run: run.clone(), text });
        }
    }

    /// What is the matter, the most important first; each with the line that says so.
    fn matters(&self, run: &RunId, now: Instant) -> Vec<(String, Explanation)> {
        let Some(job) = self.jobs.get(run) else { return Vec::new() };
        // How it ended is said by the run itself.
        if job.ended {
            return Vec::new();
        }
        if let Some(suspended) = &job.suspended {
            return vec![(suspended.text.clone(), suspended.clone())];
        }
        let mut matters = Vec::new();
        let pods = || self.pods.iter().filter(|(_, pod)| pod.job == job.uid && !pod.over);
        if pods().count() < job.parallelism
            && let Some(refused) = self.refusals.get(&job.uid)
        {
            matters.push((refused.text.clone(), refused.clone()));
        }
        let mut alike: BTreeMap<&str, (usize, &Explanation)> = BTreeMap::new();
        for (uid, pod) in pods() {
            let event = pod.pending.then(|| self.refusals.get(uid)).flatten();
            if let Some(trouble) = pod.trouble.as_ref().or(event) {
                alike.entry(&trouble.reason).or_insert((0, trouble)).0 += 1;
            }
        }
        for (count, trouble) in alike.into_values() {
            let line = match count {
                1 => trouble.text.clone(),
                _ => format!("{count} pods alike: {}", trouble.text),
            };
            matters.push((line, trouble.clone()));
        }
        if let Some((at, death)) = self.deaths.get(run)
            && now.saturating_duration_since(*at) < NEWS
        {
            matters.push((death.text.clone(), death.clone()));
        }
        matters
    }

    /// Tells the Job what is new about it.
    fn tell(
        &mut self,
        run: &RunId,
        matters: &[(String, Explanation)],
        now: Instant,
        seen: &mut Seen,
    ) {
        let Some(job) = self.jobs.get(run) else { return };
        for (_, explained) in matters {
            // Kubernetes says these on the Job itself.
            if self.refusals.get(&job.uid) == Some(explained) || job.suspended.is_some() {
                continue;
            }
            let key = (job.uid.clone(), explained.reason.clone());
            let fresh = self
                .told
                .get(&key)
                .is_none_or(|at| now.saturating_duration_since(*at) >= TOLD_AGAIN);
            if fresh {
                self.told.insert(key, now);
                let (reason, text) = (explained.reason.clone(), explained.text.clone());
                seen.tell.push(Told { job: job.about.clone(), reason, text });
            }
        }
    }
}
