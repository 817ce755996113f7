//! The HTML of messages → rich text.
//!
//! html5ever's tokenizer cuts the text into tags and characters; the tree is built here, because its own tree builder reopens
//! formatting elements in every paragraph, which lets a little hostile HTML grow without bound. This one is linear, and what
//! is nested too deep is flattened.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, CharacterTokens, StartTag, Tag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use viaduct_model::Document;
use viaduct_model::document::{Block, DEPTH_BOUND, Inline, Mention, MentionTarget, inline_text, is_safe_link};

/// The longest HTML that is read, in bytes; of longer the beginning.
pub const HTML: usize = 256 * 1024;
/// How many elements may be open at once.
const OPEN: usize = 2 * DEPTH_BOUND;
/// How many attributes of an element are looked at.
const ATTRIBUTES: usize = 16;
/// How many pictures and files of one message are taken.
const FILES: usize = 64;

/// Who is addressed, by the number or name that an element gives.
pub trait Mentions {
    /// Whom the mention with this number, or the name within it, means; none for text only.
    fn target(&self, number: Option<&str>, label: &str) -> Option<MentionTarget>;
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// The text.
    pub body: Document,
    /// Addresses of pictures within it, with their descriptions.
    pub pictures: Vec<(String, String)>,
    /// Ids of attachments that stand in the text.
    pub attachments: Vec<String>,
    /// The message that is answered.
    pub answers: Option<String>,
}

enum Node {
    Text(String),
    Element(Element),
}

#[derive(Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Node>,
}

impl Element {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    fn kind(&self) -> &str {
        self.get("itemtype").unwrap_or_default()
    }
}

/// Builds the tree; the first open element is the whole text.
#[derive(Default)]
struct Tree(RefCell<Vec<Element>>);

fn close(open: &mut Vec<Element>) {
    if open.len() > 1
        && let Some(element) = open.pop()
        && let Some(parent) = open.last_mut()
    {
        parent.children.push(Node::Element(element));
    }
}

/// Closes down to the nearest element of this name, unless one of `walls` is nearer.
fn close_to(open: &mut Vec<Element>, name: &str, walls: &[&str]) {
    let found = open
        .iter()
        .enumerate()
        .skip(1)
        .rev()
        .find(|(_, element)| element.name == name || walls.contains(&element.name.as_str()));
    let Some((index, element)) = found else { return };
    if element.name == name {
        while open.len() > index {
            close(open);
        }
    }
}

fn begin(open: &mut Vec<Element>, tag: &Tag) {
    let name = tag.name.to_string();
    match name.as_str() {
        "li" => close_to(open, "li", &["ul", "ol"]),
        "tr" => close_to(open, "tr", &["table"]),
        "td" | "th" => {
            close_to(open, "td", &["tr", "table"]);
            close_to(open, "th", &["tr", "table"]);
        }
        other if is_block(other) => close_to(open, "p", &["blockquote", "li", "td", "th", "div"]),
        _ => {}
    }
    let attributes = tag.attrs.iter().take(ATTRIBUTES);
    let element = Element {
        attributes: attributes
            .map(|a| (a.name.local.to_string(), a.value.to_string()))
            .collect(),
        name,
        children: Vec::new(),
    };
    let void = ["br", "hr", "img", "wbr", "input", "meta", "link", "col"].contains(&element.name.as_str());
    if void || tag.self_closing {
        if let Some(parent) = open.last_mut() {
            parent.children.push(Node::Element(element));
        }
    } else if open.len() < OPEN {
        open.push(element);
    }
}

impl TokenSink for Tree {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut open = self.0.borrow_mut();
        if open.is_empty() {
            open.push(Element::default());
        }
        match token {
            CharacterTokens(text) => {
                if let Some(parent) = open.last_mut() {
                    match parent.children.last_mut() {
                        Some(Node::Text(before)) => before.push_str(&text),
                        _ => parent.children.push(Node::Text(text.to_string())),
                    }
                }
            }
            TagToken(tag) if tag.kind == StartTag => begin(&mut open, &tag),
            TagToken(tag) => close_to(&mut open, &tag.name, &[]),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn is_block(name: &str) -> bool {
    const BLOCKS: [&str; 20] = [
        "p",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "blockquote",
        "pre",
        "hr",
        "table",
        "thead",
        "tbody",
        "tr",
        "codeblock",
        "figure",
    ];
    BLOCKS.contains(&name)
}

/// Reads the HTML of a message.
pub fn read(html: &str, mentions: &dyn Mentions) -> Read {
    let (html, _) = html.split_at(html.floor_char_boundary(HTML));
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let options = TokenizerOpts {
        discard_bom: false,
        ..TokenizerOpts::default()
    };
    let tokenizer = Tokenizer::new(Tree::default(), options);
    // Without a script to run, the tokenizer always goes to the end.
    drop(tokenizer.feed(&input));
    tokenizer.end();
    let mut open = tokenizer.sink.0.into_inner();
    while open.len() > 1 {
        close(&mut open);
    }
    let nodes = open.pop().map(|root| root.children).unwrap_or_default();
    let mut reader = Reader {
        mentions,
        read: Read::default(),
    };
    let blocks = reader.blocks(nodes);
    let mut read = reader.read;
    read.body = Document { blocks }.normal();
    read
}

struct Reader<'a> {
    mentions: &'a dyn Mentions,
    read: Read,
}

impl Reader<'_> {
    fn blocks(&mut self, nodes: Vec<Node>) -> Vec<Block> {
        let (mut out, mut run) = (Vec::new(), Vec::new());
        self.flow(nodes, &mut out, &mut run);
        end(&mut run, &mut out);
        out
    }

