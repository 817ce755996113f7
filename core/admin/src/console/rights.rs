//! What must not be deleted, what has to be, and what people may demand: legal holds, retention, subject rights, pseudonyms.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::Value;
use viaduct_governance::{Day, LegalHold, PartnerName, Scope};
use viaduct_model::{MirrorName, NetworkName, PersonId};

use super::layout::{at, line, plain, send, send_for_good, table};
use super::visitor::{Failure, Posted, Shown, Visitor};
use super::{Site, texts};
use crate::order::Order;

const PAGE: &str = "/console/rights";
/// How many ids of one person are taken at once.
const IDS: usize = 50;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route(PAGE, get(show))
        .route("/console/rights/hold", post(place))
        .route("/console/rights/lift", post(lift))
        .route("/console/rights/retain", post(retain))
        .route("/console/rights/export", post(export))
        .route("/console/rights/erase", post(erase))
        .route("/console/rights/grant", post(grant))
        .route("/console/rights/unmask", post(unmask))
}

/// The orders of this page without what a form says, to see who may give them.
struct Offers {
    lift: Order,
    place: Order,
    export: Order,
    erase: Order,
    grant: Order,
    unmask: Order,
}

impl Offers {
    fn new() -> Self {
        let text = String::new;
        Self {
            lift: Order::LiftHold {
                id: text(),
                reason: text(),
                by: text(),
            },
            place: Order::PlaceHold {
                scope: Scope::default(),
                reason: text(),
                by: text(),
            },
            export: Order::ExportSubject {
                ids: Vec::new(),
                reason: text(),
                by: text(),
            },
            erase: Order::EraseSubject {
                ids: Vec::new(),
                reason: text(),
                by: text(),
            },
            grant: Order::GrantUnmask {
                tag: text(),
                to: text(),
                by: text(),
                reason: text(),
            },
            unmask: Order::Unmask {
                tag: text(),
                by: text(),
                granted_by: text(),
                reason: text(),
            },
        }
    }
}

/// `GET /console/rights`.
async fn show(visitor: Visitor) -> Shown {
    let holds: Vec<LegalHold> = visitor.read(Order::Holds).await?;
    let offers = Offers::new();
    let say = |text: texts::Text| visitor.say(text);
    let reason = |id: &str| line(id, "reason", say(texts::REASON_GIVEN), "text", true);
    let ids = |id: &str| {
        html! {
            div.field {
                label for=(id) { (say(texts::PERSON_IDS)) }
                textarea id=(id) name="ids" required {}
            }
        }
    };
    let content = html! {
        section aria-labelledby="holds" {
            h2 #holds { (say(texts::HOLDS)) }
            (standing(&visitor, &holds, visitor.may(&offers.lift)))
        }
        div.forms {
            @if visitor.may(&offers.place) {
                (section(&visitor, "place", texts::PLACE_HOLD, "hold", &html! {
                    (line("hold-partner", "partner", say(texts::PARTNER), "text", false))
                    (line("hold-mirror", "mirror", say(texts::MIRROR), "text", false))
                    (line("hold-person", "person", say(texts::PERSON_ID), "text", false))
                    (line("hold-since", "since", say(texts::FIRST_DAY), "date", false))
                    (line("hold-until", "until", say(texts::LAST_DAY), "date", false))
                    (reason("hold-reason"))
                    (send(say(texts::PLACE_HOLD)))
                }))
            }
            @if visitor.may(&Order::Retain) {
                (section(&visitor, "retain", texts::RETAIN, "retain", &html! {
                    p { (say(texts::RETAIN_HELP)) }
                    (send_for_good(say(texts::RETAIN)))
                }))
            }
            @if visitor.may(&offers.export) {
                (section(&visitor, "export", texts::SUBJECT_EXPORT, "export", &html! {
                    (ids("export-ids")) (reason("export-reason")) (send(say(texts::SUBJECT_EXPORT)))
                }))
            }
            @if visitor.may(&offers.erase) {
                (section(&visitor, "erase", texts::SUBJECT_ERASE, "erase", &html! {
                    (ids("erase-ids")) (reason("erase-reason")) (send_for_good(say(texts::SUBJECT_ERASE)))
                }))
            }
            @if visitor.may(&offers.grant) {
                (section(&visitor, "grant", texts::GRANT, "grant", &html! {
                    (line("grant-tag", "tag", say(texts::PSEUDONYM), "text", true))
                    (line("grant-to", "to", say(texts::GRANT_TO), "text", true))
                    (reason("grant-reason"))
                    (send(say(texts::GRANT)))
                }))
            }
            @if visitor.may(&offers.unmask) {
                (section(&visitor, "unmask", texts::UNMASK, "unmask", &html! {
                    p { (say(texts::UNMASK_HELP)) }
                    (line("unmask-tag", "tag", say(texts::PSEUDONYM), "text", true))
                    (reason("unmask-reason"))
                    (send(say(texts::UNMASK)))
                }))
            }
        }
    };
    Ok(visitor.page(texts::RIGHTS, &content))
}

fn section(visitor: &Visitor, id: &str, title: texts::Text, what: &str, content: &Markup) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (visitor.say(title)) }
            (visitor.form(&format!("{PAGE}/{what}"), content))
        }
    }
}

