//! The tests that every store must pass, written against the trait.
//!
//! A backend's test calls [`all`] with a way to make an empty store, and [`model`] to be compared with the memory store over
//! random batches. Everything here panics on a violation, as tests do.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::future::Future;
use std::sync::Arc;

use viaduct_model::{
    ChannelId, Content, Event, Message, MessageId, MirrorName, NetworkName, Person, PersonId, Place, Timestamp,
};

use crate::api::{Applied, Copied, Lane, Op, Store, StoreError};

pub use model::model;

mod delivery;
mod journal;
mod life;
mod model;
mod values;

/// A mirror's name.
pub fn mirror(name: &str) -> MirrorName {
    MirrorName::new(name).unwrap()
}

/// A place on the network `net`.
pub fn place(channel: &str) -> Place {
    Place::new(NetworkName::new("net").unwrap(), ChannelId::new(channel).unwrap())
}

/// A message id.
pub fn id(id: &str) -> MessageId {
    MessageId::new(id).unwrap()
}

/// What arrived of an event with this place and id.
pub fn copied(from: &str, number: &str, ids: &[&str]) -> Option<Copied> {
    Some(Copied {
        from: place(from),
        id: id(number),
        ids: ids.iter().map(|text| id(text)).collect(),
    })
}

/// A lane.
pub fn lane(name: &str, to: &str) -> Lane {
    Lane {
        mirror: mirror(name),
        to: place(to),
    }
}

/// A message by somebody at a place.
pub fn event(at: &str, number: &str, text: &str) -> Event {
    let network = NetworkName::new("net").unwrap();
    Event {
        place: place(at),
        id: id(number),
        sender: Person {
            network,
            id: PersonId::new("anna").unwrap(),
            name: "Anna".to_owned(),
            avatar: None,
            organisation: None,
            bot: false,
        },
        at: Timestamp(1_700_000_000_000),
        content: Content::Message(Message::plain(text)),
        cursor: None,
        echo_of: None,
        direct_to: None,
    }
}

/// Accepts an event into a mirror.
pub fn accept(name: &str, event: Event) -> Op {
    Op::Accept {
        mirror: mirror(name),
        event: Arc::new(event),
    }
}

/// Submits one batch and waits for it.
pub async fn commit(store: &dyn Store, ops: Vec<Op>) -> Result<Applied, StoreError> {
    store.submit(ops.into()).await?.await
}

async fn done(store: &dyn Store, ops: Vec<Op>) -> Applied {
    commit(store, ops).await.unwrap()
}

/// Sets or removes a key of an owner.
fn state(owner: &str, key: &str, value: Option<&[u8]>) -> Op {
    Op::State {
        owner: owner.to_owned(),
        key: key.to_owned(),
        value: value.map(<[u8]>::to_vec),
    }
}

/// Runs every test, each on a store of its own.
pub async fn all<S, F>(make: impl Fn() -> F)
where
    S: Store + 'static,
    F: Future<Output = S>,
{
    journal::journal_is_numbered_and_paged(&make().await).await;
    journal::duplicates_change_nothing_but_the_cursor(&make().await).await;
    delivery::marks_never_move_back(&make().await).await;
    delivery::settling_maps_and_copies(&make().await).await;
    delivery::records_are_kept_listed_and_forgotten(&make().await).await;
    delivery::lanes_open_at_the_end(&make().await).await;
    journal::trimming_keeps_map_and_copies(&make().await).await;
    values::portals_and_cursors(&make().await).await;
    values::session_memory(&make().await).await;
    values::long_names_and_large_values(&make().await).await;
    values::too_large_is_refused_whole(&make().await).await;
    journal::a_batch_sees_its_own_changes(&make().await).await;
    values::unknown_names_are_empty(&make().await).await;
    life::submitters_side_by_side(Arc::new(make().await)).await;
    life::nothing_of_a_series_overtakes(&make().await).await;
    life::closed_is_closed(&make().await).await;
}
