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
    // An escaped letter has at most six bytes, and a tag of a broken line four.
    let room = (bound / 8).max(16);
    match block {
        Block::Paragraph(content) | Block::Heading { content, .. } => {
            let measure = |run: &[Inline]| size(&Document::paragraph(run.to_vec()));
            runs(content, bound, room, &measure)
                .into_iter()
                .map(Document::paragraph)
                .collect()
        }
        Block::Code { language, text } => split_text(&text, room)
            .into_iter()
            .map(|piece| {
                alone(Block::Code {
                    language: language.clone(),
                    text: piece.to_owned(),
                })
            })
            .collect(),
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

/// A run of inlines in runs that fit. An inline that is too long itself becomes plain text.
fn runs(content: Vec<Inline>, bound: usize, room: usize, size: &dyn Fn(&[Inline]) -> usize) -> Vec<Vec<Inline>> {
    let mut parts: Vec<Vec<Inline>> = Vec::new();
    for inline in content {
        if size(std::slice::from_ref(&inline)) <= bound {
            parts.push(vec![inline]);
            continue;
        }
        let text = inline_text(std::slice::from_ref(&inline));
        parts.extend(
            split_text(&text, room)
                .into_iter()
                .map(|piece| Document::plain(piece).blocks)
                .map(|blocks| {
                    let mut run = Vec::new();
                    for block in blocks {
                        if let Block::Paragraph(content) = block {
                            if !run.is_empty() {
                                run.push(Inline::Break);
                            }
                            run.extend(content);
                        }
                    }
                    run
                }),
        );
    }
    let mut out: Vec<Vec<Inline>> = Vec::new();
    let mut used = 0;
    for part in parts {
        let own = size(&part);
        match out.last_mut() {
            Some(last) if used + own <= bound => {
                last.extend(part);
                used += own;
            }
            _ => {
                out.push(part);
                used = own;
            }
        }
    }
    out
}
