//! The store as its users see it.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::instrument;
use viaduct_model::{Cursor, Event, MessageId, MirrorName, Place};

use super::home::Home;
use super::large;
use super::layout::{self, Extent, Number, garbled};
use super::writer::{Job, Writer};
use super::{Shared, Slot, failure, io_failure, names};
use crate::api::{Batch, Commit, Delivery, DeliveryFilter, Lane, LaneMark, Located, Portal, Seq, Store, StoreError};
use crate::prepare::{BATCH_BOUND, Record, prepare};

/// How many bytes of batches may wait or be written at once.
const WAITING_BYTES: usize = 2 * BATCH_BOUND;
/// How many delivery records are listed where no limit is given.
const LIST: usize = 1000;

/// What can be chosen about a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How much of the data sled keeps in memory, in bytes as it counts them; the process pays about three times as much.
    /// More than the default has shown no gain, since the operating system's cache lies behind it.
    pub cache_bytes: u64,
    /// How many batches may wait for the writer; beyond it [`Store::submit`] waits.
    pub queue: usize,
    /// Room that has to stay free on the device, in bytes: with less of it batches are refused with [`StoreError::Full`]
    /// before anything is written, so that recovery never lacks room. Zero writes until the device refuses.
    pub reserve_bytes: u64,
}

impl Default for StoreOptions {
    /// 4 MiB of cache, 4,096 batches, 16 MiB of reserve.
    fn default() -> Self {
        Self {
            cache_bytes: 4 * 1024 * 1024,
            queue: 4096,
            reserve_bytes: 16 * 1024 * 1024,
        }
    }
}

/// The embedded store. Dropping it closes it in the background; [`Store::close`] waits for that.
pub struct SledStore {
    pub(super) shared: Arc<Shared>,
    home: Arc<Home>,
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore")
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

impl SledStore {
    /// Opens the store in a folder, making one if the folder is absent or empty. Blocks: up to two seconds while another
    /// process has it, and after a crash for as long as a copy of it takes to recover.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`], [`StoreError::Newer`] and [`StoreError::Damaged`] leave every file as it was.
    /// [`StoreError::Full`] and [`StoreError::Io`] are the device's.
    #[instrument(skip_all, fields(path = %path.as_ref().display()))]
    pub fn open(path: impl AsRef<Path>, options: &StoreOptions) -> Result<Self, StoreError> {
        let (home, db) = Home::open(path.as_ref(), options.cache_bytes)?;
        let home = Arc::new(home);
        let shared = Arc::new(Shared {
            slot: RwLock::new(Slot::Open(db)),
            names: names::Names::default(),
        });
        let (sender, jobs) = mpsc::channel(options.queue.max(1));
        let writer = Writer {
            home: Arc::clone(&home),
            shared: Arc::clone(&shared),
            jobs,
            reserve: options.reserve_bytes,
            to_sweep: std::collections::VecDeque::new(),
            recent: super::recent::Recent::default(),
        };
        std::thread::Builder::new()
            .name("viaduct-store".to_owned())
            .spawn(move || writer.run())
            .map_err(io_failure)?;
        Ok(Self {
            shared,
            home,
            jobs: sender,
            room: Arc::new(Semaphore::new(WAITING_BYTES)),
        })
    }

    /// The size of all of the store's files, in bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the folder cannot be read.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.home.disk_bytes()
    }

    fn mirror(&self, tree: &sled::Tree, mirror: &MirrorName) -> Result<Option<(Number, Extent)>, StoreError> {
        let Some(number) = self.shared.names.mirror(tree, mirror)? else {
            return Ok(None);
        };
        let extent = match large::Get::value(tree, &layout::mirror(number))? {
            Some(bytes) => Extent::decode(&bytes)?,
            None => Extent::default(),
        };
        Ok(Some((number, extent)))
    }

    fn place_value(
        &self,
        place: &Place,
        key: impl FnOnce(Number) -> sled::IVec,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let tree = self.shared.db()?;
        match self.shared.names.place(&tree, place)? {
            Some(place) => large::get(&*tree, &key(place)),
            None => Ok(None),
        }
    }

    fn lane_numbers(&self, tree: &sled::Tree, lane: &Lane) -> Result<Option<(Number, Number)>, StoreError> {
        let mirror = self.shared.names.mirror(tree, &lane.mirror)?;
        Ok(mirror.zip(self.shared.names.place(tree, &lane.to)?))
    }

