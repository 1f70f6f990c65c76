//! Where everything is measured: the cores, the folder, the coordinator and its runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nightshift_proto::wire;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::Common;
use crate::fleet;
use crate::scene::Scene;
use crate::service::{CoordinatorArgs, Service, cores, pin};

/// The machine and the folder.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) scene: Scene,
    program: PathBuf,
    /// The core of what is measured; none if there is only one for everything.
    measured: Option<usize>,
    /// The core of everything else.
    rest: Option<usize>,
    /// How many cores there are.
    pub(crate) cores: usize,
}

impl Stand {
    /// Takes the first core for what is measured, and moves this process away from it.
    pub(crate) fn new(common: &Common) -> Result<Self> {
        let program = common.program()?;
        if !program.is_file() {
            bail!("{} is missing: run `make bench-leases`", program.display());
        }
        allow_many_connections()?;
        let cores = cores()?;
        let (measured, rest) = match cores.as_slice() {
            [first, second, ..] => (Some(*first), Some(*second)),
            _ => (None, None),
        };
        if let Some(core) = rest {
            pin(core)?;
        }
        let scene = Scene::new(&common.parent())?;
        Ok(Self { scene, program, measured, rest, cores: cores.len() })
    }

    /// A fresh coordinator, alone on its core.
    pub(crate) fn coordinator(&self, redis: Option<SocketAddr>) -> Result<Service> {
        self.coordinator_at(&self.scene.path(&format!("home-{}", ulid::Ulid::generate())), redis)
    }

    /// A coordinator with its home at `home`.
    pub(crate) fn coordinator_at(&self, home: &Path, redis: Option<SocketAddr>) -> Result<Service> {
        let args = CoordinatorArgs { program: &self.program, home, redis };
        Service::coordinator(args, self.measured)
    }

    /// A redis-server on the core of the simulated workers: the ledger beside the coordinator.
    pub(crate) fn redis_beside(&self) -> Result<Service> {
        Service::redis(self.rest)
    }

    /// A redis-server on the core of the coordinator: it is what is measured.
    pub(crate) fn redis_measured(&self) -> Result<Service> {
        Service::redis(self.measured)
    }

    /// Starts the run that is wished for; its id.
    pub(crate) async fn start(
        &self,
        coordinator: &Service,
        wish: wire::StartRequest,
    ) -> Result<String> {
        let mut operator = fleet::operator(coordinator.address).await?;
        let answer = operator.start(wish).await?.into_inner();
        if answer.decision() != wire::Decision::Start {
            bail!("the run was not started: {}", answer.decision().as_str_name());
        }
        Ok(answer.run.context("an answer without a run")?.run)
    }
}

/// Every simulated worker may have a connection, and the coordinator, which inherits the limit,
/// its other end.
fn allow_many_connections() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}
