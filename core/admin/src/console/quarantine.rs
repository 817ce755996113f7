//! What is held: listed without content and names; shown, released or rejected with a reason, by whoever may.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use viaduct_governance::{Held, HeldId, HeldState};
use viaduct_model::{Event, Language};

use super::layout::{at, facts, line, plain, send, send_for_good, table};
use super::visitor::{Failure, Posted, Shown, Visitor};
use super::{Site, texts};
use crate::order::Order;

const LIST: &str = "/console/quarantine";

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route(LIST, get(list))
        .route("/console/quarantine/{id}", get(show))
        .route("/console/quarantine/{id}/content", post(content))
        .route("/console/quarantine/{id}/release", post(release))
        .route("/console/quarantine/{id}/reject", post(reject))
}

/// `GET /console/quarantine`.
async fn list(visitor: Visitor) -> Shown {
    let held: Vec<Held> = visitor.read(Order::Held).await?;
    let rows: Vec<Vec<Markup>> = held
        .iter()
        .map(|held| {
            vec![
                html! { a href={ (LIST) "/" (held.id) } { (held.id) } },
                plain(state(held, visitor.language)),
                at(held.since),
                at(held.until),
                plain(held.partner.as_str()),
                plain(held.from.to_string()),
                plain(held.lane.to.to_string()),
                plain(&held.rule),
                plain(&held.reason),
            ]
        })
        .collect();
    let heads = [
        texts::ID,
        texts::STATE,
        texts::SINCE,
        texts::REJECTED_AT,
        texts::PARTNER,
        texts::FROM,
        texts::TO,
        texts::RULE,
        texts::REASON,
    ]
    .map(|text| visitor.say(text));
    let content = html! {
        p { (visitor.say(texts::QUARANTINE_HELP)) }
        @if rows.is_empty() { p { (visitor.say(texts::NOTHING_HELD)) } }
        @else { (table(visitor.say(texts::QUARANTINE_CAPTION), &heads, &rows)) }
    };
    Ok(visitor.page(texts::QUARANTINE, &content))
}

fn state(held: &Held, language: Language) -> &'static str {
    let text = match &held.state {
        HeldState::Waiting => texts::HELD_WAITING,
        HeldState::Free => texts::HELD_FREE,
        HeldState::Released { .. } => texts::HELD_RELEASED,
    };
    text.pick(language)
}

fn parse(visitor: &Visitor, id: &str) -> Result<HeldId, Failure> {
    HeldId::parse(id).map_err(|error| visitor.fail(crate::hub::HubError::from(error)))
}

/// `GET /console/quarantine/{id}`: everything but who and what.
async fn show(visitor: Visitor, Path(id): Path<String>) -> Shown {
    let id = parse(&visitor, &id)?;
    let all: Vec<Held> = visitor.read(Order::Held).await?;
    let found = all.into_iter().find(|held| held.id == id);
    let not_held = || viaduct_governance::GovernanceError::NotHeld(id.to_string());
    let held = found.ok_or_else(|| visitor.fail(crate::hub::HubError::from(not_held())))?;
    let content = html! {
        (about(&visitor, &held))
        (offered(&visitor, &held))
    };
    Ok(visitor.titled(
        &texts::HELD_TITLE.with(visitor.language, &[("id", &id.to_string())]),
        &content,
    ))
}

fn about(visitor: &Visitor, held: &Held) -> Markup {
    let say = |text: texts::Text| visitor.say(text);
    let findings: Vec<String> = held
        .findings
        .iter()
        .map(|(rule, count)| format!("{rule}: {count}"))
        .collect();
    let sender = held.sender.as_ref().map(ToString::to_string).unwrap_or_default();
    facts(&[
        (say(texts::STATE), plain(state(held, visitor.language))),
        (say(texts::PARTNER), plain(held.partner.as_str())),
        (say(texts::MIRROR), plain(held.lane.mirror.as_str())),
        (say(texts::FROM), plain(held.from.to_string())),
        (say(texts::TO), plain(held.lane.to.to_string())),
        (say(texts::KIND), plain(held.kind.as_str())),
        (say(texts::WRITTEN), at(held.at)),
        (say(texts::SINCE), at(held.since)),
        (say(texts::REJECTED_AT), at(held.until)),
        (say(texts::RULE), plain(&held.rule)),
        (say(texts::REASON), plain(&held.reason)),
        (say(texts::FINDINGS), plain(findings.join(", "))),
        (say(texts::SENDER), plain(sender)),
    ])
}

