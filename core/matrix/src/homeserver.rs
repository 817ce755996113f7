//! The homeserver as a side of every mirror.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::serve::ListenerExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, Semaphore};
use tracing::instrument;
use viaduct_bridge::{
    Connection, Context, DeliveryError, Failure, Feedback, Media, MediaError, Probe, Session, SessionError,
};
use viaduct_compliance::Cleared;
use viaduct_model::{
    Capabilities, ChannelId, Content, Lookup, Membership, NetworkName, Outbound, Person, PersonId, Receipt, Support,
};

use crate::client::{Api, As};
use crate::crypto::Crypto;
use crate::crypto::rooms::Rooms;
use crate::crypto::waiting::Waiting;
use crate::error::HomeserverError;
use crate::ghosts::Ghosts;
use crate::intake::Intake;
use crate::media::Uploads;
use crate::names::GhostNames;
use crate::notebook::Notebook;
use crate::people::People;
use crate::probe::{cannot_listen, examine};
use crate::registration::Registration;
use crate::{HomeserverConfig, Observer, listener};

/// The longest text of one event that is not split, in bytes.
const TEXT_LIMIT: u64 = 9_000;
/// How often a homeserver that answers is asked whether it still does.
const CHECK: Duration = Duration::from_secs(30);
/// How long at most between two attempts to reach one that does not.
const RETRY: Duration = Duration::from_secs(5);
/// How many ghosts are made ready at a time, ahead of their deliveries: enough to keep a homeserver busy, without hundreds of
/// connections to it.
const PREPARING: usize = 32;
/// How long one waits for its turn.
const PREPARING_PATIENCE: Duration = Duration::from_millis(500);
/// How long the listener may take to end.
const FAREWELL: Duration = Duration::from_secs(4);

/// The homeserver side: a [`Session`] for the reserved network `matrix`, and what only a homeserver has.
pub struct Homeserver {
    pub(crate) config: HomeserverConfig,
    pub(crate) context: Context,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) api: Api,
    pub(crate) names: GhostNames,
    pub(crate) ghosts: Ghosts,
    pub(crate) people: People,
    pub(crate) uploads: Uploads,
    preparing: Semaphore,
    pub(crate) taking: Arc<Semaphore>,
    pub(crate) notebook: Notebook,
    pub(crate) intake: Intake,
    /// The bot's device, open from the first run on where the operator wants encryption.
    pub(crate) crypto: OnceCell<Crypto>,
    pub(crate) rooms: Rooms,
    pub(crate) waiting: Waiting,
    extra: Mutex<Option<Router>>,
    this: Weak<Self>,
}

