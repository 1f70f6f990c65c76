//! Mends a text in place: comments and layout stay as they are.
//!
//! An edit adds one line or replaces one scalar. Afterwards the text is read again, and only a text
//! that says exactly what was meant is given back.

use super::Finding;
use super::read;
use super::tree::{Entry, Node, Value};

/// Edits of one file that are tried one by one where all together fail.
const MAX_TRIALS: usize = 100;

/// What would mend a finding.
#[derive(Debug, Clone)]
pub(crate) struct Fix {
    document: usize,
    /// Where the first key of the mapping stands: no other mapping has it there.
    mapping: usize,
    key: &'static str,
    value: &'static str,
    pub(super) edit: Edit,
}

/// Bytes of a text and what comes in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: String,
}

/// One thing that [`fix`] changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The rule that asked for it.
    pub rule: &'static str,
    /// The line of the finding, in the text before.
    pub line: usize,
    /// What is set, such as `concurrencyPolicy: Forbid`.
    pub set: String,
}

/// A text with its faults mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The text.
    pub text: String,
    /// What was changed, by line.
    pub changes: Vec<Change>,
    pub(super) edits: Vec<Edit>,
}

/// Mends what can be mended. `findings` must be those of this very text.
pub fn fix<'a>(text: &str, findings: impl IntoIterator<Item = &'a Finding>) -> Fixed {
    let mut wanted: Vec<(&Finding, &Fix)> =
        findings.into_iter().filter_map(|finding| Some((finding, finding.fix.as_ref()?))).collect();
    if !is_meant(text, &wanted) {
        wanted.truncate(MAX_TRIALS);
        let mut kept = Vec::new();
        for one in wanted {
            kept.push(one);
            if !is_meant(text, &kept) {
                kept.pop();
            }
        }
        wanted = kept;
    }
    let changes = wanted.iter().map(|(finding, fix)| Change {
        rule: finding.rule.id,
        line: finding.at.line,
        set: format!("{}: {}", fix.key, fix.value),
    });
    let changes = changes.collect();
    let edits = sorted(&wanted);
    Fixed { text: apply(text, &edits), changes, edits }
}

/// The edit that sets a key of a block mapping; `None` where a person must do it.
pub(super) fn set(
    text: &str,
    document: usize,
    mapping: &Node,
    key: &'static str,
    value: &'static str,
) -> Option<Fix> {
    let Value::Mapping { entries, flow: false } = &mapping.value else { return None };
    let first = entries.first()?;
    let edit = match mapping.entry(key) {
        Some(entry) => {
            let simple = is_simple(text, entry) && !entry.value.is_null();
            let (start, end) = (entry.value.at.offset, entry.value.end);
            simple.then(|| Edit { start, end, text: value.to_owned() })?
        }
        None => insert(text, entries, first, &format!("{key}: {value}"))?,
    };
    Some(Fix { document, mapping: first.at.offset, key, value, edit })
}

/// A new line: behind the simple entries that begin the mapping, else before the first one.
fn insert(text: &str, entries: &[Entry], first: &Entry, line: &str) -> Option<Edit> {
    let indent = " ".repeat(first.at.column - 1);
    let leading = entries.iter().take_while(|entry| is_simple(text, entry)).last();
    let anchor = leading.or_else(|| entries.iter().rfind(|entry| is_simple(text, entry)));
    let Some(anchor) = anchor else {
        let start = text[..first.at.offset].rfind('\n').map_or(0, |newline| newline + 1);
        let alone = text[start..first.at.offset].bytes().all(|byte| byte == b' ');
        let newline = newline_of(text, first.at.offset);
        let text = format!("{indent}{line}{newline}");
        return alone.then_some(Edit { start, end: start, text });
    };
    let newline = newline_of(text, anchor.at.offset);
    match text[anchor.value.end..].find('\n') {
        Some(rest) => {
            let start = anchor.value.end + rest + 1;
            Some(Edit { start, end: start, text: format!("{indent}{line}{newline}") })
        }
        None => {
            let start = text.len();
            Some(Edit { start, end: start, text: format!("{newline}{indent}{line}") })
        }
    }
}

/// Whether key and value stand on one line with nothing but a comment behind them.
fn is_simple(text: &str, entry: &Entry) -> bool {
    let (start, end) = (entry.value.at.offset, entry.value.end);
    let Value::Scalar { .. } = entry.value.value else { return false };
    let Some(written) = text.get(start..end) else { return false };
    let rest = text[end..].lines().next().unwrap_or_default().trim_start();
    entry.at.line == entry.value.at.line
        && entry.at.offset <= start
        && !written.is_empty()
        && !written.contains('\n')
        && !written.starts_with(['|', '>'])
        && (rest.is_empty() || rest.starts_with('#'))
}

/// How the line ends in which a byte stands.
fn newline_of(text: &str, offset: usize) -> &'static str {
    let end = text[offset..].find('\n').map(|length| offset + length);
    let before = end.or_else(|| text.rfind('\n')).map_or("", |end| &text[..end]);
    if before.ends_with('\r') { "\r\n" } else { "\n" }
}

fn sorted(wanted: &[(&Finding, &Fix)]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = wanted.iter().map(|(_, fix)| fix.edit.clone()).collect();
    // Stable: what goes to the same place stays in the order of the rules.
    edits.sort_by_key(|edit| (edit.start, edit.end));
    edits
}

fn apply(text: &str, edits: &[Edit]) -> String {
    let mut fixed = String::with_capacity(text.len() + edits.len() * 40);
    let mut done = 0;
    for edit in edits {
        fixed.push_str(&text[done..edit.start]);
        fixed.push_str(&edit.text);
        done = edit.end;
    }
    fixed.push_str(&text[done..]);
    fixed
}

/// Whether the edited text says what the old one says, but for the values that were set.
fn is_meant(text: &str, wanted: &[(&Finding, &Fix)]) -> bool {
    let edits = sorted(wanted);
    if edits.windows(2).any(|pair| pair[0].end > pair[1].start) {
        return false;
    }
    let (mut old, new) = (read::read(text), read::read(&apply(text, &edits)));
    for (_, fix) in wanted {
        let root = old.documents.get_mut(fix.document).and_then(|document| document.root.as_mut());
        if !root.is_some_and(|root| assign(root, fix)) {
            return false;
        }
    }
    new.unread.is_some() == old.unread.is_some()
        && new.comments.len() == old.comments.len()
        && new.documents.len() == old.documents.len()
        && new.documents.iter().zip(&old.documents).all(|(new, old)| match (&new.root, &old.root) {
            (Some(new), Some(old)) => new.same(old),
            (new, old) => new.is_none() && old.is_none(),
        })
}

/// Does to the tree what the edit does to the text.
fn assign(node: &mut Node, fix: &Fix) -> bool {
    match &mut node.value {
        Value::Scalar { .. } => false,
        Value::Sequence(items) => items.iter_mut().any(|item| assign(item, fix)),
        Value::Mapping { entries, .. } => {
            let is_it = entries.first().is_some_and(|entry| entry.at.offset == fix.mapping);
            if !is_it {
                return entries.iter_mut().any(|entry| assign(&mut entry.value, fix));
            }
            let value = Value::Scalar { text: fix.value.to_owned(), plain: true };
            let Some(at) = entries.first().map(|entry| entry.at) else { return false };
            let value = Node { at, end: at.offset, value, depth: 0, size: 1 };
            match entries.iter_mut().rfind(|entry| entry.key == fix.key) {
                Some(entry) => entry.value = value,
                None => entries.push(Entry { key: fix.key.to_owned(), at, value }),
            }
            true
        }
    }
}
