//! `formatted_body` → [`Document`].
//!
//! The text is cut into tags and characters by html5ever's tokenizer; the tree is built here and not by its tree builder,
//! because that reopens formatting elements in every paragraph, which lets 64 KiB of hostile HTML grow to gigabytes. This one
//! is linear: an end tag closes up to the nearest start tag of its name, and what lies deeper than a bound is flattened.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, CharacterTokens, EndTag, StartTag, Tag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer,
    TokenizerOpts,
};
use viaduct_model::document::{DEPTH_BOUND, Mention, MentionTarget, Rgb, is_safe_link};
use viaduct_model::{Block, ChannelId, Document, Inline, MediaRef, NetworkName, PersonId, Place};

use super::{MatrixLink, matrix_link, whitespace};
use crate::people::Directory;

/// The longest HTML read, in bytes. A Matrix event has at most 64 KiB.
pub(crate) const HTML_BOUND: usize = 64 * 1024;

/// Reads HTML. None if it is too long; the plain body has to do then.
pub(crate) fn parse(html: &str, directory: &dyn Directory) -> Option<Document> {
    if html.len() > HTML_BOUND {
        return None;
    }
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    // What looks like a byte order mark is a character like others here.
    let options = TokenizerOpts {
        discard_bom: false,
        ..TokenizerOpts::default()
    };
    let tokenizer = Tokenizer::new(Builder::default(), options);
    // Without a script to run, the tokenizer always goes to the end.
    drop(tokenizer.feed(&input));
    tokenizer.end();
    let nodes = tokenizer.sink.finish();
    Some(
        Document {
            blocks: Reader { directory }.blocks(nodes),
        }
        .normal(),
    )
}

/// A node of the tree.
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
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Builds the tree from tokens. The first of the open elements is the whole text.
#[derive(Default)]
struct Builder {
    open: RefCell<Vec<Element>>,
}

impl Builder {
    fn finish(self) -> Vec<Node> {
        let mut open = self.open.into_inner();
        while open.len() > 1 {
            close(&mut open);
        }
        open.pop().map(|root| root.children).unwrap_or_default()
    }
}

/// Closes the innermost open element.
fn close(open: &mut Vec<Element>) {
    if let Some(element) = open.pop() {
        match open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => open.push(element),
        }
    }
}

/// Closes everything down to the nearest of these elements, if one is open within the nearest of `walls`.
fn close_nearest(open: &mut Vec<Element>, names: &[&str], walls: &[&str]) {
    for index in (1..open.len()).rev() {
        let Some(name) = open.get(index).map(|element| element.name.as_str()) else {
            return;
        };
        if names.contains(&name) {
            while open.len() > index {
                close(open);
            }
            return;
        }
        if walls.contains(&name) {
            return;
        }
    }
}

impl TokenSink for Builder {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut open = self.open.borrow_mut();
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
            TagToken(tag) if tag.kind == StartTag => start(&mut open, &tag),
            TagToken(tag) if tag.kind == EndTag => {
                // An end tag of something never opened closes nothing.
                close_nearest(&mut open, &[&*tag.name], &[]);
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// How many elements may be open at once. More than the document keeps, as several may make one inline.
const OPEN_BOUND: usize = 2 * DEPTH_BOUND;
/// How many attributes of an element are looked at.
const ATTRIBUTE_BOUND: usize = 16;

fn start(open: &mut Vec<Element>, tag: &Tag) {
    let name = tag.name.to_string();
    match name.as_str() {
        "li" => close_nearest(open, &["li"], &["ul", "ol"]),
        "tr" => close_nearest(open, &["tr"], &["table"]),
        "td" | "th" => close_nearest(open, &["td", "th"], &["table", "tr"]),
        other if is_block(other) => close_nearest(open, &["p"], &["blockquote", "li", "td", "th", "div", "details"]),
        _ => {}
    }
    let attributes = tag
        .attrs
        .iter()
        .take(ATTRIBUTE_BOUND)
        .map(|a| (a.name.local.to_string(), a.value.to_string()))
        .collect();
    let element = Element {
        name,
        attributes,
        children: Vec::new(),
    };
    if matches!(
        element.name.as_str(),
        "br" | "hr" | "img" | "wbr" | "input" | "meta" | "link" | "col"
    ) {
        if let Some(parent) = open.last_mut() {
            parent.children.push(Node::Element(element));
        }
    } else if open.len() < OPEN_BOUND {
        open.push(element);
    }
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "ul"
            | "ol"
            | "li"
            | "blockquote"
            | "pre"
            | "hr"
            | "table"
            | "thead"
            | "tbody"
            | "tr"
            | "caption"
            | "details"
            | "summary"
    )
}

/// Makes the document of the tree.
struct Reader<'a> {
    directory: &'a dyn Directory,
}

