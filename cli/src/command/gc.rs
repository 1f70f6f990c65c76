//! `nightshift gc`: what retention lets go, shown or removed.

use jiff::Timestamp;
use nightshift_core::exit::Exit;
use nightshift_core::ids::Partition;
use nightshift_storage::collecting::{
    Action, CollectError, Collected, Place, Rules, Strays, collect, collect_strays, find_strays,
    survey,
};
use nightshift_storage::deciding::Deciding;
use nightshift_storage::root::{OutputRoot, Probed, Reader};
use nightshift_storage::sync::Durability;
use nightshift_worker::describe;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::identity::Identity;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{GcArgs, OutputFormatArg};
use crate::table::{Align, Table, thousands};

/// What scripts read.
#[derive(Debug, Serialize)]
struct Collection {
    /// Whether it was removed, not only found.
    deleted: bool,
    runs: Vec<Collected>,
    strays: Strays,
    freed_bytes: u64,
    /// Dates that were left alone, each with the reason.
    failures: Vec<Left>,
}

#[derive(Debug, Serialize)]
struct Left {
    partition: Partition,
    reason: String,
    #[serde(skip)]
    exit: Exit,
}

pub(crate) fn perform(runtime: &Handle, args: &GcArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(&args.spec)?;
    let named = workspace.named_partitions(&args.dates)?;
    let rules = Rules {
        name: workspace.spec.name.clone(),
        retention: workspace.spec.retention.clone(),
        now: Timestamp::now(),
        who: Identity::of_this_process().to_string(),
    };
    let output = workspace.output()?;
    let deciding = match args.delete {
        true => args.commit.deciding(rules.who.clone(), &output)?,
        false => Deciding::by_store(),
    };
    let collection = runtime.block_on(async {
        let reader = Reader::open(&output).await?;
        reader.check_owner(&rules.name).await?;
        let dates = match named {
            Some(named) => named,
            None => reader.partitions().await?.into_iter().collect(),
        };
        // The probe writes, so only who is to delete makes it.
        let root = match args.delete {
            true => {
                let root = OutputRoot::open(&output, Durability::Full).await?;
                Some(root.probe_for(&deciding).await?)
            }
            false => None,
        };
        let gathered = gather(&reader, root.as_ref(), &rules, &dates).await;
        gathered.map_err(|error| Failure::new(error.exit(), describe(&error)))
    });
    runtime.block_on(deciding.release());
    let collection = collection?;
    match args.format.output_format {
        OutputFormatArg::Json => print_json(&collection)?,
        OutputFormatArg::Text => print(&render(&collection))?,
    }
    for left in &collection.failures {
        let text = format_args!("{} was left alone: {}", left.partition, left.reason);
        Failure::new(left.exit, text).print();
    }
    Ok(collection.failures.first().map_or(Exit::Done, |left| left.exit))
}

/// Goes through `dates`; one that cannot be read does not keep the others.
async fn gather(
    reader: &Reader,
    root: Option<&Probed>,
    rules: &Rules,
    dates: &[Partition],
) -> Result<Collection, CollectError> {
    let mut runs = Vec::new();
    let mut failures = Vec::new();
    let mut strays = strays_at(reader, root, rules, Place::Top).await?;
    for &partition in dates {
        let date = async {
            let found = match root {
                Some(root) => collect(root, rules, partition).await?,
                None => survey(reader, rules, partition).await?,
            };
            runs.extend(found);
            strays_at(reader, root, rules, Place::Date(partition)).await
        };
        match date.await {
            Ok(found) => strays.add(found),
            Err(error) => {
                let (exit, reason) = (error.exit(), describe(&error));
                failures.push(Left { partition, exit, reason });
            }
        }
    }
    let freed_bytes = runs.iter().map(|run| run.freed_bytes).sum::<u64>() + strays.freed_bytes;
    Ok(Collection { deleted: root.is_some(), runs, strays, freed_bytes, failures })
}

async fn strays_at(
    reader: &Reader,
    root: Option<&Probed>,
    rules: &Rules,
    place: Place,
) -> Result<Strays, CollectError> {
    match root {
        Some(root) => collect_strays(root, rules, place).await,
        None => find_strays(reader, rules, place).await,
    }
}

fn render(collection: &Collection) -> String {
    let Collection { deleted, runs, strays, freed_bytes, .. } = collection;
    if runs.is_empty() && *strays == Strays::default() {
        return "nothing has had its time\n".to_owned();
    }
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("run", Left),
        ("state", Left),
        ("files", Right),
        ("frees", Right),
        ("why", Left),
    ]);
    for run in runs {
        let why = match (run.action, run.superseded_by) {
            (Action::Remove, Some(by)) => format!("superseded by {by}"),
            _ => "lost attempts".to_owned(),
        };
        table.row([
            run.run.to_string(),
            run.state.as_str().to_owned(),
            thousands(run.files),
            thousands(run.freed_bytes),
            why,
        ]);
    }
    let mut text = if runs.is_empty() { String::new() } else { table.render() };
    if *strays != Strays::default() {
        let (files, probes) = (thousands(strays.files), thousands(strays.probes));
        text.push_str(&format!("left by killed processes: {files} files, {probes} probes\n"));
    }
    for run in runs.iter().filter(|run| run.foreign > 0) {
        let foreign = thousands(run.foreign);
        text.push_str(&format!("{}: {foreign} files of somebody else stay\n", run.run));
    }
    let bytes = thousands(*freed_bytes);
    text.push_str(&match deleted {
        true => format!("removed; {bytes} bytes are free\n"),
        false => format!("nothing was removed; --delete removes this and frees {bytes} bytes\n"),
    });
    text
}
