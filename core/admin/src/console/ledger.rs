//! The ledger: how much there is, whether it is as it was signed, and the way of one event, without its content.

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use viaduct_audit::{Entry, LedgerError, Query as Wanted, Reader, Record, find, verify};
use viaduct_model::MessageId;

use super::layout::{at, facts, line, plain, send, table};
use super::visitor::{Failure, Posted, Shown, Visitor};
use super::{LedgerPlace, Site, texts};
use crate::hub::HubError;
use crate::role::Act;

/// How many entries of one event are shown.
const TRACED: usize = 200;
/// How many of the newest entries are shown.
const NEWEST: u64 = 50;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/console/ledger", get(show))
        .route("/console/ledger/verify", post(check))
        .route("/console/ledger/trace", get(trace))
}

/// Reads in the ledger's files, where that keeps nobody waiting.
async fn read<T: Send + 'static>(
    visitor: &Visitor,
    what: impl FnOnce(&LedgerPlace) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, Failure> {
    let none = || visitor.fail(HubError::Wrong(visitor.say(texts::NO_LEDGER).to_owned()));
    let place = visitor.site.console.ledger.clone().ok_or_else(none)?;
    let read = tokio::task::spawn_blocking(move || what(&place)).await;
    let failed = |error: String| visitor.fail(HubError::Failed(error));
    read.map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))
}

/// `GET /console/ledger`.
async fn show(visitor: Visitor) -> Shown {
    visitor.allow(&Act::Ledger).await?;
    let (size, newest) = read(&visitor, |place| {
        let reader = Reader::open(&place.folder, &place.verifier)?;
        let size = reader.checkpoint().size;
        let records = reader.from(size.saturating_sub(NEWEST))?;
        let newest = find(records, &Wanted::default(), usize::try_from(NEWEST).unwrap_or_default())?;
        Ok((size, newest))
    })
    .await?;
    let newest: Vec<Record> = newest.into_iter().rev().collect();
    let content = html! {
        (facts(&[(visitor.say(texts::SIGNED_ENTRIES), plain(size.to_string()))]))
        div.forms {
            section aria-labelledby="verify" {
                h2 #verify { (visitor.say(texts::VERIFY)) }
                p { (visitor.say(texts::VERIFY_HELP)) }
                (visitor.form("/console/ledger/verify", &send(visitor.say(texts::VERIFY))))
            }
            section aria-labelledby="trace" {
                h2 #trace { (visitor.say(texts::TRACE)) }
                p { (visitor.say(texts::TRACE_HELP)) }
                form method="get" action="/console/ledger/trace" {
                    (line("event", "event", visitor.say(texts::EVENT_ID), "text", true))
                    (send(visitor.say(texts::TRACE)))
                }
            }
        }
        h2 { (visitor.say(texts::NEWEST)) }
        (records(&visitor, &newest))
        p { (visitor.say(texts::EXPORT_HELP)) " " code { "viaduct audit export" } }
    };
    Ok(visitor.page(texts::LEDGER, &content))
}

fn records(visitor: &Visitor, all: &[Record]) -> Markup {
    let place = |place: &Option<viaduct_model::Place>| place.as_ref().map(ToString::to_string).unwrap_or_default();
    let rows: Vec<Vec<Markup>> = all
        .iter()
        .map(|Record { seq, entry, .. }| {
            vec![
                plain(seq.to_string()),
                at(entry.at),
                plain(entry.action.as_str()),
                plain(entry.partner.as_deref().unwrap_or_default()),
                plain(place(&entry.from)),
                plain(place(&entry.to)),
                plain(why(entry)),
            ]
        })
        .collect();
    let heads = [
        texts::NUMBER,
        texts::TIME,
        texts::ACTION,
        texts::PARTNER,
        texts::FROM,
        texts::TO,
        texts::REASON,
    ]
    .map(|text| visitor.say(text));
    html! {
        @if rows.is_empty() { p { (visitor.say(texts::NO_ENTRIES)) } }
        @else { (table(visitor.say(texts::ENTRIES), &heads, &rows)) }
    }
}

/// Why: the rule, and what is said of it.
fn why(entry: &Entry) -> String {
    let parts = [&entry.rule, &entry.reason].into_iter().flatten();
    parts.map(String::as_str).collect::<Vec<_>>().join(": ")
}

/// `POST /console/ledger/verify`: every byte; one at a time.
async fn check(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    visitor.allow(&Act::Ledger).await?;
    let Ok(_turn) = visitor.site.checking.try_lock() else {
        return Err(visitor.wrong(visitor.say(texts::VERIFY_RUNNING)));
    };
    let found = read(visitor, |place| verify(&place.folder, &place.verifier, &[])).await?;
    let count = found.records.to_string();
    let content = html! {
        @if found.is_good() {
            p.good role="status" { (texts::VERIFIED.with(visitor.language, &[("count", &count)])) }
        } @else {
            p.error role="alert" { (visitor.say(texts::NOT_VERIFIED)) }
            ul { @for problem in &found.problems { li { (problem) } } }
        }
        p { a href="/console/ledger" { (visitor.say(texts::LEDGER)) } }
    };
    Ok(visitor.page(texts::VERIFY, &content))
}

/// Which event is asked about.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    event: String,
}

/// `GET /console/ledger/trace?event=`: by its id at its source or at a destination.
async fn trace(visitor: Visitor, Query(asked): Query<Asked>) -> Shown {
    visitor.allow(&Act::Ledger).await?;
    let event = MessageId::new(asked.event.trim()).map_err(|error| visitor.wrong(error.to_string()))?;
    let wanted = Wanted {
        event: Some(event.clone()),
        ..Wanted::default()
    };
    // All of it is read, so one at a time.
    let _turn = visitor.site.checking.lock().await;
    let found = read(&visitor, move |place| {
        find(Reader::open(&place.folder, &place.verifier)?, &wanted, TRACED)
    })
    .await?;
    let content = html! {
        (records(&visitor, &found))
        p { a href="/console/ledger" { (visitor.say(texts::LEDGER)) } }
    };
    Ok(visitor.titled(
        &texts::TRACE_TITLE.with(visitor.language, &[("event", event.as_str())]),
        &content,
    ))
}
