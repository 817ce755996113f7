//! [`Document`] → `formatted_body`.
//!
//! Only tags and attributes that the Matrix specification allows are written; every text and attribute is escaped.

use std::fmt::Write;

use viaduct_model::document::{DEPTH_BOUND, Mention, MentionTarget, Rgb, inline_text, is_safe_link};
use viaduct_model::{Block, Document, Inline, NetworkName, PersonId};

use super::link_to;

/// How deep the written HTML may nest, counting blocks and inlines.
const NESTING_BOUND: usize = 3 * DEPTH_BOUND;

/// Finds the Matrix user id of a person that is addressed.
pub(crate) trait Users {
    /// The user id: a Matrix person's own, or a ghost's.
    fn user(&self, network: &NetworkName, id: &PersonId) -> Option<String>;
}

/// Whether a document says more than its plain text does.
pub(crate) fn is_formatted(document: &Document) -> bool {
    let simple = |content: &[Inline]| {
        content
            .iter()
            .all(|inline| matches!(inline, Inline::Text(_) | Inline::Break))
    };
    !document
        .blocks
        .iter()
        .all(|block| matches!(block, Block::Paragraph(content) if simple(content)))
}

/// Writes HTML.
pub(crate) fn render(document: &Document, users: &dyn Users) -> String {
    let mut writer = Writer {
        out: String::new(),
        users,
    };
    match document.blocks.as_slice() {
        [Block::Paragraph(content)] => writer.inlines(content, 0),
        blocks => writer.blocks(blocks, 0),
    }
    writer.out
}

struct Writer<'a> {
    out: String,
    users: &'a dyn Users,
}

