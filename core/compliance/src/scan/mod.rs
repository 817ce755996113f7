//! One pass over a text for all rules together.
//!
//! A single automaton finds every dictionary term, every cue of the detectors and the literals with which own patterns must
//! begin; what costs more (a detector, a pattern) runs only where the automaton, or the number of digits, gives a reason. What is
//! protected by lists is looked up in a pass of its own, over the letters and digits alone.

mod hits;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::{Regex, RegexBuilder};

use self::hits::{HIT_BOUND, take};
pub(crate) use self::hits::{Hit, Hits};
pub(crate) use self::words::spellings;
use self::words::{Term, WordPlaces, is_border, literals, open_ends};
use crate::detect::{self, Cue, Cues, Detector, Tokens};
use crate::policy::{Dictionary, TextPart};
use crate::protect::{DocumentList, Normal, Seen, Threshold, ValueList, winnow};
use crate::text::{Part, View, fold};

/// The largest compiled pattern, in bytes.
const PATTERN_BOUND: usize = 512 * 1024;

/// What a matcher is; its place in the [`Scanner`] is its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Detector(Detector),
    Pattern,
    Words,
    Values,
    Fingerprints,
}

impl Sort {
    /// Whether it is looked for in files without being asked to.
    pub(crate) fn reads_files(self) -> bool {
        matches!(self, Self::Values | Self::Fingerprints)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Detector(detector) => detector.as_str(),
            Self::Pattern => "pattern",
            Self::Words => "words",
            Self::Values => "values",
            Self::Fingerprints => "fingerprints",
        }
    }
}

/// What a word of the automaton is for.
#[derive(Debug, Clone, Copy)]
enum Use {
    /// Helps a detector; `inside` a word too.
    Cue { cue: Cue, inside: bool },
    /// A literal without which the pattern cannot match.
    Literal { matcher: usize },
    /// The first word of a term of a dictionary; the number is the place in [`Scanner::terms`].
    Term(usize),
}

#[derive(Debug, Clone)]
enum Matcher {
    Detector(Detector),
    Pattern {
        source: String,
        regex: Regex,
        /// Whether it must be tried without a literal having been found.
        always: bool,
    },
    Words(Dictionary),
    Values(Arc<ValueList>),
    Fingerprints {
        list: Arc<DocumentList>,
        threshold: Threshold,
        /// The texts that count; all if there are none.
        texts: Vec<TextPart>,
    },
}

/// Everything that a policy looks for, made ready.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scanner {
    matchers: Vec<Matcher>,
    words: Vec<String>,
    uses: Vec<Use>,
    terms: Vec<Term>,
    automaton: Option<AhoCorasick>,
    /// The matchers that look into files, too.
    in_files: Vec<usize>,
}

impl Scanner {
    /// Adds a list of values; its matcher's id.
    pub(crate) fn values(&mut self, list: Arc<ValueList>) -> usize {
        self.matchers.push(Matcher::Values(list));
        self.matchers.len() - 1
    }

    /// Adds a list of documents, of which these texts count; its matcher's id.
    pub(crate) fn fingerprints(&mut self, list: Arc<DocumentList>, threshold: Threshold, texts: &[TextPart]) -> usize {
        self.matchers.push(Matcher::Fingerprints {
            list,
            threshold,
            texts: texts.to_vec(),
        });
        self.matchers.len() - 1
    }

    /// Has a matcher look into files, too.
    pub(crate) fn look_into_files(&mut self, matcher: usize) {
        if !self.in_files.contains(&matcher) {
            self.in_files.push(matcher);
        }
    }

    /// What distinguishes the lists of what is protected, in order.
    pub(crate) fn lists(&self) -> impl Iterator<Item = [u8; 32]> {
        self.matchers.iter().filter_map(|matcher| match matcher {
            Matcher::Values(list) => Some(list.digest()),
            Matcher::Fingerprints { list, .. } => Some(list.digest()),
            Matcher::Detector(_) | Matcher::Pattern { .. } | Matcher::Words(_) => None,
        })
    }

    /// Whether any matcher looks into files.
    pub(crate) fn reads_files(&self) -> bool {
        !self.in_files.is_empty()
    }

    /// Adds a detector, or finds it if it was added before; its matcher's id.
    pub(crate) fn detector(&mut self, wanted: Detector) -> usize {
        let known = self
            .matchers
            .iter()
            .position(|matcher| matches!(matcher, Matcher::Detector(own) if *own == wanted));
        known.unwrap_or_else(|| {
            self.matchers.push(Matcher::Detector(wanted));
            self.matchers.len() - 1
        })
    }

