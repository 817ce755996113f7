//! Chats between a Matrix person and a person of the workspace, through the app.
//!
//! Slack has one conversation between the app and each person. Where several Matrix people talk with the same person, each of
//! their chats is a thread below the first message they sent; an answer outside of these threads goes to nobody, and the
//! person is told so: it must never reach the wrong one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use viaduct_bridge::{DeliveryError, InboxClosed};
use viaduct_model::{ChannelId, Event, Outbound, PersonId, Place};

use super::inbound::Scene;
use super::outbound::Aim;
use super::{Slack, locked};
use crate::client::calls::Span;
use crate::client::payload;
use crate::convert::ids::{from_micros, is_ts, is_user, micros, user_of};

/// How many Matrix people may talk with one person.
const PARTNERS: usize = 50;

/// A chat: who talks with whom. As a channel for the hub: `USER:@name:domain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The person here.
    pub user: String,
    /// The Matrix person.
    pub matrix: String,
}

impl Pair {
    /// The chat that a channel's name means.
    pub fn read(channel: &ChannelId) -> Option<Self> {
        let (user, matrix) = channel.as_str().split_once(":@")?;
        (is_user(user) && is_matrix(&format!("@{matrix}"))).then(|| Self {
            user: user.to_owned(),
            matrix: format!("@{matrix}"),
        })
    }

    /// The chat between these two.
    pub fn of(person: &PersonId, matrix: &str) -> Option<Self> {
        is_matrix(matrix).then_some(())?;
        Some(Self {
            user: user_of(person)?.to_owned(),
            matrix: matrix.to_owned(),
        })
    }

    /// The chat's name for the hub.
    pub fn channel(&self) -> Option<ChannelId> {
        ChannelId::new(format!("{}:{}", self.user, self.matrix)).ok()
    }
}

fn is_matrix(id: &str) -> bool {
    id.len() <= 255
        && id
            .strip_prefix('@')
            .and_then(|id| id.split_once(':'))
            .is_some_and(|(local, domain)| {
                !local.is_empty() && !domain.is_empty() && !id.contains(|c: char| c.is_whitespace() || c.is_control())
            })
}

/// The conversation between the app and one person.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Direct {
    /// The person here.
    pub user: String,
    /// The Matrix people who talk with them, each with the first message they sent, if they sent any.
    pub partners: BTreeMap<String, Option<String>>,
}

impl Direct {
    /// To whom a message is, if that is clear.
    fn partner(&self, thread: Option<&str>) -> Option<&String> {
        let by_thread = thread.and_then(|thread| {
            self.partners
                .iter()
                .find(|(_, root)| root.as_deref() == Some(thread))
                .map(|(partner, _)| partner)
        });
        by_thread.or_else(|| self.partners.keys().next().filter(|_| self.partners.len() == 1))
    }
}

impl Slack {
    /// Whether an event is of a conversation with the app.
    pub(super) fn is_direct(&self, id: &str, event: &payload::Message) -> bool {
        self.section.direct && id.starts_with('D') && matches!(event.channel_type.as_deref(), None | Some("im"))
    }

    /// Reads which chats there are.
    pub(super) async fn load_directs(&self) {
        match self.context.state.scan("direct/").await {
            Ok(rows) => {
                let rows = rows.into_iter().filter_map(|(key, value)| {
                    Some((
                        key.strip_prefix("direct/")?.to_owned(),
                        serde_json::from_slice(&value).ok()?,
                    ))
                });
                *locked(&self.directs) = rows.collect();
            }
            Err(error) => tracing::warn!(%error, "The direct chats could not be read."),
        }
    }

    /// Remembers a chat: that it is there, or with which message it began.
    async fn keep_direct(&self, id: &str, user: &str, partner: &str, root: Option<&str>) -> Result<(), DeliveryError> {
        let value = {
            let mut directs = locked(&self.directs);
            let direct = directs.entry(id.to_owned()).or_default();
            user.clone_into(&mut direct.user);
            if direct.partners.len() >= PARTNERS && !direct.partners.contains_key(partner) {
                return Err(DeliveryError::permanent(
                    "too many people talk with this person through the app",
                ));
            }
            let before = direct.partners.get(partner).cloned();
            if before
                .as_ref()
                .is_some_and(|root_before| root_before.is_some() || root.is_none())
            {
                return Ok(());
            }
            direct.partners.insert(partner.to_owned(), root.map(str::to_owned));
            serde_json::to_vec(&*direct).ok()
        };
        let kept = self.context.state.put(vec![(format!("direct/{id}"), value)]).await;
        kept.map_err(|error| DeliveryError::retry(error.to_string()))
    }

