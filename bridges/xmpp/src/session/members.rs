//! Deliveries about people: who comes and goes, who is removed, and who may do what.

use viaduct_bridge::DeliveryError;
use viaduct_model::{Membership, Outbound, Person, Receipt, Role};
use xmpp_parsers::jid::BareJid;
use xmpp_parsers::minidom::Element;

use super::outbound::refusal;
use super::room::{Occupant, Room};
use super::{Chore, Xmpp, unsupported};
use crate::client::wire::{Ask, RequestError, Wire};
use crate::xep::xep0045_muc_admin as muc_admin;

impl Xmpp {
    pub(super) async fn membership_out(
        &self,
        room: &Room,
        wire: &Wire,
        outbound: &Outbound,
        person: &Person,
        change: &Membership,
        reason: Option<&str>,
    ) -> Result<Receipt, DeliveryError> {
        match change {
            Membership::Join if self.section.has_puppets() => {
                self.speaker_for(room, wire, outbound).await?;
            }
            Membership::Rename { .. } if self.section.has_puppets() && person.network != self.context.network => {
                drop(self.chores.send(Chore::Refresh(Box::new(person.clone()))));
            }
            Membership::Leave | Membership::Kick | Membership::Ban if person.network != self.context.network => {
                self.remove_puppet(room, wire, person).await?;
            }
            Membership::Invite if person.network == self.context.network => {
                self.invite(room, wire, person, reason).await?;
            }
            Membership::Kick => {
                let nick = room
                    .nick_of(&person.id)
                    .ok_or_else(|| unsupported("they are not in the room"))?;
                self.ask_room(room, wire, muc_admin::role(nick, "none", reason)).await?;
            }
            Membership::Ban | Membership::Unban if person.network == self.context.network => {
                let affiliation = if *change == Membership::Ban { "outcast" } else { "none" };
                let address = address_of(person)?;
                self.ask_room(room, wire, muc_admin::affiliation(address, affiliation, reason))
                    .await?;
            }
            _ => return Err(unsupported("not shown in XMPP rooms")),
        }
        Ok(Receipt::default())
    }

    async fn remove_puppet(&self, room: &Room, wire: &Wire, person: &Person) -> Result<(), DeliveryError> {
        let Some(address) = self.standing.puppet(person) else {
            return Ok(());
        };
        let Some(nick) = room.state().puppets.get(&address).cloned() else {
            return Ok(());
        };
        let Ok(from) = address.with_resource_str(crate::convert::names::RESOURCE) else {
            return Ok(());
        };
        self.see_off(room, wire, from, &nick).await
    }

    /// Changes what somebody may do in the room. The room shows it as changed by itself, and so it is noted as known before.
    pub(super) async fn role_out(
        &self,
        room: &Room,
        wire: &Wire,
        person: &Person,
        role: Role,
    ) -> Result<Receipt, DeliveryError> {
        let own = person.network == self.context.network;
        let nick = if own {
            room.nick_of(&person.id)
        } else {
            let puppet = self.standing.puppet(person);
            puppet.and_then(|puppet| room.state().puppets.get(&puppet).cloned())
        };
        let nick = nick.ok_or_else(|| unsupported("they are not in the room"))?;
        let present = room.state().occupants.get(&nick).cloned();
        let ranked = |present: &Occupant| matches!(present.affiliation.as_str(), "owner" | "admin");
        let ranked = present.as_ref().is_some_and(ranked);
        let address = || {
            let shown = present.as_ref().and_then(|present| present.address.as_ref());
            match shown {
                Some(address) => Ok(address.to_bare()),
                None if own => address_of(person),
                None => self
                    .standing
                    .puppet(person)
                    .ok_or_else(|| unsupported("they have no address")),
            }
        };
        let mut requests = Vec::new();
        if role == Role::Admin {
            requests.push(muc_admin::affiliation(address()?, "owner", None));
        } else if ranked {
            requests.push(muc_admin::affiliation(address()?, "none", None));
        }
        let (affiliation, named) = match role {
            Role::Admin => ("owner", "moderator"),
            Role::Moderator => ("none", "moderator"),
            Role::Member | Role::Voiced => ("none", "participant"),
            Role::Visitor => ("none", "visitor"),
        };
        if role != Role::Admin {
            requests.push(muc_admin::role(nick.clone(), named, None));
        }
        if let Some(present) = room.state().occupants.get_mut(&nick) {
            // What the room shows next is known here already.
            affiliation.clone_into(&mut present.affiliation);
            named.clone_into(&mut present.role);
        }
        for request in requests {
            self.ask_room(room, wire, request).await?;
        }
        Ok(Receipt::default())
    }

    /// Asks the room for something as the hub itself.
    pub(super) async fn ask_room(&self, room: &Room, wire: &Wire, payload: Element) -> Result<(), DeliveryError> {
        let ask = Ask {
            from: self.standing.own().clone().into(),
            to: room.address.clone().into(),
            set: true,
            payload,
        };
        match wire.request(ask).await {
            Ok(_) => Ok(()),
            Err(RequestError::Refused(error)) => Err(refusal(&error)),
            // These requests have the same effect when they are made twice.
            Err(error) => Err(DeliveryError::retry(error.to_string())),
        }
    }
}

/// The address of a person who is known by it.
fn address_of(person: &Person) -> Result<BareJid, DeliveryError> {
    let address = BareJid::new(person.id.as_str())
        .ok()
        .filter(|address| address.node().is_some());
    address.ok_or_else(|| unsupported("the room does not show their address"))
}
