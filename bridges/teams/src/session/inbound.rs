//! One activity → what happened, in the hub's words.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use viaduct_model::{Content, Event, Membership, Message, MessageId, Person, PersonId, Reaction, Timestamp};

use super::Teams;
use super::channels::Channel;
use crate::client::error::CallError;
use crate::client::json;
use crate::convert::emoji;
use crate::convert::ids::{conversation, is_id, message_id};
use crate::convert::said::{Said, Who, clean};
use crate::telemetry;

/// How many members of one channel are told of at the start.
const TOLD: usize = 5_000;

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
    let concerned = channels.iter().filter(|channel| {
        let known = channel.known();
        let location = &known.location;
        if is_of_team(activity) && team.is_some() {
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

fn event_of(channel: &Channel, id: MessageId, sender: Person, at: Timestamp, content: Content) -> Event {
    Event {
        place: channel.place.clone(),
        id,
        sender,
        at,
        content,
        cursor: None,
        echo_of: None,
        direct_to: None,
    }
}

/// Moves the channel's position and remembers what was told; gives the position.
fn note(channel: &Channel, said: &Said, digest: u64) -> String {
    let mut known = channel.known();
    if let Some(id) = said.message_id() {
        known.tell(id.as_str(), digest);
    }
    let root = said.root.as_deref().unwrap_or(&said.id);
    known.memory.goes_on(root, said.modified.as_millis());
    known.changed = true;
    known.newest = known.newest.max(said.modified.as_millis());
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
                Some(said) => self.tell_said(channel, &self.completed(channel, said).await, activity),
                None => Vec::new(),
            },
            "messageReaction" => self.tell_reactions(channel, activity),
            "conversationUpdate" => self.tell_conversation(channel, activity),
            "installationUpdate" => self.tell_installation(channel, activity),
            "typing" => self.tell_typing(channel, activity).into_iter().collect(),
            _ => Vec::new(),
        })
    }

    /// Asks Graph for the files that an activity only hints at.
    async fn completed(&self, channel: &Channel, said: Said) -> Said {
        let Some(scope) = channel.scope().filter(|_| said.hints_at_files() && !said.deleted) else {
            return said;
        };
        match self.wire.message(&scope, said.root.as_deref(), &said.id).await {
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

    /// The bot itself, for what nobody in particular did.
    fn nobody(&self) -> Option<Person> {
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
        let sender = self.people.person(&said.who).or_else(|| self.nobody())?;
        let message = said.message(self);
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
        let sender = self.people.person(&said.who).or_else(|| self.nobody())?;
        let mut message = said.message(self);
        let digest = digest(&message);
        if channel.known().digest(id.as_str()) == Some(digest) {
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
        if channel.known().digest(id.as_str()) == Some(0) {
            return None;
        }
        let sender = self.people.person(&said.who).or_else(|| self.nobody())?;
        let target = target_of(channel, &id);
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
        {
            let mut known = channel.known();
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
        let verb = if added { "react" } else { "unreact" };
        let id = MessageId::new(format!("{verb}/{target}/{}/{kind}/{}", person.id, at.as_millis())).ok()?;
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
        let id = MessageId::new(format!("typing/{}", person.id)).ok()?;
        Some(event_of(
            channel,
            id,
            person,
            self.context.clock.now(),
            Content::Typing { active: true },
        ))
    }

    /// Something happened to the channel, its team or its members.
    fn tell_conversation(&self, channel: &Channel, activity: &Value) -> Vec<Event> {
        let event = json::text(activity, &["channelData", "eventType"]).unwrap_or_default();
        let closed = |german: &str, english: &str| Content::Closed {
            reason: format!("{english} / {german}"),
        };
        let content = match event {
            "channelRenamed" => json::text(activity, &["channelData", "channel", "name"])
                .and_then(clean)
                .map(|name| Content::Name { name }),
            "channelDeleted" => Some(closed(
                "der Kanal wurde in Teams gelöscht",
                "the channel was deleted in Teams",
            )),
            "teamArchived" => Some(closed("das Team wurde archiviert", "the team was archived in Teams")),
            "teamDeleted" | "teamHardDeleted" => Some(closed(
                "das Team wurde in Teams gelöscht",
                "the team was deleted in Teams",
            )),
            "channelRestored" | "teamUnarchived" | "teamRestored" => Some(Content::Opened),
            _ => None,
        };
        if let Some(content) = content {
            return self.told_of_channel(channel, activity, content).into_iter().collect();
        }
        self.tell_coming_and_going(channel, activity)
    }

    fn told_of_channel(&self, channel: &Channel, activity: &Value, content: Content) -> Option<Event> {
        let at = json::time(activity, &["timestamp"]).unwrap_or_else(|| self.context.clock.now());
        let who = Who::account(json::at(activity, &["from"]));
        let sender = self
            .people
            .person(&who)
            .filter(|_| who.name.is_some())
            .or_else(|| self.nobody())?;
        let id = json::text(activity, &["id"]).map_or_else(|| at.to_string(), str::to_owned);
        let kind = content.kind().as_str();
        let id = MessageId::new(format!("{kind}/{id}/{}", at.as_millis())).ok()?;
        if let Content::Name { name } = &content {
            channel.known().location.name.clone_from(name);
        }
        Some(event_of(channel, id, sender, at, content))
    }

    fn tell_coming_and_going(&self, channel: &Channel, activity: &Value) -> Vec<Event> {
        let lists = [
            ("membersAdded", Membership::Join),
            ("membersRemoved", Membership::Leave),
        ];
        let at = json::time(activity, &["timestamp"]).unwrap_or_else(|| self.context.clock.now());
        let mut out = Vec::new();
        for (list, change) in lists {
            for account in json::list(activity, &[list]).iter().take(TOLD) {
                let who = Who::account(account);
                if self.is_own(&who) {
                    out.extend(self.bot_comes_or_goes(channel, activity, change == Membership::Join));
                } else if self.section.membership {
                    self.people.learn(&who);
                    out.extend(self.membership(channel, &who, change.clone(), at));
                }
            }
        }
        out
    }

    fn membership(&self, channel: &Channel, who: &Who, change: Membership, at: Timestamp) -> Option<Event> {
        let person = self.people.person(who).filter(|person| !person.bot)?;
        let word = if change == Membership::Join { "join" } else { "leave" };
        let id = MessageId::new(format!("{word}/{}/{}", person.id, at.as_millis())).ok()?;
        let content = Content::Membership {
            person: person.clone(),
            change,
            reason: None,
        };
        Some(event_of(channel, id, person, at, content))
    }

    fn tell_installation(&self, channel: &Channel, activity: &Value) -> Vec<Event> {
        let added = json::text(activity, &["action"]).is_some_and(|action| action.starts_with("add"));
        self.bot_comes_or_goes(channel, activity, added).into_iter().collect()
    }

    /// The app was installed in, or removed from, the channel's team.
    fn bot_comes_or_goes(&self, channel: &Channel, activity: &Value, added: bool) -> Option<Event> {
        let content = if added {
            let trouble = channel.known().trouble.take();
            trouble.map(|_| Content::Opened)
        } else {
            channel.known().trouble = Some("the app was removed from the team in Teams; install it again".to_owned());
            Some(Content::Closed {
                reason: "the app was removed in Teams / die App wurde in Teams entfernt".to_owned(),
            })
        };
        self.report_channel(channel);
        self.told_of_channel(channel, activity, content?)
    }

    /// Learns who is in a channel, and tells of them.
    pub(super) async fn tell_members(&self, channel: &Channel) -> Result<(), CallError> {
        let Ok(thread) = channel.usable() else { return Ok(()) };
        let service = self.service(channel);
        let members = self.wire.members(&service, &thread).await?;
        let at = self.context.clock.now();
        let mut events = Vec::new();
        for member in members.iter().take(TOLD) {
            let who = Who::account(member);
            self.people.learn(&who);
            if self.section.membership && !self.is_own(&who) {
                events.extend(self.membership(channel, &who, Membership::Join, at));
            }
        }
        if self.store(events).await.is_err() {
            tracing::debug!("The hub is stopping.");
        }
        Ok(())
    }
}
