//! `viaduct quarantine`, `partner`, `hold` and `subject`: orders to the running hub, and their answers.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use viaduct_admin::{Order, PartnerStatus};
use viaduct_config::Config;
use viaduct_governance::{
    Agreement, Certificate, Day, Held, HeldId, HeldState, History, LegalHold, PartnerName, Register, Scope, Source,
    Tally,
};
use viaduct_model::{Clock as _, Language, MirrorName, NetworkName, PersonId};

use crate::accounts;
use crate::args::{By, Hold, Office, Partner, Quarantine, Subject};
use crate::audit;
use crate::capabilities::columns;
use crate::hub::{Hub, Shown};
use crate::letter;
use crate::settings;
use crate::system::SystemClock;
use crate::trouble::Trouble;

/// Does what was asked about what is held.
///
/// # Errors
///
/// If no hub is running, or it says no.
pub async fn quarantine(config: &Config, shown: &Shown, action: Quarantine) -> anyhow::Result<String> {
    let hub = running(config, shown).await?;
    let id = |id: &str| HeldId::parse(id).context("this is no id; see `viaduct quarantine list`");
    match action {
        Quarantine::List { json } => {
            let answer = hub.order(&Order::Held).await?;
            if json {
                return Ok(serde_json::to_string_pretty(&answer)?);
            }
            Ok(held_table(&serde_json::from_value::<Vec<Held>>(answer)?))
        }
        Quarantine::Show { id: which, reasoned } => {
            let order = Order::ShowHeld {
                id: id(&which)?,
                by: who(&reasoned.by)?,
                reason: reasoned.reason,
            };
            Ok(serde_json::to_string_pretty(&hub.order(&order).await?)?)
        }
        Quarantine::Release { id: which, reasoned } => {
            let order = Order::ReleaseHeld {
                id: id(&which)?,
                by: who(&reasoned.by)?,
                reason: reasoned.reason,
            };
            hub.order(&order).await?;
            Ok("released: it goes the rest of its way now".to_owned())
        }
        Quarantine::Reject { id: which, reasoned } => {
            let order = Order::RejectHeld {
                id: id(&which)?,
                by: who(&reasoned.by)?,
                reason: reasoned.reason,
            };
            let answer = hub.order(&order).await?;
            let count = answer.get("rejected").and_then(Value::as_u64).unwrap_or_default();
            Ok(format!("rejected: {count}"))
        }
    }
}

fn held_table(held: &[Held]) -> String {
    if held.is_empty() {
        return "nothing is held".to_owned();
    }
    let titles = ["ID", "STATE", "SINCE", "UNTIL", "FROM", "TO", "KIND", "RULE", "REASON"].map(str::to_owned);
    let rows = held.iter().map(|held| {
        let state = match &held.state {
            HeldState::Waiting => "waiting",
            HeldState::Free => "behind another",
            HeldState::Released { .. } => "released",
        };
        vec![
            held.id.to_string(),
            state.to_owned(),
            audit::time(held.since),
            audit::time(held.until),
            held.from.to_string(),
            held.lane.to.to_string(),
            held.kind.as_str().to_owned(),
            held.rule.clone(),
            held.reason.chars().filter(|c| !c.is_control()).collect(),
        ]
    });
    columns(&std::iter::once(titles.to_vec()).chain(rows).collect::<Vec<_>>())
}

/// Does what was asked about agreements.
///
/// # Errors
///
/// If no hub is running where one is needed, or it says no.
pub async fn partner(config: &Config, shown: &Shown, action: Partner) -> anyhow::Result<String> {
    let name = |name: &str| PartnerName::new(name).context("this cannot be a partner's name");
    let order = match action {
        Partner::List { json } => return list(config, shown, json).await,
        Partner::Report {
            name: partner,
            month,
            form,
        } => return accounts::report(config, shown, name(&partner)?, &month, &form).await,
        Partner::Record { language } => return accounts::record(config, shown, language).await,
        Partner::Incident {
            name: partner,
            since,
            until,
            form,
            reasoned,
        } => {
            let order = Order::Incident {
                name: name(&partner)?,
                since: audit::day(&since)?,
                until: audit::day(&until)?,
                by: who(&reasoned.by)?,
                reason: reasoned.reason,
            };
            return accounts::incident(config, shown, &order, &form).await;
        }
        Partner::Offboard {
            name: partner,
            preview: true,
            ..
        } => {
            let order = Order::PreviewOffboarding { name: name(&partner)? };
            let answer = running(config, shown).await?.order(&order).await?;
            return Ok(answer
                .get("text")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned());
        }
        Partner::Offboard {
            name: partner, out, by, ..
        } => {
            let order = Order::Offboard {
                name: name(&partner)?,
                by: who(&by)?,
            };
            let answer = running(config, shown).await?.order(&order).await?;
            return certificate(&serde_json::from_value(answer)?, &out);
        }
        Partner::Add {
            name: partner,
            file,
            by,
        } => Order::AddPartner {
            name: name(&partner)?,
            agreement: Box::new(agreement(&file)?),
            by: who(&by)?,
        },
        Partner::Sign {
            name: partner,
            office,
            by,
        } => Order::SignPartner {
            name: name(&partner)?,
            office: match office {
                Office::It => viaduct_governance::Office::It,
                Office::Dpo => viaduct_governance::Office::Dpo,
                Office::Management => viaduct_governance::Office::Management,
            },
            by: who(&by)?,
        },
        Partner::Renew {
            name: partner,
            until,
            by,
        } => Order::RenewPartner {
            name: name(&partner)?,
            until: audit::day(&until)?,
            by: who(&by)?,
        },
        Partner::Suspend {
            name: partner,
            reasoned,
        } => Order::SuspendPartner {
            name: name(&partner)?,
            reason: reasoned.reason,
            by: who(&reasoned.by)?,
        },
        Partner::Resume { name: partner, by } => Order::ResumePartner {
            name: name(&partner)?,
            by: who(&by)?,
        },
    };
    let hub = running(config, shown).await?;
    hub.order(&order).await?;
    list(config, shown, false).await
}

