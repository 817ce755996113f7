//! What a decision costs in CPU time: a message of 4 KiB against a policy of 200 rules.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

#[path = "../tests/common/mod.rs"]
mod common;
mod cpu;

use std::hint::black_box;

use common::lists::{Lists, filter_of, refusing};
use common::numbers::Chance;
use common::prose::{ENGLISH, GERMAN};
use cpu::CpuTime;
use criterion::{Criterion, criterion_group, criterion_main};
use viaduct_compliance::{Detector, Dictionary, Filter, Policy, Rule, RuleAction};

/// A message as people write it, with some numbers in it that are nothing to find, cut at 4 KiB.
fn message(language: &str) -> String {
    let german = "Guten Morgen zusammen, für die Besprechung am 12.03.2026 um 14:30 Uhr fehlen noch die Zahlen aus Größe 3 \
                  und 4 (siehe https://wiki.example.org/p/4711). Der Preis liegt bei 1.250,00 €, Auftrag 20260311. ";
    let english = "Good morning all, for the meeting on 12 March 2026 at 14:30 we still need the figures of parts 3 and 4 \
                   (see https://wiki.example.org/p/4711). The price is 1,250.00 EUR, order 20260311. ";
    let mut text = if language == "de" { german } else { english }.repeat(30);
    text.truncate(text.floor_char_boundary(4096));
    text
}

/// 200 rules as a large organisation may have them: all detectors, 60 own patterns, 60 dictionaries of 20 words, and rules by
/// sender, network, kind and file.
fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for number in 0..200 {
        let rule = Rule {
            name: format!("rule {number}"),
            action: RuleAction::Refuse,
            ..Rule::default()
        };
        rules.push(match number % 10 {
            0 => Rule {
                detectors: Detector::ALL.to_vec(),
                ..rule
            },
            1..=3 => Rule {
                patterns: vec![format!(r"(?i)\bproject-{number}-[0-9]{{3,6}}\b")],
                ..rule
            },
            4..=6 => {
                let terms = (0..20).map(|word| format!("codename{number}x{word}")).collect();
                Rule {
                    words: Some(Dictionary {
                        terms,
                        near: Vec::new(),
                        within: 80,
                    }),
                    ..rule
                }
            }
            7 => Rule {
                senders: vec![format!("@somebody{number}:*")],
                ..rule
            },
            8 => Rule {
                to: vec![format!("network-{number}")],
                kinds: vec!["topic".to_owned()],
                ..rule
            },
            _ => Rule {
                attachments: Some(viaduct_compliance::AttachmentCondition {
                    names: vec![format!("*.x{number}")],
                    ..Default::default()
                }),
                ..rule
            },
        });
    }
    rules
}

/// Rules that protect 20,000 values and 50 documents by lists.
fn protecting(lists: &Lists) -> Vec<Rule> {
    let mut chance = Chance(0x5eed);
    let values: Vec<String> = (0..20_000)
        .map(|number| match number % 3 {
            0 => format!("KD-{}", chance.digits(8)),
            1 => format!("{}-{}", chance.from("ABCDEFGH", 3), chance.digits(5)),
            _ => format!("{} {}", GERMAN.word(&mut chance), ENGLISH.sentence(&mut chance)),
        })
        .map(|value| value.chars().take(40).collect())
        .collect();
    let documents: Vec<String> = (0..50)
        .map(|number| {
            if number % 2 == 0 { &GERMAN } else { &ENGLISH }
                .sentences(200, &mut chance)
                .join("\n")
        })
        .collect();
    vec![
        Rule {
            values: Some(lists.values(&values.join("\n"))),
            ..refusing("values")
        },
        Rule {
            fingerprints: Some(lists.documents(&documents, 0.3, 200)),
            ..refusing("documents")
        },
    ]
}

