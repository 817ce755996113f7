//! Whom policy rooms do not want, from the room's state to what crosses.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{FakeSide, settings, start, until};
use viaduct_bridge::Outcome;
use viaduct_compliance::{EntityKind, ListRule};
use viaduct_model::{Lookup, PersonId};
use viaduct_store::MemoryStore;

fn ban(entity: &str) -> Vec<(EntityKind, ListRule)> {
    let rule = ListRule {
        entity: Some(entity.to_owned()),
        recommendation: Some("m.ban".to_owned()),
    };
    vec![(EntityKind::User, rule)]
}

#[tokio::test(start_paused = true)]
async fn whom_a_policy_room_bans_does_not_cross_and_nobody_does_before_it_is_known() {
    let side = FakeSide::new("one", Lookup::Idempotent);
    let mut wanted = settings(std::slice::from_ref(&side));
    let mut bans = wanted.mirrors[0].room.clone();
    bans.room = "#bans:example.org".to_owned();
    wanted.policy_rooms = vec![bans];
    let hub = start(Arc::new(MemoryStore::new()), vec![side.clone()], wanted).await;
    let say = async |id: &str, by: &str| {
        let mut event = hub.home.message("!room", id);
        event.sender.id = PersonId::new(by).unwrap();
        hub.home.push(vec![event]).await;
    };
    let refused = || {
        let feedback = hub.home.feedback.lock().unwrap();
        let refused = feedback
            .iter()
            .filter(|told| matches!(told.outcome, Outcome::Refused(_)));
        refused.count()
    };
    say("$1", "@anna:good.example").await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(side.texts().len(), 0, "nothing crosses while it cannot be read");

    *hub.home.rules.lock().unwrap() = Some(ban("@*:evil.example"));
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(side.wait_for(1).await.len(), 1);
    say("$2", "@spam:evil.example").await;
    until(|| refused() == 1).await;
    say("$3", "@anna:good.example").await;
    assert_eq!(side.wait_for(2).await.len(), 2);

    // It changes, is not to be had for a while, and changes again.
    *hub.home.rules.lock().unwrap() = Some(ban("@anna:*"));
    tokio::time::sleep(Duration::from_mins(2)).await;
    *hub.home.rules.lock().unwrap() = None;
    tokio::time::sleep(Duration::from_mins(2)).await;
    say("$4", "@anna:good.example").await;
    until(|| refused() == 2).await;
    *hub.home.rules.lock().unwrap() = Some(Vec::new());
    tokio::time::sleep(Duration::from_mins(2)).await;
    say("$5", "@spam:evil.example").await;
    assert_eq!(side.wait_for(3).await.len(), 3);
    assert_eq!(refused(), 2);
    hub.engine.stop().await.unwrap();
}
