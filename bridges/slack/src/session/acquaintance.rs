//! Getting to know a workspace at the start of a run: its emoji and user groups, its people where that is wanted, who is in the
//! channels and what is pinned there. Nothing waits for it: whoever is met before is asked for.

use std::sync::Arc;

use viaduct_model::{Content, Event, Membership};

use super::Slack;
use super::channels::Channel;
use super::people::BEFOREHAND;

/// How many people of one channel are told of at the start, where the workspace is listed.
const TOLD: usize = 5_000;
/// How many are asked for one by one where it is not: whoever speaks meanwhile waits behind them.
const ASKED: usize = 100;

impl Slack {
    /// Emoji, groups, people, and who is in the channels.
    pub(super) async fn get_to_know(self: Arc<Self>) {
        self.learn_emoji().await;
        let Some(me) = self.me() else { return };
        for team in me.listed() {
            match self.api.groups(team).await {
                Ok(groups) => groups.iter().for_each(|group| self.people.learn_group(group)),
                Err(error) => tracing::debug!(%error, "Slack does not tell the user groups."),
            }
            if self.section.directory {
                match self.api.people(team, BEFOREHAND).await {
                    Ok(people) => people.iter().for_each(|person| drop(self.people.learn(&me, person))),
                    Err(error) => tracing::debug!(%error, "Slack does not list the people."),
                }
            }
        }
        for channel in &self.channels.all {
            if self.section.membership {
                self.tell_members(channel).await;
            }
            if self.section.pins {
                self.catch_up_pins(channel).await;
            }
        }
    }

    async fn tell_members(&self, channel: &Channel) {
        let (Ok(id), Some(me)) = (channel.usable(), self.me()) else {
            return;
        };
        let bound = if self.section.directory { TOLD } else { ASKED };
        let members = match self.api.members(&id, bound).await {
            Ok(members) => members,
            Err(error) => {
                tracing::debug!(%error, "Slack does not tell who is in a channel.");
                return;
            }
        };
        let now = self.context.clock.now();
        let at = format!("{}.{:03}", now.as_millis() / 1000, now.as_millis() % 1000);
        let mut events: Vec<Event> = Vec::new();
        for user in members.iter().filter(|user| **user != me.user) {
            self.people.ask(&self.api, &me, user).await;
            channel.known().members.insert(user.clone());
            let scene = super::inbound::Scene {
                place: &channel.place,
                id: &id,
                direct_to: None,
                channel: Some(channel),
            };
            let person = self.people.get(user).filter(|person| !person.bot);
            let event = person.and_then(|person| self.membership(scene, person, Membership::Join, &at));
            events.extend(event.filter(|event| matches!(event.content, Content::Membership { .. })));
        }
        if let Ok(ticket) = self.context.inbox.push(events).await {
            ticket.await.ok();
        }
    }

    /// The workspace's own emoji.
    pub(super) async fn learn_emoji(&self) {
        match self.api.emoji().await {
            Ok(emoji) => self.people.set_emoji(emoji),
            Err(error) => tracing::debug!(%error, "Slack does not tell the workspace's emoji."),
        }
    }
}
