//! Plays a dialogue against the real table.

use nightshift_core::lease::{Effect, Event, LeaseTable, Moment};

use crate::language::{Parsed, duration, event, moment, table, written_effect, written_event};

/// The dialogue with the effects that its events really have. Equal to `text` exactly when
/// everything goes as written.
pub(crate) fn play(text: &str) -> Parsed<String> {
    let mut played = String::new();
    let mut now = Moment(0);
    let mut current: Option<LeaseTable> = None;
    for (number, line) in text.lines().enumerate() {
        let said = say(line, &mut now, &mut current);
        let said = said.map_err(|problem| format!("line {}: {problem}", number + 1))?;
        for line in said {
            played += &line;
            played.push('\n');
        }
    }
    Ok(played)
}

fn say(line: &str, now: &mut Moment, current: &mut Option<LeaseTable>) -> Parsed<Vec<String>> {
    let mut said = vec![line.to_owned()];
    if line.starts_with('<') {
        return Ok(Vec::new());
    }
    if let Some(text) = line.strip_prefix('>') {
        let table = current.as_mut().ok_or("an event before the first `table`")?;
        let effects = table.apply(*now, event(text.trim())?);
        said.extend(effects.iter().map(|effect| format!("< {}", written_effect(effect))));
        return Ok(said);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["table", ref settings @ ..] => {
            *now = Moment(0);
            *current = Some(table(settings)?);
        }
        ["at", at] => {
            let at = Moment(duration(at)?);
            if at < *now {
                return Err("time goes back".to_owned());
            }
            *now = at;
        }
        _ if line.is_empty() || line.starts_with('#') => {}
        _ => return Err(format!("`{line}` is neither an event, an effect nor a comment")),
    }
    Ok(said)
}

pub(crate) fn first_difference(name: &str, written: &str, played: &str) -> String {
    let (written, played): (Vec<_>, Vec<_>) = (written.lines().collect(), played.lines().collect());
    let same = written.iter().zip(&played).take_while(|(a, b)| a == b).count();
    let line = |lines: &[&str]| lines.get(same).copied().unwrap_or("(the end)").to_owned();
    format!("{name}:{}: written `{}`, but it is `{}`\n", same + 1, line(&written), line(&played))
}

/// Writes a dialogue while it happens, so that a failure can be pasted into a file.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) text: String,
    at: Option<Moment>,
}

impl Log {
    pub(crate) fn new(settings: &str) -> Self {
        Self { text: format!("table {settings}\n"), at: None }
    }

    pub(crate) fn note(&mut self, now: Moment, event: &Event, effects: &[Effect]) {
        if self.at != Some(now) {
            self.at = Some(now);
            self.text += &format!("at {}\n", moment(now));
        }
        self.text += &format!("> {}\n", written_event(event));
        for effect in effects {
            self.text += &format!("< {}\n", written_effect(effect));
        }
    }
}
