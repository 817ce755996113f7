//! What the fuzzers of `tests/fuzz` call: ways around a filter, made up from bytes, none of which may lead around it.
//!
//! A breach is a panic, which is how a fuzzer learns of it; nothing else uses this module.

use std::sync::LazyLock;

use viaduct_model::document::{Block, Document, Inline};
use viaduct_model::{
    Attachment, AttachmentKind, Author, ChannelId, Content, DeliveryKey, MediaRef, Membership, Message, MessageId,
    NetworkName, Outbound, Person, PersonId, Place, Reaction, Timestamp,
};

use crate::protect::{Key, list_values};
use crate::{Context, Decision, Detector, Dictionary, Filter, Policy, Rule, RuleAction, TextPart, Values, decide_all};

/// What must not cross.
const SECRETS: [&str; 7] = [
    PROTECTED,
    "Projekt Falke",
    "DE89 3704 0044 0532 0130 00",
    "4111 1111 1111 1111",
    "ACME-1234",
    "86095742719",
    "15070649C103",
];

/// A value that the filter knows by its keyed hash only.
const PROTECTED: &str = "KD-4711 0815";

/// Characters that nobody sees.
const UNSEEN: [char; 10] = [
    '\u{200b}',
    '\u{200c}',
    '\u{200d}',
    '\u{2060}',
    '\u{ad}',
    '\u{feff}',
    '\u{34f}',
    '\u{fe0f}',
    '\u{e0041}',
    '\u{180e}',
];

/// Letters that look alike.
const ALIKE: [(char, char); 14] = [
    ('A', 'А'),
    ('a', 'а'),
    ('C', 'С'),
    ('c', 'с'),
    ('E', 'Е'),
    ('e', 'е'),
    ('P', 'Р'),
    ('o', 'о'),
    ('j', 'ј'),
    ('M', 'Μ'),
    ('D', 'Ꭰ'),
    ('F', 'Ϝ'),
    ('k', 'к'),
    ('p', 'р'),
];

/// Bytes of a fuzzer, one after the other; zeros when there are no more.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.next()).checked_rem(bound).unwrap_or(0)
    }
}

/// A secret, disguised character by character, split and put in some text of some event, does not cross.
///
/// # Panics
///
/// If it does.
pub fn evade(data: &[u8]) {
    let mut bytes = Bytes(data);
    let secret = SECRETS.get(bytes.below(SECRETS.len())).copied().unwrap_or_default();
    let pieces: Vec<String> = secret
        .chars()
        .map(|character| disguised(character, &mut bytes))
        .collect();
    let (event, previous) = event(&pieces, &mut bytes);
    let context = Context {
        previous: previous.as_ref(),
        ..Context::default()
    };
    let decision = decide_all([&*STRICT], &context, event.clone());
    assert!(
        matches!(decision, Decision::Refuse(_)),
        "{secret:?} crossed in {event:?} after {previous:?}"
    );
}

#[expect(clippy::expect_used, reason = "a fuzzer without its files is none")]
static STRICT: LazyLock<Filter> = LazyLock::new(|| {
    let rule = |name: &str| Rule {
        name: name.to_owned(),
        action: RuleAction::Refuse,
        ..Rule::default()
    };
    Filter::new(Policy {
        rules: vec![
            Rule {
                detectors: Detector::ALL.to_vec(),
                ..rule("numbers")
            },
            Rule {
                words: Some(Dictionary {
                    terms: vec!["Projekt Falke".to_owned()],
                    near: Vec::new(),
                    within: 80,
                }),
                ..rule("words")
            },
            Rule {
                patterns: vec![r"(?i)ACME-\d{4}".to_owned()],
                ..rule("pattern")
            },
            Rule {
                values: Some(values().expect("lists can be written")),
                // Files are not looked into here.
                texts: TextPart::SAID.to_vec(),
                ..rule("values")
            },
        ],
        ..Policy::default()
    })
});

