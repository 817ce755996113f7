//! What did not arrive: tried again, or given up.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use maud::{Markup, html};
use viaduct_model::{ChannelId, MirrorName, NetworkName, Place};
use viaduct_store::{Delivery, DeliveryFilter, DeliveryState, Lane, Seq};

use super::layout::{at, plain, send, send_for_good, table};
use super::visitor::{Failure, Posted, Shown, Visitor};
use super::{Site, texts};
use crate::role::Act;

const LIST: &str = "/console/deliveries";
/// How many are shown.
const SHOWN: usize = 200;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route(LIST, get(list))
        .route("/console/deliveries/retry", post(retry))
        .route("/console/deliveries/drop", post(give_up))
}

/// `GET /console/deliveries`.
async fn list(visitor: Visitor) -> Shown {
    visitor.allow(&Act::Deliveries).await?;
    let filter = DeliveryFilter {
        limit: SHOWN,
        ..DeliveryFilter::default()
    };
    let found = visitor.site.desk.hub().deliveries(&filter).await;
    let found = found.map_err(|error| visitor.fail(error))?;
    let settles = visitor.caller.may(&Act::Settle).is_ok();
    let rows: Vec<Vec<Markup>> = found.iter().map(|delivery| row(&visitor, delivery, settles)).collect();
    let mut heads = vec![
        visitor.say(texts::NUMBER),
        visitor.say(texts::MIRROR),
        visitor.say(texts::TO),
        visitor.say(texts::STATE),
        visitor.say(texts::REASON),
        visitor.say(texts::SINCE),
    ];
    if settles {
        heads.push(visitor.say(texts::WHAT_TO_DO));
    }
    let content = html! {
        p { (visitor.say(texts::DELIVERIES_HELP)) }
        @if rows.is_empty() { p { (visitor.say(texts::ALL_ARRIVED)) } }
        @else { (table(visitor.say(texts::DELIVERIES_CAPTION), &heads, &rows)) }
    };
    Ok(visitor.page(texts::DELIVERIES, &content))
}

fn row(visitor: &Visitor, delivery: &Delivery, settles: bool) -> Vec<Markup> {
    let state = match delivery.state {
        DeliveryState::Held => texts::DELIVERY_HELD,
        DeliveryState::Refused => texts::DELIVERY_REFUSED,
        DeliveryState::Failed => texts::DELIVERY_FAILED,
        DeliveryState::Unknown => texts::DELIVERY_UNKNOWN,
    };
    let lane = &delivery.lane;
    let mut cells = vec![
        plain(delivery.seq.to_string()),
        plain(lane.mirror.as_str()),
        plain(lane.to.to_string()),
        plain(visitor.say(state)),
        plain(&delivery.reason),
        at(delivery.at),
    ];
    if settles {
        // What is held goes out by a release alone.
        let held = delivery.state == DeliveryState::Held;
        let form = |what: &str, button: &Markup| {
            visitor.form(
                &format!("{LIST}/{what}"),
                &html! {
                    input type="hidden" name="mirror" value=(lane.mirror);
                    input type="hidden" name="network" value=(lane.to.network);
                    input type="hidden" name="channel" value=(lane.to.channel);
                    input type="hidden" name="seq" value=(delivery.seq.0);
                    (button)
                },
            )
        };
        cells.push(html! {
            @if !held {
                (form("retry", &send(visitor.say(texts::RETRY))))
                (form("drop", &send_for_good(visitor.say(texts::GIVE_UP))))
            }
        });
    }
    cells
}

fn named(posted: &Posted) -> Result<(Lane, Seq), Failure> {
    let place = Place::new(
        posted.parsed("network", |name| NetworkName::new(name))?,
        posted.parsed("channel", |name| ChannelId::new(name))?,
    );
    let lane = Lane {
        mirror: posted.parsed("mirror", |name| MirrorName::new(name))?,
        to: place,
    };
    Ok((lane, Seq(posted.parsed("seq", str::parse::<u64>)?)))
}

/// `POST /console/deliveries/retry`.
async fn retry(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    visitor.allow(&Act::Settle).await?;
    let (lane, seq) = named(&posted)?;
    let outcome = visitor.site.desk.hub().retry(&lane, seq).await;
    let outcome = outcome.map_err(|error| visitor.fail(error))?;
    tracing::info!(mirror = %lane.mirror, to = %lane.to, %seq, outcome, person = visitor.caller.person, "An operator tried a delivery again.");
    Ok(visitor.done(LIST, texts::RETRIED.with(visitor.language, &[("outcome", &outcome)])))
}

/// `POST /console/deliveries/drop`.
async fn give_up(posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    visitor.allow(&Act::Settle).await?;
    let (lane, seq) = named(&posted)?;
    let dropped = visitor.site.desk.hub().give_up(&lane, seq).await;
    dropped.map_err(|error| visitor.fail(error))?;
    tracing::info!(mirror = %lane.mirror, to = %lane.to, %seq, person = visitor.caller.person, "An operator gave a delivery up.");
    Ok(visitor.done(LIST, visitor.say(texts::GIVEN_UP)))
}
