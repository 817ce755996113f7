//! Payment card numbers.

use std::ops::Range;

use super::checks::luhn;
use super::tokens::are_even;
use super::{Cue, Tokens, iban};

/// At most so many are looked for in one text.
const BOUND: usize = 300;

/// Everything that looks like a card: 13 to 19 digits in even groups, a right check digit and the range of an issuer. Near a
/// word for another sort of number it counts only if a word for a card is nearer.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    if tokens.fewer_digits_than(13) {
        return found;
    }
    for (first, atom) in tokens.atoms.iter().enumerate() {
        let covered = found.last().is_some_and(|place| atom.start < place.end);
        // No issuer's numbers begin otherwise.
        let begins = tokens
            .front(first)
            .is_some_and(|[digit]: &[u8; 1]| matches!(digit, b'2'..=b'6'));
        if !begins || tokens.digits_from(first) < 13 || covered || tokens.glued_before(atom.start) {
            continue;
        }
        let longest = tokens.digits_from(first).min(19);
        let issued = tokens.front(first).copied().map_or(0, issued_lengths);
        let lengths = (13..=longest).rev().filter(|length| issued & (1 << length) != 0);
        let candidate = lengths
            .filter_map(|length| tokens.gather(first, length))
            .find_map(|(digits, place)| (luhn(digits) && is_grouped(&tokens.groups(first, &place))).then_some(place));
        if let Some(place) = candidate.filter(|place| is_meant(tokens, place)) {
            found.push(place);
            if found.len() > BOUND {
                break;
            }
        }
    }
    if !found.is_empty() {
        // What is part of an account number is not a card.
        let accounts = iban::find(tokens);
        found.retain(|place| {
            !accounts
                .iter()
                .any(|account| place.start < account.end && account.start < place.end)
        });
    }
    found
}

/// Whether the groups are even, or those of a card with 15 or 14 digits.
fn is_grouped(groups: &[usize]) -> bool {
    matches!(groups, [4, 6, 4 | 5]) || are_even(groups)
}

fn is_meant(tokens: &Tokens<'_>, place: &Range<usize>) -> bool {
    match tokens.cues.before(Cue::OtherNumber, place.start, 40) {
        None => true,
        Some(other) => tokens
            .cues
            .before(Cue::Card, place.start, 40)
            .is_some_and(|card| card < other),
    }
}

/// How many digits the cards have of the issuers whose numbers begin with these: a bit for each length.
fn issued_lengths(front: [u8; 6]) -> u32 {
    let prefix = |length: usize| {
        let digits = front.iter().take(length);
        digits.fold(0, |number, digit| number * 10 + u32::from(digit.wrapping_sub(b'0')))
    };
    let (two, three, four, six) = (prefix(2), prefix(3), prefix(4), prefix(6));
    let long = 1 << 17 | 1 << 18 | 1 << 19;
    let maestro = matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761 | 6762 | 6763);
    let sixteen = (51..=55).contains(&two)
        || (2221..=2720).contains(&four)
        || (2200..=2204).contains(&four)
        || (3528..=3589).contains(&four)
        || four == 6011
        || (644..=659).contains(&three)
        || (622_126..=622_925).contains(&six);
    let mut lengths = 0;
    let mut add = |is: bool, more: u32| lengths |= if is { more } else { 0 };
    add((40..50).contains(&two), 1 << 13 | 1 << 16 | 1 << 19);
    add((300..=305).contains(&three) || matches!(two, 36 | 38 | 39), 1 << 14);
    add(matches!(two, 34 | 37), 1 << 15);
    add(sixteen, 1 << 16);
    add(two == 62, long);
    add(maestro, 1 << 16 | long);
    lengths
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, found};

    #[test]
    fn cards_are_found() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "5555 5555 5555 4444",
            "3782 822463 10005",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
            "2223003122003222",
        ] {
            assert_eq!(found(Detector::Card, &format!("Karte: {card}, danke")), [card]);
        }
    }

    #[test]
    fn others_are_not() {
        for other in [
            "4111111111111112",
            "41111111111111111111111",
            "1234567812345670",
            "Bestellung 4111111111111111",
            "+49 170 1234567",
            "2024-01-31 12:30:59.123456",
            "x_4111111111111111",
        ] {
            assert_eq!(found(Detector::Card, other), Vec::<String>::new(), "{other}");
        }
        assert_eq!(
            found(Detector::Card, "Bestellung 12, Kreditkarte 4111111111111111").len(),
            1
        );
    }
}
