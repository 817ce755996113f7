//! Rich text as one tree for all networks.
//!
//! Every network has a parser into this tree and a renderer out of it; both are total. The tree holds text as data: nothing
//! in a [`Inline::Text`] is ever markup. [`Document::normal`] gives the one form in which two trees that look alike to a
//! reader are equal.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::ids::{NetworkName, PersonId, Place};

/// How deep blocks and inlines may nest. Parsers flatten what lies deeper, so that no walk over a tree can exhaust the stack.
pub const DEPTH_BOUND: usize = 32;

/// A text with its structure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document {
    /// The blocks, one below the other.
    pub blocks: Vec<Block>,
}

/// A part of a text that stands on lines of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// A paragraph.
    Paragraph(Vec<Inline>),
    /// A heading, of level 1 to 6.
    Heading {
        /// 1 is the highest.
        level: u8,
        /// Its text.
        content: Vec<Inline>,
    },
    /// A list.
    List {
        /// The number of the first item, of a numbered list; none for bullets.
        start: Option<u64>,
        /// The items.
        items: Vec<Vec<Block>>,
    },
    /// Something said by others.
    Quote(Vec<Block>),
    /// Preformatted text.
    Code {
        /// The programming language, where told.
        language: Option<String>,
        /// The text, with line feeds between its lines.
        text: String,
    },
    /// A line across.
    Rule,
}

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// A run of text within a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inline {
    /// Plain characters; never contains a line feed in normal form.
    Text(String),
    /// Strong (bold).
    Strong(Vec<Inline>),
    /// Emphasis (italics).
    Emphasis(Vec<Inline>),
    /// Underlined.
    Underline(Vec<Inline>),
    /// Struck through.
    Strike(Vec<Inline>),
    /// Coloured.
    Colour {
        /// Of the letters.
        foreground: Option<Rgb>,
        /// Behind them.
        background: Option<Rgb>,
        /// What is coloured.
        content: Vec<Inline>,
    },
    /// Preformatted characters.
    Code(String),
    /// A link.
    Link {
        /// Where it leads. Renderers drop schemes that a click could misuse; see [`is_safe_link`].
        url: String,
        /// Its text.
        content: Vec<Inline>,
    },
    /// A person is addressed.
    Mention(Mention),
    /// Another conversation is named.
    Channel {
        /// Which.
        place: Place,
        /// Its text.
        label: String,
    },
    /// An emoji that is not a Unicode character.
    Emoji {
        /// Its short code, without colons.
        code: String,
        /// Its picture.
        image: Option<crate::event::MediaRef>,
    },
    /// Covered until asked for.
    Spoiler {
        /// What it is about.
        reason: Option<String>,
        /// What is covered.
        content: Vec<Inline>,
    },
    /// A new line within the block.
    Break,
}

/// Who is addressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// The text to show.
    pub label: String,
    /// Whom it means.
    pub target: MentionTarget,
}

/// Whom a mention means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MentionTarget {
    /// One person.
    Person {
        /// The network that knows them.
        network: NetworkName,
        /// Their id there.
        id: PersonId,
    },
    /// Everybody here. Crosses as text only, unless a policy allows more.
    Everyone,
    /// A group, known to the source only.
    Group(String),
}

/// Whether a link's scheme is harmless to show as a link: http, https, mailto, xmpp, irc(s), matrix, tel, ftp(s), sip(s).
pub fn is_safe_link(url: &str) -> bool {
    let Some((scheme, _)) = url.split_once(':') else { return false };
    !url.contains(char::is_control)
        && ["http", "https", "mailto", "xmpp", "irc", "ircs", "matrix", "tel", "ftp", "ftps", "sip", "sips"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
}

impl Document {
    /// Plain text: a paragraph between blank lines, a break at each other line end.
    pub fn plain(text: &str) -> Self {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let blocks = text
            .split("\n\n")
            .map(|paragraph| paragraph.trim_matches('\n'))
            .filter(|paragraph| !paragraph.is_empty())
            .map(|paragraph| Block::Paragraph(lines(paragraph)))
            .collect();
        Self { blocks }
    }

    /// One paragraph of these inlines.
    pub fn paragraph(content: Vec<Inline>) -> Self {
        Self { blocks: vec![Block::Paragraph(content)] }
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.to_plain().trim().is_empty()
    }

    /// The text without its markup, as one would read it aloud or send it to a network without formatting. Links show
    /// their address unless it is their text; quotes are marked with `> `, list items with `- ` or their number.
    pub fn to_plain(&self) -> String {
        let mut out = String::new();
        plain_blocks(&self.blocks, &mut out);
        out
    }

    /// Calls `visit` for every inline, outer before inner.
    pub fn each_inline<'a>(&'a self, visit: &mut dyn FnMut(&'a Inline)) {
        visit_blocks(&self.blocks, visit);
    }

    /// Everybody addressed, in order.
    pub fn mentions(&self) -> Vec<&Mention> {
        let mut found = Vec::new();
        self.each_inline(&mut |inline| {
            if let Inline::Mention(mention) = inline {
                found.push(mention);
            }
        });
        found
    }

    /// The tree with every inline replaced by what `change` makes of it; inner inlines are changed first.
    #[must_use]
    pub fn map_inlines(self, change: &mut dyn FnMut(Inline) -> Vec<Inline>) -> Self {
        Self { blocks: map_blocks(self.blocks, change) }
    }

    /// The form in which trees that look alike are equal: neighbouring texts joined, empty parts dropped, line feeds in
    /// texts made breaks, breaks at the edges of a block dropped, the same style never directly within itself, nothing
    /// deeper than [`DEPTH_BOUND`].
    #[must_use]
    pub fn normal(self) -> Self {
        Self { blocks: normal_blocks(self.blocks, 0) }
    }
}

fn lines(text: &str) -> Vec<Inline> {
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

fn children(inline: &Inline) -> &[Inline] {
    match inline {
        Inline::Strong(content)
        | Inline::Emphasis(content)
        | Inline::Underline(content)
        | Inline::Strike(content)
        | Inline::Colour { content, .. }
        | Inline::Link { content, .. }
        | Inline::Spoiler { content, .. } => content,
        _ => &[],
    }
}

/// The plain text of a run of inlines; see [`Document::to_plain`].
pub fn inline_text(content: &[Inline]) -> String {
    let mut out = String::new();
    plain_inlines(content, &mut out);
    out
}

fn plain_inlines(content: &[Inline], out: &mut String) {
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
            other => plain_inlines(children(other), out),
        }
    }
}

