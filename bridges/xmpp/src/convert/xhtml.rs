//! XHTML-IM (XEP-0071) as rich text. Never written.
//!
//! Total and bounded: what is not known is read as its text, what is too deep or too much is left out.

use viaduct_model::document::{Block, Document, Inline, is_safe_link};
use xmpp_parsers::minidom::{Element, Node};

/// How deep elements may nest.
const DEPTH: usize = 32;
/// How many nodes are read.
const NODES: usize = 5_000;

/// Reads the body of a message's markup.
pub fn parse(body: &Element) -> Document {
    let mut reader = Reader { left: NODES };
    Document {
        blocks: reader.blocks(body, 0),
    }
    .normal()
}

struct Reader {
    left: usize,
}

impl Reader {
    fn spend(&mut self) -> bool {
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }

    fn blocks(&mut self, element: &Element, depth: usize) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut line: Vec<Inline> = Vec::new();
        for node in element.nodes() {
            match node {
                Node::Element(child) if depth < DEPTH && is_block(child.name()) => {
                    if self.spend() {
                        end_line(&mut line, &mut blocks);
                        self.block(child, depth + 1, &mut blocks);
                    }
                }
                node => self.inline(node, depth, &mut line),
            }
        }
        end_line(&mut line, &mut blocks);
        blocks
    }

    fn block(&mut self, element: &Element, depth: usize, blocks: &mut Vec<Block>) {
        match element.name() {
            "blockquote" => blocks.push(Block::Quote(self.blocks(element, depth))),
            "pre" => blocks.push(Block::Code {
                language: None,
                text: self.text(element, depth),
            }),
            "hr" => blocks.push(Block::Rule),
            "ul" | "ol" | "dl" => {
                let mut items = Vec::new();
                for node in element.nodes() {
                    match node {
                        Node::Element(item) if self.spend() => items.push(self.blocks(item, depth)),
                        Node::Text(text) if !text.trim().is_empty() && self.spend() => {
                            items.push(Document::plain(text.trim()).blocks);
                        }
                        _ => {}
                    }
                }
                let start = (element.name() == "ol").then_some(1);
                blocks.push(Block::List { start, items });
            }
            name => match heading(name) {
                Some(level) => {
                    let content = self.inlines(element, depth);
                    blocks.push(Block::Heading { level, content });
                }
                None => blocks.extend(self.blocks(element, depth)),
            },
        }
    }

    fn inlines(&mut self, element: &Element, depth: usize) -> Vec<Inline> {
        let mut content = Vec::new();
        for node in element.nodes() {
            self.inline(node, depth, &mut content);
        }
        content
    }

    fn inline(&mut self, node: &Node, depth: usize, line: &mut Vec<Inline>) {
        if !self.spend() || depth >= DEPTH {
            return;
        }
        let element = match node {
            Node::Text(text) => return push_text(text, line),
            Node::Element(element) => element,
        };
        match element.name() {
            "br" => line.push(Inline::Break),
            "img" => line.extend(image(element)),
            "code" | "tt" | "kbd" | "samp" => line.push(Inline::Code(self.text(element, depth + 1))),
            "script" | "style" | "head" | "title" => {}
            name => {
                let content = self.inlines(element, depth + 1);
                match name {
                    "strong" | "b" => line.push(Inline::Strong(content)),
                    "em" | "i" | "cite" | "dfn" | "var" => line.push(Inline::Emphasis(content)),
                    "u" | "ins" => line.push(Inline::Underline(content)),
                    "s" | "del" | "strike" => line.push(Inline::Strike(content)),
                    "a" => match element.attr("href").filter(|url| is_safe_link(url)) {
                        Some(url) => line.push(Inline::Link {
                            url: url.to_owned(),
                            content,
                        }),
                        None => line.extend(content),
                    },
                    _ => line.extend(styled(element.attr("style").unwrap_or_default(), content)),
                }
            }
        }
    }

    /// The text below an element, as it stands.
    fn text(&mut self, element: &Element, depth: usize) -> String {
        let mut text = String::new();
        for node in element.nodes() {
            if !self.spend() || depth >= DEPTH {
                break;
            }
            match node {
                Node::Text(part) => text.push_str(part),
                Node::Element(child) if child.name() == "br" => text.push('\n'),
                Node::Element(child) => text.push_str(&self.text(child, depth + 1)),
            }
        }
        text
    }
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div" | "blockquote" | "pre" | "hr" | "ul" | "ol" | "dl" | "address" | "body"
    ) || heading(name).is_some()
}

fn heading(name: &str) -> Option<u8> {
    let level = name.strip_prefix('h')?.parse().ok()?;
    (1..=6).contains(&level).then_some(level)
}

