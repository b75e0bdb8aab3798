//! YAML text to a tree in which every node knows its bytes.
//!
//! In: the text. Out: a [`Node`], or diagnostics about YAML itself. Aliases are expanded under a
//! budget, merge keys (`<<`) are merged, duplicate keys are errors. It must never panic, recurse
//! by the depth of the input, or grow beyond [`NODES_MAX`] nodes.

use std::collections::BTreeMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span as YamlSpan, Tag};

use crate::context::Context;
use crate::diagnostic::Code;

/// Bytes of the largest file that is read.
pub const BYTES_MAX: usize = 4 << 20;
/// Nodes of the largest tree, aliases expanded.
pub const NODES_MAX: usize = 200_000;
/// Nesting of the deepest tree, aliases expanded.
pub const DEPTH_MAX: usize = 64;

/// A range of bytes of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its bytes.
    pub span: Span,
}

/// A YAML value; scalars are not yet typed.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A scalar: its text, and whether it was written without quotes.
    Scalar {
        /// The text, escapes resolved.
        text: String,
        /// Written without quotes or `!!str`, so that it may be a number, a truth value or null.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the text.
    Map(Vec<Entry>),
}

/// One key of a mapping and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key is.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Whether it is null: `null`, `~` or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value of `key`, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }
}

/// A collection that is still being read.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<(String, Span)>,
    nodes: usize,
    depth: usize,
}

/// An anchored node, with what it costs to repeat it.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

/// A value that has been read, with its cost.
struct Done {
    node: Node,
    anchor: usize,
    nodes: usize,
    depth: usize,
}

/// Reads the one document of `text`.
pub fn read(cx: &mut Context<'_>, text: &str) -> Option<Node> {
    if text.len() > BYTES_MAX {
        cx.error_at_start(
            Code::TooLarge,
            format!("the file has {} bytes, more than {BYTES_MAX}", text.len()),
            "a dataset file describes one dataset; split it",
        );
        return None;
    }
    Builder::default().run(cx, text)
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
}

/// Reading stops here; the diagnostic has been given.
struct Stop;

impl Builder {
    fn run(mut self, cx: &mut Context<'_>, text: &str) -> Option<Node> {
        let mut options = Options::default();
        options.emit_comments = false;
        options.block_nesting_limit = DEPTH_MAX;
        options.flow_nesting_limit = DEPTH_MAX;
        let mut parser = Parser::new_from_str_with_options(text, options);
        while let Some(step) = parser.next_event() {
            let outcome = match step {
                Ok((event, span)) => self.event(cx, event, bytes(span)),
                Err(error) => {
                    scan_error(cx, text, &error);
                    Err(Stop)
                }
            };
            if outcome.is_err() {
                return None;
            }
        }
        if self.root.as_ref().is_none_or(Node::is_null) {
            cx.error_at_start(
                Code::Empty,
                "there is no document in the file".to_owned(),
                "a dataset file begins with `apiVersion: v3.1.0`",
            );
            return None;
        }
        self.root
    }

