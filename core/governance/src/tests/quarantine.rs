use viaduct_audit::Action;
use viaduct_compliance::{Approval, Finding, Release, Verdict};
use viaduct_model::{Content, Event, MessageId, Reaction};
use viaduct_store::Seq;

use crate::testing::*;
use crate::*;

fn verdict() -> Verdict {
    Verdict {
        rule: "accounts".to_owned(),
        reason: "account numbers".to_owned(),
        release: Release::SecondPerson,
        findings: vec![Finding {
            rule: "accounts".to_owned(),
            count: 2,
            ..Finding::default()
        }],
    }
}

const TO: &str = "acme-irc/#project";

async fn hold(world: &World, seq: u64, event: &Event, verdict: Option<&Verdict>, behind: Option<u64>) -> HeldId {
    let lane = lane(TO);
    let what = Hold {
        lane: &lane,
        seq: Seq(seq),
        event,
        verdict,
        rule_author: Some("@author:x"),
        behind: behind.map(Seq),
    };
    let step = world
        .quarantine
        .hold(&world.agreements.register(), &what, world.now())
        .unwrap();
    world.book.commit(step).await.unwrap();
    HeldId::of(&lane, Seq(seq))
}

async fn message(world: &World, seq: u64, behind: Option<u64>) -> HeldId {
    let event = said(
        "matrix/project",
        &format!("$m{seq}"),
        "@anna:x",
        "2026-06-01",
        "DE89 3704 0044 0532 0130 00",
    );
    let verdict = verdict();
    hold(world, seq, &event, behind.is_none().then_some(&verdict), behind).await
}

async fn reaction(world: &World, seq: u64, behind: u64) -> HeldId {
    let content = Content::React {
        target: MessageId::new(format!("$m{behind}")).unwrap(),
        reaction: Reaction {
            key: "+".to_owned(),
            image: None,
        },
    };
    let event = event("matrix/project", &format!("$r{seq}"), "@berta:x", "2026-06-01", content);
    hold(world, seq, &event, None, Some(behind)).await
}

async fn release(world: &World, id: &HeldId, approver: &str, reason: &str) -> Result<(), GovernanceError> {
    let step = world
        .quarantine
        .release(id, &Approval { approver, reason }, world.now())
        .await?;
    world.book.commit(step).await
}

async fn ready(world: &World) -> Vec<u64> {
    world
        .quarantine
        .ready()
        .await
        .unwrap()
        .iter()
        .map(|held| held.seq.0)
        .collect()
}

async fn all(world: &World) -> Vec<u64> {
    world
        .quarantine
        .list()
        .await
        .unwrap()
        .iter()
        .map(|held| held.seq.0)
        .collect()
}

#[tokio::test]
async fn who_may_release() {
    let world = World::new("2026-06-01").await;
    let id = message(&world, 7, None).await;
    for (approver, reason, why) in [
        ("@anna:x", "fine", "nobody can release what they sent"),
        ("@author:x", "fine", "nobody can release what their own rule holds"),
        ("@carla:x", "  ", "a release needs a reason"),
    ] {
        assert_eq!(
            release(&world, &id, approver, reason).await,
            Err(GovernanceError::NotAllowed(why.to_owned()))
        );
        assert!(ready(&world).await.is_empty());
    }
    release(&world, &id, "@carla:x", "agreed by phone").await.unwrap();
    assert_eq!(ready(&world).await, [7]);
    assert!(release(&world, &id, "@carla:x", "again").await.is_err());
    let held = world.quarantine.get(&id).await.unwrap();
    assert_eq!(held.approval().map(|approval| approval.approver), Some("@carla:x"));
    assert!(world.quarantine.get(&HeldId::parse("0-0").unwrap()).await.is_err());
}

#[tokio::test]
async fn what_is_held_is_sealed_and_comes_back_after_a_restart() {
    let world = World::new("2026-06-01").await;
    let id = message(&world, 7, None).await;
    for (key, value) in world.store.state_scan(OWNER, "").await.unwrap() {
        let text = String::from_utf8_lossy(&value);
        assert!(!text.contains("3704") && !text.contains("@anna"), "{key} says {text}");
    }
    let world = world.again().await;
    let held = world.quarantine.get(&id).await.unwrap();
    assert_eq!(
        (held.partner.as_str(), held.rule.as_str(), held.findings["accounts"]),
        ("acme", "accounts", 2)
    );
    let event = world.quarantine.event(&held).await.unwrap();
    assert_eq!(
        event.content.message().unwrap().body.to_plain(),
        "DE89 3704 0044 0532 0130 00"
    );

    // Looking at it needs a reason, and is in the ledger.
    assert!(world.quarantine.open(&id, "@carla:x", "", world.now()).await.is_err());
    let (_, seen) = world
        .quarantine
        .open(&id, "@carla:x", "review", world.now())
        .await
        .unwrap();
    assert_eq!(seen, event);
    let entries = world.book.entries.lock().unwrap();
    let last = entries.last().unwrap();
    assert_eq!(
        (last.action, last.actor.clone()),
        (Action::Unmasked, world.keys.operator("@carla:x"))
    );
}

