//! Block Kit → document. Total: what is not known says at least its text.

use serde::Deserialize;
use viaduct_model::document::{Block, Inline};

use super::mrkdwn::{Reader, blocks as markup, everyone};
use crate::client::loose::{self, Loose};

/// How many parts of one message are read.
const PARTS: usize = 4_000;
/// How deep list items nest.
const DEPTH: u64 = 8;

/// A block, or a part of one: all that any of them has that can be shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Part {
    #[serde(rename = "type", deserialize_with = "loose::text_or_empty")]
    kind: String,
    text: Text,
    #[serde(deserialize_with = "loose::list")]
    elements: Vec<Part>,
    #[serde(deserialize_with = "loose::list")]
    fields: Vec<Part>,
    title: Text,
    style: Style,
    #[serde(deserialize_with = "loose::text_or_empty")]
    user_id: String,
    #[serde(deserialize_with = "loose::text_or_empty")]
    channel_id: String,
    #[serde(deserialize_with = "loose::text_or_empty")]
    usergroup_id: String,
    #[serde(deserialize_with = "loose::text_or_empty")]
    url: String,
    #[serde(deserialize_with = "loose::text_or_empty")]
    name: String,
    #[serde(deserialize_with = "loose::text")]
    unicode: Option<String>,
    #[serde(deserialize_with = "loose::number")]
    skin_tone: Option<u64>,
    #[serde(deserialize_with = "loose::text_or_empty")]
    range: String,
    #[serde(deserialize_with = "loose::text_or_empty")]
    fallback: String,
    #[serde(deserialize_with = "loose::text_or_empty")]
    value: String,
    #[serde(deserialize_with = "loose::text")]
    language: Option<String>,
    #[serde(deserialize_with = "loose::number")]
    indent: Option<u64>,
    #[serde(deserialize_with = "loose::number")]
    offset: Option<u64>,
    #[serde(deserialize_with = "loose::text_or_empty")]
    alt_text: String,
    #[serde(deserialize_with = "loose::text_or_empty")]
    image_url: String,
}

/// A text that stands for itself, or a text object.
#[derive(Debug, Default)]
struct Text {
    text: String,
    markup: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TextObject {
    #[serde(rename = "type", deserialize_with = "loose::text_or_empty")]
    kind: String,
    #[serde(deserialize_with = "loose::text_or_empty")]
    text: String,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Loose::<TextObject>::deserialize(deserializer)? {
            Loose::Text(text) => Self { text, markup: false },
            Loose::Object(object) => Self {
                markup: object.kind == "mrkdwn",
                text: object.text,
            },
            Loose::Other => Self::default(),
        })
    }
}

/// The style of a run, or of a list.
#[derive(Debug, Default)]
struct Style {
    flags: Flags,
    list: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a style of its own")]
struct Flags {
    #[serde(deserialize_with = "loose::truth")]
    bold: bool,
    #[serde(deserialize_with = "loose::truth")]
    italic: bool,
    #[serde(deserialize_with = "loose::truth")]
    strike: bool,
    #[serde(deserialize_with = "loose::truth")]
    code: bool,
    #[serde(deserialize_with = "loose::truth")]
    underline: bool,
}

impl<'de> Deserialize<'de> for Style {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Loose::<Flags>::deserialize(deserializer)? {
            Loose::Text(list) => Self {
                list,
                flags: Flags::default(),
            },
            Loose::Object(flags) => Self {
                flags,
                list: String::new(),
            },
            Loose::Other => Self::default(),
        })
    }
}

/// What a message's blocks say; nothing where they say nothing that can be shown.
pub fn blocks(json: &str, reader: &mut Reader<'_>) -> Vec<Block> {
    let Ok(Parts(parts)) = serde_json::from_str::<Parts>(json) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for part in parts.iter().take(PARTS) {
        block(part, reader, &mut out);
    }
    out
}

