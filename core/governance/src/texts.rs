//! Everything that people are told, in German and English. What documents are made of is in `phrases`.
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
    /// After [`Text::Notice`]: how to say that one has read it.
    NoticeAcknowledge,
    /// To somebody who says that they have read it.
    Acknowledged,
    /// How long records are kept, within [`Text::Notice`].
    Periods,
    /// The days of two directions.
    BothWays,
    /// The answer to `!viaduct help datenschutz`.
    HelpDataProtection,
    /// In a room that is not mirrored with a partner, the same.
    HelpDataProtectionOwn,
    /// Why what a sender wrote waits: it refers to something that waits.
    HeldBehind,
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
    /// To a sender whom a rule stopped, changed or warned: how to say that it is wrong.
    FalsePositiveOffered,
    /// To a sender who says that a rule is wrong.
    FalsePositive,
    /// To a sender who says it again.
    FalsePositiveTwice,
    /// To somebody who says it of what is not theirs, or too old.
    FalsePositiveUnknown,
    /// To a sender whose held event was released, by a second person or by themselves, and has arrived.
    Released,
    /// Why what a sender wrote is not delivered: somebody rejected it.
    Rejected,
    /// Why what a sender wrote is not delivered: nobody released it in time.
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
}

impl Text {
    /// All of them.
    pub const ALL: [Self; 37] = [
        Self::Notice,
        Self::NoticeEncrypted,
        Self::NoticeAcknowledge,
        Self::Acknowledged,
        Self::Periods,
        Self::BothWays,
        Self::HelpDataProtection,
        Self::HelpDataProtectionOwn,
        Self::HeldBehind,
        Self::Masked,
        Self::Stripped,
        Self::Warned,
        Self::OverrideOffered,
        Self::OverrideTaken,
        Self::OverrideNeedsReason,
        Self::OverrideUnknown,
        Self::OverrideForbidden,
        Self::FalsePositiveOffered,
        Self::FalsePositive,
        Self::FalsePositiveTwice,
        Self::FalsePositiveUnknown,
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
    ];

    /// Its wording, with placeholders in braces.
    pub fn wording(self, language: Language) -> &'static str {
        let (german, english) = self.wordings();
        language.pick(english, german)
    }

    /// Its wording with the placeholders filled in. What is filled in is not looked at again.
    pub fn say(self, language: Language, values: &[(&str, &str)]) -> String {
        fill(self.wording(language), values)
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
            Self::NoticeAcknowledge => (
                "Gelesen? Schreiben Sie: !viaduct gelesen. Gezählt wird nur, wie viele es sind.",
                "Have you read this? Write: !viaduct read. Only the number of people is counted.",
            ),
            Self::Acknowledged => (
                "Danke; das ist vermerkt.",
                "Thank you; this is noted.",
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
            Self::HeldBehind => (
                "es bezieht sich auf etwas, das noch auf seine Freigabe wartet",
                "it refers to something that still waits for its release",
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
            Self::FalsePositiveOffered => (
                "Irrt die Regel {rule} hier? Schreiben Sie: !viaduct fehlalarm {number}. Vermerkt werden die Regel, die Kennung Ihrer Nachricht und Ihr Pseudonym, nicht der Inhalt.",
                "Is the rule {rule} wrong here? Write: !viaduct false-alarm {number}. Noted are the rule, your message's id and your pseudonym, not the content.",
            ),
            Self::FalsePositive => (
                "Danke; {contact} prüft, ob die Regel {rule} zu streng ist.",
                "Thank you; {contact} looks into whether the rule {rule} is too strict.",
            ),
            Self::FalsePositiveTwice => (
                "Das haben Sie zu dieser Nachricht schon gemeldet.",
                "You have said so of this message before.",
            ),
            Self::FalsePositiveUnknown => (
                "Unter dieser Nummer wurde Ihnen kein Fund gemeldet, oder es ist zu lange her.",
                "You were told of no finding under this number, or it was too long ago.",
            ),
            Self::Released => (
                "Ihre Nachricht an {partner} wurde freigegeben und zugestellt.",
                "Your message to {partner} was released and delivered.",
            ),
            Self::Rejected => (
                "bei der Prüfung abgelehnt: {reason}",
                "rejected on review: {reason}",
            ),
            Self::Expired => (
                "niemand hat es rechtzeitig freigegeben",
                "nobody released it in time",
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
        }
    }
}

/// A wording with its placeholders filled in. What is filled in is not looked at again.
pub(crate) fn fill(wording: &str, values: &[(&str, &str)]) -> String {
    let mut said = String::new();
    let mut rest = wording;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::phrases::Phrase;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn s27_s41_every_text_is_there_in_german_and_english() {
        let texts = Text::ALL.map(|text| {
            (
                format!("{text:?}"),
                Language::ALL.map(|language| text.wording(language)),
            )
        });
        let phrases = Phrase::ALL.map(|phrase| {
            let wordings = Language::ALL.map(|language| phrase.wording(language));
            (format!("{phrase:?}"), wordings)
        });
        let mut seen = BTreeSet::new();
        for (name, wordings) in texts.into_iter().chain(phrases) {
            let [german, english] = wordings;
            assert!(!german.is_empty() && !english.is_empty(), "{name}");
            assert_eq!(placeholders(german), placeholders(english), "{name}");
            for wording in wordings {
                let filled = fill(wording, &[]);
                assert!(!filled.contains(['{', '}']), "a placeholder of {name} has no end");
            }
            assert!(seen.insert(name.clone()), "{name} is listed twice");
        }
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let said = Text::Warned.say(Language::English, &[("partner", "{reason}"), ("reason", "x")]);
        assert_eq!(said, "A note on your message to {reason}: x");
    }
}
