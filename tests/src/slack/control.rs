//! What people do, and what became of it: the handle that tests hold.

use std::ops::Deref;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use axum::serve::ListenerExt as _;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::delivery::{Delivery, DeliveryCounts, Which};
use super::ids::Ts;
use super::server::{Shared, router};
use super::speech::Draft;
use super::state::{Call, Kind, State, Violation};
use crate::wait::wait_until;

/// An app in a workspace, and all the secrets by which it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct App {
    /// `A…`
    pub app_id: String,
    /// `T…`, the workspace.
    pub team: String,
    /// `U…`, the bot's user.
    pub bot_user: String,
    /// `B…`
    pub bot_id: String,
    /// `xoxb-…`
    pub bot_token: String,
    /// `xapp-…`, for sockets.
    pub app_token: String,
    /// Signs HTTP events.
    pub signing_secret: String,
    /// The old `token` in every event.
    pub verification_token: String,
    /// For `oauth.v2.access`.
    pub client_id: String,
    /// For `oauth.v2.access`.
    pub client_secret: String,
}

/// A Slack of one's own, answering until dropped. Everything else is in its [`Control`].
#[derive(Debug)]
pub struct SlackStandIn {
    control: Control,
    stop: Option<oneshot::Sender<()>>,
}

impl Deref for SlackStandIn {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

/// What people do and what may go wrong in a [`SlackStandIn`].
#[derive(Debug, Clone)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
    base: String,
    pub(super) app: App,
}

impl Drop for SlackStandIn {
    fn drop(&mut self) {
        self.control
            .state()
            .installs
            .iter()
            .for_each(|install| install.delivery.break_sockets(Which::All));
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
    }
}

impl SlackStandIn {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at(0).await
    }

    /// Starts on this loopback port; 0 for a free one.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub async fn start_at(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::default());
        let app = {
            let mut state = shared.state();
            state.base.clone_from(&base);
            let team = state.add_team("Acme");
            state.add_user(&team, "owner");
            state.install(&team, "viaduct")
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let control = Control {
            shared: Arc::clone(&shared),
            base,
            app,
        };
        // As Slack's own servers: what is small does not wait for more.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let serving = axum::serve(listener, router(shared, control.clone())).with_graceful_shutdown(async {
            stopped.await.ok();
        });
        tokio::spawn(async move { serving.await.ok() });
        Ok(Self {
            control,
            stop: Some(stop),
        })
    }
}

impl Control {
    /// The address that all others begin with, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The address of the Web API, without a slash at its end.
    pub fn api_url(&self) -> String {
        format!("{}/api", self.base)
    }

