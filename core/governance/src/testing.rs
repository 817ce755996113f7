//! What the tests of this crate share: a clock to turn, a recorder that can fail, networks that can refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use viaduct_audit::note::Signer;
use viaduct_audit::{Entry, KeyRing};
use viaduct_model::{
    ChannelId, Clock, Content, Entropy, Event, Message, MessageId, MirrorName, NetworkName, Person, PersonId, Place,
    Timestamp,
};
use viaduct_store::{Batch, Copied, Lane, MemoryStore, Op, Seq, Store, StoreError};

use crate::*;

#[derive(Debug, Default)]
pub struct Turned(AtomicU64);

impl Turned {
    pub fn to(&self, day: &str) {
        self.0
            .store(Day::parse(day).unwrap().start().as_millis(), Ordering::SeqCst);
    }
}

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Bytes that never repeat.
#[derive(Debug, Default)]
pub struct Chance(AtomicU64);

impl Entropy for Chance {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst).to_be_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
    }
}

/// Commits at once, keeps the entries, and can be told at which commit the hub dies, before or after it is durable.
#[derive(Debug)]
pub struct Book {
    pub store: Arc<dyn Store>,
    pub entries: Mutex<Vec<Entry>>,
    pub number: AtomicU64,
    pub dies: Mutex<Option<(u64, bool)>>,
}

#[async_trait]
impl Recorder for Book {
    async fn commit(&self, step: Step) -> Result<(), GovernanceError> {
        let number = self.number.fetch_add(1, Ordering::SeqCst);
        let dies = self.dies.lock().unwrap().filter(|(at, _)| *at == number);
        let failed = || GovernanceError::Store(StoreError::Io("the hub died".to_owned()));
        if dies.is_some_and(|(_, after)| !after) {
            return Err(failed());
        }
        self.store.submit(Batch::from(step.ops)).await?.await?;
        self.entries.lock().unwrap().extend(step.entries);
        if dies.is_some() { Err(failed()) } else { Ok(()) }
    }
}

/// Networks that do what they are asked, except those that refuse; and that can be out of reach for a while.
#[derive(Debug, Default)]
pub struct Sides {
    pub done: Mutex<BTreeSet<String>>,
    pub calls: AtomicU64,
    pub refuses: Mutex<BTreeMap<String, String>>,
    pub away_at: Mutex<Option<u64>>,
}

impl Sides {
    fn reply(&self, what: String, place: &str) -> Reply {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if *self.away_at.lock().unwrap() == Some(number) {
            return Reply::Later("not connected".to_owned());
        }
        if let Some(why) = self.refuses.lock().unwrap().get(place) {
            return Reply::Refused(why.clone());
        }
        self.done.lock().unwrap().insert(what);
        Reply::Done
    }
}

#[async_trait]
impl Remote for Sides {
    async fn notify(&self, _mirror: &MirrorName, place: &Place, _text: &str, key: &str) -> Reply {
        self.reply(format!("notify {place} {key}"), "")
    }

    async fn redact(&self, _mirror: &MirrorName, place: &Place, ids: &[MessageId]) -> Reply {
        self.reply(format!("redact {place} {ids:?}"), place.network.as_str())
    }

    async fn dismiss(&self, _mirror: &MirrorName, place: &Place) -> Reply {
        self.reply(format!("dismiss {place}"), "")
    }

    async fn close(&self, _mirror: &MirrorName, place: &Place) -> Reply {
        self.reply(format!("close {place}"), "")
    }

    async fn drop_tokens(&self, network: &NetworkName) -> Reply {
        self.reply(format!("tokens {network}"), "")
    }

    async fn traces(&self, network: &NetworkName, person: &PersonId) -> Result<Vec<Trace>, String> {
        Ok(vec![Trace {
            network: network.clone(),
            what: "ghost".to_owned(),
            detail: person.to_string(),
        }])
    }

    async fn forget(&self, network: &NetworkName, person: &PersonId) -> Reply {
        self.reply(format!("forget {network} {person}"), "")
    }
}

