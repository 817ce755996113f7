//! Cards of others → text: what can be read on them, in order.

use serde_json::Value;
use viaduct_model::document::{Block, Inline};

/// How deep a card is read.
const DEPTH: usize = 12;
/// How much of a card is read, in bytes.
const BOUND: usize = 8 * 1024;

/// What can be read on a card.
pub fn text(card: &Value) -> Vec<Block> {
    let mut lines = Vec::new();
    walk(card, 0, &mut 0, &mut lines);
    lines
        .into_iter()
        .map(|line| Block::Paragraph(vec![Inline::Text(line)]))
        .collect()
}

fn walk(value: &Value, depth: usize, used: &mut usize, lines: &mut Vec<String>) {
    if depth > DEPTH || *used > BOUND {
        return;
    }
    match value {
        Value::Array(values) => values.iter().for_each(|inner| walk(inner, depth + 1, used, lines)),
        Value::Object(fields) => {
            let word = |key: &str| {
                fields
                    .get(key)
                    .and_then(Value::as_str)
                    .map(str::trim)
                    .filter(|text| !text.is_empty())
            };
            let own: Vec<&str> = match word("type") {
                // What is typed or chosen there cannot be done elsewhere.
                Some(kind) if kind.starts_with("Input.") => return,
                Some(kind) if kind.starts_with("Action.") => word("title").into_iter().collect(),
                _ => ["title", "subtitle", "text", "value", "altText", "fallbackText"]
                    .iter()
                    .take(if fields.contains_key("body") { 0 } else { 5 })
                    .filter_map(|key| word(key))
                    .collect(),
            };
            if !own.is_empty() {
                let separator = if word("title").is_some() && word("value").is_some() {
                    ": "
                } else {
                    " – "
                };
                let line: String = own.join(separator).chars().take(BOUND).collect();
                *used += line.len();
                lines.push(line);
            }
            for key in [
                "body", "items", "columns", "facts", "inlines", "rows", "cells", "sections", "actions",
            ] {
                if let Some(inner) = fields.get(key) {
                    walk(inner, depth + 1, used, lines);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_read_from_top_to_bottom() {
        let card = serde_json::json!({
            "type": "AdaptiveCard", "fallbackText": "no",
            "body": [
                {"type": "TextBlock", "text": "Build failed"},
                {"type": "FactSet", "facts": [{"title": "Branch", "value": "main"}]},
                {"type": "Input.Text", "placeholder": "why?"},
                {"type": "ColumnSet", "columns": [{"items": [{"type": "TextBlock", "text": "two"}]}]},
            ],
            "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": "https://example.org"}],
        });
        let lines: Vec<String> = text(&card)
            .into_iter()
            .map(|block| viaduct_model::Document { blocks: vec![block] }.to_plain())
            .collect();
        assert_eq!(lines, ["Build failed", "Branch: main", "two", "Open"]);
    }

    #[test]
    fn a_deep_card_ends() {
        let mut card = serde_json::json!({"text": "deep"});
        for _ in 0..100 {
            card = serde_json::json!({"items": [card]});
        }
        assert!(text(&card).is_empty());
    }
}
