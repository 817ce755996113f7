//! What waits for somebody, and how everything stands.

use maud::{Markup, html};
use viaduct_engine::Status;
use viaduct_governance::{Held, HeldState, PartnerName, Standing};
use viaduct_store::{DeliveryFilter, DeliveryState};

use super::layout::{plain, table};
use super::standing;
use super::texts;
use super::visitor::{Failure, Shown, Visitor};
use crate::order::Order;
use crate::role::Act;

/// How many deliveries are counted.
const COUNTED: usize = 10_000;

/// `GET /console`.
pub(super) async fn show(visitor: Visitor) -> Shown {
    visitor.allow(&Act::Status).await?;
    let tasks = tasks(&visitor).await?;
    let status = visitor.site.desk.hub().status().await;
    let content = html! {
        section aria-labelledby="tasks" {
            h2 #tasks { (visitor.say(texts::TASKS)) }
            @if tasks.is_empty() {
                p { (visitor.say(texts::NO_TASKS)) }
            } @else {
                ul.tasks { @for task in &tasks { li { (task) } } }
            }
        }
        (networks(&visitor, &status))
        (lanes(&visitor, &status))
    };
    Ok(visitor.page(texts::OVERVIEW, &content))
}

/// What waits, the most urgent first; of each only what they may see.
async fn tasks(visitor: &Visitor) -> Result<Vec<Markup>, Failure> {
    let mut tasks = Vec::new();
    if visitor.may(&Order::Held) {
        let held: Vec<Held> = visitor.read(Order::Held).await?;
        let waiting = held
            .iter()
            .filter(|held| held.state == HeldState::Waiting && held.release.by_second_person());
        let count = waiting.count();
        if count > 0 {
            tasks.push(task(
                "/console/quarantine",
                &texts::TASK_HELD.with(visitor.language, &[("count", &count.to_string())]),
            ));
        }
    }
    let (register, now) = visitor.site.desk.hub().register();
    for name in register.partners().keys() {
        let told = register
            .standing(name, now)
            .and_then(|standing| due(visitor, name, &standing));
        tasks.extend(told.map(|told| task(&format!("/console/partners/{name}"), &told)));
    }
    if visitor.caller.may(&Act::Deliveries).is_ok() {
        for (told, count) in not_arrived(visitor).await? {
            let told = told.with(visitor.language, &[("count", &count.to_string())]);
            tasks.push(task("/console/deliveries", &told));
        }
    }
    Ok(tasks)
}

fn task(path: &str, told: &str) -> Markup {
    html! { a href=(path) { (told) } }
}

/// What there is to do about an agreement, if there is something.
fn due(visitor: &Visitor, name: &PartnerName, standing: &Standing) -> Option<String> {
    let say = |text: texts::Text, more: &[(&str, &str)]| {
        let values: Vec<_> = std::iter::once(("partner", name.as_str()))
            .chain(more.iter().copied())
            .collect();
        Some(text.with(visitor.language, &values))
    };
    match standing {
        Standing::Draft(gaps) => {
            let gaps: Vec<String> = gaps.iter().map(|gap| standing::gap(gap, visitor.language)).collect();
            say(texts::TASK_DRAFT, &[("gaps", &gaps.join("; "))])
        }
        Standing::ExpiresIn(days) => say(texts::TASK_EXPIRES, &[("days", &days.to_string())]),
        Standing::Ended => say(texts::TASK_ENDED, &[]),
        Standing::NotYet | Standing::Active | Standing::Suspended(_) | Standing::Offboarded => None,
    }
}

/// How many deliveries did not arrive, by how they ended.
async fn not_arrived(visitor: &Visitor) -> Result<Vec<(texts::Text, usize)>, Failure> {
    let mut counts = Vec::new();
    let kinds = [
        (DeliveryState::Failed, texts::TASK_FAILED),
        (DeliveryState::Unknown, texts::TASK_UNKNOWN),
    ];
    for (state, told) in kinds {
        let filter = DeliveryFilter {
            mirror: None,
            state: Some(state),
            limit: COUNTED,
        };
        let found = visitor.site.desk.hub().deliveries(&filter).await;
        let count = found.map_err(|error| visitor.fail(error))?.len();
        if count > 0 {
            counts.push((told, count));
        }
    }
    Ok(counts)
}

fn networks(visitor: &Visitor, status: &Status) -> Markup {
    let rows: Vec<Vec<Markup>> = status
        .networks
        .iter()
        .map(|network| {
            let (text, bad) = match network.connection.as_str() {
                "up" => (texts::UP, false),
                "connecting" => (texts::CONNECTING, false),
                "auth_lost" => (texts::AUTH_LOST, true),
                "unopened" => (texts::UNOPENED, true),
                _ => (texts::DOWN, true),
            };
            vec![
                plain(&network.name),
                html! { span.bad[bad] { (visitor.say(text)) } },
                plain(network.reason.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    html! {
        section aria-labelledby="networks" {
            h2 #networks { (visitor.say(texts::NETWORKS)) }
            (table(visitor.say(texts::NETWORKS_CAPTION), &[visitor.say(texts::NETWORK), visitor.say(texts::STATE), visitor.say(texts::REASON)], &rows))
        }
    }
}

/// How far each way to a destination is behind.
fn lanes(visitor: &Visitor, status: &Status) -> Markup {
    let rows: Vec<Vec<Markup>> = status
        .mirrors
        .iter()
        .flat_map(|mirror| {
            mirror.lanes.iter().map(|lane| {
                let behind = mirror.accepted.saturating_sub(lane.settled);
                vec![
                    plain(&mirror.name),
                    plain(&lane.to),
                    plain(mirror.accepted.to_string()),
                    html! { span.bad[behind > 0] { (behind) } },
                ]
            })
        })
        .collect();
    let heads = [texts::MIRROR, texts::TO, texts::ACCEPTED, texts::BEHIND].map(|text| visitor.say(text));
    html! {
        section aria-labelledby="lanes" {
            h2 #lanes { (visitor.say(texts::LAG)) }
            @if rows.is_empty() { p { (visitor.say(texts::NO_MIRRORS)) } }
            @else { (table(visitor.say(texts::LAG_CAPTION), &heads, &rows)) }
        }
    }
}
