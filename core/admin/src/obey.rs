//! The bot's orders: what operators say, as orders, and the answers in words.

use serde_json::Value;
use viaduct_governance::{Day, Held, HeldId, PartnerName};
use viaduct_model::Language;

use crate::access::Caller;
use crate::command::command;
use crate::denied::Denied;
use crate::desk::Desk;
use crate::hub::HubError;
use crate::order::{Order, PartnerStatus};
use crate::role::Act;

/// The answer of the bot to what `sender` (a Matrix user id) said, whoever they are.
pub async fn answer(text: &str, sender: &str, desk: &Desk, language: Language) -> String {
    let caller = match desk.access().sender(sender) {
        Ok(caller) => caller,
        Err(ended @ Denied::Ended(_)) => return ended.say(language),
        Err(_) => {
            let refusal = language.pick(
                "Only this bridge's operators may command me.",
                "Nur die Betreiber dieser Brücke dürfen mir befehlen.",
            );
            return refusal.to_owned();
        }
    };
    if let Some(told) = obey(text, &caller, desk, language).await {
        return told;
    }
    match desk.allow(&caller, &Act::Status).await {
        Ok(()) => command(text, &desk.hub().status().await, language),
        Err(denied) => denied.say(language),
    }
}

/// The answer to an order; none if what was said is no order, but perhaps a command.
async fn obey(text: &str, caller: &Caller, desk: &Desk, language: Language) -> Option<String> {
    let order = match ordered(text)? {
        Ordered::Order(order) => order,
        Ordered::Unclear => return Some(usage(language).to_owned()),
    };
    Some(match desk.order(caller, order.clone()).await {
        Ok(answer) => told(&order, &answer, language),
        Err(HubError::Denied(denied)) => denied.say(language),
        Err(error) => error.to_string(),
    })
}

/// What was said, as an order.
#[derive(Debug, PartialEq)]
pub(crate) enum Ordered {
    /// This one; in whose name is the desk's to say.
    Order(Order),
    /// One that is not understood.
    Unclear,
}

/// The order that somebody gives with these words; none if they are about something else.
pub(crate) fn ordered(text: &str) -> Option<Ordered> {
    let words = text.trim().strip_prefix("!viaduct").unwrap_or(text).trim();
    let mut words = words.split_whitespace();
    let (subject, verb) = (words.next()?.to_lowercase(), words.next().map(str::to_lowercase));
    let rest: Vec<&str> = words.collect();
    let order = match subject.as_str() {
        "quarantine" | "quarantäne" => quarantine(verb.as_deref(), &rest),
        "partner" => partner(verb.as_deref(), &rest),
        _ => return None,
    };
    Some(order.map_or(Ordered::Unclear, Ordered::Order))
}

fn quarantine(verb: Option<&str>, rest: &[&str]) -> Option<Order> {
    let by = String::new();
    let named = || {
        let (id, reason) = rest.split_first()?;
        Some((HeldId::parse(id).ok()?, reason.join(" ")))
    };
    match verb {
        None | Some("list") => Some(Order::Held),
        Some("release") => named().map(|(id, reason)| Order::ReleaseHeld { id, by, reason }),
        Some("reject") => named().map(|(id, reason)| Order::RejectHeld { id, by, reason }),
        _ => None,
    }
}

fn partner(verb: Option<&str>, rest: &[&str]) -> Option<Order> {
    let by = String::new();
    let named = || {
        let (name, rest) = rest.split_first()?;
        Some((PartnerName::new(name).ok()?, rest.join(" ")))
    };
    match verb {
        None | Some("list") => Some(Order::Partners),
        Some("renew") => {
            let (name, until) = named()?;
            let until = Day::parse(&until).ok()?;
            Some(Order::RenewPartner { name, until, by })
        }
        Some("suspend") => named().map(|(name, reason)| Order::SuspendPartner { name, reason, by }),
        Some("resume") => named().map(|(name, _)| Order::ResumePartner { name, by }),
        _ => None,
    }
}

fn usage(language: Language) -> &'static str {
    language.pick(
        "!viaduct quarantine list\n\
         !viaduct quarantine release ID REASON – as a second person\n\
         !viaduct quarantine reject ID REASON\n\
         !viaduct partner list\n\
         !viaduct partner renew NAME 2026-12-31\n\
         !viaduct partner suspend NAME REASON\n\
         !viaduct partner resume NAME",
        "!viaduct quarantine list\n\
         !viaduct quarantine release KENNUNG GRUND – als zweite Person freigeben\n\
         !viaduct quarantine reject KENNUNG GRUND – ablehnen\n\
         !viaduct partner list\n\
         !viaduct partner renew NAME 2026-12-31 – verlängern\n\
         !viaduct partner suspend NAME GRUND – aussetzen\n\
         !viaduct partner resume NAME – fortsetzen",
    )
}

fn told(order: &Order, answer: &Value, language: Language) -> String {
    match order {
        Order::Held => {
            let held: Vec<Held> = serde_json::from_value(answer.clone()).unwrap_or_default();
            let lines: Vec<String> = held
                .iter()
                .map(|held| {
                    format!(
                        "{} {} → {}: {} ({})",
                        held.id, held.from, held.lane.to, held.reason, held.rule
                    )
                })
                .collect();
            listed(&lines, language.pick("Nothing is held.", "Nichts wird zurückgehalten."))
        }
        Order::Partners => {
            let partners: Vec<PartnerStatus> = serde_json::from_value(answer.clone()).unwrap_or_default();
            let lines: Vec<String> = partners
                .iter()
                .map(|partner| format!("{}: {} ({})", partner.name, partner.says, partner.valid_until))
                .collect();
            listed(
                &lines,
                language.pick("There are no partners.", "Es gibt keine Partner."),
            )
        }
        _ => language.pick("Done.", "Erledigt.").to_owned(),
    }
}

fn listed(lines: &[String], none: &str) -> String {
    if lines.is_empty() {
        none.to_owned()
    } else {
        lines.join("\n")
    }
}