    /// Where a message of a chat goes.
    pub(super) async fn aim_directly(&self, pair: &Pair) -> Result<Aim, DeliveryError> {
        let known = locked(&self.directs)
            .iter()
            .find(|(_, direct)| direct.user == pair.user)
            .map(|(id, _)| id.clone());
        let id = match known {
            Some(id) => id,
            None => self
                .api
                .open_direct(&pair.user)
                .await
                .map_err(|error| match error.code() {
                    Some("user_not_found" | "user_disabled" | "cannot_dm_bot" | "users_not_found" | "not_allowed") => {
                        DeliveryError::permanent(format!("Slack lets the app not write to this person: {error}"))
                    }
                    _ => error.for_repeatable(),
                })?,
        };
        self.keep_direct(&id, &pair.user, &pair.matrix, None).await?;
        let directs = locked(&self.directs);
        let direct = directs.get(&id);
        let several = direct.is_some_and(|direct| direct.partners.len() > 1);
        let root = direct.and_then(|direct| direct.partners.get(&pair.matrix).cloned().flatten());
        Ok(Aim {
            id,
            channel: None,
            thread: root.filter(|_| several),
        })
    }

    /// Something was said: the first message of a chat is what its thread will be below.
    pub(super) async fn spoken(&self, aim: &Aim, outbound: &Outbound, ids: &[String]) {
        if let (Some(pair), Some(first)) = (Pair::read(&outbound.to.channel), ids.first())
            && aim.thread.is_none()
            && let Err(error) = self.keep_direct(&aim.id, &pair.user, &pair.matrix, Some(first)).await
        {
            tracing::warn!(%error, "The beginning of a direct chat could not be remembered.");
        }
    }

    /// What an event of a conversation with the app says, and to whom.
    pub(super) async fn tell_direct(&self, event: &mut payload::Message) -> Vec<Event> {
        let Some(id) = event.place().map(str::to_owned) else {
            return Vec::new();
        };
        if event.kind == "message" && self.is_own(event) {
            for file in &event.files {
                self.uploaded(&file.id, &id, &event.ts);
            }
        }
        let direct = locked(&self.directs).get(&id).cloned().unwrap_or_default();
        let about = event.message.as_deref().or(event.previous_message.as_deref());
        let said = about.unwrap_or(event);
        let thread = said.thread_ts.clone().filter(|thread| *thread != said.ts);
        let target = event.item.as_ref().map(|item| item.ts.clone());
        let by_target = target.and_then(|target| direct.partner(Some(&target)).cloned());
        let mut partner = by_target.or_else(|| direct.partner(thread.as_deref()).cloned());
        if event.kind == "message"
            && event.subtype.is_none()
            && thread.is_none()
            && !self.is_own(event)
            && let (Some(named), Some(user)) = (named_partner(&event.text), event.user.id())
        {
            if self.keep_direct(&id, user, &named, Some(&event.ts)).await.is_err() {
                return Vec::new();
            }
            partner = Some(named);
        }
        let Some(partner) = partner else {
            if event.kind == "message" && event.subtype.is_none() && !self.is_own(event) {
                self.ask_to_whom(&id, event).await;
            }
            return Vec::new();
        };
        let known = locked(&self.directs).get(&id).map(|direct| direct.user.clone());
        let pair = Pair {
            user: known.unwrap_or_default(),
            matrix: partner.clone(),
        };
        let Some(channel) = pair.channel() else {
            return Vec::new();
        };
        let place = Place::new(self.context.network.clone(), channel);
        // The thread is the chat itself.
        let several = locked(&self.directs)
            .get(&id)
            .is_some_and(|direct| direct.partners.len() > 1);
        if several && event.kind == "message" {
            event.thread_ts = None;
            if let Some(message) = event.message.as_deref_mut() {
                message.thread_ts = None;
            }
        }
        let scene = Scene {
            place: &place,
            id: &id,
            direct_to: Some(&partner),
            channel: None,
        };
        self.tell_asking(scene, event).await
    }

