//! From a step's commit in the store into the ledger, with the hub killed at each point in between.

#![allow(clippy::unwrap_used, reason = "helpers of a test are test code as well")]

use std::path::Path;

use viaduct_audit::note::Signer;
use viaduct_audit::outbox::Numbered;
use viaduct_audit::{Action, Entry, Ledger, Options, Reader, outbox, verify};
use viaduct_model::{ChannelId, Entropy, NetworkName, Place, Timestamp};
use viaduct_store::{Batch, MemoryStore, Op, Store};

#[derive(Debug)]
struct Chance;

impl Entropy for Chance {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

fn signer() -> Signer {
    Signer::generate("hub.example.org/ledger", &Chance).unwrap()
}

fn place() -> Place {
    Place::new(
        NetworkName::new("acme-irc").unwrap(),
        ChannelId::new("#project").unwrap(),
    )
}

/// Where the hub is killed in a round.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kill {
    Never,
    BeforeAppend,
    AfterAppend,
    AfterHalfOfTheRemoval,
}

/// A step and its entry, in one commit.
async fn step(store: &dyn Store, number: u64) {
    let entry = Entry::new(Timestamp(number), Action::Delivered);
    let sealed = outbox::seal(number, vec![entry.into()]);
    let entries = sealed.into_iter().map(|sealed| Op::State {
        owner: outbox::OWNER.to_owned(),
        key: sealed.key,
        value: Some(sealed.value),
    });
    let step = Op::Cursor {
        place: place(),
        cursor: number.to_string(),
    };
    store
        .submit(Batch::from(std::iter::once(step).chain(entries).collect::<Vec<_>>()))
        .await
        .unwrap()
        .await
        .unwrap();
}

/// What waits in the store.
fn waiting(scanned: &[(String, Vec<u8>)]) -> Vec<Numbered> {
    let opened = scanned.iter().map(|(key, value)| outbox::open(key, value).unwrap());
    opened.flatten().collect()
}

/// One run of the hub: starts, does some steps, carries entries over, and is perhaps killed.
async fn run(store: &dyn Store, folder: &Path, steps: u64, kill: Kill) {
    let mut ledger = Ledger::open(folder, signer(), Options::new("hub.example.org/ledger")).unwrap();
    let pending = waiting(&store.state_scan(outbox::OWNER, "").await.unwrap());
    let next = outbox::next(ledger.last(), &pending);
    for number in next..next + steps {
        step(store, number).await;
    }
    let scanned = store.state_scan(outbox::OWNER, "").await.unwrap();
    if kill == Kill::BeforeAppend {
        return;
    }
    ledger.append(&waiting(&scanned)).unwrap();
    let removed = match kill {
        Kill::AfterAppend => 0,
        Kill::AfterHalfOfTheRemoval => scanned.len() / 2,
        _ => scanned.len(),
    };
    for (key, _) in scanned.into_iter().take(removed) {
        let removal = Op::State {
            owner: outbox::OWNER.to_owned(),
            key,
            value: None,
        };
        store.submit(Batch::of(removal)).await.unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn every_step_has_its_entry_once_wherever_the_hub_is_killed() {
    use Kill::{AfterAppend, AfterHalfOfTheRemoval, BeforeAppend, Never};
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    let all = [Never, BeforeAppend, AfterAppend, AfterHalfOfTheRemoval];
    // Every kill after every other.
    for first in all {
        for second in all {
            run(&store, folder.path(), 3, first).await;
            run(&store, folder.path(), 2, second).await;
        }
    }
    run(&store, folder.path(), 0, Never).await;

    let key = signer().verifier();
    assert!(verify(folder.path(), &key, &[]).unwrap().is_good());
    let times: Vec<u64> = Reader::open(folder.path(), &key)
        .unwrap()
        .map(|record| record.unwrap().entry.at.0)
        .collect();
    assert_eq!(times, (0..16 * 5).collect::<Vec<_>>());
    assert_eq!(store.cursor(&place()).await.unwrap(), Some((16 * 5 - 1).to_string()));
    assert!(store.state_scan(outbox::OWNER, "").await.unwrap().is_empty());
}
