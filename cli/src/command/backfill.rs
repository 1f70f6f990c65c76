//! `nightshift backfill`: the next missing thing, once, however often it is started.

use std::sync::Arc;
use std::time::Instant;

use jiff::SignedDuration;
use nightshift_core::backfill::{RETRIES, Rules};
use nightshift_core::exit::Exit;
use nightshift_core::ids::Partition;
use nightshift_core::spec::Order;
use nightshift_ledger::Ledger;
use nightshift_ledger::redis::{RedisLedger, RedisSettings};
use nightshift_storage::deciding::Deciding;
use nightshift_telemetry::meter::Meter;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::identity::Identity;
use nightshift_worker::session::Session;
use tokio::runtime::Handle;

use super::run::drain_on_signals;
use crate::args::{BackfillArgs, OutputFormatArg, RedisArgs};
use crate::coordinator::requester;
use crate::progress::Progress;
use crate::summary::{Line, exit_of, tell_troubles};
use crate::ticking::{Ask, Scene};

mod remote;
pub(super) mod shown;
mod working;

use shown::Shown;
use working::Worker;

/// What the command line asks for, checked.
struct Wish {
    dates: Vec<Partition>,
    /// Whether the dates were named, so that one without input is an error.
    named: bool,
    rules: Rules,
    order: Order,
    dates_max: usize,
    /// What the claim of a forced date says.
    forced: Option<String>,
}

pub(crate) fn perform(
    runtime: &Handle,
    args: &BackfillArgs,
    meter: Arc<Meter>,
) -> Result<Exit, Failure> {
    let workspace = Workspace::open(&args.spec)?;
    if let Some(address) = args.coordinator.named_address()? {
        let wish = Wish::new(args, &workspace)?;
        return remote::perform(runtime, args, &workspace, wish, &address);
    }
    let deciding = if args.dry_run {
        Deciding::by_store()
    } else {
        let who = Identity::of_this_process().to_string();
        args.commit.deciding(who, &workspace.output()?)?
    };
    let done = work(runtime, args, &workspace, meter, deciding.clone());
    runtime.block_on(deciding.release());
    done
}

/// Decides and works here.
fn work(
    runtime: &Handle,
    args: &BackfillArgs,
    workspace: &Workspace,
    meter: Arc<Meter>,
    deciding: Deciding,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let json = args.format.output_format == OutputFormatArg::Json;
    let drain = drain_on_signals()?;
    let progress = Arc::new(Progress::new(u64::from(args.max_dates), json));
    let threads = args.workers.map_or_else(nightshift_worker::front::default_threads, usize::from);
    let observer = Arc::clone(&progress);
    let mut session = Session::new(runtime.clone(), threads, drain.clone(), observer);
    session.meter = meter;
    session.deciding = deciding;
    let wish = Wish::new(args, workspace)?;
    let scene = Scene {
        runtime,
        session: &session,
        workspace,
        ledger: ledger(&args.redis)?,
        join_after: SignedDuration::try_from(args.join_after.0).unwrap_or(SignedDuration::MAX),
    };
    let mut worker = Worker::new(&scene, &wish, &progress);
    let mut first = None;
    let mut lines: Vec<Line> = Vec::new();
    // Every round but the last does something, and a date can be done so often at most.
    let rounds_max = wish.dates.len().saturating_mul(RETRIES as usize + 1).saturating_add(1);
    for _ in 0..rounds_max {
        let ask = wish.ask();
        let ticked = scene.tick(&ask)?;
        shown::tell_index(&ticked.index, scene.ledger.as_deref());
        let shown = first.get_or_insert_with(|| Shown::new(&ticked));
        if args.dry_run {
            if !json {
                shown.tell_table()?;
            }
            shown.print(workspace, &[], json, begun)?;
            return Ok(shown.exit(wish.named));
        }
        if lines.is_empty() && !json {
            shown.tell_table()?;
        }
        let round = worker.work(ticked, args.wait)?;
        let is_over = round.is_idle() || !args.until_done || drain.is_requested();
        lines.extend(round.lines);
        if is_over {
            break;
        }
    }
    progress.finish();
    let Some(shown) = first else { return Ok(Exit::Done) };
    shown.warn();
    shown.print(workspace, &lines, json, begun)?;
    tell_troubles(&lines);
    if drain.is_requested() {
        let text = "drained: what is committed stays; the next backfill goes on";
        return Err(Failure::new(Exit::Temporary, text));
    }
    Ok(match exit_of(&lines) {
        Exit::Done => shown.exit(wish.named),
        exit => exit,
    })
}

impl Wish {
    fn new(args: &BackfillArgs, workspace: &Workspace) -> Result<Self, Failure> {
        let named = workspace.named_partitions(&args.dates)?;
        let backfill = &workspace.spec.backfill;
        let dates = match &named {
            Some(dates) => dates.clone(),
            None => workspace.window(args.window.map_or(backfill.window_days, |days| days.0))?,
        };
        let is_named = named.is_some() || !workspace.spec.is_dated();
        if args.force && !is_named {
            let text = "--force is for dates that are named: add --date or --dates";
            return Err(Failure::new(Exit::Usage, text));
        }
        let forced = match (&args.reason, args.force) {
            (Some(reason), true) => {
                let reason = super::submit::checked_reason(reason)?;
                Some(format!("{reason} (nightshift backfill --force by {})", requester()?))
            }
            _ => None,
        };
        let reprocess = args.reprocess.map_or(backfill.reprocess, Into::into);
        // Whoever names dates to be forced means all of them.
        let dates_max = if args.force { dates.len() } else { args.max_dates as usize };
        Ok(Self {
            dates,
            named: is_named,
            rules: Rules { reprocess, force: args.force },
            order: args.order.map_or(backfill.order, Into::into),
            dates_max,
            forced,
        })
    }

    fn ask(&self) -> Ask<'_> {
        let Self { dates, rules, order, dates_max, .. } = self;
        Ask { dates, rules: *rules, order: *order, dates_max: *dates_max }
    }
}

/// The ledger, if the command line names one. Nothing is connected before it is used.
pub(super) fn ledger(args: &RedisArgs) -> Result<Option<Arc<dyn Ledger>>, Failure> {
    let Some(url) = &args.redis else { return Ok(None) };
    let settings = RedisSettings { url: url.clone(), ca_file: args.redis_ca.clone() };
    let ledger = RedisLedger::new(settings).map_err(|error| {
        Failure::new(Exit::Config, format_args!("--redis: {}", nightshift_worker::describe(&error)))
    })?;
    Ok(Some(Arc::new(ledger)))
}
