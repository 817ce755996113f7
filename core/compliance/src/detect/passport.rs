//! Passport numbers.

use std::ops::Range;

use super::checks::icao;
use super::identity_card::is_serial;
use super::{Cue, Tokens};

/// Near a word for a passport: the form of a German number (with or without its check digit), or the eight or nine
/// characters, mostly digits, that passports of other countries have.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if !tokens.cues.has(Cue::Passport) {
        return found;
    }
    for (first, atom) in tokens.atoms.iter().enumerate() {
        let Some((characters, place)) = tokens.gather(first, atom.length()) else {
            continue;
        };
        if let Some(distance) = tokens.cues.before(Cue::Passport, place.start, 60)
            && is_valid(characters)
            && !is_telephone(tokens, &place, distance)
        {
            found.push(place);
        }
    }
    found
}

/// Whether a word for a telephone stands nearer before a number, or right behind it.
fn is_telephone(tokens: &Tokens<'_>, place: &Range<usize>, distance: usize) -> bool {
    let before = tokens.cues.before(Cue::Telephone, place.start, distance);
    before.is_some() || tokens.cues.after(Cue::Telephone, place.end, 1).is_some()
}

fn is_valid(characters: &[u8]) -> bool {
    let digits = characters.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_german = |number: &[u8]| is_serial(number) && number.first().is_some_and(|byte| b"CFGHJK".contains(byte));
    match characters.len() {
        10 => is_german(characters) && icao(characters),
        9 => (is_german(characters) && digits >= 2) || digits >= 7 || is_french(characters),
        8 => digits >= 6 && characters.first().is_some_and(u8::is_ascii_alphabetic),
        _ => false,
    }
}

fn is_french(characters: &[u8]) -> bool {
    let shape: Vec<bool> = characters.iter().map(u8::is_ascii_digit).collect();
    shape == [true, true, false, false, true, true, true, true, true]
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, found};

    #[test]
    fn numbers_are_found_near_their_word() {
        assert_eq!(found(Detector::Passport, "Reisepass Nr. C01X00T47"), ["C01X00T47"]);
        assert_eq!(
            found(Detector::Passport, "my passport number is 912803456"),
            ["912803456"]
        );
        assert_eq!(found(Detector::Passport, "passport 12AB34567"), ["12AB34567"]);
        assert!(found(Detector::Passport, "Teil C01X00T47").is_empty());
        assert!(found(Detector::Passport, "the passport office opens in 2026").is_empty());
        assert!(found(Detector::Passport, "passport office, phone 912803456").is_empty());
        assert!(found(Detector::Passport, "wegen Reisepass bitte 912803456 anrufen").is_empty());
    }
}
