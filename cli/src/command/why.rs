//! `nightshift why`: how a run stands, or one of its shards, or a date, in plain words.

use jiff::Timestamp;
use nightshift_core::exit::Exit;
use nightshift_proto::runs::get::GetRun;
use nightshift_worker::front::failure::Failure;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{OutputFormatArg, WhyArgs, WhyTarget};
use crate::coordinator::Coordinator;
use crate::prose;

mod date;
mod gate;
mod run;
mod shard;
mod stored;
mod view;

pub(crate) fn perform(runtime: &Handle, args: &WhyArgs) -> Result<Exit, Failure> {
    let (run, shard) = match args.target()? {
        WhyTarget::Run(run, shard) => (run, shard),
        WhyTarget::Date(spec, date) => return date::perform(runtime, args, &spec, date),
    };
    let json = args.format.output_format == OutputFormatArg::Json;
    let now = Timestamp::now();
    if let Some(output) = &args.output {
        let told = runtime.block_on(stored::tell(output, &run, shard))?;
        if json {
            print_json(&told)?;
        } else {
            print(&prose::wrap(&told.text, prose::WIDTH))?;
        }
        return Ok(Exit::Done);
    }
    let address = args.coordinator.address()?;
    let found = runtime.block_on(async {
        let coordinator = Coordinator::connect(
            &address,
            &args.coordinator.tls,
            args.coordinator.patience(false),
        )?;
        let get = GetRun { shard, ..GetRun::of(run.clone()) };
        Ok::<_, Failure>(coordinator.get(get).await?)
    })?;
    let again = format!("nightshift retry --coordinator {address} {run}");
    let text = match (&found.shard, shard) {
        (Some(shard), _) => shard::describe(&found, shard, &again),
        (None, Some(shard)) => {
            // A coordinator that plans knows no shards yet.
            let run = run::describe(&found, now, &again);
            format!("Of shard {shard} the coordinator says nothing. {run}")
        }
        (None, None) => {
            let ask = format!("nightshift approve {run} --coordinator {address}");
            run::describe(&found, now, &again) + &run::waits(&found, &ask)
        }
    };
    if json {
        print_json(&view::WhyView::new(&found, &text))?;
    } else {
        print(&prose::wrap(&text, prose::WIDTH))?;
    }
    Ok(Exit::Done)
}

/// A count with its noun, in the plural unless it is one.
fn count(count: u64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{} {noun}", crate::table::thousands(count))
}

/// Sentences of a paragraph.
fn paragraph(sentences: &[String]) -> String {
    let sentences = sentences.iter().filter(|sentence| !sentence.is_empty());
    sentences.map(|sentence| prose::sentence(sentence)).collect::<Vec<_>>().join(" ")
}
