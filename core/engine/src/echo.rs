//! Our own deliveries, seen again on their network.

use std::sync::Arc;

use viaduct_audit::Entry;
use viaduct_bridge::Outcome;
use viaduct_model::{DeliveryKey, Event};
use viaduct_store::{Copied, DeliveryState, Op, StoreError};

use crate::core::Core;
use crate::end::End;
use crate::ledger::Trace;
use crate::resolve;
use crate::routes::Mirror;

/// Our own delivery came back from the network: if its outcome was unknown, now it is known.
pub(crate) async fn settle(core: &Arc<Core>, mirror: &Arc<Mirror>, event: &Event, key: &DeliveryKey) {
    if let Err(error) = try_settle(core, mirror, event, key).await {
        tracing::warn!(place = %event.place, %error, "An echo could not be settled.");
    }
}

async fn try_settle(
    core: &Arc<Core>,
    mirror: &Arc<Mirror>,
    event: &Event,
    key: &DeliveryKey,
) -> Result<(), StoreError> {
    let filter = viaduct_store::DeliveryFilter {
        mirror: Some(mirror.name.clone()),
        state: Some(DeliveryState::Unknown),
        limit: 1000,
    };
    for record in core.store.deliveries(&filter).await? {
        if record.lane.to != event.place {
            continue;
        }
        let seq = record.seq;
        let Some(source) = resolve::entry(&*core.store, &mirror.name, seq).await? else {
            continue;
        };
        if DeliveryKey::derive(&source.place, &source.id, &event.place) == *key {
            let copied = Copied {
                from: source.place.clone(),
                id: source.id.clone(),
                ids: vec![event.id.clone()],
            };
            let settle = Op::Settle {
                lane: record.lane.clone(),
                seq,
                copied: Some(copied.clone()),
                record: None,
            };
            let forget = Op::Forget {
                lane: record.lane.clone(),
                seq,
            };
            let entries = echoed(core, mirror, &source, event, copied);
            core.submit(vec![settle, forget], entries).await?.await?;
            crate::deliver::tell(core, &source.place, &source.id, &event.place, Outcome::Delivered);
            return Ok(());
        }
    }
    Ok(())
}

/// The entries of a delivery that its echo has shown to have arrived.
fn echoed(core: &Core, mirror: &Mirror, source: &Event, echo: &Event, copied: Copied) -> Vec<Entry> {
    let (Some(book), Some(to)) = (&core.book, mirror.member(&echo.place)) else {
        return Vec::new();
    };
    let now = core.clock.now();
    let (here, there) = (core.govern.at(&source.place, now), core.govern.at(&to.place, now));
    let trace = Trace::of(&book.keys, (&here, &there), mirror, &to.place, source);
    End::arrived_as(copied).traced(Some(trace)).entries(now)
}
