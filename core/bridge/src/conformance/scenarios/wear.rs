//! Everyday wear: repetitions, haste and a hub that is busy.

use std::time::Duration;

use viaduct_model::{Content, DeliveryKey, Lookup, Message};

use crate::Failure;
use crate::conformance::hub::Intake;
use crate::conformance::stage::{Stage, person};
use crate::conformance::{Step, check, fail, same};

/// The longest wait that a session may reasonably ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The network tells of a message twice; it is one message.
pub(super) async fn duplicate_input(stage: &mut Stage<'_>) -> Step {
    let word = stage.word();
    let handle = stage.remote.say(&format!("once {word}")).await?;
    stage.hear_text(&word).await?;
    stage.remote.repeat(&handle).await?;
    let words = vec![word];
    same(
        "what was pushed of a message told twice",
        &stage.heard_by_now(&words).await?,
        &words,
    )
}

/// A delivery made twice with one key shows once, or can be looked up.
pub(super) async fn same_key(stage: &mut Stage<'_>) -> Step {
    let word = stage.word();
    let content = Content::Message(Message::plain(&format!("once {word}")));
    let outbound = stage.outbound(&person("Alice")?, content, &[])?;
    let broken = |error: crate::DeliveryError| fail(format!("the delivery failed: {error}"));
    let first = stage.deliver(&outbound).await?.map_err(broken)?;
    if stage.capabilities()?.lookup == Lookup::Idempotent {
        let second = stage.deliver(&outbound).await?.map_err(broken)?;
        same("the ids given at the second time", &second.ids, &first.ids)?;
    } else {
        let (session, channel) = (stage.session()?, stage.channel());
        let found = session.find_delivered(&channel, &outbound.key).await.map_err(broken)?;
        same(
            "the ids found by the key",
            &found.map(|receipt| receipt.ids),
            &Some(first.ids),
        )?;
        let other = DeliveryKey::from_remote("0123456789abcdef0123456789abcdef");
        let found = session.find_delivered(&channel, &other).await.map_err(broken)?;
        check(found.is_none(), || {
            "a key was found that was never delivered".to_owned()
        })?;
    }
    same("how often it was seen", &stage.times_seen(&word).await?, &1)
}

/// While the inbox is full the session waits; nothing is lost and the order stays.
pub(super) async fn full_inbox(stage: &mut Stage<'_>) -> Step {
    stage.hub.intake(Intake::Full);
    let words: Vec<String> = (0..stage.options.burst).map(|_| stage.word()).collect();
    for (number, word) in words.iter().enumerate() {
        stage.remote.say(&format!("waiting {word}")).await?;
        if number == 0 {
            let waits = stage
                .hub
                .wait(stage.options.patience, |desk| (desk.blocked > 0).then_some(()));
            waits
                .await
                .ok_or_else(|| fail("the session did not push anything into an inbox that was full"))?;
        }
    }
    // For a session that waits only so long there must be something to wait for.
    tokio::time::sleep(stage.options.hold).await;
    stage.hub.intake(Intake::Open);
    same(
        "what was pushed once the inbox had room",
        &stage.heard_by_now(&words).await?,
        &words,
    )
}

/// The network refuses for a while because of too high a rate; then it arrives, once.
pub(super) async fn rate_limit(stage: &mut Stage<'_>) -> Step {
    stage.remote.limit_rate(2).await?;
    let word = stage.word();
    let content = Content::Message(Message::plain(&format!("patiently {word}")));
    let outbound = stage.outbound(&person("Alice")?, content, &[])?;
    match stage.attempt(&outbound).await? {
        Ok(_) => {}
        Err(error) => match error.failure {
            Failure::Retry(after) if after.is_none_or(|after| after <= LONGEST_WAIT) => {
                let outcome = stage.deliver(&outbound).await?;
                outcome.map_err(|error| fail(format!("after the limit the delivery failed: {error}")))?;
            }
            other => return Err(fail(format!("a rate limit was answered with {other:?}: {error}"))),
        },
    }
    same("how often it was seen", &stage.times_seen(&word).await?, &1)
}
