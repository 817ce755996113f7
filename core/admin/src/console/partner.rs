//! One partner: the agreement, its time, who signed, whom to ask, and what may be ordered.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use maud::{Markup, html};
use viaduct_compliance::Direction;
use viaduct_governance::{
    Agreement, ContactRole, Day, GovernanceError, Office, Partner, PartnerName, Period, SignOff, Source, Standing,
    WARNINGS,
};
use viaduct_model::{Language, Timestamp};

use super::layout::{choice, facts, line, plain, send, send_for_good, table};
use super::menu::offboard;
use super::partners::parse;
use super::visitor::{Shown, Visitor};
use super::{Site, standing, texts};
use crate::hub::HubError;
use crate::order::Order;
use crate::role::Act;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/console/partners/{name}", get(show))
}

/// `GET /console/partners/{name}`.
async fn show(visitor: Visitor, Path(name): Path<String>) -> Shown {
    visitor.allow(&Act::Order(&Order::Partners)).await?;
    let name = parse(&visitor, &name)?;
    let (register, now) = visitor.site.desk.hub().register();
    let found = register.partner(&name).zip(register.standing(&name, now));
    let none = || visitor.fail(HubError::from(GovernanceError::NoPartner(name.clone())));
    let (partner, stands) = found.ok_or_else(none)?;
    let content = html! {
        (about(&visitor, partner, &stands))
        (timeline(&visitor, partner, now))
        (signatures(&visitor, &partner.agreement))
        (periods(&visitor, &partner.agreement))
        (contacts(&visitor, &partner.agreement))
        (offered(&visitor, &name, partner, &stands))
    };
    Ok(visitor.titled(
        &texts::PARTNER_TITLE.with(visitor.language, &[("partner", name.as_str())]),
        &content,
    ))
}

fn about(visitor: &Visitor, partner: &Partner, stands: &Standing) -> Markup {
    let agreement = &partner.agreement;
    let networks: Vec<String> = agreement.networks.iter().map(ToString::to_string).collect();
    let all = |list: &[String]| plain(list.join(", "));
    let source = match partner.source {
        Source::Configuration => texts::IN_CONFIGURATION,
        Source::Command => texts::BY_COMMAND,
    };
    facts(&[
        (
            visitor.say(texts::STANDING),
            plain(standing::standing(stands, visitor.language)),
        ),
        (visitor.say(texts::ORGANISATION), plain(&agreement.organisation)),
        (visitor.say(texts::PURPOSE), plain(&agreement.purpose)),
        (visitor.say(texts::CONTROLLER), plain(&agreement.controller)),
        (visitor.say(texts::NETWORKS), all(&networks)),
        (visitor.say(texts::CHANNELS), all(&agreement.channels)),
        (visitor.say(texts::CEILING), plain(&agreement.ceiling)),
        (visitor.say(texts::LABELS), all(&agreement.labels)),
        (visitor.say(texts::REGION), plain(agreement.region.to_string())),
        (
            visitor.say(texts::BASIS),
            plain(agreement.third_country_basis.as_deref().unwrap_or_default()),
        ),
        (
            visitor.say(texts::CONTRACT),
            plain(agreement.contract.as_ref().map_or("", |contract| &contract.reference)),
        ),
        (visitor.say(texts::WRITTEN_DOWN), plain(visitor.say(source))),
    ])
}

/// What happens to the agreement when, in order, with where we are.
fn timeline(visitor: &Visitor, partner: &Partner, now: Timestamp) -> Markup {
    let (agreement, last, language) = (&partner.agreement, partner.last_day(), visitor.language);
    let today = Day::of(now);
    let mut points = vec![
        (agreement.valid_from, visitor.say(texts::TIME_BEGINS).to_owned()),
        (last, visitor.say(texts::TIME_ENDS).to_owned()),
        (today, visitor.say(texts::TIME_TODAY).to_owned()),
    ];
    for days in WARNINGS {
        // The last day is the one of so many that are left, itself counted.
        let before = u64::from(days.saturating_sub(1)) * 24 * 60 * 60 * 1000;
        let day = Day::of(Timestamp(last.start().as_millis().saturating_sub(before)));
        points.push((day, texts::TIME_WARNING.with(language, &[("days", &days.to_string())])));
    }
    if let Some(contract) = &agreement.contract {
        points.push((contract.valid_until, visitor.say(texts::TIME_CONTRACT).to_owned()));
    }
    for (office, signed) in signed(agreement) {
        if let Some(signed) = signed {
            let office = standing::office(office, language);
            points.push((signed.on, texts::TIME_SIGNED.with(language, &[("office", office)])));
        }
    }
    if let Some(renewal) = partner.history.renewed {
        points.push((renewal.instead_of, visitor.say(texts::TIME_RENEWED).to_owned()));
    }
    points.sort();
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { (visitor.say(texts::TIMELINE)) }
            ol { @for (day, what) in &points {
                li aria-current=[(*day == today && *what == visitor.say(texts::TIME_TODAY)).then_some("date")] {
                    time datetime=(day) { (shown(*day, language)) } " – " (what)
                }
            } }
        }
    }
}

/// A day as it is written in a language.
fn shown(day: Day, language: Language) -> String {
    match language {
        Language::German => day.german(),
        Language::English => day.to_string(),
    }
}

