//! `nightshift plan --window`: how each date stands, and what the next backfills would do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nightshift_core::backfill::forecast::{self, RUNS_MAX};
use nightshift_core::backfill::life::JOIN_AFTER;
use nightshift_core::backfill::{Decided, Pace, Rules, Turn};
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Generation, Partition, RunId};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::session::{RunError, Session};
use serde::Serialize;
use tokio::runtime::Handle;

use crate::args::{OutputFormatArg, PlanArgs};
use crate::command::backfill::{ledger, shown::tell_index};
use crate::command::print_json;
use crate::outlook::{self, Outlook};
use crate::ticking::{Ask, Scene};

mod text;

/// Finals that are read at most to find runs that say how long one takes.
const FINALS_READ_MAX: usize = 4 * RUNS_MAX;

/// Everything, for scripts.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    output: String,
    /// `none`, `current`, `lost` or `unavailable`.
    ledger: &'static str,
    /// How fast past runs were; missing where none has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<PaceView>,
    dates: Vec<Line>,
    totals: Totals,
}

/// How fast past runs were.
#[derive(Debug, Serialize)]
struct PaceView {
    rows_per_s: f64,
    /// The median of so many runs.
    runs: usize,
}

/// One date.
#[derive(Debug, Serialize)]
struct Line {
    partition: Partition,
    /// In the words of `nightshift backfill`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What the next backfill does about it.
    action: &'static str,
    /// Which of the next backfills does something about it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    tick: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    reason: String,
    /// The run that the state is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_to_do: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<f64>,
    /// What the table shows of the state.
    #[serde(skip)]
    shown: String,
}

/// Sums over the dates.
#[derive(Debug, Serialize)]
struct Totals {
    dates: usize,
    /// Dates by state.
    states: BTreeMap<&'static str, usize>,
    /// Dates that the next backfills do something about.
    to_do: usize,
    /// Backfills that it takes.
    ticks: u32,
    rows_to_do: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<f64>,
}

pub(super) fn perform(runtime: &Handle, args: &PlanArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(&args.look.spec)?;
    let backfill = &workspace.spec.backfill;
    let dates = match workspace.named_partitions(&args.look.dates)? {
        Some(dates) => dates,
        None => workspace.window(args.window.map_or(backfill.window_days, |days| days.0))?,
    };
    let reprocess = args.ticks.reprocess.map_or(backfill.reprocess, Into::into);
    let order = args.ticks.order.map_or(backfill.order, Into::into);
    let session = Session::looking(runtime.clone());
    let scene = Scene {
        runtime,
        session: &session,
        workspace: &workspace,
        ledger: ledger(&args.redis)?,
        join_after: JOIN_AFTER,
    };
    let rules = Rules { reprocess, force: false };
    // With a place for each date the input of each is looked at.
    let ask = Ask { dates: &dates, rules, order, dates_max: dates.len() };
    let ticked = scene.tick(&ask)?;
    tell_index(&ticked.index, scene.ledger.as_deref());
    let ticks = forecast::ticks(&ticked.decided, order, args.ticks.max_dates as usize);
    let (ledger, away) = (ticked.ledger(), ticked.away);
    let reader = ticked.sources.output.as_ref().map(|output| output.reader.clone());
    let pace = match reader {
        None => None,
        Some(reader) => {
            let past = reader.past(RUNS_MAX, FINALS_READ_MAX, forecast::is_telling);
            match runtime.block_on(past) {
                Ok(past) => Pace::of(&past),
                // It was said already, date by date.
                Err(_) if away.is_some() => None,
                Err(error) => return Err(RunError::from(error).into()),
            }
        }
    };
    let outlooks = outlook::look(&scene, ticked)?;
    let lines: Vec<Line> = outlooks
        .into_iter()
        .map(|outlook| {
            let tick = ticks.get(&outlook.decided.partition).copied();
            Line::new(outlook, pace, tick)
        })
        .collect();
    let totals = Totals::of(&lines, pace);
    let output = workspace.output()?;
    let pace = pace.map(|Pace { rows_per_s, runs }| PaceView { rows_per_s, runs });
    let overview = Overview { output, ledger, pace, dates: lines, totals };
    match args.look.format.output_format {
        OutputFormatArg::Json => print_json(&overview)?,
        OutputFormatArg::Text => text::tell(&overview)?,
    }
    Ok(away.unwrap_or(Exit::Done))
}

impl Line {
    fn new(outlook: Outlook, pace: Option<Pace>, tick: Option<u32>) -> Self {
        let Decided { partition, instruction, .. } = &outlook.decided;
        let turn = match tick {
            None => Turn::Never,
            Some(1) => Turn::Now,
            Some(_) => Turn::Later,
        };
        let minutes = pace.zip(outlook.rows_to_do).map(|(pace, rows)| pace.minutes(rows));
        Self {
            partition: *partition,
            state: instruction.state(),
            detail: outlook.state.detail(),
            action: turn.action(instruction),
            tick,
            generation: instruction.generation().map(Generation::get),
            reason: instruction.to_string(),
            since: outlook.since(),
            rows: outlook.rows,
            shards: outlook.shards,
            rows_to_do: outlook.rows_to_do,
            minutes,
            shown: outlook.state.to_string(),
            run: outlook.run,
        }
    }
}

impl Totals {
    fn of(lines: &[Line], pace: Option<Pace>) -> Self {
        let mut states = BTreeMap::new();
        lines.iter().for_each(|line| *states.entry(line.state).or_default() += 1);
        let rows_to_do = lines.iter().filter_map(|line| line.rows_to_do).sum();
        Self {
            dates: lines.len(),
            states,
            to_do: lines.iter().filter(|line| line.tick.is_some()).count(),
            ticks: lines.iter().filter_map(|line| line.tick).max().unwrap_or(0),
            rows_to_do,
            minutes: pace.map(|pace| pace.minutes(rows_to_do)),
        }
    }
}
