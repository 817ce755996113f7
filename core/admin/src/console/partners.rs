//! The partners: a list, and what is ordered about one of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use maud::{Markup, html};
use viaduct_governance::{Certificate, Day, Office, PartnerName};

use super::layout::{plain, send_for_good, table};
use super::menu::offboard;
use super::visitor::{Failure, Posted, Shown, Visitor};
use super::{Site, standing, texts};
use crate::order::Order;
use crate::role::Act;

const LIST: &str = "/console/partners";

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route(LIST, get(list))
        .route("/console/partners/{name}/renew", post(renew))
        .route("/console/partners/{name}/suspend", post(suspend))
        .route("/console/partners/{name}/resume", post(resume))
        .route("/console/partners/{name}/sign", post(sign))
        .route("/console/partners/{name}/offboarding", get(preview).post(wind_up))
}

/// The name of a partner in a path.
pub(super) fn parse(visitor: &Visitor, name: &str) -> Result<PartnerName, Failure> {
    PartnerName::new(name).map_err(|error| visitor.wrong(error.to_string()))
}

/// `GET /console/partners`.
async fn list(visitor: Visitor) -> Shown {
    visitor.allow(&Act::Order(&Order::Partners)).await?;
    let (register, now) = visitor.site.desk.hub().register();
    let rows: Vec<Vec<Markup>> = register
        .partners()
        .iter()
        .filter_map(|(name, partner)| {
            let standing = register.standing(name, now)?;
            let networks: Vec<&str> = partner
                .agreement
                .networks
                .iter()
                .map(viaduct_model::NetworkName::as_str)
                .collect();
            Some(vec![
                html! { a href={ (LIST) "/" (name) } { (name) } },
                plain(&partner.agreement.organisation),
                html! { span.bad[!standing.permits()] { (standing::standing(&standing, visitor.language)) } },
                plain(partner.agreement.valid_from.to_string()),
                plain(partner.last_day().to_string()),
                plain(networks.join(", ")),
            ])
        })
        .collect();
    let heads = [
        texts::PARTNER,
        texts::ORGANISATION,
        texts::STANDING,
        texts::FIRST_DAY,
        texts::LAST_DAY,
        texts::NETWORKS,
    ]
    .map(|text| visitor.say(text));
    let content = html! {
        @if rows.is_empty() { p { (visitor.say(texts::NO_PARTNERS)) } }
        @else { (table(visitor.say(texts::PARTNERS_CAPTION), &heads, &rows)) }
    };
    Ok(visitor.page(texts::PARTNERS, &content))
}

async fn ordered(visitor: &Visitor, name: &PartnerName, order: Order) -> Shown {
    visitor.order(order).await?;
    Ok(visitor.done(&format!("{LIST}/{name}"), visitor.say(texts::DONE)))
}

/// `POST /console/partners/{name}/renew`.
async fn renew(Path(name): Path<String>, posted: Posted) -> Shown {
    let name = parse(&posted.visitor, &name)?;
    let order = Order::RenewPartner {
        name: name.clone(),
        until: posted.parsed("until", Day::parse)?,
        by: String::new(),
    };
    ordered(&posted.visitor, &name, order).await
}

/// `POST /console/partners/{name}/suspend`.
async fn suspend(Path(name): Path<String>, posted: Posted) -> Shown {
    let name = parse(&posted.visitor, &name)?;
    let order = Order::SuspendPartner {
        name: name.clone(),
        reason: posted.required("reason")?,
        by: String::new(),
    };
    ordered(&posted.visitor, &name, order).await
}

/// `POST /console/partners/{name}/resume`.
async fn resume(Path(name): Path<String>, posted: Posted) -> Shown {
    let name = parse(&posted.visitor, &name)?;
    let order = Order::ResumePartner {
        name: name.clone(),
        by: String::new(),
    };
    ordered(&posted.visitor, &name, order).await
}

/// `POST /console/partners/{name}/sign`.
async fn sign(Path(name): Path<String>, posted: Posted) -> Shown {
    let name = parse(&posted.visitor, &name)?;
    let office = match posted.text("office") {
        "it" => Office::It,
        "dpo" => Office::Dpo,
        "management" => Office::Management,
        _ => return Err(posted.visitor.wrong("it, dpo, management")),
    };
    let order = Order::SignPartner {
        name: name.clone(),
        office,
        by: String::new(),
    };
    ordered(&posted.visitor, &name, order).await
}

/// `GET /console/partners/{name}/offboarding`: what the end would do.
async fn preview(visitor: Visitor, Path(name): Path<String>) -> Shown {
    let name = parse(&visitor, &name)?;
    let answer = visitor.order(Order::PreviewOffboarding { name: name.clone() }).await?;
    let text = answer
        .get("text")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    let action = format!("{LIST}/{name}/offboarding");
    let content = html! {
        p { (visitor.say(texts::OFFBOARD_HELP)) }
        pre tabindex="0" lang="en" { (text) }
        @if visitor.may(&offboard(&name)) {
            section aria-labelledby="end" {
                h2 #end { (visitor.say(texts::OFFBOARD)) }
                p.warning role="note" { (visitor.say(texts::OFFBOARD_WARNING)) }
                (visitor.form(&action, &html! {
                    (super::layout::line("confirm", "confirm", &texts::OFFBOARD_CONFIRM.with(visitor.language, &[("name", name.as_str())]), "text", true))
                    (send_for_good(visitor.say(texts::OFFBOARD)))
                }))
            }
        }
        p { a href={ (LIST) "/" (name) } { (visitor.say(texts::BACK_TO_PARTNER)) } }
    };
    Ok(visitor.titled(
        &texts::OFFBOARD_TITLE.with(visitor.language, &[("partner", name.as_str())]),
        &content,
    ))
}

/// `POST /console/partners/{name}/offboarding`: ends it; the answer is the certificate.
async fn wind_up(Path(name): Path<String>, posted: Posted) -> Shown {
    let visitor = &posted.visitor;
    let name = parse(visitor, &name)?;
    let order = offboard(&name);
    visitor.allow(&Act::Order(&order)).await?;
    if posted.text("confirm") != name.as_str() {
        return Err(visitor.wrong(texts::OFFBOARD_CONFIRM.with(visitor.language, &[("name", name.as_str())])));
    }
    let made: Certificate = visitor.read(order).await?;
    let content = html! {
        p.good role="status" { (visitor.say(texts::OFFBOARDED)) }
        h2 { "Deutsch" }
        pre tabindex="0" lang="de" { (made.german) }
        h2 { "English" }
        pre tabindex="0" lang="en" { (made.english) }
    };
    Ok(visitor.titled(
        &texts::OFFBOARD_TITLE.with(visitor.language, &[("partner", name.as_str())]),
        &content,
    ))
}