pub fn name(text: &str) -> PartnerName {
    PartnerName::new(text).unwrap()
}

pub fn network(text: &str) -> NetworkName {
    NetworkName::new(text).unwrap()
}

pub fn place(text: &str) -> Place {
    let (on, channel) = text.split_once('/').unwrap();
    Place::new(network(on), ChannelId::new(channel).unwrap())
}

pub fn mirror() -> MirrorPlaces {
    MirrorPlaces {
        name: MirrorName::new("project").unwrap(),
        members: ["matrix/project", "acme-irc/#project", "beta-xmpp/project"]
            .map(place)
            .to_vec(),
    }
}

pub fn lane(to: &str) -> Lane {
    Lane {
        mirror: mirror().name,
        to: place(to),
    }
}

pub fn networks() -> Networks {
    let facts = |kind: &str, own: bool| NetworkFacts {
        kind: kind.to_owned(),
        own,
    };
    BTreeMap::from([
        (network("acme-irc"), facts("irc", false)),
        (network("beta-xmpp"), facts("xmpp", false)),
        (network("gamma-slack"), facts("slack", false)),
        (network("house"), facts("irc", true)),
    ])
}

/// An agreement in force in 2026, with nothing missing.
pub fn agreement(over: &str, organisation: &str) -> Agreement {
    let text = format!(
        "organisation: {organisation} GmbH
purpose: planning the bridge
controller: Example AG
networks: [{over}]
organisations: [{organisation}.example]
people: ['*@{organisation}.example']
valid_from: 2026-01-01
valid_until: 2026-12-31
region: de
retention: {{messages: 90, files: {{in: 30, out: 60}}, versions: 7, metadata: 10, quarantine: 14, ledger: 365}}
ceiling: internal
contract: {{reference: DPA-1, sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, valid_until: 2027-12-31}}
contacts: [{{name: Datenschutz, role: dpo, address: privacy@example.org}}]
sign_offs: {{it: {{by: a, on: 2025-12-01}}, dpo: {{by: b, on: 2025-12-01}}, management: {{by: c, on: 2025-12-01}}}}
"
    );
    serde_norway::from_str(&text).unwrap()
}

pub fn partner(agreement: Agreement) -> Partner {
    Partner {
        agreement,
        history: History::default(),
        source: Source::Configuration,
    }
}

pub fn configured() -> BTreeMap<PartnerName, Agreement> {
    BTreeMap::from([
        (name("acme"), agreement("acme-irc", "acme")),
        (name("beta"), agreement("beta-xmpp", "beta")),
    ])
}

pub fn register() -> Register {
    Register::new(
        networks(),
        configured()
            .into_iter()
            .map(|(name, agreement)| (name, partner(agreement)))
            .collect(),
    )
}

pub fn person(on: &str, id: &str) -> Person {
    Person {
        network: network(on),
        id: PersonId::new(id).unwrap(),
        name: id.to_owned(),
        avatar: None,
        organisation: None,
        bot: false,
    }
}

pub fn event(at: &str, id: &str, sender: &str, day: &str, content: Content) -> Event {
    let place = place(at);
    Event {
        sender: person(place.network.as_str(), sender),
        place,
        id: MessageId::new(id).unwrap(),
        at: Day::parse(day).unwrap().start(),
        content,
        cursor: None,
        echo_of: None,
        direct_to: None,
    }
}

pub fn said(at: &str, id: &str, sender: &str, day: &str, text: &str) -> Event {
    event(at, id, sender, day, Content::Message(Message::plain(text)))
}

/// A hub's governance over a store in memory. Dropping it and opening another over the same store and folder is a restart.
pub struct World {
    pub folder: Arc<tempfile::TempDir>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<Turned>,
    pub book: Arc<Book>,
    pub keys: Arc<Keys>,
    pub agreements: Agreements,
    pub quarantine: Quarantine,
    pub holds: Holds,
    pub remote: Arc<Sides>,
    pub signer: Signer,
    hub: HubKey,
    chance: Arc<Chance>,
}

