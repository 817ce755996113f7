//! International bank account numbers.

use std::ops::Range;

use super::Tokens;
use super::checks::mod_97;

/// The countries of the registry and how many characters their numbers have.
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Every number with the length of its country and the right check digits, in whatever groups.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    if tokens.fewer_digits_than(10) {
        return found;
    }
    for (first, atom) in tokens.atoms.iter().enumerate() {
        let covered = found.last().is_some_and(|place| atom.start() < place.end);
        let Some(length) = length(tokens, first).filter(|_| !covered) else {
            continue;
        };
        if let Some((_, place)) = tokens
            .gather(first, length)
            .filter(|(characters, _)| mod_97(characters))
        {
            found.push(place);
        }
    }
    found
}

/// How many characters a number that begins with this atom must have; none if none can begin there.
fn length(tokens: &Tokens<'_>, first: usize) -> Option<usize> {
    // The country and the check digits may be an atom, the beginning of one, or several.
    let [one, two, check @ ..] = tokens.front::<4>(first)?;
    if !one.is_ascii_uppercase() || !check.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let place = LENGTHS
        .binary_search_by(|(country, _)| country.as_slice().cmp(&[*one, *two]))
        .ok()?;
    LENGTHS.get(place).map(|(_, length)| *length)
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, found};

    #[test]
    fn countries_are_in_order() {
        assert!(super::LENGTHS.is_sorted());
    }

    #[test]
    fn ibans_are_found() {
        for iban in [
            "DE89370400440532013000",
            "DE89 3704 0044 0532 0130 00",
            "de89370400440532013000",
            "GB29 NWBK 6016 1331 9268 19",
            "NO93 8601 1117 947",
            "FR14 2004 1010 0505 0001 3M02 606",
            "DE 89 3704 0044 0532 0130 00",
            "DE89-3704-0044-0532-0130-00",
            "AT61 1904 3002 3457 3201",
            "CH93 0076 2011 6238 5295 7",
        ] {
            assert_eq!(found(Detector::Iban, &format!("Bitte auf {iban} überweisen")), [iban]);
        }
    }

    #[test]
    fn others_are_not() {
        for other in [
            "DE88370400440532013000",
            "DE8937040044053201300",
            "XX89370400440532013000",
            "DE89",
            "the 4 of 12",
        ] {
            assert_eq!(found(Detector::Iban, other), Vec::<String>::new(), "{other}");
        }
    }
}
