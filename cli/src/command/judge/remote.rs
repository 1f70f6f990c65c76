//! Deciding through a coordinator, which has the output at hand.

use nightshift_core::gates::{Approval, Judgement};
use nightshift_core::ids::{Partition, RunId};
use nightshift_proto::limits::PAGE_MAX;
use nightshift_proto::runs::judge::{JudgeRun, Judged, JudgedRun};
use nightshift_proto::runs::list::ListRuns;
use nightshift_worker::front::args::SpecArgs;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;

use super::{Target, Told, no_spec, nothing_finished};
use crate::args::JudgeArgs;
use crate::coordinator::{Address, Coordinator, requester};

pub(super) async fn decide(
    args: &JudgeArgs,
    judgement: Judgement,
    address: &Address,
) -> Result<Told, Failure> {
    let target = Target::of(&args.target)?;
    let patience = args.coordinator.patience(false);
    let coordinator = Coordinator::connect(address, &args.coordinator.tls, patience)?;
    let run = match target {
        Target::Run(run) => run,
        Target::Partition(partition) => newest(&coordinator, args, partition).await?,
    };
    let (reason, requested_by) = (args.reason.clone(), requester()?);
    let judged = coordinator.judge(JudgeRun { run, judgement, reason, requested_by }).await?;
    let JudgedRun { run, judged, first, output } = judged;
    let Judged { judgement, decided_by, decided_at, reason } = judged;
    let version = Approval::VERSION;
    let approval = Approval { version, run, judgement, decided_by, decided_at, reason };
    Ok(Told { approval, first, output })
}

/// The newest run of a partition that has its verdict.
async fn newest(
    coordinator: &Coordinator,
    args: &JudgeArgs,
    partition: Partition,
) -> Result<RunId, Failure> {
    let spec = args.spec.clone().ok_or_else(|| no_spec(partition))?;
    let spec = SpecArgs { spec, input: None, model: None, output: None, model_version: None };
    let mut list = ListRuns {
        name: Some(Workspace::open(&spec)?.spec.name.clone()),
        partition: Some(partition),
        unfinished: false,
        page_size: PAGE_MAX,
        page: None,
    };
    // Runs under way come first, and there is hardly more than one of a date.
    loop {
        let page = coordinator.list(list.clone()).await?;
        if let Some(run) = page.runs.into_iter().find(|run| run.state.verdict().is_some()) {
            return Ok(run.run);
        }
        if page.next.is_none() {
            return Err(nothing_finished(partition));
        }
        list.page = page.next;
    }
}