impl Reader<'_> {
    fn blocks(&self, nodes: Vec<Node>) -> Vec<Block> {
        let mut out = Vec::new();
        let mut run = Vec::new();
        self.flow(nodes, &mut out, &mut run);
        end_paragraph(&mut run, &mut out);
        out
    }

    /// Reads nodes that may be blocks or inlines; `run` is the paragraph begun.
    fn flow(&self, nodes: Vec<Node>, out: &mut Vec<Block>, run: &mut Vec<Inline>) {
        for node in nodes {
            match node {
                Node::Element(element) if is_block(&element.name) => {
                    end_paragraph(run, out);
                    self.block(element, out);
                }
                // A transparent or inline element around blocks gives its style up for their sake.
                Node::Element(element) if is_transparent(&element) || has_blocks(&element) => {
                    self.flow(element.children, out, run);
                }
                other => self.inline(other, run),
            }
        }
    }

    fn block(&self, element: Element, out: &mut Vec<Block>) {
        match element.name.as_str() {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = element
                    .name
                    .bytes()
                    .last()
                    .map_or(1, |digit| digit.saturating_sub(b'0'));
                let mut content = self.inlines(element.children);
                whitespace::settle(&mut content);
                out.push(Block::Heading { level, content });
            }
            "ul" | "ol" => {
                let start = (element.name == "ol").then(|| {
                    element
                        .attribute("start")
                        .and_then(|start| start.trim().parse().ok())
                        .unwrap_or(1)
                });
                let items = element
                    .children
                    .into_iter()
                    .filter_map(|node| self.item(node))
                    .collect();
                out.push(Block::List { start, items });
            }
            "blockquote" => out.push(Block::Quote(self.blocks(element.children))),
            "pre" => out.push(code_block(&element)),
            "hr" => out.push(Block::Rule),
            "tr" => {
                let mut run = Vec::new();
                for node in element.children {
                    if !run.is_empty()
                        && matches!(&node, Node::Element(cell) if matches!(cell.name.as_str(), "td" | "th"))
                    {
                        run.push(Inline::Text(" | ".to_owned()));
                    }
                    match node {
                        Node::Element(cell) => run.extend(self.inlines(cell.children)),
                        Node::Text(_) => {}
                    }
                }
                end_paragraph(&mut run, out);
            }
            _ => out.extend(self.blocks(element.children)),
        }
    }

    fn item(&self, node: Node) -> Option<Vec<Block>> {
        let blocks = match node {
            Node::Element(item) if item.name == "li" => self.blocks(item.children),
            other => self.blocks(vec![other]),
        };
        (!blocks.is_empty()).then_some(blocks)
    }

    fn inlines(&self, nodes: Vec<Node>) -> Vec<Inline> {
        let mut out = Vec::new();
        for node in nodes {
            self.inline(node, &mut out);
        }
        out
    }

    fn inline(&self, node: Node, out: &mut Vec<Inline>) {
        let mut element = match node {
            Node::Text(text) => {
                let mut collapsed = String::with_capacity(text.len());
                whitespace::collapse(&text, &mut collapsed);
                out.push(Inline::Text(collapsed));
                return;
            }
            Node::Element(element) => element,
        };
        let children = std::mem::take(&mut element.children);
        match element.name.as_str() {
            "b" | "strong" => out.push(Inline::Strong(self.inlines(children))),
            "i" | "em" => out.push(Inline::Emphasis(self.inlines(children))),
            "u" | "ins" => out.push(Inline::Underline(self.inlines(children))),
            "s" | "strike" | "del" => out.push(Inline::Strike(self.inlines(children))),
            "code" | "tt" | "kbd" => out.push(Inline::Code(raw_text(&children).replace('\n', " "))),
            "br" => out.push(Inline::Break),
            "a" => self.link(&element, children, out),
            "img" => out.push(image(&element)),
            "span" | "font" => out.extend(self.styled(&element, children)),
            "mx-reply" | "script" | "style" | "head" | "title" => {}
            name if is_block(name) => {
                // A block where only inlines can be: its text on lines of its own.
                out.push(Inline::Break);
                out.extend(self.inlines(children));
                out.push(Inline::Break);
            }
            _ => out.extend(self.inlines(children)),
        }
    }

    fn styled(&self, element: &Element, children: Vec<Node>) -> Vec<Inline> {
        let colour = |names: [&str; 2]| {
            names
                .iter()
                .find_map(|name| element.attribute(name))
                .and_then(hex_colour)
        };
        let foreground = colour(["data-mx-color", "color"]);
        let background = colour(["data-mx-bg-color", "data-mx-bg-color"]);
        let mut content = self.inlines(children);
        if foreground.is_some() || background.is_some() {
            content = vec![Inline::Colour {
                foreground,
                background,
                content,
            }];
        }
        if let Some(reason) = element.attribute("data-mx-spoiler") {
            let reason = Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty());
            content = vec![Inline::Spoiler { reason, content }];
        }
        content
    }

    fn link(&self, element: &Element, children: Vec<Node>, out: &mut Vec<Inline>) {
        let content = self.inlines(children);
        let Some(url) = element.attribute("href").map(str::trim) else {
            out.extend(content);
            return;
        };
        let label = |fallback: &str| {
            let text = viaduct_model::document::inline_text(&content).replace('\n', " ");
            if text.trim().is_empty() {
                fallback.to_owned()
            } else {
                text.trim().to_owned()
            }
        };
        match matrix_link(url) {
            Some(MatrixLink::User(mxid)) => match target(&mxid, self.directory) {
                Some(target) => out.push(Inline::Mention(Mention {
                    label: label(&mxid),
                    target,
                })),
                None => out.extend(content),
            },
            Some(MatrixLink::Room(room)) => match ChannelId::new(&room) {
                Ok(id) => out.push(Inline::Channel {
                    place: Place::new(NetworkName::matrix(), id),
                    label: label(&room),
                }),
                Err(_) => out.extend(content),
            },
            None if is_safe_link(url) => out.push(Inline::Link {
                url: url.to_owned(),
                content,
            }),
            None => out.extend(content),
        }
    }
}

