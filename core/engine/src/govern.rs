//! Agreements at work: what may cross where today, in whose name records are kept, and which policies follow.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Notify;
use viaduct_governance::{
    Agreements, Alarms, Holds, Notices, PartnerName, Quarantine, Recorder, Register, RetentionJob, Source,
};
use viaduct_model::{Clock, MirrorName, NetworkName, Place, Timestamp};
use viaduct_store::Store;

use crate::EngineError;
use crate::ledger::Book;
use crate::routes::Versioned;
use crate::settings::Settings;

/// Standings change with the days, so what was found holds for one, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;
/// How many places are remembered; direct chats make more without end.
const PLACES: usize = 10_000;

/// What the agreements say about one place today.
#[derive(Debug)]
pub(crate) struct Terms {
    day: u64,
    /// In whose name records about it are kept.
    pub(crate) keeper: PartnerName,
    /// Whether it belongs to the own organisation.
    pub(crate) own: bool,
    /// Why nothing may cross; none if something may.
    pub(crate) obstacle: Option<String>,
    /// For what comes from it.
    pub(crate) inward: Option<Arc<Versioned>>,
    /// For what goes to it.
    pub(crate) outward: Option<Arc<Versioned>>,
}

/// Holds, retention, notices, the end of partnerships.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) holds: Holds,
    pub(crate) retention: RetentionJob,
    pub(crate) notices: Notices,
    pub(crate) alarms: Alarms,
    /// One room is told at a time, so that several lanes of a mirror do not tell it the same.
    pub(crate) telling: tokio::sync::Mutex<()>,
    /// One partnership is wound up at a time.
    pub(crate) winding_up: tokio::sync::Mutex<()>,
}

/// The agreements, and what depends on them.
#[derive(Debug)]
pub(crate) struct Govern {
    /// None without a ledger: then only networks of the own organisation work.
    pub(crate) agreements: Option<Agreements>,
    /// Where what is held waits; none without a ledger.
    pub(crate) quarantine: Option<Quarantine>,
    /// What else is done with a ledger.
    pub(crate) desk: Option<Desk>,
    /// Woken when something may have become ready to be delivered.
    pub(crate) released: Notify,
    /// One task at a time takes people out of rooms that their channels have left.
    pub(crate) clearing: tokio::sync::Mutex<()>,
    plain: RwLock<Arc<Register>>,
    places: Mutex<HashMap<Place, Arc<Terms>>>,
    /// The mirrors whose rooms know what they have to, and until when that holds.
    told: Mutex<HashMap<MirrorName, Option<Timestamp>>>,
    /// Which partners' agreements let something cross, when it was last looked.
    standing: Mutex<BTreeMap<PartnerName, bool>>,
}

impl Govern {
    /// Takes the agreements of the settings, and what the store knows besides.
    pub(crate) async fn open(
        book: Option<&Book>,
        settings: &Settings,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        let (mut agreements, mut quarantine, mut desk) = (None, None, None);
        if let Some(book) = book {
            let (recorder, keys) = (book.recorder(), book.keys.clone());
            let (partners, facts) = (settings.partners.clone(), settings.facts());
            let opened = Agreements::open(partners, facts, store.clone(), recorder.clone(), keys.clone(), clock);
            agreements = Some(opened.await?);
            desk = Some(Desk {
                holds: Holds::new(store.clone(), recorder.clone(), keys.clone()),
                retention: RetentionJob::new(store.clone(), recorder.clone(), keys.clone()),
                notices: Notices::new(store.clone(), keys.clone()),
                alarms: Alarms::new(store.clone(), keys.clone()),
                recorder: recorder.clone(),
                telling: tokio::sync::Mutex::default(),
                winding_up: tokio::sync::Mutex::default(),
            });
            quarantine = Some(Quarantine::new(store, recorder, keys));
        }
        Ok(Self {
            agreements,
            quarantine,
            desk,
            released: Notify::new(),
            clearing: tokio::sync::Mutex::default(),
            plain: RwLock::new(plain(settings)),
            places: Mutex::default(),
            told: Mutex::default(),
            standing: Mutex::default(),
        })
    }

