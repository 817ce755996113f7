//! Rich text → the XML that bots may send, or the HTML of people, and who is addressed in it.

use serde_json::{Value, json};
use viaduct_model::document::{Block, Inline, MentionTarget, is_safe_link};
use viaduct_model::{Document, NetworkName};

use crate::config::is_guid;

/// What has to be known of a tenant for it.
pub trait World {
    /// The network's name.
    fn network(&self) -> &NetworkName;
    /// The id under which the bot may address somebody.
    fn address(&self, person: &str) -> Option<String>;
}

/// A text for an activity, or for a message of Graph's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rendered {
    /// The XML or HTML.
    pub text: String,
    /// Who is addressed, as an activity's `entities` or a message's `mentions`.
    pub entities: Vec<Value>,
}

/// For whom is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The connector, by the bot.
    Bot,
    /// Graph, by a person.
    Person,
}

/// Text that is nothing but text. Controls, which XML cannot hold, are left out; spaces that HTML would swallow are kept.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut space = true;
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("<br>"),
            ' ' | '\t' if space => out.push_str("&nbsp;"),
            ' ' | '\t' => out.push(' '),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
        space = matches!(letter, ' ' | '\t' | '\n');
    }
    if out.ends_with(' ') {
        out.pop();
        out.push_str("&nbsp;");
    }
    out
}

/// Renders a document.
pub fn render(document: &Document, dialect: Dialect, world: &dyn World) -> Rendered {
    let mut writer = Writer {
        world,
        dialect,
        out: Rendered::default(),
    };
    writer.blocks(&document.blocks);
    writer.out
}

struct Writer<'a> {
    world: &'a dyn World,
    dialect: Dialect,
    out: Rendered,
}

impl Writer<'_> {
    fn raw(&mut self, text: &str) {
        self.out.text.push_str(text);
    }

    fn within(&mut self, tag: &str, content: &[Inline]) {
        self.raw(&format!("<{tag}>"));
        self.inlines(content);
        self.raw(&format!("</{tag}>"));
    }

    fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::Paragraph(content) => self.within("p", content),
                Block::Heading { level, content } => self.within(&format!("h{}", (*level).clamp(1, 3)), content),
                Block::Quote(inner) => {
                    self.raw("<blockquote>");
                    self.blocks(inner);
                    self.raw("</blockquote>");
                }
                Block::Code { text, .. } => {
                    // A line feed at the beginning would be swallowed.
                    let text: String = escape_code(text);
                    self.raw(&format!("<pre>{text}</pre>"));
                }
                Block::Rule => self.raw("<hr>"),
                Block::List { start, items } => {
                    let tag = if start.is_some() { "ol" } else { "ul" };
                    match start.filter(|start| *start != 1) {
                        Some(start) => self.raw(&format!("<ol start=\"{start}\">")),
                        None => self.raw(&format!("<{tag}>")),
                    }
                    for item in items {
                        self.raw("<li>");
                        match item.as_slice() {
                            [Block::Paragraph(content)] => self.inlines(content),
                            blocks => self.blocks(blocks),
                        }
                        self.raw("</li>");
                    }
                    self.raw(&format!("</{tag}>"));
                }
            }
        }
    }

    fn inlines(&mut self, content: &[Inline]) {
        for inline in content {
            match inline {
                Inline::Text(text) => self.raw(&escape(text)),
                Inline::Strong(content) => self.within("b", content),
                Inline::Emphasis(content) => self.within("i", content),
                Inline::Underline(content) => self.within("u", content),
                Inline::Strike(content) => self.within("s", content),
                Inline::Colour { content, .. } => self.inlines(content),
                Inline::Code(text) => self.raw(&format!("<code>{}</code>", escape(text))),
                Inline::Link { url, content } => self.link(url, content),
                Inline::Mention(mention) => {
                    let known = match &mention.target {
                        MentionTarget::Person { network, id } if network == self.world.network() => {
                            self.address(id.as_str())
                        }
                        _ => None,
                    };
                    self.mention(&mention.label, known);
                }
                Inline::Channel { label, .. } => self.raw(&escape(label)),
                Inline::Emoji { code, .. } => self.raw(&escape(&format!(":{code}:"))),
                Inline::Spoiler { reason, content } => {
                    self.raw("<i>[");
                    self.raw(&escape(reason.as_deref().unwrap_or("Spoiler")));
                    self.raw("]</i> ");
                    self.inlines(content);
                }
                Inline::Break => self.raw("<br>"),
            }
        }
    }

    fn link(&mut self, url: &str, content: &[Inline]) {
        let safe = is_safe_link(url);
        if safe {
            self.raw(&format!(
                "<a href=\"{}\">",
                escape(url).replace("&nbsp;", "%20").replace(' ', "%20")
            ));
        }
        if content.is_empty() {
            self.raw(&escape(url));
        } else {
            self.inlines(content);
        }
        if safe {
            self.raw("</a>");
        }
    }

    /// The id under which somebody is addressed.
    fn address(&self, person: &str) -> Option<String> {
        match self.dialect {
            Dialect::Bot => self.world.address(person),
            Dialect::Person => Some(person.to_owned()).filter(|id| is_guid(id)),
        }
    }

    /// Addresses somebody; the text of the entity is the same as that in the body.
    fn mention(&mut self, label: &str, id: Option<String>) {
        let name = label.trim_start_matches('@').trim();
        match id.filter(|_| !name.is_empty()) {
            Some(id) if self.dialect == Dialect::Person => {
                let number = self.out.entities.len();
                self.raw(&format!("<at id=\"{number}\">{}</at>", escape(name)));
                self.out.entities.push(json!({
                    "id": number, "mentionText": name,
                    "mentioned": {"user": {"id": id, "displayName": name, "userIdentityType": "aadUser"}},
                }));
            }
            Some(id) => {
                let text = format!("<at>{}</at>", escape(name));
                self.raw(&text);
                self.out.entities.push(json!({
                    "type": "mention", "text": text, "mentioned": {"id": id, "name": name},
                }));
            }
            None => self.raw(&escape(label)),
        }
    }
}

/// Text in a preformatted block: its line feeds and spaces stay as they are.
fn escape_code(text: &str) -> String {
    let kept = |letter: &char| *letter == '\n' || *letter == '\t' || !letter.is_control();
    let text: String = text.chars().filter(kept).collect();
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if text.starts_with('\n') {
        format!("\n{text}")
    } else {
        text
    }
}
