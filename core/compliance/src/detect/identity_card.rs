//! The number of a German identity card.

use std::ops::Range;

use super::checks::icao;
use super::{Cue, Tokens};

/// Letters and digits that such numbers are made of: no vowels, and nothing that is mistaken for another.
pub(super) fn is_serial(characters: &[u8]) -> bool {
    characters
        .iter()
        .all(|byte| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte))
}

/// Near a word for an identity card: nine characters as they are printed on the card, or ten with a right check digit as
/// they stand in its machine-readable lines.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    if !tokens.cues.has(Cue::IdentityCard) {
        return found;
    }
    for first in (0..tokens.atoms.len()).filter(|first| tokens.leads(*first)) {
        let candidate = [11, 10, 9].iter().find_map(|length| {
            let (characters, place) = tokens.gather(first, *length)?;
            is_valid(characters).then_some(place)
        });
        let covered = |place: &Range<usize>| found.last().is_some_and(|last| place.start < last.end);
        if let Some(place) = candidate.filter(|place| !covered(place) && tokens.cues.near(Cue::IdentityCard, place)) {
            found.push(place);
        }
    }
    found
}

fn is_valid(characters: &[u8]) -> bool {
    let digits = characters.iter().filter(|byte| byte.is_ascii_digit()).count();
    match characters {
        // With the check digit and the nationality, as in the machine-readable lines.
        [number @ .., b'D'] if number.len() == 10 => is_serial(number) && icao(number),
        number if number.len() == 10 => is_serial(number) && starts_well(number) && icao(number),
        number if number.len() == 9 => is_serial(number) && starts_well(number) && digits >= 2,
        _ => false,
    }
}

fn starts_well(number: &[u8]) -> bool {
    number.first().is_some_and(|byte| b"LMNPRTVWXY".contains(byte))
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, found};

    #[test]
    fn numbers_are_found_near_their_word() {
        assert_eq!(
            found(Detector::IdentityCard, "Personalausweis L01X00T47"),
            ["L01X00T47"]
        );
        assert_eq!(
            found(Detector::IdentityCard, "Personalausweis L01X00T44"),
            ["L01X00T44"]
        );
        assert_eq!(
            found(Detector::IdentityCard, "identity card no. L01X00T471"),
            ["L01X00T471"]
        );
        assert!(found(Detector::IdentityCard, "identity card no. L01X00T472").is_empty());
        assert!(found(Detector::IdentityCard, "Teil L01X00T471").is_empty());
        assert!(found(Detector::IdentityCard, "Ausweis verloren, komme spaeter").is_empty());
    }
}
