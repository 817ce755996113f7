//! Ways around a filter that do not lead around this one: each must be refused, and with masking, leave nothing readable.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod common;

use common::lists::{Lists, filter_of, refusing};
use common::{decided, decided_with, filter, outbound, said, verdict, written};
use viaduct_compliance::{Context, Filter, Rule, TextPart};
use viaduct_model::document::{Mention, MentionTarget};
use viaduct_model::{
    Attachment, AttachmentKind, Block, Content, Document, Inline, MediaRef, Membership, Message, MessageId,
    NetworkName, Outbound, Person, Reaction,
};

const IBAN: &str = "DE89 3704 0044 0532 0130 00";

fn strict() -> Filter {
    filter(
        r#"
        rules:
          - { name: numbers, detectors: [iban, card, secret, private_key], action: refuse }
          - { name: words, words: { terms: ["Projekt Falke", Falkenhorst] }, action: refuse }
          - { name: own, patterns: ['ACME-\d{4}'], action: refuse }
        "#,
    )
}

fn text(text: &str) -> Inline {
    Inline::Text(text.to_owned())
}

fn person(name: &str) -> Person {
    Person {
        name: name.to_owned(),
        ..said("").author.person
    }
}

fn edit(new: &str) -> Outbound {
    outbound(Content::Edit {
        target: MessageId::new("x").unwrap(),
        message: Message::plain(new),
    })
}

#[test]
fn characters_do_not_hide() {
    let filter = strict();
    for hidden in [
        "Projekt Falke",
        "PROJEKT\u{a0}FALKE",
        "Pro\u{200b}jekt Fal\u{200d}ke",
        "Pro\u{ad}jekt Fa\u{2060}lke",
        "P\u{200e}rojekt \u{202a}Falke\u{202c}",
        "Рrоjеkt Fаlkе",
        "Ｐｒｏｊｅｋｔ　Ｆａｌｋｅ",
        "𝐏𝐫𝐨𝐣𝐞𝐤𝐭 𝓕𝓪𝓵𝓴𝓮",
        "P\u{336}r\u{336}o\u{336}j\u{336}e\u{336}k\u{336}t F\u{301}alke",
        "Projekt\tFalke",
        "Projekt\0 Falke",
        "Projekt\u{feff} Falke\u{fe0f}",
        "Projekt Falke\u{e0041}\u{e007f}",
        "DE89\u{200b}370400440532013000",
        "DE89-3704-0044-0532-0130-00",
        "DE89.3704.0044.0532.0130.00",
        "DE89–3704–0044–0532–0130–00",
        "de89 3704 0044 0532 0130 00",
        "DE８９３７０４００４４０５３２０１３０００",
        "DE٨٩٣٧٠٤٠٠٤٤٠٥٣٢٠١٣٠٠٠",
        "ＤＥ89370400440532013000",
        "DЕ89370400440532013000",
        "D E 8 9 3 7 0 4 0 0 4 4 0 5 3 2 0 1 3 0 0 0",
        "DE89370400\n440532013000",
        "4111\u{200b}1111\u{200b}1111\u{200b}1111",
        "④①①① ①①①① ①①①① ①①①①",
        "𝟜𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙𝟙",
        "4111_1111_1111_1111",
        "❹❶❶❶ ❶❶❶❶ ❶❶❶❶ ❶❶❶❶",
        "4️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣",
        "🇩🇪89370400440532013000",
        "🅟🅡🅞🅙🅔🅚🅣 🅵🅰🅻🅺🅴",
        "\u{202e}eklaF tkejorP\u{202c}",
        "\u{202e}00 0310 2350 4400 4073 98ED",
        "АСМЕ-1234",
        "ACME‐1234",
        "ghp_0123456789abcdefghij\u{200b}ABCDEFGHIJ012345",
    ] {
        assert_eq!(decided(&filter, said(hidden)), "refuse", "{hidden:?}");
    }
    assert_eq!(
        decided(&filter, said("Das Projekt läuft, der Falke fliegt, DE89 3704 0044")),
        "pass"
    );
}

