//! Whose ghosts and puppets there are: everybody whom a network told to be in a mirrored channel, and everybody who spoke there.
//!
//! Who came is remembered in the store once they are shown at the other sides, until they leave: networks tell that again after a
//! restart, but not of a channel that is mirrored no longer, and just then it has to be known who is to be taken out.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use viaduct_governance::Reply;
use viaduct_model::{
    Content, DeliveryKey, Event, Membership, MessageId, MirrorName, NetworkName, Person, Place, Support,
};
use viaduct_store::{Op, Seq, Store, StoreError};

use crate::core::Core;
use crate::hands::Hands;
use crate::reactions::OWNER;

/// Where they are in the store's state table.
const PREFIX: &str = "inside/";
/// How many journal entries are read at once.
const PAGE: usize = 256;
/// How many leave one place side by side.
const TOGETHER: usize = 8;

/// Everybody who is known of some places, by where and by their id.
pub(crate) type Present = BTreeMap<(Place, String), Person>;

#[derive(Debug, Serialize, Deserialize)]
struct Inside {
    place: Place,
    person: Person,
}

/// A part of a key of bounded length.
fn part(place: &Place, word: &str) -> Option<String> {
    let id = MessageId::new(word).ok()?;
    Some(DeliveryKey::derive(place, &id, place).as_str().to_owned())
}

fn prefix(place: &Place) -> Option<String> {
    Some(format!("{PREFIX}{}/", part(place, "inside")?))
}

fn key(place: &Place, person: &Person) -> Option<String> {
    Some(format!("{}{}", prefix(place)?, part(place, person.id.as_str())?))
}

fn op(key: String, value: Option<Vec<u8>>) -> Op {
    Op::State {
        owner: OWNER.to_owned(),
        key,
        value,
    }
}

/// Remembers that somebody who came is shown elsewhere now, and forgets who left.
pub(crate) async fn note(core: &Core, event: &Event) -> Result<(), StoreError> {
    let Content::Membership { person, change, .. } = &event.content else {
        return Ok(());
    };
    // People on the homeserver come in where they speak, and go with the channel itself.
    let Some(key) = key(&event.place, person).filter(|_| !event.place.network.is_matrix()) else {
        return Ok(());
    };
    let known = core.store.state(OWNER, &key).await?.is_some();
    match change {
        Membership::Join if !known => {
            let inside = Inside {
                place: event.place.clone(),
                person: person.clone(),
            };
            core.commit(op(key, serde_json::to_vec(&inside).ok())).await
        }
        Membership::Leave if known => core.commit(op(key, None)).await,
        _ => Ok(()),
    }
}

/// Everybody known of these places of a mirror.
pub(crate) async fn of(store: &dyn Store, mirror: &MirrorName, places: &[&Place]) -> Result<Present, StoreError> {
    let mut present = Present::new();
    let mut after = Seq(0);
    loop {
        let page = store.journal(mirror, after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, event) in page {
            if places.contains(&&event.place) {
                let key = (event.place, event.sender.id.to_string());
                present.entry(key).or_insert(event.sender);
            }
        }
    }
    for place in places {
        let Some(prefix) = prefix(place) else { continue };
        for (_, value) in store.state_scan(OWNER, &prefix).await? {
            if let Ok(Inside { place, person }) = serde_json::from_slice(&value) {
                present.entry((place, person.id.to_string())).or_insert(person);
            }
        }
    }
    Ok(present)
}

/// The changes that forget everybody at a place.
pub(crate) async fn forget_place(store: &dyn Store, place: &Place) -> Result<Vec<Op>, StoreError> {
    let Some(prefix) = prefix(place) else {
        return Ok(Vec::new());
    };
    let known = store.state_scan(OWNER, &prefix).await?;
    Ok(known.into_iter().map(|(key, _)| op(key, None)).collect())
}

/// The change that forgets one person at a place.
pub(crate) fn forget(place: &Place, person: &Person) -> Option<Op> {
    Some(op(key(place, person)?, None))
}

/// Who of the people at a place is not at another place of the same network, where they have the same ghost.
pub(crate) fn only_at(place: &Place, present: &Present) -> Vec<Person> {
    let elsewhere: BTreeSet<(&NetworkName, &str)> = present
        .keys()
        .filter(|(at, _)| at != place)
        .map(|(at, id)| (&at.network, id.as_str()))
        .collect();
    present
        .iter()
        .filter(|((at, id), _)| at == place && !elsewhere.contains(&(&at.network, id.as_str())))
        .map(|(_, person)| person.clone())
        .collect()
}

/// Takes whoever stands for these people out of a place of a mirror. What cannot be reached ends it at once.
pub(crate) async fn take_out(hands: &Hands, mirror: &MirrorName, place: &Place, people: &[Person]) -> Reply {
    let Some(side) = hands.0.side(&place.network) else {
        return Reply::Done;
    };
    if side.session.capabilities(&place.channel).membership != Support::Native {
        return Reply::Done;
    }
    let mut reply = Reply::Done;
    for some in people.chunks(TOGETHER) {
        let replies = join_all(some.iter().map(|person| hands.leave(mirror, place, person))).await;
        for one in replies {
            match one {
                Reply::Done => {}
                Reply::Refused(why) => reply = Reply::Refused(why),
                later @ Reply::Later(_) => return later,
            }
        }
    }
    reply
}
