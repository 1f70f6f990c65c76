//! From flags to a launcher and an election.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube::Client;
use nightshift_coordinator::coordinator::Coordinator;
use nightshift_coordinator::launch::kube::{self as pods, KubeLauncher, KubeSettings};
use nightshift_coordinator::launch::local::{LocalLauncher, LocalSettings};
use nightshift_coordinator::launch::{Batches, Launcher, Sighting};
use nightshift_coordinator::leader::Election;
use nightshift_core::describe::describe;
use nightshift_core::exit::Exit;
use nightshift_manifests::JobTemplate;
use nightshift_telemetry::Failure;
use tokio::sync::mpsc;

use super::args::{Arguments, Launch};

/// What the flags say about workers and replicas, checked before anything is served.
pub(crate) struct Plan {
    launch: Launch,
    /// A client and the namespace to work in, where anything is asked of Kubernetes.
    kube: Option<(Client, String)>,
    template: Option<JobTemplate>,
}

/// A launcher, and what it sees.
pub(crate) type Launching = (Arc<dyn Launcher>, mpsc::Receiver<Sighting>);

impl Plan {
    /// Checks the flags and reads the files that they name.
    pub(crate) async fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let launch = arguments.launch;
        let template = match (launch, &arguments.job_template) {
            (Launch::Kube, Some(file)) => Some(template(file, &arguments.job_overlay)?),
            (Launch::Kube, None) => {
                let text = "--launch kube needs --job-template: name a Job as in deploy/base/worker-job.yaml";
                return Err(Failure::new(Exit::Usage, text));
            }
            _ => None,
        };
        if launch == Launch::Kube
            && arguments.advertise.is_none()
            && arguments.listen.ip().is_unspecified()
        {
            let text = "--launch kube needs --advertise: name the URL of this coordinator's Service, as in http://nightshift-coordinator:7070";
            return Err(Failure::new(Exit::Usage, text));
        }
        let kube = if launch == Launch::Kube || arguments.leader_elect.is_some() {
            let connected = pods::connect(arguments.kubeconfig.as_deref()).await;
            let (client, namespace) =
                connected.map_err(|error| Failure::new(Exit::Config, describe(&error)))?;
            Some((client, arguments.namespace.clone().unwrap_or(namespace)))
        } else {
            None
        };
        Ok(Self { launch, kube, template })
    }

    /// This replica's part in the election, if there is one.
    pub(crate) fn election(&self, arguments: &Arguments) -> Option<Election> {
        let (client, namespace) = self.kube.as_ref()?;
        let lease = arguments.leader_elect.as_ref()?;
        Some(Election::new(client.clone(), namespace, lease, me()))
    }

    /// Starts the launcher, where one is asked for, for the runs of `coordinator`; `serving` is the
    /// address that is served.
    pub(crate) fn start(
        self,
        arguments: &Arguments,
        serving: SocketAddr,
        coordinator: &Arc<Coordinator>,
    ) -> Option<Launching> {
        let advertise = arguments
            .advertise
            .clone()
            .unwrap_or_else(|| reachable(serving, arguments.tls_cert.is_some()));
        match self.launch {
            Launch::None => None,
            Launch::Local => {
                let program = arguments.worker_program.clone().unwrap_or_else(beside);
                let cores = std::thread::available_parallelism().ok();
                let cores = cores.and_then(|cores| u32::try_from(cores.get()).ok());
                let cores = cores.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
                let (launcher, seen) =
                    LocalLauncher::start(LocalSettings { program, advertise, cores });
                Some((launcher, seen))
            }
            Launch::Kube => {
                let (client, namespace) = self.kube?;
                let settings = KubeSettings {
                    namespace,
                    template: self.template?,
                    image: arguments.worker_image.clone(),
                    advertise,
                    grace: pods::GRACE,
                    batches: {
                        let coordinator = Arc::clone(coordinator);
                        Batches::known_by(move |run, host| coordinator.batch_of(run, host))
                    },
                };
                let (launcher, seen) = KubeLauncher::start(client, settings);
                Some((launcher, seen))
            }
        }
    }
}

/// The job template with every overlay laid over it, in their order.
fn template(file: &Path, overlays: &[PathBuf]) -> Result<JobTemplate, Failure> {
    let wrong = |error| Failure::new(Exit::Config, describe(&error));
    let (name, text) = named_text("--job-template", file)?;
    let mut template = JobTemplate::parse(&name, &text).map_err(wrong)?;
    for file in overlays {
        let (name, text) = named_text("--job-overlay", file)?;
        template = template.laid_over(&name, &text).map_err(wrong)?;
    }
    Ok(template)
}

/// Name and text of the file that `flag` names.
fn named_text(flag: &str, file: &Path) -> Result<(String, String), Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file);
    let text =
        text.map_err(|error| Failure::new(Exit::Config, format_args!("{flag} {name}: {error}")))?;
    Ok((name, text))
}

/// What this replica calls itself in an election: its pod, and a random part for each life.
fn me() -> String {
    let host = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    let host =
        host.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    format!("{host}_{}", ulid::Ulid::generate())
}

/// The address that is served, as a process of this machine calls it.
fn reachable(serving: SocketAddr, tls: bool) -> String {
    let ip = match serving.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, serving.port()))
}

/// The worker's program, where it is installed beside this one.
fn beside() -> PathBuf {
    const WORKER: &str = "nightshift-worker";
    match std::env::current_exe() {
        Ok(this) => this.with_file_name(WORKER),
        Err(_) => PathBuf::from(WORKER),
    }
}