#[test]
fn markup_does_not_hide() {
    let filter = strict();
    let mention = Mention {
        label: "jekt".to_owned(),
        target: MentionTarget::Everyone,
    };
    let split = [
        vec![text("Pro"), Inline::Strong(vec![text("je")]), text("kt Falke")],
        vec![text("Pro"), Inline::Mention(mention), text(" Falke")],
        vec![
            Inline::Code("Projekt".to_owned()),
            text(" "),
            Inline::Spoiler {
                reason: None,
                content: vec![text("Falke")],
            },
        ],
        vec![text("Projekt"), Inline::Break, text("Falke")],
        vec![
            text("DE89 3704 "),
            Inline::Link {
                url: "https://example.org".to_owned(),
                content: vec![text("0044 05")],
            },
            Inline::Emphasis(vec![Inline::Strike(vec![text("32 0130 00")])]),
        ],
        vec![Inline::Link {
            url: format!("https://example.org/?{}", IBAN.replace(' ', "")),
            content: vec![text("x")],
        }],
        vec![Inline::Link {
            url: "https://example.org/?q=%44E89%203704%200044%200532%200130%2000".to_owned(),
            content: vec![text("x")],
        }],
        vec![Inline::Link {
            url: "https://example.org/Projekt%20F%61lke".to_owned(),
            content: vec![text("x")],
        }],
        vec![Inline::Spoiler {
            reason: Some("Projekt Falke".to_owned()),
            content: vec![text("x")],
        }],
        vec![
            text("4111"),
            Inline::Strong(vec![]),
            text("1111"),
            Inline::Strong(vec![text("11111111")]),
        ],
    ];
    for inlines in split {
        let document = Document::paragraph(inlines);
        assert_eq!(decided(&filter, written(document.clone())), "refuse", "{document:?}");
    }
    let language = Block::Code {
        language: Some("ACME-1234".to_owned()),
        text: "x".to_owned(),
    };
    let lists = [
        Block::List {
            start: None,
            items: vec![vec![Block::Quote(vec![Block::Paragraph(vec![text(IBAN)])])]],
        },
        Block::Heading {
            level: 1,
            content: vec![text("Projekt Falke")],
        },
        Block::Code {
            language: None,
            text: "-----BEGIN RSA PRIVATE KEY-----\nMII".to_owned(),
        },
        language,
    ];
    for block in lists {
        assert_eq!(
            decided(
                &filter,
                written(Document {
                    blocks: vec![block.clone()]
                })
            ),
            "refuse",
            "{block:?}"
        );
    }
    let halves = vec![
        Block::Paragraph(vec![text("DE89 3704 0044")]),
        Block::Paragraph(vec![text("0532 0130 00")]),
    ];
    assert_eq!(
        decided(&filter, written(Document { blocks: halves })),
        "refuse",
        "over two paragraphs"
    );
}

/// The same by keyed hashes, of which the filter knows no value.
fn protecting() -> Filter {
    let lists = Lists::new();
    filter_of(vec![Rule {
        values: Some(lists.values(&format!("Projekt Falke\nFalkenhorst\nACME-1234\n{IBAN}"))),
        texts: TextPart::SAID.to_vec(),
        ..refusing("values")
    }])
}

#[test]
fn every_text_of_every_event_is_read() {
    for filter in [strict(), protecting()] {
        every_text_is_read(&filter);
    }
}