    /// Adds an own pattern; its matcher's id, or what is wrong with it.
    pub(crate) fn pattern(&mut self, source: &str) -> Result<usize, String> {
        let same = |matcher: &Matcher| matches!(matcher, Matcher::Pattern { source: own, .. } if own == source);
        if let Some(known) = self.matchers.iter().position(same) {
            return Ok(known);
        }
        let regex = RegexBuilder::new(source)
            .size_limit(PATTERN_BOUND)
            .dfa_size_limit(PATTERN_BOUND)
            .nest_limit(64)
            .build()
            .map_err(|error| error.to_string())?;
        if regex.is_match("") {
            return Err("it matches the empty text, and so everything".to_owned());
        }
        let matcher = self.matchers.len();
        let literals = literals(source);
        self.matchers.push(Matcher::Pattern {
            source: source.to_owned(),
            regex,
            always: literals.is_none(),
        });
        for literal in literals.unwrap_or_default() {
            self.word(literal, Use::Literal { matcher });
        }
        Ok(matcher)
    }

    /// Adds a dictionary; its matcher's id, or what is wrong with it.
    pub(crate) fn dictionary(&mut self, dictionary: &Dictionary) -> Result<usize, String> {
        let matcher = self.matchers.len();
        if dictionary.terms.is_empty() {
            return Err("it has no terms".to_owned());
        }
        for (terms, near) in [(&dictionary.terms, false), (&dictionary.near, true)] {
            for term in terms {
                let (bare, open_start, open_end) = open_ends(term);
                if fold(bare).trim().len() < 2 {
                    return Err(format!("the term {term:?} has fewer than two letters"));
                }
                for spelling in spellings(bare) {
                    let mut words = spelling
                        .split([' ', '-', '\n'])
                        .filter(|word| !word.is_empty())
                        .map(str::to_owned);
                    let Some(first) = words.next() else { continue };
                    self.word(first, Use::Term(self.terms.len()));
                    self.terms.push(Term {
                        matcher,
                        near,
                        open_start,
                        open_end,
                        rest: words.collect(),
                    });
                }
            }
        }
        self.matchers.push(Matcher::Words(dictionary.clone()));
        Ok(matcher)
    }

    fn word(&mut self, word: String, used: Use) {
        self.words.push(word);
        self.uses.push(used);
    }

    /// Builds the automaton, once everything is added.
    pub(crate) fn ready(mut self) -> Result<Self, String> {
        if self
            .matchers
            .iter()
            .any(|matcher| matches!(matcher, Matcher::Detector(_)))
        {
            for (cue, words) in detect::CUE_WORDS {
                for word in *words {
                    let (bare, inside, _) = open_ends(word);
                    self.word(bare.to_owned(), Use::Cue { cue: *cue, inside });
                }
            }
            for (cue, word) in detect::key_words() {
                self.word(word.to_owned(), Use::Cue { cue, inside: true });
            }
        }
        if !self.words.is_empty() {
            let few = self.words.iter().map(String::len).sum::<usize>() < 64 * 1024;
            let automaton = AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(few.then_some(AhoCorasickKind::DFA))
                .build(&self.words)
                .map_err(|error| error.to_string())?;
            self.automaton = Some(automaton);
        }
        Ok(self)
    }

    /// A scanner for these detectors alone.
    #[cfg(test)]
    pub(crate) fn for_detectors(detectors: &[Detector]) -> Self {
        let mut scanner = Self::default();
        for detector in detectors {
            scanner.detector(*detector);
        }
        scanner.ready().unwrap()
    }

    /// The cues in a folded text.
    #[cfg(test)]
    pub(crate) fn cues(&self, folded: &str) -> Cues {
        self.read(folded, true).cues
    }

    /// What a matcher is.
    pub(crate) fn sort(&self, matcher: usize) -> Option<Sort> {
        self.matchers.get(matcher).map(|matcher| match matcher {
            Matcher::Detector(detector) => Sort::Detector(*detector),
            Matcher::Pattern { .. } => Sort::Pattern,
            Matcher::Words(_) => Sort::Words,
            Matcher::Values(_) => Sort::Values,
            Matcher::Fingerprints { .. } => Sort::Fingerprints,
        })
    }

    /// Everything found in these texts.
    pub(crate) fn scan(&self, parts: &[Part]) -> Hits {
        let mut hits: Hits = vec![Vec::new(); self.matchers.len()];
        for (number, part) in parts.iter().enumerate() {
            for (view, is_folded) in part.views.iter().zip([true, false]) {
                let reading = self.read(&view.text, is_folded);
                let pass = Pass { part, view, is_folded };
                self.find_all(pass, &reading, &mut |matcher, start, end| {
                    let twice = !matches!(self.matchers.get(matcher), Some(Matcher::Detector(_)));
                    if let Some(own) = hits.get_mut(matcher) {
                        take(own, number, part, view, start..end, twice);
                    }
                });
            }
        }
        self.find_protected(parts, &mut hits);
        hits
    }

    /// Whether a matcher looks at a text.
    fn looks_at(&self, matcher: usize, part: &Part) -> bool {
        part.kind != TextPart::File || self.in_files.contains(&matcher)
    }

