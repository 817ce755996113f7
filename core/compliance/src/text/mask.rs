//! Making findings unreadable where they stand.

use viaduct_model::document::Inline;
use viaduct_model::{Content, Outbound};

use super::parts::{Step, walk};
use super::view::Span;
use crate::policy::TextPart;

/// What stands in place of a masked character.
const BLOCK: char = '█';

/// How masking went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Masked {
    /// Everything is masked.
    Done,
    /// Something stands where nothing can be masked (a reaction): the event cannot cross in part.
    Impossible,
}

/// Replaces every visible character of these stretches by a block, and leaves everything else as it is. A link's address
/// cannot be masked in part: the link is taken away and its text stays.
pub(crate) fn mask(outbound: &mut Outbound, mut spans: Vec<Span>) -> Masked {
    if spans.is_empty() {
        return Masked::Done;
    }
    spans.sort_unstable();
    let mut number = 0;
    let mut kind = TextPart::Body;
    let mut result = Masked::Done;
    let mut unlink = false;
    walk(outbound, &mut |step| match step {
        Step::Part(part) => kind = part,
        Step::Gap(_) => {}
        Step::Leaf(text) => {
            let first = spans.partition_point(|span| span.leaf < number);
            let mine: Vec<Span> = spans
                .iter()
                .skip(first)
                .take_while(|span| span.leaf == number)
                .copied()
                .collect();
            number += 1;
            match kind {
                _ if mine.is_empty() => {}
                TextPart::Reaction => result = Masked::Impossible,
                TextPart::Link => {
                    text.clear();
                    unlink = true;
                }
                _ => *text = masked(text, &mine),
            }
        }
    });
    if let (true, Some(message)) = (unlink, outbound.content.message_mut()) {
        message.body = std::mem::take(&mut message.body).map_inlines(&mut |inline| match inline {
            Inline::Link { url, content } if url.is_empty() => content,
            other => vec![other],
        });
    }
    if let Content::Message(message) | Content::Edit { message, .. } = &mut outbound.content {
        for attachment in &mut message.attachments {
            attachment.mime = attachment.mime.take().filter(|mime| !mime.contains(BLOCK));
        }
    }
    result
}

/// `spans` are in order of their beginnings.
fn masked(text: &str, spans: &[Span]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut spans = spans.iter().peekable();
    let mut until = 0;
    for (at, character) in text.char_indices() {
        while let Some(span) = spans.next_if(|span| span.start <= at) {
            until = span.end.max(until);
        }
        match at < until {
            true if character.is_whitespace() => out.push(character),
            true if super::fold::is_invisible(character) => {}
            true => out.push(BLOCK),
            false => out.push(character),
        }
    }
    out
}
