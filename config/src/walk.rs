//! Walks the tree along the schema and reports whatever differs, with its place.
//!
//! This understands the part of JSON Schema that the schemas of this house use: references, types, properties, items,
//! enumerations, constants, alternatives, bounds and formats.

use std::path::Path;

use serde_json::{Map, Value};

use crate::formats;
use crate::problem::{Position, Report, suggest};
use crate::secrets::Secrets;
use crate::tree::{Data, Entry, Node};

/// How many references and alternatives may follow each other without a step into the tree.
const HOPS: usize = 32;

pub(crate) fn walk(tree: &Node, schema: &Value, folder: &Path, report: &mut Report) {
    let walk = Walk {
        root: schema,
        folder,
        secrets: Secrets::default(),
    };
    walk.visit(tree, schema, "", tree.at, HOPS, report);
}

struct Walk<'a> {
    root: &'a Value,
    folder: &'a Path,
    secrets: Secrets,
}

impl<'a> Walk<'a> {
    /// Visits one value. `at` is where a problem with the whole value is shown.
    fn visit(&self, node: &Node, schema: &'a Value, key: &str, at: Position, hops: usize, report: &mut Report) {
        let Some(schema) = schema.as_object() else { return };
        let Some(hops) = hops.checked_sub(1) else { return };
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            self.visit(node, target.unwrap_or(&Value::Null), key, at, hops, report);
        }
        for all in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.visit(node, all, key, at, hops, report);
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(branches) = schema.get(word).and_then(Value::as_array) {
                self.alternatives(node, branches, key, at, hops, report);
            }
        }
        if type_differs(node, schema, key, at, report) {
            return;
        }
        match &node.data {
            Data::Scalar(value) => scalar(value, schema, key, at, report),
            Data::List(items) => {
                if let Some(schema) = schema.get("items") {
                    for (number, item) in items.iter().enumerate() {
                        self.visit(item, schema, &format!("{key}[{number}]"), item.at, HOPS, report);
                    }
                }
            }
            Data::Map(entries) => self.object(entries, node, schema, key, at, report),
        }
    }

    fn object(
        &self,
        entries: &[Entry],
        node: &Node,
        schema: &Map<String, Value>,
        key: &str,
        at: Position,
        report: &mut Report,
    ) {
        let nothing = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
        let others = schema.get("additionalProperties");
        for entry in entries {
            let inner = join(key, &entry.key);
            match (properties.get(&entry.key), others) {
                (Some(_), _) if entry.node.is_null() && !required(schema).any(|name| name == entry.key) => {
                    empty(entry, properties, &inner, report);
                }
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                    self.visit(&entry.node, schema, &inner, value_position(entry), HOPS, report);
                }
                (None, Some(Value::Bool(false))) => {
                    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                    let fix = suggest(&entry.key, &known, "remove it");
                    report.error(
                        entry.key_at,
                        &inner,
                        format!("the key `{}` is not known here", entry.key),
                        fix,
                    );
                }
                (None, _) => {}
            }
        }
        for name in required(schema) {
            if node.get(name).is_none() {
                let fix = description(properties.get(name));
                report.error(at, key, format!("the key `{name}` is missing"), fix);
            }
        }
        self.secrets.check(node, properties, key, self.folder, report);
    }

    /// One of several schemas has to fit: the one that the value's own tag names, else the one of its type, else the one
    /// with the fewest problems.
    fn alternatives(
        &self,
        node: &Node,
        branches: &'a [Value],
        key: &str,
        at: Position,
        hops: usize,
        report: &mut Report,
    ) {
        let branches: Vec<&Value> = branches.iter().map(|branch| self.resolved(branch)).collect();
        if choice(node, &branches, key, at, report) {
            return;
        }
        if let Some(tag) = common_tag(&branches) {
            self.tagged(node, &branches, tag, key, at, report);
            return;
        }
        let fitting = branches.iter().filter(|branch| {
            branch.as_object().is_some_and(|schema| {
                let allowed = types(schema);
                allowed.is_empty() || allowed.iter().any(|wanted| is_of(node, wanted))
            })
        });
        let tried = fitting.map(|branch| {
            let mut scratch = report.scratch();
            self.visit(node, branch, key, at, hops, &mut scratch);
            scratch
        });
        if let Some(best) = tried.min_by_key(|scratch| (scratch.has_errors(), scratch.len())) {
            report.append(best);
            return;
        }
        let wanted: Vec<&str> = branches
            .iter()
            .filter_map(|branch| branch.as_object())
            .flat_map(types)
            .map(spoken)
            .collect();
        let fix = if node.is_null() {
            "give a value; one that starts with # must stand in double quotes"
        } else {
            ""
        };
        report.error(
            at,
            key,
            format!("expected {}, found {}", wanted.join(" or "), found(node)),
            fix,
        );
    }

    fn tagged(&self, node: &Node, branches: &[&'a Value], tag: &'a str, key: &str, at: Position, report: &mut Report) {
        let Data::Map(entries) = &node.data else {
            report.error(at, key, format!("expected keys and values, found {}", found(node)), "");
            return;
        };
        let Some(entry) = entries.iter().find(|entry| entry.key == tag) else {
            let fix = format!("one of: {}", tags(branches, tag).join(", "));
            report.error(at, key, format!("the key `{tag}` is missing"), fix);
            return;
        };
        let value = entry.node.text().unwrap_or_default();
        match branches.iter().find(|branch| tag_of(branch, tag) == Some(value)) {
            Some(branch) => self.visit(node, branch, key, at, HOPS, report),
            None => one_of(
                &entry.node,
                &tags(branches, tag),
                &join(key, tag),
                entry.node.at,
                report,
            ),
        }
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..HOPS {
            match schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|target| target.strip_prefix('#'))
            {
                Some(pointer) => schema = self.root.pointer(pointer).unwrap_or(&Value::Null),
                None => break,
            }
        }
        schema
    }
}

