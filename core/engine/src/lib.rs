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
//! | `handed` | what was accepted just now, passed to lanes at work |
//! | `aside`, `echo` | deliveries outside of their lane's order; our own, seen again |
//! | `resolve`, `plan` | what an event refers to; what it becomes at a destination (pure) |
//! | `prepare` | everybody on an event's way is asked; files, plan |
//! | `deliver`, `end` | one delivery until it is settled; how it ended |
//! | `govern` | what the agreements say about a place today |
//! | `notices` | what people in mirrored rooms are told |
//! | `partners` | what operators do with agreements |
//! | `rights`, `hands` | what people may demand, what has to end; and what the networks do for it |
//! | `quarantine`, `overriding` | what is held, until a second person releases it, or its sender where the rules allow it |
//! | `disputing` | what senders call a false alarm |
//! | `labels` | the labels of the rooms |
//! | `ledger` | every step's entry, in the step's own commit |
//! | `rooms` | the mirrors' rooms, asked for at the start |
//! | `roster` | joins and leaves, in the background |
//! | `channels` | how networks and single channels stand, told to the operators |
//! | `leaving` | channels that are mirrored no longer |
//! | `presence` | whose ghosts and puppets there are, and how they leave |
//! | `accounts` | reports and records from the ledger and the agreements |
//! | `upkeep` | dropping what is delivered and old |
//! | [`rehearse`] | trying policies on what is in the journal |
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

mod accounts;
mod aside;
mod backoff;
mod channels;
mod core;
mod deliver;
mod disputing;
mod echo;
mod end;
mod faults;
mod govern;
mod handed;
mod hands;
mod home;
mod intake;
mod labels;
mod lane;
mod leaving;
mod ledger;
mod lists;
mod media;
mod notices;
mod observer;
mod overriding;
mod partners;
mod plan;
mod prepare;
mod presence;
mod quarantine;
mod reactions;
pub mod rehearse;
mod resolve;
mod rights;
mod rooms;
mod roster;
mod routes;
mod settings;
mod settling;
mod state;
mod status;
mod storing;
mod supervise;
mod telemetry;
mod upkeep;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use viaduct_audit::{Action, ExporterError, LedgerError};
use viaduct_bridge::{Connection, Context, Factory};
use viaduct_compliance::Filter;
use viaduct_governance::GovernanceError;
use viaduct_inspect::Inspector;
use viaduct_matrix::Observer;
use viaduct_model::{Clock, Entropy, MessageId, NetworkName};
use viaduct_store::{Lane, Op, Store, StoreError};

pub use home::Home;
pub use ledger::Audit;
pub use media::PATH as MEDIA_PATH;
pub use observer::Commands;
pub use plan::{Links, Plan, Referred, Resolved, plan};
pub use settings::{Flow, Forms, MemberSpec, MirrorSpec, NamedPolicy, NetworkSpec, Policies, Settings};
pub use status::{LaneStatus, MirrorStatus, NetworkStatus, Status};
pub use viaduct_bridge::Probe;

use crate::core::Core;
use crate::govern::Govern;
use crate::ledger::Book;
use crate::rehearse::{Judged, Replayed, Wanted};

