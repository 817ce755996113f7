//! What a stanza says, before the ids in it are looked up.

use viaduct_model::document::{Block, Document, Inline};
use viaduct_model::{Language, Message, MessageStyle, NetworkName, Timestamp};
use xmpp_parsers::chatstates::ChatState;
use xmpp_parsers::delay::Delay;
use xmpp_parsers::displayed_markers::Displayed;
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::message::{Message as Stanza, MessageType};
use xmpp_parsers::message_correct::Replace;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::occupant_id::OccupantId;
use xmpp_parsers::reactions::Reactions;
use xmpp_parsers::stanza_id::{OriginId, StanzaId};

use super::{fallbacks, mentions, styling, words, xhtml};
use crate::xep::xep0045_muc_user::{self as muc_user, MucUser};
use crate::xep::xep0382_spoiler::{self, Spoiler};
use crate::xep::xep0461_reply::{self, Reply};
use crate::xep::xep0511_link_metadata::{self, LinkMetadata};
use crate::xep::{
    self, xep0071_xhtml_im, xep0393_unstyled, xep0424_retraction, xep0425_moderation, xep0482_call_invites,
};

/// At most so many files of one message are taken.
pub(super) const FILE_BOUND: usize = 32;
/// At most so many different reactions of one person to one message are taken.
const REACTION_BOUND: usize = 64;
/// The longest reaction taken, in bytes.
const REACTION_LENGTH: usize = 64;

/// How a text that only looks like an action is sent.
const GUARDED_ACTION: &str = "\u{2060}/me ";

/// The names a message has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ids {
    /// The id the room gave it (XEP-0359, by the room itself).
    pub stanza: Option<String>,
    /// The id its sender gave it for good (XEP-0359).
    pub origin: Option<String>,
    /// The id its sender gave the stanza.
    pub message: Option<String>,
}

/// Who sent a message, as far as the stanza tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct From {
    /// Their nick; none when the room itself speaks.
    pub nick: Option<String>,
    /// Their occupant-id (XEP-0421).
    pub occupant: Option<String>,
    /// Their real address, if told.
    pub address: Option<Jid>,
}

/// A message as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Its names.
    pub ids: Ids,
    /// Its sender.
    pub from: From,
    /// When it was sent, if it was delayed.
    pub at: Option<Timestamp>,
    /// What it says.
    pub says: Says,
}

/// What a message says. Ids are as in the stanza.
#[derive(Debug, Clone, PartialEq)]
pub enum Says {
    /// Something new.
    Message(Said),
    /// Another wording of the sender's message with this stanza id.
    Edit(String, Said),
    /// The sender withdraws a message.
    Retract(String),
    /// The room says that a moderator withdrew a message.
    Moderated(xep0425_moderation::Moderated),
    /// All reactions of the sender to a message.
    Reactions(String, Vec<String>),
    /// The subject.
    Subject(String),
    /// Typing begins or ends.
    Typing(bool),
    /// The sender has read up to a message.
    Read(String),
    /// The room's name, picture or rules changed.
    Reconfigured,
}

/// A message's content.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Said {
    /// Text and files; references by id are left out.
    pub message: Message,
    /// The message it answers.
    pub reply_to: Option<String>,
    /// Its thread's name.
    pub thread: Option<String>,
    /// Who is mentioned: the text, and the address it stands for.
    pub mentions: Vec<(String, String)>,
}

/// What reading depends on.
pub struct Reader<'a> {
    /// The network that can fetch files.
    pub network: &'a NetworkName,
    /// Whether files may be fetched from a host.
    pub allows_host: &'a dyn Fn(&str) -> bool,
    /// The language of the words for what cannot be shown.
    pub language: Language,
}