impl Writer<'_> {
    fn blocks(&mut self, blocks: &[Block], depth: usize) {
        for block in blocks {
            self.block(block, depth);
        }
    }

    fn block(&mut self, block: &Block, depth: usize) {
        if depth > NESTING_BOUND {
            let text = Document {
                blocks: vec![block.clone()],
            }
            .to_plain();
            self.text(&text);
            return;
        }
        match block {
            Block::Paragraph(content) => self.wrapped("p", content, depth),
            Block::Heading { level, content } => {
                let tag = ["h1", "h2", "h3", "h4", "h5", "h6"].get(usize::from(level.saturating_sub(1)));
                self.wrapped(tag.copied().unwrap_or("h6"), content, depth);
            }
            Block::Quote(inner) => {
                self.out.push_str("<blockquote>");
                self.blocks(inner, depth + 1);
                self.out.push_str("</blockquote>");
            }
            Block::Code { language, text } => self.code(language.as_deref(), text),
            Block::Rule => self.out.push_str("<hr>"),
            Block::List { start, items } => self.list(*start, items, depth),
        }
    }

    fn list(&mut self, start: Option<u64>, items: &[Vec<Block>], depth: usize) {
        match start {
            None => self.out.push_str("<ul>"),
            Some(1) => self.out.push_str("<ol>"),
            Some(start) => self.write(format_args!("<ol start=\"{start}\">")),
        }
        for item in items {
            self.out.push_str("<li>");
            match item.as_slice() {
                [Block::Paragraph(content)] => self.inlines(content, depth + 1),
                [Block::Paragraph(content), Block::List { start, items }] => {
                    self.inlines(content, depth + 1);
                    self.list(*start, items, depth + 1);
                }
                blocks => self.blocks(blocks, depth + 1),
            }
            self.out.push_str("</li>");
        }
        self.out.push_str(if start.is_some() { "</ol>" } else { "</ul>" });
    }

    fn code(&mut self, language: Option<&str>, text: &str) {
        self.out.push_str("<pre><code");
        let language = language.filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-_#.".contains(&b)));
        if let Some(language) = language {
            self.write(format_args!(" class=\"language-{language}\""));
        }
        self.out.push('>');
        self.raw(text);
        self.out.push_str("</code></pre>");
    }

    fn wrapped(&mut self, tag: &str, content: &[Inline], depth: usize) {
        self.write(format_args!("<{tag}>"));
        self.inlines(content, depth + 1);
        self.write(format_args!("</{tag}>"));
    }

    fn inlines(&mut self, content: &[Inline], depth: usize) {
        if depth > NESTING_BOUND {
            self.text(&inline_text(content));
            return;
        }
        for inline in content {
            self.inline(inline, depth);
        }
    }

    fn inline(&mut self, inline: &Inline, depth: usize) {
        match inline {
            Inline::Text(text) => self.text(text),
            Inline::Strong(content) => self.wrapped("strong", content, depth),
            Inline::Emphasis(content) => self.wrapped("em", content, depth),
            Inline::Underline(content) => self.wrapped("u", content, depth),
            Inline::Strike(content) => self.wrapped("del", content, depth),
            Inline::Code(text) => {
                self.out.push_str("<code>");
                self.raw(text);
                self.out.push_str("</code>");
            }
            Inline::Break => self.out.push_str("<br>"),
            Inline::Colour {
                foreground,
                background,
                content,
            } => {
                self.out.push_str("<span");
                self.colour("data-mx-color", *foreground);
                self.colour("data-mx-bg-color", *background);
                self.out.push('>');
                self.inlines(content, depth + 1);
                self.out.push_str("</span>");
            }
            Inline::Spoiler { reason, content } => {
                self.out.push_str("<span data-mx-spoiler=\"");
                self.raw(reason.as_deref().unwrap_or_default());
                self.out.push_str("\">");
                self.inlines(content, depth + 1);
                self.out.push_str("</span>");
            }
            Inline::Link { url, content } => self.link(url, content, depth),
            Inline::Mention(mention) => self.mention(mention),
            Inline::Channel { place, label } if place.network.is_matrix() => {
                self.anchor(&link_to(place.channel.as_str()), label);
            }
            Inline::Channel { label, .. } => self.text(label),
            Inline::Emoji { code, image } => match image {
                Some(image) if image.network.is_matrix() && image.locator.starts_with("mxc://") => {
                    self.out.push_str("<img data-mx-emoticon height=\"32\" src=\"");
                    self.raw(&image.locator);
                    self.out.push_str("\" alt=\":");
                    self.raw(code);
                    self.out.push_str(":\">");
                }
                _ => self.text(&format!(":{code}:")),
            },
        }
    }

    fn link(&mut self, url: &str, content: &[Inline], depth: usize) {
        if !is_safe_link(url) {
            self.inlines(content, depth + 1);
            return;
        }
        self.out.push_str("<a href=\"");
        self.raw(url);
        self.out.push_str("\">");
        if content.is_empty() {
            self.text(url);
        } else {
            self.inlines(content, depth + 1);
        }
        self.out.push_str("</a>");
    }

    fn mention(&mut self, mention: &Mention) {
        let user = match &mention.target {
            MentionTarget::Person { network, id } => self.users.user(network, id),
            MentionTarget::Everyone | MentionTarget::Group(_) => None,
        };
        match user {
            Some(user) => self.anchor(&link_to(&user), &mention.label),
            None => self.text(&mention.label),
        }
    }

    fn anchor(&mut self, url: &str, label: &str) {
        self.out.push_str("<a href=\"");
        self.raw(url);
        self.out.push_str("\">");
        self.text(label);
        self.out.push_str("</a>");
    }

    fn colour(&mut self, attribute: &str, colour: Option<Rgb>) {
        if let Some(Rgb(red, green, blue)) = colour {
            self.write(format_args!(" {attribute}=\"#{red:02x}{green:02x}{blue:02x}\""));
        }
    }

    /// Escaped text in which a line feed is a line break.
    fn text(&mut self, text: &str) {
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                self.out.push_str("<br>");
            }
            self.raw(line);
        }
    }

    /// Escaped text.
    fn raw(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['<', '>', '&', '"', '\'', '\r', '\0']) {
            let (before, tail) = rest.split_at(at);
            self.out.push_str(before);
            let mut chars = tail.chars();
            self.out.push_str(match chars.next() {
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('&') => "&amp;",
                Some('"') => "&quot;",
                Some('\'') => "&#39;",
                Some('\r') => " ",
                // HTML has no way to say NUL.
                _ => "\u{fffd}",
            });
            rest = chars.as_str();
        }
        self.out.push_str(rest);
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        self.out.write_fmt(arguments).ok();
    }
}
