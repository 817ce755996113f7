//! Document → Block Kit: rich text, in which nothing is markup, and a plain text beside it for notifications.

use slack_morphism::blocks::{
    SlackBlock, SlackDividerBlock, SlackRichTextBlock, SlackRichTextChannel, SlackRichTextElement, SlackRichTextEmoji,
    SlackRichTextInlineElement, SlackRichTextLink, SlackRichTextList, SlackRichTextListElement, SlackRichTextListStyle,
    SlackRichTextPreformatted, SlackRichTextQuote, SlackRichTextSection, SlackRichTextStyle, SlackRichTextText,
    SlackRichTextUser,
};
use slack_morphism::{SlackChannelId, SlackEmojiName, SlackUserId};
use viaduct_model::Document;
use viaduct_model::document::{Block, Inline, MentionTarget, inline_text, is_safe_link};

use super::World;
use super::ids::user_of;
use super::mrkdwn::escape;

/// How many blocks a message has at most, some fewer than Slack's 50.
const BLOCKS: usize = 40;
/// How deep Slack shows lists.
const INDENT: u64 = 8;

/// What is sent of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The message as blocks.
    pub blocks: Vec<SlackBlock>,
    /// The message as plain text, escaped, for notifications and for clients without blocks.
    pub text: String,
}

/// Renders a document.
pub fn render(document: &Document, world: &dyn World) -> Rendered {
    let mut writer = Writer {
        world,
        blocks: Vec::new(),
        elements: Vec::new(),
        run: Vec::new(),
    };
    for block in &document.blocks {
        writer.block(block);
    }
    writer.end_block();
    Rendered {
        blocks: writer.blocks,
        text: escape(&document.to_plain()),
    }
}

/// Styles that apply to a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a style of its own")]
struct Look {
    bold: bool,
    italic: bool,
    strike: bool,
    code: bool,
}

impl Look {
    fn style(self) -> Option<SlackRichTextStyle> {
        if self == Self::default() {
            return None;
        }
        let mut style = SlackRichTextStyle::new();
        style.bold = self.bold.then_some(true);
        style.italic = self.italic.then_some(true);
        style.strike = self.strike.then_some(true);
        style.code = self.code.then_some(true);
        Some(style)
    }
}

struct Writer<'a> {
    world: &'a dyn World,
    blocks: Vec<SlackBlock>,
    elements: Vec<SlackRichTextElement>,
    /// Paragraphs that follow each other are one section.
    run: Vec<SlackRichTextInlineElement>,
}