fn end_line(line: &mut Vec<Inline>, blocks: &mut Vec<Block>) {
    let content = std::mem::take(line);
    let blank = |inline: &Inline| matches!(inline, Inline::Text(text) if text.trim().is_empty());
    if !content.iter().all(blank) {
        blocks.push(Block::Paragraph(content));
    }
}

/// White space in markup is one blank.
fn push_text(text: &str, line: &mut Vec<Inline>) {
    let mut words = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if c.is_whitespace() { ' ' } else { c };
        if c != ' ' || !words.ends_with(' ') {
            words.push(c);
        }
    }
    line.push(Inline::Text(words));
}

fn image(element: &Element) -> Option<Inline> {
    let alternative = element.attr("alt").map(str::trim).filter(|text| !text.is_empty());
    let source = element
        .attr("src")
        .filter(|url| is_safe_link(url) && url.starts_with("http"));
    match (alternative, source) {
        (label, Some(url)) => Some(Inline::Link {
            url: url.to_owned(),
            content: vec![Inline::Text(label.unwrap_or(url).to_owned())],
        }),
        (Some(label), None) => Some(Inline::Text(label.to_owned())),
        (None, None) => None,
    }
}

/// What the recommended styles mean.
fn styled(style: &str, mut content: Vec<Inline>) -> Vec<Inline> {
    for declaration in style.split(';').take(20) {
        let Some((property, value)) = declaration.split_once(':') else {
            continue;
        };
        content = match (property.trim(), value.trim()) {
            ("font-weight", "bold" | "bolder" | "600" | "700" | "800" | "900") => vec![Inline::Strong(content)],
            ("font-style", "italic" | "oblique") => vec![Inline::Emphasis(content)],
            ("text-decoration", "underline") => vec![Inline::Underline(content)],
            ("text-decoration", "line-through") => vec![Inline::Strike(content)],
            _ => content,
        };
    }
    content
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(inner: &str) -> Document {
        parse(
            &format!("<body xmlns='http://www.w3.org/1999/xhtml'>{inner}</body>")
                .parse()
                .unwrap(),
        )
    }

    #[test]
    fn markup_becomes_rich_text() {
        let text = |text: &str| Inline::Text(text.into());
        assert_eq!(
            read("<p>a <strong>b</strong>\n <em>c</em></p>"),
            Document::paragraph(vec![
                text("a "),
                Inline::Strong(vec![text("b")]),
                text(" "),
                Inline::Emphasis(vec![text("c")])
            ])
        );
        let link = read("<a href='https://x.example/'>x</a><a href='javascript:alert(1)'>y</a>");
        assert_eq!(
            link,
            Document::paragraph(vec![
                Inline::Link {
                    url: "https://x.example/".into(),
                    content: vec![text("x")]
                },
                text("y")
            ])
        );
        let struck = read("<span style='font-weight: bold; text-decoration: line-through'>z</span>");
        assert!(struck.to_plain().contains('z') && format!("{struck:?}").contains("Strike"));
        let list = read("<ol><li>one</li><li>two</li></ol><pre>a\n  b</pre><blockquote>q</blockquote>");
        assert!(
            matches!(&list.blocks[..], [Block::List { start: Some(1), items }, Block::Code { text, .. }, Block::Quote(_)]
            if items.len() == 2 && text == "a\n  b")
        );
        assert_eq!(
            read("<script>evil()</script><img src='cid:x' alt='cat'/>").to_plain(),
            "cat"
        );
    }

    #[test]
    fn endless_markup_ends() {
        let deep = format!("{}x{}", "<span>".repeat(90), "</span>".repeat(90));
        assert!(read(&deep).is_empty());
        let wide = read(&"<b>x</b>".repeat(9_000));
        assert!(wide.to_plain().len() <= NODES);
    }

    fn all(element: &Element) -> String {
        let texts = element.nodes().map(|node| match node {
            Node::Text(text) => text.clone(),
            Node::Element(child) => all(child),
        });
        texts.collect()
    }

    fn markup() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-z *_~`&&[^<>&]]{0,8}".prop_map(|text| text.replace('&', "&amp;")),
            Just("<br/>".to_owned()),
            Just("<hr/>".to_owned())
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            let names = prop::sample::select(vec![
                "p",
                "ul",
                "li",
                "b",
                "a",
                "pre",
                "code",
                "span",
                "blockquote",
                "h2",
            ]);
            (names, prop::collection::vec(inner, 0..5))
                .prop_map(|(name, inner)| format!("<{name}>{}</{name}>", inner.concat()))
        })
    }

    proptest! {
        #[test]
        fn no_text_is_lost(markup in markup()) {
            let letters = |text: &str| text.chars().filter(char::is_ascii_lowercase).collect::<String>();
            let element: Element = format!("<body xmlns='http://www.w3.org/1999/xhtml'>{markup}</body>").parse().unwrap();
            prop_assert_eq!(letters(&parse(&element).to_plain()), letters(&all(&element)));
        }
    }
}
