//! Invitations into rooms (XEP-0045, XEP-0249), bookmarks (XEP-0402), and rooms that come back.

use std::sync::Arc;

use viaduct_bridge::DeliveryError;
use viaduct_model::{Content, Person};
use xmpp_parsers::bookmarks2::Conference;
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::message::{Message as Stanza, MessageType};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use super::room::{Room, Seat};
use super::{Chore, Xmpp, unsupported};
use crate::client::wire::{Ask, Wire};
use crate::xep;
use crate::xep::xep0045_muc_user::{self as muc_user, MucUser};
use crate::xep::xep0060_items::{publish_privately, retract};
use crate::xep::xep0249_direct_invite::{self, DirectInvite};

impl Xmpp {
    /// Takes an invitation, if a message is one: into a mirrored room the hub goes at once.
    pub(super) fn on_invitation(&self, stanza: &Stanza) -> bool {
        let Some((address, by, password)) = invitation(stanza) else {
            return false;
        };
        let own = self.standing.own().to_bare();
        if stanza.to.as_ref().is_none_or(|to| to.to_bare() != own) {
            // For somebody else, who reads of it as of any message.
            return false;
        }
        let Some(room) = self.rooms.get(&address) else {
            tracing::debug!(room = %address, %by, "The hub was invited into a room that is not mirrored.");
            return true;
        };
        tracing::info!(room = %address, %by, "The hub was invited into a mirrored room.");
        if room.state().left {
            return true;
        }
        if password.is_some() {
            room.state().password = password;
        }
        let out = matches!(room.state().seat, Seat::Out(_));
        if out {
            room.invited.notify_waiters();
            if room.state().closed {
                drop(self.chores.send(Chore::Enter(Arc::clone(room))));
            }
        }
        true
    }

    /// Invites somebody of the network into a room.
    pub(super) async fn invite(
        &self,
        room: &Room,
        wire: &Wire,
        person: &Person,
        reason: Option<&str>,
    ) -> Result<(), DeliveryError> {
        let address = BareJid::new(person.id.as_str())
            .ok()
            .filter(|address| address.node().is_some());
        let address = address.ok_or_else(|| unsupported("their address is not known"))?;
        let mut stanza = Stanza::new_with_type(MessageType::Normal, Jid::from(room.address.clone()));
        stanza.from = Some(self.own_address());
        stanza.payloads.push(muc_user::invitation(&address, reason));
        wire.send(stanza)
            .await
            .map_err(|error| DeliveryError::retry(error.to_string()))
    }

    /// Tells the other sides that a room that was closed can be used again.
    pub(super) async fn reopened(&self, room: &Room) {
        if std::mem::take(&mut room.state().closed) {
            let events = self.change(room, self.room_itself(room), Content::Opened);
            self.tell(events).await.ok();
        }
    }

    /// Notes a room among the account's bookmarks, for its other clients.
    pub(super) async fn bookmark(&self, room: &Room, wire: &Wire) {
        if !self.standing.is_account() {
            return;
        }
        let conference = Conference {
            autojoin: true,
            ..Conference::new()
        };
        let payload = publish_privately(ns::BOOKMARKS2, room.address.as_str(), Element::from(conference));
        let ask = Ask {
            from: self.own_address(),
            to: self.standing.own().to_bare().into(),
            set: true,
            payload,
        };
        if let Err(error) = wire.request(ask).await {
            tracing::debug!(room = %room.address, %error, "The room could not be bookmarked.");
        }
    }
}

impl Xmpp {
    /// Takes a room out of the account's bookmarks.
    pub(super) async fn forget_bookmark(&self, room: &Room, wire: &Wire) {
        if !self.standing.is_account() {
            return;
        }
        let ask = Ask {
            from: self.own_address(),
            to: self.standing.own().to_bare().into(),
            set: true,
            payload: retract(ns::BOOKMARKS2, room.address.as_str()),
        };
        if let Err(error) = wire.request(ask).await {
            tracing::debug!(room = %room.address, %error, "The room's bookmark could not be removed.");
        }
    }
}

/// The room that a message invites to, who invites, and the room's password.
fn invitation(stanza: &Stanza) -> Option<(BareJid, Jid, Option<String>)> {
    if stanza.type_ == MessageType::Error {
        return None;
    }
    let from = stanza.from.clone()?;
    if let Some(user) = MucUser::find(&stanza.payloads).filter(|_| from.resource().is_none())
        && let Some(by) = user.invited_by
    {
        return Some((from.to_bare(), by, user.password));
    }
    let direct: DirectInvite = xep::find(&stanza.payloads, "x", xep0249_direct_invite::NS)?;
    // Anybody can send one of these: what they say of the password is not believed.
    Some((direct.jid, from, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inner: &str) -> Option<(String, String, Option<String>)> {
        let xml = format!(
            "<message xmlns='{}' from='r@c.example' to='h@m.example'>{inner}</message>",
            ns::DEFAULT_NS
        );
        let stanza = Stanza::try_from(xml.parse::<Element>().unwrap()).unwrap();
        invitation(&stanza).map(|(room, by, password)| (room.to_string(), by.to_string(), password))
    }

    #[test]
    fn both_kinds_are_read() {
        let mediated =
            "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='bob@p.example'/><password>pw</password></x>";
        let expected = (
            "r@c.example".to_owned(),
            "bob@p.example".to_owned(),
            Some("pw".to_owned()),
        );
        assert_eq!(read(mediated), Some(expected));
        let direct = "<x xmlns='jabber:x:conference' jid='s@c.example'/>";
        let expected = ("s@c.example".to_owned(), "r@c.example".to_owned(), None);
        assert_eq!(read(direct), Some(expected));
        assert_eq!(read("<body>hi</body>"), None);
    }
}
