//! `nightshift verify`: hash and count the output of finished runs again.

use nightshift_core::decide::run_id;
use nightshift_core::exit::Exit;
use nightshift_core::ids::RunId;
use nightshift_core::layout::Object;
use nightshift_storage::root::Reader;
use nightshift_storage::verifying::{Verification, verify_inputs, verify_run};
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{OutputFormatArg, VerifyArgs};
use crate::table::{Align, Table, thousands};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;

pub(crate) fn perform(runtime: &Handle, args: &VerifyArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(&args.spec)?;
    let found = runtime.block_on(async {
        let root = Reader::open(&workspace.output()?).await?;
        let mut found = Vec::new();
        for run in chosen(&root, &workspace, args).await? {
            let mut one = verify_run(&root, &run).await?;
            if args.inputs {
                verify_inputs(&root, &mut one).await?;
            }
            found.push(one);
        }
        Ok::<_, Failure>(found)
    })?;
    if args.format.output_format == OutputFormatArg::Json {
        print_json(&found)?;
    } else {
        print(&render(&found))?;
    }
    let passed = found.iter().all(Verification::passed);
    Ok(if passed { Exit::Done } else { Exit::Data })
}

/// The runs that the command line names: by themselves, or the newest finished ones of dates.
async fn chosen(
    root: &Reader,
    workspace: &Workspace,
    args: &VerifyArgs,
) -> Result<Vec<RunId>, Failure> {
    let mut runs = Vec::new();
    for run in &args.run {
        known(root, run).await?;
        runs.push(run.clone());
    }
    if !runs.is_empty() {
        return Ok(runs);
    }
    let named = workspace.named_partitions(&args.dates)?;
    let must_exist = named.is_some();
    let partitions = match named {
        Some(named) => named,
        None => root.partitions().await?.into_iter().collect(),
    };
    for partition in partitions {
        match root.partition_facts(partition).await?.concluded {
            Some((generation, _)) => {
                runs.push(run_id(&workspace.spec.name, partition, generation));
            }
            None if must_exist => {
                return Err(Failure::new(
                    Exit::Data,
                    format_args!("{partition} has no finished run to verify; run it first"),
                ));
            }
            None => {}
        }
    }
    Ok(runs)
}

/// Refuses a run that this output does not have.
pub(super) async fn known(root: &Reader, run: &RunId) -> Result<(), Failure> {
    if root.exists(&Object::Plan { run: run.clone() }).await? {
        return Ok(());
    }
    Err(Failure::new(
        Exit::NoInput,
        format_args!(
            "there is no run {run} in {}; `nightshift status` shows the dates there are",
            root.place()
        ),
    ))
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
            match (one.passed(), one.removed) {
                (false, _) => "FAULT",
                (true, true) => "removed by gc",
                (true, false) => "ok",
            }
            .to_owned(),
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
