//! What people do, and what became of it: the handle that tests hold.

use std::ops::Deref;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::delivery::{Counts, Feed, Postbox};
use super::graph::reference;
use super::html::escape;
use super::server::{Shared, router};
use super::speech::Draft;
use super::state::{Author, Call, Kind, State, Violation};
use crate::wait::wait_until;

/// The largest activity taken.
const LARGEST: usize = 100 * 1024;

/// An app and its bot, as registered in a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct App {
    /// The application (client) id.
    pub app_id: String,
    /// The tenant it belongs to.
    pub tenant: String,
    /// The client secret.
    pub secret: String,
    /// `28:` and the app id: the bot in activities.
    pub bot_id: String,
    /// Its name.
    pub name: String,
}

/// A Microsoft of one's own, answering until dropped. Everything else is in its [`Control`].
#[derive(Debug)]
pub struct TeamsStandIn {
    control: Control,
    stop: Option<oneshot::Sender<()>>,
}

impl Deref for TeamsStandIn {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

/// What people do and what may go wrong in a [`TeamsStandIn`].
#[derive(Debug, Clone)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
    base: String,
    pub(super) app: App,
    team: String,
}

impl Drop for TeamsStandIn {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
    }
}

impl TeamsStandIn {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    ///
    /// When it cannot listen or make keys.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at(0).await
    }

    /// Starts on this loopback port; 0 for a free one.
    ///
    /// # Errors
    ///
    /// When it cannot listen or make keys.
    pub async fn start_at(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::default());
        let (app, team) = {
            let mut state = shared.state();
            state.base.clone_from(&base);
            state.largest = LARGEST;
            state.keys.rotate(0)?;
            let tenant = state.add_tenant("Acme");
            let owner = state.add_user(&tenant, "Olga Owner");
            let app = state.register(&tenant, "viaduct");
            let team = state.add_team(&tenant, "Acme");
            state.join(&team, &owner);
            state.install(&app, &team);
            (app, team)
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let control = Control {
            shared: Arc::clone(&shared),
            base,
            app,
            team,
        };
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

    /// Where tokens are handed out, for `addresses.login`.
    pub fn login_url(&self) -> String {
        format!("{}/login/", self.base)
    }

    /// What describes the keys of the connector's tokens, for `addresses.openid`.
    pub fn openid_url(&self) -> String {
        format!("{}/openid/v1/.well-known/openidconfiguration", self.base)
    }

    /// The connector of the app's tenant, as activities name it, for `addresses.connector`.
    pub fn service_url(&self) -> String {
        self.state().service(&self.app.tenant)
    }

    /// Where Graph is, without its version, for `addresses.graph`.
    pub fn graph_url(&self) -> String {
        format!("{}/graph/", self.base)
    }

    /// All addresses, the app and the first team, as the program prints them.
    pub fn about(&self) -> Value {
        json!({
            "url": self.url(), "login": self.login_url(), "openid": self.openid_url(), "graph": self.graph_url(),
            "connector": self.service_url(), "app": self.app, "team": self.team,
        })
    }

    /// The app that is registered from the start.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The team that is there from the start, with the app in it: the id of its channel General.
    pub fn team(&self) -> &str {
        &self.team
    }

    /// A team's id in Graph.
    pub fn group(&self, team: &str) -> String {
        self.state()
            .teams
            .get(team)
            .map(|team| team.group.clone())
            .unwrap_or_default()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    pub(super) fn postbox(&self) -> Option<Arc<Postbox>> {
        self.state()
            .app_by_id(&self.app.app_id)
            .map(|one| Arc::clone(&one.postbox))
    }

    // ---- tenants, apps and people

    /// Another tenant.
    pub fn add_tenant(&self, name: &str) -> String {
        self.state().add_tenant(name)
    }

    /// Registers an app with a bot in a tenant.
    pub fn register(&self, tenant: &str, name: &str) -> App {
        self.state().register(tenant, name)
    }

    /// The same hands, for another app that was registered.
    #[must_use]
    pub fn of(&self, app: &App) -> Self {
        Self {
            app: app.clone(),
            ..self.clone()
        }
    }

    /// Where the app's bot takes activities from now on; none for nowhere.
    pub fn set_endpoint(&self, url: Option<&str>) {
        let id = &self.app.app_id;
        if let Some(one) = self.state().apps.iter_mut().find(|one| one.app.app_id == *id) {
            one.endpoint = url.map(str::to_owned);
        }
    }

    /// A certificate (DER) with which the app may ask for tokens.
    pub fn set_certificate(&self, der: &[u8]) {
        let id = &self.app.app_id;
        if let Some(one) = self.state().apps.iter_mut().find(|one| one.app.app_id == *id) {
            one.certificate = super::keys::key_of_certificate(der).map(<[u8]>::to_vec);
        }
    }

    /// A new person in the app's tenant: their id in the directory.
    pub fn add_user(&self, name: &str) -> String {
        self.state().add_user(&self.app.tenant, name)
    }

    /// A new person in another tenant.
    pub fn add_user_to(&self, tenant: &str, name: &str) -> String {
        self.state().add_user(tenant, name)
    }

    /// A person's id for bots, `29:…`.
    pub fn mri(&self, user: &str) -> String {
        self.state()
            .users
            .get(user)
            .map(|user| user.mri.clone())
            .unwrap_or_default()
    }

    /// Gives somebody another name.
    pub fn rename_user(&self, user: &str, name: &str) {
        if let Some(user) = self.state().users.get_mut(user) {
            name.clone_into(&mut user.name);
        }
    }

    /// The code that a person's consent gives, for the grant `authorization_code`.
    pub fn consent_of(&self, user: &str) -> String {
        let mut state = self.state();
        let code = state.ids.secret("code");
        let index = state.apps.iter().position(|one| one.app.app_id == self.app.app_id);
        state
            .codes
            .insert(code.clone(), (index.unwrap_or_default(), user.to_owned()));
        code
    }

    // ---- teams, channels and chats

    /// A new team of the app's tenant, without the app: its id.
    pub fn add_team(&self, name: &str) -> String {
        self.state().add_team(&self.app.tenant, name)
    }

    /// A new channel of the first team: its id.
    pub fn add_channel(&self, name: &str, kind: Kind) -> String {
        self.add_channel_to(&self.team, name, kind)
    }

    /// A new channel of a team.
    pub fn add_channel_to(&self, team: &str, name: &str, kind: Kind) -> String {
        self.state().add_channel(team, name, kind)
    }

    /// A new group chat of these people and the app.
    pub fn add_chat(&self, name: &str, users: &[&str]) -> String {
        self.state().add_chat(&self.app, name, Kind::Group, users)
    }

    /// The chat of a person and the app, with which the person has the app.
    pub fn direct(&self, user: &str) -> String {
        self.state().personal_chat(&self.app, user)
    }

    /// Installs the app in a team or chat.
    pub fn install(&self, place: &str) {
        self.state().install(&self.app, place);
    }

    /// Takes the app out of a team or chat.
    pub fn uninstall(&self, place: &str) {
        self.state().uninstall(&self.app, place);
    }

    /// Lets somebody into a team, a private channel or a chat. False if they were there.
    pub fn join(&self, place: &str, user: &str) -> bool {
        self.state().join(place, user)
    }

    /// Takes somebody out. False if they were not there.
    pub fn leave(&self, place: &str, user: &str) -> bool {
        self.state().leave(place, user)
    }

    /// Renames a channel or chat.
    pub fn rename_channel(&self, channel: &str, name: &str) -> bool {
        self.state().rename_channel(channel, name)
    }

    /// Deletes a channel, or restores it.
    pub fn set_deleted(&self, channel: &str, deleted: bool) -> bool {
        self.state().delete_channel(channel, deleted)
    }

    /// Renames a team.
    pub fn rename_team(&self, team: &str, name: &str) -> bool {
        self.state().rename_team(team, name)
    }

    /// Archives a team, or opens it again.
    pub fn set_archived(&self, team: &str, archived: bool) -> bool {
        self.state().archive(team, archived)
    }

    // ---- what people say

    /// Somebody says something: its id, 0 where there is no such channel.
    pub fn say(&self, channel: &str, user: &str, text: &str) -> u64 {
        let html = format!("<p>{}</p>", escape(text));
        self.say_with(
            channel,
            user,
            Draft {
                html,
                ..Draft::default()
            },
        )
    }

    /// Somebody replies in a channel.
    pub fn reply(&self, channel: &str, user: &str, thread: u64, text: &str) -> u64 {
        let draft = Draft {
            html: format!("<p>{}</p>", escape(text)),
            thread: Some(thread),
            ..Draft::default()
        };
        self.say_with(channel, user, draft)
    }

    /// Somebody says something of any kind.
    pub fn say_with(&self, channel: &str, user: &str, draft: Draft) -> u64 {
        self.state()
            .write(channel, Author::User(user.to_owned()), draft)
            .unwrap_or_default()
    }

    /// Changes what was said.
    pub fn edit(&self, channel: &str, id: u64, text: &str) -> bool {
        let html = format!("<p>{}</p>", escape(text));
        self.edit_with(
            channel,
            id,
            Draft {
                html,
                ..Draft::default()
            },
        )
    }

    /// Changes what was said to something of any kind.
    pub fn edit_with(&self, channel: &str, id: u64, draft: Draft) -> bool {
        self.state().edit(channel, id, draft)
    }

    /// Takes back what was said.
    pub fn delete(&self, channel: &str, id: u64) -> bool {
        self.state().delete(channel, id, true)
    }

    /// Says after all what was taken back.
    pub fn undelete(&self, channel: &str, id: u64) -> bool {
        self.state().delete(channel, id, false)
    }

    /// Sets or takes back a reaction, such as `like`. False if there was nothing to do.
    pub fn react(&self, channel: &str, id: u64, user: &str, name: &str, set: bool) -> bool {
        self.state()
            .react(channel, id, &Author::User(user.to_owned()), name, set)
    }

    /// Somebody puts a file into a channel's folder and says so: its id and that of the message.
    pub fn upload(&self, channel: &str, user: &str, name: &str, mime: &str, content: &[u8]) -> (String, u64) {
        let mut state = self.state();
        let file = state.put_file(channel, name, mime, Bytes::copy_from_slice(content));
        let draft = Draft {
            attachments: vec![reference(&file)],
            ..Draft::default()
        };
        let id = state.write(channel, Author::User(user.to_owned()), draft);
        (file.id, id.unwrap_or_default())
    }

    // ---- what is there

    /// All messages of a channel as Graph has them, oldest first; replies too.
    pub fn history(&self, channel: &str) -> Vec<Value> {
        self.state().whole_history(channel)
    }

    /// One message as Graph has it.
    pub fn message(&self, channel: &str, id: u64) -> Option<Value> {
        let id = id.to_string();
        self.history(channel).into_iter().find(|message| message["id"] == *id)
    }

    /// The messages that the app's bot wrote into a channel and did not take back, oldest first.
    pub fn posted(&self, channel: &str) -> Vec<Value> {
        let mut history = self.history(channel);
        history.retain(|one| one["from"]["application"]["id"] == *self.app.app_id && one["deletedDateTime"].is_null());
        history
    }

    /// All files that there are: name and content.
    pub fn files(&self) -> Vec<(String, Bytes)> {
        self.state().list_files()
    }

    /// The calls of an operation so far, or of all that begin with it (such as `graph`); of all if it is empty.
    pub fn calls(&self, operation: &str) -> Vec<Call> {
        let state = self.state();
        let is = |call: &&Call| {
            let rest = call.operation.strip_prefix(operation);
            rest.is_some_and(|rest| operation.is_empty() || rest.is_empty() || rest.starts_with('.'))
        };
        state.calls.iter().filter(is).cloned().collect()
    }

    /// How many calls were answered with 429.
    pub fn limited(&self) -> usize {
        self.state().calls.iter().filter(|call| call.status == 429).count()
    }

    /// What was not as Microsoft publishes it. A test ends with this being empty.
    pub fn violations(&self) -> Vec<Violation> {
        self.state().violations.iter().cloned().collect()
    }

    /// The ids of the app's subscriptions.
    pub fn subscriptions(&self) -> Vec<String> {
        let state = self.state();
        let own = |index: usize| {
            state
                .apps
                .get(index)
                .is_some_and(|one| one.app.app_id == self.app.app_id)
        };
        state
            .subscriptions
            .values()
            .filter(|one| own(one.app))
            .map(|one| one.id.clone())
            .collect()
    }

    /// What became of what the app was told.
    pub fn counts(&self, feed: Feed) -> Counts {
        self.postbox().map(|postbox| postbox.counts(feed)).unwrap_or_default()
    }

    /// Waits until nothing is on its way to the app any more.
    ///
    /// # Errors
    ///
    /// After `bound`.
    pub async fn settled(&self, bound: Duration) -> anyhow::Result<()> {
        let quiet = || self.postbox().is_none_or(|postbox| postbox.awaited() == 0);
        wait_until("all activities and notifications taken", bound, quiet).await
    }

    /// What a file is named by in Graph's `shares`.
    pub fn share_name(address: &str) -> String {
        format!("u!{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(address))
    }
}
