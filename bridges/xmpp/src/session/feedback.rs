//! Telling people what became of what they said, where it did not arrive: by a private message of the hub's.

use viaduct_bridge::{Feedback, Outcome};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::message::{Lang, Message as Stanza, MessageType};

use super::Xmpp;
use super::direct::Pair;
use super::room::Room;
use crate::convert::outgoing::xml_text;
use crate::convert::words;
use crate::xep::xep0334_hints::NoStore;

impl Xmpp {
    /// Tells whoever sent something that it did not arrive elsewhere, and why. Nobody waits for it.
    pub(super) fn tell_sender(&self, feedback: &Feedback) {
        let language = self.context.language;
        let text = match &feedback.outcome {
            Outcome::Held(reason) => words::held(language, &feedback.destination, reason),
            Outcome::Refused(reason) | Outcome::Failed(reason) => {
                words::not_arrived(language, &feedback.destination, reason)
            }
            Outcome::Unknown(reason) => words::perhaps_arrived(language, &feedback.destination, reason),
            // It may still arrive, and then nothing was amiss.
            Outcome::Delivered | Outcome::Delayed(_) => return,
        };
        let channel = &feedback.place.channel;
        let ends = match (self.channels.get(channel), Pair::read(channel)) {
            (Some(room), _) => sender_in(room, feedback).map(|to| (self.standing.own().clone(), to)),
            (None, Some(pair)) => pair.own.speaker(self.standing.own()).map(|from| (from, pair.other)),
            (None, None) => None,
        };
        let Some(((from, to), wire)) = ends.zip(self.wire()) else {
            return;
        };
        wire.send_or_drop(said_quietly(from, to, &text));
    }
}

/// The address in the room of whoever sent a message, if they are still there.
fn sender_in(room: &Room, feedback: &Feedback) -> Option<Jid> {
    let nick = {
        let state = room.state();
        let nick = state.index.get(&feedback.id).map(|known| known.nick.clone());
        nick.filter(|nick| state.occupants.contains_key(nick))
    };
    room.occupant(&nick?).map(Jid::from)
}

/// A private message that is of no use later.
fn said_quietly(from: FullJid, to: Jid, text: &str) -> Stanza {
    let mut stanza = Stanza::new_with_type(MessageType::Chat, to)
        .with_body(Lang::new(), xml_text(text))
        .with_payload(NoStore);
    stanza.from = Some(from.into());
    stanza
}
