//! The German tax identification number.

use std::ops::Range;

use super::Tokens;
use super::checks::mod_11_10;
use super::tokens::are_even;

/// Eleven digits, the first not zero; among the first ten exactly one digit occurs twice or three times and every other at
/// most once; the last is the check digit. One in 270 random numbers of this length passes.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    if tokens.fewer_digits_than(11) {
        return found;
    }
    for (first, atom) in tokens.atoms.iter().enumerate() {
        let covered = found.last().is_some_and(|place| atom.start() < place.end);
        if tokens.digits_from(first) < 11 || covered || tokens.glued_before(atom.start()) {
            continue;
        }
        if let Some((digits, place)) = tokens.gather(first, 11)
            && is_valid(digits)
            && is_grouped(tokens.groups(first, &place))
            && !is_telephone(tokens.text, place.start)
        {
            found.push(place);
        }
    }
    found
}

/// Whether the groups are even, or those in which the tax office writes the number.
fn is_grouped(groups: impl Iterator<Item = usize> + Clone) -> bool {
    groups.clone().eq([2, 3, 3, 3]) || are_even(groups)
}

fn is_telephone(text: &str, start: usize) -> bool {
    text.get(..start).is_some_and(|before| before.ends_with('+'))
}

fn is_valid(digits: &[u8]) -> bool {
    // Which digits occurred once, twice and three times, a bit for each.
    let (mut once, mut twice, mut thrice) = (0_u16, 0_u16, 0_u16);
    for digit in digits.iter().take(10) {
        let bit = 1 << (digit.wrapping_sub(b'0') & 15);
        if thrice & bit != 0 {
            return false;
        }
        thrice |= twice & bit;
        twice |= once & bit;
        // A second digit is repeated.
        if twice & twice.wrapping_sub(1) != 0 {
            return false;
        }
        once |= bit;
    }
    digits.first() != Some(&b'0') && twice.is_power_of_two() && mod_11_10(digits)
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, found};

    #[test]
    fn numbers_are_verified() {
        assert_eq!(found(Detector::SteuerId, "meine IdNr. 86095742719."), ["86095742719"]);
        assert_eq!(found(Detector::SteuerId, "86 095 742 719"), ["86 095 742 719"]);
        assert!(found(Detector::SteuerId, "86095742718").is_empty());
        assert!(
            found(Detector::SteuerId, "12345678903").is_empty(),
            "no digit is repeated"
        );
        assert!(found(Detector::SteuerId, "860957427190").is_empty());
    }
}
