//! Chats between a Matrix person and a person in Teams, through the bot.
//!
//! Teams has one conversation between the bot and each person. Where several Matrix people talk with the same person, an
//! answer is for whom it quotes; one that quotes nobody goes to nobody, and the person is told so: it must never reach the
//! wrong one. Whoever begins, in Teams, begins with the Matrix address of whom they mean.
//!
//! | module | does |
//! |---|---|
//! | `inbound` | what the person says, and to whom |
//! | `outbound` | finding and opening the conversation |
//! | `sweep` | what was missed, where the tenant lets the app read chats |

mod inbound;
mod outbound;
mod sweep;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use viaduct_bridge::DeliveryError;
use viaduct_model::{ChannelId, PersonId};

use super::channels::{Channel, Memory};
use super::{Teams, locked};
pub use inbound::is_personal;

/// How many Matrix people may talk with one person.
const PARTNERS: usize = 32;
/// How many messages of one conversation are remembered, with whose they are.
const SAID: usize = 200;
/// The longest Matrix address, in bytes.
const ADDRESS: usize = 255;

/// A chat: who talks with whom. As a channel for the hub: `PERSON:@name:domain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The person in Teams.
    pub person: String,
    /// The Matrix person.
    pub matrix: String,
}

impl Pair {
    /// The chat that a channel's name means.
    pub fn read(channel: &ChannelId) -> Option<Self> {
        let (person, matrix) = channel.as_str().split_once(":@")?;
        Self::between(person, &format!("@{matrix}"))
    }

    /// The chat between these two.
    pub fn of(person: &PersonId, matrix: &str) -> Option<Self> {
        Self::between(person.as_str(), matrix)
    }

    fn between(person: &str, matrix: &str) -> Option<Self> {
        let is_person = crate::config::is_guid(person) || person.starts_with("29:");
        (is_person && is_matrix(matrix)).then(|| Self {
            person: person.to_owned(),
            matrix: matrix.to_owned(),
        })
    }

    /// The chat's name for the hub.
    pub fn channel(&self) -> Option<ChannelId> {
        ChannelId::new(format!("{}:{}", self.person, self.matrix)).ok()
    }
}

fn is_matrix(id: &str) -> bool {
    let parts = id.strip_prefix('@').and_then(|id| id.split_once(':'));
    id.len() <= ADDRESS
        && parts.is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !id.contains(|c: char| c.is_whitespace() || c.is_control())
        })
}

/// The Matrix person whose address a text begins with.
fn named_partner(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?.trim_end_matches([',', ';', ':']);
    is_matrix(word).then(|| word.to_owned())
}

/// What is known of one person's conversation with the bot; kept durably.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// The conversation's id at the connector, once there is one.
    thread: Option<String>,
    /// Where the connector is.
    service: Option<String>,
    /// The id under which the bot may address the person.
    address: Option<String>,
    /// The Matrix people who talk with them, in the order in which they came; empty where one has left.
    partners: Vec<String>,
    /// Messages, oldest first, each with its partner's place in the list.
    said: VecDeque<(String, usize)>,
    /// Up to here, in milliseconds, everything was told.
    swept: Option<u64>,
    /// When something was said last, in milliseconds.
    active: u64,
    /// Whether the person removed the app.
    removed: bool,
}

impl Known {
    /// Whose a message is.
    fn partner_of(&self, message: &str) -> Option<&String> {
        let (_, place) = self.said.iter().rev().find(|(id, _)| id == message)?;
        self.partners.get(*place).filter(|partner| !partner.is_empty())
    }

    fn present(&self) -> impl Iterator<Item = &String> {
        self.partners.iter().filter(|partner| !partner.is_empty())
    }

    /// The only one they talk with.
    fn sole_partner(&self) -> Option<&String> {
        let mut present = self.present();
        present.next().filter(|_| present.next().is_none())
    }

    /// Takes somebody in; false where there are too many.
    fn admit(&mut self, partner: &str) -> bool {
        if self.partners.iter().any(|known| known == partner) {
            return true;
        }
        if let Some(free) = self.partners.iter_mut().find(|known| known.is_empty()) {
            partner.clone_into(free);
            return true;
        }
        let room = self.partners.len() < PARTNERS;
        if room {
            self.partners.push(partner.to_owned());
        }
        room
    }

    /// Somebody leaves, and their messages are nobody's.
    fn dismiss(&mut self, partner: &str) {
        let Some(place) = self.partners.iter().position(|known| known == partner) else {
            return;
        };
        self.said.retain(|(_, whose)| *whose != place);
        if let Some(known) = self.partners.get_mut(place) {
            known.clear();
        }
    }

    fn note(&mut self, message: &str, partner: &str) {
        let place = self.partners.iter().position(|known| known == partner);
        let Some(place) = place.filter(|_| self.partner_of(message).is_none()) else {
            return;
        };
        self.said.push_back((message.to_owned(), place));
        let surplus = self.said.len().saturating_sub(SAID);
        self.said.drain(..surplus);
    }
}

/// The conversation of the bot and one person.
pub struct Chat {
    /// The person.
    person: String,
    /// Held while what is said there is put in order.
    gate: Arc<tokio::sync::Mutex<()>>,
    known: Mutex<Known>,
    /// Its chats, by the Matrix person.
    pairs: Mutex<BTreeMap<String, Arc<Channel>>>,
    /// When they were asked last to whom they write.
    asked: Mutex<Option<Instant>>,
}

impl Chat {
    fn new(person: &str, known: Known) -> Self {
        Self {
            person: person.to_owned(),
            gate: Arc::default(),
            known: Mutex::new(known),
            pairs: Mutex::default(),
            asked: Mutex::default(),
        }
    }
}

