//! How puppets look: their nicks and pictures follow those of the people they stand for.

use std::sync::Arc;

use viaduct_model::Person;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::presence::Presence;

use super::Xmpp;
use super::room::Room;
use crate::client::wire::Wire;
use crate::convert::names::{RESOURCE, puppet_nick};

impl Xmpp {
    /// Shows in every room that somebody's puppet is in how they look now.
    pub(super) async fn refresh(self: Arc<Self>, person: Box<Person>, wire: Arc<Wire>) {
        let Some(puppet) = self.standing.puppet(&person) else {
            return;
        };
        let Ok(from) = puppet.with_resource_str(RESOURCE) else {
            return;
        };
        self.note_profile(&puppet, &person);
        let looks = self.announcement(&person).await;
        for room in self.rooms.values() {
            let Some(nick) = room.state().puppets.get(&puppet).cloned() else {
                continue;
            };
            let nick = self.wanted_nick(room, &person, nick);
            let Some(to) = room.occupant(&nick) else { continue };
            let mut presence = Presence::available().with_from(from.clone()).with_to(Jid::from(to));
            presence.payloads.extend(looks.clone());
            if wire.send(presence).await.is_err() {
                return;
            }
        }
    }

    /// The nick that a person's puppet should have: the present one if it still says who they are, or if another is taken.
    fn wanted_nick(&self, room: &Room, person: &Person, present: String) -> String {
        let base = puppet_nick(&self.section.nick_template, person, 0);
        if present == base || present.starts_with(&format!("{base} (")) {
            return present;
        }
        let state = room.state();
        let free = |nick: &String| !state.occupants.contains_key(nick) && !state.own_nicks.contains_key(nick);
        let mut wanted = (0..4).map(|attempt| puppet_nick(&self.section.nick_template, person, attempt));
        wanted.find(free).unwrap_or(present)
    }
}
