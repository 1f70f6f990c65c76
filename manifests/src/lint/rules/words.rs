//! Words that look as if somebody would fill them in, where nobody does.

use super::Found;
use crate::lint::object::{Container, Workload};
use crate::lint::tree::Node;
use crate::lint::{Rule, Severity};

pub(in crate::lint) static UNEXPANDED: Rule = Rule {
    id: "unexpanded",
    severity: Severity::Warning,
    what: "`{{…}}`, `${…}`, `$(date …)` or backquotes in an argument or variable and no shell \
           that expands them",
    why: "The program gets these characters as they are: the date is literally `$(date +%F)`.",
    remedy: "Kubernetes expands only `$(NAME)`; let the program find the date, or call a shell.",
    fixable: false,
};

const SHELLS: &[&str] = &["ash", "bash", "busybox", "dash", "ksh", "sh", "zsh"];
/// Take a program as an argument, in which these characters have their own meaning.
const INTERPRETERS: &[&str] = &["awk", "jq", "node", "perl", "python", "python3", "ruby"];

pub(super) fn check(workload: &Workload<'_>, found: &mut Found) {
    for container in &workload.containers {
        if !expands(container) {
            words(container, found);
        }
    }
}

/// Whether a shell or an interpreter gets the words.
fn expands(container: &Container<'_>) -> bool {
    let node = container.section.node;
    let lists = ["command", "args"].into_iter().filter_map(|key| node.get(key));
    let words: Vec<&str> = lists.flat_map(Node::items).filter_map(Node::text).collect();
    words.iter().enumerate().any(|(index, word)| {
        let program = word.rsplit('/').next().unwrap_or_default();
        let is_interpreter = INTERPRETERS.contains(&program);
        // `bash -c`, `bash -euo pipefail -c`, `busybox sh -c`, `python -c`.
        let shown = words[index + 1..].iter().take(4);
        let inline = |word: &&&str| {
            word.starts_with('-') && !word.starts_with("--") && word.ends_with(['c', 'e'])
        };
        is_interpreter || SHELLS.contains(&program) && shown.filter(inline).count() > 0
    })
}

fn words(container: &Container<'_>, found: &mut Found) {
    let node = container.section.node;
    for list in ["command", "args"].into_iter().filter_map(|key| node.get(key)) {
        for word in list.items() {
            let text = word.text().unwrap_or_default();
            // Several lines are a program or a document, not an argument.
            if text.contains('\n') {
                continue;
            }
            if let Some(leftover) = leftover(text, true) {
                found.add(&UNEXPANDED, word.at, format!("nobody expands `{leftover}`"));
            }
        }
    }
    for variable in node.get("env").map(Node::items).unwrap_or_default() {
        let Some(value) = variable.get("value") else { continue };
        // Many programs expand `${…}` in their settings by themselves.
        if let Some(leftover) = leftover(value.text().unwrap_or_default(), false) {
            let name = variable.text_at("name").unwrap_or_default();
            found.add(&UNEXPANDED, value.at, format!("nobody expands `{leftover}` in `{name}`"));
        }
    }
}

/// The part of a text that waits for a shell or a template.
fn leftover(text: &str, braces: bool) -> Option<&str> {
    if let Some(found) = between(text, "{{", "}}") {
        return Some(found);
    }
    if let Some(found) = between(text, "${", "}").filter(|_| braces) {
        return Some(found);
    }
    if let Some(found) = between(text, "$(", ")") {
        let inside = &found[2..found.len() - 1];
        // `$(NAME)` is Kubernetes' own form, and `$$(NAME)` its escape.
        let is_name = inside.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        return (!is_name && !text.contains("$$(")).then_some(found);
    }
    between(text, "`", "`").filter(|found| found.len() > 2 && braces)
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let start = text.find(open)?;
    let length = text[start + open.len()..].find(close)?;
    Some(&text[start..start + open.len() + length + close.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_found_and_names_are_not() {
        assert_eq!(leftover("--date=$(date +%F)", true), Some("$(date +%F)"));
        assert_eq!(leftover("{{ ds }}", false), Some("{{ ds }}"));
        assert_eq!(leftover("a${B}c", true), Some("${B}"));
        for text in ["$(POD_NAME)", "$$(date +%F)", "${B}", "cost: $5", "{date}", "`", "$("] {
            assert_eq!(leftover(text, false), None, "{text}");
        }
    }
}
