//! Everything that people are told, in German and English.
//!
//! A text is a variant of [`Text`]; the compiler asks for both of its wordings, and a test that both use the same
//! placeholders. Numbers and dates come in ready for their language. Texts that an operator wrote (reasons of rules, purposes)
//! are put in as they are.

use viaduct_model::Language;

/// A text. Its documentation says when it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Text {
    /// In the room, before the first relay and to new members; one a partner.
    Notice,
    /// Before [`Text::Notice`] in an encrypted room.
    NoticeEncrypted,
    /// How long records are kept, within [`Text::Notice`].
    Periods,
    /// The days of two directions.
    BothWays,
    /// The answer to `!viaduct help datenschutz`.
    HelpDataProtection,
    /// In a room that is not mirrored with a partner, the same.
    HelpDataProtectionOwn,
    /// To a sender whose event is held.
    Held,
    /// To a sender whose event waits behind another one.
    HeldBehind,
    /// To a sender whose event was refused.
    Refused,
    /// To a sender part of whose event was made unreadable.
    Masked,
    /// To a sender whose file was taken away.
    Stripped,
    /// To a sender who is warned.
    Warned,
    /// To a sender who may override.
    OverrideOffered,
    /// To a sender who overrode.
    OverrideTaken,
    /// To a sender who overrode without a reason, or with one that is too short.
    OverrideNeedsReason,
    /// To somebody who would override what is not theirs, or not held.
    OverrideUnknown,
    /// To a sender who would override what they may not.
    OverrideForbidden,
    /// To a sender who says a finding is wrong.
    FalsePositive,
    /// To a sender whose held event was released, by a second person or by themselves, and has arrived.
    Released,
    /// To a sender whose held event was rejected.
    Rejected,
    /// To a sender whose held event nobody released in time.
    Expired,
    /// To a reviewer: something waits.
    ReviewWanted,
    /// In rooms whose agreement is suspended or has ended.
    Resting,
    /// In rooms whose agreement is in force again.
    Resumed,
    /// To operators: an agreement came into force.
    AgreementBegan,
    /// To operators: it ends soon.
    AgreementEnds,
    /// To operators: it has ended.
    AgreementEnded,
    /// To operators: its processing contract ends soon.
    ContractEnds,
    /// To operators: its processing contract has ended.
    ContractEnded,
    /// To operators: a channel does not work.
    ChannelTrouble,
    /// To operators: it works again.
    ChannelWorks,
    /// To operators: a network does not accept our login any more.
    LoginRefused,
    /// To operators: it does again.
    LoginWorks,
    /// In rooms of a partner that is being wound up.
    Farewell,
    /// The certificate's beginning.
    CertificateHead,
    /// The certificate: what became of one network's records.
    CertificateNetwork,
    /// The certificate: retained records.
    CertificateRetained,
    /// The certificate: refused deletions.
    CertificateRefused,
    /// The certificate: the hub's own records.
    CertificateOwn,
    /// The certificate: keys that were destroyed.
    CertificateKeysGone,
    /// The certificate: keys that are kept, and until when.
    CertificateKeysKept,
    /// The key that seals content, within the certificate.
    KeyContent,
    /// The key of the ledger's pseudonyms, within the certificate.
    KeyPseudonyms,
    /// The certificate: places that were left.
    CertificateLeft,
    /// The certificate: a place that could not be left.
    CertificateNotLeft,
    /// The certificate: accesses that were given up.
    CertificateTokens,
    /// The certificate's end.
    CertificateFoot,
    /// The basis of a legal hold.
    BasisHold,
    /// The basis of a statutory duty.
    BasisStatutory,
    /// Messages that still wait for their delivery elsewhere.
    BasisUndelivered,
    /// The basis of the ledger.
    BasisLedger,
}

