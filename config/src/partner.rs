//! `partners`: with whom, about what, how long, and when it is all deleted again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was agreed with one partner. Nothing crosses to or from a network that is neither the own organisation's (`own: true`)
/// nor covered by an agreement in force: signed by three offices, with a processing contract, and (outside of the European
/// Economic Area, and always with Slack and Teams) with a recorded basis for the transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// The partner's organisation, as it is named in contracts.
    pub organisation: String,
    /// What the exchange is for. It is shown in the rooms.
    pub purpose: String,
    /// Who on the own side is the controller, as it is named in contracts.
    pub controller: String,
    /// The networks over which the partner is reached, by their names under `networks`.
    pub networks: Vec<String>,
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
    #[schemars(extend("format" = "day"))]
    pub valid_from: String,
    /// The last day. You are warned 30, 7 and 1 days before; after it nothing crosses.
    #[schemars(extend("format" = "day"))]
    pub valid_until: String,
    /// Where the partner's networks keep what they get: `eea`, or a country's two letters.
    #[schemars(extend("format" = "region"))]
    pub region: String,
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
    /// The processing contract (Art. 28 GDPR).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// Whom people may ask. The data protection officer is named in the rooms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Contact>,
    /// Who agreed to it on the own side. Without all three it is a draft.
    #[serde(default)]
    pub sign_offs: SignOffs,
    /// Give a reason here, and nothing crosses for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
}

fn default_labels() -> Vec<String> {
    ["public", "internal", "confidential"].map(str::to_owned).to_vec()
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

/// A duty to keep messages.
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
    #[schemars(extend("format" = "day"))]
    pub valid_until: String,
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
    #[schemars(extend("format" = "day"))]
    pub on: String,
}