impl Writer<'_> {
    fn block(&mut self, block: &Block) {
        match block {
            Block::Paragraph(content) => self.paragraph(content, Look::default()),
            Block::Heading { content, .. } => self.paragraph(
                content,
                Look {
                    bold: true,
                    ..Look::default()
                },
            ),
            Block::Quote(inner) => {
                self.end_section();
                let elements = self.flat(inner, Look::default());
                if !elements.is_empty() {
                    self.elements.push(SlackRichTextQuote::new(elements).into());
                }
            }
            Block::Code { text, language } => {
                self.end_section();
                let text = clean(text.trim_end_matches('\n'));
                if !text.is_empty() {
                    let mut code = SlackRichTextPreformatted::new(vec![plain(text, Look::default())]);
                    code.language = language.clone().filter(|language| is_language(language));
                    self.elements.push(code.into());
                }
            }
            Block::List { start, items } => {
                self.end_section();
                self.list(*start, items, 0);
            }
            Block::Rule if self.blocks.len() + 2 < BLOCKS => {
                self.end_block();
                self.blocks.push(SlackBlock::Divider(SlackDividerBlock::new()));
            }
            Block::Rule => self.paragraph(&[Inline::Text("---".to_owned())], Look::default()),
        }
    }

    fn paragraph(&mut self, content: &[Inline], look: Look) {
        let mut elements = Vec::new();
        self.inlines(content, look, &mut elements);
        if elements.is_empty() {
            return;
        }
        if !self.run.is_empty() {
            push_text(&mut self.run, "\n\n", Look::default());
        }
        self.run.extend(elements);
    }

    fn end_section(&mut self) {
        let run = std::mem::take(&mut self.run);
        if !run.is_empty() {
            self.elements.push(SlackRichTextSection::new(run).into());
        }
    }

    fn end_block(&mut self) {
        self.end_section();
        let elements = std::mem::take(&mut self.elements);
        if !elements.is_empty() {
            self.blocks.push(SlackRichTextBlock::new(elements).into());
        }
    }

    /// A list, and behind each item the lists in it, one level deeper.
    fn list(&mut self, start: Option<u64>, items: &[Vec<Block>], indent: u64) {
        let mut open: Vec<SlackRichTextListElement> = Vec::new();
        let mut number = start.unwrap_or(1);
        let mut first = number;
        for item in items {
            let (lists, said): (Vec<&Block>, Vec<&Block>) =
                item.iter().partition(|block| matches!(block, Block::List { .. }));
            let elements = self.flat(said.iter().copied(), Look::default());
            open.push(SlackRichTextSection::new(elements).into());
            number = number.saturating_add(1);
            for inner in lists {
                if let Block::List { start: inner, items } = inner {
                    self.push_list(start.map(|_| first), std::mem::take(&mut open), indent);
                    first = number;
                    if indent < INDENT {
                        self.list(*inner, items, indent + 1);
                    } else {
                        let rest = Document {
                            blocks: vec![Block::List {
                                start: *inner,
                                items: items.clone(),
                            }],
                        };
                        let text = plain(clean(&rest.to_plain()), Look::default());
                        open.push(SlackRichTextSection::new(vec![text]).into());
                    }
                }
            }
        }
        self.push_list(start.map(|_| first), open, indent);
    }

    fn push_list(&mut self, first: Option<u64>, elements: Vec<SlackRichTextListElement>, indent: u64) {
        if elements.is_empty() {
            return;
        }
        let style = match first {
            Some(_) => SlackRichTextListStyle::Ordered,
            None => SlackRichTextListStyle::Bullet,
        };
        let mut list = SlackRichTextList::new(style, elements);
        list.indent = Some(indent);
        list.offset = first.map(|first| first.saturating_sub(1)).filter(|offset| *offset > 0);
        self.elements.push(list.into());
    }

    /// Blocks where only inlines can be: in quotes and list items.
    fn flat<'b>(&self, blocks: impl IntoIterator<Item = &'b Block>, look: Look) -> Vec<SlackRichTextInlineElement> {
        let mut out = Vec::new();
        for block in blocks {
            let mut elements = Vec::new();
            match block {
                Block::Paragraph(content) => self.inlines(content, look, &mut elements),
                Block::Heading { content, .. } => self.inlines(content, Look { bold: true, ..look }, &mut elements),
                Block::Code { text, .. } => push_text(&mut elements, text, Look { code: true, ..look }),
                other => {
                    let inner = Document {
                        blocks: vec![other.clone()],
                    };
                    push_text(&mut elements, &inner.to_plain(), look);
                }
            }
            if elements.is_empty() {
                continue;
            }
            if !out.is_empty() {
                push_text(&mut out, "\n\n", Look::default());
            }
            out.extend(elements);
        }
        out
    }

    fn inlines(&self, content: &[Inline], look: Look, out: &mut Vec<SlackRichTextInlineElement>) {
        for inline in content {
            match inline {
                Inline::Text(text) => push_text(out, text, look),
                Inline::Code(text) => push_text(out, text, Look { code: true, ..look }),
                Inline::Break => push_text(out, "\n", look),
                Inline::Strong(inner) => self.inlines(inner, Look { bold: true, ..look }, out),
                Inline::Emphasis(inner) => self.inlines(inner, Look { italic: true, ..look }, out),
                Inline::Strike(inner) => self.inlines(inner, Look { strike: true, ..look }, out),
                Inline::Underline(inner) | Inline::Colour { content: inner, .. } => self.inlines(inner, look, out),
                Inline::Spoiler { reason, content } => {
                    push_text(out, "||", look);
                    if let Some(reason) = reason.as_ref().filter(|reason| !reason.is_empty()) {
                        push_text(out, &format!("{reason}: "), look);
                    }
                    self.inlines(content, look, out);
                    push_text(out, "||", look);
                }
                Inline::Link { url, content } => link(url, content, look, out),
                Inline::Mention(mention) => match &mention.target {
                    MentionTarget::Person { network, id } if network == self.world.network() => match user_of(id) {
                        Some(user) => out.push(SlackRichTextUser::new(SlackUserId(user.to_owned())).into()),
                        None => push_text(out, &mention.label, look),
                    },
                    _ => push_text(out, &mention.label, look),
                },
                Inline::Channel { place, label } => match self.world.channel_id(place) {
                    Some(id) => out.push(SlackRichTextChannel::new(SlackChannelId(id)).into()),
                    None => push_text(out, label, look),
                },
                Inline::Emoji { code, .. } => {
                    if self.world.emoji(code).is_some() {
                        out.push(SlackRichTextEmoji::new(SlackEmojiName(code.clone())).into());
                    } else {
                        push_text(out, &format!(":{code}:"), look);
                    }
                }
            }
        }
    }
}

fn link(url: &str, content: &[Inline], look: Look, out: &mut Vec<SlackRichTextInlineElement>) {
    let label = clean(&inline_text(content));
    if !is_safe_link(url) {
        let text = if label.is_empty() { url } else { &label };
        push_text(out, text, look);
        return;
    }
    let mut link = SlackRichTextLink::new(slack_morphism::SlackRelaxedUrl(url.to_owned()));
    link.text = Some(label).filter(|label| !label.is_empty() && label != url);
    link.style = look.style();
    out.push(link.into());
}

/// Text without the control characters that have no place in a message.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || *c == '\n' || *c == '\t')
        .collect()
}

fn plain(text: String, look: Look) -> SlackRichTextInlineElement {
    let mut element = SlackRichTextText::new(text);
    element.style = look.style();
    element.into()
}

/// Appends text, joined with what stands there in the same look.
fn push_text(out: &mut Vec<SlackRichTextInlineElement>, text: &str, look: Look) {
    let text = clean(text);
    if text.is_empty() {
        return;
    }
    if let Some(SlackRichTextInlineElement::Text(last)) = out.last_mut()
        && last.style == look.style()
    {
        last.text.push_str(&text);
        return;
    }
    out.push(plain(text, look));
}

fn is_language(language: &str) -> bool {
    language.len() <= 20
        && !language.is_empty()
        && language
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-#_".contains(&byte))
}
