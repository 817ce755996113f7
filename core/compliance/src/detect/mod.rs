//! Detectors: things that have a form of their own, one file each.
//!
//! A detector is a function from [`Tokens`] to places; it looks at the folded view of a text, so it never meets a look-alike
//! or an invisible character. What has a check digit is verified; what is too common a form even so counts only near a word
//! that says what it is ([`Cue`]).

mod card;
mod checks;
mod iban;
mod identity_card;
mod kvnr;
mod passport;
mod private_key;
mod rvnr;
mod secret;
mod steuer_id;
mod tokens;
mod vat_id;

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use secret::key_words;
pub(crate) use tokens::{CUE_WORDS, Cue, Cues, Tokens};

/// Sorts of things that a policy can look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// Payment card numbers: check digit, and the number range of an issuer.
    Card,
    /// International bank account numbers, of every country in the registry.
    Iban,
    /// The German tax identification number (Steuer-ID).
    SteuerId,
    /// The German pension insurance number (Rentenversicherungsnummer).
    Rvnr,
    /// The German health insurance number (Krankenversichertennummer).
    Kvnr,
    /// The number of a German identity card (Personalausweis).
    IdentityCard,
    /// Passport numbers, near a word that says so.
    Passport,
    /// VAT identification numbers of the European Union.
    VatId,
    /// Access keys, tokens and passwords.
    Secret,
    /// Private keys.
    PrivateKey,
}

impl Detector {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Card,
        Self::Iban,
        Self::SteuerId,
        Self::Rvnr,
        Self::Kvnr,
        Self::IdentityCard,
        Self::Passport,
        Self::VatId,
        Self::Secret,
        Self::PrivateKey,
    ];

    /// Its name in policies, findings and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Iban => "iban",
            Self::SteuerId => "steuer_id",
            Self::Rvnr => "rvnr",
            Self::Kvnr => "kvnr",
            Self::IdentityCard => "identity_card",
            Self::Passport => "passport",
            Self::VatId => "vat_id",
            Self::Secret => "secret",
            Self::PrivateKey => "private_key",
        }
    }

    /// Everything of this sort in a text.
    pub(crate) fn find(self, tokens: &Tokens<'_>) -> Vec<Range<usize>> {
        match self {
            Self::Card => card::find(tokens),
            Self::Iban => iban::find(tokens),
            Self::SteuerId => steuer_id::find(tokens),
            Self::Rvnr => rvnr::find(tokens),
            Self::Kvnr => kvnr::find(tokens),
            Self::IdentityCard => identity_card::find(tokens),
            Self::Passport => passport::find(tokens),
            Self::VatId => vat_id::find(tokens),
            Self::Secret => secret::find(tokens),
            Self::PrivateKey => private_key::find(tokens),
        }
    }
}

/// What a detector finds in a text, for its own tests.
#[cfg(test)]
pub(crate) fn found(detector: Detector, text: &str) -> Vec<String> {
    let scanner = crate::scan::Scanner::for_detectors(&[detector]);
    let folded = crate::text::fold(text);
    let cues = scanner.cues(&folded);
    let tokens = Tokens::new(&folded, &cues);
    detector
        .find(&tokens)
        .into_iter()
        .map(|place| folded.get(place).unwrap().to_owned())
        .collect()
}
