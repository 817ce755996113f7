//! Housekeeping: journal entries that are delivered and old are dropped, so that the store does not grow for ever. The
//! message map stays: edits and answers to old messages still find their way.

use std::sync::Arc;
use std::time::Duration;

use viaduct_model::Timestamp;
use viaduct_store::{Lane, Op, Seq, StoreError};

use crate::core::Core;
use crate::govern::Desk;
use crate::routes::Mirror;
use crate::{EngineError, leaving, notices, quarantine, rights};

/// How often there is a look.
const EVERY: Duration = Duration::from_mins(10);
/// How often there is a look where agreements say how long what is kept: it goes through all that is there.
const RETENTION: Duration = Duration::from_hours(1);
/// How many entries are looked at and dropped at once.
const PAGE: usize = 256;

/// How often agreements and what is held are looked at: both change with the time.
const CALENDAR: Duration = Duration::from_mins(1);

/// Looks at the calendar until the hub stops.
pub(crate) async fn calendar(core: Arc<Core>) {
    loop {
        if let Err(error) = look(&core).await {
            tracing::error!(%error, "Agreements could not be looked at; it is tried again.");
        }
        if core.govern.desk.is_some()
            && let Err(error) = rights::go_on(&core).await
        {
            tracing::error!(%error, "Winding up could not go on; it is tried again.");
        }
        if let Err(error) = leaving::leave_ended(&core).await {
            tracing::error!(%error, "Channels that are mirrored no longer could not be left; it is tried again.");
        }
        leaving::clear_ended(&core).await;
        tokio::select! {
            () = tokio::time::sleep(CALENDAR) => {}
            () = core.stop.cancelled() => return,
        }
    }
}

/// Tells what is due, rejects what nobody released in time, and wakes lanes whose agreements may have changed.
pub(crate) async fn look(core: &Arc<Core>) -> Result<(), EngineError> {
    let now = core.clock.now();
    quarantine::expire(core, now).await?;
    let Some(agreements) = &core.govern.agreements else {
        return Ok(());
    };
    for due in agreements.take_due().await? {
        let text = due.say(core.settings().language);
        tracing::warn!(partner = %due.partner, "{text}");
        tell_operators(
            core,
            &text,
            &format!("due-{}-{:?}-{}", due.partner, due.what, due.last_day),
        )
        .await;
    }
    let register = agreements.register();
    let standing = register.partners().keys().map(|name| {
        let permits = register.standing(name, now).is_some_and(|standing| standing.permits());
        (name.clone(), permits)
    });
    let standing = standing.collect();
    let changed = core.govern.note_standing(&standing);
    if changed.is_empty() {
        return Ok(());
    }
    core.govern.changed();
    for mirror in core.routes().mirrors() {
        core.wake_all(mirror);
    }
    core.govern.released.notify_one();
    for (partner, before) in changed {
        // At the start nothing has changed for the people in the rooms.
        if before.is_some() {
            let standing = register.standing(&partner, now).filter(|standing| !standing.permits());
            let reason = standing.map(|standing| standing.to_string());
            notices::rests(core, &partner, reason.as_deref()).await;
        }
    }
    Ok(())
}

/// Says something in the operators' room, if there is one. The same `key` is said once. False if they could not be told.
pub(crate) async fn tell_operators(core: &Arc<Core>, text: &str, key: &str) -> bool {
    let settings = core.settings();
    let Some(spec) = &settings.operators else { return true };
    let Some(home) = core.home() else { return false };
    let told = match home.ensure_room(spec).await {
        Ok(room) => home.notice(&room, text, None, key).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &told {
        tracing::warn!(%error, "The operators' room could not be told.");
    }
    told.is_ok()
}

/// Works until the hub stops.
pub(crate) async fn run(core: Arc<Core>) {
    let pause = if core.govern.desk.is_some() { RETENTION } else { EVERY };
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = core.stop.cancelled() => return,
        }
        if let Some(desk) = &core.govern.desk {
            match rights::retain(&core).await {
                Ok(report) => tracing::debug!(?report, "What is due was deleted."),
                Err(error) => tracing::warn!(%error, "What is due could not be deleted."),
            }
            if let Err(error) = forget_alarms(&core, desk).await {
                tracing::warn!(%error, "What senders were told long ago could not be forgotten.");
            }
            continue;
        }
        for mirror in core.routes().mirrors() {
            if let Err(error) = trim(&core, mirror).await {
                tracing::warn!(mirror = %mirror.name, %error, "Old journal entries could not be dropped.");
            }
        }
    }
}

async fn forget_alarms(core: &Core, desk: &Desk) -> Result<(), EngineError> {
    let step = desk.alarms.tidy(core.clock.now()).await?;
    if !step.is_empty() {
        core.submit(step.ops, step.entries).await?.await?;
    }
    Ok(())
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
