//! Where the parts meet: mirrors, delivery lanes, supervision.
//!
//! ```text
//!  session ── push ──▶ intake ── accept ──▶ store ── ticket ──▶ session acknowledges upstream
//!                                             │ wake
//!                                             ▼
//!                          lane (one a mirror and destination): read → resolve → plan → clear → deliver → settle
//! ```
//!
//! | module | one reason to exist |
//! |---|---|
//! | `settings` | what the operator asked for |
//! | `core` | the state all parts share |
//! | `routes` | which place belongs to which mirror |
//! | `intake` | accepting events, durably and in order |
//! | `lane` | one destination's position in a mirror's journal |
//! | `resolve`, `plan` | what an event refers to; what it becomes at a destination (pure) |
//! | `deliver` | one delivery until it is settled |
//! | `roster` | joins and leaves, in the background |
//! | `upkeep` | dropping what is delivered and old |
//! | `reactions` | finding reactions that are taken back |
//! | `media` | files across sides, and links to them |
//! | `supervise` | sessions that are started again |
//! | `home`, `observer` | the homeserver beyond being a side |
//!
//! # How nothing is lost, doubled or reordered
//!
//! An event is in its mirror's journal, with a number, before it is acknowledged. A lane delivers in the order of numbers
//! and moves its mark with each settled delivery, in the same commit that maps the ids. Where sending twice would show, the
//! lane notes durably that it begins before it sends: after a crash, what was begun and not settled is looked up by its key,
//! or shown as unknown where a network cannot be asked.
//!
//! # Extending
//!
//! A new fallback belongs into `plan`; a new kind of side implements [`viaduct_bridge::Session`] and nothing here changes.

mod backoff;
mod core;
mod deliver;
mod faults;
mod home;
mod intake;
mod lane;
mod media;
mod observer;
mod plan;
mod reactions;
mod resolve;
mod roster;
mod routes;
mod settings;
mod settling;
mod state;
mod status;
mod supervise;
mod telemetry;
mod upkeep;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use viaduct_bridge::{Connection, Context, Factory};
use viaduct_matrix::{BridgeInfo, Observer};
use viaduct_model::{Clock, Entropy, NetworkName};
use viaduct_store::{Batch, Delivery, DeliveryFilter, Lane, Op, Seq, Store, StoreError};

pub use home::Home;
pub use media::PATH as MEDIA_PATH;
pub use observer::Commands;
pub use plan::{Links, Plan, Referred, Resolved, plan};
pub use settings::{Flow, Forms, MemberSpec, MirrorSpec, NetworkSpec, Policies, Settings};
pub use status::{LaneStatus, MirrorStatus, NetworkStatus, Status};
pub use viaduct_bridge::Probe;

use crate::backoff::Backoff;
use crate::core::Core;
use crate::routes::{Mirror, RoomOrigin};

/// How long a delivery under way may take to finish when the hub stops.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
/// How long a session may take to look at itself.
const PROBE: Duration = Duration::from_secs(15);

/// Makes the homeserver side from what the engine gives it: its context, its observer, and the routes to serve beside the
/// appservice's own.
pub type HomeFactory =
    Box<dyn FnOnce(Context, Arc<dyn Observer>, axum::Router) -> Result<Arc<dyn Home>, EngineError> + Send>;

