//! What holds for any input.

use proptest::prelude::*;
use serde_json::json;
use viaduct_model::document::{Mention, MentionTarget, Rgb};
use viaduct_model::{Block, Document, Inline, MediaRef, NetworkName, PersonId};

use super::conversion::{event, read};
use super::inbound::convert;
use super::render::render;
use super::world::world;

fn word() -> impl Strategy<Value = String> + Clone {
    "[^\\s\\p{Cc}]{1,6}( [^\\s\\p{Cc}]{1,6}){0,2}"
}

fn inline() -> impl Strategy<Value = Inline> + Clone {
    let person = |network: &str, id: &str| MentionTarget::Person {
        network: NetworkName::new(network).unwrap(),
        id: PersonId::new(id).unwrap(),
    };
    let leaf = prop_oneof![
        4 => word().prop_map(Inline::Text),
        1 => word().prop_map(Inline::Code),
        1 => word().prop_map(move |label| Inline::Mention(Mention { label, target: person("irc", "Bob [x]") })),
        1 => word().prop_map(move |label| Inline::Mention(Mention { label, target: person("matrix", "@a/b:example.org") })),
        1 => Just(Inline::Break),
        1 => "[a-z]{1,8}".prop_map(|code| Inline::Emoji {
            code,
            image: Some(MediaRef { network: NetworkName::matrix(), locator: "mxc://a/b".into() }),
        }),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let run = run_of(inner);
        prop_oneof![
            run.clone().prop_map(Inline::Strong),
            run.clone().prop_map(Inline::Emphasis),
            run.clone().prop_map(Inline::Underline),
            run.clone().prop_map(Inline::Strike),
            run.clone().prop_map(|content| Inline::Spoiler {
                reason: Some("plot".into()),
                content
            }),
            run.clone().prop_map(|content| Inline::Colour {
                foreground: Some(Rgb(1, 2, 254)),
                background: None,
                content
            }),
            (word(), run).prop_map(|(path, content)| Inline::Link {
                url: format!("https://example.org/{path}"),
                content
            }),
        ]
    })
}

/// A run that says something: what is only line breaks is not kept.
fn run_of(inner: impl Strategy<Value = Inline> + Clone) -> impl Strategy<Value = Vec<Inline>> + Clone {
    (word(), prop::collection::vec(inner, 0..3)).prop_map(|(first, mut rest)| {
        rest.insert(0, Inline::Text(first));
        rest
    })
}

fn block() -> impl Strategy<Value = Block> {
    let run = || run_of(inline());
    let leaf = prop_oneof![
        4 => run().prop_map(Block::Paragraph),
        1 => (1..7_u8, run()).prop_map(|(level, content)| Block::Heading { level, content }),
        1 => (prop::option::of("[a-z]{1,5}"), "\\PC{1,20}(\n\\PC{0,9})?").prop_map(|(language, text)| Block::Code { language, text }),
        1 => Just(Block::Rule),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Block::Quote),
            (
                prop::option::of(0..99_u64),
                prop::collection::vec(prop::collection::vec(inner, 1..3), 1..3)
            )
                .prop_map(|(start, items)| Block::List { start, items }),
        ]
    })
}

proptest! {
    #[test]
    fn html_comes_back_as_the_same_document(blocks in prop::collection::vec(block(), 1..4)) {
        let document = Document { blocks }.normal();
        // A picture in an otherwise blank paragraph counts as something; breaks alone do not.
        prop_assume!(!document.blocks.is_empty());
        let written = render(&document, &world());
        let back = read(&written);
        prop_assert_eq!(back, document.clone().normal(), "{}", written);
    }

    #[test]
    fn any_html_is_read_and_written(text in "(<(/?)(b|p|ul|li|a href='|span data-mx-spoiler=|pre|code|h1|blockquote|mx-reply|br|table|td)>?|\\PC|\n| ){0,60}") {
        let document = read(&text);
        prop_assert_eq!(document.clone().normal(), document.clone());
        read(&render(&document, &world()));
    }

    #[test]
    fn any_content_is_converted_without_panic(
        kind in prop::sample::select(vec!["m.room.message", "m.sticker", "m.reaction", "m.room.redaction", "m.room.member",
            "m.room.power_levels", "m.room.topic", "m.room.name", "m.room.avatar", "m.room.pinned_events"]),
        key in prop::sample::select(vec!["msgtype", "body", "formatted_body", "format", "m.relates_to", "m.new_content",
            "membership", "users", "pinned", "url", "info", "m.mentions", "redacts", "filename"]),
        other in prop::sample::select(vec!["msgtype", "body", "m.relates_to", "users_default", "displayname"]),
        text in "\\PC{0,20}",
        shape in 0..6,
    ) {
        let value = match shape {
            0 => json!(text),
            1 => json!({ "event_id": text, "rel_type": "m.replace", "key": text, "user_ids": [text, 1], "room": true }),
            2 => json!([text, null, 1]),
            3 => json!(null),
            4 => json!(-1e300),
            _ => json!({ "m.in_reply_to": text, "rel_type": "m.thread", "w": -1, "size": "x", "@a:b": {} }),
        };
        for state_key in [json!({}), json!({ "state_key": text })] {
            let content = json!({ "msgtype": "m.text", "membership": "join", key: value, other: text });
            drop(convert(&event(kind, content, state_key), &world()));
        }
    }
}
