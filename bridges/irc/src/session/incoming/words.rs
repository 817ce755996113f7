//! Messages, reactions, typing.

use irc_proto::{Message as Line, Prefix};
use viaduct_model::{Content, Document, Message, MessageId, MessageStyle, Reaction};

use super::{Incoming, event};
use crate::client::line::Fields;
use crate::convert::ctcp::{self, Payload};
use crate::convert::forms::quote;
use crate::convert::mention::{self, Addressee};
use crate::convert::mirc;
use crate::metrics;
use crate::session::locked;
use crate::session::recent::{QUOTE, Said};

impl Incoming {
    /// Somebody said something.
    pub(super) fn said(&mut self, line: &Line) -> Option<Line> {
        if self.multiline_part(line) {
            return None;
        }
        // A reaction that is also said in words, for those who cannot see it otherwise.
        let reacts = line
            .tag("+draft/react")
            .or_else(|| line.tag("+draft/unreact"))
            .is_some();
        if reacts && line.tag("+draft/reply").is_some() && !self.is_history(line) {
            self.tags(line);
            return None;
        }
        let (text, style) = match ctcp::read(line.last()) {
            Payload::Text(text) if line.name() == "NOTICE" => (text, MessageStyle::Notice),
            Payload::Text(text) => (text, MessageStyle::Text),
            Payload::Action(text) => (text, MessageStyle::Action),
            Payload::Ctcp { .. } if self.is_history(line) || self.connection.is_own(line.source()) => return None,
            Payload::Ctcp { .. } => {
                let shared = std::sync::Arc::clone(&self.shared);
                return self.ctcp.answer(&shared, line);
            }
        };
        self.spoken(line, line.parameter(0), style, mirc::parse(text));
        None
    }

    /// Words were said at a target; the line carries who said them and its tags.
    pub(super) fn spoken(&mut self, line: &Line, target: &str, style: MessageStyle, body: Document) -> Option<()> {
        let delivery = if self.is_history(line) {
            self.own_delivery(line)
        } else {
            None
        };
        let own = self.connection.is_own(line.source()) && delivery.is_none();
        if own || matches!(line.prefix, Some(Prefix::ServerName(_)) | None) {
            return None;
        }
        // A line to a channel's operators or voiced members only ("@#channel") is for them, not for a mirror.
        let Some(channel) = self.channel(target) else {
            if self.connection.is_own(target) {
                metrics::dropped("direct_to_reader");
            }
            return None;
        };
        if delivery.is_none() && self.is_puppet(line.source()) {
            return None;
        }
        let user = locked(&self.shared.roster).person(line.source(), line.tag("account"))?;
        let mut sender = self.shared.person(&user);
        sender.bot |= line.tag("bot").is_some();
        let body = self.with_mentions(body);
        if body.is_empty() {
            return None;
        }
        let reply_to = line
            .tag("+draft/reply")
            .or_else(|| line.tag("+reply"))
            .and_then(|id| MessageId::new(id).ok());
        let content = Content::Message(Message {
            style,
            body,
            reply_to,
            ..Message::default()
        });
        let mut event = event(&self.shared, &channel, line, sender, content)?;
        event.cursor = self.cursor(event.at);
        event.echo_of = delivery;
        if let Some(message) = event.content.message() {
            let said = quote(&message.body.to_plain(), QUOTE);
            let said = Said {
                name: line.source().to_owned(),
                quote: said,
            };
            locked(&self.shared.recent).add(&channel, &event.id, said);
        }
        self.read += 1;
        self.add_from(Some(event), Some(line));
        Some(())
    }

    fn with_mentions(&self, text: Document) -> Document {
        let casemapping = self.connection.isupport().casemapping;
        let shared = &self.shared;
        let roster = locked(&shared.roster);
        let nobody = shared.pool.is_empty();
        let known = |nick: &str, marked: bool| {
            let puppet = (!nobody).then(|| shared.pool.owner(&casemapping.fold(nick))).flatten();
            if let Some(person) = puppet {
                return Some(Addressee {
                    network: person.network,
                    id: person.id,
                });
            }
            // Many nicks of this network are ordinary words.
            let user = marked.then(|| roster.user(nick)).flatten()?;
            Some(Addressee {
                network: shared.context.network.clone(),
                id: user.id.clone(),
            })
        };
        mention::find(text, &known)
    }

    /// A message of tags only: typing, or a reaction.
    pub(super) fn tags(&mut self, line: &Line) {
        let Some(channel) = self.channel(line.parameter(0)) else {
            return;
        };
        if self.connection.is_own(line.source()) || self.is_puppet(line.source()) {
            return;
        }
        let Some(sender) = self.anyone(line.source(), line.tag("account")) else {
            return;
        };
        let target = line
            .tag("+draft/reply")
            .or_else(|| line.tag("+reply"))
            .and_then(|id| MessageId::new(id).ok());
        let reaction = |key: &str| Reaction {
            key: key.chars().take(64).collect(),
            image: None,
        };
        let content = if let (Some(key), Some(target)) = (line.tag("+draft/react"), &target) {
            Content::React {
                target: target.clone(),
                reaction: reaction(key),
            }
        } else if let (Some(key), Some(target)) = (line.tag("+draft/unreact"), &target) {
            Content::Unreact {
                target: target.clone(),
                reaction: reaction(key),
            }
        } else if let Some(state) = line.tag("+typing").or_else(|| line.tag("+draft/typing")) {
            Content::Typing {
                active: state == "active",
            }
        } else {
            return;
        };
        let event = event(&self.shared, &channel, line, sender, content);
        self.add(event);
    }
}
