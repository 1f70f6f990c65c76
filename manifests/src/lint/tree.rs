//! YAML as a tree in which every key and value knows its place in the text.

use std::collections::HashMap;

/// Where something begins in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Bytes before it in the file.
    pub(super) offset: usize,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Place,
    /// The byte behind a scalar.
    pub(super) end: usize,
    pub(super) value: Value,
    /// Levels below this one.
    pub(super) depth: usize,
    /// Nodes in this one, itself included.
    pub(super) size: usize,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Scalar { text: String, plain: bool },
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, flow: bool },
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Place,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping { entries, .. } => entries,
            _ => &[],
        }
    }

    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.value, Value::Mapping { .. })
    }

    /// The elements of a list; of anything else none.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The entry of a key. The last one counts, as in Kubernetes.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().rev().find(|entry| entry.key == key)
    }

    /// The value of a key; `null` is as good as absent.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value).filter(|value| !value.is_null())
    }

    /// The value at the end of a path of keys.
    pub(super) fn at_path(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar, of whatever type.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text at a key.
    pub(super) fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Self::text)
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Scalar { text, plain: true } => text.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn integer_at(&self, key: &str) -> Option<i64> {
        self.get(key).and_then(Self::integer)
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "true" | "True" | "TRUE"))
    }

    /// Whether both say the same, wherever they stand.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (
                Value::Scalar { text: a, plain: plain_a },
                Value::Scalar { text: b, plain: plain_b },
            ) => a == b && plain_a == plain_b,
            (Value::Sequence(a), Value::Sequence(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Mapping { entries: a, .. }, Value::Mapping { entries: b, .. }) => {
                // The order of keys says nothing, and a fix may insert anywhere.
                let b: HashMap<_, _> = b.iter().map(|entry| (&entry.key, &entry.value)).collect();
                a.len() == b.len()
                    && a.iter().all(|a| b.get(&a.key).is_some_and(|b| a.value.same(b)))
            }
            _ => false,
        }
    }
}
