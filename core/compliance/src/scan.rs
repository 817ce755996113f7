//! One pass over a text for all rules together.
//!
//! A single automaton finds every dictionary term, every cue of the detectors and the literals with which own patterns must
//! begin; what costs more (a detector, a pattern) runs only where the automaton, or the number of digits, gives a reason.

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::literal::Extractor;

use crate::detect::{self, Cue, Cues, Detector, Tokens};
use crate::places::Places;
use crate::policy::{Dictionary, TextPart};
use crate::text::{Part, Span, View, fold};

/// At most so many findings of one matcher are counted in one text; with more, masking is not possible.
const HIT_BOUND: usize = 256;
/// The largest compiled pattern, in bytes.
const PATTERN_BOUND: usize = 512 * 1024;

/// At most so many bytes may stand between two words of a term.
const GAP_BOUND: usize = 4;

/// What a matcher is; its place in the [`Scanner`] is its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Detector(Detector),
    Pattern,
    Words,
}

impl Sort {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Detector(detector) => detector.as_str(),
            Self::Pattern => "pattern",
            Self::Words => "words",
        }
    }
}

/// One finding.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// In what text.
    pub(crate) kind: TextPart,
    /// The original characters.
    pub(crate) spans: Vec<Span>,
    part: usize,
}

/// The findings of each matcher.
pub(crate) type Hits = Vec<Vec<Hit>>;

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

/// A term of a dictionary, or of the words that must be near one.
#[derive(Debug, Clone)]
struct Term {
    matcher: usize,
    near: bool,
    /// Whether a word may begin before it.
    open_start: bool,
    /// Whether a word may go on after it.
    open_end: bool,
    /// The words after the first.
    rest: Vec<String>,
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
}

/// Everything that a policy looks for, made ready.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scanner {
    matchers: Vec<Matcher>,
    words: Vec<String>,
    uses: Vec<Use>,
    terms: Vec<Term>,
    automaton: Option<AhoCorasick>,
}

impl Scanner {
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
        })
    }

    /// Everything found in these texts.
    pub(crate) fn scan(&self, parts: &[Part]) -> Hits {
        let mut hits: Hits = vec![Vec::new(); self.matchers.len()];
        for (number, part) in parts.iter().enumerate() {
            for (view, is_folded) in part.views.iter().zip([true, false]) {
                let reading = self.read(&view.text, is_folded);
                self.find_all(view, &reading, is_folded, &mut |matcher, start, end| {
                    let twice = !matches!(self.matchers.get(matcher), Some(Matcher::Detector(_)));
                    if let Some(own) = hits.get_mut(matcher) {
                        take(own, number, part, view, start..end, twice);
                    }
                });
            }
        }
        hits
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

    fn find_all(&self, view: &View, reading: &Reading, is_folded: bool, found: &mut dyn FnMut(usize, usize, usize)) {
        let mut tokens = None;
        for (number, matcher) in self.matchers.iter().enumerate() {
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
                Matcher::Detector(_) | Matcher::Words(_) => {}
            }
        }
    }
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

#[derive(Default)]
struct WordPlaces {
    terms: Places,
    near: Places,
}

impl WordPlaces {
    fn is_near(&self, start: usize, end: usize, within: usize) -> bool {
        let near = |distance: Option<usize>| distance.is_some_and(|distance| distance <= within);
        near(self.near.before(start)) || near(self.near.after(end))
    }
}

impl Term {
    /// Where the term ends whose first word stands here; none if the rest of it does not follow. Between two words there may
    /// be a few characters that are neither letters nor digits.
    fn ends(&self, text: &str, start: usize, mut end: usize) -> Option<usize> {
        if !self.open_start && !is_border(text, start, false) {
            return None;
        }
        for word in &self.rest {
            let tail = text.get(end..)?;
            let gap = tail
                .find(char::is_alphanumeric)
                .filter(|gap| (1..=GAP_BOUND).contains(gap))?;
            let next = end + gap;
            let found = text.get(next..next + word.len())?;
            if !found.eq_ignore_ascii_case(word) {
                return None;
            }
            end = next + word.len();
        }
        (self.open_end || is_border(text, end, true)).then_some(end)
    }
}

/// Notes a finding, unless it is noted already: what may be found `twice` (own patterns are looked for in both views, and terms
/// in several spellings) is compared with what was found before.
fn take(own: &mut Vec<Hit>, number: usize, part: &Part, view: &View, place: Range<usize>, twice: bool) {
    if part.seam && !view.crosses_seam(place.start, place.end) {
        return;
    }
    let first = own.partition_point(|hit| hit.part < number);
    let here = own.get(first..).unwrap_or_default();
    let spans = view.spans(place.start, place.end);
    let again = |hit: &Hit| {
        hit.spans
            .iter()
            .any(|one| spans.iter().any(|other| overlap(one, other)))
    };
    if here.len() < HIT_BOUND && !(twice && here.iter().any(again)) {
        own.push(Hit {
            kind: part.kind,
            spans,
            part: number,
        });
    }
}

fn overlap(one: &Span, other: &Span) -> bool {
    one.leaf == other.leaf && one.start < other.end && other.start < one.end
}

/// Whether no letter or digit stands before (or, `after`, behind) this place.
fn is_border(text: &str, at: usize, after: bool) -> bool {
    let Some((head, tail)) = text.split_at_checked(at) else {
        return true;
    };
    let neighbour = if after {
        tail.chars().next()
    } else {
        head.chars().next_back()
    };
    !neighbour.is_some_and(char::is_alphanumeric)
}

/// A term without its stars, and whether it may go on at its beginning and end.
fn open_ends(term: &str) -> (&str, bool, bool) {
    let bare = term.strip_prefix('*').unwrap_or(term);
    let (bare, open_end) = bare.strip_suffix('*').map_or((bare, false), |bare| (bare, true));
    (bare, term.starts_with('*'), open_end)
}

/// The spellings in which a term is looked for: folded as it is, in small and in capital letters (letters outside ASCII look
/// like different Latin ones then), and with umlauts written out.
fn spellings(term: &str) -> Vec<String> {
    let mut written = String::new();
    for character in term.to_lowercase().chars() {
        match character {
            'ä' => written.push_str("ae"),
            'ö' => written.push_str("oe"),
            'ü' => written.push_str("ue"),
            other => written.push(other),
        }
    }
    let mut all: Vec<String> = [term.to_owned(), term.to_lowercase(), term.to_uppercase(), written]
        .iter()
        .map(|spelling| fold(spelling).trim().to_ascii_lowercase())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Literals one of which begins every match of a pattern; none if that cannot be said.
fn literals(pattern: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let sequence = Extractor::new().limit_total(64).extract(&hir);
    let mut words = Vec::new();
    for literal in sequence.literals()? {
        let word = std::str::from_utf8(literal.as_bytes())
            .ok()
            .filter(|word| word.len() >= 3)?;
        words.push(word.to_ascii_lowercase());
    }
    words.sort_unstable();
    words.dedup();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_where_there_are_some() {
        assert_eq!(literals(r"\bAcme-\d+"), Some(vec!["acme-".to_owned()]));
        assert_eq!(
            literals(r"(?i)alpha|beta").map(|words| words.contains(&"beta".to_owned())),
            Some(true)
        );
        assert_eq!(literals(r"\d+ EUR"), None);
        assert_eq!(literals(r"x*foo"), None);
    }

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
