//! The certificate at the end of a partnership: what was deleted, retained and refused, signed, in German and English.

use serde::{Deserialize, Serialize};
use viaduct_audit::LedgerError;
use viaduct_audit::note::{Signer, Verifier};
use viaduct_model::{Language, Place, Timestamp};

use crate::PartnerName;
use crate::date::Day;
use crate::notices::day;
use crate::phrases::Phrase;
use crate::register::Partner;
use crate::tally::{Basis, HERE, Tally};

/// One of a partner's two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// The one that seals what is held.
    Content,
    /// The one that makes the ledger's pseudonyms.
    Pseudonyms,
}

impl KeyKind {
    fn say(self, language: Language) -> String {
        match self {
            Self::Content => Phrase::KeyContent.say(language, &[]),
            Self::Pseudonyms => Phrase::KeyPseudonyms.say(language, &[]),
        }
    }
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// When winding up began.
    pub begun: Timestamp,
    /// What became of the records.
    pub tally: Tally,
    /// Held messages that were deleted.
    pub held: u64,
    /// Keys that were destroyed.
    pub keys_gone: Vec<KeyKind>,
    /// Keys that are kept, and why.
    pub keys_kept: Vec<(KeyKind, Basis)>,
    /// Places that were left.
    #[serde(default)]
    pub left: Vec<Place>,
    /// Places that could not be left, and why.
    #[serde(default)]
    pub not_left: Vec<(Place, String)>,
    /// Networks to which the access was given up.
    pub tokens_gone: Vec<String>,
    /// Networks to which it was not, and why.
    pub tokens_kept: Vec<(String, String)>,
}

/// A signed certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The partner.
    pub partner: PartnerName,
    /// When it was made.
    pub made: Timestamp,
    /// In German: a signed note.
    pub german: String,
    /// In English: a signed note.
    pub english: String,
}

impl Certificate {
    /// Writes and signs it.
    ///
    /// # Errors
    ///
    /// If it is too long to be signed.
    pub fn sign(
        name: &PartnerName,
        partner: &Partner,
        outcome: &Outcome,
        signer: &Signer,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        let note = |language| signer.sign(&text(name, partner, outcome, language, now));
        Ok(Self {
            partner: name.clone(),
            made: now,
            german: note(Language::German)?,
            english: note(Language::English)?,
        })
    }

    /// The text of a certificate, if this key signed it: nothing else is needed to check it.
    ///
    /// # Errors
    ///
    /// If it is no signed note, or not of this key.
    pub fn check<'n>(note: &'n str, key: &Verifier) -> Result<&'n str, LedgerError> {
        key.open(note)
    }
}

fn text(name: &PartnerName, partner: &Partner, outcome: &Outcome, language: Language, now: Timestamp) -> String {
    let agreement = &partner.agreement;
    let date = |at: Timestamp| day(Day::of(at), language);
    let mut lines = vec![
        Phrase::CertificateHead.say(
            language,
            &[
                ("organisation", &agreement.organisation),
                ("partner", name.as_str()),
                ("controller", &agreement.controller),
                ("purpose", &agreement.purpose),
                ("from", &day(agreement.valid_from, language)),
                ("until", &day(partner.last_day(), language)),
                ("begun", &date(outcome.begun)),
                ("done", &date(now)),
            ],
        ),
        String::new(),
    ];
    for (network, line) in &outcome.tally.0 {
        let deleted = line.deleted.to_string();
        lines.push(if network == HERE {
            let held = outcome.held.to_string();
            Phrase::CertificateOwn.say(language, &[("deleted", &deleted), ("held", &held)])
        } else {
            Phrase::CertificateNetwork.say(language, &[("network", network), ("deleted", &deleted)])
        });
        for (basis, count) in &line.retained {
            let values = [("count", &*count.to_string()), ("basis", &*basis.say(language))];
            lines.push(Phrase::CertificateRetained.say(language, &values));
        }
        for (reason, count) in &line.refused {
            let values = [("count", &*count.to_string()), ("reason", reason.as_str())];
            lines.push(Phrase::CertificateRefused.say(language, &values));
        }
    }
    lines.push(String::new());
    if !outcome.keys_gone.is_empty() {
        let keys: Vec<String> = outcome.keys_gone.iter().map(|key| key.say(language)).collect();
        let keys = keys.join(", ");
        lines.push(Phrase::CertificateKeysGone.say(language, &[("keys", &keys)]));
    }
    for (key, basis) in &outcome.keys_kept {
        let values = [("keys", &*key.say(language)), ("basis", &*basis.say(language))];
        lines.push(Phrase::CertificateKeysKept.say(language, &values));
    }
    if !outcome.left.is_empty() {
        let places: Vec<String> = outcome.left.iter().map(Place::to_string).collect();
        lines.push(Phrase::CertificateLeft.say(language, &[("places", &places.join(", "))]));
    }
    for (place, why) in &outcome.not_left {
        let values = [("place", &*place.to_string()), ("reason", why.as_str())];
        lines.push(Phrase::CertificateNotLeft.say(language, &values));
    }
    let kept: Vec<String> = outcome
        .tokens_kept
        .iter()
        .map(|(network, why)| format!("{network}: {why}"))
        .collect();
    let some = |list: Vec<String>| {
        if list.is_empty() {
            "\u{2013}".to_owned()
        } else {
            list.join(", ")
        }
    };
    let values = [
        ("networks", &*some(outcome.tokens_gone.clone())),
        ("kept", &*some(kept)),
    ];
    lines.push(Phrase::CertificateTokens.say(language, &values));
    lines.push(String::new());
    lines.push(Phrase::CertificateFoot.say(language, &[]));
    signable(&lines.join("\n"))
}

/// A text that can be signed: no control characters but line feeds, and one at its end. Two line feeds in a row would end a
/// note's text too early only if signature lines followed, which the dash in front of them rules out.
fn signable(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        line.strip_prefix('\u{2014}')
            .map_or(line.clone(), |rest| format!("-{rest}"))
    });
    let mut text: String = lines.collect::<Vec<_>>().join("\n").trim_end().to_owned();
    text.push('\n');
    text
}