impl Reader<'_> {
    /// Reads a message of a room, or (with `room` the sender's address) of a direct chat. None if it says nothing.
    pub fn read(&self, stanza: &Stanza, room: &BareJid) -> Option<Reading> {
        if stanza.type_ == MessageType::Error {
            return None;
        }
        let payloads = &stanza.payloads;
        let from = read_from(stanza);
        let says = self.says(stanza, from.nick.is_none())?;
        let delay: Option<Delay> = xep::find(payloads, "delay", ns::DELAY);
        let at = delay
            .and_then(|delay| u64::try_from(delay.stamp.0.timestamp_millis()).ok())
            .map(Timestamp);
        Some(Reading {
            ids: read_ids(stanza, room),
            from,
            at,
            says,
        })
    }

    fn says(&self, stanza: &Stanza, by_room: bool) -> Option<Says> {
        let payloads = &stanza.payloads;
        if let Some(moderated) = xep0425_moderation::find(payloads) {
            return by_room.then_some(Says::Moderated(moderated));
        }
        if let Some(target) = xep0424_retraction::find(payloads) {
            return Some(Says::Retract(target));
        }
        if xep0424_retraction::is_tombstone(payloads) {
            return None;
        }
        if let Some(found) = xep::find::<Reactions>(payloads, "reactions", ns::REACTIONS) {
            return Some(Says::Reactions(
                found.id,
                reaction_set(found.reactions.into_iter().map(|one| one.emoji)),
            ));
        }
        if stanza.bodies.is_empty()
            && stanza.thread.is_none()
            && let Some((_, subject)) = stanza.get_best_subject(vec![""])
        {
            return Some(Says::Subject(subject.clone()));
        }
        if let Some(said) = self.said(stanza) {
            return Some(match xep::find::<Replace>(payloads, "replace", ns::MESSAGE_CORRECT) {
                Some(replace) => Says::Edit(replace.id.0, said),
                None => Says::Message(said),
            });
        }
        if let Some(displayed) = xep::find::<Displayed>(payloads, "displayed", ns::DISPLAYED_MARKERS) {
            return Some(Says::Read(displayed.id.0));
        }
        if by_room && MucUser::find(payloads).is_some_and(|user| user.has(muc_user::CONFIGURATION_CHANGED)) {
            return Some(Says::Reconfigured);
        }
        payloads
            .iter()
            .filter(|payload| payload.has_ns(ns::CHATSTATES))
            .find_map(|payload| {
                let state = ChatState::try_from(payload.clone()).ok()?;
                Some(Says::Typing(matches!(state, ChatState::Composing)))
            })
    }

    fn said(&self, stanza: &Stanza) -> Option<Said> {
        let payloads = &stanza.payloads;
        if is_encrypted(payloads) {
            return Some(notice(words::encrypted(self.language)));
        }
        if let Some(video) = xep0482_call_invites::find(payloads) {
            return Some(notice(words::call(self.language, video)));
        }
        let body = stanza
            .get_best_body(vec![""])
            .map(|(_, body)| body.as_str())
            .unwrap_or_default();
        let mut text = fallbacks::without_fallbacks(body, payloads);
        let mut message = Message {
            attachments: self.files(payloads, &mut text),
            ..Message::default()
        };
        // What only repeats a file stands for it where the file may not be fetched: else the message would be lost.
        if message.attachments.is_empty() && text.is_empty() {
            body.clone_into(&mut text);
        }
        if let Some(literal) = text.strip_prefix(GUARDED_ACTION) {
            text = format!("/me {literal}");
        } else if let Some(action) = text.strip_prefix("/me ") {
            message.style = MessageStyle::Action;
            text = action.to_owned();
        }
        let unstyled = payloads
            .iter()
            .any(|payload| payload.is("unstyled", xep0393_unstyled::NS));
        let markup = xep0071_xhtml_im::find(payloads).filter(|_| !text.is_empty() && text == body);
        message.body = match markup.map(xhtml::parse).filter(|document| !document.is_empty()) {
            Some(document) => document,
            None if unstyled => Document::plain(&text),
            None => styling::parse(&text),
        };
        for link in xep0511_link_metadata::find(payloads, &text) {
            message.body.blocks.push(preview(link));
        }
        if let Some(spoiler) = xep::find::<Spoiler>(payloads, "spoiler", xep0382_spoiler::NS) {
            cover(&mut message, &spoiler.reason);
        }
        if message.body.is_empty() && message.attachments.is_empty() {
            return None;
        }
        Some(Said {
            message,
            reply_to: xep::find::<Reply>(payloads, "reply", xep0461_reply::NS).map(|reply| reply.id),
            thread: stanza.thread.as_ref().map(|thread| thread.id.clone()),
            mentions: mentions::referenced(body, payloads),
        })
    }
}

/// Something said in place of what cannot be shown.
fn notice(text: &str) -> Said {
    let message = Message {
        style: MessageStyle::Notice,
        ..Message::plain(text)
    };
    Said {
        message,
        ..Said::default()
    }
}

