//! One activity → what happened, in the hub's words.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use viaduct_model::{Content, Event, Message, MessageId, Person, PersonId, Reaction, Timestamp};

use super::Teams;
use super::channels::Channel;
use super::echo::Reacting;
use crate::client::json;
use crate::convert::emoji;
use crate::convert::ids::{conversation, is_id, message_id};
use crate::convert::said::{Said, Who};
use crate::telemetry;

/// The types of activities that are understood, or known to be of no interest elsewhere.
const KNOWN: [&str; 10] = [
    "message",
    "messageUpdate",
    "messageDelete",
    "messageReaction",
    "conversationUpdate",
    "installationUpdate",
    "typing",
    "invoke",
    "event",
    "endOfConversation",
];

/// Whether a type of activity is known.
pub(super) fn is_known(kind: &str) -> bool {
    KNOWN.contains(&kind)
}

/// What happened to a whole team or to its installation concerns all its channels.
fn is_of_team(activity: &Value) -> bool {
    json::text(activity, &["channelData", "eventType"]).is_some_and(|event| event.starts_with("team"))
        || json::text(activity, &["type"]) == Some("installationUpdate")
}

/// The mirrored channels that an activity is about.
pub(super) fn about(activity: &Value, channels: &[Arc<Channel>]) -> Vec<Arc<Channel>> {
    let (thread, _) = conversation(json::text(activity, &["conversation", "id"]).unwrap_or_default());
    let team = json::text(activity, &["channelData", "team", "id"]);
    let named = json::text(activity, &["channelData", "channel", "id"]).unwrap_or(thread);
    let group = json::text(activity, &["channelData", "team", "aadGroupId"]);
    let of_team = team.is_some() && is_of_team(activity);
    let concerned = channels.iter().filter(|channel| {
        let known = channel.known();
        let location = &known.location;
        if known.left {
            return false;
        }
        if of_team {
            location.team.as_deref() == team || (group.is_some() && location.group.as_deref() == group)
        } else {
            location
                .thread
                .as_deref()
                .is_some_and(|own| own == named || own == thread)
        }
    });
    concerned.cloned().collect()
}

/// A digest of a wording, by which both feeds are compared; never zero, which stands for a message that is gone.
pub(super) fn digest(message: &Message) -> u64 {
    let body = serde_json::to_vec(&message.body).unwrap_or_default();
    let hash = Sha256::digest(&body);
    hash.iter()
        .take(8)
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte))
        .max(1)
}

pub(super) fn event_of(channel: &Channel, id: MessageId, sender: Person, at: Timestamp, content: Content) -> Event {
    Event {
        place: channel.place.clone(),
        id,
        sender,
        at,
        content,
        cursor: None,
        echo_of: None,
        direct_to: channel.direct_to.clone(),
    }
}

/// Moves the channel's position and remembers what was told; gives the position.
pub(super) fn note(channel: &Channel, said: &Said, digest: u64) -> String {
    let mut known = channel.known();
    if let Some(id) = said.message_id() {
        known.tell(id.as_str(), digest);
    }
    let root = said.root.as_deref().unwrap_or(&said.id);
    known.memory.goes_on(root, said.modified.as_millis());
    known.changed = true;
    known.newest = known.newest.max(said.modified.as_millis());
    if said.root.is_none() {
        known.newest_root = known.newest_root.max(said.at.as_millis());
    }
    known.newest.to_string()
}

/// The name that a message has for the hub: another, once it was withdrawn and came back.
fn target_of(channel: &Channel, id: &MessageId) -> MessageId {
    let returned = channel.known().memory.returned.get(id.as_str()).cloned();
    returned
        .and_then(|id| MessageId::new(id).ok())
        .unwrap_or_else(|| id.clone())
}

impl Teams {
    /// What an activity says about a channel; none if its type is not known. The channel's gate is held.
    pub(super) async fn tell(&self, channel: &Channel, activity: &Value) -> Option<Vec<Event>> {
        let kind = json::text(activity, &["type"]).unwrap_or_default();
        let kind = KNOWN.into_iter().find(|known| *known == kind)?;
        telemetry::activity(kind);
        self.people.learn(&Who::account(json::at(activity, &["from"])));
        Some(match kind {
            "message" | "messageUpdate" | "messageDelete" => match Said::of_activity(activity) {
                Some(said) => {
                    let around = self.around(channel, &said).await;
                    let own = self.tell_said(channel, &self.completed(channel, said).await, activity);
                    around.with(own)
                }
                None => Vec::new(),
            },
            "messageReaction" => self.tell_reactions(channel, activity),
            "conversationUpdate" => {
                Box::pin(self.acquaint(channel, activity)).await;
                self.tell_conversation(channel, activity)
            }
            "installationUpdate" => self.tell_installation(channel, activity),
            "typing" => self.tell_typing(channel, activity).into_iter().collect(),
            _ => Vec::new(),
        })
    }

