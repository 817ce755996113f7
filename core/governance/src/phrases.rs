//! What documents are made of, in German and English: the certificate, the monthly report, the record of processing, the
//! notification of a breach. Like [`Text`](crate::Text), and tested with it.

use viaduct_model::Language;

use crate::texts::fill;

/// A phrase. Its documentation says where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Phrase {
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
    /// The direction from the partner.
    FromPartner,
    /// The direction to the partner.
    ToPartner,
    /// Where a list has nothing in it.
    Nothing,
    /// The monthly report's beginning.
    ReportHead,
    /// Its part about what was exchanged.
    ReportVolumes,
    /// One channel and direction in it.
    ReportVolume,
    /// Its part about what filters found.
    ReportHits,
    /// One rule and what became of it.
    ReportHit,
    /// A rule found something and it passed.
    OutcomePassed,
    /// It passed in another form.
    OutcomeChanged,
    /// It was held.
    OutcomeHeld,
    /// It was refused.
    OutcomeRefused,
    /// Its part about rules that senders call wrong.
    ReportDisputes,
    /// One rule in it.
    ReportDispute,
    /// Its part about time.
    ReportLatency,
    /// One direction in it.
    ReportLatencyOne,
    /// Its part about what was held.
    ReportHolds,
    /// What became of it.
    ReportHoldsOne,
    /// Its part about the notice in the rooms.
    ReportRead,
    /// One room in it.
    ReportReadOne,
    /// Its part about what ends.
    ReportDue,
    /// One day in it.
    ReportDueOne,
    /// What ends: the agreement.
    DueAgreement,
    /// What ends: the processing contract.
    DueContract,
    /// What ends: the time of what is held.
    DueHeld,
    /// Its end.
    ReportFoot,
    /// The beginning of what a report of a breach needs (Art. 33 GDPR).
    IncidentHead,
    /// How much is concerned.
    IncidentCounts,
    /// Its list of people.
    IncidentPeople,
    /// One of them.
    IncidentPerson,
    /// Its list of events.
    IncidentEvents,
    /// One of them.
    IncidentEvent,
    /// There are more than a list holds.
    IncidentMore,
    /// Its end.
    IncidentFoot,
    /// The beginning of the record of processing (Art. 30 GDPR).
    RecordHead,
    /// One agreement in it.
    RecordPartner,
    /// A transfer outside of the European Economic Area.
    RecordTransfer,
    /// No such transfer.
    RecordNoTransfer,
    /// A duty to keep, within a record.
    RecordStatutory,
    /// Something is missing.
    RecordNone,
    /// The measures in it.
    RecordMeasures,
}