impl std::fmt::Debug for Homeserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Homeserver")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Homeserver {
    /// Makes the homeserver side; nothing is sent or listened to before [`Session::run`]. `extra` routes are served on the
    /// same address, without asking for the homeserver's token.
    ///
    /// # Errors
    ///
    /// [`HomeserverError`] if the configuration cannot be used.
    pub fn new(
        config: HomeserverConfig,
        context: Context,
        observer: Arc<dyn Observer>,
        extra: Option<Router>,
    ) -> Result<Arc<Self>, HomeserverError> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        for (key, value) in [
            ("appservice.bot", &config.bot),
            ("appservice.ghost_prefix", &config.ghost_prefix),
        ] {
            if value.is_empty() || !value.chars().all(fits) {
                return Err(HomeserverError::Name {
                    key,
                    value: value.clone(),
                });
            }
        }
        if config.domain.is_empty()
            || config
                .domain
                .contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
        {
            return Err(HomeserverError::Name {
                key: "homeserver.domain",
                value: config.domain,
            });
        }
        let api = Api::new(&config)?;
        Ok(Arc::new_cyclic(|this| Self {
            names: GhostNames::new(&config.ghost_prefix, &config.domain, &config.bot),
            notebook: Notebook::new(context.state.clone()),
            ghosts: Ghosts::new(),
            people: People::new(),
            uploads: Uploads::new(),
            preparing: Semaphore::new(PREPARING),
            taking: Arc::new(Semaphore::new(listener::TAKING)),
            intake: Intake::new(),
            crypto: OnceCell::new(),
            rooms: Rooms::new(),
            waiting: Waiting::default(),
            extra: Mutex::new(extra),
            this: this.clone(),
            config,
            context,
            observer,
            api,
        }))
    }

    /// The full user id of a person's ghost.
    pub fn ghost_id(&self, person: &Person) -> String {
        let ghost = self.names.ghost(&person.network, &person.id);
        if ghost.newly_hashed
            && let Ok(value) = serde_json::to_vec(&(&person.network, &person.id))
        {
            self.notebook.note(format!("long/{}", ghost.mxid), Some(value));
        }
        ghost.mxid
    }

    /// Whom a ghost stands for.
    pub fn person_of_ghost(&self, mxid: &str) -> Option<(NetworkName, PersonId)> {
        self.names.person(mxid)
    }

    /// The routes the homeserver calls, and the extra ones.
    pub fn router(&self) -> Router {
        let routes = self.this.upgrade().map(listener::router).unwrap_or_default();
        let extra = self.extra.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match extra {
            Some(extra) => routes.merge(extra),
            None => routes,
        }
    }

    /// The text of the registration file. Rooms that the hub is to make want their aliases in it:
    /// [`Registration::of`].
    pub fn registration(config: &HomeserverConfig) -> String {
        Registration::of(config, &[]).to_yaml()
    }

    /// Reads who the hashed ghost ids of earlier runs stand for.
    async fn recall_ghosts(&self) {
        let noted = self.context.state.scan("long/").await.unwrap_or_default();
        for (key, value) in noted {
            if let (Some(mxid), Ok((network, id))) = (key.strip_prefix("long/"), serde_json::from_slice(&value)) {
                self.names.remember(mxid, network, id);
            }
        }
    }

    /// Watches whether the homeserver answers, and reports it. Never ends.
    async fn watch(&self) {
        self.context.inbox.report(None, Connection::Connecting);
        let mut wait = Duration::from_millis(100);
        let mut up = false;
        let mut registered = false;
        let mut introduced = self.config.encryption.is_none();
        loop {
            match self
                .api
                .get::<Value>("/_matrix/client/v3/account/whoami", As::BOT)
                .await
            {
                Ok(_) => {
                    if !registered {
                        let bot = self.names.bot().to_owned();
                        registered = self.register(&bot).await.is_ok();
                    }
                    if !up {
                        self.context.inbox.report(None, Connection::Up);
                    }
                    up = true;
                    wait = Duration::from_millis(100);
                    if !introduced {
                        introduced = self.introduced().await;
                    }
                    tokio::time::sleep(if introduced { CHECK } else { RETRY }).await;
                    continue;
                }
                Err(error) if error.is_token() => {
                    let why = "the homeserver does not accept our as_token: is the registration file loaded?";
                    self.context.inbox.report(None, Connection::AuthLost(why.to_owned()));
                }
                Err(error) => self.context.inbox.report(None, Connection::Down(error.to_string())),
            }
            up = false;
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY);
        }
    }

    /// Makes the bot's device known; whether it is.
    async fn introduced(&self) -> bool {
        match self.introduce_device().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "The bot's device is not known to the homeserver yet: nothing encrypted crosses.");
                false
            }
        }
    }

    async fn serve(&self, listener: TcpListener) -> Result<(), SessionError> {
        let stop = self.context.stop.clone();
        // Without it an answer waits for the homeserver's delayed acknowledgement of its head, 40 ms a transaction.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(stop.clone().cancelled_owned());
        let farewell = async {
            stop.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            result = serving => result.map_err(|error| SessionError::Connection(error.to_string())),
            () = farewell => Ok(()),
        }
    }
}