fn type_differs(node: &Node, schema: &Map<String, Value>, key: &str, at: Position, report: &mut Report) -> bool {
    let allowed = types(schema);
    if allowed.is_empty() || allowed.iter().any(|wanted| is_of(node, wanted)) {
        return false;
    }
    // A key without a value means its default, as if it were not there; an entry of a list has none.
    if node.is_null() && allowed.contains(&"array") || node.is_null() && allowed.contains(&"object") {
        return false;
    }
    let spoken: Vec<&str> = allowed
        .iter()
        .filter(|name| **name != "null")
        .map(|name| spoken(name))
        .collect();
    let wanted = spoken.join(" or ");
    let fix = if node.is_null() && allowed.contains(&"string") {
        "give a value; one that starts with # must stand in double quotes, or it is a comment"
    } else if allowed.contains(&"boolean") {
        "write true or false"
    } else if allowed.contains(&"string") && matches!(&node.data, Data::Scalar(_)) {
        "put it in double quotes"
    } else {
        ""
    };
    report.error(at, key, format!("expected {wanted}, found {}", found(node)), fix);
    true
}

/// An optional key without a value means its default; but where text is wanted, it may be an unquoted `#`.
fn empty(entry: &Entry, properties: &Map<String, Value>, key: &str, report: &mut Report) {
    let schema = properties.get(&entry.key).and_then(Value::as_object);
    if schema.is_some_and(|schema| types(schema).contains(&"string")) {
        let fix = "remove the key, or give a value; one that starts with # must stand in double quotes";
        report.warning(entry.key_at, key, "there is no value, so the default is taken", fix);
    }
}

/// A choice between fixed texts. False if the alternatives are something else.
fn choice(node: &Node, branches: &[&Value], key: &str, at: Position, report: &mut Report) -> bool {
    let mut known = Vec::new();
    for branch in branches {
        match (branch.get("const"), branch.get("enum")) {
            (Some(Value::String(text)), _) => known.push(text.as_str()),
            (None, Some(Value::Array(texts))) => known.extend(texts.iter().filter_map(Value::as_str)),
            _ if branch.get("type").and_then(Value::as_str) == Some("null") => {}
            _ => return false,
        }
    }
    one_of(node, &known, key, at, report);
    true
}

