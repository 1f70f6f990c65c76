//! `nightshift doctor`: check everything that a run needs, and say what is wrong.

use std::sync::Arc;

use nightshift_core::exit::Exit;
use nightshift_core::ids::Partition;
use nightshift_storage::root::{OutputRoot, Reader};
use nightshift_storage::sync::Durability;
use nightshift_telemetry::secrets::Secrets;
use nightshift_worker::pool::NoObserver;
use nightshift_worker::session::{RunError, Session, Task};
use nightshift_worker::source::Drain;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{LookArgs, OutputFormatArg};
use crate::prose;
use crate::table::thousands;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    text: String,
    #[serde(skip)]
    exit: Exit,
}

pub(crate) fn perform(runtime: Handle, args: &LookArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(&args.spec)?;
    let session = Session::new(runtime.clone(), 1, Drain::default(), Arc::new(NoObserver));
    let mut checks = vec![Check {
        name: "spec",
        ok: true,
        text: format!("{} describes {}", workspace.file, workspace.spec.name),
        exit: Exit::Done,
    }];
    let named = workspace.named_partitions(&args.dates)?;
    let partitions = match named {
        Some(named) => named,
        None if workspace.spec.is_dated() => Vec::new(),
        None => vec![Partition::All],
    };
    let any = match partitions.first() {
        Some(partition) => workspace.task(*partition)?,
        None => workspace.task(Partition::Date(jiff::civil::Date::ZERO))?,
    };
    checks.push(model(&session, &any));
    for partition in &partitions {
        checks.push(input(&session, &workspace.task(*partition)?));
    }
    if partitions.is_empty() {
        let text = "not checked: the spec needs a date; add --date".to_owned();
        checks.push(Check { name: "input", ok: true, text, exit: Exit::Done });
    }
    checks.push(output(&runtime, &any));
    // A store may repeat what it was asked, with the token that it was asked with.
    let secrets = Secrets::of_process();
    for check in &mut checks {
        check.text = prose::harmless(&secrets.hide(&check.text));
    }
    if args.format.output_format == OutputFormatArg::Json {
        print_json(&checks)?;
    } else {
        let line = |check: &Check| {
            let mark = if check.ok { "ok   " } else { "FAULT" };
            format!("{mark} {:<7} {}\n", check.name, check.text)
        };
        print(&checks.iter().map(line).collect::<String>())?;
    }
    let worst = checks.iter().find(|check| !check.ok).map(|check| check.exit);
    Ok(worst.unwrap_or(Exit::Done))
}

fn check(name: &'static str, result: Result<String, RunError>) -> Check {
    match result {
        Ok(text) => Check { name, ok: true, text, exit: Exit::Done },
        Err(error) => {
            let text = nightshift_worker::describe(&error);
            Check { name, ok: false, text, exit: error.exit() }
        }
    }
}

fn model(session: &Session, task: &Task) -> Check {
    let loaded = session.load(task).map(|loaded| {
        let identity = loaded.identity;
        let leads_to = match &identity.pinned {
            Some(pinned) => format!(" is {pinned}"),
            None => String::new(),
        };
        let bytes = thousands(identity.size_bytes());
        format!("{}{leads_to}, {bytes} bytes, digest {}", identity.uri, identity.digest)
    });
    check("model", loaded)
}

fn input(session: &Session, task: &Task) -> Check {
    let prepared = session.prepare(task).map(|prepared| {
        let plan = prepared.plan;
        format!(
            "{}: {} files, {} rows, {} shards, every column is there",
            task.partition,
            thousands(plan.inputs.len() as u64),
            thousands(plan.rows),
            thousands(plan.shards.len() as u64)
        )
    });
    check("input", prepared)
}

/// Probes the output as a run would; the probe needs the folder, which a run would make too.
fn output(runtime: &Handle, task: &Task) -> Check {
    let probed = runtime.block_on(async {
        let existed = Reader::open(&task.bound.output).await.is_ok();
        let root = OutputRoot::open(&task.bound.output, Durability::Full).await?.probe().await?;
        if existed {
            root.identify(&task.spec.name).await?;
        }
        let place = root.place();
        Ok(format!("{place} keeps its promises: create once, one winner among 20"))
    });
    check("output", probed)
}