impl Phrase {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 58] = [
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
        Self::FromPartner,
        Self::ToPartner,
        Self::Nothing,
        Self::ReportHead,
        Self::ReportVolumes,
        Self::ReportVolume,
        Self::ReportHits,
        Self::ReportHit,
        Self::OutcomePassed,
        Self::OutcomeChanged,
        Self::OutcomeHeld,
        Self::OutcomeRefused,
        Self::ReportDisputes,
        Self::ReportDispute,
        Self::ReportLatency,
        Self::ReportLatencyOne,
        Self::ReportHolds,
        Self::ReportHoldsOne,
        Self::ReportRead,
        Self::ReportReadOne,
        Self::ReportDue,
        Self::ReportDueOne,
        Self::DueAgreement,
        Self::DueContract,
        Self::DueHeld,
        Self::ReportFoot,
        Self::IncidentHead,
        Self::IncidentCounts,
        Self::IncidentPeople,
        Self::IncidentPerson,
        Self::IncidentEvents,
        Self::IncidentEvent,
        Self::IncidentMore,
        Self::IncidentFoot,
        Self::RecordHead,
        Self::RecordPartner,
        Self::RecordTransfer,
        Self::RecordNoTransfer,
        Self::RecordStatutory,
        Self::RecordNone,
        Self::RecordMeasures,
    ];

    /// Its wording, with placeholders in braces.
    pub(crate) fn wording(self, language: Language) -> &'static str {
        let (german, english) = self.wordings();
        language.pick(english, german)
    }

    /// Its wording with the placeholders filled in.
    pub(crate) fn say(self, language: Language, values: &[(&str, &str)]) -> String {
        fill(self.wording(language), values)
    }

    #[rustfmt::skip]
    fn wordings(self) -> (&'static str, &'static str) {
        match self {
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
            Self::FromPartner => (
                "vom Partner",
                "from the partner",
            ),
            Self::ToPartner => (
                "an den Partner",
                "to the partner",
            ),
            Self::Nothing => (
                "  nichts",
                "  nothing",
            ),
            Self::ReportHead => (
                "Monatsbericht {month}\n\nPartner: {organisation} ({partner})\nZeitraum: {from} bis {until}",
                "Monthly report {month}\n\nPartner: {organisation} ({partner})\nPeriod: {from} to {until}",
            ),
            Self::ReportVolumes => (
                "Ausgetauscht",
                "Exchanged",
            ),
            Self::ReportVolume => (
                "  {place}, {direction}: {accepted} angenommen, {delivered} Zustellungen ({kinds}); {changed} verändert, {held} angehalten, {refused} abgelehnt, {failed} gescheitert, {unknown} ungewiss",
                "  {place}, {direction}: {accepted} accepted, {delivered} deliveries ({kinds}); {changed} changed, {held} held, {refused} refused, {failed} failed, {unknown} uncertain",
            ),
            Self::ReportHits => (
                "Funde der Filter",
                "What the filters found",
            ),
            Self::ReportHit => (
                "  {rule}: {outcome} (Zustellungen: {events}, Funde: {findings})",
                "  {rule}: {outcome} (deliveries: {events}, findings: {findings})",
            ),
            Self::OutcomePassed => (
                "durchgelassen",
                "let pass",
            ),
            Self::OutcomeChanged => (
                "verändert zugestellt",
                "delivered changed",
            ),
            Self::OutcomeHeld => (
                "angehalten",
                "held",
            ),
            Self::OutcomeRefused => (
                "abgelehnt",
                "refused",
            ),
            Self::ReportDisputes => (
                "Von Absendern als Fehlalarm gemeldet",
                "Reported by senders as false alarms",
            ),
            Self::ReportDispute => (
                "  {rule}: {count}",
                "  {rule}: {count}",
            ),
            Self::ReportLatency => (
                "Dauer von der Annahme bis zur Zustellung (ohne Angehaltenes)",
                "Time from acceptance to delivery (without what was held)",
            ),
            Self::ReportLatencyOne => (
                "  {direction}: Median {median} s, 95 % in {p95} s, gemessen: {count}",
                "  {direction}: median {median} s, 95 % within {p95} s, measured: {count}",
            ),
            Self::ReportHolds => (
                "Angehalten",
                "Held",
            ),
            Self::ReportHoldsOne => (
                "  {held} angehalten; freigegeben von einer zweiten Person {second}, von Absendern mit Begründung {sender}, abgelehnt {rejected}, verfallen {expired}; am Ende des Zeitraums wartend {waiting}",
                "  {held} held; released by a second person {second}, by senders with a reason {sender}, rejected {rejected}, expired {expired}; waiting at the end of the period {waiting}",
            ),
            Self::ReportRead => (
                "Kenntnisnahme des Hinweises",
                "Notices read",
            ),
            Self::ReportReadOne => (
                "  {mirror}: {count} (Fassung {version})",
                "  {mirror}: {count} (version {version})",
            ),
            Self::ReportDue => (
                "Fristen der nächsten 90 Tage",
                "Ending within the next 90 days",
            ),
            Self::ReportDueOne => (
                "  {day}: {what}",
                "  {day}: {what}",
            ),
            Self::DueAgreement => (
                "Vereinbarung",
                "agreement",
            ),
            Self::DueContract => (
                "Auftragsverarbeitungsvertrag",
                "processing contract",
            ),
            Self::DueHeld => (
                "{count} angehaltene Nachrichten verfallen",
                "{count} held messages expire",
            ),
            Self::ReportFoot => (
                "Errechnet am {made} aus dem Protokoll; Inhalte und Namen wurden nicht gelesen.",
                "Computed on {made} from the ledger; no contents and no names were read.",
            ),
            Self::IncidentHead => (
                "Meldung nach Art. 33 DSGVO: betroffene Aufzeichnungen\n\nPartner: {organisation} ({partner})\nVerantwortlich: {controller}\nZweck: {purpose}\nDatenschutz: {contact}\nZeitraum: {from} bis {until} (UTC)\nFrist der Meldung: 72 Stunden nach Bekanntwerden",
                "Notification under Art. 33 GDPR: records concerned\n\nPartner: {organisation} ({partner})\nController: {controller}\nPurpose: {purpose}\nData protection: {contact}\nPeriod: {from} to {until} (UTC)\nTo be given within 72 hours after becoming aware",
            ),
            Self::IncidentCounts => (
                "Betroffen: {people} Personen (Pseudonyme), {events} Ereignisse, davon {delivered} zugestellt, in {places} Kanälen",
                "Concerned: {people} people (pseudonyms), {events} events, {delivered} of them delivered, in {places} channels",
            ),
            Self::IncidentPeople => (
                "Personen",
                "People",
            ),
            Self::IncidentPerson => (
                "  {person}: {count} Ereignisse",
                "  {person}: {count} events",
            ),
            Self::IncidentEvents => (
                "Ereignisse",
                "Events",
            ),
            Self::IncidentEvent => (
                "  {at} {from} {event} ({kind}) → {to}",
                "  {at} {from} {event} ({kind}) → {to}",
            ),
            Self::IncidentMore => (
                "  … und {count} weitere; vollständig: `viaduct audit export`",
                "  … and {count} more; in full: `viaduct audit export`",
            ),
            Self::IncidentFoot => (
                "Errechnet am {made} aus dem Protokoll. Wer hinter einem Pseudonym steht, sagt `viaduct subject unmask`, wenn zwei Personen zustimmen.",
                "Computed on {made} from the ledger. Who is behind a pseudonym, `viaduct subject unmask` says if two people agree.",
            ),
            Self::RecordHead => (
                "Verzeichnis von Verarbeitungstätigkeiten (Art. 30 Abs. 1 DSGVO): Nachrichtenaustausch über viaduct\nStand: {made}",
                "Record of processing activities (Art. 30 (1) GDPR): exchange of messages through viaduct\nAs of: {made}",
            ),
            Self::RecordPartner => (
                "Austausch mit {organisation} ({partner})\n  Verantwortlich: {controller}\n  Ansprechstelle: {contact}\n  Zweck: {purpose}\n  Betroffene: eigene Beschäftigte in den verbundenen Räumen; Beschäftigte von {organisation}\n  Daten: Nachrichten, Dateien, Reaktionen, Namen, Bilder und Kennungen, Zeiten, Mitgliedschaften; im Protokoll Pseudonyme und Schlüsselhashes\n  Empfänger: {organisation} über {networks}\n  Drittland: {transfer}\n  Auftragsverarbeitung: {contract}\n  Laufzeit: {from} bis {until}\n  Löschfristen: {periods} Pseudonyme des Protokolls: {ledger} Tage nach dem Ende.{statutory}",
                "Exchange with {organisation} ({partner})\n  Controller: {controller}\n  Contact: {contact}\n  Purpose: {purpose}\n  Data subjects: own staff in the rooms concerned; staff of {organisation}\n  Data: messages, files, reactions, names, pictures and ids, times, memberships; in the ledger pseudonyms and keyed hashes\n  Recipients: {organisation} over {networks}\n  Third country: {transfer}\n  Processing contract: {contract}\n  Term: {from} to {until}\n  Time limits: {periods} The ledger's pseudonyms: {ledger} days after the end.{statutory}",
            ),
            Self::RecordTransfer => (
                "{region}; Grundlage: {basis}",
                "{region}; basis: {basis}",
            ),
            Self::RecordNoTransfer => (
                "keine Übermittlung ({region})",
                "no transfer ({region})",
            ),
            Self::RecordStatutory => (
                " Aufbewahrungspflicht: {basis}, {days} Tage.",
                " Duty to retain: {basis}, {days} days.",
            ),
            Self::RecordNone => (
                "fehlt",
                "missing",
            ),
            Self::RecordMeasures => (
                "Technische und organisatorische Maßnahmen (Art. 32 DSGVO)\n  Filter vor jeder Übermittlung, in beide Richtungen; was ein Filter nicht beurteilen kann, wird angehalten.\n  Angehaltenes versiegelt mit dem Schlüssel des Partners (XChaCha20-Poly1305); Freigabe nur durch eine zweite Person.\n  Protokoll ohne Inhalte und Namen, verkettet und unterschrieben (RFC 6962); Aufdeckung von Pseudonymen nur zu zweit.\n  Löschung nach Fristen, Aufbewahrungsanordnungen gehen vor; Vernichtung der Schlüssel am Ende, mit Bescheinigung.\n  Hinweis in jedem Raum vor der ersten Übermittlung.",
                "Technical and organisational measures (Art. 32 GDPR)\n  Filters before each transfer, in both directions; what a filter cannot judge is held.\n  What is held is sealed with the partner's key (XChaCha20-Poly1305); released by a second person only.\n  A ledger without contents and names, chained and signed (RFC 6962); pseudonyms are uncovered by two people only.\n  Deletion when the time is over, legal holds first; keys are destroyed at the end, with a certificate.\n  A notice in each room before the first transfer.",
            ),
        }
    }
}
