//! The channel map: which room is joined with which channels, which way, under which agreement and which policies.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use maud::{Markup, html};
use viaduct_engine::{Flow, MemberSpec, MirrorSpec, Policies, Settings};
use viaduct_governance::{Coverage, Register};
use viaduct_model::Timestamp;

use super::layout::{plain, table};
use super::visitor::{Shown, Visitor};
use super::{Site, standing, texts};
use crate::role::Act;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/console/mirrors", get(show))
}

/// `GET /console/mirrors`.
async fn show(visitor: Visitor) -> Shown {
    visitor.allow(&Act::Status).await?;
    let settings = visitor.site.console.settings();
    let (register, now) = visitor.site.desk.hub().register();
    let content = html! {
        @if settings.mirrors.is_empty() { p { (visitor.say(texts::NO_MIRRORS)) } }
        @for mirror in &settings.mirrors {
            (one(&visitor, &settings, mirror, (&register, now)))
        }
    };
    Ok(visitor.page(texts::MIRRORS, &content))
}

fn one(visitor: &Visitor, settings: &Settings, mirror: &MirrorSpec, agreed: (&Register, Timestamp)) -> Markup {
    let rows: Vec<Vec<Markup>> = mirror
        .members
        .iter()
        .map(|member| {
            let network = settings
                .networks
                .iter()
                .find(|network| network.name == member.place.network);
            let general = network.map(|network| &network.policies);
            vec![
                plain(member.place.to_string()),
                plain(visitor.say(direction(member))),
                agreement(visitor, member, agreed),
                plain(names(general, &member.policies, |policies| policies.inward.as_ref())),
                plain(names(general, &member.policies, |policies| policies.outward.as_ref())),
            ]
        })
        .collect();
    let heads = [
        texts::CHANNEL,
        texts::DIRECTION,
        texts::AGREEMENT,
        texts::POLICIES_IN,
        texts::POLICIES_OUT,
    ]
    .map(|text| visitor.say(text));
    let labels = if mirror.labels.is_empty() {
        visitor.say(texts::NO_LABELS).to_owned()
    } else {
        mirror.labels.join(", ")
    };
    html! {
        section aria-labelledby={ "mirror-" (mirror.name) } {
            h2 id={ "mirror-" (mirror.name) } { (mirror.name) }
            p { (visitor.say(texts::ROOM)) ": " (mirror.room.room) " · " (visitor.say(texts::LABELS)) ": " (labels) }
            (table(&texts::MIRROR_CAPTION.with(visitor.language, &[("mirror", mirror.name.as_str())]), &heads, &rows))
        }
    }
}

fn direction(member: &MemberSpec) -> texts::Text {
    match member.direction {
        Flow::Both => texts::FLOW_BOTH,
        Flow::In => texts::FLOW_IN,
        Flow::Out => texts::FLOW_OUT,
        Flow::Paused => texts::FLOW_PAUSED,
    }
}

fn agreement(visitor: &Visitor, member: &MemberSpec, (register, now): (&Register, Timestamp)) -> Markup {
    match register.standing_of(&member.place, now) {
        Coverage::Own => plain(visitor.say(texts::OWN)),
        Coverage::Missing => html! { span.bad { (visitor.say(texts::NO_AGREEMENT)) } },
        Coverage::Under(partners) => html! {
            @for (number, (name, stands)) in partners.iter().enumerate() {
                @if number > 0 { "; " }
                a href={ "/console/partners/" (name) } { (name) } ": "
                span.bad[!stands.permits()] { (standing::standing(stands, visitor.language)) }
            }
        },
    }
}

/// The names of the policies of one direction, each with how many rules it has.
fn names<'a>(
    general: Option<&'a Policies>,
    own: &'a Policies,
    of: impl Fn(&'a Policies) -> Option<&'a viaduct_engine::NamedPolicy>,
) -> String {
    let all = general.into_iter().chain([own]).filter_map(of);
    let told: Vec<String> = all
        .map(|policy| format!("{} ({})", policy.name, policy.policy.rules.len()))
        .collect();
    if told.is_empty() {
        "–".to_owned()
    } else {
        told.join(", ")
    }
}
