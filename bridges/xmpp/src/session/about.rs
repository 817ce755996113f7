//! What a room says of itself: what it can do, its name and its picture (XEP-0486).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use viaduct_bridge::StateError;
use viaduct_model::{Content, MediaRef};
use xmpp_parsers::disco::DiscoInfoQuery;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use super::room::{Features, Room};
use super::{Chore, Xmpp};
use crate::client::wire::{Ask, RequestError, Wire};
use crate::convert::outgoing::clip;

/// The longest name taken, in bytes.
const NAME_BOUND: usize = 200;

/// What a room says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct About {
    /// What it can do.
    pub features: Features,
    /// Its name; none if nobody gave it one.
    pub name: Option<String>,
    /// Whether it may have a picture.
    pub pictured: bool,
}

/// What was told of a room last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Told {
    name: Option<String>,
    picture: Option<String>,
}

impl About {
    fn read(room: &Room, info: Option<&Element>) -> Self {
        let children = || info.into_iter().flat_map(Element::children).take(500);
        let features = children().filter(|child| child.is("feature", ns::DISCO_INFO));
        let listed: Vec<&str> = features.filter_map(|feature| feature.attr("var")).collect();
        let identity = children()
            .find(|child| child.is("identity", ns::DISCO_INFO) && child.attr("category") == Some("conference"));
        let name = identity.and_then(|identity| identity.attr("name"));
        Self {
            pictured: listed.contains(&ns::VCARD),
            features: Features::from_list(listed.into_iter()),
            name: name.and_then(|name| given_name(room, name)),
        }
    }
}

/// A room's name, if somebody gave it one: servers give the others the name of their address.
fn given_name(room: &Room, name: &str) -> Option<String> {
    let name = name.trim();
    let given = !name.is_empty() && room.address.node().is_none_or(|node| node.as_str() != name);
    given.then(|| clip(name, NAME_BOUND))
}

impl Xmpp {
    /// Asks a room about itself.
    pub(super) async fn discover(&self, room: &Room, wire: &Wire) -> Result<About, RequestError> {
        let ask = Ask {
            from: self.own_address(),
            to: room.address.clone().into(),
            set: false,
            payload: DiscoInfoQuery { node: None }.into(),
        };
        match wire.request(ask).await {
            Ok(info) => Ok(About::read(room, info.as_ref())),
            Err(RequestError::Refused(_)) => Ok(About::read(room, None)),
            Err(error) => Err(error),
        }
    }

    /// Has the room described soon, once however often it is wanted until then.
    pub(super) fn want_description(&self, room: &Arc<Room>) {
        if !room.description_wanted.swap(true, Ordering::Relaxed) {
            drop(self.chores.send(Chore::Describe(Arc::clone(room))));
        }
    }

    /// Tells the room's name and picture, if they are not what was told last.
    pub(super) async fn describe(self: Arc<Self>, room: Arc<Room>, wire: Arc<Wire>) {
        room.description_wanted.store(false, Ordering::Relaxed);
        let _turn = room.describing.lock().await;
        let Ok(about) = self.discover(&room, &wire).await else {
            return;
        };
        let picture = if about.pictured {
            let address = Jid::from(room.address.clone());
            match self.fetch_vcard(&wire, &address).await {
                Ok(photo) => photo.map(|photo| photo.locator(&address)),
                Err(_) => return,
            }
        } else {
            None
        };
        let now = Told {
            name: about.name,
            picture,
        };
        let Ok(told) = self.told_of(&room).await else {
            return;
        };
        if told == now {
            return;
        }
        let mut events = Vec::new();
        if let Some(name) = now.name.clone().filter(|_| now.name != told.name) {
            events.extend(self.change(&room, self.room_itself(&room), Content::Name { name }));
        }
        if now.picture != told.picture {
            let picture = now.picture.as_ref().map(|locator| MediaRef {
                network: self.context.network.clone(),
                locator: locator.clone(),
            });
            events.extend(self.change(&room, self.room_itself(&room), Content::Picture { picture }));
        }
        if self.tell(events).await.is_ok() {
            self.remember_told(&room, &now).await;
        }
    }

    async fn told_of(&self, room: &Room) -> Result<Told, StateError> {
        let value = self.context.state.get(&key(room)).await?;
        let told = value.and_then(|value| serde_json::from_slice(&value).ok());
        Ok(told.unwrap_or_default())
    }

    async fn remember_told(&self, room: &Room, told: &Told) {
        let change = (key(room), serde_json::to_vec(told).ok());
        if let Err(error) = self.context.state.put(vec![change]).await {
            tracing::warn!(%error, "What a room says of itself could not be remembered.");
        }
    }

    /// Notes a name of the room that the other sides know. Called while nobody looks what the room says of itself.
    pub(super) async fn told_name(&self, room: &Room, name: &str) {
        if let Ok(told) = self.told_of(room).await {
            let name = given_name(room, name);
            self.remember_told(room, &Told { name, ..told }).await;
        }
    }

    /// Notes a picture of the room that the other sides know, by its locator. Called while nobody looks what the room says of
    /// itself.
    pub(super) async fn told_picture(&self, room: &Room, picture: Option<String>) {
        if let Ok(told) = self.told_of(room).await {
            self.remember_told(room, &Told { picture, ..told }).await;
        }
    }
}

fn key(room: &Room) -> String {
    format!("about/{}", room.channel)
}

#[cfg(test)]
mod tests {
    use viaduct_model::{ChannelId, NetworkName};

    use super::*;

    #[test]
    fn a_name_made_from_the_address_is_none() {
        let (network, channel) = (NetworkName::new("n").unwrap(), ChannelId::new("r@c.example").unwrap());
        let room = Room::new(&network, &channel, "r@c.example".parse().unwrap()).unwrap();
        let about = |name: &str| {
            let info = format!(
                "<query xmlns='http://jabber.org/protocol/disco#info'>\
                 <identity category='conference' type='text' name='{name}'/><feature var='vcard-temp'/></query>"
            );
            About::read(&room, Some(&info.parse().unwrap()))
        };
        assert_eq!(about("r").name, None);
        assert_eq!(about("The Room").name.as_deref(), Some("The Room"));
        assert!(about("").pictured);
    }
}