    /// Asks Graph for the files that an activity only hints at.
    async fn completed(&self, channel: &Channel, said: Said) -> Said {
        let hidden = said.hints_at_files() && !said.deleted && channel.direct_to.is_none();
        let Some(scope) = channel.scope().filter(|_| hidden) else {
            return said;
        };
        match Box::pin(self.wire.message(&scope, said.root.as_deref(), &said.id)).await {
            Ok(message) => match Said::of_graph(&message) {
                Some(other) => said.with_files_of(other),
                None => said,
            },
            Err(error) => {
                tracing::warn!(%error, "The files of a message cannot be looked up.");
                said
            }
        }
    }

    /// Whoever said something: in channels on Matrix those who are there too.
    fn speaker(&self, channel: &Channel, who: &Who) -> Option<Person> {
        let person = self.people.person(who).or_else(|| self.nobody())?;
        Some(self.as_themselves(channel, person))
    }

    /// The bot itself, for what nobody in particular did.
    pub(super) fn nobody(&self) -> Option<Person> {
        Some(Person {
            network: self.context.network.clone(),
            id: PersonId::new(format!("28:{}", self.section.app_id)).ok()?,
            name: "Teams".to_owned(),
            avatar: None,
            organisation: None,
            bot: true,
        })
    }

    /// A live message, edit, undelete or deletion.
    fn tell_said(&self, channel: &Channel, said: &Said, activity: &Value) -> Vec<Event> {
        if self.is_own(&said.who) {
            return Vec::new();
        }
        let undeleted = json::text(activity, &["channelData", "eventType"]) == Some("undeleteMessage");
        let event = if said.deleted {
            self.tell_deleted(channel, said)
        } else if undeleted {
            self.tell_returned(channel, said)
        } else if said.edited {
            self.tell_edited(channel, said)
        } else {
            self.tell_new(channel, said)
        };
        event.into_iter().collect()
    }

    /// A new message.
    pub(super) fn tell_new(&self, channel: &Channel, said: &Said) -> Option<Event> {
        let id = said.message_id()?;
        let sender = self.speaker(channel, &said.who)?;
        let message = said.message(self);
        if self.is_echo(channel, said) {
            if said.edited {
                return self.tell_edited(channel, said);
            }
            // What was taken back meanwhile stays so.
            if channel.known().digest(id.as_str()) != Some(0) {
                note(channel, said, digest(&message));
            }
            return None;
        }
        if message.body.is_empty() && message.attachments.is_empty() {
            return None;
        }
        let cursor = note(channel, said, digest(&message));
        let mut event = event_of(channel, id, sender, said.at, Content::Message(message));
        event.cursor = Some(cursor);
        Some(event)
    }

    /// Another wording, unless it was told already.
    pub(super) fn tell_edited(&self, channel: &Channel, said: &Said) -> Option<Event> {
        let id = said.message_id()?;
        let sender = self.speaker(channel, &said.who)?;
        let mut message = said.message(self);
        let digest = digest(&message);
        if channel.known().digest(id.as_str()) == Some(digest) {
            return None;
        }
        if self.is_echo_of_edit(channel, said) {
            note(channel, said, digest);
            return None;
        }
        // Files were told with the message.
        message.attachments = Vec::new();
        let cursor = note(channel, said, digest);
        let content = Content::Edit {
            target: target_of(channel, &id),
            message,
        };
        let event_id = MessageId::new(format!("edit/{id}/{}/{digest:016x}", said.modified.as_millis())).ok()?;
        let mut event = event_of(channel, event_id, sender, said.modified, content);
        event.cursor = Some(cursor);
        Some(event)
    }