    /// Reads nodes that may be blocks or inlines; `run` is the paragraph begun.
    fn flow(&mut self, nodes: Vec<Node>, out: &mut Vec<Block>, run: &mut Vec<Inline>) {
        for node in nodes {
            match node {
                Node::Element(element) if is_block(&element.name) => {
                    end(run, out);
                    self.block(element, out);
                }
                Node::Element(element) if has_blocks(&element) => self.flow(element.children, out, run),
                other => self.inline(other, run),
            }
        }
    }

    fn block(&mut self, mut element: Element, out: &mut Vec<Block>) {
        let children = std::mem::take(&mut element.children);
        match element.name.as_str() {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = element
                    .name
                    .bytes()
                    .last()
                    .map_or(1, |digit| digit.saturating_sub(b'0'));
                let mut content = self.inlines(children);
                tidy(&mut content);
                out.push(Block::Heading { level, content });
            }
            "ul" | "ol" => {
                let first = element.get("start").and_then(|start| start.parse().ok());
                let start = (element.name == "ol").then_some(first.unwrap_or(1));
                let items = children.into_iter().map(|node| match node {
                    Node::Element(item) if item.name == "li" => self.blocks(item.children),
                    other => self.blocks(vec![other]),
                });
                let items = items.filter(|item| !item.is_empty()).collect();
                out.push(Block::List { start, items });
            }
            "blockquote" if element.kind().ends_with("/Reply") => {
                self.read.answers = element.get("itemid").map(str::to_owned);
            }
            "blockquote" => out.push(Block::Quote(self.blocks(children))),
            "pre" | "codeblock" => {
                let language = element
                    .get("class")
                    .map(|class| class.trim_start_matches("language-").to_lowercase());
                let mut text = String::new();
                raw(&children, &mut text);
                let text = text.strip_prefix('\n').unwrap_or(&text).to_owned();
                out.push(Block::Code { language, text });
            }
            "hr" => out.push(Block::Rule),
            "tr" => {
                let mut run = Vec::new();
                for node in children {
                    let Node::Element(cell) = node else { continue };
                    if !run.is_empty() {
                        run.push(Inline::Text(" | ".to_owned()));
                    }
                    run.extend(self.inlines(cell.children));
                }
                end(&mut run, out);
            }
            _ => out.extend(self.blocks(children)),
        }
    }

    fn inlines(&mut self, nodes: Vec<Node>) -> Vec<Inline> {
        let mut out = Vec::new();
        for node in nodes {
            self.inline(node, &mut out);
        }
        out
    }

    fn inline(&mut self, node: Node, out: &mut Vec<Inline>) {
        let mut element = match node {
            Node::Text(text) => return out.push(Inline::Text(text)),
            Node::Element(element) => element,
        };
        let children = std::mem::take(&mut element.children);
        match element.name.as_str() {
            "b" | "strong" => out.push(Inline::Strong(self.inlines(children))),
            "i" | "em" => out.push(Inline::Emphasis(self.inlines(children))),
            "u" | "ins" => out.push(Inline::Underline(self.inlines(children))),
            "s" | "strike" | "del" => out.push(Inline::Strike(self.inlines(children))),
            "code" => {
                let mut text = String::new();
                raw(&children, &mut text);
                out.push(Inline::Code(text.replace(['\n', '\u{a0}'], " ")));
            }
            "br" => out.push(Inline::Break),
            "at" => self.mention(element.get("id"), children, out),
            "span" if element.kind().ends_with("/Mention") => self.mention(element.get("itemid"), children, out),
            "a" => {
                let mut content = self.inlines(children);
                match element.get("href").filter(|url| is_safe_link(url)) {
                    Some(url) => {
                        // A link around nothing is shown by its address.
                        if inline_text(&content).is_empty() {
                            content = vec![Inline::Text(url.to_owned())];
                        }
                        out.push(Inline::Link {
                            url: url.to_owned(),
                            content,
                        });
                    }
                    None => out.extend(content),
                }
            }
            "emoji" | "customemoji" => {
                let shown = element.get("alt").or(element.get("title")).unwrap_or_default();
                out.push(Inline::Text(shown.to_owned()));
            }
            "img" => self.picture(&element, out),
            "attachment" => {
                if let Some(id) = element.get("id").filter(|_| self.read.attachments.len() < FILES) {
                    self.read.attachments.push(id.to_owned());
                }
            }
            "systemeventmessage" | "script" | "style" | "head" | "title" => {}
            name if is_block(name) => {
                out.push(Inline::Break);
                out.extend(self.inlines(children));
                out.push(Inline::Break);
            }
            _ => out.extend(self.inlines(children)),
        }
    }

    fn mention(&mut self, number: Option<&str>, children: Vec<Node>, out: &mut Vec<Inline>) {
        let label = inline_text(&self.inlines(children)).replace(['\n', '\u{a0}'], " ");
        let label = label.trim();
        match self.mentions.target(number, label) {
            Some(target) => out.push(Inline::Mention(Mention {
                label: label.to_owned(),
                target,
            })),
            None => out.push(Inline::Text(label.to_owned())),
        }
    }

    fn picture(&mut self, element: &Element, out: &mut Vec<Inline>) {
        let alt = element.get("alt").unwrap_or_default().to_owned();
        if element.kind().ends_with("/Emoji") {
            out.push(Inline::Text(alt));
            return;
        }
        let Some(source) = element.get("src").filter(|source| source.starts_with("http")) else {
            out.push(Inline::Text(alt));
            return;
        };
        if self.read.pictures.len() < FILES {
            self.read.pictures.push((source.to_owned(), alt));
        }
    }
}

