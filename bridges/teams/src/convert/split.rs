//! A long document → several, at the borders of blocks, items, lines and words.

use viaduct_model::Document;
use viaduct_model::document::{Block, Inline, inline_text, split_text};

/// Splits a document into pieces whose size, as `size` measures it, is at most `bound` where that is possible. No text is lost.
pub fn split(document: Document, bound: usize, size: &dyn Fn(&Document) -> usize) -> Vec<Document> {
    if size(&document) <= bound {
        return vec![document];
    }
    let mut pieces: Vec<Document> = Vec::new();
    let mut used = 0;
    for block in document.blocks {
        for part in cut(block, bound, size) {
            let own = size(&part);
            match pieces.last_mut() {
                Some(last) if used + own <= bound => {
                    last.blocks.extend(part.blocks);
                    used += own;
                }
                _ => {
                    pieces.push(part);
                    used = own;
                }
            }
        }
    }
    pieces
}

/// One block in documents that fit.
fn cut(block: Block, bound: usize, size: &dyn Fn(&Document) -> usize) -> Vec<Document> {
    let alone = |block: Block| Document { blocks: vec![block] };
    let whole = alone(block);
    if size(&whole) <= bound {
        return vec![whole];
    }
    let Some(block) = whole.blocks.into_iter().next() else {
        return Vec::new();
    };
    match block {
        Block::Paragraph(content) | Block::Heading { content, .. } => {
            let measure = |run: &[Inline]| size(&Document::paragraph(run.to_vec()));
            runs(content, bound, &measure)
                .into_iter()
                .map(Document::paragraph)
                .collect()
        }
        Block::Code { language, text } => {
            let measure = |piece: &str| {
                size(&alone(Block::Code {
                    language: None,
                    text: piece.to_owned(),
                }))
            };
            let pieces = cut_text(&text, bound, &measure).into_iter().map(|piece| {
                alone(Block::Code {
                    language: language.clone(),
                    text: piece.to_owned(),
                })
            });
            pieces.collect()
        }
        Block::Quote(inner) => {
            let marks = size(&alone(Block::Quote(Vec::new())));
            split(Document { blocks: inner }, bound.saturating_sub(marks).max(16), size)
                .into_iter()
                .map(|piece| alone(Block::Quote(piece.blocks)))
                .collect()
        }
        Block::List { start, items } => {
            let mut out = Vec::new();
            for (number, item) in (0_u64..).zip(items) {
                let start = start.map(|start| start.saturating_add(number));
                for piece in split(Document { blocks: item }, bound.saturating_sub(64).max(16), size) {
                    out.push(alone(Block::List {
                        start,
                        items: vec![piece.blocks],
                    }));
                }
            }
            out
        }
        Block::Rule => vec![alone(Block::Rule)],
    }
}

/// A text in pieces that fit alone. A separator at a cut is dropped, so pieces must not be joined again.
fn cut_text<'t>(text: &'t str, bound: usize, size: &dyn Fn(&str) -> usize) -> Vec<&'t str> {
    let whole = size(text).max(1);
    // As much as fits where letters are escaped evenly, and an eighth of it where they are not.
    let room = (text.len().saturating_mul(bound) / whole).saturating_mul(9) / 10;
    let (room, least) = (room.max(16), (bound / 8).max(16));
    let mut out = Vec::new();
    for piece in split_text(text, room) {
        if size(piece) <= bound || piece.len() <= least {
            out.push(piece);
        } else {
            out.extend(split_text(piece, least));
        }
    }
    out
}

/// The lines of a piece of text, as inlines.
fn lines(piece: &str) -> Vec<Inline> {
    let mut run = Vec::new();
    for (number, line) in piece.split('\n').enumerate() {
        if number > 0 {
            run.push(Inline::Break);
        }
        run.push(Inline::Text(line.to_owned()));
    }
    run
}

/// A run of inlines in runs that fit. An inline that is too long itself becomes plain text.
fn runs(content: Vec<Inline>, bound: usize, size: &dyn Fn(&[Inline]) -> usize) -> Vec<Vec<Inline>> {
    let mut out: Vec<Vec<Inline>> = Vec::new();
    let mut used = 0;
    for inline in content {
        let own = size(std::slice::from_ref(&inline));
        if own > bound {
            let text = inline_text(std::slice::from_ref(&inline));
            for piece in cut_text(&text, bound, &|piece| size(&lines(piece))) {
                let run = lines(piece);
                used = size(&run);
                out.push(run);
            }
            continue;
        }
        match out.last_mut() {
            Some(last) if used + own <= bound => {
                last.push(inline);
                used += own;
            }
            _ => {
                out.push(vec![inline]);
                used = own;
            }
        }
    }
    out
}
