//! How well the detectors tell what they look for from everything else, on generated German and English messages.
//!
//! Numbers are made here, with check digits computed apart from the detectors' own code. Half of the messages have nothing to
//! find but look like it: numbers with wrong check digits, order and parcel numbers, telephone numbers, dates, addresses, hashes,
//! and talk about passwords and passports. Run with `--nocapture` to see the table.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod common;

use std::collections::BTreeMap;

use common::numbers::{
    Chance, card, iban, identity_card, kvnr, passport, private_key, remainder_is_good, rvnr, secret, steuer_id, vat_id,
    with_luhn,
};
use common::said;
use viaduct_compliance::{Decision, Detector, Filter, Mode, Policy, Rule};

/// Messages with something to find, for each sort.
const POSITIVE: usize = 600;
/// Messages with nothing to find.
const NEGATIVE: usize = 6000;

/// What is found, how it is made, and the sentences it stands in.
struct Sort {
    detector: Detector,
    make: fn(&mut Chance) -> String,
    sentences: &'static [&'static str],
}

const SORTS: &[Sort] = &[
    Sort {
        detector: Detector::Card,
        make: card,
        sentences: &[
            "Meine Kreditkarte: {}, gültig bis 09/28.",
            "card number {} exp 09/28 cvc 123",
            "Bitte von {} abbuchen",
            "{}",
            "Zahlung mit Visa {} ist durch",
            "please charge {} for the hotel",
            "Karte {} wurde gesperrt, neue kommt",
        ],
    },
    Sort {
        detector: Detector::Iban,
        make: iban,
        sentences: &[
            "Bitte auf {} überweisen.",
            "IBAN: {}",
            "our account is {} (Example Bank)",
            "{}",
            "Konto {}, BIC EXAMPLEX",
            "Rechnung 2026-114 bitte an {} zahlen, 14 Tage",
        ],
    },
    Sort {
        detector: Detector::SteuerId,
        make: steuer_id,
        sentences: &[
            "Meine Steuer-ID ist {}.",
            "IdNr. {}",
            "tax id of the new colleague: {}",
            "{}",
            "Steueridentifikationsnummer {} für Lohn",
        ],
    },
    Sort {
        detector: Detector::Rvnr,
        make: rvnr,
        sentences: &[
            "Rentenversicherungsnummer {}",
            "RV-Nr. {} bitte eintragen",
            "pension insurance number {}",
            "{}",
            "SV-Nummer: {}.",
        ],
    },
    Sort {
        detector: Detector::Kvnr,
        make: kvnr,
        sentences: &[
            "Versichertennummer {}",
            "KVNR: {}",
            "meine Krankenversichertennummer lautet {}",
            "health insurance number {}",
            "Krankenkasse Beispiel, {}",
            "{} steht auf der Gesundheitskarte",
        ],
    },
    Sort {
        detector: Detector::IdentityCard,
        make: identity_card,
        sentences: &[
            "Personalausweis {}",
            "Ausweisnummer: {}",
            "Perso-Nr. {}",
            "identity card no. {}",
            "ID card {} for the visitor list",
            "Der Besucher hat den Ausweis {} dabei",
        ],
    },
    Sort {
        detector: Detector::Passport,
        make: passport,
        sentences: &[
            "Reisepass {}",
            "Pass-Nr. {}",
            "passport number {}",
            "my passport is {}, valid until 2031",
            "Reisepassnummer: {} (Visum)",
        ],
    },
    Sort {
        detector: Detector::VatId,
        make: vat_id,
        sentences: &[
            "USt-IdNr. {}",
            "VAT number: {}",
            "Umsatzsteuer-ID {}",
            "our VAT ID is {}",
            "Rechnung an Beispiel GmbH, USt-ID: {}",
        ],
    },
    Sort {
        detector: Detector::Secret,
        make: secret,
        sentences: &[
            "hier: {}",
            "use {} for now",
            "{}",
            "für den Testserver {} bitte nicht weitergeben",
            "login mit\n{}\nund dann neu starten",
        ],
    },
    Sort {
        detector: Detector::PrivateKey,
        make: private_key,
        sentences: &["hier der Schlüssel:\n{}", "{}", "key for the server\n{}\nthanks"],
    },
];

