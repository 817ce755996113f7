//! `viaduct capabilities`: what each kind of network can express, as a table.

use serde_json::{Map, Value};
use viaduct_model::{Capabilities, Lookup, Support};

use crate::registry::Registry;

/// The rows: what a reader calls it, and its value.
fn rows(capabilities: &Capabilities) -> Vec<(&'static str, String)> {
    let c = capabilities;
    let file = match (c.file, c.file_limit) {
        (Support::None, _) | (_, None) => word(c.file).to_owned(),
        (support, Some(limit)) => format!("{}, up to {} MiB", word(support), limit / 1024 / 1024),
    };
    let edit = match (c.edit, c.edit_window) {
        (Support::Native, Some(seconds)) => format!("yes, for {} h", seconds / 3600),
        (support, _) => word(support).to_owned(),
    };
    vec![
        ("formatting", word(c.formatting).to_owned()),
        ("mentions", word(c.mention).to_owned()),
        ("replies", word(c.reply).to_owned()),
        ("threads", word(c.thread).to_owned()),
        ("edits", edit),
        ("deletions", word(c.delete).to_owned()),
        ("reactions", word(c.reaction).to_owned()),
        ("custom emoji", word(c.custom_emoji).to_owned()),
        ("files", file),
        (
            "longest message",
            c.text_limit
                .map_or_else(|| "–".to_owned(), |limit| format!("{limit} bytes, then split")),
        ),
        ("topic", word(c.topic).to_owned()),
        ("channel name", word(c.name).to_owned()),
        ("joins and leaves", word(c.membership).to_owned()),
        ("kicks and bans", word(c.moderation).to_owned()),
        ("roles", word(c.role).to_owned()),
        ("pinned messages", word(c.pins).to_owned()),
        ("typing", word(c.typing).to_owned()),
        ("read receipts", word(c.read).to_owned()),
        ("people as themselves", word(c.puppet).to_owned()),
        ("direct chats", word(c.direct).to_owned()),
        ("catching up after downtime", word(c.history).to_owned()),
        (
            "unknown outcome",
            match c.lookup {
                Lookup::Idempotent => "sent again, never twice",
                Lookup::Queryable => "looked up",
                Lookup::None => "shown to the sender",
            }
            .to_owned(),
        ),
    ]
}

fn word(support: Support) -> &'static str {
    match support {
        Support::Native => "yes",
        Support::Fallback => "in words",
        Support::None => "–",
    }
}

/// The table as Markdown.
pub fn markdown(registry: &Registry) -> String {
    let columns: Vec<(&str, Vec<(&str, String)>)> = registry
        .0
        .iter()
        .map(|factory| (factory.kind(), rows(&factory.capabilities())))
        .collect();
    let kinds: Vec<&str> = columns.iter().map(|(kind, _)| *kind).collect();
    let mut lines = vec![
        format!("| | {} |", kinds.join(" | ")),
        format!("|---|{}", "---|".repeat(kinds.len())),
    ];
    for (number, (label, _)) in rows(&Capabilities::default()).iter().enumerate() {
        let cells: Vec<&str> = columns
            .iter()
            .filter_map(|(_, rows)| rows.get(number))
            .map(|(_, value)| value.as_str())
            .collect();
        lines.push(format!("| {label} | {} |", cells.join(" | ")));
    }
    lines.join("\n")
}

/// The table for a terminal: columns of even width.
pub fn text(registry: &Registry) -> String {
    let rows: Vec<Vec<String>> = markdown(registry)
        .lines()
        .enumerate()
        .filter(|(number, _)| *number != 1)
        .map(|(_, line)| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect();
    columns(&rows)
}

/// Rows as columns of even width.
pub fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let pad = width(column).unwrap_or_default().saturating_sub(cell.chars().count());
            format!("{cell}{}", " ".repeat(pad))
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The table as JSON: kind → capabilities.
pub fn json(registry: &Registry) -> Value {
    let table = registry.0.iter().map(|factory| {
        let capabilities = serde_json::to_value(factory.capabilities()).unwrap_or_default();
        (factory.kind().to_owned(), capabilities)
    });
    Value::Object(table.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_has_a_cell_for_each_kind() {
        let registry = Registry::new();
        let table = markdown(&registry);
        let bars = table.lines().next().unwrap_or_default().matches('|').count();
        assert_eq!(bars, registry.0.len() + 2);
        assert!(table.lines().all(|line| line.matches('|').count() == bars), "{table}");
        assert!(table.contains("| edits | yes |"), "{table}");
    }

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["a".to_owned(), "b".to_owned()],
            vec!["äöü".to_owned(), "c".to_owned()],
        ];
        assert_eq!(columns(&rows), "a    b\näöü  c");
    }
}
