//! Messages of several lines that belong together (`draft/multiline`).

use irc_proto::Message as Line;
use viaduct_model::document::Block;
use viaduct_model::{Document, Inline, MessageStyle};

use super::Incoming;
use crate::client::line::Fields;
use crate::convert::mirc;

/// Open messages at once, and bytes of one of them.
const OPEN: usize = 64;
const BYTES: usize = 64 * 1024;

/// A message whose lines are still arriving.
pub(super) struct Multiline {
    /// The line that opened it, with its tags.
    opened: Line,
    notice: bool,
    lines: Vec<String>,
    bytes: usize,
}

impl Incoming {
    /// A message of several lines begins.
    pub(super) fn multiline_opened(&mut self, name: &str, line: &Line) {
        if self.multilines.len() < OPEN {
            let open = Multiline {
                opened: line.clone(),
                notice: false,
                lines: Vec::new(),
                bytes: 0,
            };
            self.multilines.insert(name.to_owned(), open);
        }
    }

    /// Takes a line that belongs to such a message; says whether it did.
    pub(super) fn multiline_part(&mut self, line: &Line) -> bool {
        let Some(open) = line.tag("batch").and_then(|name| self.multilines.get_mut(name)) else {
            return false;
        };
        open.notice = line.name() == "NOTICE";
        open.bytes = open.bytes.saturating_add(line.last().len() + 1);
        if open.bytes <= BYTES {
            match open.lines.last_mut() {
                Some(last) if line.tag("draft/multiline-concat").is_some() => last.push_str(line.last()),
                _ => open.lines.push(line.last().to_owned()),
            }
        }
        true
    }

    /// The message is complete.
    pub(super) fn multiline_closed(&mut self, name: &str) {
        let Some(Multiline {
            opened, notice, lines, ..
        }) = self.multilines.remove(name)
        else {
            return;
        };
        let style = if notice {
            MessageStyle::Notice
        } else {
            MessageStyle::Text
        };
        let mut blocks = Vec::new();
        let mut content = Vec::new();
        for line in lines {
            if line.is_empty() {
                blocks.push(Block::Paragraph(std::mem::take(&mut content)));
                continue;
            }
            if !content.is_empty() {
                content.push(Inline::Break);
            }
            for block in mirc::parse(&line).blocks {
                if let Block::Paragraph(inlines) = block {
                    content.extend(inlines);
                }
            }
        }
        blocks.push(Block::Paragraph(content));
        let body = Document { blocks }.normal();
        self.spoken(&opened, opened.parameter(2), style, body);
    }
}
