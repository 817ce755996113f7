//! The words of dictionaries and patterns, and what else must stand around them.

use regex_syntax::hir::literal::Extractor;

use crate::places::Places;
use crate::text::fold;

/// At most so many bytes may stand between two words of a term.
const GAP_BOUND: usize = 4;

/// A term of a dictionary, or of the words that must be near one.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) matcher: usize,
    pub(super) near: bool,
    /// Whether a word may begin before it.
    pub(super) open_start: bool,
    /// Whether a word may go on after it.
    pub(super) open_end: bool,
    /// The words after the first.
    pub(super) rest: Vec<String>,
}

/// Where the words of one dictionary are.
#[derive(Default)]
pub(super) struct WordPlaces {
    pub(super) terms: Places,
    pub(super) near: Places,
}

impl WordPlaces {
    pub(super) fn is_near(&self, start: usize, end: usize, within: usize) -> bool {
        let near = |distance: Option<usize>| distance.is_some_and(|distance| distance <= within);
        near(self.near.before(start)) || near(self.near.after(end))
    }
}

impl Term {
    /// Where the term ends whose first word stands here; none if the rest of it does not follow. Between two words there may
    /// be a few characters that are neither letters nor digits.
    pub(super) fn ends(&self, text: &str, start: usize, mut end: usize) -> Option<usize> {
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

/// Whether no letter or digit stands before (or, `after`, behind) this place.
pub(super) fn is_border(text: &str, at: usize, after: bool) -> bool {
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
pub(super) fn open_ends(term: &str) -> (&str, bool, bool) {
    let bare = term.strip_prefix('*').unwrap_or(term);
    let (bare, open_end) = bare.strip_suffix('*').map_or((bare, false), |bare| (bare, true));
    (bare, term.starts_with('*'), open_end)
}

/// The spellings in which a term is looked for: folded as it is, in small and in capital letters (letters outside ASCII look
/// like different Latin ones then), and with umlauts written out.
pub(crate) fn spellings(term: &str) -> Vec<String> {
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
pub(super) fn literals(pattern: &str) -> Option<Vec<String>> {
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
}
