//! Content on its way into a room or chat, as stanzas without addresses.

use unicode_segmentation::UnicodeSegmentation;
use viaduct_model::document::{Document, Inline, MentionTarget};
use viaduct_model::{Language, Message, MessageStyle, NetworkName};
use xmpp_parsers::displayed_markers::Displayed;
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::message::{Id, Lang, Message as Stanza, MessageType, Thread};
use xmpp_parsers::message_correct::Replace;
use xmpp_parsers::oob::Oob;
use xmpp_parsers::reactions::{Reaction, Reactions};
use xmpp_parsers::stanza_id::OriginId;

use super::{styling, words};
use crate::xep::xep0334_hints::{NoStore, Store};
use crate::xep::xep0372_references::Reference;
use crate::xep::xep0382_spoiler::Spoiler;
use crate::xep::xep0393_unstyled::Unstyled;
use crate::xep::xep0424_retraction::{self, Retract};
use crate::xep::xep0428_fallback::{Fallback, Part};
use crate::xep::xep0446_file_metadata::FileMetadata;
use crate::xep::xep0447_file_sharing::{FileSharing, Sources, UrlData};
use crate::xep::xep0461_reply::{self, Reply};

/// Longer texts are split, in bytes: the smallest limit that servers commonly have for a whole stanza is 64 KiB.
pub const TEXT_BOUND: usize = 30_000;
/// How much of an answered message is repeated for clients that do not know replies, in bytes.
const QUOTE_BOUND: usize = 300;

/// What an answer refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The message's id.
    pub id: String,
    /// Its author's address in the room, and their nick.
    pub author: Option<(String, String)>,
    /// Its text, if still known.
    pub text: String,
}

/// Somebody for whom the hub speaks.
#[derive(Debug, Clone, Copy)]
pub struct Relayed<'a> {
    /// Their name.
    pub name: &'a str,
    /// How what they say is introduced: `{name}` stands for the name, and `{text}` at the end for the text.
    pub form: &'a str,
}

impl Relayed<'_> {
    fn name(&self) -> String {
        self.name.chars().filter(|c| !c.is_control()).collect()
    }

    fn introduction(&self) -> String {
        let before = self.form.strip_suffix("{text}").unwrap_or(self.form);
        before.replace("{name}", &self.name())
    }
}

/// How something is said.
#[derive(Debug, Clone, Default)]
pub struct Manner<'a> {
    /// Who says it, when the speaker has no nick of their own.
    pub relayed: Option<Relayed<'a>>,
    /// The message it answers.
    pub answers: Option<Answered>,
    /// The thread's name.
    pub thread: Option<String>,
    /// The stanza id of the message it replaces.
    pub replaces: Option<String>,
}

/// Whom mentions may be addressed to.
pub struct Mentions<'a> {
    /// The network whose people have addresses here.
    pub network: &'a NetworkName,
    /// The room.
    pub room: &'a BareJid,
}

/// The text of a message, as one or more stanzas; none if there is no text.
pub fn text(message: &Message, manner: &Manner<'_>, mentions: &Mentions<'_>) -> Vec<Stanza> {
    if message.body.is_empty() {
        return Vec::new();
    }
    let rendered = styling::render(&introduced(message, manner.relayed));
    let parts = split(&xml_text(&rendered.body), TEXT_BOUND);
    let spoiler = spoiler(&message.body);
    let mut stanzas = Vec::with_capacity(parts.len());
    for (number, part) in parts.into_iter().enumerate() {
        let mut stanza = Stanza::new_with_type(MessageType::Groupchat, None);
        let body = match (&manner.answers, number) {
            (Some(answered), 0) => with_reply(&mut stanza, answered, &part),
            _ => part,
        };
        add_mentions(&mut stanza, &body, &message.body, mentions);
        stanza.bodies.insert(Lang::new(), body);
        stanza.thread = manner.thread.clone().map(|id| Thread { parent: None, id });
        if let (Some(id), 0) = (&manner.replaces, number) {
            stanza = stanza.with_payload(Replace { id: Id(id.clone()) });
        }
        if rendered.unstyled {
            stanza = stanza.with_payload(Unstyled);
        }
        if let Some(reason) = &spoiler {
            stanza = stanza.with_payload(Spoiler { reason: reason.clone() });
        }
        stanzas.push(stanza);
    }
    stanzas
}

