//! Styled bodies written.

use viaduct_model::document::{Block, Document, Inline, inline_text, is_safe_link};

use super::{DIRECTIVES, FENCE, GUARD};

/// A body, and whether it is to be read without styling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub body: String,
    /// Whether styling has to be switched off for it.
    pub unstyled: bool,
}

/// Writes a document as a body. The document is brought to its normal form first.
pub fn render(document: &Document) -> Rendered {
    let document = document.clone().normal();
    if !needs_styling(&document) {
        let body = document.to_plain();
        // Clients differ in what they take for styling: anything that could be is marked.
        let unstyled = body.contains(DIRECTIVES) || body.split('\n').any(|line| line.starts_with('>'));
        return Rendered { body, unstyled };
    }
    let mut body = String::new();
    write_blocks(&document.blocks, &mut body);
    Rendered { body, unstyled: false }
}

fn needs_styling(document: &Document) -> bool {
    let blocks = document.blocks.iter().any(|block| {
        matches!(
            block,
            Block::Quote(_) | Block::Code { .. } | Block::Heading { .. } | Block::List { .. }
        )
    });
    blocks || has_inline_styles(document)
}

fn has_inline_styles(document: &Document) -> bool {
    let mut found = false;
    document.each_inline(&mut |inline| {
        found |= matches!(
            inline,
            Inline::Strong(_) | Inline::Emphasis(_) | Inline::Strike(_) | Inline::Code(_)
        );
    });
    found
}

fn write_blocks(blocks: &[Block], out: &mut String) {
    for (number, block) in blocks.iter().enumerate() {
        if number > 0 {
            out.push_str("\n\n");
        }
        match block {
            Block::Paragraph(content) => write_lines(content, out),
            Block::Heading { content, .. } => write_lines(&[Inline::Strong(content.clone())], out),
            Block::Rule => out.push_str("---"),
            Block::Quote(inner) => {
                let mut text = String::new();
                write_blocks(inner, &mut text);
                indent(&text, "> ", "> ", out);
            }
            Block::Code { language, text } => write_code(language.as_deref(), text, out),
            Block::List { start, items } => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push('\n');
                    }
                    let bullet = match start {
                        Some(first) => format!("{}. ", first.saturating_add(index as u64)),
                        None => "- ".to_owned(),
                    };
                    let mut text = String::new();
                    write_blocks(item, &mut text);
                    indent(&text, &bullet, &" ".repeat(bullet.len()), out);
                }
            }
        }
    }
}

fn indent(text: &str, first: &str, others: &str, out: &mut String) {
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        out.push_str(if number == 0 { first } else { others });
        out.push_str(line);
    }
}

fn write_code(language: Option<&str>, text: &str, out: &mut String) {
    out.push_str(FENCE);
    out.extend(
        language
            .unwrap_or_default()
            .chars()
            .filter(|character| !character.is_control() && *character != '`'),
    );
    for line in text.split('\n') {
        out.push('\n');
        if line.starts_with(FENCE) {
            out.push(GUARD);
        }
        out.push_str(line);
    }
    out.push('\n');
    out.push_str(FENCE);
}

fn write_lines(content: &[Inline], out: &mut String) {
    let mut text = String::new();
    let mut writer = Writer {
        out: &mut text,
        can_open: true,
    };
    writer.inlines(content, &[]);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        if line.starts_with('>') || line.starts_with(FENCE) {
            out.push(GUARD);
        }
        out.push_str(line);
    }
}

struct Writer<'a> {
    out: &'a mut String,
    /// Whether a directive written now would open a span.
    can_open: bool,
}

impl Writer<'_> {
    fn inlines(&mut self, content: &[Inline], open: &[char]) {
        for inline in content {
            match inline {
                Inline::Strong(inner) => self.span('*', inner, open),
                Inline::Emphasis(inner) => self.span('_', inner, open),
                Inline::Strike(inner) => self.span('~', inner, open),
                Inline::Code(text) => self.code(text, open),
                Inline::Text(text) => self.text(text),
                Inline::Break => self.text("\n"),
                Inline::Mention(mention) => self.text(&mention.label),
                Inline::Channel { label, .. } => self.text(label),
                Inline::Emoji { code, .. } => self.text(&format!(":{code}:")),
                Inline::Underline(inner)
                | Inline::Colour { content: inner, .. }
                | Inline::Spoiler { content: inner, .. } => {
                    self.inlines(inner, open);
                }
                Inline::Link { url, content } => self.link(url, content, open),
            }
        }
    }

    fn link(&mut self, url: &str, content: &[Inline], open: &[char]) {
        let label = inline_text(content);
        if label.is_empty() {
            self.text(url);
            return;
        }
        self.inlines(content, open);
        if label != url && format!("mailto:{label}") != url && is_safe_link(url) {
            self.text(&format!(" <{url}>"));
        }
    }

    /// Writes a span with its directives if it can be read back, else its content only.
    fn span(&mut self, directive: char, content: &[Inline], open: &[char]) {
        let text = inline_text(content);
        let fits = self.can_open
            && !open.contains(&directive)
            && fits_between(&text, directive)
            && !open.iter().any(|outer| text.contains(*outer))
            && !content.iter().any(|inline| matches!(inline, Inline::Link { .. }));
        if !fits {
            self.inlines(content, open);
            return;
        }
        let mut inner: Vec<char> = open.to_vec();
        inner.push(directive);
        self.out.push(directive);
        self.can_open = true;
        self.inlines(content, &inner);
        self.out.push(directive);
        self.can_open = false;
    }

    fn code(&mut self, text: &str, open: &[char]) {
        let fits = self.can_open && fits_between(text, '`') && !open.iter().any(|outer| text.contains(*outer));
        if !fits {
            self.text(text);
            return;
        }
        self.out.push('`');
        self.out.push_str(text);
        self.out.push('`');
        self.can_open = false;
    }

    fn text(&mut self, text: &str) {
        for character in text.chars() {
            if self.can_open && DIRECTIVES.contains(&character) {
                self.out.push(GUARD);
            }
            self.out.push(character);
            self.can_open = character.is_whitespace();
        }
    }
}

fn fits_between(text: &str, directive: char) -> bool {
    !text.is_empty()
        && !text.contains([directive, '\n', GUARD])
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
}
