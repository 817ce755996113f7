//! A [`Document`] as lines of styled runs.

use viaduct_model::document::{Block, Mention, Rgb, inline_text, is_safe_link};
use viaduct_model::{Document, Inline};

use super::mirc::{Run, Style};

/// One line.
pub type Line = Vec<Run>;

/// Letters and background of a covered text: black on black.
const COVER: Rgb = Rgb(0, 0, 0);

/// Renders a text. Lines without anything to read are left out, for IRC cannot send them; control characters in the text
/// are left out, for IRC would obey them. `name` says how a person who is addressed is written.
pub fn render(document: &Document, name: &dyn Fn(&Mention) -> String) -> Vec<Line> {
    let mut writer = Writer {
        name,
        lines: Vec::new(),
    };
    writer.blocks(&document.blocks, "");
    writer
        .lines
        .retain(|line| line.iter().any(|run| !run.text.trim().is_empty()));
    writer.lines
}

/// The same characters without those that IRC would obey; line ends become spaces.
pub fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|character| match character {
            '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
            other if other.is_control() => None,
            other => Some(other),
        })
        .collect()
}

struct Writer<'a> {
    name: &'a dyn Fn(&Mention) -> String,
    lines: Vec<Line>,
}

impl Writer<'_> {
    fn start(&mut self, prefix: &str) {
        let line = if prefix.is_empty() {
            Vec::new()
        } else {
            vec![Run::plain(prefix)]
        };
        self.lines.push(line);
    }

    fn text(&mut self, style: Style, text: &str) {
        let text = clean(text);
        if text.is_empty() {
            return;
        }
        if self.lines.is_empty() {
            self.lines.push(Vec::new());
        }
        if let Some(line) = self.lines.last_mut() {
            match line.last_mut() {
                Some(last) if last.style == style => last.text.push_str(&text),
                _ => line.push(Run { style, text }),
            }
        }
    }

    fn blocks(&mut self, blocks: &[Block], prefix: &str) {
        for block in blocks {
            match block {
                Block::Paragraph(content) => {
                    self.start(prefix);
                    self.inlines(content, Style::default(), prefix);
                }
                Block::Heading { content, .. } => {
                    self.start(prefix);
                    self.inlines(
                        content,
                        Style {
                            bold: true,
                            ..Style::default()
                        },
                        prefix,
                    );
                }
                Block::Quote(inner) => self.blocks(inner, &format!("{prefix}> ")),
                Block::Rule => {
                    self.start(prefix);
                    self.text(Style::default(), "---");
                }
                Block::Code { text, .. } => {
                    for line in text.lines() {
                        self.start(prefix);
                        self.text(
                            Style {
                                monospace: true,
                                ..Style::default()
                            },
                            line,
                        );
                    }
                }
                Block::List { start, items } => self.list(*start, items, prefix),
            }
        }
    }

    /// Each item's first line carries the bullet, its other lines are indented as far.
    fn list(&mut self, start: Option<u64>, items: &[Vec<Block>], prefix: &str) {
        for (number, item) in (0_u64..).zip(items) {
            let bullet = match start {
                Some(first) => format!("{}. ", first.saturating_add(number)),
                None => "- ".to_owned(),
            };
            let first = self.lines.len();
            self.blocks(item, &format!("{prefix}{}", " ".repeat(bullet.len())));
            let head = format!("{prefix}{bullet}");
            let Some(run) = self.lines.get_mut(first).and_then(|line| line.first_mut()) else {
                continue;
            };
            if let Some((_, rest)) = run.text.split_at_checked(head.len()) {
                run.text = format!("{head}{rest}");
            }
        }
    }

    fn inlines(&mut self, content: &[Inline], style: Style, prefix: &str) {
        for inline in content {
            self.inline(inline, style, prefix);
        }
    }

    fn inline(&mut self, inline: &Inline, style: Style, prefix: &str) {
        match inline {
            Inline::Text(text) => {
                for (number, part) in text.split('\n').enumerate() {
                    if number > 0 {
                        self.start(prefix);
                    }
                    self.text(style, part);
                }
            }
            Inline::Code(text) => self.text(
                Style {
                    monospace: true,
                    ..style
                },
                text,
            ),
            Inline::Strong(inner) => self.inlines(inner, Style { bold: true, ..style }, prefix),
            Inline::Emphasis(inner) => self.inlines(inner, Style { italic: true, ..style }, prefix),
            Inline::Underline(inner) => self.inlines(
                inner,
                Style {
                    underline: true,
                    ..style
                },
                prefix,
            ),
            Inline::Strike(inner) => self.inlines(inner, Style { strike: true, ..style }, prefix),
            Inline::Colour {
                foreground,
                background,
                content,
            } => {
                let (foreground, background) = (foreground.or(style.foreground), background.or(style.background));
                self.inlines(
                    content,
                    Style {
                        foreground,
                        background,
                        ..style
                    },
                    prefix,
                );
            }
            Inline::Spoiler { reason, content } => {
                if let Some(reason) = reason {
                    self.text(style, &format!("({reason}) "));
                }
                let covered = Style {
                    foreground: Some(COVER),
                    background: Some(COVER),
                    ..style
                };
                self.inlines(content, covered, prefix);
            }
            Inline::Link { url, content } => self.link(url, content, style, prefix),
            Inline::Mention(mention) => {
                let name = (self.name)(mention);
                self.text(style, &name);
            }
            Inline::Channel { label, .. } => self.text(style, label),
            Inline::Emoji { code, .. } => self.text(style, &format!(":{code}:")),
            Inline::Break => self.start(prefix),
        }
    }

    fn link(&mut self, url: &str, content: &[Inline], style: Style, prefix: &str) {
        let label = inline_text(content);
        self.inlines(content, style, prefix);
        if label.is_empty() {
            self.text(style, url);
        } else if label != url && format!("mailto:{label}") != url && is_safe_link(url) {
            self.text(style, &format!(" <{url}>"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::split::split;

    fn lines(document: &Document) -> Vec<String> {
        render(document, &|mention| mention.label.clone())
            .iter()
            .flat_map(|line| split(line, 400))
            .collect()
    }

    #[test]
    fn blocks_become_lines() {
        let item = |text: &str| vec![Block::Paragraph(vec![Inline::Text(text.into())])];
        let document = Document {
            blocks: vec![
                Block::Heading {
                    level: 1,
                    content: vec![Inline::Text("Title".into())],
                },
                Block::List {
                    start: Some(9),
                    items: vec![item("nine"), item("ten\nmore")],
                },
                Block::Quote(vec![Block::Paragraph(vec![
                    Inline::Text("said".into()),
                    Inline::Break,
                    Inline::Text("so".into()),
                ])]),
                Block::Code {
                    language: None,
                    text: "let x;\n\nx".into(),
                },
                Block::Rule,
                Block::Paragraph(vec![Inline::Link {
                    url: "https://a.example/".into(),
                    content: vec![Inline::Text("here".into())],
                }]),
            ],
        };
        insta::assert_json_snapshot!(lines(&document), @r#"
        [
          "\u0002Title",
          "9. nine",
          "10. ten",
          "    more",
          "> said",
          "> so",
          "\u0011let x;",
          "\u0011x",
          "---",
          "here <https://a.example/>"
        ]
        "#);
    }

    #[test]
    fn text_cannot_become_codes_or_lines() {
        let document = Document::paragraph(vec![Inline::Code("a\r\nQUIT :\u{0}\u{1}ACTION\u{3}4\u{2}".into())]);
        assert_eq!(lines(&document), vec!["\u{11}a  QUIT :ACTION4".to_owned()]);
    }

    #[test]
    fn spoilers_are_black_on_black_and_come_back() {
        let spoiler = Document::paragraph(vec![Inline::Spoiler {
            reason: None,
            content: vec![Inline::Text("x".into())],
        }]);
        let sent = lines(&spoiler);
        assert_eq!(sent, vec!["\u{3}01,01x".to_owned()]);
        assert_eq!(crate::convert::mirc::parse(&sent[0]), spoiler.normal());
    }
}
