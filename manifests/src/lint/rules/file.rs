//! Files that cannot be read as Kubernetes would read them.

use super::Found;
use crate::lint::read::{Document, Stream};
use crate::lint::{Rule, Severity};

pub(in crate::lint) static UNREADABLE: Rule = Rule {
    id: "unreadable",
    severity: Severity::Error,
    what: "a file is no YAML, is not UTF-8, or is beyond the limits",
    why: "What cannot be read is not checked, and kubectl refuses it too.",
    remedy: "Mend the YAML at this place. Limits: 10 MiB, 100 levels, a million values.",
    fixable: false,
};

pub(in crate::lint) static TEMPLATE: Rule = Rule {
    id: "template",
    severity: Severity::Warning,
    what: "a Helm or Jinja template",
    why: "A template becomes YAML only when it is rendered, so nothing in it was checked.",
    remedy: "Check what comes out: `helm template … | nightshift lint -`.",
    fixable: false,
};

pub(in crate::lint) static DUPLICATE_KEY: Rule = Rule {
    id: "duplicate-key",
    severity: Severity::Error,
    what: "a key stands twice in one mapping",
    why: "The last one wins without a word, or kubectl refuses the file.",
    remedy: "Keep one of them.",
    fixable: false,
};

pub(in crate::lint) static IGNORE: Rule = Rule {
    id: "ignore",
    severity: Severity::Warning,
    what: "a `nightshift:ignore` comment without a reason, or for a rule that does not exist",
    why: "Nobody can tell later whether the reason still holds.",
    remedy: "Write `# nightshift:ignore RULE reason`.",
    fixable: false,
};

/// Says where a file could not be read any further.
pub(in crate::lint) fn unread(stream: &Stream, found: &mut Found) {
    let Some(unread) = &stream.unread else { return };
    if unread.template {
        found.add(&TEMPLATE, unread.at, format!("a template, not YAML: {}", unread.why));
    } else {
        found.add(&UNREADABLE, unread.at, unread.why.clone());
    }
}

/// What is wrong with a document, whatever is in it; true if it is not to be looked at further.
pub(in crate::lint) fn document(document: &Document, found: &mut Found) -> bool {
    if let Some(at) = document.template {
        found.add(&TEMPLATE, at, "`{{ … }}` outside of quotes: this is a template");
        return true;
    }
    // Whose duplicates these are does not matter as long as it is an object of Kubernetes.
    if document.root.as_ref().is_some_and(|root| root.get("kind").is_some()) {
        for (at, key) in &document.duplicates {
            found.add(&DUPLICATE_KEY, *at, format!("`{key}` stands twice in this mapping"));
        }
    }
    false
}
