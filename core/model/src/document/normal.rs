//! The one form of trees that look alike.
//!
//! Each level is made normal before the levels within it: first what shows nothing is dropped and a style directly within
//! itself is opened, then equal neighbours are joined, then each run is entered. A run is entered once, so that the work
//! grows with the size of the tree and not with the number of its neighbours.

use super::plain::{self, lines};
use super::{Block, DEPTH_BOUND, Inline, children, inline_text, rebuild};

/// The normal form of blocks that lie `depth` levels deep.
pub(super) fn blocks(list: Vec<Block>, depth: usize) -> Vec<Block> {
    if depth >= DEPTH_BOUND {
        let mut text = String::new();
        plain::blocks(&list, &mut text);
        return paragraph(lines(&text)).into_iter().collect();
    }
    list.into_iter()
        .filter_map(|block| normal_block(block, depth))
        .collect()
}

fn normal_block(block: Block, depth: usize) -> Option<Block> {
    match block {
        Block::Paragraph(content) => paragraph(content),
        Block::Heading { level, content } => some_inlines(content).map(|content| Block::Heading {
            level: level.clamp(1, 6),
            content,
        }),
        Block::Quote(inner) => {
            let inner = blocks(inner, depth + 1);
            (!inner.is_empty()).then_some(Block::Quote(inner))
        }
        Block::List { start, items } => {
            let items: Vec<_> = items
                .into_iter()
                .map(|item| blocks(item, depth + 1))
                .filter(|item| !item.is_empty())
                .collect();
            (!items.is_empty()).then_some(Block::List { start, items })
        }
        Block::Code { language, text } => {
            let text = text.trim_end_matches('\n').to_owned();
            let language = language.filter(|language| !language.is_empty());
            (!text.is_empty()).then_some(Block::Code { language, text })
        }
        Block::Rule => Some(Block::Rule),
    }
}

fn paragraph(content: Vec<Inline>) -> Option<Block> {
    some_inlines(content).map(Block::Paragraph)
}

/// The inlines of one block, without breaks at its edges; none if nothing is left.
fn some_inlines(content: Vec<Inline>) -> Option<Vec<Inline>> {
    let mut out = inlines(content, None, 0);
    while matches!(out.last(), Some(Inline::Break)) {
        out.pop();
    }
    let leading = out.iter().take_while(|inline| matches!(inline, Inline::Break)).count();
    out.drain(..leading);
    (!out.is_empty()).then_some(out)
}

/// The styles that are the same wherever they stand next to or within each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Strong,
    Emphasis,
    Underline,
    Strike,
}

fn style(inline: &Inline) -> Option<Style> {
    match inline {
        Inline::Strong(_) => Some(Style::Strong),
        Inline::Emphasis(_) => Some(Style::Emphasis),
        Inline::Underline(_) => Some(Style::Underline),
        Inline::Strike(_) => Some(Style::Strike),
        _ => None,
    }
}

/// The normal form of a run that lies `depth` levels deep within a run of the style `outer`.
fn inlines(content: Vec<Inline>, outer: Option<Style>, depth: usize) -> Vec<Inline> {
    if depth >= DEPTH_BOUND {
        return lines(&inline_text(&content));
    }
    let mut out = Vec::with_capacity(content.len());
    join(content, outer, depth, &mut out);
    out.into_iter()
        .map(|inline| {
            let own = style(&inline);
            rebuild(inline, &mut |content| inlines(content, own, depth + 1))
        })
        .collect()
}

/// Appends a run to `out`, joined with what stands there already.
fn join(content: Vec<Inline>, outer: Option<Style>, depth: usize, out: &mut Vec<Inline>) {
    for inline in content {
        if is_void(&inline, depth) {
            continue;
        }
        let own = style(&inline);
        match inline {
            Inline::Text(text) => {
                for part in lines(&text) {
                    push_text(out, part);
                }
            }
            Inline::Strong(inner) | Inline::Emphasis(inner) | Inline::Underline(inner) | Inline::Strike(inner)
                if own == outer =>
            {
                join(inner, outer, depth, out);
            }
            other => push_styled(out, other),
        }
    }
}

fn push_text(out: &mut Vec<Inline>, inline: Inline) {
    match (out.last_mut(), inline) {
        (Some(Inline::Text(before)), Inline::Text(text)) => before.push_str(&text),
        (_, inline) => out.push(inline),
    }
}

/// Joins a styled run with an equally styled neighbour.
fn push_styled(out: &mut Vec<Inline>, inline: Inline) {
    match (out.last_mut(), inline) {
        (Some(Inline::Strong(before)), Inline::Strong(content))
        | (Some(Inline::Emphasis(before)), Inline::Emphasis(content))
        | (Some(Inline::Underline(before)), Inline::Underline(content))
        | (Some(Inline::Strike(before)), Inline::Strike(content)) => before.extend(content),
        (_, inline) => out.push(inline),
    }
}

/// Whether an inline that lies `depth` levels deep shows nothing, in its normal form.
fn is_void(inline: &Inline, depth: usize) -> bool {
    match inline {
        Inline::Text(text) | Inline::Code(text) => text.is_empty(),
        Inline::Strong(_)
        | Inline::Emphasis(_)
        | Inline::Underline(_)
        | Inline::Strike(_)
        | Inline::Colour { .. }
        | Inline::Spoiler { .. } => {
            let content = children(inline);
            if depth + 1 >= DEPTH_BOUND {
                inline_text(content).is_empty()
            } else {
                content.iter().all(|inner| is_void(inner, depth + 1))
            }
        }
        // A link shows its address where it has no text.
        _ => false,
    }
}