    /// The app that is installed from the start.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The workspace that is there from the start.
    pub fn team(&self) -> &str {
        &self.app.team
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    pub(super) fn delivery(&self) -> Option<Arc<Delivery>> {
        self.state()
            .installs
            .first()
            .map(|install| Arc::clone(&install.delivery))
    }

    // ---- workspaces and people

    /// Another workspace.
    pub fn add_team(&self, name: &str) -> String {
        self.state().add_team(name)
    }

    /// Installs an app in a workspace.
    pub fn install(&self, team: &str, name: &str) -> App {
        self.state().install(team, name)
    }

    /// A new person in the first workspace: their id.
    pub fn add_user(&self, name: &str) -> String {
        self.add_user_to(self.team(), name)
    }

    /// A new person in a workspace.
    pub fn add_user_to(&self, team: &str, name: &str) -> String {
        self.state().add_user(team, name)
    }

    /// Gives somebody another display name.
    pub fn rename_user(&self, user: &str, name: &str) -> bool {
        self.state()
            .change_user(user, |user| name.clone_into(&mut user.display_name))
    }

    /// Locks somebody out of the workspace.
    pub fn deactivate_user(&self, user: &str) -> bool {
        self.state().change_user(user, |user| user.deleted = true)
    }

    /// A token (`xoxp-…`) by which an app acts as this person.
    pub fn user_token(&self, user: &str) -> String {
        self.state().user_token(user)
    }

    /// The code that a person's consent gives, for `oauth.v2.access`.
    pub fn consent(&self, user: &str) -> String {
        let mut state = self.state();
        let code = state.ids.secret("code");
        state.codes.insert(code.clone(), (0, user.to_owned()));
        code
    }

    /// A new emoji of the first workspace: a picture, or an alias if `alias` names another.
    pub fn add_emoji(&self, name: &str, alias: Option<&str>) {
        self.state().add_emoji(&self.app.team, name, alias);
    }

    /// A new user group of the first workspace: its id.
    pub fn add_group(&self, handle: &str, users: &[&str]) -> String {
        self.state().add_group(&self.app.team, handle, users)
    }

    // ---- channels

    /// A new channel of the first workspace, with nobody in it: its id.
    pub fn add_channel(&self, name: &str, kind: Kind) -> String {
        self.add_channel_to(self.team(), name, kind)
    }

    /// The conversation between a person and the bot.
    pub fn direct(&self, user: &str) -> String {
        let app = self.app.clone();
        self.state().direct(&app.team, &[&app.bot_user, user]).0
    }

    /// Lets somebody into a channel. False if they were there.
    pub fn join(&self, channel: &str, user: &str) -> bool {
        self.state().join(channel, user, None)
    }

    /// Takes somebody out of a channel. False if they were not there.
    pub fn leave(&self, channel: &str, user: &str, actor: &str) -> bool {
        self.state().leave(channel, user, actor)
    }

    /// Renames a channel.
    pub fn rename_channel(&self, channel: &str, user: &str, name: &str) -> bool {
        self.state().rename_channel(channel, user, name)
    }

    /// Sets a channel's topic.
    pub fn set_topic(&self, channel: &str, user: &str, text: &str) -> bool {
        self.state().set_topic(channel, user, "topic", text)
    }

    /// Sets a channel's purpose.
    pub fn set_purpose(&self, channel: &str, user: &str, text: &str) -> bool {
        self.state().set_topic(channel, user, "purpose", text)
    }

    /// Archives a channel, or opens it again.
    pub fn set_archived(&self, channel: &str, user: &str, archived: bool) -> bool {
        self.state().set_archived(channel, user, archived)
    }

    /// Shares a channel with another workspace (Slack Connect).
    pub fn share(&self, channel: &str, team: &str) -> bool {
        self.state().share(channel, team, true)
    }

    /// Ends a share.
    pub fn unshare(&self, channel: &str, team: &str) -> bool {
        self.state().share(channel, team, false)
    }

    /// Gives a channel another id: the new one.
    pub fn renumber_channel(&self, channel: &str) -> Option<String> {
        self.state().renumber_channel(channel)
    }

    // ---- what people say

    /// Somebody says something; whoever is not in the channel is put into it silently. An unknown
    /// channel gives the timestamp zero.
    pub fn say(&self, channel: &str, user: &str, text: &str) -> Ts {
        self.state().person_says(channel, user, text, Draft::default())
    }

    /// The same with more fields, such as `blocks` or `attachments`.
    pub fn say_with(&self, channel: &str, user: &str, text: &str, more: Map<String, Value>) -> Ts {
        self.state().person_says(
            channel,
            user,
            text,
            Draft {
                more,
                ..Draft::default()
            },
        )
    }

    /// Somebody answers in a thread, and to the channel as well if it is a broadcast.
    pub fn reply(&self, channel: &str, user: &str, thread: Ts, text: &str, broadcast: bool) -> Ts {
        let draft = Draft {
            thread: Some(thread),
            broadcast,
            ..Draft::default()
        };
        self.state().person_says(channel, user, text, draft)
    }

    /// `/me`.
    pub fn say_me(&self, channel: &str, user: &str, text: &str) -> Ts {
        let draft = Draft {
            subtype: Some("me_message"),
            plain: true,
            ..Draft::default()
        };
        self.state().person_says(channel, user, text, draft)
    }

    /// Changes what was said.
    pub fn edit(&self, channel: &str, ts: Ts, user: &str, text: &str) -> bool {
        self.state().edit(channel, ts, user, text, Map::new())
    }

    /// Takes back what was said.
    pub fn delete(&self, channel: &str, ts: Ts) -> bool {
        self.state().remove(channel, ts)
    }

    /// Slack adds the preview of a link: a change that is no edit.
    pub fn unfurl(&self, channel: &str, ts: Ts, title: &str) -> bool {
        self.state().change(channel, ts, None, |message| {
            message.body.insert(
                "attachments".to_owned(),
                json!([{ "id": 1, "title": title, "fallback": title }]),
            );
        })
    }

    /// Sets or takes back a reaction. False if there was nothing to do.
    pub fn react(&self, channel: &str, ts: Ts, user: &str, name: &str, set: bool) -> bool {
        self.state().react(channel, ts, user, name, set).is_ok()
    }

    /// Pins a message, or takes the pin away.
    pub fn pin(&self, channel: &str, ts: Ts, user: &str, set: bool) -> bool {
        self.state().pin(channel, ts, user, set)
    }

    /// Somebody uploads a file: its id and the message that carries it. With `check_info` the event only names it.
    pub fn upload(&self, channel: &str, user: &str, name: &str, content: &[u8], check_info: bool) -> (String, Ts) {
        self.state().person_uploads(channel, user, name, content, check_info)
    }

    // ---- what is there

    /// All messages of a channel, oldest first, as the bot reads them with all metadata; answers in threads too.
    pub fn history(&self, channel: &str) -> Vec<Value> {
        self.state().whole_history(channel)
    }

    /// How many messages apps wrote into a channel.
    pub fn posted(&self, channel: &str) -> usize {
        let state = self.state();
        let messages = state.channels.get(channel).map(|channel| channel.messages.values());
        messages
            .into_iter()
            .flatten()
            .filter(|message| message.app.is_some())
            .count()
    }

    /// One message as the bot reads it.
    pub fn message(&self, channel: &str, ts: Ts) -> Option<Value> {
        self.history(channel)
            .into_iter()
            .find(|message| message["ts"] == ts.to_string())
    }

    /// What a file holds.
    pub fn file(&self, id: &str) -> Option<bytes::Bytes> {
        self.state().files.get(id)?.content.clone()
    }

    /// Who is in a channel.
    pub fn members(&self, channel: &str) -> Vec<String> {
        self.state()
            .channels
            .get(channel)
            .map(|channel| channel.members.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// The calls of a method so far, of all if it is empty.
    pub fn calls(&self, method: &str) -> Vec<Call> {
        self.state()
            .calls
            .iter()
            .filter(|call| method.is_empty() || call.method == method)
            .cloned()
            .collect()
    }

    /// How many calls were answered with 429.
    pub fn limited(&self) -> usize {
        self.state().calls.iter().filter(|call| call.status == 429).count()
    }

    /// What was not as the published description has it. A test ends with this being empty.
    pub fn violations(&self) -> Vec<Violation> {
        self.state().violations.iter().cloned().collect()
    }

    /// What became of the app's events.
    pub fn delivered(&self) -> DeliveryCounts {
        self.delivery().map(|delivery| delivery.counts()).unwrap_or_default()
    }

    /// How many sockets the app has open.
    pub fn sockets(&self) -> usize {
        self.delivery().map_or(0, |delivery| delivery.sockets())
    }

    /// Waits until the app has this many sockets open.
    ///
    /// # Errors
    ///
    /// After `bound`.
    pub async fn connected(&self, sockets: usize, bound: Duration) -> anyhow::Result<()> {
        wait_until(format!("{sockets} sockets"), bound, || self.sockets() >= sockets).await
    }

    /// Waits until no event awaits an acknowledgement.
    ///
    /// # Errors
    ///
    /// After `bound`.
    pub async fn settled(&self, bound: Duration) -> anyhow::Result<()> {
        let quiet = || self.delivery().is_none_or(|delivery| delivery.awaited() == 0);
        wait_until("all events acknowledged", bound, quiet).await
    }
}
