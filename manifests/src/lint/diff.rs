//! What [`fix`](super::fix()) would change, as `diff -u` shows it.

use std::fmt::Write;
use std::ops::Range;

use super::fix::{Edit, Fixed};

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// Lines of the old text, and what stands in their place in the new one.
struct Hunk {
    old: Range<usize>,
    new: Vec<String>,
}

/// A unified diff; empty if nothing is changed.
pub fn diff(name: &str, before: &str, fixed: &Fixed) -> String {
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    let mut starts: Vec<usize> = Vec::with_capacity(lines.len() + 1);
    let mut start = 0;
    for line in &lines {
        starts.push(start);
        start += line.len();
    }
    let hunks = hunks(before, &lines, &starts, &fixed.edits);
    if hunks.is_empty() {
        return String::new();
    }
    let mut out = format!("--- {name}\n+++ {name}\n");
    let mut shift = 0isize;
    let mut rest = hunks.as_slice();
    while let Some(first) = rest.first() {
        let close = |pair: &[Hunk]| pair[1].old.start <= pair[0].old.end + 2 * CONTEXT;
        let together = 1 + rest.windows(2).take_while(|pair| close(pair)).count();
        let (group, later) = rest.split_at(together);
        let last = group.last().unwrap_or(first);
        let from = first.old.start.saturating_sub(CONTEXT);
        let to = (last.old.end + CONTEXT).min(lines.len());
        let grown: isize = group.iter().map(grows).sum();
        let (old_length, new_start) = (to - from, from.saturating_add_signed(shift));
        let new_length = old_length.saturating_add_signed(grown);
        // Nobody is left to tell if a String cannot be written.
        let _ = writeln!(out, "@@ -{},{old_length} +{},{new_length} @@", from + 1, new_start + 1);
        let mut line = from;
        for hunk in group {
            push(&mut out, ' ', lines[line..hunk.old.start].iter().copied());
            push(&mut out, '-', lines[hunk.old.clone()].iter().copied());
            push(&mut out, '+', hunk.new.iter().map(String::as_str));
            line = hunk.old.end;
        }
        push(&mut out, ' ', lines[line..to].iter().copied());
        shift += grown;
        rest = later;
    }
    out
}

fn grows(hunk: &Hunk) -> isize {
    let length = |length: usize| isize::try_from(length).unwrap_or(isize::MAX);
    length(hunk.new.len()) - length(hunk.old.len())
}

fn push<'a>(out: &mut String, mark: char, lines: impl Iterator<Item = &'a str>) {
    for line in lines {
        out.push(mark);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// Edits as changed lines; those that touch the same line become one.
fn hunks(before: &str, lines: &[&str], starts: &[usize], edits: &[Edit]) -> Vec<Hunk> {
    let mut hunks: Vec<(Range<usize>, Vec<&Edit>)> = Vec::new();
    for edit in edits {
        let whole_lines = edit.start == edit.end && edit.text.ends_with('\n');
        let line = starts.partition_point(|start| *start <= edit.start).saturating_sub(1);
        let old = match (whole_lines, edit.start == before.len()) {
            (true, true) => lines.len()..lines.len(),
            (true, false) => line..line,
            (false, _) => line..(line + 1).min(lines.len()),
        };
        match hunks.last_mut() {
            Some((last, edits)) if old.start < last.end || old == *last => {
                last.end = last.end.max(old.end);
                edits.push(edit);
            }
            _ => hunks.push((old, vec![edit])),
        }
    }
    let changed = hunks.into_iter().map(|(old, edits)| {
        let at = |line: usize| starts.get(line).copied().unwrap_or(before.len());
        let (mut done, end) = (at(old.start), at(old.end));
        let mut text = String::new();
        for edit in edits {
            text.push_str(&before[done..edit.start]);
            text.push_str(&edit.text);
            done = edit.end;
        }
        text.push_str(&before[done..end]);
        Hunk { old, new: text.split_inclusive('\n').map(str::to_owned).collect() }
    });
    changed.collect()
}