/// Where a problem with an entry's value is shown: at the value, or at the key if nothing stands there.
fn value_position(entry: &Entry) -> Position {
    if entry.node.is_null() {
        entry.key_at
    } else {
        entry.node.at
    }
}

fn join(key: &str, inner: &str) -> String {
    if key.is_empty() {
        inner.to_owned()
    } else {
        format!("{key}.{inner}")
    }
}

fn types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn required(schema: &Map<String, Value>) -> impl Iterator<Item = &str> {
    schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn description(schema: Option<&Value>) -> String {
    let text = schema
        .and_then(|schema| schema.get("description"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.replace('\n', " ")
}

fn is_of(node: &Node, wanted: &str) -> bool {
    match (&node.data, wanted) {
        (Data::Scalar(Value::Null), "null")
        | (Data::Scalar(Value::Bool(_)), "boolean")
        | (Data::Scalar(Value::Number(_)), "number")
        | (Data::Scalar(Value::String(_)), "string")
        | (Data::List(_), "array")
        | (Data::Map(_), "object") => true,
        (Data::Scalar(Value::Number(number)), "integer") => number.is_i64() || number.is_u64(),
        _ => false,
    }
}

fn spoken(kind: &str) -> &'static str {
    match kind {
        "null" => "nothing",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "array" => "a list",
        _ => "keys and values",
    }
}

fn found(node: &Node) -> &'static str {
    match &node.data {
        Data::Scalar(Value::Null) => "nothing",
        Data::Scalar(Value::Bool(_)) => "true or false",
        Data::Scalar(Value::Number(_)) => "a number",
        Data::Scalar(_) => "text",
        Data::List(_) => "a list",
        Data::Map(_) => "keys and values",
    }
}

fn scalar(value: &Value, schema: &Map<String, Value>, key: &str, at: Position, report: &mut Report) {
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
            if let Some(least) = bound("minimum").filter(|least| number < *least) {
                report.error(
                    at,
                    key,
                    format!("the number is below {least}"),
                    format!("write at least {least}"),
                );
            }
            if let Some(most) = bound("maximum").filter(|most| number > *most) {
                report.error(
                    at,
                    key,
                    format!("the number is above {most}"),
                    format!("write at most {most}"),
                );
            }
        }
        Value::String(text) => {
            if let Some(known) = schema.get("enum").and_then(Value::as_array) {
                let known: Vec<&str> = known.iter().filter_map(Value::as_str).collect();
                choose(text, &known, key, at, report);
            }
            let complaint = schema
                .get("format")
                .and_then(Value::as_str)
                .and_then(|name| formats::complaint(name, text));
            if let Some((what, fix)) = complaint {
                report.error(at, key, what, fix);
            }
        }
        _ => {}
    }
}

fn one_of(node: &Node, known: &[&str], key: &str, at: Position, report: &mut Report) {
    if let Some(text) = node.text() {
        choose(text, known, key, at, report);
    } else {
        let what = format!("expected one of a few words, found {}", found(node));
        report.error(at, key, what, suggest("", known, ""));
    }
}

fn choose(text: &str, known: &[&str], key: &str, at: Position, report: &mut Report) {
    if !known.contains(&text) {
        report.error(at, key, format!("`{text}` is not known here"), suggest(text, known, ""));
    }
}

/// The key whose constant value tells the alternatives apart, if there is one.
fn common_tag<'a>(branches: &[&'a Value]) -> Option<&'a str> {
    let first = branches.first()?.get("properties")?.as_object()?;
    first
        .iter()
        .filter(|(_, schema)| schema.get("const").is_some())
        .map(|(name, _)| name.as_str())
        .find(|name| branches.iter().all(|branch| tag_of(branch, name).is_some()))
}

fn tag_of<'a>(branch: &'a Value, tag: &str) -> Option<&'a str> {
    branch.get("properties")?.get(tag)?.get("const")?.as_str()
}

fn tags<'a>(branches: &[&'a Value], tag: &str) -> Vec<&'a str> {
    branches.iter().filter_map(|branch| tag_of(branch, tag)).collect()
}
