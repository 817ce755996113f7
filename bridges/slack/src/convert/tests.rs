use proptest::prelude::*;
use viaduct_model::document::{Block, Document, Inline, MentionTarget};
use viaduct_model::{ChannelId, MediaRef, NetworkName, Person, PersonId, Place, arbitrary};

use super::mrkdwn::{Reader, blocks, escape, unescape};
use super::render::render;
use super::split::split;
use super::{World, rich};

/// A workspace with two people, a channel, a group and an emoji.
pub struct Sample(pub NetworkName);

impl Sample {
    pub fn new() -> Self {
        Self(NetworkName::new("acme-slack").unwrap())
    }
}

impl World for Sample {
    fn network(&self) -> &NetworkName {
        &self.0
    }
    fn person(&self, user: &str) -> Option<Person> {
        let name = match user {
            "U1" => "Ann",
            "U0123ABCD" => "Ben",
            _ => return None,
        };
        Some(Person {
            network: self.0.clone(),
            id: PersonId::new(user).unwrap(),
            name: name.to_owned(),
            avatar: None,
            organisation: None,
            bot: false,
        })
    }
    fn channel(&self, id: &str) -> Option<(Place, String)> {
        (id == "C0123ABCD").then(|| {
            (
                Place::new(self.0.clone(), ChannelId::new(id).unwrap()),
                "general".to_owned(),
            )
        })
    }
    fn channel_id(&self, place: &Place) -> Option<String> {
        (place.network == self.0 && place.channel.as_str() == "C0123ABCD").then(|| "C0123ABCD".to_owned())
    }
    fn group(&self, id: &str) -> Option<String> {
        (id == "S1").then(|| "team".to_owned())
    }
    fn emoji(&self, name: &str) -> Option<MediaRef> {
        (name == "partyparrot").then(|| MediaRef {
            network: self.0.clone(),
            locator: "emoji partyparrot".to_owned(),
        })
    }
}

fn read(json: &str) -> Document {
    let world = Sample::new();
    let mut reader = Reader::new(&world);
    Document {
        blocks: rich::blocks(json, &mut reader),
    }
    .normal()
}

