use viaduct_audit::{Action, Entry};
use viaduct_model::{EventKind, Language, MessageId, MirrorName, Timestamp};

use crate::testing::*;
use crate::*;

fn at(day: &str, millis: u64) -> Timestamp {
    Day::parse(day).unwrap().start().plus_millis(millis)
}

/// An entry about a message.
fn step(action: Action, id: &str, from: &str, to: Option<&str>, at: Timestamp) -> Entry {
    let mut entry = Entry::new(at, action);
    entry.partner = Some("acme".to_owned());
    entry.from = Some(place(from));
    entry.to = to.map(place);
    entry.event = Some(MessageId::new(id).unwrap());
    entry.kind = Some(EventKind::Message);
    entry.actor = Some(viaduct_audit::Tag::from_text("acme.1:anna"));
    entry
}

fn found(mut entry: Entry, rule: &str, count: u32) -> Entry {
    entry.findings.insert(rule.to_owned(), count);
    entry
}

fn because(mut entry: Entry, actor: Option<&str>, reason: &str) -> Entry {
    entry.actor = actor.map(viaduct_audit::Tag::from_text);
    entry.reason = Some(reason.to_owned());
    entry
}

const ROOM: &str = "matrix/project";
const ACME: &str = "acme-irc/#project";
const BETA: &str = "beta-xmpp/project";

/// A ledger of June 2026, with something before and after it.
fn ledger() -> Vec<Entry> {
    let (may, june, july) = ("2026-05-31", "2026-06-10", "2026-07-01");
    let mut all = vec![
        step(Action::Accepted, "$old", ROOM, None, at(may, 0)),
        step(Action::Delivered, "$old", ROOM, Some(ACME), at(may, 5)),
        found(step(Action::Held, "$may", ROOM, Some(ACME), at(may, 7)), "cards", 1),
        // Both ways; a ghost at another partner is a delivery too.
        step(Action::Accepted, "in", ACME, None, at(june, 0)),
        step(Action::Delivered, "in", ACME, Some(ROOM), at(june, 40)),
        step(Action::Delivered, "in", ACME, Some(BETA), at(june, 1200)),
        step(Action::Accepted, "$out", ROOM, None, at(june, 100)),
        found(
            step(Action::Changed, "$out", ROOM, Some(ACME), at(june, 350)),
            "iban",
            2,
        ),
        found(
            step(Action::Delivered, "$out", ROOM, Some(ACME), at(june, 350)),
            "iban",
            2,
        ),
        // Nothing of acme's.
        step(Action::Delivered, "$out", ROOM, Some(BETA), at(june, 351)),
        found(
            step(Action::Refused, "$no", ROOM, Some(ACME), at(june, 400)),
            "cards",
            1,
        ),
        found(
            step(Action::Delivered, "$warned", ROOM, Some(ACME), at(june, 500)),
            "tone",
            1,
        ),
        step(Action::Failed, "$failed", ROOM, Some(ACME), at(june, 600)),
        // Held, and how it ended: by a second person, by the sender, rejected, in vain, not yet.
        because(
            step(Action::Released, "$may", ROOM, Some(ACME), at(june, 1)),
            Some("own.1:boss"),
            "fine",
        ),
        found(
            step(Action::Delivered, "$may", ROOM, Some(ACME), at(june, 2)),
            "cards",
            1,
        ),
        because(
            found(
                step(Action::Disputed, "$no", ROOM, Some(ACME), at(june, 700)),
                "cards",
                1,
            ),
            None,
            "",
        ),
        step(Action::Delivered, "$later", ROOM, Some(ACME), at(july, 0)),
    ];
    for (id, ends) in [("$a", "sender"), ("$b", "rejected"), ("$c", "expired"), ("$d", "")] {
        all.push(found(
            step(Action::Held, id, ROOM, Some(ACME), at(june, 800)),
            "cards",
            1,
        ));
        let end =
            |action, actor, reason: &str| because(step(action, id, ROOM, Some(ACME), at(june, 900)), actor, reason);
        all.extend(match ends {
            "sender" => Some(end(Action::Released, Some("acme.1:anna"), "it has to be")),
            "rejected" => Some(end(Action::Rejected, Some("own.1:boss"), "no")),
            "expired" => Some(end(Action::Rejected, None, EXPIRED)),
            _ => None,
        });
    }
    // Nothing of beta's counts for acme, in whose name it may be kept.
    for entry in &mut all {
        if entry.to.as_ref().is_some_and(|to| *to == place(BETA)) {
            entry.partner = Some("beta".to_owned());
        }
    }
    all
}

fn report() -> PartnerReport {
    let (register, acme) = (register(), name("acme"));
    let partner = register.partner(&acme).unwrap();
    let mut gathering = Gathering::new(&acme, partner, Month::parse("2026-06").unwrap());
    for entry in ledger() {
        gathering.take(&entry);
    }
    let readers = vec![Readers {
        mirror: MirrorName::new("project").unwrap(),
        version: "0123456789ab".to_owned(),
        count: 3,
    }];
    gathering.report(readers, &[], at("2026-11-30", 0))
}

