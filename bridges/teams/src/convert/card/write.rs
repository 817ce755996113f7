//! Rich text → an adaptive card with the author's name and picture.
//!
//! Text stands in runs, in which nothing is markup. Only who is addressed has to stand in a block of its own, at the end:
//! in runs Teams does not notify.

use serde_json::{Value, json};
use viaduct_model::Document;
use viaduct_model::document::{Block, Inline, MentionTarget, is_safe_link};

use crate::convert::render::{World, escape};

/// How deep lists and quotes are indented at most.
const DEPTH: usize = 8;

/// Who speaks.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Their name.
    pub name: &'a str,
    /// The address of their picture.
    pub picture: Option<&'a str>,
}

/// The card of what somebody says.
pub fn card(document: &Document, sender: Sender<'_>, world: &dyn World) -> Value {
    let mut writer = Writer {
        world,
        lines: Vec::new(),
        entities: Vec::new(),
    };
    writer.blocks(&document.blocks, 0, "");
    let mut body = vec![header(sender)];
    body.extend(writer.lines.into_iter().map(Line::element));
    let mut card = json!({"type": "AdaptiveCard", "version": "1.5"});
    card["$schema"] = json!("http://adaptivecards.io/schemas/adaptive-card.json");
    let mut teams = json!({"width": "Full"});
    if !writer.entities.is_empty() {
        let marks: Vec<&str> = writer.entities.iter().filter_map(|one| one["text"].as_str()).collect();
        body.push(json!({"type": "TextBlock", "wrap": true, "isSubtle": true, "text": marks.join(" ")}));
        teams["entities"] = Value::Array(writer.entities);
    }
    card["body"] = Value::Array(body);
    card["msteams"] = teams;
    card
}

fn header(sender: Sender<'_>) -> Value {
    let name = json!({
        "type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": sender.name, "weight": "Bolder"}],
    });
    let mut columns = Vec::new();
    if let Some(picture) = sender.picture {
        columns.push(json!({
            "type": "Column", "width": "auto",
            "items": [{"type": "Image", "url": picture, "size": "Small", "style": "Person"}],
        }));
    }
    columns.push(json!({
        "type": "Column", "width": "stretch", "verticalContentAlignment": "Center", "items": [name],
    }));
    json!({"type": "ColumnSet", "columns": columns})
}

/// One line: runs of text.
#[derive(Default)]
struct Line {
    runs: Vec<Value>,
    /// Whether it follows the line before it without a gap.
    close: bool,
    /// Whether there is a rule above it.
    ruled: bool,
}

impl Line {
    fn element(self) -> Value {
        let mut element = json!({"type": "RichTextBlock", "inlines": self.runs});
        if self.close {
            element["spacing"] = json!("None");
        }
        if self.ruled {
            element["separator"] = json!(true);
        }
        element
    }
}

/// How a run looks: what the card says of it, and where it leads.
#[derive(Debug, Clone, Default)]
struct Look {
    marks: Vec<(&'static str, Value)>,
    url: Option<String>,
}

impl Look {
    fn with(&self, key: &'static str, value: impl Into<Value>) -> Self {
        let mut look = self.clone();
        look.marks.push((key, value.into()));
        look
    }

    fn run(&self, text: &str) -> Value {
        let text: String = text.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        let mut run = json!({"type": "TextRun", "text": text});
        for (key, value) in &self.marks {
            run[*key] = value.clone();
        }
        if let Some(url) = &self.url {
            run["selectAction"] = json!({"type": "Action.OpenUrl", "url": url});
        }
        run
    }
}

struct Writer<'a> {
    world: &'a dyn World,
    lines: Vec<Line>,
    entities: Vec<Value>,
}

