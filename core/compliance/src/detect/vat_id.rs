//! VAT identification numbers of the European Union.

use std::ops::Range;

use super::checks::{are_digits, digits, mod_11_10};
use super::{Cue, Tokens};

/// Countries whose numbers are plain digits after the country code, and how many they may have.
const DIGITS: &[(&[u8; 2], &[usize])] = &[
    (b"BE", &[10]),
    (b"BG", &[9, 10]),
    (b"CZ", &[8, 9, 10]),
    (b"DK", &[8]),
    (b"EE", &[9]),
    (b"EL", &[9]),
    (b"FI", &[8]),
    (b"FR", &[11]),
    (b"HR", &[11]),
    (b"HU", &[8]),
    (b"IT", &[11]),
    (b"LT", &[9, 12]),
    (b"LU", &[8]),
    (b"LV", &[11]),
    (b"MT", &[8]),
    (b"PL", &[10]),
    (b"PT", &[9]),
    (b"RO", &[8, 9, 10]),
    (b"SE", &[12]),
    (b"SI", &[8]),
    (b"SK", &[10]),
];

/// German numbers with their check digit, and Austrian ones with theirs, anywhere; those of other countries near a word for
/// value added tax.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    if tokens.fewer_digits_than(7) {
        return found;
    }
    for (first, atom) in tokens.atoms.iter().enumerate() {
        let begins = atom.length() >= 2
            && tokens
                .front(first)
                .is_some_and(|head: &[u8; 2]| head.iter().all(u8::is_ascii_uppercase));
        let covered = found.last().is_some_and(|place| atom.start() < place.end);
        if !begins || covered || !tokens.leads(first) || tokens.glued_before(atom.start()) {
            continue;
        }
        let candidate = (10..=14).rev().find_map(|length| {
            let (characters, place) = tokens.gather(first, length)?;
            is_valid(tokens, characters, &place).unwrap_or(false).then_some(place)
        });
        found.extend(candidate);
    }
    found
}

fn is_valid(tokens: &Tokens<'_>, characters: &[u8], place: &Range<usize>) -> Option<bool> {
    let (country, rest) = characters.split_first_chunk::<2>()?;
    let near = || tokens.cues.near(Cue::Vat, place);
    Some(match country {
        b"DE" => rest.len() == 9 && rest.first() != Some(&b'0') && are_digits(rest) && mod_11_10(rest),
        b"AT" => austrian(rest)?,
        b"NL" => rest.len() == 12 && rest.get(9) == Some(&b'B') && near(),
        b"ES" | b"CY" => rest.len() == 9 && rest.iter().filter(|byte| byte.is_ascii_digit()).count() >= 7 && near(),
        b"IE" => matches!(rest.len(), 8 | 9) && rest.iter().filter(|byte| byte.is_ascii_digit()).count() >= 6 && near(),
        _ => {
            let (_, lengths) = DIGITS.iter().find(|(code, _)| *code == country)?;
            lengths.contains(&rest.len()) && are_digits(rest) && near()
        }
    })
}

fn austrian(rest: &[u8]) -> Option<bool> {
    let number = digits(rest.strip_prefix(b"U").filter(|number| number.len() == 8)?)?;
    let (check, front) = number.split_last()?;
    let sum: u32 = front
        .iter()
        .zip([1, 2, 1, 2, 1, 2, 1])
        .map(|(digit, weight)| digit * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    Some((96 - sum % 10) % 10 == *check)
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, found};

    #[test]
    fn numbers_are_verified() {
        assert_eq!(found(Detector::VatId, "USt-IdNr. DE136695976"), ["DE136695976"]);
        assert_eq!(found(Detector::VatId, "DE 136 695 976"), ["DE 136 695 976"]);
        assert_eq!(found(Detector::VatId, "ATU10223006"), ["ATU10223006"]);
        assert_eq!(found(Detector::VatId, "VAT number: NL123456789B01"), ["NL123456789B01"]);
        assert!(found(Detector::VatId, "DE136695977").is_empty());
        assert!(found(Detector::VatId, "part PL1234567890").is_empty());
    }
}
