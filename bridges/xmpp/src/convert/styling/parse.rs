//! Styled bodies read.

use viaduct_model::document::{Block, DEPTH_BOUND, Document, Inline};

use super::{DIRECTIVES, FENCE, GUARD};

/// Reads a styled body.
pub fn parse(body: &str) -> Document {
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = body.split('\n').collect();
    Document {
        blocks: parse_blocks(&lines, 0),
    }
    .normal()
}

fn parse_blocks(lines: &[&str], depth: usize) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut paragraph: Vec<Inline> = Vec::new();
    let mut rest = lines;
    while let Some((line, after)) = rest.split_first() {
        if line.trim().is_empty() {
            close(&mut paragraph, &mut blocks);
            rest = after;
        } else if let (Some(info), true) = (line.strip_prefix(FENCE), !after.is_empty()) {
            close(&mut paragraph, &mut blocks);
            let length = after
                .iter()
                .position(|line| line.trim_end() == FENCE)
                .unwrap_or(after.len());
            let (code, tail) = after.split_at(length);
            // What stands behind the fence names a language if it is one word; else it is text like any other.
            let info = info.trim();
            let is_name = !info.is_empty() && !info.contains(char::is_whitespace);
            let first = Some(info).filter(|info| !info.is_empty() && !is_name);
            let lines = first.into_iter().chain(code.iter().map(|line| unguarded_start(line)));
            let text = lines.collect::<Vec<_>>().join("\n");
            blocks.push(Block::Code {
                language: Some(info.to_owned()).filter(|_| is_name),
                text,
            });
            rest = tail.get(1..).unwrap_or_default();
        } else if line.starts_with('>') && depth < DEPTH_BOUND {
            close(&mut paragraph, &mut blocks);
            let length = rest
                .iter()
                .position(|line| !line.starts_with('>'))
                .unwrap_or(rest.len());
            let (quoted, tail) = rest.split_at(length);
            let inner: Vec<&str> = quoted.iter().map(|line| unquoted(line)).collect();
            blocks.push(Block::Quote(parse_blocks(&inner, depth + 1)));
            rest = tail;
        } else {
            if !paragraph.is_empty() {
                paragraph.push(Inline::Break);
            }
            paragraph.extend(parse_spans(unguarded_start(line), 0));
            rest = after;
        }
    }
    close(&mut paragraph, &mut blocks);
    blocks
}

fn close(paragraph: &mut Vec<Inline>, blocks: &mut Vec<Block>) {
    if !paragraph.is_empty() {
        blocks.push(Block::Paragraph(std::mem::take(paragraph)));
    }
}

fn unquoted(line: &str) -> &str {
    let line = line.strip_prefix('>').unwrap_or(line);
    line.strip_prefix(' ').unwrap_or(line)
}

/// The line without the guard in front of what would otherwise begin a block.
fn unguarded_start(line: &str) -> &str {
    match line.strip_prefix(GUARD) {
        Some(rest) if rest.starts_with('>') || rest.starts_with(FENCE) => rest,
        _ => line,
    }
}

/// Reads the spans of one line. Linear in the line for each level, and levels are bounded.
fn parse_spans(line: &str, depth: usize) -> Vec<Inline> {
    let mut out = Vec::new();
    let mut text = String::new();
    let mut can_open = true;
    let mut rest = line;
    // Once a directive found no partner in the rest of the line, none of its kind further on can find one either.
    let mut hopeless: Vec<char> = Vec::new();
    while let Some(character) = rest.chars().next() {
        let after = rest.get(character.len_utf8()..).unwrap_or_default();
        if can_open && DIRECTIVES.contains(&character) && !hopeless.contains(&character) && depth < DEPTH_BOUND {
            match span(after, character) {
                Span::Found(inner, tail) => {
                    if !text.is_empty() {
                        out.push(Inline::Text(std::mem::take(&mut text)));
                    }
                    out.push(styled(character, inner, depth));
                    rest = tail;
                    can_open = false;
                    continue;
                }
                Span::Unclosed => hopeless.push(character),
                Span::NotHere => {}
            }
        }
        if character == GUARD && after.starts_with(DIRECTIVES) {
            can_open = false;
        } else {
            can_open = character.is_whitespace();
            text.push(character);
        }
        rest = after;
    }
    if !text.is_empty() {
        out.push(Inline::Text(text));
    }
    out
}

enum Span<'a> {
    Found(&'a str, &'a str),
    NotHere,
    Unclosed,
}

/// What stands between an opening directive and its first closing one, and what follows.
fn span(after: &str, directive: char) -> Span<'_> {
    if after.starts_with(char::is_whitespace) || after.starts_with(directive) {
        return Span::NotHere;
    }
    for (position, _) in after.match_indices(directive) {
        let (Some(inner), Some(tail)) = (after.get(..position), after.get(position + 1..)) else {
            continue;
        };
        if !inner.is_empty() && !inner.ends_with(char::is_whitespace) {
            return Span::Found(inner, tail);
        }
    }
    Span::Unclosed
}

fn styled(directive: char, inner: &str, depth: usize) -> Inline {
    match directive {
        '`' => Inline::Code(inner.to_owned()),
        '*' => Inline::Strong(parse_spans(inner, depth + 1)),
        '_' => Inline::Emphasis(parse_spans(inner, depth + 1)),
        _ => Inline::Strike(parse_spans(inner, depth + 1)),
    }
}