fn standing(visitor: &Visitor, holds: &[LegalHold], lifts: bool) -> Markup {
    let rows: Vec<Vec<Markup>> = holds
        .iter()
        .enumerate()
        .map(|(number, hold)| {
            let mut cells = vec![
                plain(&hold.id),
                plain(&hold.reason),
                plain(covers(&hold.scope)),
                plain(&hold.author),
                at(hold.at),
            ];
            if lifts {
                let id = format!("lift-{number}");
                cells.push(visitor.form(
                    &format!("{PAGE}/lift"),
                    &html! {
                        input type="hidden" name="id" value=(hold.id);
                        (line(&id, "reason", visitor.say(texts::REASON_GIVEN), "text", true))
                        (send_for_good(visitor.say(texts::LIFT_HOLD)))
                    },
                ));
            }
            cells
        })
        .collect();
    let mut heads = [texts::ID, texts::REASON, texts::COVERS, texts::PLACED_BY, texts::SINCE]
        .map(|text| visitor.say(text))
        .to_vec();
    if lifts {
        heads.push(visitor.say(texts::LIFT_HOLD));
    }
    html! {
        @if rows.is_empty() { p { (visitor.say(texts::NO_HOLDS)) } }
        @else { (table(visitor.say(texts::HOLDS), &heads, &rows)) }
    }
}

fn covers(scope: &Scope) -> String {
    let person = scope
        .person
        .as_ref()
        .map(|(network, person)| format!("{network}/{person}"));
    let day = |at: viaduct_model::Timestamp| Day::of(at).to_string();
    let parts = [
        scope.partner.as_ref().map(ToString::to_string),
        scope.mirror.as_ref().map(ToString::to_string),
        person,
        scope.since.map(|at| format!("≥ {}", day(at))),
        scope.until.map(|at| format!("< {}", day(at))),
    ];
    let told: Vec<String> = parts.into_iter().flatten().collect();
    if told.is_empty() {
        "*".to_owned()
    } else {
        told.join(", ")
    }
}

/// Somebody's id as `network/id`.
fn person(text: &str) -> Result<(NetworkName, PersonId), String> {
    let (network, id) = text.trim().split_once('/').ok_or("network/id")?;
    let network = NetworkName::new(network).map_err(|error| error.to_string())?;
    Ok((network, PersonId::new(id).map_err(|error| error.to_string())?))
}

/// Somebody's ids, one a line.
fn people(posted: &Posted) -> Result<Vec<(NetworkName, PersonId)>, Failure> {
    let lines = |text: &str| {
        let found = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .take(IDS)
            .map(person);
        found.collect::<Result<Vec<_>, String>>()
    };
    let ids = posted.parsed("ids", lines)?;
    if ids.is_empty() {
        posted.required("ids")?;
    }
    Ok(ids)
}

/// `POST /console/rights/hold`.
async fn place(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let order = Order::PlaceHold {
        scope: Scope {
            partner: posted.optional("partner", |name| PartnerName::new(name))?,
            mirror: posted.optional("mirror", |name| MirrorName::new(name))?,
            person: posted.optional("person", person)?,
            since: posted.optional("since", Day::parse)?.map(Day::start),
            until: posted.optional("until", Day::parse)?.map(Day::end),
        },
        reason: posted.required("reason")?,
        by: String::new(),
    };
    visitor.order(order).await?;
    Ok(visitor.done(PAGE, visitor.say(texts::DONE)))
}

/// `POST /console/rights/lift`.
async fn lift(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let order = Order::LiftHold {
        id: posted.required("id")?,
        reason: posted.required("reason")?,
        by: String::new(),
    };
    visitor.order(order).await?;
    Ok(visitor.done(PAGE, visitor.say(texts::DONE)))
}

/// `POST /console/rights/retain`: deletes what is due.
async fn retain(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let report = visitor.order(Order::Retain).await?;
    Ok(answered(visitor, texts::RETAIN, &report))
}

/// A page with an answer as it is.
fn answered(visitor: &Visitor, title: texts::Text, answer: &Value) -> axum::response::Response {
    let told = serde_json::to_string_pretty(answer).unwrap_or_default();
    let content = html! {
        p.good role="status" { (visitor.say(texts::DONE)) }
        pre tabindex="0" { (told) }
        p { a href=(PAGE) { (visitor.say(texts::RIGHTS)) } }
    };
    visitor.page(title, &content)
}

/// `POST /console/rights/export`: everything about a person, as a file.
async fn export(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let order = Order::ExportSubject {
        ids: people(&posted)?,
        reason: posted.required("reason")?,
        by: String::new(),
    };
    let answer = visitor.order(order).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"export.json\""),
    ];
    let told = serde_json::to_string_pretty(&answer).unwrap_or_default();
    Ok((headers, told).into_response())
}

/// `POST /console/rights/erase`.
async fn erase(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let order = Order::EraseSubject {
        ids: people(&posted)?,
        reason: posted.required("reason")?,
        by: String::new(),
    };
    let answer = visitor.order(order).await?;
    Ok(answered(visitor, texts::SUBJECT_ERASE, &answer))
}

/// `POST /console/rights/grant`: lets somebody else lift a pseudonym, once, within a day.
async fn grant(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let order = Order::GrantUnmask {
        tag: posted.required("tag")?,
        to: posted.required("to")?,
        by: String::new(),
        reason: posted.required("reason")?,
    };
    visitor.order(order).await?;
    Ok(visitor.done(PAGE, visitor.say(texts::GRANTED)))
}

/// `POST /console/rights/unmask`: whose a pseudonym is, where somebody else granted it.
async fn unmask(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let order = Order::Unmask {
        tag: posted.required("tag")?,
        by: String::new(),
        granted_by: String::new(),
        reason: posted.required("reason")?,
    };
    let answer = visitor.order(order).await?;
    let found = answer.get("person").and_then(Value::as_str);
    let content = html! {
        p { (found.unwrap_or(visitor.say(texts::NOBODY_KNOWN))) }
        p { a href=(PAGE) { (visitor.say(texts::RIGHTS)) } }
    };
    Ok(visitor.page(texts::UNMASK, &content))
}
