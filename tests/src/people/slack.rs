//! A person in the workspace of a [Slack stand-in](crate::slack), who acts through its control interface: it makes no
//! difference whether the stand-in is in this process or a program of its own.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::launch::Door;

/// A message as the history of a channel has it.
#[derive(Debug, Clone, PartialEq)]
pub struct SlackMessage(
    /// As Slack shows it.
    pub Value,
);

impl From<Value> for SlackMessage {
    fn from(message: Value) -> Self {
        Self(message)
    }
}

impl SlackMessage {
    fn field(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// What Slack calls it.
    pub fn ts(&self) -> &str {
        self.field("/ts")
    }

    /// Its text, with Slack's marks, as a reader sees the characters.
    pub fn text(&self) -> String {
        let text = self.field("/text");
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    /// The name it is shown under; empty if it is that of the account.
    pub fn name(&self) -> &str {
        self.field("/username")
    }

    /// Whose account said it.
    pub fn user(&self) -> &str {
        self.field("/user")
    }

    /// The first message of the thread it is in; empty if it is in none.
    pub fn thread(&self) -> &str {
        let thread = self.field("/thread_ts");
        if thread == self.ts() { "" } else { thread }
    }

    /// Whether it was edited.
    pub fn is_edited(&self) -> bool {
        self.0.get("edited").is_some()
    }

    /// How many people, by the names of emoji, reacted with this one.
    pub fn reactions(&self, name: &str) -> u64 {
        let reactions = self.0.get("reactions").and_then(Value::as_array);
        let with_name = reactions
            .into_iter()
            .flatten()
            .find(|reaction| reaction.get("name").and_then(Value::as_str) == Some(name));
        with_name
            .and_then(|reaction| reaction.get("count")?.as_u64())
            .unwrap_or_default()
    }

    /// The id of the first file that came with it; empty if none did.
    pub fn file(&self) -> &str {
        self.field("/files/0/id")
    }

    /// Whether the app said it.
    pub fn is_of_app(&self) -> bool {
        self.0.get("bot_id").is_some()
    }
}

/// Somebody in the workspace.
#[derive(Debug, Clone)]
pub struct SlackPerson {
    door: Door,
    id: String,
}

impl SlackPerson {
    /// A new person with this name in the workspace of the stand-in at `url`.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn new(url: &str, name: &str) -> anyhow::Result<Self> {
        let door = Door::of(url)?;
        let id = door.ask(json!({ "do": "add_user", "name": name }), "user").await?;
        Ok(Self { door, id })
    }

    /// Somebody who is there, by what Slack calls them.
    ///
    /// # Errors
    ///
    /// When no client can be made.
    pub fn existing(url: &str, id: &str) -> anyhow::Result<Self> {
        Ok(Self {
            door: Door::of(url)?,
            id: id.to_owned(),
        })
    }

    /// What Slack calls them.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Makes a public channel, joins it, invites others by their ids, and says the channel's id.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn make_channel(&self, name: &str, invite: &[&str]) -> anyhow::Result<String> {
        let make = json!({ "do": "add_channel", "name": name });
        let channel = self.door.ask(make, "channel").await?;
        for user in invite.iter().chain([&self.id.as_str()]) {
            let join = json!({ "do": "join", "channel": channel, "user": user });
            self.door.act(join).await?;
        }
        Ok(channel)
    }

    /// Joins a channel.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn join(&self, channel: &str) -> anyhow::Result<()> {
        let join = json!({ "do": "join", "channel": channel, "user": self.id });
        self.door.act(join).await.map(drop)
    }

    /// Leaves a channel.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn leave(&self, channel: &str) -> anyhow::Result<()> {
        let leave = json!({ "do": "leave", "channel": channel, "user": self.id, "actor": self.id });
        self.door.act(leave).await.map(drop)
    }

    /// The conversation between them and the app.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn direct(&self) -> anyhow::Result<String> {
        self.door
            .ask(json!({ "do": "direct", "user": self.id }), "channel")
            .await
    }

    /// Says something, and gives what Slack calls it.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn say(&self, channel: &str, words: &str) -> anyhow::Result<String> {
        self.say_with(channel, words, &json!({})).await
    }

    /// The same with more fields, such as `blocks`.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn say_with(&self, channel: &str, words: &str, more: &Value) -> anyhow::Result<String> {
        let text = escape(words);
        let say = json!({ "do": "say", "channel": channel, "user": self.id, "text": text, "more": more });
        self.door.ask(say, "ts").await
    }

    /// Answers in a thread, and to the channel as well if it is a broadcast; gives what Slack calls it.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn reply(&self, channel: &str, thread: &str, words: &str, broadcast: bool) -> anyhow::Result<String> {
        let say = json!({
            "do": "say", "channel": channel, "user": self.id, "text": escape(words), "thread": thread,
            "broadcast": broadcast,
        });
        self.door.ask(say, "ts").await
    }

    /// Gives a message another wording.
    ///
    /// # Errors
    ///
    /// When there is no such message.
    pub async fn edit(&self, channel: &str, ts: &str, words: &str) -> anyhow::Result<()> {
        let edit = json!({ "do": "edit", "channel": channel, "ts": ts, "user": self.id, "text": escape(words) });
        self.change(edit).await
    }

    /// Takes a message back.
    ///
    /// # Errors
    ///
    /// When there is no such message.
    pub async fn delete(&self, channel: &str, ts: &str) -> anyhow::Result<()> {
        self.change(json!({ "do": "delete", "channel": channel, "ts": ts }))
            .await
    }

    /// Sets a reaction by the name of its emoji, or takes it back.
    ///
    /// # Errors
    ///
    /// When there is nothing to do.
    pub async fn react(&self, channel: &str, ts: &str, name: &str, set: bool) -> anyhow::Result<()> {
        let reaction =
            json!({ "do": "react", "channel": channel, "ts": ts, "user": self.id, "name": name, "set": set });
        self.change(reaction).await
    }

    /// Uploads a file, and gives what Slack calls the message that carries it.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn share(&self, channel: &str, name: &str, content: &str) -> anyhow::Result<String> {
        let upload = json!({ "do": "upload", "channel": channel, "user": self.id, "name": name, "content": content });
        self.door.ask(upload, "ts").await
    }

    /// All messages of a channel, oldest first; answers in threads too.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn history(&self, channel: &str) -> anyhow::Result<Vec<SlackMessage>> {
        self.door.history(channel).await
    }

    /// How many messages like this a channel has.
    ///
    /// # Errors
    ///
    /// When the stand-in does not answer.
    pub async fn count_of(&self, channel: &str, like: impl Fn(&SlackMessage) -> bool) -> anyhow::Result<usize> {
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
        like: impl Fn(&SlackMessage) -> bool,
    ) -> anyhow::Result<SlackMessage> {
        self.door.expect(what, channel, like).await
    }

    /// Waits until the app says this in a channel.
    ///
    /// # Errors
    ///
    /// As [`SlackPerson::expect`].
    pub async fn hears(&self, channel: &str, words: &str) -> anyhow::Result<SlackMessage> {
        self.expect(words, channel, |said| said.is_of_app() && said.text().contains(words))
            .await
    }

    async fn change(&self, command: Value) -> anyhow::Result<()> {
        let shown = command.to_string();
        let done = self.door.act(command).await?;
        ensure!(
            done.get("changed") == Some(&Value::Bool(true)),
            "nothing came of {shown}"
        );
        Ok(())
    }
}

/// As a client of Slack's sends what somebody typed.
fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
