//! Waiting for a condition with a bound.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::{Instant, sleep, timeout};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(15);

/// Waits until `condition` holds.
///
/// # Errors
///
/// After `bound`, naming `what` was waited for.
pub async fn wait_until(
    what: impl Display,
    bound: Duration,
    mut condition: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let end = Instant::now() + bound;
    while !condition() {
        if Instant::now() >= end {
            bail!("waited {bound:?} in vain for: {what}");
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

/// Asks `question` again and again until it has an answer.
///
/// # Errors
///
/// After `bound`, naming `what` was waited for. A question that hangs is cut off at the bound.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(
    what: impl Display,
    bound: Duration,
    mut question: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let asking = async {
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            sleep(INTERVAL).await;
        }
    };
    timeout(bound, asking)
        .await
        .with_context(|| format!("waited {bound:?} in vain for: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_never_holds_ends_at_the_bound() {
        let begun = Instant::now();
        let error = wait_until("the moon", Duration::from_mins(1), || false)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("the moon"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(61));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_handed_on_and_a_hanging_question_is_cut_off() {
        let mut asked = 0;
        let answer = wait_for("the third time", Duration::from_secs(1), || {
            asked += 1;
            let now = asked;
            async move { (now == 3).then_some(now) }
        });
        assert_eq!(answer.await.unwrap(), 3);
        let hanging = wait_for("nothing", Duration::from_secs(1), std::future::pending::<Option<()>>);
        assert!(hanging.await.is_err());
    }
}
