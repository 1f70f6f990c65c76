//! From text to trees: YAML documents with places, comments and bounds.
//!
//! Whoever writes a file decides what is in it, so everything is bounded: bytes, nesting, and the
//! nodes that aliases multiply ("billion laughs").

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, StructureStyle};

use super::Source;
use super::tree::{Entry, Node, Place, Value};

/// Largest file that is read.
pub const MAX_BYTES: usize = 10 << 20;
/// Deepest nesting; real manifests have about 20 levels.
const MAX_DEPTH: usize = 100;
/// Most values in a file, those included that aliases repeat.
const MAX_NODES: usize = 1_000_000;

/// One YAML document.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) root: Option<Node>,
    /// Whether parts of it stand in two places; an edit of one would change both.
    pub(super) shared: bool,
    /// A key that is itself a flow mapping: `{{ … }}` of a template that happens to be YAML.
    pub(super) template: Option<Place>,
    /// Keys that stand twice in one mapping.
    pub(super) duplicates: Vec<(Place, String)>,
}

/// A comment and the line it ends.
#[derive(Debug)]
pub(super) struct Comment {
    pub(super) at: Place,
    pub(super) text: String,
    /// Nothing else stands on its line.
    pub(super) alone: bool,
}

/// Why a file could not be read to its end.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) at: Place,
    pub(super) why: String,
    /// The text looks like a template, which only becomes YAML when it is rendered.
    pub(super) template: bool,
}

/// What is in a file.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) documents: Vec<Document>,
    pub(super) comments: Vec<Comment>,
    pub(super) unread: Option<Unread>,
}

/// Reads a file, unless it is not text.
pub(super) fn source(source: &Source) -> Stream {
    let Some(at) = source.not_text else { return read(&source.text) };
    let why = "this byte is no UTF-8; save the file as UTF-8".to_owned();
    Stream { unread: Some(Unread { at, why, template: false }), ..Stream::default() }
}

/// Reads as many documents as can be read.
pub(super) fn read(text: &str) -> Stream {
    let mut stream = Stream::default();
    if text.len() > MAX_BYTES {
        let why = format!("the file has {} bytes, more than {MAX_BYTES}", text.len());
        stream.unread =
            Some(Unread { at: Place { line: 1, column: 1, offset: 0 }, why, template: false });
        return stream;
    }
    let options = granit_parser::options! {
        max_buffered_comment_events: MAX_NODES,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.take(event, span, text, &mut stream),
            Err(error) => Err((place(error.marker()), error.info().to_string())),
        };
        if let Err((at, why)) = step {
            // What was begun of this document is dropped: half a Job would give wrong findings.
            let template = looks_like_template(text);
            stream.unread = Some(Unread { at, why, template });
            break;
        }
    }
    stream
}

fn place(marker: &Marker) -> Place {
    Place {
        line: marker.line().max(1),
        column: marker.col() + 1,
        offset: marker.byte_offset().unwrap_or_default(),
    }
}

/// Helm and Jinja mark what they fill in with `{{`, and statements with `{%` or `{{-`.
fn looks_like_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// A collection that has not ended yet.
enum Open {
    Sequence { at: Place, items: Vec<Node>, anchor: usize },
    Mapping(OpenMapping),
}