impl Teams {
    /// Reads which conversations there are.
    pub(super) async fn load_chats(&self) {
        let rows = match self.context.state.scan("direct/").await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "The direct chats could not be read.");
                return;
            }
        };
        let mut chats = locked(&self.chats);
        for (key, value) in rows {
            if let (Some(person), Ok(known)) = (key.strip_prefix("direct/"), serde_json::from_slice(&value)) {
                let chat = chats.entry(person.to_owned());
                chat.or_insert_with(|| Arc::new(Chat::new(person, known)));
            }
        }
    }

    fn chat(&self, person: &str) -> Arc<Chat> {
        let mut chats = locked(&self.chats);
        let chat = chats.entry(person.to_owned());
        Arc::clone(chat.or_insert_with(|| Arc::new(Chat::new(person, Known::default()))))
    }

    /// All chats that were met in this run, for what is kept of each.
    pub(super) fn pairs(&self) -> Vec<Arc<Channel>> {
        let chats = locked(&self.chats);
        let pairs = chats.values().flat_map(|chat| {
            let pairs = locked(&chat.pairs);
            pairs.values().cloned().collect::<Vec<_>>()
        });
        pairs.collect()
    }

    async fn keep_chat(&self, chat: &Chat) -> Result<(), DeliveryError> {
        let value = serde_json::to_vec(&*locked(&chat.known)).ok();
        let kept = self.context.state.put(vec![(format!("direct/{}", chat.person), value)]);
        kept.await.map_err(|error| DeliveryError::retry(error.to_string()))
    }

    /// The chat of a person with one Matrix person, as the rest of the session knows channels.
    async fn pair(&self, chat: &Chat, matrix: &str) -> Option<Arc<Channel>> {
        let known = locked(&chat.pairs).get(matrix).cloned();
        let pair = if let Some(pair) = known {
            pair
        } else {
            let spelling = Pair::between(&chat.person, matrix)?.channel()?;
            let pair = Channel::direct(&self.context.network, &spelling, matrix, &chat.gate);
            let kept = self
                .context
                .state
                .get(&format!("memory/{spelling}"))
                .await
                .ok()
                .flatten();
            if let Some(memory) = kept.and_then(|kept| serde_json::from_slice::<Memory>(&kept).ok()) {
                pair.known().memory = memory;
            }
            let mut pairs = locked(&chat.pairs);
            Arc::clone(pairs.entry(matrix.to_owned()).or_insert_with(|| Arc::new(pair)))
        };
        let mut location = pair.known().location.clone();
        {
            let known = locked(&chat.known);
            location.thread.clone_from(&known.thread);
            location.service.clone_from(&known.service);
        }
        location.chat = Some(format!("19:{}_{}@unq.gbl.spaces", chat.person, self.section.app_id));
        pair.known().location = location;
        Some(pair)
    }

    /// A Matrix person's chat with somebody has ended.
    pub(super) async fn leave_chat(&self, pair: &Pair) -> Result<(), DeliveryError> {
        let chat = self.chat(&pair.person);
        locked(&chat.known).dismiss(&pair.matrix);
        locked(&chat.pairs).remove(&pair.matrix);
        self.keep_chat(&chat).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = "c33aafc4-646d-4543-9d4c-abd28e4c3ac8";

    #[test]
    fn channels_name_both_sides() {
        let pair = Pair::of(&PersonId::new(PERSON).unwrap(), "@anna:example.org").unwrap();
        let channel = pair.channel().unwrap();
        assert_eq!(channel.as_str(), format!("{PERSON}:@anna:example.org"));
        assert_eq!(Pair::read(&channel), Some(pair));
        let read = |text: &str| Pair::read(&ChannelId::new(text).unwrap());
        assert!(read("29:1abc:@anna:example.org").is_some());
        for wrong in [
            "28:app:@anna:example.org",
            "19:x@thread.v2",
            "Team/Channel",
            "x:@anna:example.org",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_reaches_nobody_but_whom_it_is_for() {
        let mut known = Known::default();
        assert!(known.admit("@anna:x") && known.admit("@anna:x"));
        known.note("1", "@anna:x");
        assert_eq!(known.sole_partner().unwrap(), "@anna:x");
        assert!(known.admit("@bert:x"));
        known.note("2", "@bert:x");
        assert_eq!(known.sole_partner(), None);
        assert_eq!(known.partner_of("2").unwrap(), "@bert:x");
        assert_eq!(known.partner_of("3"), None);
        known.dismiss("@anna:x");
        assert_eq!(
            (known.partner_of("1"), known.sole_partner().unwrap().as_str()),
            (None, "@bert:x")
        );
        assert!(known.admit("@carl:x"));
        assert_eq!((known.partner_of("1"), known.partners.len()), (None, 2));
    }

    #[test]
    fn what_is_known_stays_small() {
        let mut known = Known::default();
        for number in 0..1000 {
            let partner = format!("@{number:0>200}:{:0>50}", "x");
            known.admit(&partner);
            known.note(&format!("{number:0>24}"), &partner);
        }
        let first = known.partners.first().unwrap().clone();
        for number in 1000..2000 {
            known.note(&format!("{number:0>24}"), &first);
        }
        assert_eq!(known.partners.len(), PARTNERS);
        assert!(serde_json::to_vec(&known).unwrap().len() < 16 * 1024);
    }

    #[test]
    fn a_partner_is_named_by_their_address() {
        for text in [
            "@anna:example.org hello",
            "@anna:example.org: hello",
            "@anna:example.org",
        ] {
            assert_eq!(named_partner(text).as_deref(), Some("@anna:example.org"), "{text}");
        }
        assert_eq!(named_partner("hello @anna:example.org"), None);
    }
}