impl World {
    pub async fn new(day: &str) -> Self {
        Self::with(day, configured()).await
    }

    pub async fn with(day: &str, configured: BTreeMap<PartnerName, Agreement>) -> Self {
        let clock = Arc::new(Turned::default());
        clock.to(day);
        let chance = Arc::new(Chance::default());
        let hub = HubKey::generate(&*chance);
        let signer = Signer::generate("hub.example.org/ledger", &*chance).unwrap();
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let remote = Arc::new(Sides::default());
        Self::open(folder, store, clock, remote, signer, hub, chance, configured).await
    }

    /// The hub is killed and started again.
    pub async fn again(&self) -> Self {
        let parts = (
            self.folder.clone(),
            self.store.clone(),
            self.clock.clone(),
            self.remote.clone(),
        );
        let (folder, store, clock, remote) = parts;
        let (signer, hub, chance) = (self.signer.clone(), self.hub.clone(), self.chance.clone());
        Self::open(folder, store, clock, remote, signer, hub, chance, configured()).await
    }

    #[allow(clippy::too_many_arguments, reason = "a test's world has many parts")]
    async fn open(
        folder: Arc<tempfile::TempDir>,
        store: Arc<dyn Store>,
        clock: Arc<Turned>,
        remote: Arc<Sides>,
        signer: Signer,
        hub: HubKey,
        chance: Arc<Chance>,
        configured: BTreeMap<PartnerName, Agreement>,
    ) -> Self {
        let book = Arc::new(Book {
            store: store.clone(),
            entries: Mutex::default(),
            number: AtomicU64::default(),
            dies: Mutex::default(),
        });
        let ring = |name: &str| KeyRing::open(&folder.path().join(name)).unwrap();
        let keys = Keys::open(
            store.clone(),
            chance.clone(),
            hub.clone(),
            ring("pseudonyms"),
            ring("content"),
        );
        let keys = Arc::new(keys.await.unwrap());
        let agreements = Agreements::open(
            configured,
            networks(),
            store.clone(),
            book.clone(),
            keys.clone(),
            clock.clone(),
        );
        let agreements = agreements.await.unwrap();
        Self {
            quarantine: Quarantine::new(store.clone(), book.clone(), keys.clone()),
            holds: Holds::new(store.clone(), book.clone(), keys.clone()),
            folder,
            store,
            clock,
            book,
            keys,
            agreements,
            remote,
            signer,
            hub,
            chance,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn submit(&self, ops: Vec<Op>) {
        self.store.submit(ops.into()).await.unwrap().await.unwrap();
    }

    /// Puts events into the journal and delivers each to every other place.
    pub async fn carry(&self, events: Vec<Event>) {
        for event in events {
            let from = event.place.clone();
            let accept = Op::Accept {
                mirror: mirror().name,
                event: Arc::new(event.clone()),
            };
            self.submit(vec![accept]).await;
            let seq = self.store.last(&mirror().name).await.unwrap();
            for to in mirror().members {
                let copied = (to != from).then(|| Copied {
                    from: from.clone(),
                    id: event.id.clone(),
                    ids: vec![MessageId::new(format!("{}-copy", event.id)).unwrap()],
                });
                let settle = Op::Settle {
                    lane: Lane {
                        mirror: mirror().name,
                        to,
                    },
                    seq,
                    copied,
                    record: None,
                };
                self.submit(vec![settle]).await;
            }
        }
    }

    pub async fn journal(&self) -> Vec<u64> {
        let all = self.store.journal(&mirror().name, Seq(0), 1000).await.unwrap();
        all.into_iter().map(|(seq, _)| seq.0).collect()
    }

    /// The ledger since the start: action, partner and reason.
    pub fn ledger(&self) -> Vec<String> {
        let entries = self.book.entries.lock().unwrap();
        let line = |entry: &Entry| {
            let partner = entry.partner.as_deref().unwrap_or("-");
            format!(
                "{} {partner} {}",
                entry.action.as_str(),
                entry.reason.as_deref().unwrap_or_default()
            )
        };
        entries.iter().map(line).collect()
    }
}
