//! What a container asks for, is made of, and is told in secret.

use super::Found;
use crate::lint::object::{Container, Section, Workload};
use crate::lint::tree::Node;
use crate::lint::{Rule, Severity};
use nightshift_core::quantity;

pub(in crate::lint) static MEMORY_LIMIT: Rule = Rule {
    id: "memory-limit",
    severity: Severity::Warning,
    what: "a container without a memory limit",
    why: "A batch that grows takes the node's memory, and other people's pods are killed.",
    remedy: "Set `resources.limits.memory` (and the same as a request).",
    fixable: false,
};

pub(in crate::lint) static REQUESTS: Rule = Rule {
    id: "requests-over-limits",
    severity: Severity::Error,
    what: "a request that is larger than its limit, or is no quantity",
    why: "Kubernetes refuses every pod of the Job.",
    remedy: "Raise the limit or lower the request; write 500m, 2Gi.",
    fixable: false,
};

pub(in crate::lint) static IMAGE_TAG: Rule = Rule {
    id: "image-tag",
    severity: Severity::Warning,
    what: "an image with the tag latest, or without tag and digest",
    why: "A retry or a backfill may run another program than the first try did.",
    remedy: "Name a version or, better, a digest.",
    fixable: false,
};

pub(in crate::lint) static PLAIN_SECRET: Rule = Rule {
    id: "plain-secret",
    severity: Severity::Warning,
    what: "a secret as a plain value: a variable named like one (PASSWORD, TOKEN, SECRET, \
           API_KEY …), or a URL with a password",
    why: "Whoever may read the Job, or the repository, reads the secret.",
    remedy: "Use `valueFrom.secretKeyRef`, or mount the Secret as a file.",
    fixable: false,
};

pub(super) fn check(workload: &Workload<'_>, found: &mut Found) {
    // A limit of the whole pod bounds every container in it.
    let pod_limit = workload.pod.is_some_and(|pod| has_memory_limit(pod.node));
    for container in &workload.containers {
        let node = container.section.node;
        if !pod_limit && !has_memory_limit(node) {
            let message = format!("`{}` has no memory limit", container.name);
            found.add(&MEMORY_LIMIT, container.section.place("resources"), message);
        }
        requests(container.section, found);
        image(container, found);
        secrets(container, found);
    }
}

fn has_memory_limit(node: &Node) -> bool {
    node.at_path(&["resources", "limits", "memory"]).is_some()
}

fn requests(section: Section<'_>, found: &mut Found) {
    let Some(resources) = section.section("resources") else { return };
    for kind in ["requests", "limits"] {
        for entry in resources.node.get(kind).map(Node::entries).unwrap_or_default() {
            let Some(text) = entry.value.text().filter(|text| !text.contains(['{', '$'])) else {
                continue;
            };
            let key = entry.key.as_str();
            let amount = quantity::amount(text);
            let limit = resources.node.at_path(&["limits", key]).and_then(Node::text);
            let limited = limit.and_then(quantity::amount);
            if amount.is_none() && !text.is_empty() {
                let message = format!("`{key}: {text}` is no quantity");
                found.add(&REQUESTS, entry.value.at, message);
            } else if kind == "requests" && limited.is_some() && amount > limited {
                let limit = limit.unwrap_or_default();
                let message = format!("requests {text} of {key}, but is limited to {limit}");
                found.add(&REQUESTS, entry.value.at, message);
            }
        }
    }
}

fn image(container: &Container<'_>, found: &mut Found) {
    let Some(image) = container.section.node.get("image") else { return };
    let text = image.text().unwrap_or_default();
    if text.is_empty() || text.contains('@') || text.contains(['{', '$']) {
        return;
    }
    let last = text.rsplit('/').next().unwrap_or_default();
    let message = match last.split_once(':') {
        None => format!("`{text}` has no tag, which means latest"),
        Some((_, "")) => format!("`{text}` has no tag behind its colon"),
        Some((_, "latest")) => format!("`{text}` is another image tomorrow"),
        Some(_) => return,
    };
    found.add(&IMAGE_TAG, image.at, message);
}

fn secrets(container: &Container<'_>, found: &mut Found) {
    for variable in container.section.node.get("env").map(Node::items).unwrap_or_default() {
        let Some(value) = variable.get("value") else { continue };
        let (name, text) = (variable.text_at("name").unwrap_or_default(), value.text());
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        // The value itself never stands in a finding.
        if is_secret_name(name) && is_literal(text) {
            found.add(&PLAIN_SECRET, value.at, format!("`{name}` holds a secret as plain text"));
        } else if has_password(text) {
            found.add(&PLAIN_SECRET, value.at, format!("the URL in `{name}` holds a password"));
        }
    }
    for list in ["command", "args"].into_iter().filter_map(|it| container.section.node.get(it)) {
        for word in list.items().iter().filter(|word| word.text().is_some_and(has_password)) {
            found.add(&PLAIN_SECRET, word.at, "a URL in the arguments holds a password");
        }
    }
}

/// Names such as `DB_PASSWORD` and `API_KEY`, but not `PARTITION_KEY`, `MAX_TOKENS` or
/// `SECRET_NAME`.
fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase().replace('-', "_");
    let ends = ["PASSWORD", "PASSWD", "PASSPHRASE", "TOKEN", "SECRET", "CREDENTIALS"];
    let keys = [
        "API_KEY",
        "APIKEY",
        "ACCESS_KEY",
        "SECRET_KEY",
        "PRIVATE_KEY",
        "AUTH_KEY",
        "ACCOUNT_KEY",
        "ENCRYPTION_KEY",
        "SIGNING_KEY",
    ];
    ends.iter().chain(&keys).any(|word| upper.ends_with(word)) || upper == "KEY"
}

/// Whether a value is the thing itself, not a path to it, a reference or a switch.
fn is_literal(text: &str) -> bool {
    let is_path = text.starts_with(['/', '.']) || text.starts_with("file:");
    let is_reference = text.starts_with("$(") || text.starts_with("${") || text.contains("{{");
    !is_path && !is_reference && !matches!(text, "true" | "false")
}

/// `scheme://user:password@host`.
fn has_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let rest = &text[at + 3..];
        let authority = rest.split(['/', '?', '#', ' ', '"', '\'']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        let password = user.and_then(|user| user.split_once(':')).map(|(_, password)| password);
        password.is_some_and(|password| {
            !password.is_empty()
                && !password.starts_with("$(")
                && !password.starts_with("${")
                && !password.starts_with("{{")
        })
    })
}
