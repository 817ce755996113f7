//! Policies: what they make of an event or of a text that is tried, and which rules senders call wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use viaduct_compliance::{Context, Decision, Filter, Finding, Mode, Policy, Verdict};
use viaduct_engine::Settings;
use viaduct_engine::rehearse::Judged;
use viaduct_governance::Disputed;
use viaduct_model::{
    Author, ChannelId, Content, DeliveryKey, Message, MessageId, NetworkName, Outbound, Person, Place, Timestamp,
};

use super::layout::{at, choice, facts, line, plain, send, table};
use super::visitor::{Failure, Posted, Shown, Visitor};
use super::{Site, texts};
use crate::hub::HubError;
use crate::order::Order;
use crate::role::Act;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/console/policies", get(show))
        .route("/console/policies/explain", get(explain))
        .route("/console/policies/try", post(test))
}

/// The policies that are in use, by name.
fn used(settings: &Settings) -> BTreeMap<String, Policy> {
    let networks = settings.networks.iter().map(|network| &network.policies);
    let members = settings.mirrors.iter().flat_map(|mirror| &mirror.members);
    let all = networks.chain(members.map(|member| &member.policies));
    all.flat_map(|policies| [&policies.inward, &policies.outward])
        .flatten()
        .map(|named| (named.name.clone(), named.policy.clone()))
        .collect()
}

/// The order whose givers may try things out.
fn question(event: MessageId) -> Order {
    Order::Explain { event }
}

fn may_ask(visitor: &Visitor) -> bool {
    MessageId::new("x").is_ok_and(|event| visitor.may(&question(event)))
}

/// `GET /console/policies`.
async fn show(visitor: Visitor) -> Shown {
    let disputed: Vec<Disputed> = visitor.read(Order::Disputed { since: None }).await?;
    let settings = visitor.site.console.settings();
    let policies = used(&settings);
    let content = html! {
        (in_use(&visitor, &policies))
        @if may_ask(&visitor) {
            div.forms {
                section aria-labelledby="explain" {
                    h2 #explain { (visitor.say(texts::EXPLAIN)) }
                    p { (visitor.say(texts::EXPLAIN_HELP)) }
                    form method="get" action="/console/policies/explain" {
                        (line("event", "event", visitor.say(texts::EVENT_ID), "text", true))
                        (send(visitor.say(texts::EXPLAIN)))
                    }
                }
                @if !policies.is_empty() { (trial(&visitor, &policies)) }
            }
        }
        (wrong(&visitor, &disputed))
    };
    Ok(visitor.page(texts::POLICIES, &content))
}

fn in_use(visitor: &Visitor, policies: &BTreeMap<String, Policy>) -> Markup {
    let rows: Vec<Vec<Markup>> = policies
        .iter()
        .map(|(name, policy)| {
            let mode = if policy.mode == Mode::Enforce {
                texts::MODE_ENFORCE
            } else {
                texts::MODE_MONITOR
            };
            vec![
                plain(name),
                plain(visitor.say(mode)),
                plain(policy.rules.len().to_string()),
                plain(policy.ceiling.as_deref().unwrap_or("–")),
            ]
        })
        .collect();
    let heads = [texts::POLICY, texts::MODE, texts::RULES, texts::CEILING].map(|text| visitor.say(text));
    html! {
        @if rows.is_empty() { p { (visitor.say(texts::NO_POLICIES)) } }
        @else { (table(visitor.say(texts::POLICIES_CAPTION), &heads, &rows)) }
    }
}

fn trial(visitor: &Visitor, policies: &BTreeMap<String, Policy>) -> Markup {
    let names: Vec<(String, String)> = policies.keys().map(|name| (name.clone(), name.clone())).collect();
    html! {
        section aria-labelledby="try" {
            h2 #try { (visitor.say(texts::TRY)) }
            p { (visitor.say(texts::TRY_HELP)) }
            (visitor.form("/console/policies/try", &html! {
                (choice("policy", "policy", visitor.say(texts::POLICY), &names))
                div.field {
                    label for="text" { (visitor.say(texts::TEXT)) }
                    textarea #text name="text" required {}
                }
                (send(visitor.say(texts::TRY)))
            }))
        }
    }
}

/// What senders call wrong.
fn wrong(visitor: &Visitor, disputed: &[Disputed]) -> Markup {
    let rows: Vec<Vec<Markup>> = disputed
        .iter()
        .map(|rule| {
            let events: Vec<&str> = rule.events.iter().map(MessageId::as_str).collect();
            vec![
                plain(&rule.rule),
                plain(rule.count.to_string()),
                at(rule.last),
                plain(events.join(" ")),
            ]
        })
        .collect();
    let heads = [texts::RULE, texts::COUNT, texts::LAST_TIME, texts::EVENTS].map(|text| visitor.say(text));
    html! {
        section aria-labelledby="wrong" {
            h2 #wrong { (visitor.say(texts::DISPUTED)) }
            @if rows.is_empty() { p { (visitor.say(texts::NOTHING_DISPUTED)) } }
            @else { (table(visitor.say(texts::DISPUTED_CAPTION), &heads, &rows)) }
        }
    }
}

/// Which event is asked about.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    event: String,
}

