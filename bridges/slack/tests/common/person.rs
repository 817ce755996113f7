//! An independent person: speaks through the stand-in's own door, and sees through another app's socket.

use std::collections::VecDeque;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use viaduct_bridge::conformance::{Done, Handle, Remote, RemoteError, Seen, What};
use viaduct_model::ChannelId;
use viaduct_tests::slack::{App, Fault, Kind, SlackStandIn, Ts, Which};

/// A person in one channel.
pub struct Person {
    pub slack: Arc<SlackStandIn>,
    pub channel: String,
    pub user: String,
    observer: App,
    seen: Arc<Mutex<VecDeque<Seen>>>,
    more: Arc<Notify>,
}

/// The channel's name.
pub const NAME: &str = "project";

impl Person {
    /// A workspace with a channel in which the app, an observing app and this person are.
    pub fn new(slack: Arc<SlackStandIn>) -> Self {
        let channel = slack.add_channel(NAME, Kind::Public);
        let user = slack.add_user("sue");
        let observer = slack.install(slack.team(), "observer");
        for member in [&user, &observer.bot_user, &slack.app().bot_user] {
            slack.join(&channel, member);
        }
        Self {
            slack,
            channel,
            user,
            observer,
            seen: Arc::default(),
            more: Arc::default(),
        }
    }

    fn ts(handle: &Handle) -> Result<Ts, RemoteError> {
        Ts::from_str(&handle.0).map_err(|error| RemoteError::Failed(error.to_string()))
    }

