//! One line of the log.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{Debug, Write};

use jiff::Timestamp;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::fields::LEADING;
use crate::secrets::Secrets;
use crate::trace::TRACE_ONLY;

/// Most bytes of one value. What a log line says is a hint; the document it names has it all.
const VALUE_MAX_BYTES: usize = 8 << 10;

/// Causes of an error that are written: far more than any real chain.
const CAUSES_MAX: usize = 16;

/// Names that a line has anyway; a field of the same name gets a prefix.
const OWN_NAMES: [&str; 4] = ["timestamp", "level", "target", "message"];

/// Fields of a span or an event, in the order in which they came, each name once.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

/// What a line says.
pub(crate) struct Line<'a> {
    pub(crate) timestamp: Timestamp,
    pub(crate) level: Level,
    pub(crate) target: &'a str,
    pub(crate) message: &'a str,
    pub(crate) fields: &'a Fields,
}

// === impl Fields ===

impl Fields {
    /// Adds the fields of a span further in, whose values win.
    pub(crate) fn extend(&mut self, inner: &Self) {
        for (name, value) in &inner.0 {
            self.set(name, value.clone());
        }
    }

    /// Adds the fields of an event, and takes its message out.
    pub(crate) fn record_event(&mut self, event: &Event<'_>) -> String {
        let mut own = Self::default();
        event.record(&mut own);
        let mut message = String::new();
        for (name, value) in own.0 {
            match value {
                Value::String(text) if name == "message" => message = text,
                value => self.set(name, value),
            }
        }
        message
    }

    /// Takes secrets out of texts.
    pub(crate) fn hide(&mut self, secrets: &Secrets) {
        for (_, value) in &mut self.0 {
            if let Value::String(text) = value
                && let Cow::Owned(hidden) = secrets.hide(text)
            {
                *text = hidden;
            }
        }
    }

    fn set(&mut self, name: &'static str, value: Value) {
        if name.starts_with(TRACE_ONLY) {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    fn set_text(&mut self, name: &'static str, mut text: String) {
        if text.len() > VALUE_MAX_BYTES {
            text.truncate(text.floor_char_boundary(VALUE_MAX_BYTES));
            text.push('…');
        }
        self.set(name, Value::String(text));
    }

    /// The fields, those that every line is searched by first.
    fn ordered(&self) -> impl Iterator<Item = &(&'static str, Value)> {
        let leading =
            LEADING.iter().filter_map(|name| self.0.iter().find(|(known, _)| known == name));
        let others = self.0.iter().filter(|(name, _)| !LEADING.contains(name));
        leading.chain(others)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set_text(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set_text(field.name(), value.to_owned());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for NaN and the infinities.
        let number = serde_json::Number::from_f64(value);
        self.set(field.name(), number.map_or_else(|| value.to_string().into(), Value::Number));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut next = value.source();
        for _ in 0..CAUSES_MAX {
            let Some(cause) = next else { break };
            // Writing to a string does not fail.
            let _ = write!(text, ": {cause}");
            next = cause.source();
        }
        self.set_text(field.name(), text);
    }
}

// === impl Line ===

impl Line<'_> {
    /// One JSON object: timestamp, level, target, message, then the fields. What could move a
    /// cursor is escaped, also where JSON would allow it: people read these lines on terminals.
    pub(crate) fn to_json(&self) -> String {
        let quoted = |text: &str| Value::String(text.to_owned());
        let mut line = String::with_capacity(256);
        let _ = write!(
            line,
            "{{\"timestamp\":\"{:.6}\",\"level\":\"{}\",\"target\":{},\"message\":{}",
            self.timestamp,
            self.level,
            quoted(self.target),
            quoted(self.message),
        );
        for (name, value) in self.fields.ordered() {
            let prefix = if OWN_NAMES.contains(name) { "field_" } else { "" };
            let _ = write!(line, ",{}:{value}", quoted(&format!("{prefix}{name}")));
        }
        line.push('}');
        let mut line = escaped_in_json(line);
        line.push('\n');
        line
    }

    /// Time, level, message, fields and target, with nothing that could move a cursor.
    pub(crate) fn to_text(&self, colours: bool) -> String {
        let mut line = String::with_capacity(256);
        let (dim, bold, end) =
            if colours { ("\x1b[2m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let colour = if colours { colour(self.level) } else { "" };
        let _ = write!(line, "{dim}{:.3}{end} {colour}{:>5}{end} ", self.timestamp, self.level);
        let _ = write!(line, "{bold}");
        push_escaped(&mut line, self.message);
        let _ = write!(line, "{end}");
        for (name, value) in self.fields.ordered() {
            let _ = write!(line, " {dim}{name}={end}");
            match value {
                Value::String(text) if is_plain(text) => line.push_str(text),
                Value::String(text) => {
                    line.push('"');
                    push_escaped(&mut line, &text.replace('\\', "\\\\").replace('"', "\\\""));
                    line.push('"');
                }
                other => {
                    let _ = write!(line, "{other}");
                }
            }
        }
        let _ = writeln!(line, " {dim}({}){end}", self.target);
        line
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// Whether a value needs no quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.chars().any(|c| c.is_whitespace() || is_unsafe(c) || matches!(c, '"' | '\\' | '='))
}

/// Characters that do something to a terminal: controls, and the marks that turn the direction
/// of writing and so make a line read as something else (<https://trojansource.codes>).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON with every unsafe character as `\u009b`. JSON itself has only the controls below U+0020
/// escaped; the others can be in strings alone, and none is beyond the first plane.
fn escaped_in_json(line: String) -> String {
    if !line.chars().any(is_unsafe) {
        return line;
    }
    let mut escaped = String::with_capacity(line.len() + 64);
    for c in line.chars() {
        if is_unsafe(c) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn push_escaped(line: &mut String, text: &str) {
    for c in text.chars() {
        if is_unsafe(c) {
            line.extend(c.escape_debug());
        } else {
            line.push(c);
        }
    }
}
