//! The contract with a partner as data: what an operator writes under `partners:`, or gives to `viaduct partner add`. What is
//! said of each key here is its reference: the configuration's schema is made of it.

use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use viaduct_model::{IdError, NetworkName, Place};

use crate::date::Day;

/// The operator's name of a partner, such as `acme`. Same characters as a [`NetworkName`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartnerName(NetworkName);

impl PartnerName {
    /// The name that stands for the own organisation where keys and records are kept by partner; no partner may have it.
    pub const OWN: &'static str = "own";

    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// [`IdError`] says which bound or character was violated.
    pub fn new(name: impl AsRef<str>) -> Result<Self, IdError> {
        NetworkName::new(name).map(Self)
    }

    /// The own organisation.
    pub fn own() -> Self {
        // The own name is a network name like any other; should it ever not be, the reserved one takes its place.
        Self(NetworkName::new(Self::OWN).unwrap_or_else(|_| NetworkName::matrix()))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for PartnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What was agreed with one partner. Nothing crosses to or from a network that is neither the own organisation's (`own: true`)
/// nor covered by an agreement in force: signed by three offices, with a processing contract, and (outside of the European
/// Economic Area, and always with Slack and Teams) with a recorded basis for the transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The partner's organisation, as it is named in contracts.
    pub organisation: String,
    /// What the exchange is for. It is shown in the rooms.
    pub purpose: String,
    /// Who on the own side is the controller, as it is named in contracts.
    pub controller: String,
    /// The networks over which the partner is reached, by their names under `networks`.
    #[schemars(with = "Vec<String>")]
    pub networks: Vec<NetworkName>,
    /// Only these channels of them, as `network/channel`. Left out: all that are mirrored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Workspaces, tenants and domains whose people may speak, as the network tells them; `*` stands for any characters.
    /// Nobody else may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organisations: Vec<String>,
    /// Single people who may speak, by their id on their network; `*` stands for any characters, and alone for everybody
    /// there, where a network (such as IRC) tells no organisations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// The first day, such as 2026-01-31.
    #[schemars(with = "String", extend("format" = "day"))]
    pub valid_from: Day,
    /// The last day. You are warned 30, 7 and 1 days before; after it nothing crosses.
    #[schemars(with = "String", extend("format" = "day"))]
    pub valid_until: Day,
    /// Where the partner's networks keep what they get: `eea`, or a country's two letters.
    #[schemars(with = "String", extend("format" = "region"))]
    pub region: Region,
    /// On what a transfer outside of the European Economic Area rests, such as standard contractual clauses, with their file
    /// number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub third_country_basis: Option<String>,
    /// How long records are kept, in days.
    pub retention: Retention,
    /// The labels in use, from the most open to the most closed.
    #[serde(default = "default_labels")]
    pub labels: Vec<String>,
    /// The highest label that may cross: one of `labels`.
    pub ceiling: String,
    /// The lowest label that asks for encryption: what carries it, or a higher one, crosses only where the mirror's Matrix room is
    /// end-to-end encrypted (as far as viaduct). Left out: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_from: Option<String>,
    /// The processing contract (Art. 28 GDPR).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// Whom people may ask. The data protection officer is named in the rooms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Contact>,
    /// Who agreed to it on the own side. Without all three it is a draft.
    #[serde(default)]
    pub sign_offs: SignOffs,
    /// What the rooms are told beside what follows from this agreement, and how often.
    #[serde(default, skip_serializing_if = "NoticeTerms::is_default")]
    pub notice: NoticeTerms,
    /// Give a reason here, and nothing crosses for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
}

fn default_labels() -> Vec<String> {
    ["public", "internal", "confidential"].map(str::to_owned).to_vec()
}

impl Agreement {
    /// Whether a place is one of this agreement's.
    pub fn covers(&self, place: &Place) -> bool {
        self.networks.contains(&place.network)
            && (self.channels.is_empty() || self.channels.contains(&place.to_string()))
    }

    /// Whom people should ask: the data protection officer, or else the first contact there is.
    pub fn contact(&self) -> Option<&Contact> {
        let officer = self.contacts.iter().find(|contact| contact.role == ContactRole::Dpo);
        officer.or_else(|| self.contacts.first())
    }
}

/// Where data is kept: `eea`, or the two letters of a country (ISO 3166-1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

/// The member states of the European Economic Area.
const EEA: [&str; 30] = [
    "at", "be", "bg", "cy", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr", "hr", "hu", "ie", "is", "it", "li", "lt",
    "lu", "lv", "mt", "nl", "no", "pl", "pt", "ro", "se", "si", "sk",
];

impl Region {
    /// Reads a region; case makes no difference.
    ///
    /// # Errors
    ///
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let region = text.trim().to_ascii_lowercase();
        let is_country = region.len() == 2 && region.chars().all(|c| c.is_ascii_lowercase());
        if region == "eea" || is_country {
            Ok(Self(region))
        } else {
            Err(format!(
                "`{text}` is not a region; write eea, or a country's two letters such as us"
            ))
        }
    }