impl Text {
    /// All of them.
    pub const ALL: [Self; 51] = [
        Self::Notice,
        Self::NoticeEncrypted,
        Self::Periods,
        Self::BothWays,
        Self::HelpDataProtection,
        Self::HelpDataProtectionOwn,
        Self::Held,
        Self::HeldBehind,
        Self::Refused,
        Self::Masked,
        Self::Stripped,
        Self::Warned,
        Self::OverrideOffered,
        Self::OverrideTaken,
        Self::OverrideNeedsReason,
        Self::OverrideUnknown,
        Self::OverrideForbidden,
        Self::FalsePositive,
        Self::Released,
        Self::Rejected,
        Self::Expired,
        Self::ReviewWanted,
        Self::Resting,
        Self::Resumed,
        Self::AgreementBegan,
        Self::AgreementEnds,
        Self::AgreementEnded,
        Self::ContractEnds,
        Self::ContractEnded,
        Self::ChannelTrouble,
        Self::ChannelWorks,
        Self::LoginRefused,
        Self::LoginWorks,
        Self::Farewell,
        Self::CertificateHead,
        Self::CertificateNetwork,
        Self::CertificateRetained,
        Self::CertificateRefused,
        Self::CertificateOwn,
        Self::CertificateKeysGone,
        Self::CertificateKeysKept,
        Self::KeyContent,
        Self::KeyPseudonyms,
        Self::CertificateLeft,
        Self::CertificateNotLeft,
        Self::CertificateTokens,
        Self::CertificateFoot,
        Self::BasisHold,
        Self::BasisStatutory,
        Self::BasisUndelivered,
        Self::BasisLedger,
    ];