#[tokio::test]
async fn later_events_wait_behind_and_keep_their_order() {
    let world = World::new("2026-06-01").await;
    let first = message(&world, 7, None).await;
    let answer = message(&world, 8, Some(7)).await;
    reaction(&world, 9, 8).await;
    reaction(&world, 10, 7).await;
    assert!(world.quarantine.holds(&lane(TO), Seq(9)).await.unwrap());
    assert!(!world.quarantine.holds(&lane(TO), Seq(6)).await.unwrap());
    assert!(ready(&world).await.is_empty());

    release(&world, &first, "@carla:x", "fine").await.unwrap();
    assert_eq!(ready(&world).await, [7], "what refers to it waits until it has arrived");
    let held = world.quarantine.get(&first).await.unwrap();
    world
        .book
        .commit(world.quarantine.settled(&held).await.unwrap())
        .await
        .unwrap();
    assert_eq!(ready(&world).await, [8, 10]);
    let held = world.quarantine.get(&answer).await.unwrap();
    assert_eq!(held.approval(), None, "nobody had to release it");
    world
        .book
        .commit(world.quarantine.settled(&held).await.unwrap())
        .await
        .unwrap();
    assert_eq!(ready(&world).await, [9, 10]);
}

#[tokio::test]
async fn what_is_rejected_takes_reactions_along_and_frees_answers() {
    let world = World::new("2026-06-01").await;
    let first = message(&world, 7, None).await;
    message(&world, 8, Some(7)).await;
    reaction(&world, 9, 7).await;
    let (step, gone) = world
        .quarantine
        .reject(&first, "@carla:x", "no", world.now())
        .await
        .unwrap();
    world.book.commit(step).await.unwrap();
    assert_eq!(gone.iter().map(|held| held.seq.0).collect::<Vec<_>>(), [7, 9]);
    assert_eq!((all(&world).await, ready(&world).await), (vec![8], vec![8]));
    assert!(
        world.store.state_scan(OWNER, "sealed/").await.unwrap().len() == 1,
        "the sealed bodies are gone"
    );
}

#[tokio::test]
async fn what_nobody_releases_is_rejected_in_time() {
    let world = World::new("2026-06-01").await;
    message(&world, 7, None).await;
    reaction(&world, 8, 7).await;
    world.clock.to("2026-06-14");
    assert!(world.quarantine.expired(world.now()).await.unwrap().is_empty());
    world.clock.to("2026-06-15");
    let expired = world.quarantine.expired(world.now()).await.unwrap();
    assert_eq!(expired.len(), 1);
    for (step, gone) in expired {
        assert_eq!(gone.len(), 2);
        world.book.commit(step).await.unwrap();
    }
    assert!(all(&world).await.is_empty());
    assert_eq!(
        world
            .ledger()
            .iter()
            .filter(|line| line.starts_with("rejected acme nobody"))
            .count(),
        2
    );
}

#[tokio::test]
async fn a_hold_that_was_not_committed_leaves_nothing() {
    let world = World::new("2026-06-01").await;
    *world.book.dies.lock().unwrap() = Some((world.book.number.load(std::sync::atomic::Ordering::SeqCst), false));
    let event = said("matrix/project", "$m", "@anna:x", "2026-06-01", "text");
    let (lane, verdict) = (lane(TO), verdict());
    let what = Hold {
        lane: &lane,
        seq: Seq(1),
        event: &event,
        verdict: Some(&verdict),
        rule_author: None,
        behind: None,
    };
    let step = world
        .quarantine
        .hold(&world.agreements.register(), &what, world.now())
        .unwrap();
    assert!(world.book.commit(step).await.is_err());
    assert!(all(&world).await.is_empty() && world.ledger().iter().all(|line| !line.starts_with("held")));
}

