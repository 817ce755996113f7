//! Know-how that is protected by lists: how well values and passages of documents are found, and what else is not.
//!
//! Documents and messages are made of German and English sentences of the same sort, so that what is not protected looks like
//! what is. Run with `--nocapture` to see the table.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]
#![allow(clippy::print_stdout, reason = "the figures are to be seen")]

mod common;

use common::lists::{Lists, evidence, filter_of, refusing, with_file};
use common::numbers::Chance;
use common::prose::{ENGLISH, GERMAN, Prose};
use common::{decided, decided_with, outbound, said, written};
use viaduct_compliance::{Context, Filter, Fingerprints, Rule};
use viaduct_model::{Block, Content, Document, Inline, Outbound};

/// Messages of each sort.
const EACH: usize = 300;

fn paragraph(text: &str) -> Block {
    Block::Paragraph(vec![Inline::Text(text.to_owned())])
}

fn spread(text: &str, every: usize, what: &str) -> String {
    let mut out = String::new();
    for (number, character) in text.chars().enumerate() {
        out.push(character);
        if number % every == every - 1 {
            out.push_str(what);
        }
    }
    out
}

fn look_alikes(text: &str) -> String {
    let other = |character| match character {
        'a' => 'а',
        'e' => 'е',
        'o' => 'о',
        'p' => 'р',
        'c' => 'с',
        'K' => 'К',
        'D' => 'Ꭰ',
        '0'..='9' => char::from_u32(0xff10 + u32::from(character) - u32::from('0')).unwrap(),
        other => other,
    };
    text.chars().map(other).collect()
}

/// How often what should be found was.
struct Row {
    name: &'static str,
    found: usize,
    of: usize,
    /// The part that must be found; none where it is only told.
    least: Option<f64>,
}