    /// What is protected by lists.
    fn find_protected(&self, parts: &[Part], hits: &mut Hits) {
        let (mut values, mut fingerprints) = (Vec::new(), Vec::new());
        for (number, matcher) in self.matchers.iter().enumerate() {
            match matcher {
                Matcher::Values(list) => values.push((number, list)),
                Matcher::Fingerprints { list, threshold, texts } => {
                    fingerprints.push((number, list, threshold, texts, Seen::default(), None));
                }
                _ => {}
            }
        }
        if values.is_empty() && fingerprints.is_empty() {
            return;
        }
        for (number, part) in parts.iter().enumerate() {
            let Some(view) = part.views.first() else { continue };
            let normal = Normal::of(&view.text);
            for (matcher, list) in values.iter().filter(|(matcher, _)| self.looks_at(*matcher, part)) {
                list.find(&normal, &mut |start, end| {
                    if let Some(own) = hits.get_mut(*matcher) {
                        take(own, number, part, view, start..end, true);
                    }
                });
            }
            // Passages of what an edit replaces crossed before.
            if fingerprints.is_empty() || part.seam {
                continue;
            }
            let runs = winnow(&normal.bytes);
            for (matcher, list, _, texts, seen, first) in &mut fingerprints {
                if self.looks_at(*matcher, part) && (texts.is_empty() || texts.contains(&part.kind)) {
                    list.look(&normal, &runs, seen);
                    first.get_or_insert(part.kind);
                }
            }
        }
        for (matcher, list, threshold, _, seen, first) in fingerprints {
            if let (Some(own), Some(kind)) = (hits.get_mut(matcher), first) {
                let found = list.found(seen, *threshold).min(HIT_BOUND);
                own.extend(std::iter::repeat_n(Hit::whole(kind), found));
            }
        }
    }

    /// One pass of the automaton.
    fn read(&self, text: &str, is_folded: bool) -> Reading {
        let mut reading = Reading {
            tried: vec![false; self.matchers.len()],
            ..Reading::default()
        };
        let Some(automaton) = &self.automaton else {
            return reading;
        };
        for found in automaton.find_overlapping_iter(text) {
            let (start, end) = (found.start(), found.end());
            match self.uses.get(found.pattern().as_usize()) {
                Some(Use::Cue { cue, inside }) if is_folded && (*inside || is_border(text, start, false)) => {
                    reading.cues.push(*cue, start, end);
                }
                Some(Use::Literal { matcher }) => {
                    if let Some(tried) = reading.tried.get_mut(*matcher) {
                        *tried = true;
                    }
                }
                Some(Use::Term(number)) if is_folded => {
                    if let Some(term) = self.terms.get(*number)
                        && let Some(end) = term.ends(text, start, end)
                    {
                        let places = reading.words.entry(term.matcher).or_default();
                        if term.near { &mut places.near } else { &mut places.terms }.push(start, end);
                    }
                }
                _ => {}
            }
        }
        reading.cues.sort();
        reading.words.values_mut().for_each(|places| places.near.sort());
        reading
    }

    fn find_all(&self, pass: Pass<'_>, reading: &Reading, found: &mut dyn FnMut(usize, usize, usize)) {
        let Pass { part, view, is_folded } = pass;
        let mut tokens = None;
        for (number, matcher) in self.matchers.iter().enumerate() {
            if !self.looks_at(number, part) {
                continue;
            }
            match matcher {
                Matcher::Detector(detector) if is_folded => {
                    let tokens = tokens.get_or_insert_with(|| Tokens::new(&view.text, &reading.cues));
                    for place in detector.find(tokens) {
                        found(number, place.start, place.end);
                    }
                }
                Matcher::Pattern { regex, always, .. } => {
                    if *always || reading.tried.get(number) == Some(&true) {
                        for place in regex
                            .find_iter(&view.text)
                            .take(HIT_BOUND)
                            .filter(|place| !place.is_empty())
                        {
                            found(number, place.start(), place.end());
                        }
                    }
                }
                Matcher::Words(dictionary) if is_folded => {
                    let Some(places) = reading.words.get(&number) else {
                        continue;
                    };
                    for (start, end) in places.terms.iter() {
                        if dictionary.near.is_empty() || places.is_near(start, end, dictionary.within as usize) {
                            found(number, start, end);
                        }
                    }
                }
                Matcher::Detector(_) | Matcher::Words(_) | Matcher::Values(_) | Matcher::Fingerprints { .. } => {}
            }
        }
    }
}

/// One form of one text.
#[derive(Clone, Copy)]
struct Pass<'a> {
    part: &'a Part,
    view: &'a View,
    is_folded: bool,
}

/// What the automaton saw in one text.
#[derive(Default)]
struct Reading {
    cues: Cues,
    /// Patterns of which a literal was seen.
    tried: Vec<bool>,
    /// The places of the words of each dictionary.
    words: BTreeMap<usize, WordPlaces>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_bounded() {
        let mut scanner = Scanner::default();
        assert!(scanner.pattern(r"a{1000}{1000}").is_err());
        assert!(scanner.pattern("(").is_err());
        assert!(scanner.pattern("a*").is_err());
        assert_eq!(scanner.pattern("ab+"), Ok(0));
        assert_eq!(scanner.pattern("ab+"), Ok(0), "the same pattern is tried once");
    }
}
