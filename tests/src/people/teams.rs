//! A person in the tenant of a [Teams stand-in](crate::teams), who acts through its control interface: it makes no
//! difference whether the stand-in is in this process or a program of its own.

use serde_json::{Value, json};

use crate::launch::Door;
use crate::teams::plain;

/// A message as Graph has it.
#[derive(Debug, Clone, PartialEq)]
pub struct TeamsMessage(
    /// As Graph shows it.
    pub Value,
);

impl From<Value> for TeamsMessage {
    fn from(message: Value) -> Self {
        Self(message)
    }
}

impl TeamsMessage {
    fn field(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn is_set(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| !value.is_null())
    }

    /// What Teams calls it: its time in milliseconds. Zero for what has none.
    pub fn id(&self) -> u64 {
        self.field("/id").parse().unwrap_or_default()
    }

    /// The first message of the reply chain it is in; zero if it is in none.
    pub fn root(&self) -> u64 {
        self.field("/replyToId").parse().unwrap_or_default()
    }

    /// Its text with marks.
    pub fn html(&self) -> &str {
        self.field("/body/content")
    }

    /// The name that the hub put in front of it, and the rest.
    fn signed(&self) -> Option<(&str, &str)> {
        self.html().split_once(":</b>").filter(|_| self.is_of_app())
    }

    /// The name that the hub put in front of it; empty if a person wrote it.
    pub fn name(&self) -> String {
        self.signed().map(|(name, _)| plain(name)).unwrap_or_default()
    }

    /// Its text as a reader sees it, without that name.
    pub fn text(&self) -> String {
        let text = plain(self.signed().map_or(self.html(), |(_, text)| text));
        text.trim_start().to_owned()
    }

    /// The names of those it addresses.
    pub fn mentions(&self) -> Vec<&str> {
        let mentions = self.0.get("mentions").and_then(Value::as_array);
        mentions
            .into_iter()
            .flatten()
            .filter_map(|mention| mention.get("mentionText")?.as_str())
            .collect()
    }

    /// Whether it was edited.
    pub fn is_edited(&self) -> bool {
        self.is_set("lastEditedDateTime")
    }

    /// Whether it was taken back.
    pub fn is_deleted(&self) -> bool {
        self.is_set("deletedDateTime")
    }

    /// Who wrote it, as the directory calls them; empty if no person did.
    pub fn user(&self) -> &str {
        self.field("/from/user/id")
    }

    /// Whether the hub's bot said it.
    pub fn is_of_app(&self) -> bool {
        self.0
            .pointer("/from/application")
            .is_some_and(|application| !application.is_null())
    }

    /// How many reactions of this kind it has, such as `like`.
    pub fn reactions(&self, kind: &str) -> usize {
        self.reacting(kind).count()
    }

    /// Whether somebody reacted so.
    pub fn reacted_by(&self, kind: &str, user: &str) -> bool {
        self.reacting(kind)
            .any(|reaction| reaction.pointer("/user/user/id").and_then(Value::as_str) == Some(user))
    }

    fn reacting<'m>(&'m self, kind: &'m str) -> impl Iterator<Item = &'m Value> {
        let reactions = self.0.get("reactions").and_then(Value::as_array);
        let is_such = move |reaction: &&Value| reaction.get("reactionType").and_then(Value::as_str) == Some(kind);
        reactions.into_iter().flatten().filter(is_such)
    }
}

/// Somebody in the tenant, in the team from the start.
#[derive(Debug, Clone)]
pub struct TeamsPerson {
    door: Door,
    id: String,
}

impl TeamsPerson {
    /// A new person with this name in the tenant of the stand-in at `url`.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn new(url: &str, name: &str) -> anyhow::Result<Self> {
        let door = Door::of(url)?;
        let id = door.ask(json!({ "do": "add_user", "name": name }), "user").await?;
        Ok(Self { door, id })
    }

    /// What the directory calls them.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Makes a channel that is open to all of the team, and says its id.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn make_channel(&self, name: &str) -> anyhow::Result<String> {
        self.door
            .ask(json!({ "do": "add_channel", "name": name }), "channel")
            .await
    }

    /// Says something, and gives what Teams calls it.
    ///
    /// # Errors
    ///
    /// When there is no such channel.
    pub async fn say(&self, channel: &str, words: &str) -> anyhow::Result<u64> {
        self.utter(json!({ "do": "say", "channel": channel, "user": self.id, "text": words }))
            .await
    }

    /// Replies to a message that began a chain, and gives what Teams calls the reply.
    ///
    /// # Errors
    ///
    /// When there is no such message.
    pub async fn reply(&self, channel: &str, root: u64, words: &str) -> anyhow::Result<u64> {
        self.utter(json!({ "do": "say", "channel": channel, "user": self.id, "text": words, "thread": root }))
            .await
    }

    async fn utter(&self, command: Value) -> anyhow::Result<u64> {
        let said = self.door.act(command).await?;
        said.get("id")
            .and_then(Value::as_u64)
            .ok_or_else(|| anyhow::anyhow!("there is no id in {said}"))
    }

    /// Gives a message another wording.
    ///
    /// # Errors
    ///
    /// When there is no such message.
    pub async fn edit(&self, channel: &str, id: u64, words: &str) -> anyhow::Result<()> {
        let edit = json!({ "do": "edit", "channel": channel, "id": id, "text": words });
        self.door.act(edit).await.map(drop)
    }

    /// Takes a message back.
    ///
    /// # Errors
    ///
    /// When there is no such message.
    pub async fn delete(&self, channel: &str, id: u64) -> anyhow::Result<()> {
        let delete = json!({ "do": "delete", "channel": channel, "id": id });
        self.door.act(delete).await.map(drop)
    }

    /// Sets a reaction, such as `like`, or takes it back.
    ///
    /// # Errors
    ///
    /// When there is nothing to do.
    pub async fn react(&self, channel: &str, id: u64, kind: &str, set: bool) -> anyhow::Result<()> {
        let react = json!({ "do": "react", "channel": channel, "id": id, "user": self.id, "name": kind, "set": set });
        self.door.act(react).await.map(drop)
    }

    /// All messages of a channel, oldest first; replies and what was taken back too.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn history(&self, channel: &str) -> anyhow::Result<Vec<TeamsMessage>> {
        self.door.history(channel).await
    }

    /// How many messages like this a channel has.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn count_of(&self, channel: &str, like: impl Fn(&TeamsMessage) -> bool) -> anyhow::Result<usize> {
        Ok(self.history(channel).await?.iter().filter(|said| like(said)).count())
    }

    /// Waits for a message like this in a channel, whether it is there or comes now.
    ///
    /// # Errors
    ///
    /// When none came in time; with the last messages there were.
    pub async fn expect(
        &self,
        what: &str,
        channel: &str,
        like: impl Fn(&TeamsMessage) -> bool,
    ) -> anyhow::Result<TeamsMessage> {
        self.door.expect(what, channel, like).await
    }

    /// Waits until the hub's bot says this in a channel.
    ///
    /// # Errors
    ///
    /// As [`TeamsPerson::expect`].
    pub async fn hears(&self, channel: &str, words: &str) -> anyhow::Result<TeamsMessage> {
        let like = |said: &TeamsMessage| said.is_of_app() && !said.is_deleted() && said.text().contains(words);
        self.expect(words, channel, like).await
    }
}