fn decide(criterion: &mut Criterion<CpuTime>) {
    let lists = Lists::new();
    for (name, rules) in [
        ("200 rules and lists", [rules(), protecting(&lists)].concat()),
        ("lists alone", protecting(&lists)),
    ] {
        let filter = filter_of(rules);
        for language in ["de", "en"] {
            let event = common::said(&message(language));
            assert_eq!(common::decided(&filter, event.clone()), "pass");
            criterion.bench_function(&format!("4 KiB, {name}, {language}"), |bencher| {
                bencher.iter_batched(
                    || event.clone(),
                    |event| filter.decide(black_box(event)),
                    criterion::BatchSize::SmallInput,
                );
            });
        }
    }
    let filter = Filter::compile(Policy {
        rules: rules(),
        ..Policy::default()
    })
    .unwrap();
    for language in ["de", "en"] {
        let event = common::said(&message(language));
        assert_eq!(common::decided(&filter, event.clone()), "pass");
        criterion.bench_function(&format!("4 KiB, 200 rules, {language}"), |bencher| {
            bencher.iter_batched(
                || event.clone(),
                |event| filter.decide(black_box(event)),
                criterion::BatchSize::SmallInput,
            );
        });
    }
    let hard = [
        ("4 KiB of numbers", "12 345 678 4711 0815 "),
        (
            "4 KiB of Cyrillic",
            "Доброе утро всем, к встрече в среду не хватает цифр. ",
        ),
        (
            "4 KiB of Greek",
            "Καλημέρα σε όλους, για τη συνάντηση λείπουν οι αριθμοί. ",
        ),
        (
            "4 KiB of Polish",
            "Dzień dobry, na środowe spotkanie wciąż brakuje źródłowych liczb. ",
        ),
        (
            "4 KiB of Vietnamese",
            "Chào buổi sáng, cuộc họp ngày mai vẫn còn thiếu những con số. ",
        ),
        (
            "4 KiB of Chinese",
            "大家早上好，周三的会议还缺少一些数字，请尽快发给我。",
        ),
        (
            "4 KiB of Japanese",
            "おはようございます。水曜日の会議のための数字がまだ足りません。",
        ),
        (
            "4 KiB of Korean",
            "안녕하세요 수요일 회의에 필요한 숫자가 아직 부족합니다. ",
        ),
        (
            "4 KiB of Arabic",
            "صباح الخير جميعا، لاجتماع الأربعاء لا تزال هناك أرقام ناقصة. ",
        ),
        ("4 KiB of emoji", "👍 🎉 danke 👩‍👩‍👧‍👦 ✅ super 🚀 "),
        (
            "4 KiB of full width",
            "ＰＲＯＪＥＫＴ　ａｍ　Ｍｉｔｔｗｏｃｈ　４７１１　",
        ),
        ("4 KiB of digits", "31415926535897932384626433832795 "),
        ("4 KiB of single digits", "4 1 1 1 2 3 5 8 "),
        (
            "4 KiB of code",
            "let x1 = f(a2, b3)[0x1f]; // token: see docs, id=4711 ",
        ),
        ("1 MB of cues", "card 4111 password: token order DE89 3704 "),
    ];
    for (name, words) in hard {
        let length = if name.starts_with('1') { 1_000_000 } else { 4096 };
        let mut text = words.repeat(length / words.len() + 1);
        text.truncate(text.floor_char_boundary(length));
        let event = common::said(&text);
        criterion.bench_function(&format!("{name}, 200 rules"), |bencher| {
            bencher.iter_batched(
                || event.clone(),
                |event| filter.decide(black_box(event)),
                criterion::BatchSize::LargeInput,
            );
        });
    }
    let short = common::said("Danke, schaue ich mir heute Nachmittag an.");
    criterion.bench_function("40 bytes, 200 rules", |bencher| {
        bencher.iter_batched(
            || short.clone(),
            |event| filter.decide(black_box(event)),
            criterion::BatchSize::SmallInput,
        );
    });
    let empty = Filter::default();
    criterion.bench_function("40 bytes, no rule", |bencher| {
        bencher.iter_batched(
            || short.clone(),
            |event| empty.decide(black_box(event)),
            criterion::BatchSize::SmallInput,
        );
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = decide
}
criterion_main!(benches);
