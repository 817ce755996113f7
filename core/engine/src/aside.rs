//! Deliveries outside of their lane's order: what only matters now, and what is tried again by hand.

use std::sync::Arc;

use viaduct_model::Event;
use viaduct_store::{Delivery, DeliveryFilter, DeliveryState, Lane, Op, Seq};

use crate::core::Core;
use crate::deliver::{Delivering, Prepared};
use crate::end::End;
use crate::resolve;
use crate::routes::Mirror;
use crate::{Engine, EngineError};

/// Passes on what only matters now, to whoever can show it, once.
pub(crate) async fn pass_on(core: &Arc<Core>, mirror: &Arc<Mirror>, event: &Event) {
    for member in mirror.destinations(&event.place) {
        let Some(side) = core.side(&member.place.network).filter(|side| side.is_up()) else {
            continue;
        };
        let Ok(resolved) = resolve::resolve(&*core.store, event, &member.place).await else {
            continue;
        };
        let delivering = Delivering {
            core,
            mirror,
            member,
            side: &side,
        };
        if delivering.obstacle(&event.place).is_some() {
            continue;
        }
        if let Prepared::Send(sending) = delivering.prepare(Seq(0), event.clone(), &resolved).await {
            // Nobody misses a typing notification: errors end here.
            side.session.deliver(&sending.cleared).await.map(drop).ok();
        }
    }
}

/// Tries one recorded delivery again, outside its lane's order.
async fn retry(core: &Arc<Core>, lane: &Lane, seq: Seq) -> Result<String, EngineError> {
    let record = core.store.delivery(lane, seq).await?.ok_or(EngineError::NoDelivery)?;
    if !matches!(record.state, DeliveryState::Failed | DeliveryState::Unknown) {
        return Err(EngineError::NoDelivery);
    }
    let mirror = core
        .routes()
        .named(&lane.mirror)
        .cloned()
        .ok_or(EngineError::NoDelivery)?;
    let member = mirror.member(&lane.to).cloned().ok_or(EngineError::NoDelivery)?;
    let side = core.side(&lane.to.network).ok_or(EngineError::NoDelivery)?;
    let event = resolve::entry(&*core.store, &lane.mirror, seq)
        .await?
        .ok_or(EngineError::NoDelivery)?;
    let resolved = resolve::resolve(&*core.store, &event, &lane.to).await?;
    let delivering = Delivering {
        core,
        mirror: &mirror,
        member: &member,
        side: &side,
    };
    if let Some(obstacle) = delivering.obstacle(&event.place) {
        return Err(EngineError::Barred(obstacle));
    }
    let end = match delivering.prepare(seq, event, &resolved).await {
        Prepared::Send(mut sending) => {
            let trace = sending.trace.take();
            delivering.deliver(*sending).await.traced(trace)
        }
        Prepared::End(end) => end,
        Prepared::Elsewhere => End::nothing(),
    };
    let name = end.name().to_owned();
    let Some(mut end) = end.into_settled() else {
        return Ok(name);
    };
    let entries = end.entries(core.clock.now());
    let forget = Op::Forget {
        lane: lane.clone(),
        seq,
    };
    let record = end.record.map(|(state, reason)| (state, reason, core.clock.now()));
    let settle = Op::Settle {
        lane: lane.clone(),
        seq,
        copied: end.copied,
        record,
    };
    let mut ops = vec![forget, settle];
    ops.append(&mut end.step.ops);
    core.submit(ops, entries).await?.await?;
    Ok(name)
}

impl Engine {
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
        retry(&self.core, lane, seq).await
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
}
