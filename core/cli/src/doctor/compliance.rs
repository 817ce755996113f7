//! Whether what crosses is covered and proved: agreements, ledger, files.

use viaduct_admin::{Order, PartnerStatus, obstacles, statuses};
use viaduct_audit::Reader;
use viaduct_bridge::Probe;
use viaduct_config::Config;
use viaduct_model::{Clock as _, Place};

use crate::hub::Hub;
use crate::office::configured;
use crate::settings;
use crate::system::SystemClock;

/// How agreements and ledger stand; the running hub knows of renewals, the configuration only of what it says.
///
/// # Errors
///
/// If the running hub cannot be talked to.
pub async fn probes(config: &Config, hub: Option<&Hub>) -> anyhow::Result<Vec<Probe>> {
    let mut probes = vec![ledger(config)];
    let (register, now) = (configured(config), SystemClock.now());
    let partners: Vec<PartnerStatus> = match hub {
        Some(hub) => serde_json::from_value(hub.order(&Order::Partners).await?)?,
        None => statuses(&register, now),
    };
    probes.extend(partners.iter().map(agreement));
    let places: Vec<Place> = config
        .mirrors
        .iter()
        .flat_map(|mirror| &mirror.members)
        .map(|member| Place::new(member.network.clone(), member.channel.clone()))
        .collect();
    // A running hub may have agreements that the configuration does not know.
    if hub.is_none() {
        for (place, why) in obstacles(&register, &places, now) {
            let subject = format!("channel {place}");
            probes.push(Probe::error(subject, why, "nothing crosses there until that is mended"));
        }
    }
    Ok(probes)
}

fn agreement(partner: &PartnerStatus) -> Probe {
    let subject = format!("agreement {}", partner.name);
    let says = format!("it {}", partner.says);
    let renew = format!("viaduct partner renew {} --until DAY", partner.name);
    match partner.standing.as_str() {
        "active" | "offboarded" => Probe::ok(subject, says),
        "expiring" => Probe::warning(subject, says, renew),
        "ended" => Probe::error(
            subject,
            says,
            format!("{renew}, or viaduct partner offboard {}", partner.name),
        ),
        _ => Probe::error(
            subject,
            says,
            "nothing crosses until that is mended; see `viaduct partner list`",
        ),
    }
}

fn ledger(config: &Config) -> Probe {
    let Some(audit) = &config.audit else {
        let fix = "describe one under `audit`; `viaduct audit key` makes its keys";
        return Probe::warning("ledger", "none is kept, so what crosses cannot be proved", fix);
    };
    if !audit.folder.exists() {
        return Probe::ok("ledger", "it begins with the first start of the hub");
    }
    let size = settings::signer(config)
        .and_then(|signer| Ok(Reader::open(&audit.folder, &signer.verifier())?.checkpoint().size));
    match size {
        Ok(size) => Probe::ok(
            "ledger",
            format!("{size} entries; `viaduct audit verify` checks every byte"),
        ),
        Err(error) => Probe::error("ledger", format!("{error:#}"), "restore it from a backup, with its key"),
    }
}
