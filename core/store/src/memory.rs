//! A store in memory, for the tests of other crates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use viaduct_model::{Cursor, Event, MessageId, MirrorName, Place};

use crate::api::{
    Accepted, Applied, Batch, Commit, Copied, Delivery, DeliveryFilter, Lane, LaneMark, Located, Op, Portal, Seq,
    Store, StoreError,
};
use crate::embedded::{list_limit, sort_deliveries};
use crate::prepare::prepare;

/// The same semantics as the embedded store, without any durability: a batch is committed when `submit` returns.
#[derive(Debug)]
pub struct MemoryStore {
    tables: Mutex<Option<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    journal: BTreeMap<(MirrorName, Seq), Event>,
    last: BTreeMap<MirrorName, Seq>,
    map: BTreeMap<(Place, MessageId), Located>,
    copies: BTreeMap<(MirrorName, Seq), Vec<(Place, MessageId)>>,
    lanes: BTreeMap<Lane, LaneMark>,
    deliveries: BTreeMap<(Lane, Seq), Delivery>,
    cursors: BTreeMap<Place, Cursor>,
    portals: BTreeMap<Place, Portal>,
    state: BTreeMap<(String, String), Vec<u8>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            tables: Mutex::new(Some(Tables::default())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Tables>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Tables) -> T) -> Result<T, StoreError> {
        self.lock().as_ref().map(read).ok_or(StoreError::Closed)
    }
}

impl Tables {
    fn apply(&mut self, batch: Batch) -> Applied {
        batch.ops.into_iter().filter_map(|op| self.op(op)).collect()
    }

    fn op(&mut self, op: Op) -> Option<Accepted> {
        match op {
            Op::Accept { mirror, event } => return Some(self.accept(mirror, Event::clone(&event))),
            Op::Begin { lane, through } => {
                let mark = self.lanes.entry(lane).or_default();
                mark.begun = through.max(mark.settled);
            }
            Op::Settle {
                lane,
                seq,
                copied,
                record,
            } => {
                let mark = self.lanes.entry(lane.clone()).or_default();
                mark.settled = mark.settled.max(seq);
                mark.begun = mark.begun.max(mark.settled);
                if let Some(copied) = copied {
                    self.copied(&lane, seq, copied);
                }
                if let Some((state, reason, at)) = record {
                    self.deliveries.insert(
                        (lane.clone(), seq),
                        Delivery {
                            lane,
                            seq,
                            state,
                            reason,
                            at,
                        },
                    );
                }
            }
            Op::Forget { lane, seq } => drop(self.deliveries.remove(&(lane, seq))),
            Op::Open { lane } => {
                let last = self.last.get(&lane.mirror).copied().unwrap_or_default();
                self.lanes.entry(lane).or_insert(LaneMark {
                    settled: last,
                    begun: last,
                });
            }
            Op::Close { lane } => drop(self.lanes.remove(&lane)),
            Op::Cursor { place, cursor } => drop(self.cursors.insert(place, cursor)),
            Op::PutPortal(portal) => drop(self.portals.insert(portal.place.clone(), portal)),
            Op::RemovePortal(place) => drop(self.portals.remove(&place)),
            Op::State {
                owner,
                key,
                value: Some(value),
            } => drop(self.state.insert((owner, key), value)),
            Op::State {
                owner,
                key,
                value: None,
            } => drop(self.state.remove(&(owner, key))),
            Op::Trim { mirror, through } => {
                let dropped: BTreeSet<_> = self
                    .journal
                    .range((mirror.clone(), Seq(0))..=(mirror, through))
                    .map(|(key, _)| key.clone())
                    .collect();
                self.journal.retain(|key, _| !dropped.contains(key));
            }
            Op::Erase { mirror, seqs } => {
                for seq in seqs {
                    self.journal.remove(&(mirror.clone(), seq));
                }
            }
        }
        None
    }

    fn copied(&mut self, lane: &Lane, seq: Seq, copied: Copied) {
        let all = self
            .copies
            .entry((lane.mirror.clone(), seq))
            .or_insert_with(|| vec![(copied.from, copied.id)]);
        for id in copied.ids {
            let located = Located {
                mirror: lane.mirror.clone(),
                seq,
            };
            let copy = (lane.to.clone(), id);
            self.map.insert(copy.clone(), located);
            if !all.contains(&copy) {
                all.push(copy);
            }
        }
    }

