//! The text a reader without formatting sees.

use super::{Block, Inline, children, is_safe_link};

/// The inlines of a text: a break at each line feed.
pub(super) fn lines(text: &str) -> Vec<Inline> {
    let mut out = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push(Inline::Break);
        }
        if !line.is_empty() {
            out.push(Inline::Text(line.to_owned()));
        }
    }
    out
}

/// The plain text of a run of inlines; see [`to_plain`](super::Document::to_plain).
pub fn inline_text(content: &[Inline]) -> String {
    let mut out = String::new();
    inlines(content, &mut out);
    out
}

fn inlines(content: &[Inline], out: &mut String) {
    for inline in content {
        match inline {
            Inline::Text(text) | Inline::Code(text) => out.push_str(text),
            Inline::Mention(mention) => out.push_str(&mention.label),
            Inline::Channel { label, .. } => out.push_str(label),
            Inline::Emoji { code, .. } => {
                out.push(':');
                out.push_str(code);
                out.push(':');
            }
            Inline::Break => out.push('\n'),
            Inline::Link { url, content } => {
                let label = inline_text(content);
                out.push_str(&label);
                if label.is_empty() {
                    out.push_str(url);
                } else if label != *url && format!("mailto:{label}") != *url && is_safe_link(url) {
                    out.push_str(" <");
                    out.push_str(url);
                    out.push('>');
                }
            }
            other => inlines(children(other), out),
        }
    }
}

/// Appends the plain text of these blocks.
pub(super) fn blocks(list: &[Block], out: &mut String) {
    for (number, block) in list.iter().enumerate() {
        if number > 0 {
            out.push_str("\n\n");
        }
        match block {
            Block::Paragraph(content) | Block::Heading { content, .. } => inlines(content, out),
            Block::Quote(inner) => prefixed(inner, "> ", "> ", out),
            Block::Code { text, .. } => out.push_str(text),
            Block::Rule => out.push_str("---"),
            Block::List { start, items } => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push('\n');
                    }
                    let bullet = match start {
                        Some(first) => format!("{}. ", first.saturating_add(index as u64)),
                        None => "- ".to_owned(),
                    };
                    prefixed(item, &bullet, &" ".repeat(bullet.len()), out);
                }
            }
        }
    }
}

fn prefixed(list: &[Block], first: &str, rest: &str, out: &mut String) {
    let mut inner = String::new();
    blocks(list, &mut inner);
    for (number, line) in inner.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        out.push_str(if number == 0 { first } else { rest });
        out.push_str(line);
    }
}
