//! An independent person: speaks through the stand-in's own door, and sees what Graph shows.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;
use viaduct_bridge::conformance::{Done, Handle, Remote, RemoteError, Seen, What};
use viaduct_model::ChannelId;
use viaduct_tests::teams::{Draft, Fault, Kind, TeamsStandIn};

/// The channel's name.
pub const NAME: &str = "project";

#[derive(Default)]
struct Watched {
    bodies: HashMap<String, String>,
    gone: HashSet<String>,
    reactions: HashSet<(String, String)>,
    queue: VecDeque<Seen>,
}

/// A person in one channel.
pub struct Person {
    pub teams: Arc<TeamsStandIn>,
    pub channel: String,
    pub user: String,
    /// As the operator spells it.
    spelling: String,
    /// What this person joins and leaves.
    place: String,
    watched: Mutex<Watched>,
}

impl Person {
    /// A channel in the first team, in which the app and this person are.
    pub fn new(teams: Arc<TeamsStandIn>) -> Self {
        let channel = teams.add_channel(NAME, Kind::Standard);
        let user = teams.add_user("sue");
        teams.join(teams.team(), &user);
        Self {
            spelling: format!("Acme/{NAME}"),
            place: teams.team().to_owned(),
            teams,
            channel,
            user,
            watched: Mutex::default(),
        }
    }

    /// A group chat, in which the app and this person are.
    pub fn in_a_chat(teams: Arc<TeamsStandIn>) -> Self {
        let user = teams.add_user("sue");
        let chat = teams.add_chat(NAME, &[&user]);
        Self {
            spelling: chat.clone(),
            place: chat.clone(),
            teams,
            channel: chat,
            user,
            watched: Mutex::default(),
        }
    }

    /// What posting is called at the stand-in.
    fn posting(&self) -> &'static str {
        if self.place == self.channel {
            "connector.reply"
        } else {
            "connector.create"
        }
    }

    /// Looks at the channel once, and puts what is new into the queue.
    fn look(&self) {
        let history = self.teams.history(&self.channel);
        let mut watched = self.watched.lock().unwrap();
        let mut changes: Vec<(String, Seen)> = Vec::new();
        for message in &history {
            let id = text(&message["id"]);
            let own = message["from"]["application"].is_null();
            let when = text(&message["lastModifiedDateTime"]);
            for reaction in message["reactions"].as_array().into_iter().flatten() {
                if !reaction["user"]["application"].is_null() {
                    let one = (id.clone(), text(&reaction["reactionType"]));
                    if watched.reactions.insert(one) {
                        changes.push((
                            when.clone(),
                            reacted(What::React, &id, reaction["reactionType"].as_str().unwrap()),
                        ));
                    }
                }
            }
            let left: Vec<String> = message["reactions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|reaction| !reaction["user"]["application"].is_null())
                .map(|reaction| text(&reaction["reactionType"]))
                .collect();
            let back: Vec<(String, String)> = watched
                .reactions
                .iter()
                .filter(|(on, kind)| *on == id && !left.contains(kind))
                .cloned()
                .collect();
            for one in back {
                changes.push((when.clone(), reacted(What::Unreact, &id, &one.1)));
                watched.reactions.remove(&one);
            }
            if own {
                continue;
            }
            if !message["deletedDateTime"].is_null() {
                if watched.bodies.contains_key(&id) && watched.gone.insert(id.clone()) {
                    let mut seen = read(self, message);
                    seen.what = What::Delete;
                    seen.target = Some(Handle(id));
                    changes.push((when, seen));
                }
                continue;
            }
            let body = text(&message["body"]["content"]);
            match watched.bodies.insert(id.clone(), body.clone()) {
                None => changes.push((text(&message["createdDateTime"]), read(self, message))),
                Some(before) if before != body => {
                    let mut seen = read(self, message);
                    seen.what = What::Edit;
                    seen.target = Some(Handle(id));
                    changes.push((when, seen));
                }
                Some(_) => {}
            }
        }
        changes.sort_by(|one, other| one.0.cmp(&other.0));
        watched.queue.extend(changes.into_iter().map(|(_, seen)| seen));
    }
}

