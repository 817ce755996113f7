//! German and English prose as an engineering firm writes it, made from sentences and words by chance.

use super::numbers::Chance;

/// The words of one language. A sentence is a row of gaps: `{n}` a noun, perhaps with something before it, `{v}` a verb, `{a}` an
/// adjective, `{p}` a preposition with an article, `{k}` a conjunction, `{#}` a number with its unit.
pub struct Prose {
    before: &'static [&'static str],
    nouns: &'static [&'static str],
    verbs: &'static [&'static str],
    adjectives: &'static [&'static str],
    prepositions: &'static [&'static str],
    conjunctions: &'static [&'static str],
    units: &'static [&'static str],
}

const SENTENCES: &[&str] = &[
    "{p} {a} {n} {v} {n} {p} {a} {n}, {k} {n} {p} {n} {v} {#}.",
    "{n} {v} {p} {#} {p} {a} {n}, {k} {a} {n} {v}.",
    "{k} {n} {p} {a} {n} {v}, {v} {n} {p} {#} {p} {n}.",
    "{a} {n} {v} {p} {n}; {n} {v} {#} {p} {a} {n}, {k} {n} {v}.",
    "{p} {#} {v} {a} {n} {p} {n}, {n} {p} {a} {n} {v} {p} {n}.",
];

pub const GERMAN: Prose = Prose {
    before: &[
        "", "", "Haupt", "Neben", "Mess", "Prüf", "Glas", "Stahl", "Wechsel", "Vor", "Zwischen", "Grund", "Schutz",
    ],
    nouns: &[
        "dichtung",
        "welle",
        "legierung",
        "kammer",
        "kupplung",
        "zelle",
        "düse",
        "lagerung",
        "schicht",
        "spule",
        "platte",
        "leitung",
        "probe",
        "regelung",
        "pumpe",
        "naht",
        "form",
        "turbine",
        "membran",
        "feder",
        "bohrung",
        "hülle",
        "kühlung",
        "elektrode",
        "fassung",
        "liste",
        "größe",
        "rezeptur",
        "führung",
        "säule",
    ],
    verbs: &[
        "erwärmt",
        "härtet",
        "spült",
        "verdichtet",
        "prüft",
        "spannt",
        "entlüftet",
        "verklebt",
        "fräst",
        "kalibriert",
        "lötet",
        "wiegt",
        "senkt",
        "trocknet",
        "vermisst",
        "hält",
        "löst",
        "bricht",
        "trägt",
        "füllt",
    ],
    adjectives: &[
        "äußere",
        "keramische",
        "zweistufige",
        "vernickelte",
        "flüssige",
        "gehärtete",
        "neue",
        "kalte",
        "poröse",
        "magnetische",
        "versiegelte",
        "mehrlagige",
        "geschliffene",
        "transparente",
        "hohle",
        "dünne",
        "gefettete",
        "lange",
    ],
    prepositions: &[
        "unter der",
        "vor die",
        "neben einer",
        "mit jeder",
        "ohne die",
        "gegen eine",
        "für die",
        "nach der",
        "auf einer",
        "in der",
        "aus dieser",
        "hinter die",
    ],
    conjunctions: &[
        "weil", "damit", "sobald", "und", "aber", "solange", "bevor", "während", "obwohl", "denn",
    ],
    units: &[
        "Grad",
        "bar",
        "Teile",
        "Euro",
        "Stunden",
        "Promille",
        "Volt",
        "Umdrehungen",
        "Gramm",
        "Schritte",
    ],
};

pub const ENGLISH: Prose = Prose {
    before: &[
        "", "", "main ", "side ", "test ", "glass ", "steel ", "spare ", "cross ", "inner ", "base ", "guard ",
    ],
    nouns: &[
        "gasket",
        "shaft",
        "alloy",
        "chamber",
        "coupling",
        "cell",
        "nozzle",
        "bearing",
        "layer",
        "coil",
        "plate",
        "duct",
        "sample",
        "governor",
        "pump",
        "weld",
        "mould",
        "turbine",
        "membrane",
        "spring",
        "bore",
        "coating",
        "cooler",
        "electrode",
        "socket",
        "checklist",
        "batch",
        "recipe",
        "fixture",
        "column",
    ],
    verbs: &[
        "heats",
        "hardens",
        "rinses",
        "compacts",
        "checks",
        "clamps",
        "vents",
        "glues",
        "mills",
        "calibrates",
        "solders",
        "weighs",
        "lowers",
        "dries",
        "measures",
        "holds",
        "frees",
        "breaks",
        "carries",
        "fills",
    ],
    adjectives: &[
        "outer",
        "ceramic",
        "two-stage",
        "plated",
        "liquid",
        "tempered",
        "new",
        "cold",
        "porous",
        "magnetic",
        "sealed",
        "laminated",
        "ground",
        "clear",
        "hollow",
        "thin",
        "greased",
        "long",
    ],
    prepositions: &[
        "under the",
        "before any",
        "next to a",
        "with every",
        "without the",
        "against a",
        "for the",
        "after this",
        "on top of a",
        "inside the",
        "out of each",
        "behind the",
    ],
    conjunctions: &[
        "because",
        "so that",
        "as soon as",
        "and",
        "but",
        "as long as",
        "before",
        "while",
        "although",
        "since",
    ],
    units: &[
        "degrees",
        "bar",
        "parts",
        "euros",
        "hours",
        "per mille",
        "volts",
        "revolutions",
        "grams",
        "steps",
    ],
};

impl Prose {
    /// A sentence.
    pub fn sentence(&self, chance: &mut Chance) -> String {
        let mut out = String::new();
        let mut rest = chance.of(SENTENCES);
        while let Some((before, gap)) = rest.split_once('{') {
            let (kind, after) = gap.split_once('}').unwrap();
            out.push_str(before);
            out.push_str(&self.filling(kind, chance));
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn filling(&self, kind: &str, chance: &mut Chance) -> String {
        match kind {
            "n" => format!("{}{}", chance.of(self.before), chance.of(self.nouns)),
            "v" => chance.of(self.verbs).to_owned(),
            "a" => chance.of(self.adjectives).to_owned(),
            "p" => chance.of(self.prepositions).to_owned(),
            "k" => chance.of(self.conjunctions).to_owned(),
            _ => format!("{} {}", 2 + chance.below(900), chance.of(self.units)),
        }
    }

    /// Several.
    pub fn sentences(&self, count: usize, chance: &mut Chance) -> Vec<String> {
        (0..count).map(|_| self.sentence(chance)).collect()
    }

    /// A word.
    pub fn word(&self, chance: &mut Chance) -> &'static str {
        match chance.below(3) {
            0 => chance.of(self.nouns),
            1 => chance.of(self.verbs),
            _ => chance.of(self.adjectives),
        }
    }
}
