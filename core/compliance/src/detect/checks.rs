//! Check digits.

/// The values of a run of digits; none if there is anything else.
pub(super) fn digits(bytes: &[u8]) -> Option<Vec<u32>> {
    bytes.iter().map(|byte| char::from(*byte).to_digit(10)).collect()
}

/// Whether there are only digits.
pub(super) fn are_digits(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit)
}

fn value(digit: u8) -> u32 {
    u32::from(digit.wrapping_sub(b'0'))
}

/// The Luhn formula over all digits, the last of which is the check digit.
pub(super) fn luhn(digits: &[u8]) -> bool {
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let mut sum = 0;
    let mut doubled = false;
    for digit in digits.iter().rev() {
        let value = value(*digit);
        sum += if doubled {
            DOUBLED.get(value as usize).copied().unwrap_or_default()
        } else {
            value
        };
        doubled = !doubled;
    }
    sum.is_multiple_of(10)
}

/// ISO 7064, MOD 11,10, over all digits, the last of which is the check digit.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, rest)) = digits.split_last() else {
        return false;
    };
    let product = rest.iter().fold(10, |product, digit| {
        let sum = (value(*digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == value(*check)
}

/// ISO 7064, MOD 97,10, over letters and digits, as an IBAN uses it: the first four characters count last.
pub(super) fn mod_97(characters: &[u8]) -> bool {
    let Some((head, tail)) = characters.split_at_checked(4) else {
        return false;
    };
    let mut rest = 0_u32;
    for byte in tail.iter().chain(head) {
        match char::from(*byte).to_digit(36) {
            Some(value @ 0..=9) => rest = (rest * 10 + value) % 97,
            Some(value) => rest = (rest * 100 + value) % 97,
            None => return false,
        }
    }
    rest == 1
}

/// The check digit of ICAO 9303 (weights 7, 3, 1; letters count from 10) over all characters but the last, which it is.
pub(super) fn icao(characters: &[u8]) -> bool {
    let Some((check, rest)) = characters.split_last() else {
        return false;
    };
    let sum: Option<u32> = rest
        .iter()
        .zip([7, 3, 1].iter().cycle())
        .map(|(byte, weight)| char::from(*byte).to_digit(36).map(|value| value * weight))
        .sum();
    sum.map(|sum| sum % 10) == char::from(*check).to_digit(10)
}

/// The check digit of German social insurance numbers: a letter counts as its two-digit place in the alphabet, products are
/// replaced by their cross-sums.
pub(super) fn cross_sums(digits: &[u32], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .map(|product| product / 10 + product % 10)
        .sum()
}

/// The two digits of a letter's place in the alphabet.
pub(super) fn letter_digits(letter: u8) -> Option<[u32; 2]> {
    let place = char::from(letter)
        .to_digit(36)?
        .checked_sub(9)
        .filter(|place| *place >= 1)?;
    Some([place / 10, place % 10])
}
