//! Label and field selectors.

use serde_json::Value;

use super::object;
use super::refused::Refused;

/// What a list, a watch or a deletion of many is about.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Debug, Clone)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    /// Reads the two parameters of a request.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, Refused> {
        let labels = split(labels).into_iter().map(|term| requirement(&term)).collect();
        let mut parsed = Vec::new();
        for term in fields.split(',').map(str::trim).filter(|term| !term.is_empty()) {
            let (path, equal, value) = field(term)?;
            parsed.push((path, equal, value));
        }
        Ok(Self { labels, fields: parsed })
    }

    /// Whether it selects an object.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = self.labels.iter().all(|requirement| requirement.matches(object));
        labels
            && self.fields.iter().all(|(path, equal, value)| {
                let pointer = format!("/{}", path.replace('.', "/"));
                (object::text(object, &pointer) == value) == *equal
            })
    }
}

/// Splits at commas that are not within parentheses.
fn split(text: &str) -> Vec<String> {
    let mut depth = 0;
    let mut terms = vec![String::new()];
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                terms.push(String::new());
                continue;
            }
            _ => {}
        }
        terms.last_mut().unwrap().push(letter);
    }
    terms.iter().map(|term| term.trim().to_owned()).filter(|term| !term.is_empty()).collect()
}

fn requirement(term: &str) -> Requirement {
    let values = |text: &str| {
        let inner = text.trim().trim_start_matches('(').trim_end_matches(')');
        inner.split(',').map(|value| value.trim().to_owned()).collect::<Vec<_>>()
    };
    if let Some((key, rest)) = term.split_once(" notin ") {
        Requirement::NotIn(key.trim().to_owned(), values(rest))
    } else if let Some((key, rest)) = term.split_once(" in ") {
        Requirement::In(key.trim().to_owned(), values(rest))
    } else if let Some((key, value)) = term.split_once("!=") {
        Requirement::NotIn(key.trim().to_owned(), values(value))
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        Requirement::In(key.trim().to_owned(), values(value))
    } else if let Some(key) = term.strip_prefix('!') {
        Requirement::Missing(key.trim().to_owned())
    } else {
        Requirement::Exists(term.to_owned())
    }
}

/// Fields that the real server selects by, over all resources of the double.
const FIELDS: [&str; 5] =
    ["metadata.name", "metadata.namespace", "status.phase", "spec.nodeName", "status.successful"];

fn field(term: &str) -> Result<(String, bool, String), Refused> {
    let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
        (path, false, value)
    } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (path, true, value)
    } else {
        return Err(Refused::bad_request(format!("invalid field selector: \"{term}\"")));
    };
    let event = path.starts_with("involvedObject.")
        || path.starts_with("regarding.")
        || matches!(path, "reason" | "type" | "source" | "reportingComponent");
    if !event && !FIELDS.contains(&path) {
        let message = format!("field label not supported: {path}");
        return Err(Refused::bad_request(message));
    }
    // Events are kept as the core group writes them.
    let path = path.replace("regarding.", "involvedObject.");
    Ok((path, equal, value.to_owned()))
}

impl Requirement {
    fn matches(&self, object: &Value) -> bool {
        match self {
            Self::Exists(key) => object::label(object, key).is_some(),
            Self::Missing(key) => object::label(object, key).is_none(),
            Self::In(key, values) => object::label(object, key)
                .is_some_and(|label| values.iter().any(|value| value == label)),
            Self::NotIn(key, values) => object::label(object, key)
                .is_none_or(|label| values.iter().all(|value| value != label)),
        }
    }
}
