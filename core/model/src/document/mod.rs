//! Rich text as one tree for all networks.
//!
//! Every network has a parser into this tree and a renderer out of it; both are total. The tree holds text as data: nothing
//! in a [`Inline::Text`] is ever markup. [`Document::normal`] gives the one form in which two trees that look alike to a
//! reader are equal.

//!
//! | part | reason |
//! |---|---|
//! | this file | the tree and the walks over it |
//! | `plain` | the text a reader without formatting sees |
//! | `normal` | the one form of trees that look alike |
//! | `split` | cutting a long text into pieces |

mod normal;
mod plain;
mod split;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::ids::{NetworkName, PersonId, Place};

pub use plain::inline_text;
pub use split::split_text;

/// How deep blocks may nest, and within a block, inlines. Parsers flatten what lies deeper, so that no walk over a tree can
/// exhaust the stack and every tree stays within the 128 levels that JSON readers allow: a list costs four of them, a
/// coloured run three.
pub const DEPTH_BOUND: usize = 16;

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

impl Block {
    /// The block as something done rather than said: a paragraph is emphasized, anything else stays as it is.
    #[must_use]
    pub fn slanted(self) -> Self {
        match self {
            Self::Paragraph(content) => Self::Paragraph(vec![Inline::Emphasis(content)]),
            other => other,
        }
    }
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
    let Some((scheme, _)) = url.split_once(':') else {
        return false;
    };
    !url.contains(char::is_control)
        && [
            "http", "https", "mailto", "xmpp", "irc", "ircs", "matrix", "tel", "ftp", "ftps", "sip", "sips",
        ]
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
            .map(|paragraph| Block::Paragraph(plain::lines(paragraph)))
            .collect();
        Self { blocks }
    }

    /// One paragraph of these inlines.
    pub fn paragraph(content: Vec<Inline>) -> Self {
        Self {
            blocks: vec![Block::Paragraph(content)],
        }
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.to_plain().trim().is_empty()
    }

    /// The text without its markup, as one would read it aloud or send it to a network without formatting. Links show
    /// their address unless it is their text; quotes are marked with `> `, list items with `- ` or their number.
    pub fn to_plain(&self) -> String {
        let mut out = String::new();
        plain::blocks(&self.blocks, &mut out);
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
        Self {
            blocks: map_blocks(self.blocks, change),
        }
    }

    /// The form in which trees that look alike are equal: neighbouring texts and equally styled runs joined, empty parts
    /// dropped, line feeds in texts made breaks, breaks at the edges of a block dropped, the same style never directly
    /// within itself, nothing deeper than [`DEPTH_BOUND`]. What lies deeper becomes plain text; no text is lost.
    #[must_use]
    pub fn normal(self) -> Self {
        Self {
            blocks: normal::blocks(self.blocks, 0),
        }
    }
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
        Inline::Colour {
            foreground,
            background,
            content,
        } => Inline::Colour {
            foreground,
            background,
            content: change(content),
        },
        Inline::Link { url, content } => Inline::Link {
            url,
            content: change(content),
        },
        Inline::Spoiler { reason, content } => Inline::Spoiler {
            reason,
            content: change(content),
        },
        leaf => leaf,
    }
}

fn map_blocks(blocks: Vec<Block>, change: &mut dyn FnMut(Inline) -> Vec<Inline>) -> Vec<Block> {
    blocks
        .into_iter()
        .map(|block| match block {
            Block::Paragraph(content) => Block::Paragraph(map_inlines(content, change)),
            Block::Heading { level, content } => Block::Heading {
                level,
                content: map_inlines(content, change),
            },
            Block::Quote(inner) => Block::Quote(map_blocks(inner, change)),
            Block::List { start, items } => Block::List {
                start,
                items: items.into_iter().map(|item| map_blocks(item, change)).collect(),
            },
            other => other,
        })
        .collect()
}