    /// Its wording, with placeholders in braces.
    pub fn wording(self, language: Language) -> &'static str {
        let (german, english) = self.wordings();
        match language {
            Language::German => german,
            Language::English => english,
        }
    }

    /// Its wording with the placeholders filled in. What is filled in is not looked at again.
    pub fn say(self, language: Language, values: &[(&str, &str)]) -> String {
        let mut said = String::new();
        let mut rest = self.wording(language);
        while let Some((before, after)) = rest.split_once('{') {
            said.push_str(before);
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
                said.push_str(value);
            }
            rest = after;
        }
        said.push_str(rest);
        said
    }

    #[rustfmt::skip]
    fn wordings(self) -> (&'static str, &'static str) {
        match self {
            Self::Notice => (
                "Dieser Raum ist mit {partner} verbunden ({network}, Region {region}). Was hier geschrieben wird, lesen auch Menschen dort; was sie schreiben, erscheint hier. Zweck: {purpose}. Verantwortlich: {controller}. Protokolliert werden Zeit, Richtung, Entscheidung der Filter, Nachrichtenkennungen, ein Pseudonym des Absenders und ein Schlüsselhash des Inhalts. {periods} Die Vereinbarung gilt bis {until}. Fragen: {contact}.",
                "This room is joined with {partner} ({network}, region {region}). What is written here is read by people there, too; what they write appears here. Purpose: {purpose}. Controller: {controller}. Logged are time, direction, the filters' decision, message ids, a pseudonym of the sender and a keyed hash of the content. {periods} The agreement lasts until {until}. Questions: {contact}.",
            ),
            Self::NoticeEncrypted => (
                "Diese Bridge entschlüsselt die Nachrichten dieses Raums und leitet sie weiter: Die Ende-zu-Ende-Verschlüsselung reicht bis zur Bridge, nicht darüber hinaus.",
                "This bridge decrypts this room's messages and passes them on: end-to-end encryption reaches as far as the bridge, and not beyond.",
            ),
            Self::Periods => (
                "Gelöscht werden Nachrichten nach {messages} Tagen, Dateien nach {files}, ersetzte Fassungen nach {versions}, Übriges nach {metadata}.",
                "Messages are deleted after {messages} days, files after {files}, replaced wordings after {versions}, everything else after {metadata}.",
            ),
            Self::BothWays => ("{in} (vom Partner) und {out} (an den Partner)", "{in} (from the partner) and {out} (to the partner)"),
            Self::HelpDataProtection => (
                "Datenschutz in diesem Raum: {notice} Sie können Auskunft über Ihre Daten (Art. 15 DSGVO) und ihre Löschung (Art. 17) verlangen: {contact}. Was ein Filter anhält, sieht nur, wer es prüft, und jede Einsicht wird protokolliert. Anwesenheit und Lesebestätigungen werden nicht weitergegeben.",
                "Data protection in this room: {notice} You may ask for your data (Art. 15 GDPR) and for their erasure (Art. 17): {contact}. What a filter holds is seen by its reviewer only, and each look is logged. Presence and read receipts are not passed on.",
            ),
            Self::HelpDataProtectionOwn => (
                "Dieser Raum ist mit keinem Partner verbunden; was hier geschrieben wird, verlässt die eigene Organisation nicht durch viaduct.",
                "This room is joined with no partner; what is written here does not leave your organisation through viaduct.",
            ),
            Self::Held => (
                "Ihre Nachricht an {partner} wartet auf die Freigabe durch eine zweite Person (Regel {rule}: {reason}). Ohne Freigabe bis {until} wird sie nicht zugestellt.",
                "Your message to {partner} waits for a second person's release (rule {rule}: {reason}). If nobody releases it by {until}, it is not delivered.",
            ),
            Self::HeldBehind => (
                "Dies bezieht sich auf eine Nachricht, die noch auf ihre Freigabe wartet, und wartet mit ihr.",
                "This refers to a message that still waits for its release, and waits with it.",
            ),
            Self::Refused => (
                "Ihre Nachricht an {partner} wurde nicht zugestellt (Regel {rule}: {reason}).",
                "Your message to {partner} was not delivered (rule {rule}: {reason}).",
            ),
            Self::Masked => (
                "Ihre Nachricht an {partner} wurde zugestellt; Teile davon wurden unkenntlich gemacht (Regel {rule}).",
                "Your message to {partner} was delivered; parts of it were made unreadable (rule {rule}).",
            ),
            Self::Stripped => (
                "Ihre Nachricht an {partner} wurde ohne die angehängte Datei zugestellt (Regel {rule}).",
                "Your message to {partner} was delivered without the file (rule {rule}).",
            ),
            Self::Warned => ("Hinweis zu Ihrer Nachricht an {partner}: {reason}", "A note on your message to {partner}: {reason}"),
            Self::OverrideOffered => (
                "Die Regel {rule} lässt Sie entscheiden. Wenn Ihre Nachricht trotzdem an {partner} gehen soll, schreiben Sie: !viaduct trotzdem {number} BEGRÜNDUNG. Die Begründung ({chars} Zeichen oder mehr) wird mit Ihrem Pseudonym protokolliert.",
                "The rule {rule} lets you decide. If your message has to go to {partner} all the same, write: !viaduct anyway {number} REASON. The reason ({chars} characters or more) is logged with your pseudonym.",
            ),
            Self::OverrideTaken => (
                "Ihre Nachricht wird auf Ihre Begründung hin zugestellt, wenn inzwischen keine andere Regel entgegensteht; beides ist protokolliert.",
                "Your message goes on, on your reason, unless another rule stops it by now; both are logged.",
            ),
            Self::OverrideNeedsReason => (
                "Bitte begründen Sie mit mindestens {chars} Zeichen, warum die Nachricht trotzdem gesendet werden soll: !viaduct trotzdem NUMMER BEGRÜNDUNG.",
                "Please say in at least {chars} characters why the message should be sent all the same: !viaduct anyway NUMBER REASON.",
            ),
            Self::OverrideUnknown => (
                "Unter dieser Nummer wartet keine Nachricht von Ihnen.",
                "No message of yours waits under this number.",
            ),
            Self::OverrideForbidden => (
                "Das können Sie nicht selbst entscheiden: Eine Regel, die Ihre Nachricht anhält, lässt es nicht zu.",
                "You cannot decide this yourself: a rule that stops your message does not allow it.",
            ),
            Self::FalsePositive => (
                "Danke; {contact} prüft, ob die Regel {rule} zu streng ist.",
                "Thank you; {contact} looks into whether the rule {rule} is too strict.",
            ),
            Self::Released => (
                "Ihre Nachricht an {partner} wurde freigegeben und zugestellt.",
                "Your message to {partner} was released and delivered.",
            ),
            Self::Rejected => (
                "Ihre Nachricht an {partner} wurde nicht freigegeben und wird nicht zugestellt.",
                "Your message to {partner} was not released and is not delivered.",
            ),
            Self::Expired => (
                "Ihre Nachricht an {partner} wurde nicht rechtzeitig freigegeben und wird nicht zugestellt.",
                "Your message to {partner} was not released in time and is not delivered.",
            ),
            Self::ReviewWanted => (
                "{count} Nachrichten warten auf Prüfung, die älteste seit {since}: `viaduct quarantine list`.",
                "{count} messages wait for review, the oldest since {since}: `viaduct quarantine list`.",
            ),
            Self::Resting => (
                "Die Verbindung mit {partner} ruht: {reason}. Was hier geschrieben wird, wird aufbewahrt und nicht weitergeleitet.",
                "The exchange with {partner} rests: {reason}. What is written here is kept and not passed on.",
            ),
            Self::Resumed => (
                "Die Verbindung mit {partner} besteht wieder.",
                "The exchange with {partner} goes on.",
            ),
            Self::AgreementBegan => (
                "Die Vereinbarung mit {partner} ist in Kraft, bis {until}.",
                "The agreement with {partner} is in force, until {until}.",
            ),
            Self::AgreementEnds => (
                "Die Vereinbarung mit {partner} endet am {until}, in höchstens {days} Tagen. Verlängern: `viaduct partner renew {partner} --until TAG`.",
                "The agreement with {partner} ends on {until}, within {days} days. To renew it: `viaduct partner renew {partner} --until DAY`.",
            ),
            Self::AgreementEnded => (
                "Die Vereinbarung mit {partner} endete am {until}; es wird nichts mehr ausgetauscht. Abwickeln: `viaduct partner offboard {partner}`.",
                "The agreement with {partner} ended on {until}; nothing is exchanged any more. To wind it up: `viaduct partner offboard {partner}`.",
            ),
            Self::ContractEnds => (
                "Der Auftragsverarbeitungsvertrag mit {partner} endet am {until}, in höchstens {days} Tagen; danach ruht die Verbindung.",
                "The processing contract with {partner} ends on {until}, within {days} days; after that the exchange rests.",
            ),
            Self::ContractEnded => (
                "Der Auftragsverarbeitungsvertrag mit {partner} endete am {until}; die Verbindung ruht.",
                "The processing contract with {partner} ended on {until}; the exchange rests.",
            ),
            Self::ChannelTrouble => (
                "Der Kanal {channel} funktioniert nicht: {reason}. Was für ihn bestimmt ist, wird aufbewahrt.",
                "The channel {channel} does not work: {reason}. What is meant for it is kept.",
            ),
            Self::ChannelWorks => ("Der Kanal {channel} funktioniert wieder.", "The channel {channel} works again."),
            Self::LoginRefused => (
                "Das Netz {network} nimmt die Anmeldung nicht an: {reason}. Was dorthin soll, wird aufbewahrt; `viaduct doctor` sagt mehr.",
                "The network {network} does not accept the login: {reason}. What is meant for it is kept; `viaduct doctor` says more.",
            ),
            Self::LoginWorks => (
                "Das Netz {network} nimmt die Anmeldung wieder an.",
                "The network {network} accepts the login again.",
            ),
            Self::Farewell => (
                "Die Zusammenarbeit mit {partner} endet. {partner} ist von diesem Raum getrennt, und übertragene Nachrichten und Dateien werden gelöscht, soweit das Netz es zulässt. Fragen: {contact}.",
                "The cooperation with {partner} ends. {partner} is disconnected from this room, and what was carried over is deleted as far as the network allows. Questions: {contact}.",
            ),
            Self::CertificateHead => (
                "Löschbescheinigung\n\nPartner: {organisation} ({partner})\nVerantwortlich: {controller}\nZweck: {purpose}\nVereinbarung: {from} bis {until}\nBegonnen: {begun}\nAbgeschlossen: {done}",
                "Certificate of deletion\n\nPartner: {organisation} ({partner})\nController: {controller}\nPurpose: {purpose}\nAgreement: {from} to {until}\nBegun: {begun}\nCompleted: {done}",
            ),
            Self::CertificateNetwork => (
                "Netz {network}: {deleted} Nachrichten gelöscht oder geschwärzt",
                "Network {network}: {deleted} messages deleted or redacted",
            ),
            Self::CertificateRetained => ("  aufbewahrt: {count} ({basis})", "  retained: {count} ({basis})"),
            Self::CertificateRefused => ("  vom Netz abgelehnt: {count} ({reason})", "  refused by the network: {count} ({reason})"),
            Self::CertificateOwn => (
                "Eigene Aufzeichnungen: {deleted} Einträge gelöscht, {held} angehaltene Nachrichten gelöscht",
                "Own records: {deleted} entries deleted, {held} held messages deleted",
            ),
            Self::CertificateKeysGone => (
                "Schlüssel vernichtet: {keys}. Was damit versiegelt oder pseudonymisiert war, lässt sich nicht mehr lesen oder zuordnen.",
                "Keys destroyed: {keys}. What was sealed or pseudonymised with them can no longer be read or traced.",
            ),
            Self::CertificateKeysKept => (
                "Schlüssel aufbewahrt: {keys} ({basis})",
                "Keys retained: {keys} ({basis})",
            ),
            Self::KeyContent => ("Inhalte", "content"),
            Self::KeyPseudonyms => ("Pseudonyme des Protokolls", "the ledger's pseudonyms"),
            Self::CertificateLeft => ("Verlassen: {places}", "Left: {places}"),
            Self::CertificateNotLeft => ("Nicht verlassen: {place} ({reason})", "Not left: {place} ({reason})"),
            Self::CertificateTokens => (
                "Zugänge aufgegeben: {networks}. Zugänge nicht aufgegeben: {kept}",
                "Accesses given up: {networks}. Accesses not given up: {kept}",
            ),
            Self::CertificateFoot => (
                "Gelöscht wurde, was zum Zeitpunkt der Abwicklung aufgezeichnet war; was vorher nach seinen Fristen gelöscht wurde, ist nicht gezählt. Diese Bescheinigung ist unterschrieben und lässt sich ohne viaduct prüfen (C2SP signed-note).",
                "Deleted was what was on record when winding up began; what had been deleted earlier when its time was over is not counted. This certificate is signed and can be checked without viaduct (C2SP signed-note).",
            ),
            Self::BasisHold => ("Aufbewahrungsanordnung {hold}: {reason}", "legal hold {hold}: {reason}"),
            Self::BasisStatutory => ("{basis}, bis {until}", "{basis}, until {until}"),
            Self::BasisUndelivered => (
                "an andere noch nicht zugestellt",
                "not delivered to others yet",
            ),
            Self::BasisLedger => (
                "Rechenschaftspflicht, Art. 5 Abs. 2 DSGVO, bis {until}",
                "accountability, Art. 5 (2) GDPR, until {until}",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn s27_s41_every_text_is_there_in_german_and_english() {
        let mut seen = BTreeSet::new();
        for text in Text::ALL {
            assert!(seen.insert(format!("{text:?}")), "{text:?} is listed twice");
            let [german, english] = Language::ALL.map(|language| text.wording(language));
            assert!(!german.is_empty() && !english.is_empty(), "{text:?}");
            assert_eq!(placeholders(german), placeholders(english), "{text:?}");
            for language in Language::ALL {
                assert!(
                    !text.say(language, &[]).contains(['{', '}']),
                    "a placeholder of {text:?} has no end"
                );
            }
        }
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let said = Text::Warned.say(Language::English, &[("partner", "{reason}"), ("reason", "x")]);
        assert_eq!(said, "A note on your message to {reason}: x");
    }
}