struct OpenMapping {
    at: Place,
    entries: Vec<Entry>,
    keys: HashSet<String>,
    key: Option<(Place, String)>,
    flow: bool,
    anchor: usize,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    document: Document,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

type Step = Result<(), (Place, String)>;

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span, text: &str, stream: &mut Stream) -> Step {
        let at = place(&span.start);
        match event {
            Event::DocumentStart(..) => {
                self.document = Document::default();
                self.anchors.clear();
            }
            Event::DocumentEnd => stream.documents.push(std::mem::take(&mut self.document)),
            Event::Comment(comment, _) => {
                let start = text[..at.offset].rfind('\n').map_or(0, |newline| newline + 1);
                let alone = text[start..at.offset].trim_matches([' ', '\t', '\u{feff}']).is_empty();
                stream.comments.push(Comment { at, text: comment.into_owned(), alone });
            }
            Event::Scalar(value, style, anchor, _) => {
                self.count(1, at)?;
                let plain = style == ScalarStyle::Plain;
                let value = Value::Scalar { text: value.into_owned(), plain };
                let end = span.end.byte_offset().unwrap_or(at.offset);
                self.finish(Node { at, end, value, depth: 0, size: 1 }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.count(1, at)?;
                self.open.push(Open::Sequence { at, items: Vec::new(), anchor });
            }
            Event::MappingStart(style, anchor, _) => {
                self.count(1, at)?;
                let flow = style == StructureStyle::Flow;
                let (entries, keys, key) = (Vec::new(), HashSet::new(), None);
                self.open.push(Open::Mapping(OpenMapping { at, entries, keys, key, flow, anchor }));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err((at, "an alias stands inside of what it names".to_owned()));
                };
                self.count(node.size, at)?;
                self.finish(node, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, at: Place) -> Step {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err((at, format!("more than {MAX_NODES} values, aliases included")));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err((at, format!("more than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    fn close(&mut self) -> Step {
        match self.open.pop() {
            Some(Open::Sequence { at, items, anchor }) => {
                let depth = items.iter().map(|item| item.depth + 1).max().unwrap_or(0);
                let size = items.iter().map(|item| item.size).sum::<usize>() + 1;
                let value = Value::Sequence(items);
                self.finish(Node { at, end: at.offset, value, depth, size }, anchor)
            }
            Some(Open::Mapping(OpenMapping { at, entries, keys, flow, anchor, .. })) => {
                let entries = self.merged(entries, keys, at)?;
                let depth = entries.iter().map(|entry| entry.value.depth + 1).max().unwrap_or(0);
                let size = entries.iter().map(|entry| entry.value.size).sum::<usize>() + 1;
                let value = Value::Mapping { entries, flow };
                self.finish(Node { at, end: at.offset, value, depth, size }, anchor)
            }
            None => Ok(()),
        }
    }

    /// Resolves `<<: *defaults`, which Kubernetes' reader knows although YAML 1.2 does not.
    fn merged(
        &mut self,
        entries: Vec<Entry>,
        mut keys: HashSet<String>,
        at: Place,
    ) -> Result<Vec<Entry>, (Place, String)> {
        let (merges, mut entries): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.key == "<<");
        for merge in merges {
            let sources = match &merge.value.value {
                Value::Sequence(items) => items.as_slice(),
                _ => std::slice::from_ref(&merge.value),
            };
            for entry in sources.iter().flat_map(Node::entries) {
                if keys.insert(entry.key.clone()) {
                    self.count(entry.value.size, at)?;
                    entries.push(entry.clone());
                }
            }
        }
        Ok(entries)
    }

    /// Puts a node that is complete where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Step {
        if self.open.len() + node.depth > MAX_DEPTH {
            return Err((node.at, format!("more than {MAX_DEPTH} levels, aliases included")));
        }
        if anchor > 0 {
            self.count(node.size, node.at)?;
            self.document.shared = true;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.document.root = Some(node),
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping(mapping)) => match mapping.key.take() {
                Some((at, key)) => mapping.entries.push(Entry { key, at, value: node }),
                None => self.document.key(mapping, node),
            },
        }
        Ok(())
    }
}

impl Document {
    /// Takes a node that is the key of what comes next.
    fn key(&mut self, mapping: &mut OpenMapping, node: Node) {
        let key = match node.value {
            Value::Scalar { text, .. } => {
                if !mapping.keys.insert(text.clone()) && text != "<<" {
                    self.duplicates.push((node.at, text.clone()));
                }
                text
            }
            value => {
                if matches!(value, Value::Mapping { flow: true, .. }) {
                    self.template.get_or_insert(node.at);
                }
                // No field of Kubernetes has such a name.
                String::new()
            }
        };
        mapping.key = Some((node.at, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        read(text).unread.unwrap().why
    }

    #[test]
    fn places_are_those_of_an_editor() {
        let stream = read("# é\na:\n  ü: [1, 'x']  # c\n---\nb: 2\n");
        let root = stream.documents[0].root.as_ref().unwrap();
        let list = &root.get("a").unwrap().entries()[0];
        assert_eq!((list.at.line, list.at.column), (3, 3));
        let last = &list.value.items()[1];
        assert_eq!((last.at.line, last.at.column, last.text()), (3, 10, Some("x")));
        assert_eq!(stream.documents.len(), 2);
        assert!(stream.comments[0].alone && !stream.comments[1].alone);
    }

    #[test]
    fn aliases_and_merges_are_followed() {
        let stream = read("a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  y: 3\n");
        let root = stream.documents[0].root.as_ref().unwrap();
        assert_eq!(root.at_path(&["b", "y"]).unwrap().integer(), Some(2));
        assert_eq!(root.at_path(&["c", "x"]).unwrap().integer(), Some(1));
        assert_eq!(root.at_path(&["c", "y"]).unwrap().integer(), Some(3));
        assert!(stream.documents[0].shared);
    }

    #[test]
    fn a_billion_laughs_end_early() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            text += &format!("a{level}: &a{level} [{below}]\n");
        }
        assert!(why(&text).contains("values"), "{}", why(&text));
    }

    #[test]
    fn depth_and_size_are_bounded() {
        assert!(!why(&"[".repeat(5000)).is_empty());
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..200 {
            text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
        }
        assert!(why(&text).contains("levels"), "{}", why(&text));
        assert!(why(&" ".repeat(MAX_BYTES + 1)).contains("bytes"));
    }

    #[test]
    fn what_was_whole_before_the_fault_is_kept() {
        let stream = read("a: 1\n---\nb: [\n");
        assert_eq!(stream.documents.len(), 1);
        assert!(stream.unread.is_some());
    }
}