/// A message that looks like something to find and is not.
fn harmless(chance: &mut Chance) -> String {
    let number = |chance: &mut Chance, digits| chance.digits(digits);
    match chance.below(30) {
        0 => format!("Bestellnummer {} ist unterwegs", number(chance, 16)),
        1 => format!("order no. {}", number(chance, 16)),
        2 => format!("tracking number {} (parcel)", number(chance, 14)),
        3 => format!("Tel. +49 {} {}", number(chance, 3), number(chance, 8)),
        4 => format!(
            "call me at 0{} {} {}",
            number(chance, 2),
            number(chance, 4),
            number(chance, 4)
        ),
        5 => format!(
            "Termin am {:02}.{:02}.2026 um {:02}:{:02} Uhr",
            1 + chance.below(28),
            1 + chance.below(12),
            chance.below(24),
            chance.below(60)
        ),
        6 => format!(
            "build {} took {} ms, {} tests",
            chance.from("0123456789abcdef", 40),
            number(chance, 4),
            number(chance, 3)
        ),
        7 => format!(
            "10.{}.{}.{} antwortet nicht",
            chance.below(256),
            chance.below(256),
            chance.below(256)
        ),
        8 => format!("IMEI {}", with_luhn(&number(chance, 14))),
        9 => format!(
            "ISBN 978-3-{}-{}-{}",
            number(chance, 4),
            number(chance, 4),
            number(chance, 1)
        ),
        10 => format!("DE{} {} {}", number(chance, 2), number(chance, 4), number(chance, 4)),
        11 => {
            let good = iban(chance);
            let mut text: Vec<char> = good.chars().collect();
            let last = text.len() - 1;
            text[last] = if text[last] == '5' { '6' } else { '5' };
            if remainder_is_good(&text) {
                "x".to_owned()
            } else {
                format!("Konto {} stimmt nicht", text.iter().collect::<String>())
            }
        }
        12 => format!(
            "Ticket {}-{}: Passwort zurücksetzen geht nicht",
            chance.from("ABCDEFG", 4),
            number(chance, 5)
        ),
        13 => "Das Passwort steht im Tresor, der Token läuft morgen ab.".to_owned(),
        14 => "Please rotate the password: see the wiki at https://wiki.example.org/secrets/rotation".to_owned(),
        15 => format!(
            "Artikel {}{} ist wieder lieferbar",
            chance.from("ABCDEFGH", 1),
            number(chance, 9)
        ),
        16 => format!("Seriennummer {}", chance.from("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", 10)),
        17 => "Der Reisepass muss noch sechs Monate gültig sein, der Ausweis auch.".to_owned(),
        18 => "The passport office at gate 12 opens at 0830 on 2026-11-23.".to_owned(),
        19 => format!(
            "{} {} {} {} Stück auf Lager",
            number(chance, 4),
            number(chance, 3),
            number(chance, 4),
            number(chance, 2)
        ),
        20 => format!(
            "Version 2.{}.{}+{}",
            chance.below(40),
            chance.below(20),
            number(chance, 8)
        ),
        21 => format!(
            "Umsatz {}.{}.{},00 EUR",
            1 + chance.below(9),
            number(chance, 3),
            number(chance, 3)
        ),
        22 => format!(
            "{}-{}-4{}-a{}-{}",
            chance.from("0123456789abcdef", 8),
            chance.from("0123456789abcdef", 4),
            chance.from("0123456789abcdef", 3),
            chance.from("0123456789abcdef", 3),
            chance.from("0123456789abcdef", 12)
        ),
        23 => format!("commit {} by anna", chance.from("0123456789abcdef", 12)),
        24 => format!("session {} ist abgelaufen", number(chance, 16)),
        25 => format!("Kundennummer {}, Vertrag {}", number(chance, 10), number(chance, 12)),
        26 => format!(
            "customer {} asked about contract {}",
            number(chance, 11),
            number(chance, 9)
        ),
        27 => format!(
            "UID {} in der Datenbank, Zeile {}",
            number(chance, 8),
            number(chance, 5)
        ),
        28 => format!("Kreditkarte endet auf {}", number(chance, 4)),
        _ => "Wir treffen uns morgen um 14 Uhr in Raum 3.12, bitte bringt die Unterlagen mit.".to_owned(),
    }
}

