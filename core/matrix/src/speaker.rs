//! In whose name something is sent into a room.
//!
//! A remote person has a ghost. Somebody on the homeserver who says something elsewhere by a login of their own is no remote
//! person: where the operator allows it ([`SpeakFor`]), it is sent as themselves, and carries a marker by which the
//! transaction that brings it back is known as our own. Where it is not allowed, a ghost stands in for them.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use viaduct_model::{DeliveryKey, Outbound, Person};

use crate::convert::raw::{RoomEvent, text};
use crate::error::ApiError;
use crate::ghosts::Ghost;
use crate::{Homeserver, SpeakFor};

/// The key of the marker in an event's content. The marker names its room and user as well: what clients copy when somebody
/// forwards a message is not ours.
pub(crate) const MARKER: &str = "de.viaduct.delivery";

/// In whose name something is sent.
#[derive(Debug, Clone)]
pub(crate) enum Speaker {
    /// A remote person's ghost, in the room.
    Ghost(Arc<Ghost>),
    /// Somebody on the homeserver, by their user id.
    Own(String),
    /// The bot, for whoever is neither.
    Bot,
}

impl Speaker {
    /// The user id to send as; none is the bot's.
    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::Ghost(ghost) => Some(&ghost.mxid),
            Self::Own(mxid) => Some(mxid),
            Self::Bot => None,
        }
    }

    /// Marks a content, if it is sent as somebody whose events come back to us.
    pub(crate) fn mark(&self, out: &Outbound, content: &mut Map<String, Value>) {
        if let Self::Own(mxid) = self {
            let marker = json!({ "key": out.key.as_str(), "room": out.to.channel.as_str(), "user": mxid });
            content.insert(MARKER.to_owned(), marker);
        }
    }
}

impl Homeserver {
    /// In whose name an event is sent. A ghost is made and in the room.
    pub(crate) async fn speaker(&self, out: &Outbound) -> Result<Speaker, ApiError> {
        let author = &out.author.person;
        if author.network.is_matrix() && !out.from.network.is_matrix() && self.may_speak_for(author.id.as_str()) {
            return Ok(Speaker::Own(author.id.as_str().to_owned()));
        }
        self.stand_in(out).await
    }

    /// The author's ghost; of somebody on the homeserver, one that stands for them as a person of the network they spoke on.
    pub(crate) async fn stand_in(&self, out: &Outbound) -> Result<Speaker, ApiError> {
        match remote(out) {
            Some(person) => self
                .ghost_in(&person, out.to.channel.as_str())
                .await
                .map(Speaker::Ghost),
            None => Ok(Speaker::Bot),
        }
    }

    /// The user id in whose name an event would be sent, without making anything.
    pub(crate) fn speaker_id(&self, out: &Outbound) -> String {
        let author = &out.author.person;
        if author.network.is_matrix() && !out.from.network.is_matrix() && self.may_speak_for(author.id.as_str()) {
            return author.id.as_str().to_owned();
        }
        remote(out).map_or_else(|| self.names.bot().to_owned(), |person| self.ghost_id(&person))
    }

    /// Whether the operator lets us speak for somebody on the homeserver.
    pub(crate) fn may_speak_for(&self, mxid: &str) -> bool {
        let own = || {
            let local = mxid.strip_prefix('@').and_then(|rest| rest.split_once(':'));
            local.is_some_and(|(_, domain)| domain == self.config.domain) && !self.names.is_own(mxid)
        };
        match &self.config.speak_for {
            SpeakFor::Nobody => false,
            SpeakFor::These(people) => people.contains(mxid) && own(),
            SpeakFor::OwnUsers => own(),
        }
    }

    /// The delivery that an event is, if it is what we sent in its sender's name.
    pub(crate) fn echo_of(&self, raw: &RoomEvent) -> Option<DeliveryKey> {
        let marker = raw.content.get(MARKER)?;
        let ours = text(marker, "room") == Some(&*raw.room_id)
            && text(marker, "user") == Some(&*raw.sender)
            && self.may_speak_for(&raw.sender);
        let key = text(marker, "key").filter(|key| ours && !key.is_empty())?;
        Some(DeliveryKey::from_remote(key.to_owned()))
    }
}

/// The author as a remote person; none if nothing remote is about it.
fn remote(out: &Outbound) -> Option<Person> {
    let author = &out.author.person;
    if !author.network.is_matrix() {
        return Some(author.clone());
    }
    (!out.from.network.is_matrix()).then(|| Person {
        network: out.from.network.clone(),
        ..author.clone()
    })
}
