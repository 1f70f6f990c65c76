//! Jobs that number their pods: is the number used, and do the pods keep out of each other's way?

use std::collections::HashSet;

use super::Found;
use crate::lint::object::{Container, Workload};
use crate::lint::tree::{Node, Place};
use crate::lint::{Rule, Severity};

pub(in crate::lint) static COMPLETIONS: Rule = Rule {
    id: "completions",
    severity: Severity::Error,
    what: "an Indexed Job without completions, or with more than 100000",
    why: "Kubernetes refuses the first, and the second too unless retries are counted by index.",
    remedy: "Set `completions`; let each pod do more rather than have more pods.",
    fixable: false,
};

pub(in crate::lint) static SHARD_OUTPUT: Rule = Rule {
    id: "shard-output",
    severity: Severity::Warning,
    what: "an Indexed Job whose pods are all told to write the same file (an argument such as \
           --output or a variable such as OUTPUT_PATH that names a file and no index)",
    why: "The last pod overwrites the others, and most of the result is gone.",
    remedy: "Put the index into the name: `--output=/out/part-$(JOB_COMPLETION_INDEX).parquet`.",
    fixable: false,
};

pub(in crate::lint) static INDEX_UNUSED: Rule = Rule {
    id: "index-unused",
    severity: Severity::Info,
    what: "an Indexed Job in which no argument or variable mentions the index (unless a queue, \
           broker or coordinator is mentioned, which hands out the work)",
    why: "If the program does not read JOB_COMPLETION_INDEX either, every pod does all the work.",
    remedy: "Pass `$(JOB_COMPLETION_INDEX)`, or silence this if the program reads it itself.",
    fixable: false,
};

/// Most completions without counting by index.
const MAX_COMPLETIONS: i64 = 100_000;
const INDEX: &str = "JOB_COMPLETION_INDEX";
const OUTPUT_FLAGS: &[&str] = &[
    "dest",
    "destination",
    "o",
    "out",
    "out-file",
    "outfile",
    "output",
    "output-file",
    "output-path",
    "output-uri",
    "predictions",
    "result",
    "results",
    "sink",
];
/// Words of programs that get their work from elsewhere.
const QUEUES: &[&str] =
    &["amqp", "broker", "coordinator", "kafka", "lease", "pubsub", "queue", "redis", "sqs"];

pub(super) fn check(workload: &Workload<'_>, found: &mut Found) {
    let Some(job) = workload.job.filter(|_| workload.is_indexed()) else { return };
    let completions = job.node.integer_at("completions");
    let by_index = job.node.get("backoffLimitPerIndex").is_some();
    match completions {
        None if job.node.get("completions").is_none() => {
            found.add(&COMPLETIONS, job.place("completionMode"), "Indexed without `completions`");
        }
        Some(count) if count > MAX_COMPLETIONS && !by_index => {
            let message = format!("{count} completions without `backoffLimitPerIndex`");
            found.add(&COMPLETIONS, job.place("completions"), message);
        }
        _ => {}
    }
    if completions.is_none_or(|count| count <= 1) {
        return;
    }
    let all: Vec<Container<'_>> = workload.mains().copied().collect();
    for container in &all {
        for (at, path) in shared_outputs(container) {
            let message = format!("every pod of `{}` writes {path}", container.name);
            found.add(&SHARD_OUTPUT, at, message);
        }
    }
    let mentioned = |word: &str| all.iter().any(|it| mentions(it.section.node, word));
    let by_field = all.iter().any(|it| !index_variables(it).is_empty());
    let handed_out = QUEUES.iter().any(|word| mentioned(word));
    if !all.is_empty() && !by_field && !handed_out && !mentioned(&INDEX.to_ascii_lowercase()) {
        let message = "no argument or variable of its pods mentions the index";
        found.add(&INDEX_UNUSED, job.place("completionMode"), message);
    }
}

/// Whether a word stands in command, arguments or variables.
fn mentions(container: &Node, word: &str) -> bool {
    let says = |node: &Node| node.text().is_some_and(|it| it.to_ascii_lowercase().contains(word));
    let words = ["command", "args"].into_iter().filter_map(|key| container.get(key));
    let variables = container.get("env").map(Node::items).unwrap_or_default();
    words.flat_map(|list| list.items()).any(says)
        || variables
            .iter()
            .any(|it| ["name", "value"].iter().any(|key| it.get(key).is_some_and(says)))
}

/// Variables that differ by pod: the index, or the pod's own name.
fn index_variables<'a>(container: &Container<'a>) -> HashSet<&'a str> {
    let variables = container.section.node.get("env").map(Node::items).unwrap_or_default();
    let differs = |variable: &&Node| {
        let path = variable.at_path(&["valueFrom", "fieldRef", "fieldPath"]);
        path.and_then(Node::text).is_some_and(|path| {
            path.contains("job-completion-index")
                || matches!(path, "metadata.name" | "metadata.uid")
        })
    };
    variables.iter().filter(differs).filter_map(|variable| variable.text_at("name")).collect()
}

/// The files that a container is told to write and that are the same for every index.
fn shared_outputs(container: &Container<'_>) -> Vec<(Place, String)> {
    let node = container.section.node;
    let own = index_variables(container);
    let mut outputs = Vec::new();
    for list in ["command", "args"].into_iter().filter_map(|key| node.get(key)) {
        let mut flagged = false;
        for word in list.items() {
            let Some(text) = word.text() else { continue };
            let (flag, value) = match text.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (text, None),
            };
            let is_flag = flag.starts_with('-') && is_output(flag.trim_start_matches('-'));
            match value {
                Some(value) if is_flag => outputs.push((word.at, value)),
                None if flagged => outputs.push((word.at, text)),
                _ => {}
            }
            flagged = is_flag && value.is_none();
        }
    }
    let variables = node.get("env").map(Node::items).unwrap_or_default();
    for variable in variables {
        let name = variable.text_at("name").unwrap_or_default().to_ascii_lowercase();
        if is_output(&name.replace('_', "-"))
            && let Some(value) = variable.get("value")
            && let Some(text) = value.text()
        {
            outputs.push((value.at, text));
        }
    }
    let differs = |path: &str| {
        path.contains(INDEX) || own.iter().any(|name| path.contains(&format!("$({name})")))
    };
    outputs.retain(|(_, path)| is_file(path) && !differs(path));
    outputs.into_iter().map(|(at, path)| (at, path.to_owned())).collect()
}

fn is_output(name: &str) -> bool {
    OUTPUT_FLAGS.contains(&name)
}

/// Whether a path names one file; into a folder each pod may write its own. A `{…}` or `%d` is a
/// pattern that the program fills in.
fn is_file(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let has_extension = last.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty() && extension.len() <= 8 && extension.chars().any(char::is_alphabetic)
    });
    has_extension && path.contains('/') && !path.contains(['{', '%', '*'])
}
