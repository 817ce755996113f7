//! What a lane writes down of its deliveries: that one begins, and how it ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use viaduct_audit::Written;
use viaduct_store::{Commit, Lane, Op, Seq, StoreError};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::faults;

/// How many settled deliveries are being written at the same time.
const IN_FLIGHT: usize = 256;

/// The lane's notes on their way to the device, in order.
pub(crate) struct Settling<'a> {
    core: &'a Arc<Core>,
    lane: &'a Lane,
    /// Up to here sending may begin, once everything handed to the store is written.
    begun: Seq,
    /// Up to here sending may begin.
    surely_begun: Seq,
    writing: VecDeque<Writing>,
}

struct Writing {
    commit: Commit,
    /// How the delivery ended, without the note that came along.
    ops: Vec<Op>,
    entries: Vec<Written>,
    begun: Seq,
}

impl<'a> Settling<'a> {
    pub(crate) fn new(core: &'a Arc<Core>, lane: &'a Lane, begun: Seq) -> Self {
        Self {
            core,
            lane,
            begun,
            surely_begun: begun,
            writing: VecDeque::new(),
        }
    }

    /// Whether everything is on the device.
    pub(crate) fn is_empty(&self) -> bool {
        self.writing.is_empty()
    }

    /// Waits until it is on the device that sending `seq` begins: after a crash, what was begun and is not settled has an
    /// unknown outcome. `following` is noted along with it; after that, each settled delivery carries the note for the one
    /// after the next, so that no delivery waits for a note of its own.
    pub(crate) async fn begin(&mut self, seq: Seq, following: Option<Seq>) -> Result<(), StoreError> {
        if self.begun < seq {
            let through = following.unwrap_or(seq);
            self.write(vec![self.note(through)], Vec::new()).await?;
            (self.begun, self.surely_begun) = (through, through);
        }
        while self.surely_begun < seq && !self.writing.is_empty() {
            self.one().await?;
        }
        faults::point("begin-after");
        Ok(())
    }

    /// Hands over how a delivery ended, with what the ledger is to say of it and the note that sending up to `ahead` begins.
    pub(crate) async fn settle(
        &mut self,
        ops: Vec<Op>,
        entries: Vec<Written>,
        ahead: Option<Seq>,
    ) -> Result<(), StoreError> {
        while self.writing.len() >= IN_FLIGHT {
            self.one().await?;
        }
        let mut noted = ops.clone();
        if let Some(ahead) = ahead.filter(|ahead| *ahead > self.begun) {
            noted.push(self.note(ahead));
            self.begun = ahead;
        }
        let commit = self.core.submit(noted, entries.clone()).await?;
        self.writing.push_back(Writing {
            commit,
            ops,
            entries,
            begun: self.begun,
        });
        Ok(())
    }

    /// Waits until everything is on the device.
    pub(crate) async fn all(&mut self) -> Result<(), StoreError> {
        while !self.writing.is_empty() {
            self.one().await?;
        }
        Ok(())
    }

    /// Notes that nothing beyond `position` was begun after all.
    pub(crate) async fn take_back(&mut self, position: Seq) -> Result<(), StoreError> {
        if self.begun > position {
            self.write(vec![self.note(position)], Vec::new()).await?;
            (self.begun, self.surely_begun) = (position, position);
        }
        Ok(())
    }

    fn note(&self, through: Seq) -> Op {
        Op::Begin {
            lane: self.lane.clone(),
            through,
        }
    }

    /// Waits until the oldest is on the device.
    pub(crate) async fn one(&mut self) -> Result<(), StoreError> {
        let Some(first) = self.writing.front_mut() else {
            return Ok(());
        };
        // Taken off the queue only when it is known, since this may be dropped while it waits.
        let result = (&mut first.commit).await;
        let Some(first) = self.writing.pop_front() else {
            return Ok(());
        };
        if let Err(error) = result {
            self.again(first.ops, first.entries, error).await?;
        }
        self.surely_begun = self.surely_begun.max(first.begun);
        faults::point("settle-after");
        Ok(())
    }

    /// What was delivered has to be written down, whatever it takes: the disk may be full for a while.
    async fn again(&self, mut ops: Vec<Op>, entries: Vec<Written>, error: StoreError) -> Result<(), StoreError> {
        // Later notes may be written by now: an earlier one would take them back.
        ops.push(self.note(self.begun));
        let mut error = error;
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            if error == StoreError::Closed {
                return Err(error);
            }
            tracing::error!(lane = %self.lane.to, %error, "A delivery could not be written down and is tried again.");
            tokio::time::sleep(backoff.next(None, &*self.core.entropy)).await;
            match self.write(ops.clone(), entries.clone()).await {
                Ok(()) => return Ok(()),
                Err(next) => error = next,
            }
        }
    }

    async fn write(&self, ops: Vec<Op>, entries: Vec<Written>) -> Result<(), StoreError> {
        self.core.submit(ops, entries).await?.await.map(drop)
    }
}