/// What is behind a link, as a quotation below the text.
fn preview(link: LinkMetadata) -> Block {
    let title = vec![Inline::Strong(vec![Inline::Text(link.title)])];
    let description = link.description.map(|text| Block::Paragraph(vec![Inline::Text(text)]));
    Block::Quote([Block::Paragraph(title)].into_iter().chain(description).collect())
}

fn read_from(stanza: &Stanza) -> From {
    let nick = stanza
        .from
        .as_ref()
        .and_then(|from| from.resource())
        .map(ToString::to_string);
    let occupant: Option<OccupantId> = xep::find(&stanza.payloads, "occupant-id", ns::OID);
    let address = MucUser::find(&stanza.payloads)
        .and_then(|user| user.item)
        .and_then(|item| item.jid);
    From {
        nick,
        occupant: occupant.map(|occupant| occupant.id),
        address,
    }
}

fn read_ids(stanza: &Stanza, room: &BareJid) -> Ids {
    let given = stanza
        .payloads
        .iter()
        .filter(|payload| payload.is("stanza-id", ns::SID));
    let stanza_id = given
        .filter_map(|payload| StanzaId::try_from(payload.clone()).ok())
        .find(|id| id.by == *room)
        .map(|id| id.id);
    let origin: Option<OriginId> = xep::find(&stanza.payloads, "origin-id", ns::SID);
    Ids {
        stanza: stanza_id,
        origin: origin.map(|origin| origin.id),
        message: stanza.id.as_ref().map(|id| id.0.clone()),
    }
}

fn is_encrypted(payloads: &[Element]) -> bool {
    payloads.iter().any(|payload| {
        payload.is("encryption", ns::EME)
            || payload.is("encrypted", "eu.siacs.conversations.axolotl")
            || payload.is("encrypted", "urn:xmpp:omemo:2")
            || payload.is("openpgp", "urn:xmpp:openpgp:0")
    })
}

/// Each reaction once, bounded.
pub fn reaction_set(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut set: Vec<String> = Vec::new();
    for emoji in all.take(REACTION_BOUND) {
        let emoji = emoji.trim().to_owned();
        if !emoji.is_empty() && emoji.len() <= REACTION_LENGTH && !set.contains(&emoji) {
            set.push(emoji);
        }
    }
    set
}