    fn event(&mut self, cx: &mut Context<'_>, event: Event<'_>, span: Span) -> Result<(), Stop> {
        self.nodes += 1;
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    cx.report(
                        Code::SeveralDocuments,
                        span,
                        "",
                        "a second document begins here",
                    )
                    .hint("write one dataset per file, and end the file before `---`");
                    return Err(Stop);
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag
                    .as_ref()
                    .is_some_and(|t| t.is_yaml_core_schema_tag("str"));
                note_tag(cx, tag.as_deref(), span);
                let plain = style == ScalarStyle::Plain && !is_text;
                let value = Value::Scalar {
                    text: text.into_owned(),
                    plain,
                };
                self.done(
                    cx,
                    Done {
                        node: Node { value, span },
                        anchor,
                        nodes: 1,
                        depth: 1,
                    },
                )
            }
            Event::SequenceStart(_, anchor, tag) => {
                note_tag(cx, tag.as_deref(), span);
                self.open(Value::List(Vec::new()), span, anchor);
                Ok(())
            }
            Event::MappingStart(_, anchor, tag) => {
                note_tag(cx, tag.as_deref(), span);
                self.open(Value::Map(Vec::new()), span, anchor);
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(cx, span),
            Event::Alias(id) => self.alias(cx, id, span),
            _ => Ok(()),
        }
    }

    fn open(&mut self, value: Value, span: Span, anchor: usize) {
        self.stack.push(Open {
            node: Node { value, span },
            anchor,
            key: None,
            nodes: 1,
            depth: 1,
        });
    }

    fn close(&mut self, cx: &mut Context<'_>, end: Span) -> Result<(), Stop> {
        let Some(mut open) = self.stack.pop() else {
            return Ok(());
        };
        open.node.span.end = open.node.span.end.max(end.end.max(end.start));
        if let Value::Map(entries) = &mut open.node.value {
            merge(cx, entries);
        }
        self.done(
            cx,
            Done {
                node: open.node,
                anchor: open.anchor,
                nodes: open.nodes,
                depth: open.depth,
            },
        )
    }

    fn alias(&mut self, cx: &mut Context<'_>, id: usize, span: Span) -> Result<(), Stop> {
        let Some(target) = self.anchors.get(&id) else {
            cx.report(
                Code::TooLarge,
                span,
                "",
                "an alias inside its own anchor never ends",
            )
            .hint("write the value out");
            return Err(Stop);
        };
        let (nodes, depth) = (target.nodes, target.depth);
        if self.nodes + nodes > NODES_MAX || self.stack.len() + depth > DEPTH_MAX {
            cx.report(
                Code::TooLarge,
                span,
                "",
                "the aliases of this file multiply beyond the limit",
            )
            .hint(format!(
                "at most {NODES_MAX} values, {DEPTH_MAX} deep; write fewer aliases"
            ));
            return Err(Stop);
        }
        let mut node = target.node.clone();
        self.nodes += nodes;
        // A wrong scalar is shown where it is used; a collection where it is written.
        if matches!(node.value, Value::Scalar { .. }) {
            node.span = span;
        }
        self.done(
            cx,
            Done {
                node,
                anchor: 0,
                nodes,
                depth,
            },
        )
    }

    /// Puts a finished value where it belongs: a key, a value, an item or the root.
    fn done(&mut self, cx: &mut Context<'_>, done: Done) -> Result<(), Stop> {
        if self.nodes > NODES_MAX {
            cx.report(
                Code::TooLarge,
                done.node.span,
                "",
                format!("more than {NODES_MAX} values"),
            )
            .hint("a dataset file describes one dataset; split it");
            return Err(Stop);
        }
        if done.anchor != 0 {
            let kept = Anchored {
                node: done.node.clone(),
                nodes: done.nodes,
                depth: done.depth,
            };
            self.nodes += kept.nodes;
            self.anchors.insert(done.anchor, kept);
        }
        let Some(parent) = self.stack.last_mut() else {
            self.root = Some(done.node);
            return Ok(());
        };
        parent.nodes += done.nodes;
        parent.depth = parent.depth.max(done.depth + 1);
        match &mut parent.node.value {
            Value::List(items) => items.push(done.node),
            Value::Map(entries) => match parent.key.take() {
                Some((key, key_span)) => entries.push(Entry {
                    key,
                    key_span,
                    value: done.node,
                }),
                None => parent.key = Some(key_of(cx, done.node)),
            },
            Value::Scalar { .. } => {}
        }
        Ok(())
    }
}

/// The text of a key; a key that has none is reported and stands in as an empty text.
fn key_of(cx: &mut Context<'_>, node: Node) -> (String, Span) {
    match node.value {
        Value::Scalar { text, .. } => (text, node.span),
        _ => {
            cx.report(
                Code::KeyNotText,
                node.span,
                "",
                "a list or mapping cannot be a key here",
            )
            .hint("write `key: value`; quote a value that begins with `{`, `[` or `?`");
            (String::new(), node.span)
        }
    }
}