/// `GET /console/policies/explain?event=`.
async fn explain(visitor: Visitor, Query(asked): Query<Asked>) -> Shown {
    let event = MessageId::new(asked.event.trim()).map_err(|error| visitor.wrong(error.to_string()))?;
    let judged: Vec<Judged> = visitor.read(question(event.clone())).await?;
    let content = html! {
        @if judged.is_empty() { p { (visitor.say(texts::EVENT_UNKNOWN)) } }
        @for judged in &judged {
            section {
                h2 { (judged.from) " → " (judged.to) }
                (facts(&[
                    (visitor.say(texts::MIRROR), plain(judged.mirror.as_str())),
                    (visitor.say(texts::WRITTEN), at(judged.at)),
                    (visitor.say(texts::KIND), plain(judged.kind.as_str())),
                    (visitor.say(texts::DECISION), plain(visitor.say(decision(&judged.decision)))),
                    (visitor.say(texts::RULE), plain(judged.rule.as_deref().unwrap_or("–"))),
                    (visitor.say(texts::REASON), plain(judged.reason.as_deref().unwrap_or("–"))),
                    (visitor.say(texts::LABELS), plain(judged.labels.join(", "))),
                    (visitor.say(texts::POLICY_VERSIONS), plain(judged.policies.join(", "))),
                ]))
                (findings(&visitor, &judged.findings))
            }
        }
        p { a href="/console/policies" { (visitor.say(texts::POLICIES)) } }
    };
    Ok(visitor.titled(
        &texts::EXPLAIN_TITLE.with(visitor.language, &[("event", event.as_str())]),
        &content,
    ))
}

fn decision(name: &str) -> texts::Text {
    match name {
        "pass" => texts::DECISION_PASS,
        "change" => texts::DECISION_CHANGE,
        "hold" => texts::DECISION_HOLD,
        _ => texts::DECISION_REFUSE,
    }
}

fn findings(visitor: &Visitor, found: &[Finding]) -> Markup {
    let rows: Vec<Vec<Markup>> = found
        .iter()
        .map(|finding| {
            let mode = if finding.mode == Mode::Enforce {
                texts::MODE_ENFORCE
            } else {
                texts::MODE_MONITOR
            };
            vec![
                plain(&finding.rule),
                plain(finding.count.to_string()),
                plain(visitor.say(mode)),
                plain(finding.sorts.join(", ")),
            ]
        })
        .collect();
    let heads = [texts::RULE, texts::COUNT, texts::MODE, texts::FOUND_BY].map(|text| visitor.say(text));
    html! {
        @if rows.is_empty() { p { (visitor.say(texts::NO_FINDINGS)) } }
        @else { (table(visitor.say(texts::FINDINGS), &heads, &rows)) }
    }
}

/// `POST /console/policies/try`: what a policy in use makes of a text. Nothing is sent and nothing is kept.
async fn test(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let event = MessageId::new("trial").map_err(|error| visitor.wrong(error.to_string()))?;
    visitor.allow(&Act::Order(&question(event.clone()))).await?;
    let settings = visitor.site.console.settings();
    let policy = used(&settings).remove(posted.text("policy"));
    let unknown = || visitor.fail(HubError::NotFound(visitor.say(texts::NO_SUCH_POLICY).to_owned()));
    let decided = judge(visitor, policy.ok_or_else(unknown)?, posted.text("text"), &event)?;
    let (told, findings_made, verdict) = match &decided {
        Decision::Pass { findings, .. } => (texts::DECISION_PASS, findings, None),
        Decision::Hold(verdict) => (texts::DECISION_HOLD, &verdict.findings, Some(verdict)),
        Decision::Refuse(verdict) => (texts::DECISION_REFUSE, &verdict.findings, Some(verdict)),
    };
    let of = |part: fn(&Verdict) -> &str| verdict.map_or("–", part);
    let content = html! {
        (facts(&[
            (visitor.say(texts::POLICY), plain(posted.text("policy"))),
            (visitor.say(texts::DECISION), plain(visitor.say(told))),
            (visitor.say(texts::RULE), plain(of(|verdict| &verdict.rule))),
            (visitor.say(texts::REASON), plain(of(|verdict| &verdict.reason))),
        ]))
        (findings(visitor, findings_made))
        p { a href="/console/policies" { (visitor.say(texts::POLICIES)) } }
    };
    Ok(visitor.page(texts::TRY, &content))
}

fn judge(visitor: &Visitor, policy: Policy, text: &str, event: &MessageId) -> Result<Decision, Failure> {
    let failed = |error: String| visitor.fail(HubError::Failed(error));
    let filter = Filter::compile(policy).map_err(|errors| {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        failed(told.join("; "))
    })?;
    let place = |name: &str| {
        let channel = ChannelId::new("trial").map_err(|error| failed(error.to_string()))?;
        let network = NetworkName::new(name).map_err(|error| failed(error.to_string()))?;
        Ok::<_, Failure>(Place::new(network, channel))
    };
    let (from, to) = (
        Place::new(NetworkName::matrix(), place("trial")?.channel),
        place("trial")?,
    );
    let outbound = Outbound {
        key: DeliveryKey::derive(&from, event, &to),
        to,
        from,
        author: Author {
            person: Person::hub(),
            display: String::new(),
        },
        at: Timestamp::default(),
        content: Content::Message(Message::plain(text)),
        parts: Vec::new(),
    };
    let context = Context {
        now: Some(visitor.site.desk.access().now()),
        ..Context::default()
    };
    Ok(filter.decide_with(&context, outbound))
}
