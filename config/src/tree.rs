//! YAML as a tree that knows where everything stands.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use crate::problem::{Position, Report};

/// The largest configuration, in bytes.
pub(crate) const TEXT_BOUND: usize = 4 * 1024 * 1024;
/// How deep it may nest.
const DEPTH_BOUND: usize = 64;
/// How many nodes it may have, what aliases repeat included.
const NODE_BOUND: usize = 200_000;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub at: Position,
    pub data: Data,
}

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    /// Null, a truth value, a number or text.
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key, where it stands, and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub key: String,
    pub key_at: Position,
    pub node: Node,
}

impl Node {
    /// The value of a key, of a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.node)
    }

    /// The entries, of a map; nothing otherwise.
    pub fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items, of a list; nothing otherwise.
    pub fn items(&self) -> &[Self] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    /// The text, of a text.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The text of a key, of a map that has it.
    pub fn text_of(&self, key: &str) -> Option<(&str, Position)> {
        self.get(key).and_then(|node| node.text().map(|text| (text, node.at)))
    }

    /// Whether there is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Scalar(Value::Null))
    }

    /// The value without its positions. Keys without a value are left out, so that they mean their default.
    pub fn to_value(&self) -> Value {
        match &self.data {
            Data::Scalar(value) => value.clone(),
            Data::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Data::Map(entries) => {
                let present = entries.iter().filter(|entry| !entry.node.is_null());
                Value::Object(
                    present
                        .map(|entry| (entry.key.clone(), entry.node.to_value()))
                        .collect::<Map<_, _>>(),
                )
            }
        }
    }
}

/// Reads one YAML document. What cannot be read at all is reported, and there is no tree then; repeated keys are reported,
/// and the first one counts.
pub(crate) fn read(text: &str, report: &mut Report) -> Option<Node> {
    let start = Position { line: 1, column: 1 };
    if text.len() > TEXT_BOUND {
        report.error(
            start,
            "",
            "the file is larger than 4 MiB",
            "this is probably not a configuration file",
        );
        return None;
    }
    let mut builder = Builder::default();
    for step in Parser::new_from_str(text) {
        let (event, at) = match step {
            Ok((event, span)) => (event, position(&span.start)),
            Err(error) => {
                let at = position(error.marker());
                report.error(
                    at,
                    "",
                    format!("this is not YAML: {}", error.info()),
                    yaml_advice(text, at),
                );
                return None;
            }
        };
        if let Err((what, fix)) = builder.step(event, at, report) {
            report.error(at, "", what, fix);
            return None;
        }
    }
    let empty = Node {
        at: start,
        data: Data::Map(Vec::new()),
    };
    Some(builder.root.filter(|node| !node.is_null()).unwrap_or(empty))
}

fn position(marker: &Marker) -> Position {
    Position {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

/// The usual causes of a line that is no YAML.
fn yaml_advice(text: &str, at: Position) -> &'static str {
    let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
    if line.contains('\t') {
        "indent with spaces; YAML allows no tabs"
    } else if line
        .chars()
        .nth(at.column.saturating_sub(1))
        .is_some_and(|c| "@`%!&*".contains(c))
    {
        "put values that start with a special character in double quotes, such as \"@admin:example.org\""
    } else {
        "look at the indentation and the quotes of this line and the one before"
    }
}

type Refusal = (String, &'static str);

/// A container that is not complete yet.
enum Open {
    List {
        at: Position,
        anchor: usize,
        items: Vec<Node>,
    },
    Map {
        at: Position,
        anchor: usize,
        entries: Vec<Entry>,
        key: Option<(String, Position)>,
    },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl Builder {
    fn step(&mut self, event: Event<'_>, at: Position, report: &mut Report) -> Result<(), Refusal> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text_only = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !text_only;
                let value = if plain {
                    resolve(&text)
                } else {
                    Value::String(text.into_owned())
                };
                self.close(
                    Node {
                        at,
                        data: Data::Scalar(value),
                    },
                    anchor,
                    report,
                )
            }
            Event::SequenceStart(anchor, _) => self.enter(Open::List {
                at,
                anchor,
                items: Vec::new(),
            }),
            Event::MappingStart(anchor, _) => self.enter(Open::Map {
                at,
                anchor,
                entries: Vec::new(),
                key: None,
            }),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { at, anchor, items }) => self.close(
                    Node {
                        at,
                        data: Data::List(items),
                    },
                    anchor,
                    report,
                ),
                Some(Open::Map {
                    at, anchor, entries, ..
                }) => self.close(
                    Node {
                        at,
                        data: Data::Map(entries),
                    },
                    anchor,
                    report,
                ),
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => {
                    let node = Node { at, ..node.clone() };
                    self.nodes += count(&node);
                    self.close(node, 0, report)
                }
                None => Err((
                    "this alias names nothing that is complete before it".to_owned(),
                    "write the value itself",
                )),
            },
            Event::DocumentStart(_) if self.root.is_some() => Err((
                "there is a second document".to_owned(),
                "remove the `---` line and what follows",
            )),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, open: Open) -> Result<(), Refusal> {
        if self.open.len() >= DEPTH_BOUND {
            return Err((
                format!("this nests deeper than {DEPTH_BOUND} levels"),
                "no configuration needs that",
            ));
        }
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(("a key must be a plain text".to_owned(), "write `key: value`"));
        }
        self.open.push(open);
        Ok(())
    }

    /// Puts a complete node into what is open.
    fn close(&mut self, node: Node, anchor: usize, report: &mut Report) -> Result<(), Refusal> {
        self.nodes += 1;
        if self.nodes > NODE_BOUND {
            return Err((
                format!("there are more than {NODE_BOUND} values"),
                "no configuration needs that",
            ));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => *key = Some((key_text(&node)?, node.at)),
                Some((name, key_at)) => match entries.iter().find(|entry| entry.key == name) {
                    Some(first) => report.error(
                        key_at,
                        &name,
                        format!("this key is already given in line {}", first.key_at.line),
                        "keep one of the two",
                    ),
                    None => entries.push(Entry {
                        key: name,
                        key_at,
                        node,
                    }),
                },
            },
        }
        Ok(())
    }
}