/// Writes a certificate, in both languages.
fn certificate(made: &Certificate, folder: &Path) -> anyhow::Result<String> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut told = Vec::new();
    for (language, text) in [("de", &made.german), ("en", &made.english)] {
        let path = folder.join(format!("{}.certificate.{language}.txt", made.partner));
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        told.push(format!("Written: {}", path.display()));
    }
    told.push(made.english.clone());
    Ok(told.join("\n"))
}

async fn list(config: &Config, shown: &Shown, json: bool) -> anyhow::Result<String> {
    let statuses: Vec<PartnerStatus> = match Hub::find(config, shown).await? {
        Some(hub) => serde_json::from_value(hub.order(&Order::Partners).await?)?,
        None => viaduct_admin::statuses(&configured(config), SystemClock.now()),
    };
    if json {
        return Ok(serde_json::to_string_pretty(&statuses)?);
    }
    if statuses.is_empty() {
        return Ok("there are no partners".to_owned());
    }
    let head = ["PARTNER", "STANDING", "FROM", "UNTIL", "NETWORKS", "SAYS"].map(str::to_owned);
    let rows = statuses.iter().map(|status| {
        vec![
            status.name.clone(),
            status.standing.clone(),
            status.valid_from.clone(),
            status.valid_until.clone(),
            status.networks.join(" "),
            status.says.clone(),
        ]
    });
    Ok(columns(&std::iter::once(head.to_vec()).chain(rows).collect::<Vec<_>>()))
}

/// Does what was asked about legal holds.
///
/// # Errors
///
/// If no hub is running, or it says no.
pub async fn hold(config: &Config, shown: &Shown, action: Hold) -> anyhow::Result<String> {
    let hub = running(config, shown).await?;
    match action {
        Hold::List { json } => {
            let answer = hub.order(&Order::Holds).await?;
            if json {
                return Ok(serde_json::to_string_pretty(&answer)?);
            }
            let holds: Vec<LegalHold> = serde_json::from_value(answer)?;
            if holds.is_empty() {
                return Ok("there are no holds".to_owned());
            }
            let head = ["ID", "SINCE", "BY", "COVERS", "REASON"].map(str::to_owned).to_vec();
            let rows = holds.iter().map(|hold| {
                vec![
                    hold.id.clone(),
                    audit::time(hold.at),
                    hold.author.clone(),
                    serde_json::to_string(&hold.scope).unwrap_or_default(),
                    hold.reason.clone(),
                ]
            });
            Ok(columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))
        }
        Hold::Add {
            partner,
            mirror,
            person: whose,
            since,
            until,
            reasoned,
        } => {
            let scope = Scope {
                partner: partner.map(PartnerName::new).transpose()?,
                mirror: mirror.map(MirrorName::new).transpose()?,
                person: whose.as_deref().map(person).transpose()?,
                since: since.as_deref().map(audit::day).transpose()?.map(Day::start),
                until: until.as_deref().map(audit::day).transpose()?.map(Day::end),
            };
            let order = Order::PlaceHold {
                scope,
                by: who(&reasoned.by)?,
                reason: reasoned.reason,
            };
            let placed: LegalHold = serde_json::from_value(hub.order(&order).await?)?;
            Ok(format!("placed: {}", placed.id))
        }
        Hold::End { id, reasoned } => {
            let order = Order::LiftHold {
                id,
                by: who(&reasoned.by)?,
                reason: reasoned.reason,
            };
            hub.order(&order).await?;
            Ok("lifted".to_owned())
        }
    }
}

