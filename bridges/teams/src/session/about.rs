//! What happens to channels and people rather than being said: names, archives, comings and goings, the app itself.

use std::time::Duration;

use serde_json::Value;
use viaduct_model::{Content, Event, Membership, MessageId, Timestamp};

use super::Teams;
use super::channels::Channel;
use super::inbound::event_of;
use crate::client::error::CallError;
use crate::client::json;
use crate::convert::said::{Who, clean};

/// How many members of one channel are told of at the start.
const TOLD: usize = 5_000;
/// How many who came are asked for each for themselves.
const SINGLY: usize = 3;
/// How long it may take to learn who came.
const ACQUAINTING: Duration = Duration::from_secs(5);

impl Teams {
    /// Something happened to the channel, its team or its members.
    pub(super) fn tell_conversation(&self, channel: &Channel, activity: &Value) -> Vec<Event> {
        let event = json::text(activity, &["channelData", "eventType"]).unwrap_or_default();
        let closed = |german: &str, english: &str| Content::Closed {
            reason: self.context.language.pick(english, german).to_owned(),
        };
        let content = match event {
            "channelRenamed" => json::text(activity, &["channelData", "channel", "name"])
                .and_then(clean)
                .map(|name| Content::Name { name }),
            "channelDeleted" | "channelUnshared" => Some(closed(
                "der Kanal wurde in Teams gelöscht oder nicht länger geteilt",
                "the channel was deleted in Teams, or is no longer shared",
            )),
            "teamArchived" => Some(closed(
                "das Team wurde in Teams archiviert",
                "the team was archived in Teams",
            )),
            "teamDeleted" | "teamHardDeleted" => Some(closed(
                "das Team wurde in Teams gelöscht",
                "the team was deleted in Teams",
            )),
            "channelRestored" | "teamUnarchived" | "teamRestored" => Some(Content::Opened),
            _ => None,
        };
        if let Some(content) = content {
            match &content {
                Content::Closed { reason } => channel.known().trouble = Some(reason.clone()),
                Content::Opened => channel.known().trouble = None,
                _ => {}
            }
            self.report_channel(channel);
            return self.told_of_channel(channel, activity, content).into_iter().collect();
        }
        self.tell_coming_and_going(channel, activity)
    }

    pub(super) fn told_of_channel(&self, channel: &Channel, activity: &Value, content: Content) -> Option<Event> {
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

    /// Learns the names of people who came, of whom an activity tells the ids alone, from the list of who is in the channel. What
    /// cannot be learned in time is told without.
    pub(super) async fn acquaint(&self, channel: &Channel, activity: &Value) {
        let came = json::list(activity, &["membersAdded"])
            .iter()
            .take(TOLD)
            .map(Who::account);
        let strangers: Vec<Who> = came
            .filter(|who| self.section.membership && !self.is_own(who) && self.people.is_stranger(who))
            .collect();
        let (Ok(thread), false) = (channel.usable(), strangers.is_empty()) else {
            return;
        };
        let service = self.service(channel);
        let asking = async {
            if strangers.len() > SINGLY {
                return self.wire.members(&service, &thread).await;
            }
            let mut found = Vec::new();
            for id in strangers
                .iter()
                .filter_map(|who| who.teams.as_ref().or(who.directory.as_ref()))
            {
                found.push(self.wire.member(&service, &thread, id).await?);
            }
            Ok(found)
        };
        match tokio::time::timeout(ACQUAINTING, asking).await {
            Ok(Ok(found)) => found.iter().for_each(|member| self.people.learn(&Who::account(member))),
            other => tracing::debug!(channel = %channel.spelling, ?other, "Teams does not tell who came."),
        }
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
        // Who is on Matrix too comes and goes there.
        if self.on_matrix(person.id.as_str()).is_some() {
            return None;
        }
        let word = if change == Membership::Join { "join" } else { "leave" };
        let id = MessageId::new(format!("{word}/{}/{}", person.id, at.as_millis())).ok()?;
        let content = Content::Membership {
            person: person.clone(),
            change,
            reason: None,
        };
        Some(event_of(channel, id, person, at, content))
    }

    pub(super) fn tell_installation(&self, channel: &Channel, activity: &Value) -> Vec<Event> {
        let added = json::text(activity, &["action"]).is_some_and(|action| action.starts_with("add"));
        self.bot_comes_or_goes(channel, activity, added).into_iter().collect()
    }

    /// The app was installed in, or removed from, the channel's team.
    fn bot_comes_or_goes(&self, channel: &Channel, activity: &Value, added: bool) -> Option<Event> {
        let content = if added {
            let mut known = channel.known();
            known.removed = false;
            known.trouble.take().map(|_| Content::Opened)
        } else {
            channel.known().shut_out();
            Some(Content::Closed {
                reason: self.removed().to_owned(),
            })
        };
        self.report_channel(channel);
        self.told_of_channel(channel, activity, content?)
    }

    /// What is said where the app was removed.
    pub(super) fn removed(&self) -> &'static str {
        let language = self.context.language;
        language.pick("the app was removed in Teams", "die App wurde in Teams entfernt")
    }

    /// Looks whether the app is in a channel again, from which it was removed.
    pub(super) async fn look_in(&self, channel: &Channel) {
        let thread = channel.known().location.thread.clone();
        let Some(thread) = thread.filter(|_| channel.known().removed) else {
            return;
        };
        if self.wire.members(&self.service(channel), &thread).await.is_ok() {
            {
                let mut known = channel.known();
                (known.removed, known.trouble) = (false, None);
            }
            self.report_channel(channel);
        }
    }

    /// Learns who is in a channel, and tells of them.
    pub(super) async fn tell_members(&self, channel: &Channel) -> Result<(), CallError> {
        let Ok(thread) = channel.usable() else { return Ok(()) };
        let service = self.service(channel);
        let members = match self.wire.members(&service, &thread).await {
            Err(error) if matches!(error.status(), 403 | 404) => {
                channel.known().shut_out();
                self.report_channel(channel);
                return Err(error);
            }
            other => other?,
        };
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
