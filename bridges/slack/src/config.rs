//! The configuration section of a Slack workspace.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;
use viaduct_bridge::secret::{self, Secret, SecretError};

use crate::convert::ids::is_workspace;

/// One Slack workspace.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Section {
    /// The bot's token, `xoxb-…`. Better in a file or in the environment.
    #[serde(default)]
    pub bot_token: Option<Secret>,
    /// A file that holds the bot's token.
    #[serde(default)]
    pub bot_token_file: Option<PathBuf>,
    /// An environment variable that holds the bot's token.
    #[serde(default)]
    pub bot_token_env: Option<String>,
    /// The app's own token, `xapp-…`, for Socket Mode: the hub opens connections to Slack, and nothing has to be reachable
    /// from outside.
    #[serde(default)]
    pub app_token: Option<Secret>,
    /// A file that holds the app's token.
    #[serde(default)]
    pub app_token_file: Option<PathBuf>,
    /// An environment variable that holds the app's token.
    #[serde(default)]
    pub app_token_env: Option<String>,
    /// Instead of an app's token: where Slack's signed requests arrive.
    #[serde(default)]
    pub events: Option<Events>,
    /// How many sockets are kept open at the same time, 1 to 10. Two or more, so that one can be exchanged without a gap.
    #[serde(default = "default_sockets")]
    pub sockets: u32,
    /// Where the Web API is, other than for tests always `https://slack.com/api/`.
    #[serde(default = "default_base")]
    pub base_url: String,
    /// An HTTP proxy through which Slack is reached, such as `http://proxy.example.org:3128`.
    #[serde(default)]
    pub proxy: Option<Secret>,
    /// A file with further certificate authorities (PEM), such as that of a proxy which looks into TLS.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether the app is installed for a whole organisation of an Enterprise Grid rather than for one workspace.
    #[serde(default)]
    pub organisation: bool,
    /// Of such an app: the workspaces (`T…`) in which channels are looked for by their names; all that the app was added to
    /// where none is given. A name that several of them have is not clear: spell such a channel by its id.
    #[serde(default)]
    pub workspaces: Vec<String>,
    /// Whether the app joins mirrored public channels by itself. Into private ones it has to be invited in any case.
    #[serde(default = "yes")]
    pub join: bool,
    /// Whether the app leaves a channel when its mirror has ended. Slack grants that only together with the right to manage
    /// channels. Without, the app no longer listens there, and somebody of the workspace removes it.
    #[serde(default)]
    pub leave: bool,
    /// Whether messages carry the name of who wrote them as their author. Without, the name stands in front of the text.
    #[serde(default = "yes")]
    pub customize: bool,
    /// Whether messages carry the picture of who wrote them, by a public link for a limited time; only where the hub
    /// publishes files.
    #[serde(default = "yes")]
    pub avatars: bool,
    /// What becomes of an answer to a message outside of threads.
    #[serde(default)]
    pub replies: Replies,
    /// Whether topics of other sides are set in Slack.
    #[serde(default)]
    pub set_topic: bool,
    /// Whether joins, leaves and new names of people in Slack are told to the other sides.
    #[serde(default = "yes")]
    pub membership: bool,
    /// Whether everybody of the workspace is listed at the start (10,000 people at most), so that all members of large channels
    /// are shown in their rooms at once and anybody can be mentioned. Without, the directory stays where it is: a hundred people
    /// of each mirrored channel are asked for, everybody else when they first say something there.
    #[serde(default)]
    pub directory: bool,
    /// Whether pinned messages are told to the other sides.
    #[serde(default = "yes")]
    pub pins: bool,
    /// Whether people of both sides may talk to each other in private, through the app.
    #[serde(default = "yes")]
    pub direct: bool,
    /// People who log in with a token of their own (`xoxp-…`), by their Matrix user id: what they write is posted as
    /// themselves.
    #[serde(default)]
    pub people: BTreeMap<String, Personal>,
    /// How many hours back edits, deletions and reactions that were missed are looked for after an absence.
    #[serde(default = "default_review")]
    pub review_hours: u64,
    /// How many threads of each channel are read once more for them after an absence, the latest first, beyond those that went
    /// on. Each costs one call of a method that Slack limits (see `limits.history`).
    #[serde(default = "default_review_threads")]
    pub review_threads: usize,
    /// How many days a thread is watched for replies that were missed during an absence.
    #[serde(default = "default_thread_days")]
    pub thread_days: u64,
    /// The largest file taken from or given to Slack, in bytes.
    #[serde(default = "default_file_limit")]
    pub file_limit: u64,
    /// How often Slack may be called.
    #[serde(default)]
    pub limits: Limits,
}

