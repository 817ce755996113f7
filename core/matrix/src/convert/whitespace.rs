//! White space as HTML reads it.
//!
//! Runs of white space with a line feed or tab in them are layout of the source text: they are one space between words and
//! nothing at the edge of a line. Runs of plain spaces are kept, although a browser would show one: other networks show them.
//! [`collapse`] marks the former with a line feed, and [`settle`] decides them once the whole block is known.

use viaduct_model::Inline;

const LAYOUT: char = '\n';

/// Puts one mark in the place of each run of white space that is layout.
pub(super) fn collapse(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(start) = rest.find([' ', '\n', '\t', '\r', '\u{c}']) {
        let (word, tail) = rest.split_at(start);
        out.push_str(word);
        let after = tail.trim_start_matches([' ', '\n', '\t', '\r', '\u{c}']);
        let run = tail.strip_suffix(after).unwrap_or(tail);
        if run.bytes().all(|byte| byte == b' ') {
            out.push_str(run);
        } else {
            out.push(LAYOUT);
        }
        rest = after;
    }
    out.push_str(rest);
}

/// Drops layout at the edges of lines and makes it a space elsewhere.
pub(super) fn settle(block: &mut Vec<Inline>) {
    let mut edge = true;
    drop_leading(block, &mut edge);
    edge = true;
    drop_trailing(block, &mut edge);
    to_spaces(block);
}

/// Whether there is anything but white space and line breaks.
pub(super) fn is_blank(content: &[Inline]) -> bool {
    content.iter().all(|inline| match inline {
        Inline::Text(text) => text.chars().all(|c| matches!(c, ' ' | LAYOUT)),
        Inline::Break => true,
        Inline::Strong(inner)
        | Inline::Emphasis(inner)
        | Inline::Underline(inner)
        | Inline::Strike(inner)
        | Inline::Colour { content: inner, .. }
        | Inline::Spoiler { content: inner, .. } => is_blank(inner),
        _ => false,
    })
}

fn inner(inline: &mut Inline) -> Option<&mut Vec<Inline>> {
    match inline {
        Inline::Strong(content)
        | Inline::Emphasis(content)
        | Inline::Underline(content)
        | Inline::Strike(content)
        | Inline::Colour { content, .. }
        | Inline::Link { content, .. }
        | Inline::Spoiler { content, .. } => Some(content),
        _ => None,
    }
}

fn drop_leading(content: &mut [Inline], edge: &mut bool) {
    for inline in content {
        match inline {
            Inline::Text(text) => {
                if *edge && text.starts_with(LAYOUT) {
                    text.remove(0);
                }
                *edge = (*edge && text.is_empty()) || text.ends_with(LAYOUT);
            }
            Inline::Break => *edge = true,
            other => match inner(other) {
                Some(content) => drop_leading(content, edge),
                None => *edge = false,
            },
        }
    }
}

fn drop_trailing(content: &mut [Inline], edge: &mut bool) {
    for inline in content.iter_mut().rev() {
        match inline {
            Inline::Text(text) => {
                if *edge && text.ends_with(LAYOUT) {
                    text.pop();
                }
                *edge &= text.is_empty();
            }
            Inline::Break => *edge = true,
            other => match inner(other) {
                Some(content) => drop_trailing(content, edge),
                None => *edge = false,
            },
        }
    }
}

fn to_spaces(content: &mut Vec<Inline>) {
    for inline in content {
        match inline {
            Inline::Text(text) if text.contains(LAYOUT) => *text = text.replace(LAYOUT, " "),
            other => {
                if let Some(content) = inner(other) {
                    to_spaces(content);
                }
            }
        }
    }
}