    fn accept(&mut self, mirror: MirrorName, event: Event) -> Accepted {
        if let Some(cursor) = event.cursor.clone() {
            self.cursors.insert(event.place.clone(), cursor);
        }
        let key = (event.place.clone(), event.id.clone());
        if let Some(known) = self.map.get(&key) {
            return Accepted::Duplicate(known.seq);
        }
        let last = self.last.entry(mirror.clone()).or_default();
        last.0 = last.0.saturating_add(1);
        let seq = *last;
        self.map.insert(
            key,
            Located {
                mirror: mirror.clone(),
                seq,
            },
        );
        self.journal.insert((mirror, seq), event);
        Accepted::New(seq)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn submit(&self, batch: Batch) -> Result<Commit, StoreError> {
        prepare(batch.clone())?;
        let (reply, commit) = Commit::new();
        if batch.is_behind_a_failed() {
            reply.send(Err(StoreError::Behind)).ok();
            return Ok(commit);
        }
        let applied = self
            .lock()
            .as_mut()
            .map(|tables| tables.apply(batch))
            .ok_or(StoreError::Closed)?;
        reply.send(Ok(applied)).ok();
        Ok(commit)
    }

    async fn journal(&self, mirror: &MirrorName, after: Seq, limit: usize) -> Result<Vec<(Seq, Event)>, StoreError> {
        self.read(|tables| {
            tables
                .journal
                .range((mirror.clone(), Seq(after.0.saturating_add(1)))..)
                .take_while(|((found, _), _)| found == mirror)
                .filter(|((_, seq), _)| *seq > after)
                .take(limit)
                .map(|((_, seq), event)| (*seq, event.clone()))
                .collect()
        })
    }

    async fn last(&self, mirror: &MirrorName) -> Result<Seq, StoreError> {
        self.read(|tables| tables.last.get(mirror).copied().unwrap_or_default())
    }

    async fn lane(&self, lane: &Lane) -> Result<Option<LaneMark>, StoreError> {
        self.read(|tables| tables.lanes.get(lane).copied())
    }

    async fn locate(&self, place: &Place, id: &MessageId) -> Result<Option<Located>, StoreError> {
        self.read(|tables| tables.map.get(&(place.clone(), id.clone())).cloned())
    }

    async fn copies(&self, mirror: &MirrorName, seq: Seq, place: &Place) -> Result<Vec<MessageId>, StoreError> {
        self.read(|tables| {
            let key = (mirror.clone(), seq);
            match (tables.copies.get(&key), tables.journal.get(&key)) {
                (Some(copies), _) => copies
                    .iter()
                    .filter(|(at, _)| at == place)
                    .map(|(_, id)| id.clone())
                    .collect(),
                (None, Some(event)) if event.place == *place => vec![event.id.clone()],
                _ => Vec::new(),
            }
        })
    }

    async fn delivery(&self, lane: &Lane, seq: Seq) -> Result<Option<Delivery>, StoreError> {
        self.read(|tables| tables.deliveries.get(&(lane.clone(), seq)).cloned())
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let mut found: Vec<_> = self.read(|tables| {
            tables
                .deliveries
                .values()
                .filter(|delivery| {
                    filter
                        .mirror
                        .as_ref()
                        .is_none_or(|mirror| *mirror == delivery.lane.mirror)
                })
                .filter(|delivery| filter.state.is_none_or(|state| state == delivery.state))
                .cloned()
                .collect()
        })?;
        sort_deliveries(&mut found);
        found.truncate(list_limit(filter));
        Ok(found)
    }

    async fn cursor(&self, place: &Place) -> Result<Option<Cursor>, StoreError> {
        self.read(|tables| tables.cursors.get(place).cloned())
    }

    async fn portal(&self, place: &Place) -> Result<Option<Portal>, StoreError> {
        self.read(|tables| tables.portals.get(place).cloned())
    }

    async fn portals(&self) -> Result<Vec<Portal>, StoreError> {
        self.read(|tables| tables.portals.values().cloned().collect())
    }

    async fn state(&self, owner: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|tables| tables.state.get(&(owner.to_owned(), key.to_owned())).cloned())
    }

    async fn state_scan(&self, owner: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read(|tables| {
            tables
                .state
                .range((owner.to_owned(), prefix.to_owned())..)
                .take_while(|((found, key), _)| found == owner && key.starts_with(prefix))
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect()
        })
    }

    async fn close(&self) -> Result<(), StoreError> {
        drop(self.lock().take());
        Ok(())
    }
}
