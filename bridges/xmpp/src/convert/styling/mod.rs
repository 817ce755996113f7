//! XEP-0393 Message Styling as rich text, both ways.
//!
//! Styling has no way to escape its own characters. Where literal text would be taken for styling, the renderer either has
//! the whole message marked as unstyled (when it needs no styling at all), or puts an invisible [`GUARD`] in front of the
//! character; the parser drops guards again.

mod parse;
mod render;

pub use parse::parse;
pub use render::{Rendered, render};

/// WORD JOINER: invisible, and neither white space nor a directive, so that nothing can open or close at it.
pub const GUARD: char = '\u{2060}';

const DIRECTIVES: [char; 4] = ['*', '_', '~', '`'];
const FENCE: &str = "```";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use viaduct_model::document::{Block, Document, Inline};

    use super::*;

    fn text(text: &str) -> Inline {
        Inline::Text(text.to_owned())
    }

    fn paragraph(content: Vec<Inline>) -> Document {
        Document::paragraph(content)
    }

    #[test]
    fn spans_are_read_as_the_specification_shows() {
        assert_eq!(parse("*strong*"), paragraph(vec![Inline::Strong(vec![text("strong")])]));
        assert_eq!(
            parse("plain * not strong * text"),
            paragraph(vec![text("plain * not strong * text")])
        );
        assert_eq!(parse("not*strong*"), paragraph(vec![text("not*strong*")]));
        assert_eq!(
            parse("*a _b_*"),
            paragraph(vec![Inline::Strong(vec![
                text("a "),
                Inline::Emphasis(vec![text("b")])
            ])])
        );
        assert_eq!(
            parse("`*code*` ~x~"),
            paragraph(vec![
                Inline::Code("*code*".into()),
                text(" "),
                Inline::Strike(vec![text("x")]),
            ])
        );
        assert_eq!(parse("**"), paragraph(vec![text("**")]));
        assert_eq!(parse("*a\nb*").to_plain(), "*a\nb*");
    }

    #[test]
    fn blocks_are_read() {
        let document = parse("> quoted\n> > deeper\n\nsaid\n```rust\nlet x;\n```\nend");
        assert_eq!(
            document.blocks,
            [
                Block::Quote(vec![
                    Block::Paragraph(vec![text("quoted")]),
                    Block::Quote(vec![Block::Paragraph(vec![text("deeper")])]),
                ]),
                Block::Paragraph(vec![text("said")]),
                Block::Code {
                    language: Some("rust".into()),
                    text: "let x;".into()
                },
                Block::Paragraph(vec![text("end")]),
            ]
        );
    }

    #[test]
    fn literal_characters_stay_literal() {
        let plain = Document::plain("*not strong*");
        assert_eq!(
            render(&plain),
            Rendered {
                body: "*not strong*".into(),
                unstyled: true
            }
        );
        let mixed = paragraph(vec![text("*a* "), Inline::Strong(vec![text("b")])]);
        assert_eq!(render(&mixed).body, "\u{2060}*a* *b*");
        assert_eq!(parse(&render(&mixed).body), mixed);
    }

    fn words() -> impl Strategy<Value = String> {
        "[a-c*_~`> \u{e9}]{1,8}"
    }

    fn inline() -> impl Strategy<Value = Inline> {
        let leaf = prop_oneof![
            words().prop_map(Inline::Text),
            words().prop_map(Inline::Code),
            Just(Inline::Break),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            let content = prop::collection::vec(inner, 1..3);
            prop_oneof![
                content.clone().prop_map(Inline::Strong),
                content.clone().prop_map(Inline::Emphasis),
                content.prop_map(Inline::Strike),
            ]
        })
    }

    fn document() -> impl Strategy<Value = Document> {
        let block = prop_oneof![
            prop::collection::vec(inline(), 1..5).prop_map(Block::Paragraph),
            words().prop_map(|text| Block::Code { language: None, text }),
        ];
        let block = block.prop_recursive(2, 8, 3, |inner| {
            prop::collection::vec(inner, 1..3).prop_map(Block::Quote)
        });
        prop::collection::vec(block, 1..4).prop_map(|blocks| Document { blocks })
    }

    /// Everything that can be read, in order, without what styling and layout add.
    fn letters(text: &str) -> String {
        text.chars().filter(|character| character.is_alphanumeric()).collect()
    }

    /// Everything in a document, the names of languages too.
    fn readable(blocks: &[Block]) -> String {
        let one = |block: &Block| match block {
            Block::Quote(inner) => readable(inner),
            Block::Code { language, text } => format!("{}{text}", language.as_deref().unwrap_or_default()),
            other => Document {
                blocks: vec![other.clone()],
            }
            .to_plain(),
        };
        blocks.iter().map(one).collect()
    }

    /// Each letter with the styles it stands in, without those that styling cannot always say.
    fn styles(document: &Document) -> Vec<(char, bool, bool, bool)> {
        fn walk(content: &[Inline], state: (bool, bool, bool), out: &mut Vec<(char, bool, bool, bool)>) {
            for inline in content {
                match inline {
                    Inline::Text(text) | Inline::Code(text) => {
                        out.extend(
                            text.chars()
                                .filter(|c| c.is_alphanumeric())
                                .map(|c| (c, state.0, state.1, state.2)),
                        );
                    }
                    Inline::Strong(inner) => walk(inner, (true, state.1, state.2), out),
                    Inline::Emphasis(inner) => walk(inner, (state.0, true, state.2), out),
                    Inline::Strike(inner) => walk(inner, (state.0, state.1, true), out),
                    _ => {}
                }
            }
        }
        fn blocks(list: &[Block], out: &mut Vec<(char, bool, bool, bool)>) {
            for block in list {
                match block {
                    Block::Paragraph(content) => walk(content, (false, false, false), out),
                    Block::Quote(inner) => blocks(inner, out),
                    Block::Code { text, .. } => walk(&[Inline::Code(text.clone())], (false, false, false), out),
                    _ => {}
                }
            }
        }
        let mut out = Vec::new();
        blocks(&document.blocks, &mut out);
        out
    }

    proptest! {
        #[test]
        fn parsing_is_total_and_loses_no_letter(body in "[ab>*_~` \n\u{2060}]{0,60}") {
            prop_assert_eq!(letters(&readable(&parse(&body).blocks)), letters(&body));
        }

        #[test]
        fn rendering_loses_no_letter_and_invents_no_style(document in document()) {
            let document = document.normal();
            let rendered = render(&document);
            prop_assert_eq!(letters(&rendered.body), letters(&document.to_plain()));
            if !rendered.unstyled {
                let read = styles(&parse(&rendered.body));
                let wanted = styles(&document);
                prop_assert_eq!(read.len(), wanted.len());
                for (read, wanted) in read.iter().zip(&wanted) {
                    prop_assert!(read.0 == wanted.0 && read.1 <= wanted.1 && read.2 <= wanted.2 && read.3 <= wanted.3,
                        "{:?} became {:?} in {:?}", wanted, read, rendered.body);
                }
            }
        }
    }

    #[test]
    fn what_was_read_is_written_the_same() {
        for body in ["*a* _b *c*_", "> q\n\nsaid `x*y`", "```\n*x*\n```", "~a b~ *c*d"] {
            assert_eq!(parse(&render(&parse(body)).body), parse(body), "{body}");
        }
    }
}