/// Does what was asked for, or about, a person.
///
/// # Errors
///
/// If no hub is running, or it says no.
pub async fn subject(config: &Config, shown: &Shown, action: Subject) -> anyhow::Result<String> {
    let hub = running(config, shown).await?;
    let people = |ids: &[String]| ids.iter().map(|id| person(id)).collect::<anyhow::Result<Vec<_>>>();
    match action {
        Subject::Export { ids, out, reasoned } => {
            let order = Order::ExportSubject {
                ids: people(&ids)?,
                by: who(&reasoned.by)?,
                reason: reasoned.reason,
            };
            let answer = hub.order(&order).await?;
            let text = match out.extension().and_then(OsStr::to_str) {
                Some("html") => letter::page(&answer, config.appservice.language),
                _ => serde_json::to_string_pretty(&answer)?,
            };
            audit::fresh(&out)?.write_all(text.as_bytes())?;
            Ok(format!("Written: {}", out.display()))
        }
        Subject::Erase { ids, json, reasoned } => {
            let order = Order::EraseSubject {
                ids: people(&ids)?,
                by: who(&reasoned.by)?,
                reason: reasoned.reason,
            };
            let answer = hub.order(&order).await?;
            if json {
                return Ok(serde_json::to_string_pretty(&answer)?);
            }
            Ok(tally(&serde_json::from_value(answer)?))
        }
        Subject::Grant { tag, to, reasoned } => {
            let order = Order::GrantUnmask {
                tag,
                to: user(&to, "--to")?,
                by: who(&reasoned.by)?,
                reason: reasoned.reason,
            };
            hub.order(&order).await?;
            Ok(format!("granted to {to}, once, until the same time tomorrow"))
        }
        Subject::Unmask { tag, reasoned } => {
            let order = Order::Unmask {
                tag,
                by: who(&reasoned.by)?,
                granted_by: String::new(),
                reason: reasoned.reason,
            };
            let answer = hub.order(&order).await?;
            let found = answer.get("person").and_then(Value::as_str);
            Ok(found
                .unwrap_or("nobody who is known here, or the key is destroyed")
                .to_owned())
        }
    }
}

/// What became of records, by network.
fn tally(tally: &Tally) -> String {
    let mut told = Vec::new();
    for (network, line) in &tally.0 {
        told.push(format!("{network}: {} deleted", line.deleted));
        for (basis, count) in &line.retained {
            told.push(format!("  retained: {count} ({})", basis.say(Language::English)));
        }
        for (reason, count) in &line.refused {
            told.push(format!("  refused: {count} ({reason})"));
        }
    }
    if told.is_empty() {
        told.push("nothing was found".to_owned());
    }
    told.join("\n")
}

/// Reads `network/id`.
fn person(text: &str) -> anyhow::Result<(NetworkName, PersonId)> {
    let wrong = || {
        Trouble::error(
            format!("{text:?} is not network/id"),
            "",
            "such as acme-xmpp/ann@acme.example",
        )
    };
    let (network, id) = text.split_once('/').ok_or_else(wrong)?;
    Ok((NetworkName::new(network)?, PersonId::new(id)?))
}

/// The agreements as the configuration has them.
pub fn configured(config: &Config) -> Register {
    let settings = settings::engine(config);
    let partner = |(name, agreement): (PartnerName, Agreement)| {
        let partner = viaduct_governance::Partner {
            agreement,
            history: History::default(),
            source: Source::Configuration,
        };
        (name, partner)
    };
    let facts = settings.facts();
    Register::new(facts, settings.partners.into_iter().map(partner).collect())
}

fn agreement(file: &Path) -> anyhow::Result<Agreement> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Trouble::error(format!("the agreement cannot be read: {error}"), file.display(), ""))?;
    serde_norway::from_str(&text).map_err(|error| {
        let fix = "it looks like one entry of `partners`; see config/example.yaml";
        Trouble::error(format!("this is no agreement: {error}"), file.display(), fix)
    })
}

/// Who gives an order, if that was said: the hub knows by the token, and refuses the order if it is another's.
fn who(by: &By) -> anyhow::Result<String> {
    by.by.as_ref().map_or_else(|| Ok(String::new()), |by| user(by, "--by"))
}

fn user(text: &str, flag: &str) -> anyhow::Result<String> {
    if text.starts_with('@') && text.contains(':') {
        return Ok(text.to_owned());
    }
    let what = format!("{text} is no Matrix user id");
    Err(Trouble::error(what, flag, "such as @you:example.org"))
}

pub(crate) async fn running(config: &Config, shown: &Shown) -> anyhow::Result<Hub> {
    Hub::find(config, shown)
        .await?
        .ok_or_else(|| Trouble::error("no hub is running", "admin.listen", "start it with `viaduct run`"))
}