impl Writer<'_> {
    fn blocks(&mut self, blocks: &[Block], depth: usize, lead: &str) {
        for (number, block) in blocks.iter().enumerate() {
            // What marks an item stands before its first line only.
            let blank: String = lead.chars().map(|_| ' ').collect();
            self.block(block, depth, if number == 0 { lead } else { &blank });
        }
    }

    fn block(&mut self, block: &Block, depth: usize, lead: &str) {
        let plain = Look::default();
        match block {
            Block::Paragraph(content) => self.line(lead, content, &plain),
            Block::Heading { content, .. } => {
                self.line(lead, content, &plain.with("weight", "Bolder").with("size", "Large"));
            }
            Block::Quote(inner) => {
                let deeper = if depth < DEPTH {
                    format!("{lead}│ ")
                } else {
                    lead.to_owned()
                };
                for inner in inner {
                    self.block(inner, depth + 1, &deeper);
                }
            }
            Block::Code { text, .. } => {
                let look = plain.with("fontType", "Monospace");
                for (number, line) in text.lines().enumerate() {
                    let line = look.run(&format!("{lead}{line}"));
                    self.lines.push(Line {
                        runs: vec![line],
                        close: number > 0,
                        ruled: false,
                    });
                }
            }
            Block::Rule => self.lines.push(Line {
                runs: vec![plain.run(" ")],
                close: true,
                ruled: true,
            }),
            Block::List { start, items } => {
                for (number, item) in items.iter().enumerate() {
                    let mark = match start {
                        Some(start) => format!("{}. ", start.saturating_add(number as u64)),
                        None => "• ".to_owned(),
                    };
                    let mark = if depth < DEPTH { format!("{lead}{mark}") } else { mark };
                    self.blocks(item, depth + 1, &mark);
                }
            }
        }
    }

    fn line(&mut self, lead: &str, content: &[Inline], look: &Look) {
        self.lines.push(Line::default());
        if !lead.is_empty() {
            self.push(Look::default().run(lead));
        }
        self.inlines(content, look);
        // A block without runs is none.
        self.lines.retain(|line| !line.runs.is_empty());
    }

    fn push(&mut self, run: Value) {
        if let Some(line) = self.lines.last_mut() {
            line.runs.push(run);
        }
    }

    fn text(&mut self, text: &str, look: &Look) {
        for (number, part) in text.split('\n').enumerate() {
            if number > 0 {
                self.lines.push(Line {
                    close: true,
                    ..Line::default()
                });
            }
            if !part.is_empty() {
                self.push(look.run(part));
            }
        }
    }

    fn inlines(&mut self, content: &[Inline], look: &Look) {
        for inline in content {
            match inline {
                Inline::Text(text) => self.text(text, look),
                Inline::Strong(content) => self.inlines(content, &look.with("weight", "Bolder")),
                Inline::Emphasis(content) => self.inlines(content, &look.with("italic", true)),
                Inline::Underline(content) => self.inlines(content, &look.with("underline", true)),
                Inline::Strike(content) => self.inlines(content, &look.with("strikethrough", true)),
                Inline::Colour { content, .. } => self.inlines(content, look),
                Inline::Code(text) => self.text(text, &look.with("fontType", "Monospace")),
                Inline::Link { url, content } => {
                    let mut look = look.clone();
                    look.url = Some(url.clone()).filter(|url| is_safe_link(url)).or(look.url);
                    if content.is_empty() {
                        self.text(url, &look);
                    } else {
                        self.inlines(content, &look);
                    }
                }
                Inline::Mention(mention) => {
                    self.text(&mention.label, look);
                    if let MentionTarget::Person { network, id } = &mention.target
                        && network == self.world.network()
                        && let Some(address) = self.world.address(id.as_str())
                    {
                        self.address(&mention.label, &address);
                    }
                }
                Inline::Channel { label, .. } => self.text(label, look),
                Inline::Emoji { code, .. } => self.text(&format!(":{code}:"), look),
                Inline::Spoiler { reason, content } => {
                    let reason = format!("[{}] ", reason.as_deref().unwrap_or("Spoiler"));
                    self.text(&reason, &look.with("italic", true));
                    self.inlines(content, look);
                }
                Inline::Break => self.lines.push(Line {
                    close: true,
                    ..Line::default()
                }),
            }
        }
    }

    fn address(&mut self, label: &str, id: &str) {
        let name = label.trim_start_matches('@').trim();
        let text = format!("<at>{}</at>", escape(name));
        let known = self.entities.iter().any(|one| one["mentioned"]["id"] == id);
        if !name.is_empty() && !known {
            self.entities
                .push(json!({"type": "mention", "text": text, "mentioned": {"id": id, "name": name}}));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use viaduct_model::{NetworkName, arbitrary};

    use super::*;

    struct Nobody(NetworkName);

    impl World for Nobody {
        fn network(&self) -> &NetworkName {
            &self.0
        }
        fn address(&self, _: &str) -> Option<String> {
            None
        }
    }

    fn nobody() -> Nobody {
        Nobody(NetworkName::new("acme-teams").unwrap())
    }

    fn visible(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
    }

    fn shown(card: &Value) -> String {
        let lines = crate::convert::card::text(card);
        lines
            .into_iter()
            .map(|block| Document { blocks: vec![block] }.to_plain())
            .collect()
    }

    #[test]
    fn a_card_names_its_author_and_nothing_in_it_is_markup() {
        let sender = Sender {
            name: "**Anna** [x](https://evil.example)",
            picture: Some("https://hub.example.org/anna"),
        };
        let document = Document {
            blocks: vec![
                Block::Paragraph(vec![
                    Inline::Strong(vec![Inline::Text("*big*".to_owned())]),
                    Inline::Link {
                        url: "javascript:x".to_owned(),
                        content: vec![Inline::Text("no link".to_owned())],
                    },
                ]),
                Block::List {
                    start: Some(2),
                    items: vec![vec![Block::Paragraph(vec![Inline::Text("two".to_owned())])]],
                },
            ],
        };
        let card = card(&document, sender, &nobody());
        insta::assert_snapshot!(card, @r#"{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","body":[{"columns":[{"items":[{"size":"Small","style":"Person","type":"Image","url":"https://hub.example.org/anna"}],"type":"Column","width":"auto"},{"items":[{"inlines":[{"text":"**Anna** [x](https://evil.example)","type":"TextRun","weight":"Bolder"}],"type":"RichTextBlock"}],"type":"Column","verticalContentAlignment":"Center","width":"stretch"}],"type":"ColumnSet"},{"inlines":[{"text":"*big*","type":"TextRun","weight":"Bolder"},{"text":"no link","type":"TextRun"}],"type":"RichTextBlock"},{"inlines":[{"text":"2. ","type":"TextRun"},{"text":"two","type":"TextRun"}],"type":"RichTextBlock"}],"msteams":{"width":"Full"},"type":"AdaptiveCard","version":"1.5"}"#);
    }

    proptest! {
        #[test]
        fn any_text_is_a_card_that_says_all_of_it(text in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]{0,200}") {
            let sender = Sender { name: "Anna", picture: None };
            let document = Document::plain(&text);
            let card = card(&document, sender, &nobody());
            prop_assert!(visible(&shown(&card)).contains(&visible(&document.to_plain())));
        }

        #[test]
        fn any_document_is_a_card(document in arbitrary::document()) {
            let sender = Sender { name: "Anna", picture: None };
            let card = card(&document, sender, &nobody());
            prop_assert!(card["body"].as_array().is_some_and(|body| !body.is_empty()));
            let is_bare = |element: &Value| element["type"] == "RichTextBlock" && element["inlines"].as_array().is_none_or(Vec::is_empty);
            prop_assert!(!card["body"].as_array().unwrap().iter().any(is_bare));
        }
    }
}
