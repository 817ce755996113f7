//! What each change does to the tables.

use viaduct_model::{Cursor, MessageId, MirrorName, Place};

use super::large::{self, Get};
use super::layout::{self, Extent, Number};
use super::names::Names;
use super::overlay::Overlay;
use super::recent::Recent;
use crate::api::{Accepted, Applied, Copied, Lane, LaneMark, Seq, StoreError};
use crate::prepare::{Change, value_bound};

/// Applies batches to the overlay of one group.
pub(crate) struct Group<'a> {
    pub(crate) overlay: Overlay<'a>,
    names: &'a Names,
    /// Mirrors that have dropped entries still on the disk.
    pub(crate) to_sweep: Vec<Number>,
}

impl<'a> Group<'a> {
    pub(crate) fn new(tree: &'a sled::Tree, names: &'a Names, recent: &'a Recent) -> Self {
        Self {
            overlay: Overlay::new(tree, recent),
            names,
            to_sweep: Vec::new(),
        }
    }

    /// Applies one batch: all of it, or, with an error, nothing.
    pub(crate) fn batch(&mut self, changes: Vec<Change>) -> Result<Applied, StoreError> {
        let mut applied = Applied::new();
        for change in changes {
            if let Err(error) = self.change(change, &mut applied) {
                self.overlay.take_back();
                return Err(error);
            }
        }
        self.overlay.keep();
        Ok(applied)
    }

    fn change(&mut self, change: Change, applied: &mut Applied) -> Result<(), StoreError> {
        match change {
            Change::Accept {
                mirror,
                place,
                id,
                cursor,
                event,
            } => {
                applied.push(self.accept(&mirror, &place, &id, cursor, &event)?);
                Ok(())
            }
            Change::Begin { lane, through } => {
                let lane = self.lane(&lane)?;
                self.mark(lane, |mark| mark.begun = through.max(mark.settled))
            }
            Change::Settle {
                lane,
                seq,
                copied,
                record,
            } => self.settle(&lane, seq, copied.as_ref(), record.as_deref()),
            Change::Forget { lane, seq } => {
                let (mirror, place) = self.lane(&lane)?;
                large::remove(&mut self.overlay, layout::delivery(mirror, place, seq))
            }
            Change::Open { lane } => self.open(&lane),
            Change::Close { lane } => {
                let (mirror, place) = self.lane(&lane)?;
                self.overlay.remove(layout::lane(mirror, place));
                Ok(())
            }
            Change::Cursor { place, cursor } => self.cursor(&place, &cursor),
            Change::PutPortal { place, portal } => {
                let place = self.names.intern_place(&mut self.overlay, &place)?;
                large::put(&mut self.overlay, layout::portal(place), &portal)
            }
            Change::RemovePortal { place } => {
                let place = self.names.intern_place(&mut self.overlay, &place)?;
                large::remove(&mut self.overlay, layout::portal(place))
            }
            Change::State { owner, key, value } => {
                let owner = self.names.intern_owner(&mut self.overlay, &owner)?;
                match value {
                    Some(value) => {
                        let value = layout::state_value(&key, &value);
                        large::put(&mut self.overlay, layout::state(owner, &key), &value)
                    }
                    None => large::remove(&mut self.overlay, layout::state(owner, &key)),
                }
            }
            Change::Trim { mirror, through } => self.trim(&mirror, through),
            Change::Erase { mirror, seqs } => self.erase(&mirror, &seqs),
        }
    }

    fn lane(&mut self, lane: &Lane) -> Result<(Number, Number), StoreError> {
        let mirror = self.names.intern_mirror(&mut self.overlay, &lane.mirror)?;
        let place = self.names.intern_place(&mut self.overlay, &lane.to)?;
        Ok((mirror, place))
    }

    fn extent(&self, mirror: Number) -> Result<Extent, StoreError> {
        match self.overlay.value(&layout::mirror(mirror))? {
            Some(bytes) => Extent::decode(&bytes),
            None => Ok(Extent::default()),
        }
    }

    fn accept(
        &mut self,
        mirror: &MirrorName,
        place: &Place,
        id: &MessageId,
        cursor: Option<Cursor>,
        event: &[u8],
    ) -> Result<Accepted, StoreError> {
        let mirror = self.names.intern_mirror(&mut self.overlay, mirror)?;
        if let Some(cursor) = cursor {
            self.cursor(place, &cursor)?;
        }
        let place = self.names.intern_place(&mut self.overlay, place)?;
        let map = layout::map(place, id);
        if let Some(known) = self.overlay.value(&map)? {
            let (_, seq) = layout::decode_located(&known)?;
            return Ok(Accepted::Duplicate(seq));
        }
        let mut extent = self.extent(mirror)?;
        let seq = Seq(extent.last.0.saturating_add(1));
        extent.last = seq;
        self.overlay.put(layout::mirror(mirror), extent.encode());
        self.overlay.put(map, layout::encode_located(mirror, seq));
        large::put_new(&mut self.overlay, layout::journal(mirror, seq), event)?;
        Ok(Accepted::New(seq))
    }