fn cover(message: &mut Message, reason: &str) {
    let reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
    for file in &mut message.attachments {
        file.spoiler = true;
    }
    for block in &mut message.body.blocks {
        if let viaduct_model::Block::Paragraph(content) = block {
            let content_taken = std::mem::take(content);
            content.push(Inline::Spoiler {
                reason: reason.clone(),
                content: content_taken,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use viaduct_model::AttachmentKind;

    use super::*;

    fn read(xml: &str) -> Option<Reading> {
        let xml = xml.replacen("<message", &format!("<message xmlns='{}'", ns::DEFAULT_NS), 1);
        let stanza = Stanza::try_from(xml.parse::<Element>().unwrap()).unwrap();
        let network = NetworkName::new("net").unwrap();
        let reader = Reader {
            network: &network,
            allows_host: &|host| host == "up.example",
            language: Language::English,
        };
        reader.read(&stanza, &BareJid::new("r@c.example").unwrap())
    }

    fn said(xml: &str) -> Said {
        match read(xml).unwrap().says {
            Says::Message(said) => said,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_rooms_own_stanza_id_counts() {
        let reading = read(
            "<message type='groupchat' from='r@c.example/al' id='m'><body>hi</body>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='evil@x' id='bad'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='r@c.example' id='good'/>\
             <occupant-id xmlns='urn:xmpp:occupant-id:0' id='oc'/></message>",
        )
        .unwrap();
        assert_eq!(
            reading.ids,
            Ids {
                stanza: Some("good".into()),
                origin: None,
                message: Some("m".into())
            }
        );
        assert_eq!(
            reading.from,
            From {
                nick: Some("al".into()),
                occupant: Some("oc".into()),
                address: None
            }
        );
    }

    #[test]
    fn a_reply_loses_its_fallback() {
        let said = said(
            "<message type='groupchat' from='r@c.example/al'><body>&gt; é\nyes</body>\
             <reply xmlns='urn:xmpp:reply:0' id='9'/>\
             <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='4'/></fallback></message>",
        );
        assert_eq!(said.message.body.to_plain(), "yes");
        assert_eq!(said.reply_to.as_deref(), Some("9"));
    }

    #[test]
    fn markup_previews_and_calls_are_read() {
        let marked = said(
            "<message type='groupchat' from='r@c.example/al'><body>*raw* b</body>\
             <html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>\
             <p>raw <strong>b</strong></p></body></html></message>",
        );
        assert_eq!(marked.message.body.to_plain(), "raw b");
        let preview = said(
            "<message type='groupchat' from='r@c.example/al'><body>https://a.example/</body>\
             <rdf:Description xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:og='https://ogp.me/ns#' \
             rdf:about='https://a.example/'><og:title>Title</og:title><og:description>About</og:description>\
             </rdf:Description></message>",
        );
        assert_eq!(
            preview.message.body.to_plain(),
            "https://a.example/\n\n> Title\n> \n> About"
        );
        let call = said(
            "<message type='groupchat' from='r@c.example/al'><invite xmlns='urn:xmpp:call-invites:0' video='true'/></message>",
        );
        assert_eq!(call.message.style, MessageStyle::Notice);
        let encrypted = said(
            "<message type='groupchat' from='r@c.example/al'><body>I sent you an OMEMO encrypted message</body>\
             <encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/></message>",
        );
        assert_eq!(encrypted.message.body.to_plain(), words::encrypted(Language::English));
        let read = read(
            "<message type='groupchat' from='r@c.example/al'><displayed xmlns='urn:xmpp:chat-markers:0' id='7'/></message>",
        );
        assert_eq!(read.unwrap().says, Says::Read("7".into()));
    }

    #[test]
    fn files_only_from_allowed_hosts() {
        let file = |host: &str| {
            said(&format!(
                "<message type='groupchat' from='r@c.example/al'><body>https://{host}/a/b.png</body>\
                 <x xmlns='jabber:x:oob'><url>https://{host}/a/b.png</url></x></message>"
            ))
        };
        let allowed = file("up.example");
        assert!(allowed.message.body.is_empty());
        assert_eq!(allowed.message.attachments[0].name, "b.png");
        assert_eq!(allowed.message.attachments[0].kind, AttachmentKind::Image);
        let refused = file("169.254.169.254");
        assert_eq!(refused.message.attachments, []);
        assert_eq!(refused.message.body.to_plain(), "https://169.254.169.254/a/b.png");
    }

    #[test]
    fn the_kinds_are_told_apart() {
        let says = |inner: &str| {
            read(&format!(
                "<message type='groupchat' from='r@c.example/al' id='m'>{inner}</message>"
            ))
            .map(|r| r.says)
        };
        assert!(matches!(says("<body>/me waves</body>"), Some(Says::Message(said))
            if said.message.style == MessageStyle::Action && said.message.body.to_plain() == "waves"));
        assert!(matches!(
            says("<body>b</body><replace xmlns='urn:xmpp:message-correct:0' id='a'/>"),
            Some(Says::Edit(target, _)) if target == "a"
        ));
        assert_eq!(
            says("<retract xmlns='urn:xmpp:message-retract:1' id='7'/>"),
            Some(Says::Retract("7".into()))
        );
        assert_eq!(says("<subject>s</subject>"), Some(Says::Subject("s".into())));
        assert_eq!(
            says(
                "<reactions xmlns='urn:xmpp:reactions:0' id='7'><reaction>👍</reaction><reaction>👍</reaction></reactions>"
            ),
            Some(Says::Reactions("7".into(), vec!["👍".into()]))
        );
        assert_eq!(
            says("<composing xmlns='http://jabber.org/protocol/chatstates'/>"),
            Some(Says::Typing(true))
        );
        assert_eq!(says("<x xmlns='y'/>"), None);
        assert!(matches!(
            says("<body>x</body><encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/>"),
            Some(Says::Message(said)) if said.message.style == MessageStyle::Notice
        ));
        // A moderation announced by an occupant and not by the room is a forgery.
        assert_eq!(
            says(
                "<retract xmlns='urn:xmpp:message-retract:1' id='7'><moderated xmlns='urn:xmpp:message-moderate:1'/></retract>"
            ),
            None
        );
    }
}