fn has_blocks(element: &Element) -> bool {
    element.children.iter().any(|node| match node {
        Node::Element(inner) => is_block(&inner.name) || has_blocks(inner),
        Node::Text(_) => false,
    })
}

/// The characters as they stand, with line feeds for breaks.
fn raw(nodes: &[Node], out: &mut String) {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(&text.replace('\u{a0}', " ").replace("\r\n", "\n").replace('\r', "\n")),
            Node::Element(element) if element.name == "br" => out.push('\n'),
            Node::Element(element) => {
                if is_block(&element.name) && !out.is_empty() && !out.ends_with('\n') {
                    out.push('\n');
                }
                raw(&element.children, out);
            }
        }
    }
}

fn end(run: &mut Vec<Inline>, out: &mut Vec<Block>) {
    tidy(run);
    if !run.is_empty() {
        out.push(Block::Paragraph(std::mem::take(run)));
    }
}

/// White space as HTML shows it: one space for many, none at the edges of a line. Spaces that do not break stay as spaces.
fn tidy(run: &mut Vec<Inline>) {
    let mut space = true;
    collapse(run, &mut space);
    trim_end(run);
    while matches!(run.last(), Some(Inline::Break)) {
        run.pop();
        trim_end(run);
    }
    let blank = |inline: &Inline| matches!(inline, Inline::Text(text) if text.is_empty());
    run.retain(|inline| !blank(inline));
    hard_spaces(run);
}

fn children(inline: &mut Inline) -> Option<&mut Vec<Inline>> {
    match inline {
        Inline::Strong(content)
        | Inline::Emphasis(content)
        | Inline::Underline(content)
        | Inline::Strike(content)
        | Inline::Link { content, .. } => Some(content),
        _ => None,
    }
}

fn collapse(run: &mut [Inline], space: &mut bool) {
    for inline in run {
        match inline {
            Inline::Text(text) => {
                let mut out = String::with_capacity(text.len());
                for letter in text.chars() {
                    if letter.is_ascii_whitespace() {
                        if !*space {
                            out.push(' ');
                        }
                        *space = true;
                    } else {
                        out.push(letter);
                        *space = false;
                    }
                }
                *text = out;
            }
            Inline::Break => *space = true,
            other => match children(other) {
                Some(content) => collapse(content, space),
                None => *space = false,
            },
        }
    }
}

fn trim_end(run: &mut [Inline]) {
    match run.last_mut() {
        Some(Inline::Text(text)) => text.truncate(text.trim_end_matches([' ', '\n', '\t', '\r']).len()),
        Some(other) => {
            if let Some(content) = children(other) {
                trim_end(content);
            }
        }
        None => {}
    }
}

fn hard_spaces(run: &mut [Inline]) {
    for inline in run {
        match inline {
            Inline::Text(text) => *text = text.replace('\u{a0}', " "),
            other => {
                if let Some(content) = children(other) {
                    hard_spaces(content);
                }
            }
        }
    }
}