/// What the engine is built from.
pub struct Parts {
    /// The durable memory.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The kinds of network there are.
    pub factories: Vec<Arc<dyn Factory>>,
    /// The homeserver side.
    pub home: HomeFactory,
    /// The address under which people outside reach the hub, for links to files; none: no links.
    pub public_url: Option<String>,
    /// Answers commands given to the bot.
    pub commands: Option<Arc<dyn Commands>>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no bridge of this kind.
    #[error("network {network}: there is no bridge of kind {kind:?}")]
    Kind {
        /// The network.
        network: NetworkName,
        /// The kind asked for.
        kind: String,
    },
    /// A session could not be made.
    #[error("network {network}: {reason}")]
    Open {
        /// The network.
        network: NetworkName,
        /// What the bridge says.
        reason: String,
    },
    /// The homeserver side could not be made.
    #[error("homeserver: {0}")]
    Home(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such delivery record.
    #[error("there is no record of such a delivery")]
    NoDelivery,
}

/// The hub at work.
#[derive(Debug)]
pub struct Engine {
    core: Arc<Core>,
    factories: Factories,
    /// Networks whose session could not be made, and why.
    unopened: Mutex<HashMap<NetworkName, String>>,
}

struct Factories(Vec<Arc<dyn Factory>>);

impl fmt::Debug for Factories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|factory| factory.kind()))
            .finish()
    }
}

impl Engine {
    /// Starts everything. A network whose session cannot be made is reported and left out; the others work.
    ///
    /// # Errors
    ///
    /// When the store fails, or the homeserver side cannot be made.
    pub async fn start(settings: Settings, parts: Parts) -> Result<Self, EngineError> {
        let secret = link_secret(&*parts.store, &*parts.entropy).await?;
        let links = media::LinkSigner::new(parts.public_url, &secret);
        let core = Arc::new(Core::new(
            parts.store,
            parts.clock,
            parts.entropy,
            links,
            settings.clone(),
        ));
        observer::remember_rooms(&core).await?;
        forget_changed_rooms(&core).await?;
        open_lanes(&core).await?;

        let name = NetworkName::matrix();
        let stop = core.stop.child_token();
        let context = supervise::context(&core, name.clone(), &settings, stop.clone());
        let observer = Arc::new(observer::HomeObserver {
            core: core.clone(),
            commands: parts.commands,
        });
        let home = (parts.home)(context, observer, media::routes(core.clone()))?;
        core.set_home(home.clone());
        supervise::run(&core, name, home, stop);

        let engine = Self {
            core,
            factories: Factories(parts.factories),
            unopened: Mutex::default(),
        };
        for network in &settings.networks {
            engine.open(network, &settings).await;
        }
        engine.begin_mirrors();
        engine.core.tasks.spawn(upkeep::run(engine.core.clone()));
        Ok(engine)
    }

    async fn open(&self, network: &NetworkSpec, settings: &Settings) {
        let opened = supervise::start(&self.core, network, settings, &self.factories.0).await;
        let mut unopened = self.unopened.lock().unwrap_or_else(PoisonError::into_inner);
        match opened {
            Ok(()) => drop(unopened.remove(&network.name)),
            Err(error) => {
                tracing::error!(network = %network.name, %error, "The network was left out.");
                unopened.insert(network.name.clone(), error.to_string());
            }
        }
    }

    /// Makes rooms where they are missing, and wakes all lanes: there may be work from before.
    fn begin_mirrors(&self) {
        for mirror in self.core.routes().mirrors() {
            self.core.unsettled.send_modify(|mirrors| *mirrors += 1);
            self.core.tasks.spawn(begin_mirror(self.core.clone(), mirror.clone()));
        }
    }

    /// Takes over changed settings. Networks whose section and channels are the same stay connected.
    ///
    /// # Errors
    ///
    /// When the store fails; then the settings before stay in force.
    pub async fn reload(&self, settings: Settings) -> Result<(), EngineError> {
        let before = self.core.settings();
        self.core.replace_settings(settings.clone());
        forget_changed_rooms(&self.core).await?;
        open_lanes(&self.core).await?;
        for network in &before.networks {
            if !unchanged(network, &before, &settings) {
                supervise::stop(&self.core, &network.name);
            }
        }
        for network in &settings.networks {
            if !unchanged(network, &before, &settings) {
                self.open(network, &settings).await;
            }
        }
        self.begin_mirrors();
        tracing::info!("The configuration was reloaded.");
        Ok(())
    }