/// Reports duplicate keys (the first one stands) and resolves merge keys.
fn merge(cx: &mut Context<'_>, entries: &mut Vec<Entry>) {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut kept = Vec::with_capacity(entries.len());
    let mut merged = Vec::new();
    for entry in entries.drain(..) {
        if entry.key == "<<" {
            merged.push(entry.value);
        } else if let Some(first) = seen.get(&entry.key) {
            let (line, _) = cx.locate(first.start);
            cx.report(
                Code::DuplicateKey,
                entry.key_span,
                "",
                format!("the key `{}` is given twice", entry.key),
            )
            .hint(format!(
                "it is first given in line {line}; keep one of them"
            ));
        } else {
            seen.insert(entry.key.clone(), entry.key_span);
            kept.push(entry);
        }
    }
    for source in merged {
        let maps = match source.value {
            Value::Map(inner) => vec![inner],
            Value::List(items) => items
                .into_iter()
                .filter_map(|n| match n.value {
                    Value::Map(inner) => Some(inner),
                    _ => None,
                })
                .collect(),
            Value::Scalar { .. } => {
                cx.report(Code::WrongType, source.span, "<<", "`<<` merges a mapping")
                    .hint("name an anchor of a mapping: `<<: *defaults`");
                Vec::new()
            }
        };
        for entry in maps.into_iter().flatten() {
            if !seen.contains_key(&entry.key) {
                seen.insert(entry.key.clone(), entry.key_span);
                kept.push(entry);
            }
        }
    }
    *entries = kept;
}

fn note_tag(cx: &mut Context<'_>, tag: Option<&Tag>, span: Span) {
    if let Some(tag) = tag
        && !tag.is_yaml_core_schema()
    {
        cx.report(
            Code::TagIgnored,
            span,
            "",
            format!("the tag `{}` is ignored", tag.original()),
        )
        .hint("dataset files need no tags");
    }
}

fn bytes(span: YamlSpan) -> Span {
    let range = span.byte_range().unwrap_or_default();
    Span {
        start: range.start,
        end: range.end.max(range.start),
    }
}

/// Whether the line at `at` has a brace within braces, behind other text: a placeholder of a path.
fn has_inner_brace(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next());
    let mut depth = 0usize;
    let mut last = ' ';
    for c in line.unwrap_or_default().chars() {
        match c {
            '{' if depth > 0 && !matches!(last, ' ' | ':' | ',' | '{' | '[') => return true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        last = c;
    }
    false
}

fn scan_error(cx: &mut Context<'_>, text: &str, error: &granit_parser::ScanError) {
    use granit_parser::ErrorKind;
    let at = error
        .marker()
        .byte_offset()
        .unwrap_or(text.len())
        .min(text.len());
    let tab = matches!(
        error.kind(),
        ErrorKind::TabInIndentation
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabNotAllowed
            | ErrorKind::TabInPlainScalar
    );
    // The scanner stops before the tab that it stumbles over.
    let next_tab = text
        .get(at..)
        .and_then(|rest| rest.find('\t'))
        .map(|n| at + n);
    let at = next_tab.filter(|_| tab).unwrap_or(at);
    let span = Span {
        start: at,
        end: at + 1,
    };
    let (code, hint) = match error.kind() {
        ErrorKind::RecursionLimitExceeded => (
            Code::TooLarge,
            format!("a dataset file nests at most {DEPTH_MAX} deep"),
        ),
        _ if tab => (Code::NotYaml, "indent with spaces, not tabs".to_owned()),
        ErrorKind::UnknownAnchor => (
            Code::NotYaml,
            "quote a value that begins with `*`".to_owned(),
        ),
        ErrorKind::UnclosedQuotedScalar => (Code::NotYaml, "close the quote".to_owned()),
        _ if has_inner_brace(text, at) => (
            Code::NotYaml,
            "between `{` and `}`, quote a value that has braces of its own: \
             `path: './dt={dt}/*.csv'`"
                .to_owned(),
        ),
        _ => (
            Code::NotYaml,
            "check the indentation, the colon after the key, and quotes around special characters"
                .to_owned(),
        ),
    };
    cx.report(
        code,
        span,
        "",
        format!("this is not YAML: {}", error.info()),
    )
    .hint(hint);
}
