//! What a sender calls a false alarm: they are told how to say so, and heard.
//!
//! `!viaduct fehlalarm NUMBER` or `!viaduct false-alarm NUMBER`, in the room or to the bot. It changes nothing about the message; it
//! is noted in the ledger, with the rule and the event, for those who write the rules.

use std::sync::Arc;

use viaduct_compliance::{Mode, Verdict};
use viaduct_governance::{Dispute, HeldId, Text, contact};
use viaduct_model::{Event, Language};
use viaduct_store::{Lane, Seq};

use crate::EngineError;
use crate::core::Core;
use crate::notices::room;

/// How a sender whom these rules concerned says that they are wrong. It is remembered first what they were told of; none if it
/// could not be, and then they cannot say so.
pub(crate) async fn hint(core: &Arc<Core>, lane: &Lane, seq: Seq, event: &Event, rules: &[&str]) -> Option<String> {
    let desk = core.govern.desk.as_ref()?;
    let raised = async {
        let register = core.govern.register();
        let raised = desk
            .alarms
            .raise(&register, (lane, seq), event, rules, core.clock.now())?;
        let Some((number, step)) = raised else { return Ok(None) };
        core.submit(step.ops, step.entries).await?.await?;
        Ok::<_, EngineError>(Some(number))
    };
    match raised.await {
        Ok(number) => {
            let values = [("rule", &*rules.join(", ")), ("number", &number?.to_string())];
            Some(Text::FalsePositiveOffered.say(core.settings().language, &values))
        }
        Err(error) => {
            tracing::warn!(to = %lane.to, %error, "What a sender was told of could not be remembered.");
            None
        }
    }
}

/// The same for a rule that stopped an event because of something in it; none where it did so because of who, where or what kind.
pub(crate) async fn hint_on(
    core: &Arc<Core>,
    lane: &Lane,
    seq: Seq,
    event: &Event,
    verdict: &Verdict,
) -> Option<String> {
    let found = is_found(verdict);
    if found {
        hint(core, lane, seq, event, &[&verdict.rule]).await
    } else {
        None
    }
}

/// Whether the rule that decided found something in the event itself.
fn is_found(verdict: &Verdict) -> bool {
    let mut findings = verdict.findings.iter();
    findings.any(|finding| finding.rule == verdict.rule && finding.mode == Mode::Enforce && finding.count > 0)
}

/// Tells the sender of what a rule stopped how to say that it is wrong. That it was stopped, and why, they are told anyway.
pub(crate) fn offer(core: &Arc<Core>, lane: &Lane, seq: Seq, event: &Event, verdict: &Verdict) {
    let (Some(home), Some(room)) = (core.home(), room(core, &event.place)) else {
        return;
    };
    let (core, lane, event, verdict) = (core.clone(), lane.clone(), event.clone(), verdict.clone());
    core.tasks.clone().spawn(async move {
        let Some(hint) = hint_on(&core, &lane, seq, &event, &verdict).await else {
            return;
        };
        let key = format!("alarm-{}", HeldId::of(&lane, seq));
        if let Err(error) = home.notice(&room, &hint, Some(event.id.as_str()), &key).await {
            tracing::debug!(%error, "A sender could not be told how to call a rule wrong.");
        }
    });
}

/// The number of a finding that somebody calls wrong, if that is what they say, and in which language.
fn wish(text: &str) -> Option<(Language, Option<u32>)> {
    let text = text.trim();
    let words = text.strip_prefix("!viaduct").unwrap_or(text).trim_start();
    let (verb, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
    let language = match verb.to_lowercase().as_str() {
        "fehlalarm" => Language::German,
        "false-alarm" => Language::English,
        _ => return None,
    };
    // Whatever else they say is not kept: it may be what must not be said.
    let number = rest.split_whitespace().next();
    Some((language, number.and_then(|number| number.parse().ok())))
}

/// The answer to somebody who calls a rule wrong; none if they said something else.
pub(crate) async fn asked(core: &Arc<Core>, sender: &str, text: &str) -> Option<String> {
    let (language, number) = wish(text)?;
    match dispute(core, sender, number, language).await {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::error!(%error, "That a rule is called wrong could not be noted.");
            Some(error.to_string())
        }
    }
}

async fn dispute(
    core: &Arc<Core>,
    sender: &str,
    number: Option<u32>,
    language: Language,
) -> Result<String, EngineError> {
    let unknown = Text::FalsePositiveUnknown.say(language, &[]);
    let (Some(desk), Some(number)) = (&core.govern.desk, number) else {
        return Ok(unknown);
    };
    // One at a time, so that nobody says it twice at once.
    let alone = desk.telling.lock().await;
    let (alarm, step) = match desk.alarms.dispute(number, sender, core.clock.now()).await? {
        Dispute::Noted(alarm, step) => (alarm, step),
        Dispute::Twice => return Ok(Text::FalsePositiveTwice.say(language, &[])),
        Dispute::Unknown => return Ok(unknown),
    };
    core.submit(step.ops, step.entries).await?.await?;
    drop(alone);
    tracing::info!(rules = ?alarm.rules, to = %alarm.lane.to, "A sender calls a rule wrong.");
    let register = core.govern.register();
    let asked = register
        .partner(&alarm.partner)
        .map(|partner| contact(&partner.agreement));
    let compliance = language.pick("compliance", "die Compliance");
    let values = [
        ("rule", &*alarm.rules.join(", ")),
        ("contact", asked.as_deref().unwrap_or(compliance)),
    ];
    Ok(Text::FalsePositive.say(language, &values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_names_a_number() {
        let (german, english) = (Language::German, Language::English);
        assert_eq!(wish("!viaduct fehlalarm 123456"), Some((german, Some(123_456))));
        assert_eq!(wish("False-Alarm 7 because"), Some((english, Some(7))));
        assert_eq!(wish("!viaduct false-alarm"), Some((english, None)));
        assert_eq!(wish("!viaduct false-alarm it is"), Some((english, None)));
        assert_eq!(wish("!viaduct fehler 1"), None);
    }
}