/// Whom a user id addresses.
pub(crate) fn target(mxid: &str, directory: &dyn Directory) -> Option<MentionTarget> {
    let (network, id) = match directory.ghost(mxid) {
        Some(person) => person,
        None => (NetworkName::matrix(), PersonId::new(mxid).ok()?),
    };
    Some(MentionTarget::Person { network, id })
}

fn end_paragraph(run: &mut Vec<Inline>, out: &mut Vec<Block>) {
    let mut content = std::mem::take(run);
    if !whitespace::is_blank(&content) {
        whitespace::settle(&mut content);
        out.push(Block::Paragraph(content));
    }
}

fn is_transparent(element: &Element) -> bool {
    matches!(
        element.name.as_str(),
        "html" | "body" | "center" | "section" | "article"
    )
}

/// Whether an element has a block among its children, however deep (the depth is bounded).
fn has_blocks(element: &Element) -> bool {
    !matches!(
        element.name.as_str(),
        "mx-reply" | "script" | "style" | "head" | "title" | "code"
    ) && element
        .children
        .iter()
        .any(|node| matches!(node, Node::Element(child) if is_block(&child.name) || has_blocks(child)))
}

fn code_block(element: &Element) -> Block {
    let language = element.children.iter().find_map(|node| match node {
        Node::Element(code) if code.name == "code" => code
            .attribute("class")?
            .split_whitespace()
            .find_map(|class| class.strip_prefix("language-"))
            .map(str::to_owned),
        _ => None,
    });
    let mut text = raw_text(&element.children);
    // HTML drops a line feed directly after <pre>.
    if matches!(element.children.first(), Some(Node::Text(first)) if first.starts_with('\n')) {
        text.remove(0);
    }
    Block::Code { language, text }
}

fn raw_text(nodes: &[Node]) -> String {
    let mut out = String::new();
    append_raw(nodes, &mut out);
    out
}

fn append_raw(nodes: &[Node], out: &mut String) {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Element(element) if element.name == "br" => out.push('\n'),
            Node::Element(element) => append_raw(&element.children, out),
        }
    }
}

fn image(element: &Element) -> Inline {
    let alt = element
        .attribute("alt")
        .or_else(|| element.attribute("title"))
        .unwrap_or_default();
    let source = element.attribute("src").filter(|source| source.starts_with("mxc://"));
    match source {
        Some(source) if element.attribute("data-mx-emoticon").is_some() => {
            let code = alt.trim().trim_matches(':');
            Inline::Emoji {
                code: if code.is_empty() {
                    "emoji".to_owned()
                } else {
                    code.to_owned()
                },
                image: Some(MediaRef {
                    network: NetworkName::matrix(),
                    locator: source.to_owned(),
                }),
            }
        }
        _ => Inline::Text(alt.to_owned()),
    }
}

fn hex_colour(text: &str) -> Option<Rgb> {
    let digits = text.trim().strip_prefix('#')?;
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some(Rgb(red, green, blue))
}