impl Row {
    fn of(name: &'static str, least: Option<f64>, mut one: impl FnMut() -> bool) -> Self {
        Self {
            name,
            found: (0..EACH).filter(|_| one()).count(),
            of: EACH,
            least,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are a few hundred")]
fn judge(rows: &[Row], wrong: usize) {
    let mut failures = Vec::new();
    let mut right = 0;
    for row in rows {
        let recall = row.found as f64 / row.of as f64;
        println!("  {:<46} recall {recall:>7.4}  ({} of {})", row.name, row.found, row.of);
        right += row.found;
        if row.least.is_some_and(|least| recall < least) {
            failures.push(row.name);
        }
    }
    let precision = right as f64 / (right + wrong) as f64;
    println!("  precision {precision:.4} ({wrong} of what is not protected)");
    assert_eq!(failures, Vec::<&str>::new(), "recall");
    assert!(precision >= 0.98, "precision");
}

struct Corpus {
    chance: Chance,
    documents: Vec<Vec<String>>,
}

impl Corpus {
    fn new() -> Self {
        let mut chance = Chance(0x00c0_ffee_1234_5678);
        let documents = (0..40)
            .map(|number| language(number).sentences(120, &mut chance))
            .collect();
        Self { chance, documents }
    }

    fn texts(&self) -> Vec<String> {
        self.documents.iter().map(|sentences| sentences.join("\n")).collect()
    }

    /// So many sentences of one document that follow each other.
    fn copied(&mut self, count: usize) -> Vec<String> {
        let document = self.chance.below(40);
        let document = &self.documents[usize::try_from(document).unwrap()];
        let first = self.chance.below((document.len() - count) as u64);
        document[usize::try_from(first).unwrap()..][..count].to_vec()
    }

    /// Sentences that nobody protects.
    fn other(&mut self, count: usize) -> String {
        let language = language(usize::try_from(self.chance.below(2)).unwrap());
        language.sentences(count, &mut self.chance).join(" ")
    }

    fn reworded(&mut self, text: &str, every: u64) -> String {
        let words = text.split(' ').map(|word| {
            if self.chance.below(every) == 0 {
                ENGLISH.word(&mut self.chance).to_owned()
            } else {
                word.to_owned()
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

fn language(number: usize) -> &'static Prose {
    if number.is_multiple_of(2) { &GERMAN } else { &ENGLISH }
}

fn protecting(fingerprints: Fingerprints) -> Filter {
    filter_of(vec![Rule {
        fingerprints: Some(fingerprints),
        ..refusing("documents")
    }])
}

#[test]
fn s45_passages_of_protected_documents_are_found_and_others_are_not() {
    let mut corpus = Corpus::new();
    let lists = Lists::new();
    let careful = protecting(lists.documents(&corpus.texts(), 0.3, 60));
    let usual = protecting(lists.documents(&corpus.texts(), 0.3, 200));
    let share = protecting(lists.documents(&corpus.texts(), 0.3, 0));
    let is_found = |filter: &Filter, outbound: Outbound| decided(filter, outbound) == "refuse";

    println!("passages of 60 letters and digits:");
    let mut rows = Vec::new();
    let mut row = |name, least, corpus: &mut Corpus, make: &dyn Fn(&mut Corpus) -> String| {
        rows.push(Row::of(name, least, || is_found(&careful, said(&make(corpus)))));
    };
    row("one sentence", Some(0.95), &mut corpus, &|corpus| {
        corpus.copied(1).concat()
    });
    row("one sentence among others", Some(0.95), &mut corpus, &|corpus| {
        format!("{} {} {}", corpus.other(2), corpus.copied(1).concat(), corpus.other(2))
    });
    row("three sentences", Some(0.99), &mut corpus, &|corpus| {
        corpus.copied(3).join(" ")
    });
    row(
        "three sentences, reordered among others",
        Some(0.99),
        &mut corpus,
        &|corpus| {
            let mut copied = corpus.copied(3);
            copied.rotate_left(1);
            copied.join(&corpus.other(1))
        },
    );
    row(
        "three sentences, every tenth word another",
        Some(0.95),
        &mut corpus,
        &|corpus| {
            let copied = corpus.copied(3).join(" ");
            corpus.reworded(&copied, 10)
        },
    );
    row(
        "three sentences, every fourth word another",
        None,
        &mut corpus,
        &|corpus| {
            let copied = corpus.copied(3).join(" ");
            corpus.reworded(&copied, 4)
        },
    );
    row(
        "three sentences, every second word another",
        None,
        &mut corpus,
        &|corpus| {
            let copied = corpus.copied(3).join(" ");
            corpus.reworded(&copied, 2)
        },
    );
    row(
        "one sentence in capitals, line by line",
        Some(0.95),
        &mut corpus,
        &|corpus| spread(&corpus.copied(1).concat().to_uppercase(), 9, "\n"),
    );
    row(
        "one sentence with unseen characters",
        Some(0.95),
        &mut corpus,
        &|corpus| spread(&corpus.copied(1).concat(), 3, "\u{200b}"),
    );
    row("one sentence with look-alikes", Some(0.95), &mut corpus, &|corpus| {
        look_alikes(&corpus.copied(1).concat())
    });
    row("one sentence, spaced and dotted", Some(0.95), &mut corpus, &|corpus| {
        spread(&corpus.copied(1).concat(), 1, ". ")
    });
    rows.push(Row::of("one sentence, quoted", Some(0.95), || {
        let quoted = Block::Quote(vec![paragraph(&corpus.copied(1).concat())]);
        let document = Document {
            blocks: vec![quoted, paragraph("Was heißt das für uns?")],
        };
        is_found(&careful, written(document))
    }));
    rows.push(Row::of("three sentences within a file", Some(0.99), || {
        let text = format!("{}\n{}", corpus.copied(3).join("\n"), corpus.other(20));
        let evidence = evidence(&text, true);
        let context = Context {
            evidence: &evidence,
            ..Context::default()
        };
        decided_with(&careful, &context, with_file("a.txt")) == "refuse"
    }));
    let wrong = (0..4 * EACH)
        .filter(|_| is_found(&careful, said(&corpus.other(3))))
        .count();
    judge(&rows, wrong);

    println!("passages of 200 letters and digits:");
    let rows = [
        Row::of("four sentences", Some(0.95), || {
            is_found(&usual, said(&corpus.copied(4).join(" ")))
        }),
        Row::of("six sentences, every tenth word another", Some(0.95), || {
            let copied = corpus.copied(6).join(" ");
            is_found(&usual, said(&corpus.reworded(&copied, 10)))
        }),
    ];
    let wrong = (0..2 * EACH)
        .filter(|_| is_found(&usual, said(&corpus.other(6))))
        .count();
    judge(&rows, wrong);

    println!("a share of 0.3:");
    let rows = [Row::of("half of a document", Some(0.99), || {
        is_found(&share, said(&corpus.copied(60).join("\n")))
    })];
    let wrong = (0..EACH)
        .filter(|_| is_found(&share, said(&corpus.copied(20).join(" "))))
        .count();
    judge(&rows, wrong);
}

/// Values of the sorts that firms have, and others of the same form.
fn value(chance: &mut Chance) -> String {
    const FIRST: &[&str] = &[
        "Anna",
        "Jürgen",
        "Beate",
        "Marek",
        "Søren",
        "Zoë",
        "Karl-Heinz",
        "Ingrid",
        "Tomáš",
        "Lena",
    ];
    const LAST: &[&str] = &[
        "Müller",
        "Weiß",
        "Nowak",
        "Sørensen",
        "Großmann",
        "Kühn",
        "Abel",
        "Öztürk",
        "Dvořák",
        "Lindqvist",
    ];
    match chance.below(4) {
        0 => format!("KD-{} {}", chance.digits(4), chance.digits(4)),
        1 => format!(
            "{}.{}-{}",
            chance.from("ABCDEFGHKLM", 2),
            chance.digits(5),
            chance.from("RSTUVW", 2)
        ),
        2 => format!(
            "{} {}{}",
            chance.of(FIRST),
            chance.of(LAST),
            chance.of(LAST).to_lowercase()
        ),
        _ => format!("Vertrag {}/{}", chance.digits(6), chance.digits(2)),
    }
}

#[test]
fn s45_protected_values_are_found_and_others_are_not() {
    let mut chance = Chance(0x0ddb_a115_eed5_eed5);
    let protected: Vec<String> = (0..5000).map(|_| value(&mut chance)).collect();
    let lists = Lists::new();
    let filter = filter_of(vec![Rule {
        values: Some(lists.values(&protected.join("\n"))),
        ..refusing("values")
    }]);
    let is_found = |outbound: Outbound| decided(&filter, outbound) == "refuse";
    let names: Vec<&str> = protected.iter().map(String::as_str).collect();
    let mut rows = Vec::new();
    let mut row = |name, make: &dyn Fn(&str, &mut Chance) -> Outbound| {
        let one = || {
            let value = chance.of(&names).to_owned();
            is_found(make(&value, &mut chance))
        };
        rows.push(Row::of(name, Some(0.95), one));
    };
    let sentences = [
        "Bitte {} freigeben.",
        "{}",
        "is {} still open?",
        "Stand zu „{}“ (neu)",
        "siehe {}; danke",
    ];
    row("in a sentence", &|value, chance| {
        said(&chance.of(&sentences).replace("{}", value))
    });
    row("separated otherwise", &|value, _| {
        said(&format!("x {} y", value.replace([' ', '-', '/', '.'], "_")))
    });
    row("not separated", &|value, _| {
        said(&format!("x {} y", value.replace([' ', '-', '/', '.'], "")))
    });
    row("in small letters", &|value, _| said(&value.to_lowercase()));
    row("in capitals", &|value, _| said(&value.to_uppercase()));
    row("with unseen characters", &|value, _| {
        said(&spread(value, 2, "\u{2060}"))
    });
    row("with look-alikes", &|value, _| said(&look_alikes(value)));
    row("over two lines", &|value, _| {
        said(&value.replace([' ', '-', '/', '.'], "\n"))
    });
    row("in bold letters for half of it", &|value, _| {
        let (head, tail) = value.split_at(value.floor_char_boundary(value.len() / 2));
        let bold = Inline::Strong(vec![Inline::Text(head.to_owned())]);
        written(Document::paragraph(vec![bold, Inline::Text(tail.to_owned())]))
    });
    row("as the name of a file", &|value, _| {
        let name = format!("{}.txt", value.replace('/', "-"));
        let mut outbound = with_file(&name);
        // The file itself says nothing.
        if let Some(message) = outbound.content.message_mut() {
            message.body = Document::paragraph(vec![Inline::Text(name)]);
            message.attachments.clear();
        }
        outbound
    });
    row("as the topic", &|value, _| {
        outbound(Content::Topic {
            topic: value.to_owned(),
        })
    });
    let wrong = (0..4 * EACH)
        .filter(|_| {
            let other = value(&mut chance);
            !protected.contains(&other) && is_found(said(&format!("Bitte {other} freigeben, {}", chance.digits(10))))
        })
        .count();
    println!("values, 5,000 of them:");
    judge(&rows, wrong);
}