fn plain_blocks(blocks: &[Block], out: &mut String) {
    for (number, block) in blocks.iter().enumerate() {
        if number > 0 {
            out.push_str("\n\n");
        }
        match block {
            Block::Paragraph(content) | Block::Heading { content, .. } => plain_inlines(content, out),
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

fn prefixed(blocks: &[Block], first: &str, rest: &str, out: &mut String) {
    let mut inner = String::new();
    plain_blocks(blocks, &mut inner);
    for (number, line) in inner.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        out.push_str(if number == 0 { first } else { rest });
        out.push_str(line);
    }
}

fn visit_inlines<'a>(content: &'a [Inline], visit: &mut dyn FnMut(&'a Inline)) {
    for inline in content {
        visit(inline);
        visit_inlines(children(inline), visit);
    }
}

fn visit_blocks<'a>(blocks: &'a [Block], visit: &mut dyn FnMut(&'a Inline)) {
    for block in blocks {
        match block {
            Block::Paragraph(content) | Block::Heading { content, .. } => visit_inlines(content, visit),
            Block::Quote(inner) => visit_blocks(inner, visit),
            Block::List { items, .. } => items.iter().for_each(|item| visit_blocks(item, visit)),
            Block::Code { .. } | Block::Rule => {}
        }
    }
}

fn map_inlines(content: Vec<Inline>, change: &mut dyn FnMut(Inline) -> Vec<Inline>) -> Vec<Inline> {
    let mut out = Vec::with_capacity(content.len());
    for inline in content {
        let inner = rebuild(inline, &mut |content| map_inlines(content, change));
        out.extend(change(inner));
    }
    out
}

/// The same inline with its content replaced by what `change` makes of it.
fn rebuild(inline: Inline, change: &mut dyn FnMut(Vec<Inline>) -> Vec<Inline>) -> Inline {
    match inline {
        Inline::Strong(content) => Inline::Strong(change(content)),
        Inline::Emphasis(content) => Inline::Emphasis(change(content)),
        Inline::Underline(content) => Inline::Underline(change(content)),
        Inline::Strike(content) => Inline::Strike(change(content)),
        Inline::Colour { foreground, background, content } => {
            Inline::Colour { foreground, background, content: change(content) }
        }
        Inline::Link { url, content } => Inline::Link { url, content: change(content) },
        Inline::Spoiler { reason, content } => Inline::Spoiler { reason, content: change(content) },
        leaf => leaf,
    }
}

fn map_blocks(blocks: Vec<Block>, change: &mut dyn FnMut(Inline) -> Vec<Inline>) -> Vec<Block> {
    blocks
        .into_iter()
        .map(|block| match block {
            Block::Paragraph(content) => Block::Paragraph(map_inlines(content, change)),
            Block::Heading { level, content } => Block::Heading { level, content: map_inlines(content, change) },
            Block::Quote(inner) => Block::Quote(map_blocks(inner, change)),
            Block::List { start, items } => {
                Block::List { start, items: items.into_iter().map(|item| map_blocks(item, change)).collect() }
            }
            other => other,
        })
        .collect()
}

fn normal_blocks(blocks: Vec<Block>, depth: usize) -> Vec<Block> {
    if depth >= DEPTH_BOUND {
        let mut text = String::new();
        plain_blocks(&blocks, &mut text);
        let content = normal_inlines(lines(&text), 0);
        return if content.is_empty() { Vec::new() } else { vec![Block::Paragraph(content)] };
    }
    blocks
        .into_iter()
        .filter_map(|block| match block {
            Block::Paragraph(content) => some_inlines(content).map(Block::Paragraph),
            Block::Heading { level, content } => {
                some_inlines(content).map(|content| Block::Heading { level: level.clamp(1, 6), content })
            }
            Block::Quote(inner) => {
                let inner = normal_blocks(inner, depth + 1);
                (!inner.is_empty()).then_some(Block::Quote(inner))
            }
            Block::List { start, items } => {
                let items: Vec<_> = items
                    .into_iter()
                    .map(|item| normal_blocks(item, depth + 1))
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
        })
        .collect()
}

fn some_inlines(content: Vec<Inline>) -> Option<Vec<Inline>> {
    let content = normal_inlines(content, 0);
    (!content.is_empty()).then_some(content)
}

fn normal_inlines(content: Vec<Inline>, depth: usize) -> Vec<Inline> {
    let mut out = joined(content, depth);
    while matches!(out.last(), Some(Inline::Break)) {
        out.pop();
    }
    let leading = out.iter().take_while(|inline| matches!(inline, Inline::Break)).count();
    out.drain(..leading);
    out
}

fn joined(content: Vec<Inline>, depth: usize) -> Vec<Inline> {
    if depth >= DEPTH_BOUND {
        return joined(lines(&inline_text(&content)), 0);
    }
    let mut out: Vec<Inline> = Vec::with_capacity(content.len());
    for inline in content {
        match inline {
            Inline::Text(text) => {
                for part in lines(&text) {
                    push_text(&mut out, part);
                }
            }
            Inline::Code(text) if text.is_empty() => {}
            other => {
                let styled = !children(&other).is_empty() || is_container(&other);
                let inner = rebuild(other, &mut |content| joined(content, depth + 1));
                let empty = styled && children(&inner).is_empty() && !matches!(inner, Inline::Link { .. });
                if !empty {
                    push_styled(&mut out, inner);
                }
            }
        }
    }
    out
}

fn is_container(inline: &Inline) -> bool {
    matches!(
        inline,
        Inline::Strong(_)
            | Inline::Emphasis(_)
            | Inline::Underline(_)
            | Inline::Strike(_)
            | Inline::Colour { .. }
            | Inline::Spoiler { .. }
    )
}

fn push_text(out: &mut Vec<Inline>, inline: Inline) {
    match (out.last_mut(), inline) {
        (Some(Inline::Text(before)), Inline::Text(text)) => before.push_str(&text),
        (_, inline) => out.push(inline),
    }
}

/// Joins a styled run with an equally styled neighbour.
fn push_styled(out: &mut Vec<Inline>, inline: Inline) {
    let same = match (out.last_mut(), &inline) {
        (Some(Inline::Strong(before)), Inline::Strong(content))
        | (Some(Inline::Emphasis(before)), Inline::Emphasis(content))
        | (Some(Inline::Underline(before)), Inline::Underline(content))
        | (Some(Inline::Strike(before)), Inline::Strike(content)) => {
            let both = std::mem::take(before).into_iter().chain(content.iter().cloned()).collect();
            *before = joined(both, 1);
            true
        }
        _ => false,
    };
    if !same {
        out.push(inline);
    }
}

/// Splits a text into pieces of at most `bytes` bytes: at line ends if possible, else after white space, else between
/// graphemes, and between characters only where one grapheme alone is too long. Joined, the pieces are the text, except that
/// the one line feed or space at each cut is dropped.
pub fn split_text(text: &str, bytes: usize) -> Vec<&str> {
    let bytes = bytes.max(4);
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > bytes {
        let cut = cut_at(rest, bytes);
        let (piece, tail) = rest.split_at(cut);
        pieces.push(piece.strip_suffix(['\n', ' ']).unwrap_or(piece));
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

/// The largest good border at or below `bytes`, never zero.
fn cut_at(text: &str, bytes: usize) -> usize {
    let mut window = bytes;
    while !text.is_char_boundary(window) {
        window -= 1;
    }
    let (head, tail) = text.split_at(window);
    if let Some(at) = head.rfind('\n').filter(|at| *at > 0) {
        return at + 1;
    }
    if tail.starts_with(['\n', ' ']) {
        // The separator itself still has to fit in front of the cut, so look for an earlier one.
        if let Some(at) = head.rfind(' ').filter(|at| *at >= window / 2) {
            return at + 1;
        }
    } else if let Some(at) = head.rfind(' ').filter(|at| *at >= window / 2) {
        return at + 1;
    }
    let border = text
        .grapheme_indices(true)
        .map(|(at, _)| at)
        .take_while(|at| *at <= window)
        .last()
        .filter(|at| *at > 0);
    border.unwrap_or(window)
}
