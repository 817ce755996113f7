//! Finding the mirrored channels: by the id that is spelled or remembered, else by name, in each workspace of the app.

use std::sync::Arc;

use super::Slack;
use super::channels::{Channel, Spelled, spelled};
use super::me::listed;
use crate::client::calls::Conversation;
use crate::client::error::CallError;

/// A channel that was looked for by its name.
#[derive(Debug, Clone, Default)]
pub(super) enum Found {
    /// There is none, or the app does not see it.
    #[default]
    Nowhere,
    /// This one.
    One(Box<Conversation>),
    /// Several workspaces have one.
    Several,
}

impl Found {
    /// There is this one, too. A channel of several workspaces is still one.
    fn add(&mut self, conversation: Conversation) {
        match self {
            Self::One(known) if known.id == conversation.id => {}
            Self::Nowhere => *self = Self::One(Box::new(conversation)),
            _ => *self = Self::Several,
        }
    }

    /// Why it cannot be used, if it cannot.
    pub(super) const fn trouble(&self) -> Option<&'static str> {
        match self {
            Self::Nowhere => Some("there is no such channel, or the app does not see it: invite it if it is private"),
            Self::One(_) => None,
            Self::Several => Some("several workspaces have a channel of this name: spell it by its id"),
        }
    }
}

impl Slack {
    /// Finds the ids of all channels: those remembered and those spelled by id are looked up, the others searched by name.
    pub(super) async fn find_channels(self: &Arc<Self>) -> Result<(), CallError> {
        let mut wanted: Vec<Arc<Channel>> = Vec::new();
        for channel in self.channels.all.iter().filter(|channel| !channel.known().ended) {
            let key = format!("id/{}", channel.spelling);
            let remembered = self.context.state.get(&key).await.ok().flatten();
            let remembered = remembered.and_then(|id| String::from_utf8(id).ok());
            let id = match spelled(&channel.spelling) {
                Spelled::Id(id) => Some(remembered.unwrap_or_else(|| id.to_owned())),
                Spelled::Name(_) => remembered,
            };
            match id {
                Some(id) => {
                    channel.known().id = Some(id);
                    self.look_up(channel).await;
                    let gone = channel.known().id.is_none();
                    if gone && matches!(spelled(&channel.spelling), Spelled::Name(_)) {
                        wanted.push(Arc::clone(channel));
                    }
                }
                None => wanted.push(Arc::clone(channel)),
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = wanted
            .iter()
            .map(|channel| match spelled(&channel.spelling) {
                Spelled::Name(name) | Spelled::Id(name) => name,
            })
            .collect();
        let workspaces = self.me().map(|me| me.workspaces.clone()).unwrap_or_default();
        let found = self.search(&workspaces, &names).await?;
        for (channel, found) in wanted.iter().zip(found) {
            if let Some(trouble) = found.trouble() {
                channel.known().trouble = Some(trouble.to_owned());
            }
            if let Found::One(conversation) = found {
                channel.known().id = Some(conversation.id.clone());
                self.settle_in(channel, &conversation).await;
                self.keep_ids(channel).await;
            }
        }
        Ok(())
    }

    /// Looks for channels of these names in these workspaces; in the only one, if none is given.
    pub(super) async fn search(&self, workspaces: &[String], names: &[&str]) -> Result<Vec<Found>, CallError> {
        let mut found = vec![Found::default(); names.len()];
        for team in listed(workspaces) {
            let mut here = vec![false; names.len()];
            let mut take = |conversation: Conversation| {
                let hit = names.iter().position(|name| *name == conversation.name);
                if let Some((entry, here)) = hit.and_then(|hit| found.get_mut(hit).zip(here.get_mut(hit))) {
                    entry.add(conversation);
                    *here = true;
                }
                here.iter().all(|here| *here)
            };
            let searched = self
                .api
                .conversations("public_channel,private_channel", team, &mut take);
            match searched.await {
                // Without the permission for private channels the public ones can still be found.
                Err(error) if error.code() == Some("missing_scope") => {
                    self.api.conversations("public_channel", team, &mut take).await?;
                }
                other => other?,
            }
        }
        Ok(found)
    }

    /// Looks a channel up by its id.
    pub(super) async fn look_up(self: &Arc<Self>, channel: &Arc<Channel>) {
        let Some(id) = channel.known().id.clone() else { return };
        match self.api.conversation(&id).await {
            Ok(conversation) => {
                self.settle_in(channel, &conversation).await;
                self.keep_ids(channel).await;
            }
            Err(error) => {
                let mut known = channel.known();
                if error.code() == Some("channel_not_found") {
                    known.id = None;
                }
                known.trouble = Some(format!("the channel cannot be looked up: {error}"));
            }
        }
    }

    /// Takes what Slack says of a channel, and joins it if need be.
    async fn settle_in(&self, channel: &Arc<Channel>, conversation: &Conversation) {
        let mut trouble = None;
        if conversation.is_archived {
            trouble = Some("the channel is archived".to_owned());
        } else if !conversation.is_member {
            trouble = if conversation.is_private || !self.section.join {
                Some("the app is not in the channel; invite it".to_owned())
            } else {
                let joined = self.api.join(&conversation.id).await;
                joined
                    .err()
                    .map(|error| format!("the app cannot join the channel: {error}"))
            };
        }
        {
            let mut known = channel.known();
            known.learn(conversation);
            known.trouble = trouble;
        }
        self.channels.identify(channel, &conversation.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(id: &str) -> Conversation {
        Conversation {
            id: id.to_owned(),
            ..Conversation::default()
        }
    }

    #[test]
    fn a_name_that_two_workspaces_have_is_not_clear() {
        let mut found = Found::default();
        assert!(found.trouble().unwrap().contains("no such channel"));
        found.add(conversation("C1"));
        found.add(conversation("C1"));
        assert_eq!(found.trouble(), None, "the same channel, in both");
        found.add(conversation("C2"));
        assert!(found.trouble().unwrap().contains("by its id"));
    }
}