fn every_text_is_read(filter: &Filter) {
    let target = || MessageId::new("x").unwrap();
    let reason = || Some("Projekt Falke".to_owned());
    let attachment = Attachment {
        media: MediaRef {
            network: NetworkName::matrix(),
            locator: "mxc://x/y".to_owned(),
        },
        name: "Projekt Falke.pdf".to_owned(),
        mime: None,
        size: None,
        kind: AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    };
    let claimed = Attachment {
        name: "x".to_owned(),
        mime: Some("x/ACME-1234".to_owned()),
        ..attachment.clone()
    };
    let captioned = Message {
        attachments: vec![claimed.clone()],
        ..Message::plain(IBAN)
    };
    let captioned = Message {
        attachments: vec![Attachment {
            mime: None,
            ..claimed.clone()
        }],
        ..captioned
    };
    let reaction = || Reaction {
        key: "ACME-1234".to_owned(),
        image: None,
    };
    for content in [
        Content::Message(Message {
            attachments: vec![attachment],
            ..Message::default()
        }),
        Content::Message(Message {
            attachments: vec![claimed],
            ..Message::default()
        }),
        Content::Message(captioned),
        Content::Edit {
            target: target(),
            message: Message::plain("Projekt Falke"),
        },
        Content::Delete {
            target: target(),
            reason: reason(),
        },
        Content::React {
            target: target(),
            reaction: reaction(),
        },
        Content::Unreact {
            target: target(),
            reaction: reaction(),
        },
        Content::Membership {
            person: person("x"),
            change: Membership::Kick,
            reason: reason(),
        },
        Content::Membership {
            person: person("Projekt Falke"),
            change: Membership::Join,
            reason: None,
        },
        Content::Membership {
            person: person("x"),
            change: Membership::Rename {
                from: "Projekt Falke".to_owned(),
            },
            reason: None,
        },
        Content::Topic {
            topic: format!("Konto {IBAN}"),
        },
        Content::Name {
            name: "Falkenhorst".to_owned(),
        },
        Content::Closed {
            reason: "Falkenhorst".to_owned(),
        },
    ] {
        assert_eq!(decided(filter, outbound(content.clone())), "refuse", "{content:?}");
    }
    let mut shown = said("hello");
    "Projekt Falke".clone_into(&mut shown.author.display);
    assert_eq!(decided(filter, shown), "refuse", "the name shown");
    let mut named = said("hello");
    "Projekt Falke".clone_into(&mut named.author.person.name);
    assert_eq!(decided(filter, named), "refuse", "the person's name");
}

#[test]
fn an_edit_is_read_together_with_what_it_replaces() {
    let filter = strict();
    for (first, second) in [
        ("DE89 3704 0044", "0532 0130 00"),
        ("DE89370400", "440532013000"),
        ("0532 0130 00", "DE89 3704 0044"),
        ("Projekt ", "Falke"),
        ("Falken", "horst"),
        ("4111 1111", "1111 1111"),
    ] {
        let previous = Message::plain(first);
        let context = Context {
            previous: Some(&previous),
            ..Context::default()
        };
        assert_eq!(decided(&filter, edit(second)), "pass", "{second:?} alone says nothing");
        assert_eq!(
            decided_with(&filter, &context, edit(second)),
            "refuse",
            "{first:?} + {second:?}"
        );
    }
    let previous = Message::plain("Projekt Falke ist geheim");
    let context = Context {
        previous: Some(&previous),
        ..Context::default()
    };
    assert_eq!(
        decided_with(&filter, &context, edit("etwas anderes")),
        "pass",
        "the old wording alone was decided before"
    );
    let masking = common::filter("rules: [{ name: m, detectors: [iban], action: mask }]");
    let previous = Message::plain("DE89 3704 0044");
    let context = Context {
        previous: Some(&previous),
        ..Context::default()
    };
    let decision = masking.decide_with(&context, edit("0532 0130 00 danke"));
    match decision {
        viaduct_compliance::Decision::Pass { outbound, .. } => {
            assert_eq!(
                outbound.content.message().unwrap().body.to_plain(),
                "████ ████ ██ danke"
            );
        }
        other => panic!("{}", verdict(&other)),
    }
}

#[test]
fn masking_leaves_nothing_readable() {
    let filter = filter("rules: [{ name: m, detectors: [iban], words: { terms: [falke] }, action: mask }]");
    let url = format!("https://example.org/{}", IBAN.replace(' ', ""));
    let body = Document::paragraph(vec![
        text("Fa\u{200b}l"),
        Inline::Strong(vec![text("ke: DE89 37")]),
        text("04 0044 0532 0130 00 und "),
        Inline::Link {
            url,
            content: vec![text("hier")],
        },
    ]);
    let wanted = Document::paragraph(vec![
        text("███"),
        Inline::Strong(vec![text("██: ████ ██")]),
        text("██ ████ ████ ████ ██ und "),
        text("hier"),
    ]);
    match filter.decide(written(body)) {
        viaduct_compliance::Decision::Pass { outbound, .. } => {
            assert_eq!(outbound.content.message().unwrap().body, wanted);
        }
        other => panic!("{}", verdict(&other)),
    }
}
