//! Housekeeping: journal entries that are delivered and old are dropped, so that the store does not grow for ever. The
//! message map stays: edits and answers to old messages still find their way.

use std::sync::Arc;
use std::time::Duration;

use viaduct_model::Timestamp;
use viaduct_store::{Lane, Op, Seq, StoreError};

use crate::core::Core;
use crate::routes::Mirror;

/// How often there is a look.
const EVERY: Duration = Duration::from_mins(10);
/// How many entries are looked at and dropped at once.
const PAGE: usize = 256;

/// Works until the hub stops.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = core.stop.cancelled() => return,
        }
        for mirror in core.routes().mirrors() {
            if let Err(error) = trim(&core, mirror).await {
                tracing::warn!(mirror = %mirror.name, %error, "Old journal entries could not be dropped.");
            }
        }
    }
}

/// Drops what every lane has settled and is older than the operator wants to keep.
pub(crate) async fn trim(core: &Core, mirror: &Mirror) -> Result<(), StoreError> {
    let Some(settled) = settled_everywhere(core, mirror).await? else {
        return Ok(());
    };
    let keep = core.settings().keep;
    let oldest = Timestamp(
        core.clock
            .now()
            .as_millis()
            .saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)),
    );
    loop {
        let page = core.store.journal(&mirror.name, Seq(0), PAGE).await?;
        let full = page.len() == PAGE;
        let droppable = page
            .iter()
            .take_while(|(seq, event)| *seq <= settled && event.at < oldest);
        let Some((through, _)) = droppable.last() else {
            return Ok(());
        };
        let all = page.last().map(|(seq, _)| seq) == Some(through);
        core.commit(Op::Trim {
            mirror: mirror.name.clone(),
            through: *through,
        })
        .await?;
        if !(full && all) {
            return Ok(());
        }
    }
}

/// The last entry that every lane has behind it. None if a lane was never opened.
async fn settled_everywhere(core: &Core, mirror: &Mirror) -> Result<Option<Seq>, StoreError> {
    let mut least: Option<Seq> = None;
    for member in &mirror.members {
        let lane = Lane {
            mirror: mirror.name.clone(),
            to: member.place.clone(),
        };
        let Some(mark) = core.store.lane(&lane).await? else {
            return Ok(None);
        };
        least = Some(least.map_or(mark.settled, |least| least.min(mark.settled)));
    }
    Ok(least)
}