/// The list of what is protected, in files as an operator has it.
fn values() -> std::io::Result<Values> {
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    let folder = std::env::temp_dir().join(format!("viaduct-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let [list_file, key_file] = ["list", "key"].map(|name| folder.join(name));
    let list = Key::new(KEY).and_then(|key| list_values(&key, PROTECTED));
    std::fs::write(&list_file, list.map_err(std::io::Error::other)?)?;
    std::fs::write(&key_file, KEY)?;
    #[cfg(unix)]
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(Values { list_file, key_file })
}

/// A character as somebody writes it who wants it read by people and not by a filter.
fn disguised(character: char, bytes: &mut Bytes<'_>) -> String {
    let moved = |base: u32, first: char| char::from_u32(base + u32::from(character) - u32::from(first));
    let unseen = UNSEEN.get(bytes.below(UNSEEN.len())).copied().unwrap_or_default();
    let other = match (bytes.below(12), character) {
        (0, '!'..='~') => moved(0xff01, '!'),
        (1, 'A'..='Z') => moved(0x1d400, 'A'),
        (1, 'a'..='z') => moved(0x1d41a, 'a'),
        (1, '0'..='9') => moved(0x1d7ce, '0'),
        (2, '0'..='9') => moved(0x660, '0'),
        (2, _) => ALIKE
            .iter()
            .find(|(latin, _)| *latin == character)
            .map(|(_, other)| *other),
        (3, ' ') => Some('\u{2003}'),
        (3, '-') => Some('\u{2011}'),
        (3, '1'..='9') => moved(0x2460, '1'),
        (4, 'a'..='z') => Some(character.to_ascii_uppercase()),
        (4, 'A'..='Z') => moved(0x24b6, 'A'),
        (5, _) => return format!("{unseen}{character}"),
        (6, _) => return format!("{character}{unseen}{unseen}"),
        (7, _) if character.is_ascii_alphanumeric() => return format!("{character}\u{336}"),
        (8, _) => return format!("\u{202d}{character}\u{202c}"),
        _ => None,
    };
    other.unwrap_or(character).to_string()
}

/// An event with these pieces as one text somewhere in it; for an edit, also the wording it replaces.
fn event(pieces: &[String], bytes: &mut Bytes<'_>) -> (Outbound, Option<Message>) {
    let whole = pieces.concat();
    let text = |text: &str| Inline::Text(text.to_owned());
    let mut message = Message::plain("siehe oben");
    let mut outbound = outbound(Content::Opened);
    match bytes.below(18) {
        0 => return edit(pieces, bytes),
        1 => outbound.author.display = whole,
        2 => outbound.author.person.name = whole,
        3 => outbound.content = Content::Topic { topic: whole },
        4 => outbound.content = Content::Name { name: whole },
        5 => {
            let reaction = Reaction {
                key: whole,
                image: None,
            };
            outbound.content = Content::React { target: id(), reaction };
        }
        6 => {
            outbound.content = Content::Delete {
                target: id(),
                reason: Some(whole),
            };
        }
        7 => outbound.content = Content::Closed { reason: whole },
        8 => {
            let person = outbound.author.person.clone();
            outbound.content = Content::Membership {
                person,
                change: Membership::Rename { from: whole },
                reason: None,
            };
        }
        9 => message.attachments.push(file(&whole, None)),
        10 => {
            message = Message::plain(&whole);
            message.attachments.push(file("a.png", None));
        }
        11 => {
            message.body = Document::paragraph(vec![Inline::Link {
                url: format!("https://example.org/{whole}"),
                content: vec![text("hier")],
            }]);
        }
        12 => {
            message.body = Document::paragraph(vec![Inline::Spoiler {
                reason: Some(whole),
                content: vec![text("x")],
            }]);
        }
        13 => message.body.blocks = vec![Block::Quote(vec![Block::Paragraph(vec![text(&whole)])])],
        14 => {
            message.body.blocks = vec![Block::Code {
                language: None,
                text: whole,
            }];
        }
        15 => {
            message.body.blocks = vec![Block::Code {
                language: Some(whole),
                text: "x".to_owned(),
            }];
        }
        16 => message.attachments.push(file("a.png", Some(whole))),
        _ => message.body = Document::paragraph(marked_up(pieces, bytes)),
    }
    if outbound.content == Content::Opened {
        outbound.content = Content::Message(message);
    }
    (outbound, None)
}

/// The pieces, each in some markup or none.
fn marked_up(pieces: &[String], bytes: &mut Bytes<'_>) -> Vec<Inline> {
    let pieces = pieces.iter().map(|piece| {
        let text = vec![Inline::Text(piece.clone())];
        match bytes.below(8) {
            0 => Inline::Strong(text),
            1 => Inline::Emphasis(vec![Inline::Strike(text)]),
            2 => Inline::Underline(text),
            3 => Inline::Code(piece.clone()),
            4 => Inline::Link {
                url: "https://example.org".to_owned(),
                content: text,
            },
            5 => Inline::Spoiler {
                reason: None,
                content: text,
            },
            _ => Inline::Text(piece.clone()),
        }
    });
    pieces.collect()
}

/// An edit that has one half of the text, of something that had the other half.
fn edit(pieces: &[String], bytes: &mut Bytes<'_>) -> (Outbound, Option<Message>) {
    // At least three characters on either side.
    let cut = 3 + bytes.below(pieces.len().saturating_sub(6));
    let (head, tail) = pieces.split_at_checked(cut).unwrap_or((pieces, &[]));
    let (mut old, mut new) = (head.concat(), tail.concat());
    if bytes.next().is_multiple_of(2) {
        std::mem::swap(&mut old, &mut new);
    }
    let content = Content::Edit {
        target: id(),
        message: Message::plain(&new),
    };
    (outbound(content), Some(Message::plain(&old)))
}

#[expect(clippy::expect_used, reason = "the names are constants")]
fn outbound(content: Content) -> Outbound {
    let place = |network: &str| {
        let network = NetworkName::new(network).expect("a name");
        Place::new(network, ChannelId::new("c").expect("an id"))
    };
    let person = Person {
        network: NetworkName::matrix(),
        id: PersonId::new("@anna:example.org").expect("an id"),
        name: "Anna".to_owned(),
        avatar: None,
        organisation: None,
        bot: false,
    };
    Outbound {
        key: DeliveryKey::derive(&place("matrix"), &id(), &place("acme")),
        to: place("acme"),
        from: place("matrix"),
        author: Author {
            person,
            display: "Anna".to_owned(),
        },
        at: Timestamp(0),
        content,
        parts: Vec::new(),
    }
}

#[expect(clippy::expect_used, reason = "the id is a constant")]
fn id() -> MessageId {
    MessageId::new("m").expect("an id")
}

fn file(name: &str, mime: Option<String>) -> Attachment {
    Attachment {
        media: MediaRef {
            network: NetworkName::matrix(),
            locator: "x".to_owned(),
        },
        name: name.to_owned(),
        mime,
        size: None,
        kind: AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::evade;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_of_any_event_lets_a_disguised_secret_cross(data in proptest::collection::vec(any::<u8>(), 0..120)) {
            evade(&data);
        }
    }
}