#[test]
fn a_month_with_a_partner_in_both_languages() {
    insta::assert_snapshot!(report().text(Language::German), @r##"
    Monatsbericht 06.2026

    Partner: acme GmbH (acme)
    Zeitraum: 01.06.2026 bis 30.06.2026

    Ausgetauscht
      acme-irc/#project, vom Partner: 1 angenommen, 2 Zustellungen (Nachrichten 2); 0 verändert, 0 angehalten, 0 abgelehnt, 0 gescheitert, 0 ungewiss
      acme-irc/#project, an den Partner: 0 angenommen, 3 Zustellungen (Nachrichten 3); 1 verändert, 4 angehalten, 1 abgelehnt, 1 gescheitert, 0 ungewiss

    Funde der Filter
      cards: angehalten (Zustellungen: 4, Funde: 4)
      cards: abgelehnt (Zustellungen: 1, Funde: 1)
      iban: verändert zugestellt (Zustellungen: 1, Funde: 2)
      tone: durchgelassen (Zustellungen: 1, Funde: 1)

    Von Absendern als Fehlalarm gemeldet
      cards: 1

    Dauer von der Annahme bis zur Zustellung (ohne Angehaltenes)
      vom Partner: Median 0,040 s, 95 % in 1,200 s, gemessen: 2
      an den Partner: Median 0,250 s, 95 % in 0,250 s, gemessen: 1

    Angehalten
      4 angehalten; freigegeben von einer zweiten Person 1, von Absendern mit Begründung 1, abgelehnt 1, verfallen 1; am Ende des Zeitraums wartend 1

    Kenntnisnahme des Hinweises
      project: 3 (Fassung 0123456789ab)

    Fristen der nächsten 90 Tage
      31.12.2026: Vereinbarung

    Errechnet am 30.11.2026 aus dem Protokoll; Inhalte und Namen wurden nicht gelesen.
    "##);
    insta::assert_snapshot!(report().text(Language::English), @r##"
    Monthly report 2026-06

    Partner: acme GmbH (acme)
    Period: 2026-06-01 to 2026-06-30

    Exchanged
      acme-irc/#project, from the partner: 1 accepted, 2 deliveries (messages 2); 0 changed, 0 held, 0 refused, 0 failed, 0 uncertain
      acme-irc/#project, to the partner: 0 accepted, 3 deliveries (messages 3); 1 changed, 4 held, 1 refused, 1 failed, 0 uncertain

    What the filters found
      cards: held (deliveries: 4, findings: 4)
      cards: refused (deliveries: 1, findings: 1)
      iban: delivered changed (deliveries: 1, findings: 2)
      tone: let pass (deliveries: 1, findings: 1)

    Reported by senders as false alarms
      cards: 1

    Time from acceptance to delivery (without what was held)
      from the partner: median 0.040 s, 95 % within 1.200 s, measured: 2
      to the partner: median 0.250 s, 95 % within 0.250 s, measured: 1

    Held
      4 held; released by a second person 1, by senders with a reason 1, rejected 1, expired 1; waiting at the end of the period 1

    Notices read
      project: 3 (version 0123456789ab)

    Ending within the next 90 days
      2026-12-31: agreement

    Computed on 2026-11-30 from the ledger; no contents and no names were read.
    "##);
}

#[test]
fn a_report_comes_back_from_json() {
    let json = serde_json::to_string(&report()).unwrap();
    assert_eq!(serde_json::from_str::<PartnerReport>(&json).unwrap(), report());
}

#[test]
fn what_is_not_the_partners_and_not_in_the_month_does_not_count() {
    let (register, beta) = (register(), name("beta"));
    let partner = register.partner(&beta).unwrap();
    let mut gathering = Gathering::new(&beta, partner, Month::parse("2026-06").unwrap());
    for entry in ledger() {
        gathering.take(&entry);
    }
    let report = gathering.report(Vec::new(), &[], at("2026-07-01", 0));
    let delivered: Vec<_> = report
        .volumes
        .iter()
        .map(|volume| (volume.place.clone(), volume.delivered))
        .collect();
    assert_eq!(delivered, [(place(BETA), 2)]);
    assert!(report.hits.is_empty() && report.disputed.is_empty());
    assert_eq!(report.holds, HeldCounts::default());
}

#[test]
fn a_breach_concerns_whoever_wrote_and_what_went_where() {
    let (register, acme) = (register(), name("acme"));
    let partner = register.partner(&acme).unwrap();
    let interval = (at("2026-06-10", 0), at("2026-06-10", 600));
    let entries = || ledger().into_iter().map(Ok::<_, ()>);
    let incident = Incident::of((&acme, partner), interval, entries(), at("2026-06-11", 0)).unwrap();
    insta::assert_snapshot!(incident.text(Language::English), @r##"
    Notification under Art. 33 GDPR: records concerned

    Partner: acme GmbH (acme)
    Controller: Example AG
    Purpose: planning the bridge
    Data protection: Datenschutz (privacy@example.org)
    Period: 2026-06-10 00:00:00 to 2026-06-10 00:00:00 (UTC)
    To be given within 72 hours after becoming aware

    Concerned: 1 people (pseudonyms), 5 events, 4 of them delivered, in 1 channels

    People
      acme.1:anna: 5 events

    Events
      2026-06-10 00:00:00 acme-irc/#project in (message) → matrix/project
      2026-06-10 00:00:00 matrix/project $out (message) → acme-irc/#project
      2026-06-10 00:00:00 matrix/project $no (message) → –
      2026-06-10 00:00:00 matrix/project $warned (message) → acme-irc/#project
      2026-06-10 00:00:00 matrix/project $may (message) → acme-irc/#project

    Computed on 2026-06-11 from the ledger. Who is behind a pseudonym, `viaduct subject unmask` says if two people agree.
    "##);
    assert!(
        incident
            .text(Language::German)
            .starts_with("Meldung nach Art. 33 DSGVO")
    );
    let far = (at("2026-06-11", 0), at("2026-06-12", 0));
    let none = Incident::of((&acme, partner), far, entries(), at("2026-06-12", 0)).unwrap();
    assert!(none.events.is_empty() && none.people.is_empty());
}

#[test]
fn the_record_of_processing_says_what_each_agreement_says() {
    let now = at("2026-06-01", 0);
    insta::assert_snapshot!(processing_record(&register(), now, Language::German), @r##"
    Verzeichnis von Verarbeitungstätigkeiten (Art. 30 Abs. 1 DSGVO): Nachrichtenaustausch über viaduct
    Stand: 01.06.2026

    Austausch mit acme GmbH (acme)
      Verantwortlich: Example AG
      Ansprechstelle: Datenschutz (privacy@example.org)
      Zweck: planning the bridge
      Betroffene: eigene Beschäftigte in den verbundenen Räumen; Beschäftigte von acme GmbH
      Daten: Nachrichten, Dateien, Reaktionen, Namen, Bilder und Kennungen, Zeiten, Mitgliedschaften; im Protokoll Pseudonyme und Schlüsselhashes
      Empfänger: acme GmbH über acme-irc
      Drittland: keine Übermittlung (DE)
      Auftragsverarbeitung: DPA-1 (31.12.2027)
      Laufzeit: 01.01.2026 bis 31.12.2026
      Löschfristen: Gelöscht werden Nachrichten nach 90 Tagen, Dateien nach 30 (vom Partner) und 60 (an den Partner), ersetzte Fassungen nach 7, Übriges nach 10. Pseudonyme des Protokolls: 365 Tage nach dem Ende.

    Austausch mit beta GmbH (beta)
      Verantwortlich: Example AG
      Ansprechstelle: Datenschutz (privacy@example.org)
      Zweck: planning the bridge
      Betroffene: eigene Beschäftigte in den verbundenen Räumen; Beschäftigte von beta GmbH
      Daten: Nachrichten, Dateien, Reaktionen, Namen, Bilder und Kennungen, Zeiten, Mitgliedschaften; im Protokoll Pseudonyme und Schlüsselhashes
      Empfänger: beta GmbH über beta-xmpp
      Drittland: keine Übermittlung (DE)
      Auftragsverarbeitung: DPA-1 (31.12.2027)
      Laufzeit: 01.01.2026 bis 31.12.2026
      Löschfristen: Gelöscht werden Nachrichten nach 90 Tagen, Dateien nach 30 (vom Partner) und 60 (an den Partner), ersetzte Fassungen nach 7, Übriges nach 10. Pseudonyme des Protokolls: 365 Tage nach dem Ende.

    Technische und organisatorische Maßnahmen (Art. 32 DSGVO)
      Filter vor jeder Übermittlung, in beide Richtungen; was ein Filter nicht beurteilen kann, wird angehalten.
      Angehaltenes versiegelt mit dem Schlüssel des Partners (XChaCha20-Poly1305); Freigabe nur durch eine zweite Person.
      Protokoll ohne Inhalte und Namen, verkettet und unterschrieben (RFC 6962); Aufdeckung von Pseudonymen nur zu zweit.
      Löschung nach Fristen, Aufbewahrungsanordnungen gehen vor; Vernichtung der Schlüssel am Ende, mit Bescheinigung.
      Hinweis in jedem Raum vor der ersten Übermittlung.
    "##);
    let english = processing_record(&register(), now, Language::English);
    assert!(english.contains("Exchange with beta GmbH (beta)"), "{english}");
    // Over Slack it is a transfer, wherever the region is.
    let mut over_slack = agreement("gamma-slack", "gamma");
    over_slack.third_country_basis = Some("SCC 7".to_owned());
    let register = Register::new(networks(), [(name("gamma"), partner(over_slack))].into());
    let english = processing_record(&register, now, Language::English);
    assert!(english.contains("Third country: DE; basis: SCC 7"), "{english}");
}