/// A list of blocks.
#[derive(Debug, Deserialize)]
struct Parts(#[serde(deserialize_with = "loose::list")] Vec<Part>);

fn block(part: &Part, reader: &mut Reader<'_>, out: &mut Vec<Block>) {
    match part.kind.as_str() {
        "rich_text" => rich_text(&part.elements, reader, out),
        "header" => out.push(Block::Heading {
            level: 3,
            content: text_inlines(&part.text, reader),
        }),
        "divider" => out.push(Block::Rule),
        "section" => {
            text_blocks(&part.text, reader, out);
            for field in &part.fields {
                out.extend(field_blocks(field, reader));
            }
        }
        "markdown" => out.extend(viaduct_model::Document::plain(&part.text.text).blocks),
        "context" | "context_actions" | "actions" => {
            let mut content = Vec::new();
            for element in &part.elements {
                let inlines = match element.kind.as_str() {
                    "image" => vec![Inline::Text(element.alt_text.clone())],
                    "mrkdwn" => reader.inlines(&element.text.text),
                    "button" if !element.url.is_empty() => vec![Inline::Link {
                        url: element.url.clone(),
                        content: vec![Inline::Text(element.text.text.clone())],
                    }],
                    _ => vec![Inline::Text(element.text.text.clone())],
                };
                if !inlines.is_empty() && !content.is_empty() {
                    content.push(Inline::Text(" ".to_owned()));
                }
                content.extend(inlines);
            }
            out.push(Block::Paragraph(content));
        }
        "image" | "video" => {
            let title = if part.title.text.is_empty() {
                &part.alt_text
            } else {
                &part.title.text
            };
            let url = if part.image_url.is_empty() {
                &part.url
            } else {
                &part.image_url
            };
            let text = vec![Inline::Text(title.clone())];
            out.push(Block::Paragraph(if url.is_empty() {
                text
            } else {
                vec![Inline::Link {
                    url: url.clone(),
                    content: text,
                }]
            }));
        }
        // Whatever else there is: its text, and what is in it.
        _ => {
            text_blocks(&part.text, reader, out);
            for element in &part.elements {
                text_blocks(&element.text, reader, out);
            }
        }
    }
}

fn field_blocks(field: &Part, reader: &mut Reader<'_>) -> Vec<Block> {
    if field.kind == "mrkdwn" {
        markup(&field.text.text, reader)
    } else {
        viaduct_model::Document::plain(&field.text.text).blocks
    }
}

fn text_blocks(text: &Text, reader: &mut Reader<'_>, out: &mut Vec<Block>) {
    if text.markup {
        out.extend(markup(&text.text, reader));
    } else {
        out.extend(viaduct_model::Document::plain(&text.text).blocks);
    }
}

fn text_inlines(text: &Text, reader: &mut Reader<'_>) -> Vec<Inline> {
    if text.markup {
        reader.inlines(&text.text)
    } else {
        vec![Inline::Text(text.text.clone())]
    }
}

/// One list element with how deep it lies.
struct Item {
    depth: u64,
    start: Option<u64>,
    content: Vec<Inline>,
}

fn rich_text(elements: &[Part], reader: &mut Reader<'_>, out: &mut Vec<Block>) {
    let mut items: Vec<Item> = Vec::new();
    for element in elements.iter().take(PARTS) {
        if element.kind == "rich_text_list" {
            let start = (element.style.list == "ordered").then(|| element.offset.unwrap_or(0).saturating_add(1));
            for (number, item) in element.elements.iter().enumerate() {
                items.push(Item {
                    depth: element.indent.unwrap_or(0).min(DEPTH),
                    start: start.map(|start| start.saturating_add(number as u64)),
                    content: inlines(&item.elements, reader),
                });
            }
            continue;
        }
        lists(&mut items, out);
        match element.kind.as_str() {
            "rich_text_preformatted" => {
                let content = inlines(&element.elements, reader);
                out.push(Block::Code {
                    language: element.language.clone(),
                    text: viaduct_model::document::inline_text(&content),
                });
            }
            "rich_text_quote" => {
                let inner = paragraphs(inlines(&element.elements, reader));
                out.push(Block::Quote(inner));
            }
            _ => out.extend(paragraphs(inlines(&element.elements, reader))),
        }
    }
    lists(&mut items, out);
}

/// Builds the lists that the items form.
fn lists(items: &mut Vec<Item>, out: &mut Vec<Block>) {
    let mut rest = std::mem::take(items).into_iter().peekable();
    while let Some(first) = rest.peek() {
        let depth = first.depth;
        out.push(list(depth, &mut rest));
    }
}

fn list(depth: u64, rest: &mut std::iter::Peekable<std::vec::IntoIter<Item>>) -> Block {
    let mut built: Vec<Vec<Block>> = Vec::new();
    let start = rest.peek().and_then(|item| item.start);
    while let Some(next) = rest.peek() {
        if next.depth < depth || (next.depth == depth && next.start.is_some() != start.is_some()) {
            break;
        }
        if next.depth > depth {
            let deeper = next.depth;
            let inner = list(deeper, rest);
            match built.last_mut() {
                Some(item) => item.push(inner),
                None => built.push(vec![inner]),
            }
        } else if let Some(item) = rest.next() {
            built.push(paragraphs(item.content));
        }
    }
    Block::List { start, items: built }
}

/// Inlines with an empty line between them where there was one.
fn paragraphs(content: Vec<Inline>) -> Vec<Block> {
    let mut out = Vec::new();
    let mut current: Vec<Inline> = Vec::new();
    for inline in content {
        if matches!(inline, Inline::Break) && matches!(current.last(), Some(Inline::Break)) {
            current.pop();
            if !current.is_empty() {
                out.push(Block::Paragraph(std::mem::take(&mut current)));
            }
        } else {
            current.push(inline);
        }
    }
    if !current.is_empty() {
        out.push(Block::Paragraph(current));
    }
    out
}

fn inlines(elements: &[Part], reader: &mut Reader<'_>) -> Vec<Inline> {
    let mut out = Vec::new();
    for element in elements.iter().take(PARTS) {
        match element.kind.as_str() {
            "text" => styled_text(&element.text.text, &element.style.flags, &mut out),
            kind => out.push(styled(leaf(kind, element, reader), &element.style.flags)),
        }
    }
    out
}

fn leaf(kind: &str, element: &Part, reader: &mut Reader<'_>) -> Inline {
    match kind {
        "link" => Inline::Link {
            url: element.url.clone(),
            content: Some(&element.text.text)
                .filter(|text| !text.is_empty() && **text != element.url)
                .map(|text| Inline::Text(text.replace('\n', " ")))
                .into_iter()
                .collect(),
        },
        "user" => reader.user(&element.user_id, None),
        "channel" => reader.channel(&element.channel_id, None),
        "usergroup" => reader.group(&element.usergroup_id, None),
        "broadcast" => everyone(&element.range),
        "emoji" => {
            if let Some(unicode) = element.unicode.as_deref().and_then(points) {
                return Inline::Text(unicode);
            }
            let code = match element.skin_tone {
                Some(tone) => format!("{}::skin-tone-{tone}", element.name),
                None => element.name.clone(),
            };
            reader
                .emoji(&code)
                .unwrap_or_else(|| Inline::Text(format!(":{}:", element.name)))
        }
        "date" => Inline::Text(element.fallback.clone()),
        "color" => Inline::Text(element.value.clone()),
        _ => Inline::Text(if element.text.text.is_empty() {
            element.fallback.clone()
        } else {
            element.text.text.clone()
        }),
    }
}

fn styled_text(text: &str, flags: &Flags, out: &mut Vec<Inline>) {
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push(Inline::Break);
        }
        if line.is_empty() {
            continue;
        }
        let leaf = if flags.code {
            Inline::Code(line.to_owned())
        } else {
            Inline::Text(line.to_owned())
        };
        out.push(styled(leaf, flags));
    }
}

fn styled(leaf: Inline, flags: &Flags) -> Inline {
    let mut inline = leaf;
    if flags.strike {
        inline = Inline::Strike(vec![inline]);
    }
    if flags.underline {
        inline = Inline::Underline(vec![inline]);
    }
    if flags.italic {
        inline = Inline::Emphasis(vec![inline]);
    }
    if flags.bold {
        inline = Inline::Strong(vec![inline]);
    }
    inline
}

/// The text of code points given as `1f44d-1f3fb`.
fn points(hex: &str) -> Option<String> {
    let text: Option<String> = hex
        .split('-')
        .map(|point| char::from_u32(u32::from_str_radix(point, 16).ok()?).filter(|c| !c.is_control() && !c.is_ascii()))
        .collect();
    text.filter(|text| text.chars().count() <= 16)
}