/// The text with its speaker's name, or as an action.
fn introduced(message: &Message, relayed: Option<Relayed<'_>>) -> Document {
    let action = message.style == MessageStyle::Action;
    let introduction = match (relayed, action) {
        (Some(relayed), true) => format!("* {} ", relayed.name()),
        (Some(relayed), false) => relayed.introduction(),
        (None, true) => "/me ".to_owned(),
        (None, false) if message.body.to_plain().starts_with("/me ") => styling::GUARD.to_string(),
        (None, false) => return message.body.clone(),
    };
    let mut document = message.body.clone();
    if let Some(viaduct_model::Block::Paragraph(content)) = document.blocks.first_mut() {
        content.insert(0, Inline::Text(introduction));
    } else {
        let line = viaduct_model::Block::Paragraph(vec![Inline::Text(introduction.trim_end().to_owned())]);
        document.blocks.insert(0, line);
    }
    document
}

/// The reason of the first covered part, if any; whole messages are covered.
fn spoiler(document: &Document) -> Option<String> {
    let mut found = None;
    document.each_inline(&mut |inline| {
        if let (Inline::Spoiler { reason, .. }, None) = (inline, &found) {
            found = Some(xml_text(reason.as_deref().unwrap_or_default()));
        }
    });
    found
}

fn with_reply(stanza: &mut Stanza, answered: &Answered, text: &str) -> String {
    let address = answered.author.as_ref().map(|(address, _)| address.clone());
    stanza.payloads.push(
        Reply {
            to: address,
            id: answered.id.clone(),
        }
        .into(),
    );
    if answered.text.is_empty() {
        return text.to_owned();
    }
    let mut quote = String::new();
    if let Some((_, nick)) = &answered.author {
        quote.extend(["> ", nick, ":\n"]);
    }
    for line in clip(&answered.text, QUOTE_BOUND).lines() {
        quote.push_str("> ");
        quote.push_str(line);
        quote.push('\n');
    }
    let part = Part {
        start: Some(0),
        end: Some(quote.chars().count()),
    };
    stanza.payloads.push(
        Fallback {
            extension: Some(xep0461_reply::NS.to_owned()),
            parts: vec![part],
        }
        .into(),
    );
    quote + text
}

fn add_mentions(stanza: &mut Stanza, body: &str, document: &Document, mentions: &Mentions<'_>) {
    for mention in document.mentions().into_iter().take(50) {
        let MentionTarget::Person { network, id } = &mention.target else {
            continue;
        };
        if network != mentions.network || mention.label.is_empty() {
            continue;
        }
        let Some(bytes) = body.find(&mention.label) else {
            continue;
        };
        let begin = body.get(..bytes).unwrap_or_default().chars().count();
        let uri = if id.as_str().starts_with("occupant:") {
            format!("xmpp:{}/{}", mentions.room, mention.label.trim_start_matches('@'))
        } else {
            format!("xmpp:{id}")
        };
        let end = begin + mention.label.chars().count();
        let reference = Reference {
            kind: "mention".into(),
            uri: Some(uri),
            begin: Some(begin),
            end: Some(end),
        };
        stanza.payloads.push(reference.into());
    }
}

/// A file that was uploaded or published, as a stanza of its own: clients show it only where the text is the address alone.
pub fn file(address: &str, mut metadata: FileMetadata) -> Stanza {
    metadata.name = metadata.name.as_deref().map(xml_text);
    metadata.media_type = metadata.media_type.as_deref().map(xml_text);
    let sharing = FileSharing {
        disposition: Some("inline".into()),
        file: metadata,
        sources: Sources {
            urls: vec![UrlData {
                target: address.to_owned(),
            }],
        },
    };
    Stanza::new_with_type(MessageType::Groupchat, None)
        .with_body(Lang::new(), address.to_owned())
        .with_payload(Oob {
            url: address.to_owned(),
            desc: None,
        })
        .with_payload(sharing)
}