    fn says(&self, elements: &Value, text: &str) -> Handle {
        let blocks = json!([{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": elements}]}]);
        let more: Map<String, Value> = [("blocks".to_owned(), blocks)].into_iter().collect();
        let ts = self.slack.say_with(&self.channel, &self.user, &escape(text), more);
        Handle(ts.to_string())
    }
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

/// Reads one app's events from its socket.
async fn watch(
    slack: Arc<SlackStandIn>,
    observer: App,
    channel: String,
    me: String,
    push: impl Fn(Seen) + Send + 'static,
) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/apps.connections.open", slack.api_url());
    let answer = http.post(url).bearer_auth(&observer.app_token).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let address = url::Url::parse(answer["url"].as_str().unwrap()).unwrap();
    let stream = tokio::net::TcpStream::connect((address.host_str().unwrap(), address.port().unwrap()))
        .await
        .unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(address.as_str(), stream).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        let WsMessage::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        let Some(envelope) = frame["envelope_id"].as_str() else {
            continue;
        };
        let ack = json!({"envelope_id": envelope}).to_string();
        socket.send(WsMessage::Text(ack.into())).await.unwrap();
        if let Some(seen) = look(&slack, &frame["payload"]["event"], &channel, &me) {
            push(seen);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a person would see of an event; none of what they did themselves.
fn look(slack: &SlackStandIn, event: &Value, channel: &str, me: &str) -> Option<Seen> {
    let place = event["channel"].as_str().or(event["item"]["channel"].as_str());
    if place != Some(channel) || event["user"] == me || event["message"]["user"] == me {
        return None;
    }
    let what = match (text(&event["type"]).as_str(), text(&event["subtype"]).as_str()) {
        ("message", "message_changed") => What::Edit,
        ("message", "message_deleted") => What::Delete,
        ("message", "channel_topic") => What::Topic,
        ("message", "channel_join" | "channel_leave") => return None,
        ("message", _) => What::Message,
        ("reaction_added", _) => What::React,
        ("reaction_removed", _) => What::Unreact,
        ("member_joined_channel", _) => What::Join,
        ("member_left_channel", _) => What::Leave,
        _ => return None,
    };
    let said = if what == What::Edit { &event["message"] } else { event };
    let mut seen = Seen {
        what,
        author: said["username"]
            .as_str()
            .or(said["user"].as_str())
            .unwrap_or_default()
            .to_owned(),
        handle: Handle(text(&said["ts"])),
        ..Seen::default()
    };
    match what {
        What::Edit => seen.target = Some(Handle(text(&event["message"]["ts"]))),
        What::Delete => {
            if event["previous_message"]["user"] == me {
                return None;
            }
            seen.target = Some(Handle(text(&event["deleted_ts"])));
        }
        What::Topic => seen.text = text(&event["topic"]),
        What::React | What::Unreact => {
            seen.target = Some(Handle(text(&event["item"]["ts"])));
            let name = text(&event["reaction"]);
            seen.text = viaduct_slack::convert::emoji::to_unicode(&name).unwrap_or(name);
        }
        _ => {}
    }
    if matches!(what, What::Message | What::Edit) {
        read(said, me, &mut seen);
        let root = said["thread_ts"]
            .as_str()
            .filter(|root| Some(*root) != said["ts"].as_str());
        seen.thread = root.map(|root| Handle(root.to_owned()));
        if said["subtype"] == "thread_broadcast" || said["reply_broadcast"] == true || said["root"].is_object() {
            seen.target = seen.thread.clone();
        }
        if let Some(file) = said["files"][0]["id"].as_str() {
            seen.file = slack.file(file).map(|bytes| bytes.to_vec());
        }
    }
    Some(seen)
}

/// Reads the blocks as Slack shows them.
fn read(message: &Value, me: &str, seen: &mut Seen) {
    fn part(value: &Value, me: &str, seen: &mut Seen) {
        match value["type"].as_str().unwrap_or_default() {
            "text" => {
                seen.text.push_str(value["text"].as_str().unwrap_or_default());
                seen.bold |= value["style"]["bold"] == true;
            }
            "link" => {
                let label = value["text"].as_str();
                seen.text.push_str(label.unwrap_or_default());
                if label.is_none() {
                    seen.text.push_str(value["url"].as_str().unwrap_or_default());
                }
            }
            "emoji" => seen.text.extend([":", &text(&value["name"]), ":"]),
            "user" => seen.mentions_me |= value["user_id"] == me,
            "broadcast" => seen.mentions_everyone = true,
            _ => {
                for inner in value["elements"].as_array().into_iter().flatten() {
                    part(inner, me, seen);
                }
                seen.text.push('\n');
            }
        }
    }
    for block in message["blocks"].as_array().into_iter().flatten() {
        part(block, me, seen);
    }
    let fallback = message["text"].as_str().unwrap_or_default();
    seen.mentions_everyone |= ["<!channel>", "<!here>", "<!everyone>"]
        .iter()
        .any(|call| fallback.contains(call));
    if seen.text.is_empty() {
        seen.text = fallback.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    }
    seen.text = seen.text.trim_end_matches('\n').to_owned();
}

#[async_trait]
impl Remote for Person {
    fn channel(&self) -> ChannelId {
        ChannelId::new(format!("#{NAME}")).unwrap()
    }

    async fn connect(&self) -> Done {
        let (seen, more) = (Arc::clone(&self.seen), Arc::clone(&self.more));
        tokio::spawn(watch(
            Arc::clone(&self.slack),
            self.observer.clone(),
            self.channel.clone(),
            self.user.clone(),
            move |one| {
                seen.lock().unwrap().push_back(one);
                more.notify_one();
            },
        ));
        // What is said before the observer listens would be lost.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(())
    }

    async fn say(&self, text: &str) -> Done<Handle> {
        Ok(self.says(&json!([{"type": "text", "text": text}]), text))
    }

    async fn say_bold(&self, text: &str) -> Done<Handle> {
        Ok(self.says(&json!([{"type": "text", "text": text, "style": {"bold": true}}]), text))
    }

    async fn expect_next(&self, bound: Duration) -> Done<Option<Seen>> {
        let next = async {
            loop {
                let found = self.seen.lock().unwrap().pop_front();
                if found.is_some() {
                    return found;
                }
                self.more.notified().await;
            }
        };
        Ok(tokio::time::timeout(bound, next).await.ok().flatten())
    }

    async fn say_raw(&self, bytes: &[u8]) -> Done {
        let text = String::from_utf8_lossy(bytes);
        match serde_json::from_slice::<Value>(bytes) {
            Ok(event) if event.is_object() => self.slack.emit(&event),
            _ => {
                self.slack.say(&self.channel, &self.user, &text);
            }
        }
        Ok(())
    }

    fn hostile(&self) -> Vec<Vec<u8>> {
        let channel = &self.channel;
        let deep = (0..100).fold("1".to_owned(), |inner, _| format!("[{inner}]"));
        [
            json!({"type": "message", "channel": channel, "ts": "not a time", "text": "x"}),
            json!({"type": "message", "channel": channel, "ts": "1.1", "user": {"id": 7}, "text": ["x"], "blocks": "y"}),
            json!({"type": "message", "subtype": "message_changed", "channel": channel, "message": "gone"}),
            json!({"type": "message", "subtype": "message_deleted", "channel": channel, "deleted_ts": "../../etc"}),
            json!({"type": "reaction_added", "user": "U0", "reaction": "<b>\n", "item": {"channel": channel, "ts": "x"}}),
            json!({"type": "member_joined_channel", "channel": channel, "user": ""}),
            json!({"type": "channel_rename", "channel": {"id": channel, "name": "\u{0}"}}),
            json!({"type": "something_new", "channel": channel, "deep": serde_json::from_str::<Value>(&deep).unwrap()}),
            json!({"type": "message", "channel": channel, "ts": "99999999999999999999.1", "user": "U\u{0}", "text": "<@U0|<!channel>"}),
        ]
        .iter()
        .map(|event| event.to_string().into_bytes())
        .collect()
    }

    async fn edit(&self, target: &Handle, text: &str) -> Done {
        done(
            self.slack.edit(&self.channel, Self::ts(target)?, &self.user, text),
            "edit",
        )
    }

    async fn delete(&self, target: &Handle) -> Done {
        done(self.slack.delete(&self.channel, Self::ts(target)?), "delete")
    }

    async fn reply(&self, target: &Handle, text: &str) -> Done<Handle> {
        let ts = self
            .slack
            .reply(&self.channel, &self.user, Self::ts(target)?, text, true);
        Ok(Handle(ts.to_string()))
    }

    async fn say_in_thread(&self, root: &Handle, text: &str) -> Done<Handle> {
        let ts = self
            .slack
            .reply(&self.channel, &self.user, Self::ts(root)?, text, false);
        Ok(Handle(ts.to_string()))
    }

    async fn react(&self, target: &Handle, emoji: &str) -> Done {
        let name = viaduct_slack::convert::emoji::to_name(emoji).unwrap();
        done(
            self.slack
                .react(&self.channel, Self::ts(target)?, &self.user, &name, true),
            "react",
        )
    }

    async fn unreact(&self, target: &Handle, emoji: &str) -> Done {
        let name = viaduct_slack::convert::emoji::to_name(emoji).unwrap();
        done(
            self.slack
                .react(&self.channel, Self::ts(target)?, &self.user, &name, false),
            "take back",
        )
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Done<Handle> {
        let (_, ts) = self.slack.upload(&self.channel, &self.user, name, bytes, true);
        Ok(Handle(ts.to_string()))
    }

    async fn set_topic(&self, topic: &str) -> Done {
        done(self.slack.set_topic(&self.channel, &self.user, topic), "set the topic")
    }

    async fn rename(&self, name: &str) -> Done {
        done(self.slack.rename_user(&self.user, name), "rename")
    }

    async fn leave(&self) -> Done {
        done(self.slack.leave(&self.channel, &self.user, &self.user), "leave")
    }

    async fn join(&self) -> Done {
        self.slack.join(&self.channel, &self.user);
        Ok(())
    }

    async fn cut_connection(&self) -> Done {
        self.slack.fail_every("", Fault::Status(503), 1);
        self.slack.break_sockets(Which::All);
        Ok(())
    }

    async fn restore(&self) -> Done {
        self.slack.heal();
        Ok(())
    }

    async fn limit_rate(&self, times: u32) -> Done {
        let fault = Fault::Limited { retry_after: 1 };
        self.slack.fail_next("chat.postMessage", fault, u64::from(times));
        Ok(())
    }

    async fn lose_answer(&self) -> Done {
        self.slack.fail_next("chat.postMessage", Fault::CutAnswer, 1);
        Ok(())
    }

    async fn repeat(&self, message: &Handle) -> Done {
        let found = self.slack.message(&self.channel, Self::ts(message)?);
        let mut event = found.ok_or_else(|| RemoteError::Failed("there is no such message".to_owned()))?;
        event["channel"] = json!(self.channel);
        event["channel_type"] = json!("channel");
        event["event_ts"] = event["ts"].clone();
        self.slack.emit(&event);
        Ok(())
    }
}