    fn delivery_of(&self, tree: &sled::Tree, key: &[u8]) -> Result<Option<Delivery>, StoreError> {
        let (mirror, place, seq) = layout::delivery_parts(key).ok_or_else(garbled)?;
        let Some(bytes) = large::get(tree, key)? else {
            return Ok(None);
        };
        let record: Record = json(&bytes)?;
        let names = &self.shared.names;
        let lane = Lane {
            mirror: names.mirror_of(tree, mirror)?,
            to: names.place_of(tree, place)?,
        };
        Ok(Some(Delivery {
            lane,
            seq,
            state: record.state,
            reason: record.reason,
            at: record.at,
        }))
    }
}

fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|_| garbled())
}

/// Oldest first; of the same time in the order of lanes and numbers.
pub(crate) fn sort_deliveries(deliveries: &mut [Delivery]) {
    deliveries
        .sort_by(|a, b| (a.at, &a.lane.mirror, &a.lane.to, a.seq).cmp(&(b.at, &b.lane.mirror, &b.lane.to, b.seq)));
}

/// The limit meant by a filter.
pub(crate) fn list_limit(filter: &DeliveryFilter) -> usize {
    if filter.limit == 0 { LIST } else { filter.limit }
}

#[async_trait]
impl Store for SledStore {
    async fn submit(&self, batch: Batch) -> Result<Commit, StoreError> {
        let batch = prepare(batch)?;
        let weight = u32::try_from(batch.weight).unwrap_or(u32::MAX).max(1);
        let permit = Arc::clone(&self.room)
            .acquire_many_owned(weight)
            .await
            .map_err(|_| StoreError::Closed)?;
        let (reply, commit) = Commit::new();
        self.jobs
            .send(Job::Commit { batch, reply, permit })
            .await
            .map_err(|_| StoreError::Closed)?;
        Ok(commit)
    }

    async fn journal(&self, mirror: &MirrorName, after: Seq, limit: usize) -> Result<Vec<(Seq, Event)>, StoreError> {
        let tree = self.shared.db()?;
        let Some((number, extent)) = self.mirror(&tree, mirror)? else {
            return Ok(Vec::new());
        };
        let first = after.max(extent.trimmed).0.saturating_add(1);
        let mut entries = Vec::new();
        for seq in (first..=extent.last.0).map(Seq) {
            if entries.len() >= limit {
                break;
            }
            // Entries that were erased leave a hole.
            if let Some(bytes) = large::get(&*tree, &layout::journal(number, seq))? {
                entries.push((seq, json(&bytes)?));
            }
        }
        Ok(entries)
    }

    async fn last(&self, mirror: &MirrorName) -> Result<Seq, StoreError> {
        let tree = self.shared.db()?;
        Ok(self.mirror(&tree, mirror)?.map_or(Seq(0), |(_, extent)| extent.last))
    }

    async fn lane(&self, lane: &Lane) -> Result<Option<LaneMark>, StoreError> {
        let tree = self.shared.db()?;
        let Some((mirror, place)) = self.lane_numbers(&tree, lane)? else {
            return Ok(None);
        };
        large::Get::value(&*tree, &layout::lane(mirror, place))?
            .map(|bytes| layout::decode_mark(&bytes))
            .transpose()
    }

    async fn locate(&self, place: &Place, id: &MessageId) -> Result<Option<Located>, StoreError> {
        let tree = self.shared.db()?;
        let Some(place) = self.shared.names.place(&tree, place)? else {
            return Ok(None);
        };
        let Some(bytes) = large::Get::value(&*tree, &layout::map(place, id))? else {
            return Ok(None);
        };
        let (mirror, seq) = layout::decode_located(&bytes)?;
        Ok(Some(Located {
            mirror: self.shared.names.mirror_of(&tree, mirror)?,
            seq,
        }))
    }