#[tokio::test]
async fn s17_what_a_legal_hold_covers_is_neither_rejected_nor_does_it_expire() {
    let world = World::new("2026-06-01").await;
    let id = message(&world, 7, None).await;
    let of = |who: &str| Scope {
        person: Some((network("matrix"), viaduct_model::PersonId::new(who).unwrap())),
        ..Scope::default()
    };
    world
        .holds
        .place(of("@other:x"), "elsewhere", "@dpo:x", world.now())
        .await
        .unwrap();
    world.clock.to("2026-07-01");
    assert_eq!(
        world.quarantine.expired(world.now()).await.unwrap().len(),
        1,
        "another person's hold is no matter"
    );
    let hold = world
        .holds
        .place(of("@anna:x"), "court", "@dpo:x", world.now())
        .await
        .unwrap();
    assert!(world.quarantine.expired(world.now()).await.unwrap().is_empty());
    let rejected = world
        .quarantine
        .reject(&id, "@carla:x", "no", world.now())
        .await
        .map(|_| ());
    assert!(matches!(rejected, Err(GovernanceError::NotAllowed(_))), "{rejected:?}");
    world
        .holds
        .lift(&hold.id, "closed", "@dpo:x", world.now())
        .await
        .unwrap();
    assert_eq!(world.quarantine.expired(world.now()).await.unwrap().len(), 1);
}

/// One that waits for whoever may let it go.
async fn open_to(world: &World, seq: u64, release: Release) -> Held {
    let event = said(
        "matrix/project",
        &format!("$m{seq}"),
        "@anna:x",
        "2026-06-01",
        "number 4711",
    );
    let verdict = Verdict { release, ..verdict() };
    let id = hold(world, seq, &event, Some(&verdict), None).await;
    world.quarantine.get(&id).await.unwrap()
}

async fn overridden(world: &World, held: &Held, approver: &str, reason: &str) -> Result<(), GovernanceError> {
    let approval = Approval { approver, reason };
    let (_, step) = world
        .quarantine
        .override_held(held.id.number(), &approval, world.now())
        .await?;
    world.book.commit(step).await
}

#[tokio::test]
async fn a_sender_sends_all_the_same_what_the_rules_let_them_decide() {
    let world = World::new("2026-06-01").await;
    let (second, both, own) = (
        open_to(&world, 1, Release::SecondPerson).await,
        open_to(&world, 2, Release::SecondPersonOrSender).await,
        open_to(&world, 3, Release::Sender).await,
    );
    let reason = "the customer asked for it";
    assert!(matches!(
        overridden(&world, &second, "@anna:x", reason).await,
        Err(GovernanceError::NotAllowed(_))
    ));
    for (who, why) in [("@carla:x", reason), ("anna", reason)] {
        let nothing = overridden(&world, &own, who, why).await;
        assert_eq!(
            nothing,
            Err(GovernanceError::NotHeld(own.id.number().to_string())),
            "{who}"
        );
    }
    for short in ["", "urgent", "         a         "] {
        let refused = overridden(&world, &own, "@anna:x", short).await;
        assert!(matches!(refused, Err(GovernanceError::NotAllowed(_))), "{short:?}");
    }
    let refused = release(&world, &own.id, "@carla:x", "fine").await;
    assert!(matches!(refused, Err(GovernanceError::NotAllowed(_))), "{refused:?}");
    assert!(ready(&world).await.is_empty());

    overridden(&world, &own, "@anna:x", reason).await.unwrap();
    assert_eq!(ready(&world).await, [3]);
    assert!(overridden(&world, &own, "@anna:x", reason).await.is_err(), "once");
    {
        let entries = world.book.entries.lock().unwrap();
        let last = entries.last().unwrap();
        assert_eq!(
            (last.action, last.rule.as_deref()),
            (Action::Released, Some("accounts"))
        );
        assert_eq!(
            (last.actor.clone(), last.reason.as_deref()),
            (own.sender.clone(), Some(reason))
        );
        assert!(last.actor.is_some() && last.findings["accounts"] == 2);
    }
    let approved = world.quarantine.get(&own.id).await.unwrap();
    assert_eq!(approved.approval().map(|approval| approval.approver), Some("@anna:x"));
    // Where both may, either does.
    release(&world, &both.id, "@carla:x", "fine").await.unwrap();
    // What nobody lets go ends with its time.
    world.clock.to("2026-07-01");
    assert_eq!(world.quarantine.expired(world.now()).await.unwrap().len(), 1);
}