fn signed(agreement: &Agreement) -> [(&'static str, Option<&SignOff>); 3] {
    let signed = &agreement.sign_offs;
    [
        ("it", signed.it.as_ref()),
        ("dpo", signed.dpo.as_ref()),
        ("management", signed.management.as_ref()),
    ]
}

fn signatures(visitor: &Visitor, agreement: &Agreement) -> Markup {
    let rows = signed(agreement).map(|(office, signed)| {
        vec![
            plain(standing::office(office, visitor.language)),
            html! { span.bad[signed.is_none()] { (signed.map_or(visitor.say(texts::MISSING), |signed| &signed.by)) } },
            plain(
                signed
                    .map(|signed| shown(signed.on, visitor.language))
                    .unwrap_or_default(),
            ),
        ]
    });
    let heads = [texts::OFFICE, texts::SIGNED_BY, texts::SIGNED_ON].map(|text| visitor.say(text));
    table(visitor.say(texts::SIGNATURES), &heads, &rows)
}

fn periods(visitor: &Visitor, agreement: &Agreement) -> Markup {
    let kept = &agreement.retention;
    let row = |what: texts::Text, period: Period| {
        let days = |direction| plain(period.days(direction).to_string());
        vec![plain(visitor.say(what)), days(Direction::In), days(Direction::Out)]
    };
    let rows = [
        row(texts::KEPT_MESSAGES, kept.messages),
        row(texts::KEPT_FILES, kept.files),
        row(texts::KEPT_VERSIONS, kept.versions),
        row(texts::KEPT_METADATA, kept.metadata),
        row(texts::KEPT_QUARANTINE, kept.quarantine),
        row(texts::KEPT_LEDGER, Period::Both(kept.ledger)),
    ];
    let heads = [texts::KEPT, texts::DAYS_IN, texts::DAYS_OUT].map(|text| visitor.say(text));
    table(visitor.say(texts::PERIODS), &heads, &rows)
}

fn contacts(visitor: &Visitor, agreement: &Agreement) -> Markup {
    let rows: Vec<Vec<Markup>> = agreement
        .contacts
        .iter()
        .map(|contact| {
            let role = match contact.role {
                ContactRole::Dpo => texts::OFFICE_DPO,
                ContactRole::Compliance => texts::ROLE_COMPLIANCE,
                ContactRole::It => texts::OFFICE_IT,
                ContactRole::Business => texts::CONTACT_BUSINESS,
            };
            vec![plain(&contact.name), plain(visitor.say(role)), plain(&contact.address)]
        })
        .collect();
    let heads = [texts::NAME, texts::ANSWERS_FOR, texts::ADDRESS].map(|text| visitor.say(text));
    table(visitor.say(texts::CONTACTS), &heads, &rows)
}

/// What they may order.
fn offered(visitor: &Visitor, name: &PartnerName, partner: &Partner, stands: &Standing) -> Markup {
    let path = |what: &str| format!("/console/partners/{name}/{what}");
    let suspended = partner.history.suspended.is_some();
    let over = *stands == Standing::Offboarded || partner.history.offboarding;
    let suspend = Order::ResumePartner {
        name: name.clone(),
        by: String::new(),
    };
    let offices = [Office::It, Office::Dpo, Office::Management]
        .into_iter()
        .zip(signed(&partner.agreement))
        .filter(|(office, (_, signed))| {
            let order = Order::SignPartner {
                name: name.clone(),
                office: *office,
                by: String::new(),
            };
            signed.is_none() && partner.source == Source::Command && visitor.may(&order)
        });
    let offices: Vec<(String, String)> = offices
        .map(|(_, (office, _))| (office.to_owned(), standing::office(office, visitor.language).to_owned()))
        .collect();
    html! {
        div.forms {
            @if !over && visitor.may(&suspend) {
                section aria-labelledby="renew" {
                    h2 #renew { (visitor.say(texts::RENEW)) }
                    (visitor.form(&path("renew"), &html! {
                        (line("until", "until", visitor.say(texts::NEW_LAST_DAY), "date", true))
                        (send(visitor.say(texts::RENEW)))
                    }))
                }
                @if suspended {
                    section aria-labelledby="resume" {
                        h2 #resume { (visitor.say(texts::RESUME)) }
                        (visitor.form(&path("resume"), &send(visitor.say(texts::RESUME))))
                    }
                } @else {
                    section aria-labelledby="suspend" {
                        h2 #suspend { (visitor.say(texts::SUSPEND)) }
                        (visitor.form(&path("suspend"), &html! {
                            (line("suspend-reason", "reason", visitor.say(texts::REASON_GIVEN), "text", true))
                            (send_for_good(visitor.say(texts::SUSPEND)))
                        }))
                    }
                }
            }
            @if !over && !offices.is_empty() {
                section aria-labelledby="sign" {
                    h2 #sign { (visitor.say(texts::SIGN)) }
                    (visitor.form(&path("sign"), &html! {
                        (choice("office", "office", visitor.say(texts::OFFICE), &offices))
                        (send(visitor.say(texts::SIGN)))
                    }))
                }
            }
        }
        @if *stands != Standing::Offboarded && (visitor.may(&offboard(name)) || visitor.may(&Order::PreviewOffboarding { name: name.clone() })) {
            p { a href=(path("offboarding")) { (visitor.say(texts::OFFBOARD_PREVIEW)) } }
        }
    }
}
