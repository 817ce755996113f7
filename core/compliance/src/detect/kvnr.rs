//! The German health insurance number.

use std::ops::Range;

use super::checks::{cross_sums, digits, letter_digits};
use super::{Cue, Tokens};

/// A letter, eight digits and a check digit, near a word for health insurance.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if tokens.fewer_digits_than(9) || !tokens.cues.has(Cue::HealthInsurance) {
        return found;
    }
    for first in (0..tokens.atoms.len()).filter(|first| tokens.leads(*first)) {
        if let Some((characters, place)) = tokens.gather(first, 10)
            && is_valid(characters).unwrap_or(false)
            && tokens.cues.near(Cue::HealthInsurance, &place)
        {
            found.push(place);
        }
    }
    found
}

fn is_valid(characters: &[u8]) -> Option<bool> {
    let (letter, rest) = characters
        .split_first()
        .filter(|(letter, _)| letter.is_ascii_uppercase())?;
    let rest = digits(rest)?;
    let (check, rest) = rest.split_last()?;
    let all: Vec<u32> = letter_digits(*letter)?
        .into_iter()
        .chain(rest.iter().copied())
        .collect();
    Some(cross_sums(&all, &[1, 2, 1, 2, 1, 2, 1, 2, 1, 2]) % 10 == *check)
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, found};

    #[test]
    fn numbers_are_verified() {
        assert_eq!(found(Detector::Kvnr, "KVNR A123456780"), ["A123456780"]);
        assert_eq!(
            found(Detector::Kvnr, "Versichertennummer: A 123 456 780"),
            ["A 123 456 780"]
        );
        assert!(found(Detector::Kvnr, "KVNR A123456781").is_empty());
        assert!(found(Detector::Kvnr, "Artikel A123456780").is_empty());
    }
}