fn round(document: &Document) -> Document {
    let rendered = render(document, &Sample::new());
    read(&serde_json::to_string(&rendered.blocks).unwrap())
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

proptest! {
    #[test]
    fn what_was_read_back_once_is_final(document in arbitrary::document()) {
        let once = round(&document.normal());
        let twice = round(&once);
        prop_assert_eq!(round(&twice), twice);
    }

    #[test]
    fn no_text_is_lost(text in arbitrary::text()) {
        let document = Document::plain(&text);
        let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
        prop_assert_eq!(visible(&round(&document).to_plain()), visible(&document.to_plain()));
    }

    #[test]
    fn nothing_in_text_addresses_anybody(text in arbitrary::text()) {
        let document = Document::plain(&text);
        let rendered = render(&document, &Sample::new());
        prop_assert!(!rendered.text.contains('<') && !rendered.text.contains('>'));
        let back = round(&document);
        let mut texts_only = true;
        back.each_inline(&mut |inline| texts_only &= matches!(inline, Inline::Text(_) | Inline::Break));
        prop_assert!(texts_only, "{:?}", back);
    }

    #[test]
    fn only_people_of_the_workspace_are_addressed(document in arbitrary::document()) {
        let document = document.normal();
        let count = |document: &Document| document.mentions().iter().filter(|mention| {
            matches!(&mention.target, MentionTarget::Person { network, id }
                if network.as_str() == "acme-slack" && id.as_str() == "U0123ABCD")
        }).count();
        let back = round(&document);
        prop_assert_eq!(back.mentions().len(), count(&back));
        prop_assert!(count(&back) <= count(&document));
    }

    #[test]
    fn letters_of_any_document_arrive(document in arbitrary::document()) {
        // People and channels of the workspace are named by their ids.
        let document = document.map_inlines(&mut |inline| match inline {
            Inline::Mention(_) | Inline::Channel { .. } => Vec::new(),
            other => vec![other],
        });
        let rendered = render(&document, &Sample::new());
        let sent = letters(&serde_json::to_string(&rendered.blocks).unwrap());
        for word in ["word", "Grüße", "日本語"] {
            let before = document.to_plain().matches(word).count();
            prop_assert!(before == 0 || sent.contains(word), "{}", word);
        }
    }

    #[test]
    fn any_json_is_read(text in arbitrary::text(), kind in "[a-z_]{0,12}") {
        let json = serde_json::json!([{"type": kind, "text": text, "elements": [{"type": kind, "text": {"text": text}}]}]);
        drop(read(&json.to_string()));
        drop(read(&text));
    }

    #[test]
    fn any_markup_is_read_and_loses_no_letters(text in arbitrary::text()) {
        let text = text.replace(":smile:", "");
        let world = Sample::new();
        let mut reader = Reader::new(&world);
        let document = Document { blocks: blocks(&escape(&text), &mut reader) };
        prop_assert_eq!(letters(&document.to_plain()), letters(&text));
        let mut reader = Reader::new(&world);
        drop(blocks(&text, &mut reader));
    }

    #[test]
    fn escaping_is_undone(text in "[a-z<>& ;]{0,40}") {
        prop_assert_eq!(unescape(&escape(&text)), text);
    }

    #[test]
    fn pieces_fit_and_say_everything(document in arbitrary::document(), bytes in 100_usize..400) {
        let document = document.normal();
        let before = letters(&document.to_plain());
        let pieces = split(document, bytes);
        for piece in &pieces {
            prop_assert!(piece.to_plain().len() <= bytes * 2, "{} > {}", piece.to_plain().len(), bytes);
        }
        let said: String = pieces.iter().map(|piece| letters(&piece.to_plain())).collect();
        // Numbers in front of list items may be said again.
        prop_assert!(said.len() >= before.len().saturating_sub(before.len() / 10));
    }
}

#[test]
fn a_formatted_text_comes_back_as_it_was() {
    let text = |text: &str| Inline::Text(text.to_owned());
    let paragraph = |content: &str| vec![Block::Paragraph(vec![text(content)])];
    let document = Document {
        blocks: vec![
            Block::Paragraph(vec![
                Inline::Strong(vec![text("bold")]),
                text(" and "),
                Inline::Emphasis(vec![Inline::Strike(vec![text("gone")])]),
                Inline::Break,
                Inline::Code("a < b".to_owned()),
                Inline::Link {
                    url: "https://example.org/?a=b&c".to_owned(),
                    content: vec![text("here")],
                },
            ]),
            Block::Paragraph(vec![text("second")]),
            Block::Quote(paragraph("quoted")),
            Block::List {
                start: Some(3),
                items: vec![
                    paragraph("three"),
                    vec![
                        Block::Paragraph(vec![text("four")]),
                        Block::List {
                            start: None,
                            items: vec![paragraph("deeper")],
                        },
                    ],
                    paragraph("five"),
                ],
            },
            Block::Rule,
            Block::Code {
                language: None,
                text: "let a;\n  let b;".to_owned(),
            },
        ],
    };
    let back = round(&document);
    // A list that is interrupted by a deeper one goes on as it was.
    assert_eq!(back.to_plain(), document.to_plain());
    assert_eq!(back, document);
}

#[test]
fn markup_of_automata_is_read() {
    let world = Sample::new();
    let mut reader = Reader::new(&world);
    let text = "*Build* _failed_ for <@U1>, <!here> <!subteam^S1> in <#C0123ABCD|x> <https://ci.example/1|log> :tada: \
                :partyparrot: 2*3*4 `a &lt; b` &amp; <!date^1^x|Monday>\n&gt; said\n```code\nmore```";
    let document = Document {
        blocks: blocks(text, &mut reader),
    };
    insta::assert_snapshot!(document.to_plain(), @r"
    Build failed for @Ann, @here @team in #general log <https://ci.example/1> 🎉 :partyparrot: 2*3*4 a < b & Monday

    > said

    code
    more
    ");
    assert_eq!(document.mentions().len(), 3);
    assert!(reader.missing.is_empty());
}