/// Where Slack's signed requests arrive.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The address to listen on, such as `127.0.0.1:8090`; a proxy with TLS stands in front of it.
    pub listen: SocketAddr,
    /// The path of the requests.
    #[serde(default = "default_path")]
    pub path: String,
    /// The address under which Slack reaches it, for the app's manifest.
    #[serde(default)]
    pub public_url: Option<String>,
    /// The app's signing secret. Better in a file or in the environment.
    #[serde(default)]
    pub signing_secret: Option<Secret>,
    /// A file that holds the signing secret.
    #[serde(default)]
    pub signing_secret_file: Option<PathBuf>,
    /// An environment variable that holds the signing secret.
    #[serde(default)]
    pub signing_secret_env: Option<String>,
}

/// A person's own token.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Personal {
    /// Their token. Better in a file or in the environment.
    #[serde(default)]
    pub token: Option<Secret>,
    /// A file that holds their token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// An environment variable that holds their token.
    #[serde(default)]
    pub token_env: Option<String>,
}

/// What becomes of an answer to a message outside of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replies {
    /// It is posted in the thread below that message, and sent to the channel too.
    #[default]
    Broadcast,
    /// It is posted in the thread below that message only.
    Thread,
    /// It is posted in the channel, with the beginning of that message in front.
    Quote,
}

/// How often Slack may be called. The defaults are what Slack grants to an internal app.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages a second in one channel.
    pub posts_per_second: f64,
    /// Messages a minute in all channels of the workspace.
    pub posts_per_minute: u32,
    /// Calls a minute of each method of tier 1.
    pub tier_1: u32,
    /// Calls a minute of each method of tier 2.
    pub tier_2: u32,
    /// Calls a minute of each method of tier 3.
    pub tier_3: u32,
    /// Calls a minute of each method of tier 4.
    pub tier_4: u32,
    /// Calls a minute of each of the two methods that read history. Slack grants apps that are sold to others only 1.
    pub history: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            posts_per_second: 1.0,
            posts_per_minute: 600,
            tier_1: 10,
            tier_2: 20,
            tier_3: 50,
            tier_4: 100,
            history: 50,
        }
    }
}

fn default_sockets() -> u32 {
    2
}

fn default_base() -> String {
    "https://slack.com/api/".to_owned()
}

fn default_path() -> String {
    "/slack/events".to_owned()
}

fn default_review() -> u64 {
    24
}

fn default_review_threads() -> usize {
    10
}

fn default_thread_days() -> u64 {
    7
}

fn default_file_limit() -> u64 {
    200 * 1024 * 1024
}

fn yes() -> bool {
    true
}

/// The secrets of a section, read once.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The bot's token.
    pub bot: Secret,
    /// The app's token.
    pub app: Option<Secret>,
    /// The signing secret.
    pub signing: Option<Secret>,
    /// People's own tokens.
    pub people: BTreeMap<String, Secret>,
}

/// The longest token, in bytes.
const TOKEN: usize = 1024;