    /// Takes over changed settings.
    pub(crate) async fn reload(&self, settings: &Settings) -> Result<(), EngineError> {
        if let Some(agreements) = &self.agreements {
            agreements.reload(settings.partners.clone(), settings.facts()).await?;
        }
        *self.plain.write().unwrap_or_else(PoisonError::into_inner) = plain(settings);
        self.changed();
        Ok(())
    }

    /// Something about the agreements changed: nothing that was found before holds any more.
    pub(crate) fn changed(&self) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether a mirror's room knows what it has to.
    pub(crate) fn is_told(&self, mirror: &MirrorName, now: Timestamp) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let until = told.get(mirror);
        self.desk.is_none() || until.is_some_and(|until| until.is_none_or(|until| now < until))
    }

    /// Notes that it does, and until when that holds; none: until something changes.
    pub(crate) fn note_told(&self, mirror: &MirrorName, until: Option<Timestamp>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(mirror.clone(), until);
    }

    /// Whether a network belongs to the own organisation, or to a partner who was not wound up.
    pub(crate) fn serves(&self, network: &NetworkName) -> bool {
        let register = self.register();
        let own = register.networks().get(network).is_some_and(|facts| facts.own);
        own || register
            .partners()
            .values()
            .any(|partner| partner.history.offboarded.is_none() && partner.agreement.networks.contains(network))
    }

    /// Notes which agreements let something cross; those of which that is not as it was, and how it was before.
    pub(crate) fn note_standing(&self, now: &BTreeMap<PartnerName, bool>) -> Vec<(PartnerName, Option<bool>)> {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = now
            .iter()
            .filter(|(name, permits)| standing.get(*name) != Some(*permits));
        let changed = changed
            .map(|(name, _)| (name.clone(), standing.get(name).copied()))
            .collect();
        standing.clone_from(now);
        changed
    }

    /// All agreements as they stand.
    pub(crate) fn register(&self) -> Arc<Register> {
        match &self.agreements {
            Some(agreements) => agreements.register(),
            None => self.plain.read().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// What the agreements say about a place now.
    pub(crate) fn at(&self, place: &Place, now: Timestamp) -> Arc<Terms> {
        let day = now.as_millis() / DAY;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = places.get(place).filter(|terms| terms.day == day) {
            return found.clone();
        }
        let terms = Arc::new(Terms::of(&self.register(), place, now));
        if places.len() >= PLACES {
            places.clear();
        }
        places.insert(place.clone(), terms.clone());
        terms
    }
}

/// The agreements as the configuration has them, of networks that need none.
fn plain(settings: &Settings) -> Arc<Register> {
    let partner = |(name, agreement): (&PartnerName, &viaduct_governance::Agreement)| {
        let partner = viaduct_governance::Partner {
            agreement: agreement.clone(),
            history: viaduct_governance::History::default(),
            source: Source::Configuration,
        };
        (name.clone(), partner)
    };
    let partners = settings.partners.iter().map(partner).collect();
    Arc::new(Register::new(settings.facts(), partners))
}

impl Terms {
    /// What these agreements say about a place at a time.
    pub(crate) fn of(register: &Register, place: &Place, now: Timestamp) -> Self {
        let keeper = register.keeper(place);
        let policies = register.terms_of(place, now);
        let name = format!("agreement-{keeper}");
        let (inward, outward) = policies
            .map(|terms| {
                (
                    Versioned::of(&name, &terms.inward),
                    Versioned::of(&name, &terms.outward),
                )
            })
            .unzip();
        Self {
            day: now.as_millis() / DAY,
            own: register.is_own(place),
            obstacle: register.standing_of(place, now).obstacle(),
            inward,
            outward,
            keeper,
        }
    }
}