    /// A message is gone, unless that was told already.
    pub(super) fn tell_deleted(&self, channel: &Channel, said: &Said) -> Option<Event> {
        let id = said.message_id()?;
        let target = target_of(channel, &id);
        // The slower feed may tell of it when the message has come back.
        let came_back = target.as_str().rsplit_once('/').filter(|_| target != id);
        let came_back = came_back.and_then(|(_, at)| at.parse::<u64>().ok());
        let is_over = came_back.is_some_and(|at| said.modified.as_millis() <= at);
        if is_over || channel.known().digest(id.as_str()) == Some(0) {
            return None;
        }
        let sender = self.speaker(channel, &said.who)?;
        let cursor = note(channel, said, 0);
        let event_id = MessageId::new(format!("delete/{target}")).ok()?;
        let content = Content::Delete { target, reason: None };
        let mut event = event_of(channel, event_id, sender, said.modified, content);
        event.cursor = Some(cursor);
        Some(event)
    }

    /// A message that was withdrawn is there again: elsewhere it has to be said anew.
    pub(super) fn tell_returned(&self, channel: &Channel, said: &Said) -> Option<Event> {
        let id = said.message_id()?;
        if channel.known().digest(id.as_str()).is_some_and(|digest| digest != 0) {
            return None;
        }
        let now = MessageId::new(format!("again/{id}/{}", said.modified.as_millis())).ok()?;
        let mut event = self.tell_new(channel, said)?;
        channel.known().memory.comes_back(id.as_str(), now.as_str());
        event.id = now;
        Some(event)
    }

    fn tell_reactions(&self, channel: &Channel, activity: &Value) -> Vec<Event> {
        let who = Who::account(json::at(activity, &["from"]));
        let (_, root) = conversation(json::text(activity, &["conversation", "id"]).unwrap_or_default());
        let target = json::text(activity, &["replyToId"]).filter(|id| is_id(id));
        let Some(target) = target.and_then(|id| message_id(root, id)) else {
            return Vec::new();
        };
        let at = json::time(activity, &["timestamp"]).unwrap_or_else(|| self.context.clock.now());
        let lists = [("reactionsRemoved", false), ("reactionsAdded", true)];
        let changes = lists.iter().flat_map(|(list, added)| {
            let kinds = json::list(activity, &[*list]).iter().take(20);
            kinds.filter_map(move |reaction| Some((json::text(reaction, &["type"])?, *added)))
        });
        changes
            .filter_map(|(kind, added)| self.tell_reaction(channel, &target, &who, kind, added, at))
            .collect()
    }

    /// Somebody reacts, or no longer does, unless that was told already.
    pub(super) fn tell_reaction(
        &self,
        channel: &Channel,
        target: &MessageId,
        who: &Who,
        kind: &str,
        added: bool,
        at: Timestamp,
    ) -> Option<Event> {
        let person = self.people.person(who).filter(|_| !self.is_own(who))?;
        let key = emoji::to_unicode(kind)?;
        let user = person.id.as_str();
        let what = Reacting {
            target,
            user,
            key: &key,
            added,
            at,
        };
        let echo = self.is_echo_of_reaction(channel, what);
        {
            let mut known = channel.known();
            known.touch(target.as_str());
            let reactions = known.reactions.entry(target.to_string()).or_default();
            let own = (person.id.to_string(), key.clone());
            let had = reactions.contains(&own);
            if had == added {
                // Taking back what was put before the start is told all the same.
                if added {
                    return None;
                }
            } else if added {
                reactions.push(own);
            } else {
                reactions.retain(|known| *known != own);
            }
            while known.reactions.len() > 1000 {
                known.reactions.pop_first();
            }
        }
        if echo {
            return None;
        }
        let verb = if added { "react" } else { "unreact" };
        let id = MessageId::new(format!("{verb}/{target}/{}/{kind}/{}", person.id, at.as_millis())).ok()?;
        let person = self.as_themselves(channel, person);
        let target = target_of(channel, target);
        let reaction = Reaction { key, image: None };
        let content = if added {
            Content::React { target, reaction }
        } else {
            Content::Unreact { target, reaction }
        };
        Some(event_of(channel, id, person, at, content))
    }

    fn tell_typing(&self, channel: &Channel, activity: &Value) -> Option<Event> {
        let person = self.people.person(&Who::account(json::at(activity, &["from"])))?;
        let person = self.as_themselves(channel, person);
        let id = MessageId::new(format!("typing/{}", person.id)).ok()?;
        Some(event_of(
            channel,
            id,
            person,
            self.context.clock.now(),
            Content::Typing { active: true },
        ))
    }
}
