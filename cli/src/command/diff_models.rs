//! `nightshift diff-models`: the same rows through two models, before one replaces the other.

use std::path::Path;
use std::sync::Arc;

use nightshift_core::exit::Exit;
use nightshift_core::model::ModelUri;
use nightshift_worker::comparing::{Compare, Comparison, compare};
use nightshift_worker::front::args::SpecArgs;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::pool::NoObserver;
use nightshift_worker::session::Session;
use nightshift_worker::source::Drain;
use tokio::runtime::Handle;

use super::{place, print, print_json};
use crate::args::{DiffModelsArgs, OutputFormatArg};

mod text;

pub(crate) fn perform(runtime: Handle, args: &DiffModelsArgs) -> Result<Exit, Failure> {
    let (spec, input) = (args.spec.clone(), args.input.clone());
    let workspace =
        Workspace::open(&SpecArgs { spec, input, model: None, output: None, model_version: None })?;
    let [partition] = workspace.partitions(&args.dates)?[..] else {
        let text = "diff-models looks at one date: use --date";
        return Err(Failure::new(Exit::Usage, text));
    };
    let how = Compare {
        model_a: model("--model-a", &args.model_a)?,
        model_b: model("--model-b", &args.model_b)?,
        shards: args.sample,
        tolerance: args.tolerance,
        threshold: args.threshold,
    };
    let session = Session::new(runtime, 1, Drain::default(), Arc::new(NoObserver));
    let found = compare(&session, &workspace.task(partition)?, &how);
    let found =
        found.map_err(|error| Failure::new(error.exit(), nightshift_worker::describe(&error)))?;
    if let Some(path) = &args.output {
        write(path, &found)?;
    }
    match args.format.output_format {
        OutputFormatArg::Json => print_json(&found)?,
        OutputFormatArg::Text => print(&text::render(&found))?,
    }
    Ok(Exit::Done)
}

/// The model that a flag names; a folder is relative to where the command runs.
fn model(flag: &str, text: &str) -> Result<ModelUri, Failure> {
    let parsed = text
        .parse()
        .map_err(|error| Failure::new(Exit::Usage, format_args!("{flag} names no model: {error}")));
    match parsed? {
        ModelUri::Folder(path) => place(&path).map(ModelUri::Folder),
        reference => Ok(reference),
    }
}

fn write(path: &Path, found: &Comparison) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(found)
        .map_err(|error| Failure::new(Exit::Software, format_args!("no JSON: {error}")))?;
    text.push('\n');
    std::fs::write(path, text).map_err(|error| {
        let path = path.display();
        let text = format_args!("cannot write {path}: {error}; check the folder and its rights");
        Failure::new(Exit::CannotCreate, text)
    })
}