    async fn copies(&self, mirror: &MirrorName, seq: Seq, place: &Place) -> Result<Vec<MessageId>, StoreError> {
        let tree = self.shared.db()?;
        let Some((number, extent)) = self.mirror(&tree, mirror)? else {
            return Ok(Vec::new());
        };
        if let Some(bytes) = large::get(&*tree, &layout::copies(number, seq))? {
            let place = self.shared.names.place(&tree, place)?;
            return Ok(layout::decode_copies(&bytes)?
                .into_iter()
                .filter_map(|(at, id)| (Some(at) == place).then_some(id))
                .collect());
        }
        // It has not arrived anywhere yet: there is only its source.
        if seq <= extent.trimmed {
            return Ok(Vec::new());
        }
        let Some(bytes) = large::get(&*tree, &layout::journal(number, seq))? else {
            return Ok(Vec::new());
        };
        let event: Event = json(&bytes)?;
        Ok(if event.place == *place {
            vec![event.id]
        } else {
            Vec::new()
        })
    }

    async fn delivery(&self, lane: &Lane, seq: Seq) -> Result<Option<Delivery>, StoreError> {
        let tree = self.shared.db()?;
        let Some((mirror, place)) = self.lane_numbers(&tree, lane)? else {
            return Ok(None);
        };
        self.delivery_of(&tree, &layout::delivery(mirror, place, seq))
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let tree = self.shared.db()?;
        let mirror = match &filter.mirror {
            Some(mirror) => match self.shared.names.mirror(&tree, mirror)? {
                Some(number) => Some(number),
                None => return Ok(Vec::new()),
            },
            None => None,
        };
        let limit = list_limit(filter);
        let mut found = Vec::new();
        for key in tree.scan_prefix(layout::deliveries(mirror)).keys() {
            let Some(delivery) = self.delivery_of(&tree, &key.map_err(failure)?)? else {
                continue;
            };
            if filter.state.is_none_or(|state| state == delivery.state) {
                found.push(delivery);
            }
            // Keeps memory bound by what is asked for, not by what there is.
            if found.len() >= limit.saturating_mul(2).saturating_add(LIST) {
                sort_deliveries(&mut found);
                found.truncate(limit);
            }
        }
        sort_deliveries(&mut found);
        found.truncate(limit);
        Ok(found)
    }

    async fn cursor(&self, place: &Place) -> Result<Option<Cursor>, StoreError> {
        let bytes = self.place_value(place, layout::cursor)?;
        bytes
            .map(|bytes| String::from_utf8(bytes).map_err(|_| garbled()))
            .transpose()
    }

    async fn portal(&self, place: &Place) -> Result<Option<Portal>, StoreError> {
        self.place_value(place, layout::portal)?
            .map(|bytes| json(&bytes))
            .transpose()
    }

    async fn portals(&self) -> Result<Vec<Portal>, StoreError> {
        let tree = self.shared.db()?;
        let mut portals: Vec<Portal> = Vec::new();
        for key in tree.scan_prefix([layout::table::PORTAL]).keys() {
            if let Some(bytes) = large::get(&*tree, &key.map_err(failure)?)? {
                portals.push(json(&bytes)?);
            }
        }
        portals.sort_by(|a, b| a.place.cmp(&b.place));
        Ok(portals)
    }

    async fn state(&self, owner: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let tree = self.shared.db()?;
        let Some(owner) = self.shared.names.owner(&tree, owner)? else {
            return Ok(None);
        };
        let Some(bytes) = large::get(&*tree, &layout::state(owner, key))? else {
            return Ok(None);
        };
        let (_, value) = layout::state_parts(&bytes).ok_or_else(garbled)?;
        Ok(Some(value.to_vec()))
    }

    async fn state_scan(&self, owner: &str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let tree = self.shared.db()?;
        let Some(owner) = self.shared.names.owner(&tree, owner)? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for key in tree.scan_prefix(layout::state_prefix(owner, prefix)).keys() {
            let Some(bytes) = large::get(&*tree, &key.map_err(failure)?)? else {
                continue;
            };
            let (key, value) = layout::state_parts(&bytes).ok_or_else(garbled)?;
            if key.starts_with(prefix) {
                found.push((key.to_owned(), value.to_vec()));
            }
        }
        // Shortened keys lie in the order of their hashes.
        found.sort();
        Ok(found)
    }

    async fn close(&self) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        if self.jobs.send(Job::Close(reply)).await.is_err() {
            // Somebody else closed it.
            return match &*self.shared.slot.read().unwrap_or_else(PoisonError::into_inner) {
                Slot::Closed => Ok(()),
                _ => Err(StoreError::Closed),
            };
        }
        self.room.close();
        done.await.unwrap_or(Ok(()))
    }
}