    fn mark(
        &mut self,
        (mirror, place): (Number, Number),
        change: impl FnOnce(&mut LaneMark),
    ) -> Result<(), StoreError> {
        let key = layout::lane(mirror, place);
        let mut mark = match self.overlay.value(&key)? {
            Some(bytes) => layout::decode_mark(&bytes)?,
            None => LaneMark::default(),
        };
        change(&mut mark);
        self.overlay.put(key, layout::encode_mark(mark));
        Ok(())
    }

    fn settle(
        &mut self,
        lane: &Lane,
        seq: Seq,
        copied: Option<&Copied>,
        record: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let (mirror, place) = self.lane(lane)?;
        self.mark((mirror, place), |mark| {
            mark.settled = mark.settled.max(seq);
            mark.begun = mark.begun.max(mark.settled);
        })?;
        if let Some(copied) = copied {
            self.copied(mirror, place, seq, copied)?;
        }
        match record {
            Some(record) => large::put(&mut self.overlay, layout::delivery(mirror, place, seq), record),
            None => Ok(()),
        }
    }

    fn copied(&mut self, mirror: Number, place: Number, seq: Seq, copied: &Copied) -> Result<(), StoreError> {
        let key = layout::copies(mirror, seq);
        let known = large::get(&self.overlay, &key)?;
        let mut all = match &known {
            Some(bytes) => layout::decode_copies(bytes)?,
            None => vec![(
                self.names.intern_place(&mut self.overlay, &copied.from)?,
                copied.id.clone(),
            )],
        };
        for id in &copied.ids {
            if !all.iter().any(|(at, known)| *at == place && known == id) {
                all.push((place, id.clone()));
            }
            self.overlay
                .put(layout::map(place, id), layout::encode_located(mirror, seq));
        }
        let bytes = layout::encode_copies(&all);
        value_bound(bytes.len())?;
        match known {
            Some(_) => large::put(&mut self.overlay, key, &bytes),
            None => large::put_new(&mut self.overlay, key, &bytes),
        }
    }

    fn open(&mut self, lane: &Lane) -> Result<(), StoreError> {
        let (mirror, place) = self.lane(lane)?;
        let key = layout::lane(mirror, place);
        if self.overlay.value(&key)?.is_none() {
            let last = self.extent(mirror)?.last;
            self.overlay.put(
                key,
                layout::encode_mark(LaneMark {
                    settled: last,
                    begun: last,
                }),
            );
        }
        Ok(())
    }

    fn cursor(&mut self, place: &Place, cursor: &str) -> Result<(), StoreError> {
        let place = self.names.intern_place(&mut self.overlay, place)?;
        large::put(&mut self.overlay, layout::cursor(place), cursor.as_bytes())
    }

    /// Hides the entries at once; [`Group::sweep`] takes them off the disk bit by bit, so that no commit grows with the
    /// length of a journal.
    fn trim(&mut self, mirror: &MirrorName, through: Seq) -> Result<(), StoreError> {
        let mirror = self.names.intern_mirror(&mut self.overlay, mirror)?;
        let mut extent = self.extent(mirror)?;
        let through = through.min(extent.last);
        if through > extent.trimmed {
            extent.trimmed = through;
            self.overlay.put(layout::mirror(mirror), extent.encode());
            self.to_sweep.push(mirror);
        }
        Ok(())
    }

    fn erase(&mut self, mirror: &MirrorName, seqs: &[Seq]) -> Result<(), StoreError> {
        let mirror = self.names.intern_mirror(&mut self.overlay, mirror)?;
        for seq in seqs {
            large::remove(&mut self.overlay, layout::journal(mirror, *seq))?;
        }
        Ok(())
    }

    /// Takes at most `limit` dropped entries of a mirror off the disk; whether some are left.
    pub(crate) fn sweep(&mut self, mirror: Number, limit: u64) -> Result<bool, StoreError> {
        let mut extent = self.extent(mirror)?;
        let through = extent.trimmed.0.min(extent.swept.0.saturating_add(limit));
        while extent.swept.0 < through {
            extent.swept.0 += 1;
            large::remove(&mut self.overlay, layout::journal(mirror, extent.swept))?;
        }
        self.overlay.put(layout::mirror(mirror), extent.encode());
        self.overlay.keep();
        Ok(extent.swept < extent.trimmed)
    }
}