fn key_text(node: &Node) -> Result<String, Refusal> {
    match &node.data {
        Data::Scalar(Value::String(text)) => Ok(text.clone()),
        Data::Scalar(value) => Ok(value.to_string()),
        _ => Err(("a key must be a plain text".to_owned(), "write `key: value`")),
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.data {
        Data::Scalar(_) => 0,
        Data::List(items) => items.iter().map(count).sum(),
        Data::Map(entries) => entries.iter().map(|entry| count(&entry.node)).sum(),
    }
}

/// A plain scalar by the core schema of YAML 1.2: `yes`, `no` and the like are text.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        if let Ok(number) = text.parse::<i64>() {
            return Value::Number(number.into());
        }
        if let Ok(number) = text.parse::<u64>() {
            return Value::Number(number.into());
        }
        if let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64) {
            return Value::Number(number);
        }
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> (Option<Node>, Vec<crate::Problem>) {
        let mut report = Report::new("test.yaml".into());
        let node = read(text, &mut report);
        (node, report.into_problems())
    }

    #[test]
    fn values_are_those_of_the_core_schema() {
        let (node, problems) = parse("a: 1\nb: [x, 2.5, true, no, ~]\nc: \"7\"\nd: {e: -3}\nf: 18446744073709551615\n");
        assert!(problems.is_empty());
        let expected =
            serde_json::json!({"a": 1, "b": ["x", 2.5, true, "no", null], "c": "7", "d": {"e": -3}, "f": u64::MAX});
        assert_eq!(node.unwrap().to_value(), expected);
    }

    #[test]
    fn positions_are_those_an_editor_shows() {
        let (node, _) = parse("a:\n  b: ä\n  cc: x\n");
        let node = node.unwrap();
        let entry = &node.get("a").unwrap().entries()[1];
        assert_eq!((entry.key_at.line, entry.key_at.column), (3, 3));
        assert_eq!((entry.node.at.line, entry.node.at.column), (3, 7));
    }

    #[test]
    fn repeated_keys_aliases_and_bombs() {
        let (node, problems) = parse("a: &x {b: 1}\nc: *x\na: 2\n");
        assert_eq!(
            node.unwrap().to_value(),
            serde_json::json!({"a": {"b": 1}, "c": {"b": 1}})
        );
        assert_eq!((problems.len(), problems[0].at.line), (1, 3));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = vec![format!("*a{}", level - 1); 10].join(", ");
            writeln!(bomb, "a{level}: &a{level} [{before}]").unwrap();
        }
        let (node, problems) = parse(&bomb);
        assert!(node.is_none());
        assert!(problems[0].what.contains("more than"));
        assert!(parse(&"[".repeat(100_000)).0.is_none());
    }

    proptest! {
        #[test]
        fn any_text_gives_a_tree_or_problems(text in "\\PC{0,200}|[-:#&*!|>{}\\[\\]a \n\t\"']{0,80}") {
            let (node, problems) = parse(&text);
            prop_assert!(node.is_some() || !problems.is_empty());
        }
    }
}
