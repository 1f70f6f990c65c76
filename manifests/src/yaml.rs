//! YAML text that people read: fields in the order in which people write them, block literals
//! for texts of several lines, and quotes around everything that some reader takes for another
//! type. The same value always gives the same text.

use std::cmp::Ordering;

use serde_json::{Map, Value};

mod order;
mod scalar;

/// One document of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What stands above it, without `#`; lines of their own.
    pub comment: String,
    /// The object.
    pub value: Value,
}

/// Several documents as one file.
pub fn documents(documents: &[Document]) -> String {
    let texts: Vec<String> = documents.iter().map(document).collect();
    texts.join("---\n")
}

fn document(document: &Document) -> String {
    let mut out = String::new();
    for line in document.comment.lines() {
        out.push_str(format!("# {line}").trim_end());
        out.push('\n');
    }
    out.push_str(&text(&document.value));
    out
}

/// One value as a document that ends in a line break.
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(&mut out, map, 0),
        Value::Array(list) if !list.is_empty() => write_list(&mut out, list, 0),
        plain => {
            out.push_str(&scalar::inline(plain));
            out.push('\n');
        }
    }
    out
}

fn write_map(out: &mut String, map: &Map<String, Value>, indent: usize) {
    let mut fields: Vec<(&String, &Value)> = map.iter().collect();
    fields.sort_by(|(one, _), (other, _)| by_habit(one, other));
    for (position, (field, value)) in fields.into_iter().enumerate() {
        // The first field of an element stands behind the dash.
        if position > 0 || !out.ends_with("- ") {
            pad(out, indent);
        }
        out.push_str(&scalar::string(field));
        out.push(':');
        write_value(out, value, indent);
    }
}

fn write_list(out: &mut String, list: &[Value], indent: usize) {
    for element in list {
        pad(out, indent);
        out.push('-');
        match element {
            Value::Object(map) if !map.is_empty() => {
                out.push(' ');
                write_map(out, map, indent + 2);
            }
            other => write_value(out, other, indent),
        }
    }
}

/// What follows `field:` or `-`, with the line break at its end.
fn write_value(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            write_map(out, map, indent + 2);
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            write_list(out, list, indent + 2);
        }
        Value::String(text) if scalar::is_block(text) => {
            out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
            for line in text.lines() {
                if !line.is_empty() {
                    pad(out, indent + 2);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        plain => {
            out.push(' ');
            out.push_str(&scalar::inline(plain));
            out.push('\n');
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn by_habit(one: &str, other: &str) -> Ordering {
    order::rank(one).cmp(&order::rank(other)).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests;