/// Messages as people write them, with what is in them.
const WRITTEN: &[(&str, &[Detector])] = &[
    (
        "moin, kannst du mir bitte 20 € fürs Geschenk schicken? DE02 1203 0000 0000 2020 51 danke!!",
        &[Detector::Iban],
    ),
    (
        "neue Bankverbindung ab 1.4.: DE02500105170137075030 (alt bitte löschen)",
        &[Detector::Iban],
    ),
    (
        "wire it to GB82 WEST 1234 5698 7654 32 please, ref 2026/114",
        &[Detector::Iban],
    ),
    (
        "Rechnung anbei. USt-IdNr. DE136695976, IBAN DE02120300000000202051",
        &[Detector::VatId, Detector::Iban],
    ),
    (
        "Hotel will ne Karte zum Absichern, nimm die von der Firma: 5555 5555 5555 4444, 12/27",
        &[Detector::Card],
    ),
    ("my amex is 378282246310005 but don't tell finance", &[Detector::Card]),
    ("Karte nicht belastet, letzte Ziffern 4444", &[]),
    (
        "für die Lohnbuchhaltung: Steuer-ID 86095742719, RV 15070649C103, KV-Nr. A123456780",
        &[Detector::SteuerId, Detector::Rvnr, Detector::Kvnr],
    ),
    (
        "Steuernummer vom Finanzamt ist 181/815/08155, das ist was anderes als die ID",
        &[],
    ),
    (
        "Besucher morgen: Hr. Beispiel, Personalausweis L01X00T471",
        &[Detector::IdentityCard],
    ),
    ("bring your ID card and be there at 0800, room B1204", &[]),
    (
        "visa application: passport C01X00T478, born 1964",
        &[Detector::Passport],
    ),
    ("Der Pass ist abgelaufen, Termin beim Amt ist am 12.03.2026", &[]),
    (
        "ssh geht nicht mehr, hier mein key\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n",
        &[Detector::PrivateKey],
    ),
    (
        "public key liegt im Wiki, ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIexampleexample anna@laptop",
        &[],
    ),
    ("WLAN Gäste, Passwort: Kaffee-2026-Bohne", &[Detector::Secret]),
    ("root pw ist noch das alte, bitte ändern", &[]),
    ("export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", &[Detector::Secret]),
    ("curl -u deploy:x https://ci.example.org/job/42", &[]),
    (
        "DATABASE_URL=postgres://app:Zr8kQm2vT1@db.example.org/prod",
        &[Detector::Secret],
    ),
    ("tokens are counted per request, 4096 tokens max", &[]),
    ("can you reset my password? I forgot it during the holidays", &[]),
    ("api_key: 4f9a8c7b6d5e4f3a2b1c0d9e8f7a6b5c", &[Detector::Secret]),
    ("Sendung 00340434161094042557 kommt Dienstag", &[]),
    ("Zählerstand 0047112 am 1.1., Zählernummer 1ESY1160123456", &[]),
    ("Tel. 0711 4711 0815 oder mobil +49 151 23456789", &[]),
    ("we shipped 1200 3400 5600 7800 units in Q1 to Q4", &[]),
    (
        "git bisect sagt 9fceb02d0ae598e95dc970b74767f19372d61af8 ist schuld",
        &[],
    ),
    ("Build 20260311.4 auf 10.20.30.40:8443 läuft seit 14:30", &[]),
    (
        "siehe Ticket PROJ-12345 und https://wiki.example.org/pages/viewpage.action?pageId=123456789",
        &[],
    ),
];

#[derive(Default)]
struct Score {
    right: u32,
    missed: u32,
    wrong: u32,
    examples: Vec<String>,
}

fn judge(filter: &Filter, text: &str, expected: &[Detector], scores: &mut BTreeMap<&'static str, Score>) {
    let Decision::Pass { findings, .. } = filter.decide(said(text)) else {
        panic!("monitoring stops nothing")
    };
    for detector in Detector::ALL {
        let found = findings
            .iter()
            .find(|finding| finding.rule == detector.as_str())
            .map_or(0, |finding| finding.count);
        let wanted = u32::from(expected.contains(&detector));
        let score = scores.entry(detector.as_str()).or_default();
        score.right += found.min(wanted);
        score.missed += wanted.saturating_sub(found);
        score.wrong += found.saturating_sub(wanted);
        if found != wanted && score.examples.len() < 6 {
            score.examples.push(format!("{found} instead of {wanted}: {text:?}"));
        }
    }
}

/// A filter that reports what every detector finds.
fn reporting() -> Filter {
    let rules = Detector::ALL.map(|detector| Rule {
        name: detector.as_str().to_owned(),
        detectors: vec![detector],
        ..Rule::default()
    });
    Filter::compile(Policy {
        mode: Mode::Monitor,
        rules: rules.to_vec(),
        ..Policy::default()
    })
    .unwrap()
}

#[test]
fn messages_as_people_write_them_are_judged_rightly() {
    let filter = reporting();
    let mut scores = BTreeMap::new();
    for (text, expected) in WRITTEN {
        judge(&filter, text, expected, &mut scores);
    }
    let wrong: Vec<_> = scores.values().flat_map(|score| &score.examples).collect();
    assert_eq!(wrong, Vec::<&String>::new());
}

#[test]
fn detectors_are_precise_and_miss_little() {
    let filter = reporting();
    let mut chance = Chance(0x5eed_0123_4567_89ab);
    let mut scores = BTreeMap::new();
    for sort in SORTS {
        for _ in 0..POSITIVE {
            let number = (sort.make)(&mut chance);
            let text = chance.of(sort.sentences).replace("{}", &number);
            judge(&filter, &text, &[sort.detector], &mut scores);
        }
    }
    for _ in 0..NEGATIVE {
        let text = harmless(&mut chance);
        judge(&filter, &text, &[], &mut scores);
    }
    println!(
        "{:<14} {:>9} {:>7} {:>6} {:>7} {:>6}",
        "detector", "precision", "recall", "right", "missed", "wrong"
    );
    let mut failures = Vec::new();
    for (name, score) in &scores {
        let precision = f64::from(score.right) / f64::from(score.right + score.wrong);
        let recall = f64::from(score.right) / f64::from(score.right + score.missed);
        println!(
            "{name:<14} {precision:>9.4} {recall:>7.4} {:>6} {:>7} {:>6}",
            score.right, score.missed, score.wrong
        );
        for example in &score.examples {
            println!("    {example}");
        }
        if precision < 0.98 || recall < 0.95 {
            failures.push(*name);
        }
    }
    assert_eq!(
        failures,
        Vec::<&str>::new(),
        "precision at least 0.98, recall at least 0.95"
    );
}
