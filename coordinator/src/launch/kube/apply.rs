//! The objects of a run: made once, scaled, deleted.
//!
//! The Job as a whole is applied once, by [`MANAGER`]. Its slots are the business of a field
//! manager of their own, [`SLOTS_MANAGER`], so that nothing else, such as what Kueue has changed,
//! is ever put back.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::{Api, Client, ResourceExt};
use nightshift_core::ids::RunId;
use nightshift_core::plan::Planned;
use nightshift_core::spec::Workers;
use nightshift_manifests::names::job_name;
use nightshift_manifests::worker_job::RunFacts;
use nightshift_manifests::{JobOrder, Owner, run_config_map, scale_patch, worker_job};

use super::{KubeSettings, MANAGER, SLOTS_MANAGER, run_of};
use crate::launch::{LaunchError, Wanted};

/// What everything that is made for a run is found by.
pub(super) const MANAGED: &str = "app.kubernetes.io/managed-by=nightshift-coordinator";

/// Jobs and ConfigMaps in one namespace.
#[derive(Debug)]
pub(super) struct Objects {
    jobs: Api<Job>,
    config_maps: Api<ConfigMap>,
    settings: KubeSettings,
}

impl Objects {
    pub(super) fn new(client: Client, settings: KubeSettings) -> Self {
        Self {
            jobs: Api::namespaced(client.clone(), &settings.namespace),
            config_maps: Api::namespaced(client, &settings.namespace),
            settings,
        }
    }

    /// The Job with the name of the run's.
    pub(super) async fn job(&self, run: &RunId) -> Result<Option<Job>, LaunchError> {
        let job = self.jobs.get_opt(&job_name(run)).await;
        job.map_err(|error| LaunchError::of_kube("read a Job", error))
    }

    /// Makes the ConfigMap of a run, and its Job.
    pub(super) async fn create(&self, wanted: &Wanted, slots: u32) -> Result<Job, LaunchError> {
        let run = wanted.run();
        let nothing_said = Workers::default();
        let workers = wanted.facts.outline.workers.as_ref().unwrap_or(&nothing_said);
        let mut order = JobOrder {
            run: run.clone(),
            slots,
            workers,
            coordinator_url: self.settings.advertise.clone(),
            owner: None,
            needs_gpu: wanted.facts.outline.task.task().needs_gpu(),
            image: self.settings.image.clone(),
        };
        // Before anything is made: a spec that makes no Job shall leave nothing behind.
        worker_job(&self.settings.template, &order)?;
        let config_map = self.create_config_map(wanted).await?;
        order.owner = Some(Owner {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            name: config_map.name_any(),
            uid: config_map.uid().unwrap_or_default(),
        });
        let job = worker_job(&self.settings.template, &order)?;
        let params = PatchParams::apply(MANAGER);
        let made = self.jobs.patch(&job_name(run), &params, &Patch::Apply(&job)).await;
        made.map_err(|error| LaunchError::of_kube("make a Job", error))
    }

    async fn create_config_map(&self, wanted: &Wanted) -> Result<ConfigMap, LaunchError> {
        let outline = &wanted.facts.outline;
        let facts = RunFacts {
            run: wanted.run().clone(),
            output: wanted.facts.output_root.clone(),
            shards: outline.shard_count(),
            rows: outline.rows(),
            model_version: outline.model.version.clone(),
            model_digest: Some(outline.model.digest),
        };
        let config_map = run_config_map(&facts);
        // What it says follows from the run alone, so whoever says otherwise is wrong.
        let params = PatchParams::apply(MANAGER).force();
        let name = job_name(wanted.run());
        let made = self.config_maps.patch(&name, &params, &Patch::Apply(&config_map)).await;
        made.map_err(|error| LaunchError::of_kube("make a ConfigMap", error))
    }

    /// Changes the slots of a Job and whether it rests, and nothing else of it.
    pub(super) async fn scale(
        &self,
        run: &RunId,
        slots: u32,
        rests: bool,
    ) -> Result<(), LaunchError> {
        let params = PatchParams::apply(SLOTS_MANAGER).force();
        let patch = scale_patch(slots, rests);
        let scaled = self.jobs.patch(&job_name(run), &params, &Patch::Apply(&patch)).await;
        match scaled {
            Ok(_) => Ok(()),
            Err(error) => match LaunchError::of_kube("change the slots of a Job", error) {
                // The Job is well as it is; never a reason to end its run.
                LaunchError::Invalid { message } => {
                    let doing = "change the slots of a Job";
                    Err(LaunchError::Conflict { doing, message })
                }
                error => Err(error),
            },
        }
    }

    /// Deletes this very Job, and its pods after it.
    pub(super) async fn delete_job(&self, run: &RunId, job: &Job) -> Result<(), LaunchError> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: job.uid(), resource_version: None }),
            ..DeleteParams::default()
        };
        gone(self.jobs.delete(&job_name(run), &params).await, "delete a Job")
    }

    /// Deletes the ConfigMap of a run, if it is of that run.
    pub(super) async fn delete_config_map(&self, run: &RunId) -> Result<(), LaunchError> {
        let name = job_name(run);
        let there = self.config_maps.get_opt(&name).await;
        let there = there.map_err(|error| LaunchError::of_kube("read a ConfigMap", error))?;
        let Some(there) = there.filter(|there| run_of(there.annotations()).as_ref() == Some(run))
        else {
            return Ok(());
        };
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: there.uid(), resource_version: None }),
            ..DeleteParams::default()
        };
        gone(self.config_maps.delete(&name, &params).await, "delete a ConfigMap")
    }

    /// The runs of which there is a Job or a ConfigMap.
    pub(super) async fn present(&self) -> Result<Vec<RunId>, LaunchError> {
        let ours = ListParams::default().labels(MANAGED);
        let jobs = self.jobs.list_metadata(&ours).await;
        let jobs = jobs.map_err(|error| LaunchError::of_kube("list Jobs", error))?;
        let maps = self.config_maps.list_metadata(&ours).await;
        let maps = maps.map_err(|error| LaunchError::of_kube("list ConfigMaps", error))?;
        let jobs = jobs.items.iter().filter_map(|job| run_of(job.annotations()));
        let maps = maps.items.iter().filter_map(|map| run_of(map.annotations()));
        let mut runs: Vec<RunId> = jobs.chain(maps).collect();
        runs.sort();
        runs.dedup();
        Ok(runs)
    }
}

/// Whether it is gone, or about to be.
fn gone<T>(deleted: Result<T, kube::Error>, doing: &'static str) -> Result<(), LaunchError> {
    match deleted {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(LaunchError::of_kube(doing, error)),
    }
}
