//! How agreements stand, in words of both languages.

use viaduct_governance::{Gap, Standing};
use viaduct_model::Language;

use super::texts::{self, Text};

/// How an agreement stands.
pub(crate) fn standing(standing: &Standing, language: Language) -> String {
    let say = |text: Text| text.pick(language).to_owned();
    match standing {
        Standing::Draft(gaps) => {
            let gaps: Vec<String> = gaps.iter().map(|missing| gap(missing, language)).collect();
            texts::STANDING_DRAFT.with(language, &[("gaps", &gaps.join("; "))])
        }
        Standing::NotYet => say(texts::STANDING_NOT_YET),
        Standing::Active => say(texts::STANDING_ACTIVE),
        Standing::ExpiresIn(days) => texts::STANDING_EXPIRES.with(language, &[("days", &days.to_string())]),
        Standing::Suspended(reason) => texts::STANDING_SUSPENDED.with(language, &[("reason", reason)]),
        Standing::Ended => say(texts::STANDING_ENDED),
        Standing::Offboarded => say(texts::STANDING_OFFBOARDED),
    }
}

/// What an agreement lacks.
pub(crate) fn gap(gap: &Gap, language: Language) -> String {
    let say = |text: Text| text.pick(language).to_owned();
    let about = |text: Text, what: &str| text.with(language, &[("what", what)]);
    match gap {
        Gap::Empty(key) => about(texts::GAP_EMPTY, key),
        Gap::Dates => say(texts::GAP_DATES),
        Gap::NoNetwork => say(texts::GAP_NO_NETWORK),
        Gap::UnknownNetwork(network) => about(texts::GAP_UNKNOWN_NETWORK, network.as_str()),
        Gap::OwnNetwork(network) => about(texts::GAP_OWN_NETWORK, network.as_str()),
        Gap::NobodyAdmitted => say(texts::GAP_NOBODY),
        Gap::NoThirdCountryBasis => say(texts::GAP_BASIS),
        Gap::NoContract => say(texts::GAP_CONTRACT),
        Gap::ContractHash => say(texts::GAP_CONTRACT_HASH),
        Gap::NoContact => say(texts::GAP_CONTACT),
        Gap::Ceiling => say(texts::GAP_CEILING),
        Gap::EncryptedFrom => say(texts::GAP_ENCRYPTED_FROM),
        Gap::NoSignOff(who) => about(texts::GAP_SIGN_OFF, office(who, language)),
    }
}

/// An office, by the name that signatures have.
pub(crate) fn office(name: &str, language: Language) -> &str {
    match name {
        "it" => texts::OFFICE_IT.pick(language),
        "dpo" => texts::OFFICE_DPO.pick(language),
        "management" => texts::OFFICE_MANAGEMENT.pick(language),
        other => other,
    }
}
