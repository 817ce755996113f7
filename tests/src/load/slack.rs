//! A Slack that speaks as fast as the hub listens: the [stand-in](crate::slack) without limits, as a load server.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::known::Known;
use super::{Heard, LoadServer};
use crate::launch::slack_section;
use crate::slack::{Kind, Limits, SlackStandIn};

/// How many events may await their acknowledgement before a speaker waits.
const WINDOW: u64 = 512;
/// How often a waiting speaker looks.
const LOOK: Duration = Duration::from_millis(1);
/// How long a speaker waits at most: what the hub does not acknowledge then comes again by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// A Slack workspace under load, working until dropped.
#[derive(Debug)]
pub struct LoadSlack {
    /// The workspace, for faults and whatever else people do there.
    pub slack: SlackStandIn,
    known: Known,
}

impl LoadSlack {
    /// What Slack calls a mirror's channel; empty if it was not made.
    pub fn id(&self, channel: &str) -> String {
        self.known.channel(channel)
    }

    /// What Slack calls somebody, who is there from now on.
    pub fn person(&self, nick: &str) -> String {
        self.known.person(nick, || self.slack.add_user(nick))
    }

    /// Events that somebody was told of and has not acknowledged.
    fn awaited(&self) -> u64 {
        let counts = self.slack.delivered();
        counts.events.saturating_sub(counts.acked + counts.lost)
    }
}

impl LoadServer for LoadSlack {
    const KIND: &'static str = "Slack";

    async fn start() -> anyhow::Result<Self> {
        let slack = SlackStandIn::start().await?;
        slack.set_limits(Limits::none());
        Ok(Self {
            slack,
            known: Known::default(),
        })
    }

    fn prepare(&self, mirrors: usize) {
        let app = self.slack.app().bot_user.clone();
        for mirror in 0..mirrors {
            let channel = self.slack.add_channel(&format!("channel{mirror}"), Kind::Private);
            self.slack.join(&channel, &app);
            self.known.add_channel(Self::channel(mirror), channel);
        }
    }

    fn section(&self, _puppets: bool) -> Value {
        let app = self.slack.app();
        slack_section(&self.slack.api_url(), &app.bot_token, &app.app_token, false)
    }

    fn channel(mirror: usize) -> String {
        format!("#channel{mirror}")
    }

    fn members(&self, channel: &str) -> usize {
        let (app, members) = (&self.slack.app().bot_user, self.slack.members(&self.id(channel)));
        usize::from(self.slack.sockets() > 0 && members.contains(app))
    }

    fn connections(&self) -> usize {
        self.slack.sockets()
    }

    async fn speak(&self, channel: &str, nick: &str, text: &str) -> bool {
        let begun = Instant::now();
        while self.slack.sockets() > 0 && self.awaited() > WINDOW && begun.elapsed() < PATIENCE {
            sleep(LOOK).await;
        }
        let (channel, person) = (self.id(channel), self.person(nick));
        self.slack.say(&channel, &person, text);
        self.slack.sockets() > 0
    }

    fn heard(&self, channel: &str) -> Vec<Heard> {
        let forgotten = self.known.forgotten(channel);
        let history = self.slack.history(&self.id(channel));
        let text = |message: &Value, field: &str| {
            let text = message.get(field).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let of_hub = history
            .iter()
            .filter(|message| message.get("bot_id").is_some())
            .skip(forgotten);
        of_hub
            .map(|message| Heard {
                nick: text(message, "username"),
                text: text(message, "text"),
                at: Instant::now(),
            })
            .collect()
    }

    fn heard_in_all(&self) -> u64 {
        let heard = |(name, id): &(String, String)| self.slack.posted(id) - self.known.forgotten(name);
        self.known.channels().iter().map(heard).sum::<usize>() as u64
    }

    fn forget_heard(&self) {
        for (name, id) in self.known.channels() {
            let heard = self.slack.posted(&id);
            self.known.forget(name, heard);
        }
    }

    fn violations(&self) -> Vec<String> {
        let shown = |violation: &crate::slack::Violation| format!("{}: {}", violation.method, violation.what);
        self.slack.violations().iter().map(shown).collect()
    }
}