impl Section {
    /// The address of the Web API, ending in a slash.
    pub fn base(&self) -> Option<Url> {
        let mut text = self.base_url.clone();
        if !text.ends_with('/') {
            text.push('/');
        }
        Url::parse(&text).ok().filter(|url| {
            let local = url.host_str().is_some_and(viaduct_model::link::is_here);
            url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && local))
        })
    }

    /// Reads the secrets.
    pub fn secrets(&self) -> Result<Secrets, SecretError> {
        let line =
            |key: &str, secret: Option<Secret>| secret.map(|secret| secret::one_line(key, secret, TOKEN)).transpose();
        let bot = secret::required(
            "bot_token",
            self.bot_token.as_ref(),
            self.bot_token_file.as_deref(),
            self.bot_token_env.as_ref(),
        )?;
        let app = secret::read(
            "app_token",
            self.app_token.as_ref(),
            self.app_token_file.as_deref(),
            self.app_token_env.as_ref(),
        )?;
        let signing = match &self.events {
            Some(events) => Some(secret::required(
                "events.signing_secret",
                events.signing_secret.as_ref(),
                events.signing_secret_file.as_deref(),
                events.signing_secret_env.as_ref(),
            )?),
            None => None,
        };
        let mut people = BTreeMap::new();
        for (user, personal) in &self.people {
            let key = format!("people.{user}.token");
            let token = secret::required(
                &key,
                personal.token.as_ref(),
                personal.token_file.as_deref(),
                personal.token_env.as_ref(),
            )?;
            people.insert(user.clone(), secret::one_line(&key, token, TOKEN)?);
        }
        Ok(Secrets {
            bot: secret::one_line("bot_token", bot, TOKEN)?,
            app: line("app_token", app)?,
            signing: line("events.signing_secret", signing)?,
            people,
        })
    }

    /// Checks what the schema cannot say; each complaint with the path of the key it is about.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut complaints = Vec::new();
        let mut complain = |path: &str, text: &str| complaints.push((path.to_owned(), text.to_owned()));
        let given = [
            self.bot_token.is_some(),
            self.bot_token_file.is_some(),
            self.bot_token_env.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            complain(
                "bot_token",
                "give the bot's token in exactly one way: bot_token, bot_token_file or bot_token_env",
            );
        }
        let app = [
            self.app_token.is_some(),
            self.app_token_file.is_some(),
            self.app_token_env.is_some(),
        ];
        match (app.iter().filter(|given| **given).count(), &self.events) {
            (0, None) => complain(
                "app_token",
                "give the app's token (app_token_file) for Socket Mode, or events for signed requests",
            ),
            (1.., Some(_)) => complain("events", "give either the app's token or events, not both"),
            (2.., None) => complain("app_token", "give it in one way only"),
            _ => {}
        }
        if let Some(token) = &self.bot_token
            && !token.reveal().starts_with("xoxb-")
        {
            complain("bot_token", "a bot's token begins with xoxb-");
        }
        if let Some(token) = &self.app_token
            && !token.reveal().starts_with("xapp-")
        {
            complain("app_token", "an app's token begins with xapp-");
        }
        if let Some(events) = &self.events {
            if !events.path.starts_with('/') || events.path.contains(['{', '}', '*', '?', '#']) {
                complain(
                    "events.path",
                    "it is a path that begins with / and has no special characters",
                );
            }
            if let Some(url) = &events.public_url
                && !Url::parse(url).is_ok_and(|url| url.scheme() == "https")
            {
                complain("events.public_url", "it is an address that begins with https://");
            }
        }
        if !(1..=10).contains(&self.sockets) {
            complain("sockets", "Slack allows 1 to 10");
        }
        if self.base().is_none() {
            complain("base_url", "it is an https address");
        }
        if let Some(proxy) = &self.proxy
            && !Url::parse(proxy.reveal()).is_ok_and(|url| url.scheme() == "http" && url.has_host())
        {
            complain("proxy", "it is an address such as http://proxy.example.org:3128");
        }
        let limits = &self.limits;
        let tiers = [
            limits.tier_1,
            limits.tier_2,
            limits.tier_3,
            limits.tier_4,
            limits.history,
            limits.posts_per_minute,
        ];
        if tiers.contains(&0) || !(0.01..=1000.0).contains(&limits.posts_per_second) {
            complain("limits", "every limit is more than zero");
        }
        if self.workspaces.iter().any(|team| !is_workspace(team)) {
            complain("workspaces", "each is the id of a workspace such as T0123ABCD");
        }
        if !self.workspaces.is_empty() && !self.organisation {
            complain(
                "workspaces",
                "they are of an app that is installed for an organisation: set organisation too",
            );
        }
        for user in self.people.keys() {
            if !user.starts_with('@') || !user.contains(':') {
                complain(
                    &format!("people.{user}"),
                    "it is no Matrix user id such as @anna:example.org",
                );
            }
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(json: serde_json::Value) -> Section {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn two_tokens_are_enough() {
        let section = section(serde_json::json!({"bot_token": "xoxb-1", "app_token": "xapp-1"}));
        assert_eq!(section.check(), []);
        let secrets = section.secrets().unwrap();
        assert_eq!(secrets.bot.reveal(), "xoxb-1");
        assert!(!format!("{secrets:?}").contains("xoxb"));
    }

    #[test]
    fn mistakes_are_named() {
        let section = section(serde_json::json!({
            "bot_token": "xapp-1", "sockets": 11, "base_url": "http://slack.com", "proxy": "socks5://x",
            "people": {"anna": {}}, "limits": {"tier_2": 0}, "workspaces": ["T1", "acme"],
        }));
        let paths: Vec<String> = section.check().into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            paths,
            [
                "app_token",
                "bot_token",
                "sockets",
                "base_url",
                "proxy",
                "limits",
                "workspaces",
                "workspaces",
                "people.anna"
            ]
        );
    }

    #[test]
    fn events_need_their_secret() {
        let section = section(serde_json::json!({"bot_token": "xoxb-1", "events": {"listen": "127.0.0.1:0"}}));
        assert_eq!(section.check(), []);
        assert_eq!(section.secrets().unwrap_err().key, "events.signing_secret_file");
    }
}