    /// Whether it lies within the European Economic Area.
    pub fn is_eea(&self) -> bool {
        self.0 == "eea" || EEA.contains(&self.0.as_str())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_ascii_uppercase())
    }
}

impl TryFrom<String> for Region {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0
    }
}

/// How long each class of records is kept, in days from the day they came about. There is no "for ever".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// What was said: messages in their newest wording, without files.
    pub messages: Period,
    /// Messages with files.
    pub files: Period,
    /// Wordings that were replaced or withdrawn, from the day that happened.
    pub versions: Period,
    /// Everything else: reactions, topics, who came and went.
    pub metadata: Period,
    /// How long what is held waits for a second person before it is rejected.
    pub quarantine: Period,
    /// How long, after the agreement's end, the ledger's pseudonyms can still be traced to people.
    pub ledger: u32,
    /// A law that forbids to erase messages earlier: wishes for erasure are answered with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statutory: Option<Statutory>,
}

/// So many days, for both directions or for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Period {
    /// The same in both directions.
    Both(u32),
    /// For each direction.
    Each(Directions),
}

/// Days for each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Directions {
    /// For what comes from the partner.
    #[serde(rename = "in")]
    pub inward: u32,
    /// For what goes to the partner.
    #[serde(rename = "out")]
    pub outward: u32,
}

impl Period {
    /// The days for one direction.
    pub fn days(self, direction: viaduct_compliance::Direction) -> u32 {
        match (self, direction) {
            (Self::Both(days), _) => days,
            (Self::Each(each), viaduct_compliance::Direction::In) => each.inward,
            (Self::Each(each), viaduct_compliance::Direction::Out) => each.outward,
        }
    }
}

/// A duty to keep messages (Art. 17 (3) b GDPR).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statutory {
    /// The norm, such as `HGB §257`.
    pub basis: String,
    /// For so many days from the message.
    pub days: u32,
}

/// The processing contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Where it is filed.
    pub reference: String,
    /// The SHA-256 of the signed file, in hexadecimal digits: `sha256sum contract.pdf`.
    #[schemars(extend("format" = "sha256"))]
    pub sha256: String,
    /// Its last day; after it nothing crosses.
    #[schemars(with = "String", extend("format" = "day"))]
    pub valid_until: Day,
}

/// Somebody to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Their name, or their office's.
    pub name: String,
    /// What they answer for.
    pub role: ContactRole,
    /// Their address: mail, Matrix id or telephone.
    pub address: String,
}

/// What a contact answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContactRole {
    /// Data protection.
    Dpo,
    /// Compliance.
    Compliance,
    /// Information technology.
    It,
    /// The matter itself.
    Business,
}

/// What people in the rooms are told: always before the first message, and when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeTerms {
    /// They are told again after so many days, before the next message. Left out: only when something in it changes. Where
    /// several agreements concern a room, the shortest time counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_days: Option<NonZeroU32>,
    /// Words of your own, at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
}

impl NoticeTerms {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Words of an operator's own, in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// In German.
    pub de: String,
    /// In English.
    pub en: String,
}

/// Who agreed on the own side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignOffs {
    /// Information technology.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub it: Option<SignOff>,
    /// Data protection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpo: Option<SignOff>,
    /// Management.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<SignOff>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignOff {
    /// Who.
    pub by: String,
    /// When.
    #[schemars(with = "String", extend("format" = "day"))]
    pub on: Day,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_read() {
        for (text, eea) in [
            ("EEA", true),
            ("de", true),
            ("NO", true),
            ("us", false),
            ("gb", false),
            ("ch", false),
        ] {
            assert_eq!(Region::parse(text).unwrap().is_eea(), eea, "{text}");
        }
        for wrong in ["", "europe", "d3", "unset"] {
            assert!(Region::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_period_is_one_number_or_two() {
        let periods: Vec<Period> = serde_norway::from_str("[30, {in: 10, out: 20}]").unwrap();
        let days = |period: Period| {
            [viaduct_compliance::Direction::In, viaduct_compliance::Direction::Out]
                .map(|direction| period.days(direction))
        };
        assert_eq!(periods.into_iter().map(days).collect::<Vec<_>>(), [[30, 30], [10, 20]]);
    }
}
