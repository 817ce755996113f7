//! What a sender may send all the same: they are told how, and heard.
//!
//! `!viaduct trotzdem NUMBER REASON` or `!viaduct anyway NUMBER REASON`, in the room or to the bot. What it lets go takes the
//! way of everything that is released: the policies are asked once more, and only rules that allow it give way.

use std::sync::Arc;

use viaduct_compliance::{Approval, JUSTIFICATION, Verdict};
use viaduct_governance::{GovernanceError, HeldId, Text};
use viaduct_model::{Event, Language};
use viaduct_store::{Lane, Seq};

use crate::EngineError;
use crate::core::Core;
use crate::disputing;
use crate::notices::{organisation, room, with_hint};

/// Tells the sender of what is held that they may send it all the same, and how. Never repeats what was found.
pub(crate) fn offer(core: &Arc<Core>, lane: &Lane, seq: Seq, event: &Event, verdict: &Verdict) {
    let (Some(home), Some(room)) = (core.home(), room(core, &event.place)) else {
        return;
    };
    let id = HeldId::of(lane, seq);
    let values = [
        ("partner", &*organisation(core, &lane.to)),
        ("rule", &verdict.rule),
        ("number", &id.number().to_string()),
        ("chars", &JUSTIFICATION.to_string()),
    ];
    let text = Text::OverrideOffered.say(core.settings().language, &values);
    let (core, lane, event, verdict) = (core.clone(), lane.clone(), event.clone(), verdict.clone());
    core.tasks.clone().spawn(async move {
        let hint = disputing::hint_on(&core, &lane, seq, &event, &verdict).await;
        let (text, key) = (with_hint(&text, hint), format!("offer-{id}"));
        if let Err(error) = home.notice(&room, &text, Some(event.id.as_str()), &key).await {
            tracing::warn!(%id, %error, "A sender could not be told that they may send it all the same.");
        }
    });
}

/// What somebody says who would send what a rule stopped.
#[derive(Debug, PartialEq, Eq)]
struct Wish<'a> {
    language: Language,
    /// The number of what is held; none if it is no number.
    number: Option<u32>,
    reason: &'a str,
}

fn wish(text: &str) -> Option<Wish<'_>> {
    let text = text.trim();
    let words = text.strip_prefix("!viaduct").unwrap_or(text).trim_start();
    let (verb, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
    let language = match verb.to_lowercase().as_str() {
        "trotzdem" => Language::German,
        "anyway" => Language::English,
        _ => return None,
    };
    let rest = rest.trim();
    let (number, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Some(Wish {
        language,
        number: number.parse().ok(),
        reason: reason.trim(),
    })
}

/// The answer to somebody who would send all the same what a rule stopped; none if they said something else.
pub(crate) async fn asked(core: &Arc<Core>, sender: &str, text: &str) -> Option<String> {
    let wish = wish(text)?;
    let approval = Approval {
        approver: sender,
        reason: wish.reason,
    };
    let said = match override_held(core, wish.number, &approval).await {
        Ok(()) => Text::OverrideTaken,
        Err(EngineError::Governance(GovernanceError::NotHeld(_))) => Text::OverrideUnknown,
        Err(EngineError::Governance(GovernanceError::NotAllowed(_))) if !approval.is_justified() => {
            Text::OverrideNeedsReason
        }
        Err(EngineError::Governance(GovernanceError::NotAllowed(_))) => Text::OverrideForbidden,
        Err(error) => {
            tracing::error!(%error, "What a sender sends all the same could not be let go.");
            return Some(error.to_string());
        }
    };
    Some(said.say(wish.language, &[("chars", &JUSTIFICATION.to_string())]))
}

async fn override_held(core: &Arc<Core>, number: Option<u32>, approval: &Approval<'_>) -> Result<(), EngineError> {
    let nothing = || GovernanceError::NotHeld(String::new());
    let number = number.ok_or_else(nothing)?;
    // Without a quarantine nothing is held.
    let quarantine = core.govern.quarantine.as_ref().ok_or_else(nothing)?;
    let (held, step) = quarantine.override_held(number, approval, core.clock.now()).await?;
    core.submit(step.ops, step.entries).await?.await?;
    core.govern.released.notify_one();
    tracing::info!(id = %held.id, rule = held.rule, "A sender sends all the same what a rule stopped.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_has_a_number_and_a_reason() {
        let of = |language, number, reason| {
            Some(Wish {
                language,
                number,
                reason,
            })
        };
        let (german, english) = (Language::German, Language::English);
        assert_eq!(
            wish("!viaduct trotzdem 123456  Der Kunde Will es "),
            of(german, Some(123_456), "Der Kunde Will es")
        );
        assert_eq!(wish("Anyway 7\tso it is"), of(english, Some(7), "so it is"));
        assert_eq!(wish("!viaduct anyway 7"), of(english, Some(7), ""));
        assert_eq!(wish("!viaduct anyway"), of(english, None, ""));
        assert_eq!(wish("!viaduct anyway please let it go"), of(english, None, "let it go"));
        assert_eq!(wish("!viaduct status"), None);
        assert_eq!(wish("!viaduct trotz"), None);
    }
}