/// What they may do about it.
fn offered(visitor: &Visitor, held: &Held) -> Markup {
    let (id, by, reason) = (held.id.clone(), String::new(), String::new());
    let show = Order::ShowHeld { id, by, reason };
    let waits = held.state == HeldState::Waiting;
    let path = |what: &str| format!("{LIST}/{}/{what}", held.id);
    let why = |id: &str| line(id, "reason", visitor.say(texts::REASON_GIVEN), "text", true);
    html! {
        @if visitor.may(&show) {
            div.forms {
                section aria-labelledby="look" {
                    h2 #look { (visitor.say(texts::LOOK)) }
                    p { (visitor.say(texts::LOOK_HELP)) }
                    (visitor.form(&path("content"), &html! { (why("look-reason")) (send(visitor.say(texts::LOOK))) }))
                }
                @if waits && held.release.by_second_person() {
                    section aria-labelledby="release" {
                        h2 #release { (visitor.say(texts::RELEASE)) }
                        p { (visitor.say(texts::RELEASE_HELP)) }
                        (visitor.form(&path("release"), &html! { (why("release-reason")) (send(visitor.say(texts::RELEASE))) }))
                    }
                }
                @if waits {
                    section aria-labelledby="reject" {
                        h2 #reject { (visitor.say(texts::REJECT)) }
                        p { (visitor.say(texts::REJECT_HELP)) }
                        (visitor.form(&path("reject"), &html! { (why("reject-reason")) (send_for_good(visitor.say(texts::REJECT))) }))
                    }
                }
            }
        } @else {
            p { (visitor.say(texts::ONLY_APPROVERS)) }
        }
    }
}

/// What [`Order::ShowHeld`] answers.
#[derive(Deserialize)]
struct Opened {
    held: Held,
    event: Event,
}

/// `POST /console/quarantine/{id}/content`: the content, once; that it was shown is in the ledger.
async fn content(Path(id): Path<String>, posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let order = Order::ShowHeld {
        id: parse(visitor, &id)?,
        by: String::new(),
        reason: posted.required("reason")?,
    };
    let Opened { held, event } = visitor.read(order).await?;
    let message = event.content.message();
    // What is no message (a topic, a name) is shown as it is kept.
    let text = message.map_or_else(
        || serde_json::to_string_pretty(&event.content).unwrap_or_default(),
        |message| message.body.to_plain(),
    );
    let files: Vec<&str> = message.map_or_else(Vec::new, |message| {
        message.attachments.iter().map(|file| file.name.as_str()).collect()
    });
    let content = html! {
        p.warning role="note" { (visitor.say(texts::LOOKED)) }
        (facts(&[
            (visitor.say(texts::SENDER), plain(format!("{} ({})", event.sender.name, event.sender.id))),
            (visitor.say(texts::KIND), plain(event.content.kind().as_str())),
            (visitor.say(texts::FILES), plain(files.join(", "))),
        ]))
        h2 { (visitor.say(texts::CONTENT)) }
        pre tabindex="0" { (text) }
        (about(visitor, &held))
        (offered(visitor, &held))
    };
    Ok(visitor.titled(&texts::HELD_TITLE.with(visitor.language, &[("id", &id)]), &content))
}

/// `POST /console/quarantine/{id}/release`, as a second person.
async fn release(Path(id): Path<String>, posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let order = Order::ReleaseHeld {
        id: parse(visitor, &id)?,
        by: String::new(),
        reason: posted.required("reason")?,
    };
    visitor.order(order).await?;
    Ok(visitor.done(LIST, visitor.say(texts::RELEASED)))
}

/// `POST /console/quarantine/{id}/reject`.
async fn reject(Path(id): Path<String>, posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let order = Order::RejectHeld {
        id: parse(visitor, &id)?,
        by: String::new(),
        reason: posted.required("reason")?,
    };
    visitor.order(order).await?;
    Ok(visitor.done(LIST, visitor.say(texts::REJECTED)))
}
