//! Lost connections, lost answers, restarts.

use viaduct_model::{Content, Lookup, Message, Outbound, Support};

use crate::conformance::hub::Intake;
use crate::conformance::stage::{Stage, person, said};
use crate::conformance::{Step, check, fail, same};
use crate::{Connection, Failure};

fn words(stage: &mut Stage<'_>, count: usize) -> Vec<String> {
    (0..count).map(|_| stage.word()).collect()
}

fn text_out(stage: &mut Stage<'_>) -> Step<(String, Outbound)> {
    let word = stage.word();
    let content = Content::Message(Message::plain(&format!("through thick and thin {word}")));
    Ok((word, stage.outbound(&person("Alice")?, content, &[])?))
}

/// Clears up an unknown outcome as the engine does; says how often the message may be seen then.
async fn clear_up(stage: &mut Stage<'_>, outbound: &Outbound) -> Step<std::ops::RangeInclusive<usize>> {
    let again = match stage.capabilities()?.lookup {
        Lookup::None => return Ok(0..=1),
        Lookup::Idempotent => true,
        Lookup::Queryable => !stage.look_up(outbound).await?,
    };
    if again {
        stage
            .deliver(outbound)
            .await?
            .map_err(|error| fail(format!("the second attempt failed: {error}")))?;
    }
    Ok(1..=1)
}

async fn back_up(stage: &mut Stage<'_>) -> Step {
    stage.remote.restore().await?;
    stage
        .wait_connection("came up again", |connection| *connection == Connection::Up)
        .await
}

/// The answer to a delivery is lost: the session must not claim to know.
pub(super) async fn unknown_outcome(stage: &mut Stage<'_>) -> Step {
    let (word, outbound) = text_out(stage)?;
    stage.remote.lose_answer().await?;
    let answer = stage.attempt(&outbound).await?;
    back_up(stage).await?;
    let may = match answer {
        Ok(_) => 1..=1,
        Err(error) => match error.failure {
            Failure::UnknownOutcome => clear_up(stage, &outbound).await?,
            // "Nothing was sent" is a claim, and must be true.
            Failure::Retry(_) => 0..=0,
            other => return Err(fail(format!("a lost answer was reported as {other:?}: {error}"))),
        },
    };
    stage.settle().await?;
    let seen = stage.times_seen(&word).await?;
    check(may.contains(&seen), || {
        format!("it was seen {seen} times, and may be seen {may:?} times")
    })
}

/// The connection breaks: the session says so, comes back by itself, loses and doubles nothing it can help.
pub(super) async fn reconnect(stage: &mut Stage<'_>) -> Step {
    let (before, after) = (stage.word(), stage.word());
    stage.remote.say(&format!("before {before}")).await?;
    stage.hear_text(&before).await?;

    stage.remote.cut_connection().await?;
    let (word, outbound) = text_out(stage)?;
    let answer = stage.attempt(&outbound).await?;
    stage
        .wait_connection("said that it lost its network", |connection| {
            *connection != Connection::Up
        })
        .await?;
    stage.remote.say(&format!("meanwhile {after}")).await?;
    back_up(stage).await?;

    let may = match answer {
        Ok(_) => 1..=1,
        Err(error) => match error.failure {
            Failure::UnknownOutcome => clear_up(stage, &outbound).await?,
            Failure::Retry(_) => {
                stage
                    .deliver(&outbound)
                    .await?
                    .map_err(|error| fail(format!("the second attempt failed: {error}")))?;
                1..=1
            }
            other => return Err(fail(format!("a lost connection was reported as {other:?}: {error}"))),
        },
    };
    stage.settle().await?;
    let seen = stage.times_seen(&word).await?;
    check(may.contains(&seen), || {
        format!("a delivery was seen {seen} times, and may be seen {may:?} times")
    })?;

    let all = vec![before.clone(), after.clone()];
    let wanted = if stage.capabilities()?.history == Support::None {
        vec![before]
    } else {
        all.clone()
    };
    if stage.capabilities()?.history != Support::None {
        stage.hear_text(&after).await?;
    }
    same(
        "what was pushed around the break",
        &stage.heard_by_now(&all).await?,
        &wanted,
    )
}

/// What was said while the hub was away is fetched to the end, in order, once, and before what is live.
pub(super) async fn catch_up(stage: &mut Stage<'_>) -> Step {
    let own = stage.word();
    stage.say_out(&format!("own {own}")).await?;
    stage.see_text(&own).await?;
    let mut all = words(stage, 2 * stage.options.burst);
    let live = stage.word();
    stage.stop().await?;
    for word in &all {
        stage.remote.say(&format!("missed {word}")).await?;
    }
    stage.start().await?;
    stage.remote.say(&format!("live {live}")).await?;
    all.push(live.clone());
    stage.hear_text(&live).await?;
    same(
        "what was pushed after an absence",
        &stage.heard_by_now(&all).await?,
        &all,
    )?;

    stage.stop().await?;
    stage.start().await?;
    stage.settle().await?;
    same(
        "what was pushed after another restart",
        &stage.heard_by_now(&all).await?,
        &all,
    )?;
    let heard = stage.heard_by_now(&[own]).await?;
    check(heard.is_empty(), || {
        "what the hub had said itself came back as something new".to_owned()
    })
}

/// What the hub took but never stored comes again after it died: nothing was acknowledged too early.
pub(super) async fn durability(stage: &mut Stage<'_>) -> Step {
    let lost = words(stage, 2);
    stage.hub.intake(Intake::Unconfirmed);
    for word in &lost {
        stage.remote.say(&format!("not stored {word}")).await?;
    }
    let first = lost.first().cloned().unwrap_or_default();
    let taken = stage.hub.wait(stage.options.patience, |desk| {
        desk.unconfirmed()
            .any(|event| said(std::slice::from_ref(event), &first).is_some())
            .then_some(())
    });
    taken.await.ok_or_else(|| fail("the session pushed nothing"))?;
    stage.crash().await;
    stage.start().await?;
    for word in &lost {
        stage.hear_text(word).await?;
    }
    same(
        "what was pushed after the hub had died",
        &stage.heard_by_now(&lost).await?,
        &lost,
    )?;
    stage.settle().await
}

/// The session ends when it is asked to, also in the middle of something, and answers deliveries afterwards.
pub(super) async fn stop(stage: &mut Stage<'_>) -> Step {
    stage.hub.intake(Intake::Full);
    let word = stage.word();
    stage.remote.say(&format!("in between {word}")).await?;
    let waits = stage
        .hub
        .wait(stage.options.patience, |desk| (desk.blocked > 0).then_some(()));
    waits
        .await
        .ok_or_else(|| fail("the session did not push anything into an inbox that was full"))?;
    let session = stage.stop().await;
    stage.hub.intake(Intake::Open);
    let session = session?;

    let (_, outbound) = text_out(stage)?;
    let cleared = crate::conformance::stage::clear(outbound)?;
    let answer = tokio::time::timeout(stage.options.patience, session.deliver(&cleared)).await;
    match answer.map_err(|_| fail("a delivery to a session that had ended got no answer"))? {
        Err(error) if matches!(error.failure, Failure::Retry(_)) => {}
        other => return Err(fail(format!("a delivery to a session that had ended gave {other:?}"))),
    }
    drop(session);
    stage.start().await?;
    stage.settle().await?;
    if stage.capabilities()?.history != Support::None {
        stage.hear_text(&word).await?;
    }
    Ok(())
}
