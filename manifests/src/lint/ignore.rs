//! Comments that silence a finding: `# nightshift:ignore RULE reason`.

use std::collections::{HashMap, HashSet};

use super::read::Comment;
use super::rules::{Found, file};
use super::{Finding, catalogue};

const MARK: &str = "nightshift:ignore";

/// The rules that are silenced, by line.
pub(super) struct Ignores {
    lines: HashMap<usize, HashSet<&'static str>>,
}

impl Ignores {
    /// Reads the comments of a file. One without a reason silences nothing and is found itself.
    pub(super) fn read(comments: &[Comment], found: &mut Found) -> Self {
        let alone: HashSet<usize> =
            comments.iter().filter(|it| it.alone).map(|comment| comment.at.line).collect();
        let mut lines: HashMap<usize, HashSet<&'static str>> = HashMap::new();
        for comment in comments {
            let Some(rest) = comment.text.trim_start().strip_prefix(MARK) else { continue };
            let mut line = comment.at.line;
            if comment.alone {
                // Several comments may stand above one line.
                while alone.contains(&line) {
                    line += 1;
                }
            }
            match silenced(rest) {
                Ok(rules) => lines.entry(line).or_default().extend(rules),
                Err(why) => found.add(&file::IGNORE, comment.at, why),
            }
        }
        Self { lines }
    }

    pub(super) fn silence(&self, finding: &Finding) -> bool {
        let here = self.lines.get(&finding.at.line);
        finding.rule.id != file::IGNORE.id
            && here.is_some_and(|rules| rules.contains(finding.rule.id))
    }
}

/// `RULE[,RULE…] reason`.
fn silenced(rest: &str) -> Result<Vec<&'static str>, String> {
    let rest = rest.trim_start_matches([':', ' ', '\t']);
    let (names, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if names.is_empty() {
        return Err("the comment names no rule".to_owned());
    }
    let mut rules = Vec::new();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let known = catalogue::rules().find(|rule| rule.id == name).ok_or_else(|| {
            let near = super::fields::nearest(name, catalogue::rules().map(|rule| rule.id));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("there is no rule `{name}`{hint}")
        })?;
        rules.push(known.id);
    }
    if !reason.chars().any(char::is_alphanumeric) {
        return Err(format!("the comment gives no reason, so `{names}` is not silenced"));
    }
    Ok(rules)
}