    /// How everything stands.
    pub async fn status(&self) -> Status {
        let unopened = self.unopened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        status::status(&self.core, &unopened).await
    }

    /// What every network's session, the homeserver's too, says of itself: for `doctor` beside a running hub.
    pub async fn probe(&self) -> Vec<(NetworkName, Vec<Probe>)> {
        let asked = self.core.sides().into_iter().map(|side| async move {
            let probes = match tokio::time::timeout(PROBE, side.session.probe()).await {
                Ok(probes) => probes,
                Err(_) => vec![Probe::error(
                    "probe",
                    "the network did not answer in time",
                    "see the log for what it is doing",
                )],
            };
            (side.name.clone(), probes)
        });
        let mut told = join_all(asked).await;
        told.sort_by(|a, b| a.0.cmp(&b.0));
        told
    }

    /// Records of deliveries that did not simply arrive.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, EngineError> {
        Ok(self.core.store.deliveries(filter).await?)
    }

    /// Tries a failed or unknown delivery once more, outside the order, and removes its record if it arrives.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoDelivery`] when there is no such record, or it is not one that may be tried again.
    pub async fn retry(&self, lane: &Lane, seq: Seq) -> Result<String, EngineError> {
        lane::retry(&self.core, lane, seq).await
    }

    /// Gives a delivery up: removes its record.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoDelivery`] when there is no such record.
    pub async fn drop_delivery(&self, lane: &Lane, seq: Seq) -> Result<(), EngineError> {
        self.core
            .store
            .delivery(lane, seq)
            .await?
            .ok_or(EngineError::NoDelivery)?;
        Ok(self
            .core
            .commit(Op::Forget {
                lane: lane.clone(),
                seq,
            })
            .await?)
    }

    /// Stops: no more intake, deliveries under way are finished, everything is written out.
    ///
    /// # Errors
    ///
    /// When the store cannot be closed in good order.
    pub async fn stop(&self) -> Result<(), EngineError> {
        self.core.stop.cancel();
        self.core.tasks.close();
        if tokio::time::timeout(DRAIN * 2, self.core.tasks.wait()).await.is_err() {
            tracing::warn!("Some work did not end in time; it goes on after the next start.");
        }
        Ok(self.core.store.close().await?)
    }
}

/// Whether a network's session may stay: same section, same kind, same channels.
fn unchanged(network: &NetworkSpec, before: &Settings, after: &Settings) -> bool {
    let channels = |settings: &Settings| {
        let mut channels: Vec<_> = settings
            .mirrors
            .iter()
            .flat_map(|mirror| &mirror.members)
            .filter(|member| member.place.network == network.name)
            .map(|member| member.place.channel.clone())
            .collect();
        channels.sort();
        channels
    };
    let spec = |settings: &Settings| {
        settings
            .networks
            .iter()
            .find(|candidate| candidate.name == network.name)
            .map(|found| (found.kind.clone(), found.section.clone()))
    };
    spec(before) == spec(after) && channels(before) == channels(after)
}

async fn link_secret(store: &dyn Store, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
    const KEY: &str = "link-secret";
    if let Some(secret) = store.state(reactions::OWNER, KEY).await? {
        return Ok(secret);
    }
    let mut secret = vec![0; 32];
    entropy.fill(&mut secret);
    let op = Op::State {
        owner: reactions::OWNER.to_owned(),
        key: KEY.to_owned(),
        value: Some(secret.clone()),
    };
    store.submit(Batch::of(op)).await?.await?;
    Ok(secret)
}

/// A lane that is new starts at the end of its mirror's journal.
async fn open_lanes(core: &Core) -> Result<(), StoreError> {
    let mut ops = Vec::new();
    for mirror in core.routes().mirrors() {
        for member in &mirror.members {
            ops.push(Op::Open {
                lane: Lane {
                    mirror: mirror.name.clone(),
                    to: member.place.clone(),
                },
            });
        }
    }
    core.store.submit(Batch { ops }).await?.await.map(drop)
}

