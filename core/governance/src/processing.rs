//! The record of processing activities (Art. 30 GDPR), from the agreements as they stand.

use viaduct_model::{Language, NetworkName, Timestamp};

use crate::PartnerName;
use crate::agreement::Agreement;
use crate::date::Day;
use crate::notices::{contact, day, periods};
use crate::phrases::Phrase;
use crate::register::{Partner, Register};
use crate::standing::FOREIGN_KINDS;

/// The record: one part for each agreement that is not wound up, and the measures that hold for all.
pub fn processing_record(register: &Register, now: Timestamp, language: Language) -> String {
    let made = day(Day::of(now), language);
    let mut parts = vec![Phrase::RecordHead.say(language, &[("made", &made)])];
    let living = register
        .partners()
        .iter()
        .filter(|(_, partner)| partner.history.offboarded.is_none());
    parts.extend(living.map(|(name, partner)| about(register, name, partner, language)));
    parts.push(Phrase::RecordMeasures.say(language, &[]));
    parts.join("\n\n")
}

fn about(register: &Register, name: &PartnerName, partner: &Partner, language: Language) -> String {
    let agreement = &partner.agreement;
    let networks: Vec<&str> = agreement.networks.iter().map(NetworkName::as_str).collect();
    let missing = Phrase::RecordNone.wording(language).to_owned();
    let contract = agreement.contract.as_ref().map_or_else(
        || missing.clone(),
        |contract| format!("{} ({})", contract.reference, day(contract.valid_until, language)),
    );
    let statutory = agreement.retention.statutory.as_ref().map(|duty| {
        let values = [("basis", &*duty.basis), ("days", &duty.days.to_string())];
        Phrase::RecordStatutory.say(language, &values)
    });
    Phrase::RecordPartner.say(
        language,
        &[
            ("organisation", &agreement.organisation),
            ("partner", name.as_str()),
            ("controller", &agreement.controller),
            ("contact", &contact(agreement)),
            ("purpose", &agreement.purpose),
            ("networks", &networks.join(", ")),
            ("transfer", &transfer(register, agreement, &missing, language)),
            ("contract", &contract),
            ("from", &day(agreement.valid_from, language)),
            ("until", &day(partner.last_day(), language)),
            ("periods", &periods(agreement, language)),
            ("ledger", &agreement.retention.ledger.to_string()),
            ("statutory", &statutory.unwrap_or_default()),
        ],
    )
}

/// Whether data leaves the European Economic Area, and on what that rests.
fn transfer(register: &Register, agreement: &Agreement, missing: &str, language: Language) -> String {
    let kind = |network| register.networks().get(network).map(|facts| facts.kind.as_str());
    let foreign = agreement
        .networks
        .iter()
        .filter_map(kind)
        .any(|kind| FOREIGN_KINDS.contains(&kind));
    let region = agreement.region.to_string();
    if agreement.region.is_eea() && !foreign {
        return Phrase::RecordNoTransfer.say(language, &[("region", &region)]);
    }
    let basis = agreement.third_country_basis.as_deref().unwrap_or(missing);
    Phrase::RecordTransfer.say(language, &[("region", &region), ("basis", basis)])
}