fn draft(html: String) -> Draft {
    Draft {
        html,
        ..Draft::default()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn id(handle: &Handle) -> Result<u64, RemoteError> {
    handle
        .0
        .parse()
        .map_err(|_| RemoteError::Failed(format!("{handle:?} is no message")))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn done(ok: bool, what: &str) -> Done {
    if ok {
        Ok(())
    } else {
        Err(RemoteError::Failed(format!("the stand-in did not {what}")))
    }
}

/// The reactions of these tests, as Teams names them.
const REACTIONS: [(&str, &str); 2] = [("like", "👍"), ("1f389_partypopper", "🎉")];

fn reacted(what: What, id: &str, kind: &str) -> Seen {
    let shown = REACTIONS
        .iter()
        .find(|(name, _)| *name == kind)
        .map_or(kind, |(_, shown)| *shown);
    Seen {
        what,
        text: shown.to_owned(),
        target: Some(Handle(id.to_owned())),
        ..Seen::default()
    }
}

/// The text that HTML shows.
fn plain(html: &str) -> String {
    let html = html
        .replace("</p><p>", "\n\n")
        .replace("<br>", "\n")
        .replace("</li><li>", "\n")
        .replace("<p>", "\n");
    let mut out = String::new();
    let mut rest = html.as_str();
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let (tag, after) = after.split_once('>').unwrap_or_default();
        // Where a link leads can be seen too.
        if let Some(address) = tag.strip_prefix("a href=\"").and_then(|tag| tag.strip_suffix('"')) {
            out.push_str(address);
            out.push(' ');
        }
        rest = after;
    }
    out.push_str(rest);
    out.replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

/// A message as a person sees it.
fn read(person: &Person, message: &Value) -> Seen {
    let html = text(&message["body"]["content"]);
    let (author, body) = match html.split_once(":</b>") {
        Some((before, after)) => (plain(before).trim().to_owned(), after.to_owned()),
        None => (String::new(), html.clone()),
    };
    let mentions = message["mentions"].as_array().cloned().unwrap_or_default();
    let thread = message["replyToId"].as_str().map(|root| Handle(root.to_owned()));
    let shown = plain(&body).trim_matches(['\n', ' ']).to_owned();
    let file = person
        .teams
        .files()
        .into_iter()
        .find(|(name, _)| shown.contains(name.as_str()));
    Seen {
        what: What::Message,
        author,
        handle: Handle(text(&message["id"])),
        target: thread.clone(),
        thread,
        bold: body.contains("<b>"),
        mentions_me: mentions
            .iter()
            .any(|one| one["mentioned"]["user"]["id"] == *person.user),
        mentions_everyone: mentions.iter().any(|one| !one["mentioned"]["conversation"].is_null()),
        file: file.map(|(_, content)| content.to_vec()),
        text: shown,
    }
}

#[async_trait]
impl Remote for Person {
    fn channel(&self) -> ChannelId {
        ChannelId::new(&self.spelling).unwrap()
    }

    async fn connect(&self) -> Done {
        Ok(())
    }

    async fn say(&self, text: &str) -> Done<Handle> {
        Ok(Handle(self.teams.say(&self.channel, &self.user, text).to_string()))
    }

    async fn say_bold(&self, text: &str) -> Done<Handle> {
        let draft = draft(format!("<p><strong>{}</strong></p>", escape(text)));
        Ok(Handle(
            self.teams.say_with(&self.channel, &self.user, draft).to_string(),
        ))
    }

    async fn expect_next(&self, bound: Duration) -> Done<Option<Seen>> {
        let until = Instant::now() + bound;
        loop {
            self.look();
            let next = self.watched.lock().unwrap().queue.pop_front();
            if next.is_some() || Instant::now() >= until {
                return Ok(next);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn say_raw(&self, bytes: &[u8]) -> Done {
        match serde_json::from_slice::<Value>(bytes) {
            Ok(activity) if activity.is_object() => self.teams.emit(&activity),
            _ => {
                self.teams
                    .say(&self.channel, &self.user, &String::from_utf8_lossy(bytes));
            }
        }
        Ok(())
    }

    fn hostile(&self) -> Vec<Vec<u8>> {
        let deep = (0..100).fold("1".to_owned(), |inner, _| format!("[{inner}]"));
        let id = self.teams.say(&self.channel, &self.user, "something ordinary");
        let base = self.teams.activity(&self.channel, id).unwrap();
        let with = |key: &str, value: Value| {
            let mut activity = base.clone();
            activity[key] = value;
            activity.to_string().into_bytes()
        };
        vec![
            with("id", json!("../../etc")),
            with("id", json!({"a": 1})),
            with("type", json!("somethingNew")),
            with("type", json!(7)),
            with("from", json!("x")),
            with("attachments", json!({"contentType": ["text/html"]})),
            with(
                "attachments",
                json!([{"contentType": "text/html", "content": "<b>".repeat(5000)}]),
            ),
            with(
                "attachments",
                json!([{"contentType": "image/png", "contentUrl": "file:///etc/passwd"}]),
            ),
            with("entities", serde_json::from_str(&deep).unwrap()),
            with(
                "conversation",
                json!({"id": "19:nowhere", "tenantId": self.teams.app().tenant}),
            ),
            with("text", json!("<at>\u{0}</at>")),
        ]
    }

    async fn edit(&self, target: &Handle, text: &str) -> Done {
        done(self.teams.edit(&self.channel, id(target)?, text), "edit")
    }

    async fn delete(&self, target: &Handle) -> Done {
        done(self.teams.delete(&self.channel, id(target)?), "delete")
    }

    async fn reply(&self, target: &Handle, text: &str) -> Done<Handle> {
        let target = id(target)?;
        let mut draft = draft(format!("<p>{}</p>", escape(text)));
        draft.thread = Some(target);
        draft.quotes = Some(target);
        Ok(Handle(
            self.teams.say_with(&self.channel, &self.user, draft).to_string(),
        ))
    }

    async fn say_in_thread(&self, root: &Handle, text: &str) -> Done<Handle> {
        Ok(Handle(
            self.teams.reply(&self.channel, &self.user, id(root)?, text).to_string(),
        ))
    }

    async fn react(&self, target: &Handle, emoji: &str) -> Done {
        let kind = REACTIONS.iter().find(|(_, shown)| *shown == emoji).unwrap().0;
        done(
            self.teams.react(&self.channel, id(target)?, &self.user, kind, true),
            "react",
        )
    }

    async fn unreact(&self, target: &Handle, emoji: &str) -> Done {
        let kind = REACTIONS.iter().find(|(_, shown)| *shown == emoji).unwrap().0;
        done(
            self.teams.react(&self.channel, id(target)?, &self.user, kind, false),
            "take back",
        )
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Done<Handle> {
        let (_, id) = self
            .teams
            .upload(&self.channel, &self.user, name, "application/octet-stream", bytes);
        Ok(Handle(id.to_string()))
    }

    async fn set_topic(&self, _topic: &str) -> Done {
        Err(RemoteError::Absent(
            "channels of Teams have descriptions, of which bots are not told".to_owned(),
        ))
    }

    async fn rename(&self, name: &str) -> Done {
        self.teams.rename_user(&self.user, name);
        Ok(())
    }

    async fn leave(&self) -> Done {
        done(self.teams.leave(&self.place, &self.user), "leave")
    }

    async fn join(&self) -> Done {
        done(self.teams.join(&self.place, &self.user), "join")
    }

    async fn kick(&self, _author: &str) -> Done {
        Err(RemoteError::Absent(
            "people of other sides are no members in Teams".to_owned(),
        ))
    }

    async fn say_mention(&self, _author: &str, _text: &str) -> Done<Handle> {
        Err(RemoteError::Absent(
            "people of other sides are no members in Teams".to_owned(),
        ))
    }

    async fn cut_connection(&self) -> Done {
        self.teams.fail_every("", Fault::status(503), 1);
        self.teams.pause(true);
        Ok(())
    }

    async fn restore(&self) -> Done {
        self.teams.heal();
        self.teams.pause(false);
        Ok(())
    }

    async fn limit_rate(&self, times: u32) -> Done {
        let operation = self.posting();
        let fault = Fault::Status {
            status: 429,
            retry_after: Some(1),
        };
        self.teams.fail_next(operation, fault, u64::from(times));
        Ok(())
    }

    async fn lose_answer(&self) -> Done {
        self.teams.fail_next(self.posting(), Fault::CutAnswer, 1);
        Ok(())
    }

    async fn repeat(&self, message: &Handle) -> Done {
        let activity = self.teams.activity(&self.channel, id(message)?);
        let activity = activity.ok_or_else(|| RemoteError::Failed("there is no such message".to_owned()))?;
        self.teams.emit(&activity);
        Ok(())
    }
}
