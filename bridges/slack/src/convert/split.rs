//! A long document → several, at the borders of blocks, items, lines and words.

use viaduct_model::Document;
use viaduct_model::document::{Block, Inline, inline_text, split_text};

/// Splits a document into pieces of which each has at most about so many bytes of plain text. Nothing is lost; a block that is
/// too long itself is cut, where its styles end with a piece and plain text goes on.
pub fn split(document: Document, bytes: usize) -> Vec<Document> {
    if document.to_plain().len() <= bytes {
        return vec![document];
    }
    let mut pieces = Pieces {
        bytes,
        done: Vec::new(),
        open: Vec::new(),
        used: 0,
    };
    for block in document.blocks {
        for part in cut(block, bytes) {
            pieces.push(part);
        }
    }
    pieces.finish()
}

struct Pieces {
    bytes: usize,
    done: Vec<Document>,
    open: Vec<Block>,
    used: usize,
}

impl Pieces {
    fn push(&mut self, block: Block) {
        let size = size(std::slice::from_ref(&block)) + 2;
        if self.used > 0 && self.used + size > self.bytes {
            self.done.push(Document {
                blocks: std::mem::take(&mut self.open),
            });
            self.used = 0;
        }
        self.used += size;
        self.open.push(block);
    }

    fn finish(mut self) -> Vec<Document> {
        if !self.open.is_empty() {
            self.done.push(Document { blocks: self.open });
        }
        self.done
    }
}

fn size(blocks: &[Block]) -> usize {
    Document {
        blocks: blocks.to_vec(),
    }
    .to_plain()
    .len()
}

/// A block in parts that fit.
fn cut(block: Block, bytes: usize) -> Vec<Block> {
    if size(std::slice::from_ref(&block)) + 2 <= bytes {
        return vec![block];
    }
    // Marks in front of lines and numbers take room of their own.
    let room = bytes.saturating_sub(bytes / 8).max(16);
    match block {
        Block::Paragraph(content) => runs(content, room).into_iter().map(Block::Paragraph).collect(),
        Block::Heading { level, content } => runs(content, room)
            .into_iter()
            .map(|content| Block::Heading { level, content })
            .collect(),
        Block::Code { language, text } => split_text(&text, room)
            .into_iter()
            .map(|piece| Block::Code {
                language: language.clone(),
                text: piece.to_owned(),
            })
            .collect(),
        Block::Quote(inner) => group(inner.into_iter().flat_map(|block| cut(block, room / 2)), room / 2)
            .into_iter()
            .map(Block::Quote)
            .collect(),
        Block::List { start, items } => items
            .into_iter()
            .enumerate()
            .flat_map(|(number, item)| {
                let start = start.map(|start| start.saturating_add(number as u64));
                let parts = item.into_iter().flat_map(|block| cut(block, room / 2));
                group(parts, room / 2).into_iter().map(move |blocks| Block::List {
                    start,
                    items: vec![blocks],
                })
            })
            .collect(),
        Block::Rule => vec![Block::Rule],
    }
}

/// Blocks in groups that fit.
fn group(blocks: impl Iterator<Item = Block>, bytes: usize) -> Vec<Vec<Block>> {
    let mut out: Vec<Vec<Block>> = Vec::new();
    let mut used = 0;
    for block in blocks {
        let own = size(std::slice::from_ref(&block)) + 2;
        match out.last_mut() {
            Some(last) if used + own <= bytes => {
                last.push(block);
                used += own;
            }
            _ => {
                out.push(vec![block]);
                used = own;
            }
        }
    }
    out
}

/// A run of inlines in runs that fit. An inline that is too long itself becomes plain text.
fn runs(content: Vec<Inline>, bytes: usize) -> Vec<Vec<Inline>> {
    let mut out: Vec<Vec<Inline>> = Vec::new();
    let mut used = 0;
    let mut push = |inline: Inline, length: usize| match out.last_mut() {
        Some(last) if used + length <= bytes => {
            last.push(inline);
            used += length;
        }
        _ => {
            out.push(vec![inline]);
            used = length;
        }
    };
    for inline in content {
        let text = inline_text(std::slice::from_ref(&inline));
        if text.len() <= bytes {
            push(inline, text.len());
            continue;
        }
        for piece in split_text(&text, bytes) {
            for (number, line) in piece.split('\n').enumerate() {
                if number > 0 {
                    push(Inline::Break, 1);
                }
                push(Inline::Text(line.to_owned()), line.len());
            }
        }
    }
    out
}
