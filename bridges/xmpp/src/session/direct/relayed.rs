//! Conversations in which the hub speaks for somebody.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use viaduct_model::PersonId;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::message::{Lang, Message as Stanza, MessageType};

use super::acquaintance::Acquaintance;
use crate::convert::incoming::{Ids, Reading, Says};
use crate::convert::names::short_hash;
use crate::convert::words;
use crate::session::Xmpp;

/// Somebody is asked whom they mean once in so long: two programs that answer each other would never end.
const ASKED_AGAIN: Duration = Duration::from_secs(10);
/// So many people are remembered as asked.
const ASKED: usize = 1_000;

/// Held while what is known of somebody changes. Who was asked whom they mean, and when.
pub(in crate::session) type Asked = tokio::sync::Mutex<HashMap<Jid, Instant>>;

impl Xmpp {
    /// For whom a private message to the hub is. Whoever cannot be understood is asked. `from` is their full address.
    pub(super) async fn meant(&self, other: &Jid, from: &Jid, reading: &mut Reading) -> Option<PersonId> {
        let mut asked = self.asked.lock().await;
        let mut known = self.acquaintance(other).await;
        let person = match &mut reading.says {
            Says::Message(said) => {
                let answered = said.reply_to.as_deref().and_then(|id| known.behind(id).cloned());
                let named = answered.or_else(|| known.named(&mut said.message.body));
                named.or_else(|| known.current().cloned())
            }
            Says::Edit(id, said) => {
                let named = known.named(&mut said.message.body);
                known.behind(id).cloned().or(named).or_else(|| known.current().cloned())
            }
            Says::Retract(id) | Says::Reactions(id, _) | Says::Read(id) => known.behind(id).cloned(),
            Says::Typing(_) => known.current().cloned(),
            Says::Moderated(_) | Says::Subject(_) | Says::Reconfigured => None,
        };
        let speaks = matches!(reading.says, Says::Message(_) | Says::Edit(..));
        match &person {
            Some(person) if speaks => {
                let before = known.clone();
                known.answers(person, &names_of(&reading.ids));
                if known != before {
                    self.remember_acquaintance(other, &known).await;
                }
            }
            None if speaks => {
                let now = Instant::now();
                asked.retain(|_, at| now.duration_since(*at) < ASKED_AGAIN);
                if asked.len() < ASKED && asked.insert(other.clone(), now).is_none() {
                    self.ask_whom(from, &known.names());
                }
            }
            _ => {}
        }
        person
    }

    fn ask_whom(&self, from: &Jid, names: &[&str]) {
        let Some(wire) = self.wire() else { return };
        let text = words::whom(self.context.language, names);
        let mut stanza = Stanza::new_with_type(MessageType::Chat, from.clone()).with_body(Lang::new(), text);
        stanza.from = Some(self.own_address());
        wire.send_or_drop(stanza);
    }

    /// Notes that somebody writes to a person through the hub, with these names of the message.
    pub(super) async fn acquaint(&self, other: &Jid, person: &PersonId, name: &str, ids: &[String]) {
        let _turn = self.asked.lock().await;
        let mut known = self.acquaintance(other).await;
        known.writes(person, name, ids);
        self.remember_acquaintance(other, &known).await;
    }

    /// On whose behalf a message to somebody was sent.
    pub(super) async fn on_behalf_of(&self, other: &Jid, id: &str) -> Option<PersonId> {
        self.acquaintance(other).await.behind(id).cloned()
    }

    async fn acquaintance(&self, other: &Jid) -> Acquaintance {
        let value = self.context.state.get(&key(other)).await.ok().flatten();
        value
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default()
    }

    async fn remember_acquaintance(&self, other: &Jid, known: &Acquaintance) {
        let change = (key(other), serde_json::to_vec(known).ok());
        if let Err(error) = self.context.state.put(vec![change]).await {
            tracing::warn!(%error, "Who writes to somebody could not be remembered.");
        }
    }
}

fn key(other: &Jid) -> String {
    format!("direct/{}", short_hash(other.as_str()))
}

/// What their sender calls a message.
fn names_of(ids: &Ids) -> Vec<String> {
    let mut names: Vec<String> = ids.message.iter().chain(&ids.origin).cloned().collect();
    names.dedup();
    names
}