#[async_trait]
impl Session for Homeserver {
    #[instrument(name = "matrix.run", skip_all, fields(listen = %self.config.listen))]
    async fn run(&self) -> Result<(), SessionError> {
        let listener = TcpListener::bind(self.config.listen)
            .await
            .map_err(|error| SessionError::Connection(cannot_listen(self.config.listen, &error)))?;
        self.recall_ghosts().await;
        self.recall_transactions().await;
        self.open_crypto().await?;
        self.recall_waiting().await;
        let result = tokio::select! {
            result = self.serve(listener) => result,
            () = self.watch() => Ok(()),
            () = self.notebook.keep() => Ok(()),
            () = self.tend_keys() => Ok(()),
            () = self.tend_waiting() => Ok(()),
        };
        self.notebook.flush().await;
        result
    }

    fn capabilities(&self, _channel: &ChannelId) -> Capabilities {
        capabilities(self.config.media_limit)
    }

    async fn prepare(&self, outbound: &Cleared<Outbound>) {
        let out = outbound.get();
        let room = out.to.channel.as_str();
        let author = &out.author.person;
        if author.network.is_matrix() || (out.content.message().is_some() && self.is_ready(author, room)) {
            return;
        }
        // A delivery that finds no room here makes its ghost itself, so that slow joins of some delay no others for long.
        let Ok(Ok(_permit)) = tokio::time::timeout(PREPARING_PATIENCE, self.preparing.acquire()).await else {
            return;
        };
        let result = match &out.content {
            Content::Message(_) | Content::Edit { .. } | Content::React { .. } | Content::Delete { .. } => {
                self.speaker(out).await.map(drop)
            }
            Content::Membership {
                person,
                change: Membership::Join,
                ..
            } if !person.network.is_matrix() => self.made_ghost(person).await.map(drop),
            _ => Ok(()),
        };
        if let Err(error) = result {
            tracing::debug!(room, %error, "A ghost could not be made ready; the delivery tries again.");
        }
    }

    #[instrument(name = "matrix.deliver", level = "debug", skip_all, fields(key = %outbound.key, room = %outbound.to.channel))]
    async fn deliver(&self, outbound: &Cleared<Outbound>) -> Result<Receipt, DeliveryError> {
        let out = outbound.get();
        let result = self.send_outbound(out).await;
        match result {
            // What only matters for the moment is not repeated.
            Err(error) if out.content.is_ephemeral() && matches!(error.failure, Failure::Retry(_)) => {
                Ok(Receipt::default())
            }
            other => other,
        }
    }

    async fn feedback(&self, feedback: Feedback) {
        self.give_feedback(&feedback).await;
    }

    async fn open_media(&self, locator: &str) -> Result<Media, MediaError> {
        self.open_mxc(locator).await
    }

    async fn probe(&self) -> Vec<Probe> {
        examine(&self.api, &self.config, self.context.clock.as_ref()).await
    }
}

/// What a Matrix room can express.
pub fn capabilities(file_limit: u64) -> Capabilities {
    Capabilities {
        edit: Support::Native,
        edit_window: None,
        delete: Support::Native,
        reply: Support::Native,
        thread: Support::Native,
        reaction: Support::Native,
        custom_emoji: Support::Native,
        formatting: Support::Native,
        mention: Support::Native,
        file: Support::Native,
        file_limit: Some(file_limit),
        text_limit: Some(TEXT_LIMIT),
        line_limit: None,
        topic: Support::Native,
        name: Support::Native,
        membership: Support::Native,
        moderation: Support::Native,
        role: Support::Native,
        pins: Support::Native,
        typing: Support::Native,
        read: Support::Native,
        puppet: Support::Native,
        // The homeserver keeps what we have not acknowledged and sends it again.
        history: Support::Native,
        direct: Support::Native,
        lookup: Lookup::Idempotent,
    }
}
