//! `nightshift verify`: hash and count the output of finished runs again.

use nightshift_core::decide::run_id;
use nightshift_core::exit::Exit;
use nightshift_storage::root::Reader;
use nightshift_storage::verifying::{Verification, verify_run};
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{LookArgs, OutputFormatArg};
use crate::table::{Align, Table, thousands};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;

pub(crate) fn perform(runtime: &Handle, args: &LookArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(&args.spec)?;
    let named = workspace.named_partitions(&args.dates)?;
    let found = runtime.block_on(async {
        let root = Reader::open(&workspace.output()?).await?;
        let chosen = named.is_some();
        let partitions = match named {
            Some(named) => named,
            None => root.partitions().await?.into_iter().collect(),
        };
        let mut found = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let facts = root.partition_facts(partition).await?;
            match facts.concluded {
                Some((generation, _)) => {
                    let run = run_id(&workspace.spec.name, partition, generation);
                    found.push(verify_run(&root, &run).await?);
                }
                None if chosen => {
                    return Err(Failure::new(
                        Exit::Data,
                        format_args!("{partition} has no finished run to verify; run it first"),
                    ));
                }
                None => {}
            }
        }
        Ok(found)
    })?;
    if args.format.output_format == OutputFormatArg::Json {
        print_json(&found)?;
    } else {
        print(&render(&found))?;
    }
    let passed = found.iter().all(Verification::passed);
    Ok(if passed { Exit::Done } else { Exit::Data })
}

fn render(found: &[Verification]) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("run", Left),
        ("result", Left),
        ("shards", Right),
        ("files", Right),
        ("rows out", Right),
        ("rejects", Right),
    ]);
    for one in found {
        table.row([
            one.run.to_string(),
            if one.passed() { "ok" } else { "FAULT" }.to_owned(),
            thousands(one.shards),
            thousands(one.files),
            thousands(one.rows_out),
            thousands(one.rows_rejected),
        ]);
    }
    let mut text = table.render();
    for one in found {
        for fault in &one.faults {
            text.push_str(&format!("{}: {fault}\n", one.run));
        }
    }
    if found.is_empty() {
        text = "there is no finished run to verify\n".to_owned();
    }
    text
}