/// The state key under which a mirror's room was asked for.
fn room_key(mirror: &Mirror) -> String {
    format!("room/{}", mirror.name)
}

fn room_wish(mirror: &Mirror) -> Option<Vec<u8>> {
    match &mirror.origin {
        RoomOrigin::Configured(spec) => Some(format!("{spec:?}").into_bytes()),
        RoomOrigin::Direct { .. } => None,
    }
}

/// A mirror whose room the operator now wants otherwise gets it anew.
async fn forget_changed_rooms(core: &Core) -> Result<(), StoreError> {
    for mirror in core.routes().mirrors() {
        let Some(wish) = room_wish(mirror) else { continue };
        let known = core.store.state(reactions::OWNER, &room_key(mirror)).await?;
        if known.as_deref() != Some(wish.as_slice()) {
            core.forget_room(&mirror.name);
        }
    }
    Ok(())
}

/// Counts a mirror as settled when dropped.
struct Unsettled(Arc<Core>);

impl Drop for Unsettled {
    fn drop(&mut self) {
        self.0
            .unsettled
            .send_modify(|mirrors| *mirrors = mirrors.saturating_sub(1));
    }
}

async fn begin_mirror(core: Arc<Core>, mirror: Arc<Mirror>) {
    core.wake_all(&mirror);
    let mut unsettled = Some(Unsettled(core.clone()));
    let Some(wish) = room_wish(&mirror) else { return };
    let RoomOrigin::Configured(spec) = &mirror.origin else {
        return;
    };
    let Some(home) = core.home() else { return };
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_mins(1));
    let known = core.room_of(&mirror.name);
    let room = loop {
        if let Some(room) = core.room_of(&mirror.name) {
            break room;
        }
        let made = match home.ensure_room(spec).await {
            Ok(room) => core.save_room(&mirror, &room).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        drop(unsettled.take());
        if let Err(error) = made {
            tracing::warn!(mirror = %mirror.name, error, "The mirror's room is not available yet.");
            tokio::select! {
                () = tokio::time::sleep(backoff.next(None, &*core.entropy)) => {}
                () = core.stop.cancelled() => return,
            }
        }
    };
    drop(unsettled);
    if known.is_none() {
        let op = Op::State {
            owner: reactions::OWNER.to_owned(),
            key: room_key(&mirror),
            value: Some(wish),
        };
        core.commit(op).await.ok();
        tracing::info!(mirror = %mirror.name, room, "The mirror has its room.");
    }
    let places = bridge_info(&core.settings(), &mirror);
    if let Err(error) = home.announce(&room, &places).await {
        tracing::debug!(mirror = %mirror.name, %error, "The room could not be told what it is mirrored with.");
    }
    core.wake_all(&mirror);
}

fn bridge_info(settings: &Settings, mirror: &Mirror) -> Vec<BridgeInfo> {
    let kind = |name: &NetworkName| {
        settings
            .networks
            .iter()
            .find(|network| network.name == *name)
            .map_or("unknown", |network| &network.kind)
            .to_owned()
    };
    mirror
        .members
        .iter()
        .skip(1)
        .map(|member| BridgeInfo {
            network: member.place.network.clone(),
            protocol: kind(&member.place.network),
            channel: member.place.channel.clone(),
            channel_name: member.place.channel.to_string(),
            url: None,
        })
        .collect()
}

/// Tells whether a connection works, for status pages.
fn connection_name(connection: &Connection) -> (&'static str, Option<String>) {
    match connection {
        Connection::Connecting => ("connecting", None),
        Connection::Up => ("up", None),
        Connection::Down(reason) => ("down", Some(reason.clone())),
        Connection::AuthLost(reason) => ("auth_lost", Some(reason.clone())),
    }
}