    async fn ask_to_whom(&self, id: &str, event: &payload::Message) {
        let Some(user) = event.user.id() else { return };
        let text = self.context.language.pick(
            "Please answer in the thread below a message, so that it is clear to whom; or begin with the Matrix address of \
             the person you want to write to, such as @anna:example.org.",
            "Bitte im Thread unter einer Nachricht antworten, damit klar ist, an wen; oder mit der Matrix-Adresse der Person \
             beginnen, etwa @anna:example.org.",
        );
        if let Err(error) = self.api.whisper(id, user, text).await {
            tracing::debug!(%error, "Somebody could not be asked to whom they write.");
        }
    }

    /// Tells what was said in direct chats during an absence.
    pub(super) async fn catch_up_directs(&self) -> Result<(), InboxClosed> {
        let directs: Vec<_> = locked(&self.directs)
            .iter()
            .map(|(id, direct)| (id.clone(), direct.clone()))
            .collect();
        for (id, direct) in directs {
            let mut newest = 0;
            for partner in direct.partners.keys() {
                let pair = Pair {
                    user: direct.user.clone(),
                    matrix: partner.clone(),
                };
                if let Some(channel) = pair.channel()
                    && let Some(cursor) = self.context.inbox.cursor(&channel).await
                {
                    newest = newest.max(micros(&cursor));
                }
            }
            // Before anything was said there is nothing to catch up with but what the app said first.
            let first = direct.partners.values().flatten().map(|root| micros(root)).min();
            let Some(oldest) = (if newest > 0 { Some(newest) } else { first }) else {
                continue;
            };
            let mut threads: Vec<Option<String>> = vec![None];
            threads.extend(direct.partners.values().flatten().cloned().map(Some));
            let mut missed: BTreeMap<u64, payload::Message> = BTreeMap::new();
            for thread in threads {
                let span = Span {
                    channel: id.clone(),
                    thread,
                    oldest: Some(from_micros(oldest)),
                    metadata: true,
                    ..Span::default()
                };
                let mut cursor = None;
                while let Ok(page) = self.api.messages(&span, cursor.as_ref()).await {
                    let messages = page.messages.into_iter().filter(|message| is_ts(&message.ts));
                    missed.extend(
                        messages
                            .map(|message| (micros(&message.ts), message))
                            .filter(|(at, _)| *at > oldest),
                    );
                    cursor = page.next;
                    if cursor.is_none() || missed.len() > 5_000 {
                        break;
                    }
                }
            }
            for (_, mut message) in missed {
                "message".clone_into(&mut message.kind);
                message.channel = payload::Ref::Id(id.clone());
                let events = self.tell_direct(&mut message).await;
                if !events.is_empty() {
                    self.context.inbox.push(events).await?;
                }
            }
        }
        Ok(())
    }
}

/// The Matrix person whose address a text begins with.
fn named_partner(text: &str) -> Option<String> {
    let text = crate::convert::mrkdwn::unescape(text);
    let word = text.split_whitespace().next()?.trim_end_matches([',', ';']);
    let word = word.trim_end_matches(':');
    is_matrix(word).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_name_both_sides() {
        let pair = Pair::of(&PersonId::new("T2/U9").unwrap(), "@anna:example.org").unwrap();
        let channel = pair.channel().unwrap();
        assert_eq!(channel.as_str(), "U9:@anna:example.org");
        assert_eq!(Pair::read(&channel), Some(pair));
        assert_eq!(Pair::read(&ChannelId::new("#general").unwrap()), None);
        assert_eq!(Pair::of(&PersonId::new("B1").unwrap(), "@anna:example.org"), None);
    }

    #[test]
    fn an_answer_reaches_nobody_but_whom_it_is_to() {
        let mut direct = Direct {
            user: "U1".to_owned(),
            partners: [("@a:x".to_owned(), Some("1.0".to_owned()))].into(),
        };
        assert_eq!(direct.partner(None).unwrap(), "@a:x");
        direct.partners.insert("@b:x".to_owned(), Some("2.0".to_owned()));
        assert_eq!(direct.partner(None), None);
        assert_eq!(direct.partner(Some("3.0")), None);
        assert_eq!(direct.partner(Some("2.0")).unwrap(), "@b:x");
    }

    #[test]
    fn a_partner_is_named_by_their_address() {
        assert_eq!(
            named_partner("@anna:example.org hello").as_deref(),
            Some("@anna:example.org")
        );
        assert_eq!(
            named_partner("@anna:example.org: hello").as_deref(),
            Some("@anna:example.org")
        );
        assert_eq!(named_partner("hello @anna:example.org"), None);
    }
}
