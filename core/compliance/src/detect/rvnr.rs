//! The German pension insurance number.

use std::ops::Range;

use super::Tokens;
use super::checks::{are_digits, cross_sums, digits, letter_digits};

/// Area (2 digits), date of birth (6), first letter of the name at birth, serial (2), check digit.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    if tokens.fewer_digits_than(11) {
        return found;
    }
    for (first, atom) in tokens.atoms.iter().enumerate() {
        let covered = found.last().is_some_and(|place| atom.start() < place.end);
        // The ninth character is a letter.
        let may_be = atom.has_digits() && tokens.digits_from(first) <= 8;
        if !may_be || covered || tokens.glued_before(atom.start()) {
            continue;
        }
        if let Some((characters, place)) = tokens.gather(first, 12)
            && is_valid(characters).unwrap_or(false)
        {
            found.push(place);
        }
    }
    found
}

fn is_valid(characters: &[u8]) -> Option<bool> {
    let (front, rest) = characters.split_at_checked(8)?;
    let (letter, rest) = rest.split_first()?;
    if !letter.is_ascii_uppercase() || !are_digits(front) {
        return None;
    }
    let (front, rest) = (digits(front)?, digits(rest)?);
    let pair = |at: usize| Some(front.get(at)? * 10 + front.get(at + 1)?);
    let (area, day, month) = (pair(0)?, pair(2)?, pair(4)?);
    // Where a day has no numbers left, 50 is added to it.
    let is_date = matches!(day, 1..=31 | 51..=81) && (1..=12).contains(&month);
    let (check, serial) = rest.split_last()?;
    let all: Vec<u32> = front
        .iter()
        .copied()
        .chain(letter_digits(*letter)?)
        .chain(serial.iter().copied())
        .collect();
    let sum = cross_sums(&all, &[2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]);
    Some(matches!(area, 2..=89) && is_date && sum % 10 == *check)
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, found};

    #[test]
    fn numbers_are_verified() {
        assert_eq!(found(Detector::Rvnr, "RV 15070649C103"), ["15070649C103"]);
        assert_eq!(found(Detector::Rvnr, "15 070649 C 103"), ["15 070649 C 103"]);
        assert!(found(Detector::Rvnr, "15070649C104").is_empty());
        assert!(found(Detector::Rvnr, "15071349C103").is_empty(), "no such month");
    }
}
