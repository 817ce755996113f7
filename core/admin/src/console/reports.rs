//! What is given account of: a month with a partner, what a breach concerns, what is processed.

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use viaduct_governance::{Day, Incident, Month, PartnerName, PartnerReport};

use super::layout::{choice, line, send, tag};
use super::menu::record;
use super::visitor::{Posted, Shown, Visitor};
use super::{Site, texts};
use crate::order::Order;
use crate::role::Act;

const PAGE: &str = "/console/reports";

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route(PAGE, get(show))
        .route("/console/reports/month", get(month))
        .route("/console/reports/record", get(processing))
        .route("/console/reports/incident", post(incident))
}

/// `GET /console/reports`.
async fn show(visitor: Visitor) -> Shown {
    visitor.allow(&Act::Order(&record())).await?;
    let (register, now) = visitor.site.desk.hub().register();
    let partners: Vec<(String, String)> = register
        .partners()
        .keys()
        .map(|name| (name.to_string(), name.to_string()))
        .collect();
    let today = Day::of(now);
    let breach = Order::Incident {
        name: PartnerName::own(),
        since: today,
        until: today,
        by: String::new(),
        reason: String::new(),
    };
    let say = |text: texts::Text| visitor.say(text);
    let content = html! {
        @if partners.is_empty() { p { (say(texts::NO_PARTNERS)) } }
        div.forms {
            @if !partners.is_empty() {
                section aria-labelledby="month-of" {
                    h2 #month-of { (say(texts::REPORT)) }
                    form method="get" action="/console/reports/month" {
                        (choice("partner", "partner", say(texts::PARTNER), &partners))
                        (line("month", "month", say(texts::MONTH), "month", true))
                        (send(say(texts::REPORT)))
                    }
                }
                @if visitor.may(&breach) {
                    section aria-labelledby="incident" {
                        h2 #incident { (say(texts::INCIDENT)) }
                        (visitor.form("/console/reports/incident", &html! {
                            (choice("incident-partner", "partner", say(texts::PARTNER), &partners))
                            (line("since", "since", say(texts::FIRST_DAY), "date", true))
                            (line("until", "until", say(texts::LAST_DAY), "date", true))
                            (line("incident-reason", "reason", say(texts::REASON_GIVEN), "text", true))
                            (send(say(texts::INCIDENT)))
                        }))
                    }
                }
            }
            section aria-labelledby="record" {
                h2 #record { (say(texts::PROCESSING)) }
                p { (say(texts::PROCESSING_HELP)) }
                p { a href="/console/reports/record" { (say(texts::PROCESSING)) } }
            }
        }
    };
    Ok(visitor.page(texts::REPORTS, &content))
}

/// A report as text, in the reader's language.
fn text(visitor: &Visitor, text: &str) -> Markup {
    html! {
        pre tabindex="0" lang=(tag(visitor.language)) { (text) }
        p { a href=(PAGE) { (visitor.say(texts::REPORTS)) } }
    }
}

/// Which month, with whom.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    partner: String,
    #[serde(default)]
    month: String,
}

/// `GET /console/reports/month?partner=&month=`.
async fn month(visitor: Visitor, Query(asked): Query<Asked>) -> Shown {
    let name = super::partners::parse(&visitor, asked.partner.trim())?;
    let month = Month::parse(asked.month.trim()).map_err(|what| visitor.wrong(what))?;
    let report: PartnerReport = visitor.read(Order::PartnerReport { name, month }).await?;
    Ok(visitor.page(texts::REPORT, &text(&visitor, &report.text(visitor.language))))
}

/// `GET /console/reports/record`.
async fn processing(visitor: Visitor) -> Shown {
    let order = Order::ProcessingRecord {
        language: visitor.language,
    };
    let answer = visitor.order(order).await?;
    let told = answer.get("text").and_then(Value::as_str).unwrap_or_default();
    Ok(visitor.page(texts::PROCESSING, &text(&visitor, told)))
}

/// `POST /console/reports/incident`.
async fn incident(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let order = Order::Incident {
        name: super::partners::parse(visitor, posted.text("partner"))?,
        since: posted.parsed("since", Day::parse)?,
        until: posted.parsed("until", Day::parse)?,
        by: String::new(),
        reason: posted.required("reason")?,
    };
    let found: Incident = visitor.read(order).await?;
    Ok(visitor.page(texts::INCIDENT, &text(visitor, &found.text(visitor.language))))
}