/// How long a delivery under way may take to finish when the hub stops.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
/// This version, as the ledger notes it.
const VERSION: &str = concat!("viaduct ", env!("CARGO_PKG_VERSION"));
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
    /// The ledger; without one nothing is recorded.
    pub audit: Option<Audit>,
    /// Looks into files; without one, nothing is known about them.
    pub inspector: Option<Inspector>,
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
    /// The ledger cannot be kept.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// An agreement, the quarantine or a key refused something.
    #[error(transparent)]
    Governance(#[from] GovernanceError),
    /// An exporter of the ledger cannot work.
    #[error(transparent)]
    Exporter(#[from] ExporterError),
    /// It needs a ledger.
    #[error("no ledger is kept; describe one under `audit` in the configuration")]
    NoLedger,
    /// No agreement lets it cross today.
    #[error("nothing may cross there now: {0}")]
    Barred(String),
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
        let secret = media::link_secret(&*parts.store, &*parts.entropy).await?;
        let links = media::LinkSigner::new(parts.public_url, &secret);
        let book = match parts.audit {
            Some(audit) => Some(Book::open(audit, parts.store.clone(), parts.entropy.clone()).await?),
            None => None,
        };
        let govern = Govern::open(book.as_ref(), &settings, parts.store.clone(), parts.clock.clone()).await?;
        let core = Arc::new(Core::new(
            parts.store,
            parts.clock,
            parts.entropy,
            links,
            (book, govern),
            parts.inspector,
            settings.clone(),
        ));
        note_settings(&core, Action::Started).await?;
        observer::remember_rooms(&core).await?;
        rooms::forget_changed(&core).await?;
        open_lanes(&core).await?;
        leaving::remember(&core).await?;

        let name = NetworkName::matrix();
        let stop = core.stop.child_token();
        let context = supervise::context(&core, name.clone(), &settings, stop.clone());
        let observer = Arc::new(observer::HomeObserver {
            core: core.clone(),
            commands: parts.commands,
        });
        let home = (parts.home)(context, observer, media::routes(core.clone()))?;
        core.set_home(home.clone());
        supervise::run(&core, name, home, BTreeSet::new(), stop);

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
        engine.core.tasks.spawn(upkeep::calendar(engine.core.clone()));
        engine.core.tasks.spawn(lists::run(engine.core.clone()));
        engine.core.tasks.spawn(quarantine::run(engine.core.clone()));
        Ok(engine)
    }

    async fn open(&self, network: &NetworkSpec, settings: &Settings) {
        if hands::is_closed(&self.core, &network.name).await {
            tracing::info!(network = %network.name, "The network's partner was wound up; it stays closed.");
            return;
        }
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
            self.core.tasks.spawn(rooms::begin(self.core.clone(), mirror.clone()));
        }
    }

    /// Takes over changed settings. Channels that are mirrored no longer are left; networks whose section is the same and that
    /// get no channel beside those they have stay connected.
    ///
    /// # Errors
    ///
    /// When the store fails; then the settings before stay in force.
    pub async fn reload(&self, settings: Settings) -> Result<(), EngineError> {
        let before = self.core.settings();
        self.core.govern.reload(&settings).await?;
        self.core.replace_settings(settings.clone());
        note_settings(&self.core, Action::Configured).await?;
        rooms::forget_changed(&self.core).await?;
        open_lanes(&self.core).await?;
        leaving::remember(&self.core).await?;
        if let Err(error) = leaving::leave_ended(&self.core).await {
            tracing::error!(%error, "Channels that are mirrored no longer could not be left yet.");
        }
        // Thousands of ghosts leave one by one: nobody waits for that.
        let core = self.core.clone();
        self.core.tasks.spawn(async move { leaving::clear_ended(&core).await });
        let stays = |network: &NetworkSpec| self.stays(network, &before, &settings);
        let (staying, ending): (Vec<_>, Vec<_>) = before.networks.iter().partition(|network| stays(network));
        join_all(
            ending
                .iter()
                .map(|network| supervise::replace(&self.core, &network.name)),
        )
        .await;
        for network in &settings.networks {
            if !staying.iter().any(|known| known.name == network.name) {
                self.open(network, &settings).await;
            }
        }
        self.begin_mirrors();
        tracing::info!("The configuration was reloaded.");
        Ok(())
    }

    /// Whether a network's session may stay: same section, same kind, and in the channels it should be in.
    fn stays(&self, network: &NetworkSpec, before: &Settings, after: &Settings) -> bool {
        let spec = |settings: &Settings| {
            let found = settings.networks.iter().find(|known| known.name == network.name);
            found.map(|found| (found.kind.clone(), found.section.clone()))
        };
        let channels = leaving::channels(&self.core, after, &network.name);
        spec(before) == spec(after) && self.core.side(&network.name).is_some_and(|side| side.serves(&channels))
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

    /// Puts the journal through a candidate policy; see [`rehearse::replay`].
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn replay(&self, candidate: &Filter, wanted: &Wanted) -> Result<Replayed, EngineError> {
        Ok(rehearse::replay(&*self.core.store, &self.core.settings(), candidate, wanted).await?)
    }

    /// What the policies in force make of one event; see [`rehearse::explain`].
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn explain(&self, id: &MessageId) -> Result<Vec<Judged>, EngineError> {
        let register = self.core.govern.register();
        let agreed = (&*register, self.core.clock.now());
        Ok(rehearse::explain(&*self.core.store, &self.core.settings(), agreed, id).await?)
    }

    /// Notes in the ledger what an operator did outside of the hub, such as an export.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn note(&self, action: Action, reason: &str) -> Result<(), EngineError> {
        let entry = ledger::plain(self.core.clock.now(), action, reason);
        Ok(self.core.note(vec![entry]).await?)
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
        if let Some(book) = &self.core.book {
            let entry = ledger::plain(self.core.clock.now(), Action::Stopped, VERSION);
            self.core.note(vec![entry]).await.ok();
            book.close().await;
        }
        Ok(self.core.store.close().await?)
    }
}

/// Notes with which version and which policies the hub works from now on.
async fn note_settings(core: &Core, action: Action) -> Result<(), EngineError> {
    let mut entry = ledger::plain(core.clock.now(), action, VERSION);
    let policies = core.routes().policies();
    entry.findings = policies.into_iter().map(|policy| (policy, 1)).collect();
    Ok(core.note(vec![entry]).await?)
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
    core.store.submit(ops.into()).await?.await.map(drop)
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