/// The withdrawal of a message.
pub fn retraction(target: &str, language: Language) -> Stanza {
    Stanza::new_with_type(MessageType::Groupchat, None)
        .with_body(Lang::new(), words::withdrawn(language).to_owned())
        .with_payload(Retract { id: target.to_owned() })
        .with_payload(Fallback {
            extension: Some(xep0424_retraction::NS.to_owned()),
            parts: Vec::new(),
        })
        .with_payload(Store)
}

/// All reactions of one person to a message.
pub fn reactions(target: &str, set: &[String]) -> Stanza {
    let reactions = set.iter().map(|emoji| Reaction { emoji: xml_text(emoji) }).collect();
    Stanza::new_with_type(MessageType::Groupchat, None)
        .with_payload(Reactions {
            id: target.to_owned(),
            reactions,
        })
        .with_payload(Store)
}

/// The news that somebody has read up to a message.
pub fn displayed(target: &str) -> Stanza {
    let id = Id(target.to_owned());
    Stanza::new_with_type(MessageType::Groupchat, None)
        .with_payload(Displayed { id })
        .with_payload(NoStore)
}

/// A new subject.
pub fn subject(text: &str) -> Stanza {
    let mut stanza = Stanza::new_with_type(MessageType::Groupchat, None);
    stanza.subjects.insert(Lang::new(), xml_text(text));
    stanza
}

/// Gives stanzas their ids: the key, and `key-2` and so on for further ones.
pub fn identify(stanzas: &mut [Stanza], key: &str) {
    for (number, stanza) in stanzas.iter_mut().enumerate() {
        let id = part_id(key, number);
        stanza.id = Some(Id(id.clone()));
        stanza.payloads.push(OriginId { id }.into());
    }
}

/// The id of a part of a delivery, counted from 0.
pub fn part_id(key: &str, number: usize) -> String {
    if number == 0 {
        key.to_owned()
    } else {
        format!("{key}-{}", number + 1)
    }
}

/// The delivery a part belongs to.
pub fn key_of(part: &str) -> &str {
    part.split_once('-').map_or(part, |(key, _)| key)
}

/// A text without the characters that XML cannot carry; a stream with one of them would be broken off.
pub fn xml_text(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().filter(allowed).collect()
}

/// The beginning of a text, at a border between characters.
pub fn clip(text: &str, bound: usize) -> String {
    if text.len() <= bound {
        return text.to_owned();
    }
    let mut out = String::new();
    for cluster in text.graphemes(true) {
        if out.len() + cluster.len() > bound {
            break;
        }
        out.push_str(cluster);
    }
    out.push('…');
    out
}

/// Splits a text into parts of at most `bound` bytes: between lines where possible, else between words, else between
/// characters. Nothing but white space at the ends of parts is left out.
pub fn split(text: &str, bound: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    for line in text.split_inclusive('\n') {
        for piece in fitting(line, bound, |line| line.split_inclusive(' ').collect()) {
            for piece in fitting(piece, bound, |word| word.graphemes(true).collect()) {
                for piece in fitting(piece, bound, |cluster| {
                    cluster.split("").filter(|one| !one.is_empty()).collect()
                }) {
                    if part.len() + piece.len() > bound {
                        push_part(&mut part, &mut parts);
                    }
                    part.push_str(piece);
                }
            }
        }
    }
    push_part(&mut part, &mut parts);
    parts
}

/// The text itself if it fits into a part, else what it is divided into.
fn fitting<'a>(text: &'a str, bound: usize, divide: impl FnOnce(&'a str) -> Vec<&'a str>) -> Vec<&'a str> {
    if text.len() <= bound { vec![text] } else { divide(text) }
}

fn push_part(part: &mut String, parts: &mut Vec<String>) {
    let text = std::mem::take(part);
    let text = text.trim_end_matches(['\n', ' ']);
    if !text.is_empty() {
        parts.push(text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xmpp_parsers::minidom::Element;

    use super::*;

    fn xml(stanza: Stanza) -> String {
        String::from(&Element::from(stanza)).replace("jabber:component:accept", "ns")
    }

    fn one(message: &Message, manner: &Manner<'_>) -> String {
        let network = NetworkName::new("net").unwrap();
        let room = BareJid::new("r@c.example").unwrap();
        let mut stanzas = text(
            message,
            manner,
            &Mentions {
                network: &network,
                room: &room,
            },
        );
        identify(&mut stanzas, "key");
        assert_eq!(stanzas.len(), 1);
        xml(stanzas.remove(0))
    }

    #[test]
    fn stanzas_look_like_this() {
        insta::assert_snapshot!(one(&Message::plain("hello"), &Manner::default()), @"<message xmlns='ns' id='key' type='groupchat'><body>hello</body><origin-id xmlns='urn:xmpp:sid:0' id='key'/></message>");
        let styled = Message {
            body: styling::parse("*b* <&>"),
            ..Message::default()
        };
        let manner = Manner {
            relayed: Some(Relayed {
                name: "A\nl",
                form: "{name}: {text}",
            }),
            replaces: Some("old".into()),
            ..Manner::default()
        };
        insta::assert_snapshot!(one(&styled, &manner), @"<message xmlns='ns' id='key' type='groupchat'><body>Al: *b* &lt;&amp;&gt;</body><replace xmlns='urn:xmpp:message-correct:0' id='old'/><origin-id xmlns='urn:xmpp:sid:0' id='key'/></message>");
        let answered = Answered {
            id: "7".into(),
            author: Some(("r@c.example/bo".into(), "bo".into())),
            text: "one\ntwo".into(),
        };
        let manner = Manner {
            answers: Some(answered),
            thread: Some("t".into()),
            ..Manner::default()
        };
        insta::assert_snapshot!(one(&Message::plain("*yes"), &manner), @"
        <message xmlns='ns' id='key' type='groupchat'><body>&gt; bo:
        &gt; one
        &gt; two
        *yes</body><thread>t</thread><reply xmlns='urn:xmpp:reply:0' id='7' to='r@c.example/bo'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body end='18' start='0'/></fallback><unstyled xmlns='urn:xmpp:styling:0'/><origin-id xmlns='urn:xmpp:sid:0' id='key'/></message>
        ");
        insta::assert_snapshot!(xml(retraction("7", Language::English)), @"<message xmlns='ns' type='groupchat'><body>/me withdrew an earlier message, but this client does not support that.</body><retract xmlns='urn:xmpp:message-retract:1' id='7'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/><store xmlns='urn:xmpp:hints'/></message>");
        insta::assert_snapshot!(xml(reactions("7", &["👍".into()])), @"<message xmlns='ns' type='groupchat'><reactions xmlns='urn:xmpp:reactions:0' id='7'><reaction>👍</reaction></reactions><store xmlns='urn:xmpp:hints'/></message>");
        let metadata = FileMetadata {
            name: Some("a.png".into()),
            size: Some(3),
            ..FileMetadata::default()
        };
        insta::assert_snapshot!(xml(file("https://u.example/a.png", metadata)), @"<message xmlns='ns' type='groupchat'><body>https://u.example/a.png</body><x xmlns='jabber:x:oob'><url>https://u.example/a.png</url></x><file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'><name>a.png</name><size>3</size></file><sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://u.example/a.png'/></sources></file-sharing></message>");
    }

    proptest! {
        #[test]
        fn any_text_can_be_sent(text in any::<String>()) {
            let body = xml_text(&text);
            let element = Element::from(Stanza::new_with_type(MessageType::Groupchat, None).with_body(Lang::new(), body.clone()));
            let mut written = Vec::new();
            prop_assert!(element.write_to(&mut written).is_ok());
        }

        #[test]
        fn splitting_keeps_all_but_white_space(text in "[a-c \né👍\u{301}]{0,80}", bound in 8usize..40) {
            let parts = split(&text, bound);
            prop_assert!(parts.iter().all(|part| part.len() <= bound && !part.is_empty()));
            let letters = |text: &str| text.replace(['\n', ' '], "");
            prop_assert_eq!(letters(&parts.concat()), letters(&text));
        }

        #[test]
        fn markup_in_text_stays_text(body in "[<>&'\"\\]a-c]{1,30}") {
            let stanza = xml(Stanza::new_with_type(MessageType::Groupchat, None).with_body(Lang::new(), body.clone()));
            let read: Element = stanza.parse().unwrap();
            prop_assert_eq!(read.get_child("body", "ns").unwrap().text(), body);
        }
    }
}
