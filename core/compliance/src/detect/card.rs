//! Payment card numbers.

use std::ops::Range;

use super::checks::luhn;
use super::tokens::are_even;
use super::{Cue, Tokens, iban};

/// So few digits hardly any card has, and every article in a shop.
const SHORT: usize = 13;

/// At most so many are looked for in one text.
const BOUND: usize = 300;

/// Everything that looks like a card: 13 to 19 digits in even groups, a right check digit and the range of an issuer. Near a
/// word for another sort of number it counts only if a word for a card is nearer, and [`SHORT`] ones only near such a word.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    if tokens.fewer_digits_than(SHORT) {
        return found;
    }
    let short = if tokens.cues.has(Cue::Card) { 0 } else { 1 << SHORT };
    for (first, atom) in tokens.atoms.iter().enumerate() {
        let covered = found.last().is_some_and(|place| atom.start() < place.end);
        let longest = tokens.digits_from(first).min(19);
        if longest < SHORT || covered || tokens.glued_before(atom.start()) {
            continue;
        }
        let issued = tokens.front(first).copied().map_or(0, issued_lengths) & !short;
        let is_card = |digits: &[u8], place: &Range<usize>| {
            luhn(digits) && is_grouped(tokens.groups(first, place)) && is_meant(tokens, place, digits.len())
        };
        let candidate = lengths(issued, longest)
            .filter_map(|length| tokens.gather(first, length))
            .find_map(|(digits, place)| is_card(digits, &place).then_some(place));
        found.extend(candidate.filter(|place| !is_count(tokens, place)));
        if found.len() > BOUND {
            break;
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
fn is_grouped(groups: impl Iterator<Item = usize> + Clone) -> bool {
    groups.clone().eq([4, 6, 5]) || groups.clone().eq([4, 6, 4]) || are_even(groups)
}

/// Whether the groups only count on: rooms, accounts, serial numbers in a row.
fn is_count(tokens: &Tokens<'_>, place: &Range<usize>) -> bool {
    let text = tokens.text.get(place.clone()).unwrap_or_default();
    let groups = text.split(|character: char| !character.is_ascii_digit());
    let numbers: Vec<i64> = groups.filter_map(|group| group.parse().ok()).collect();
    let mut steps = numbers.windows(2).map(|pair| match pair {
        [one, next] => next - one,
        _ => 0,
    });
    // Single digits may do so by chance.
    let first = steps.next().filter(|step| *step != 0);
    numbers.len() > 2
        && numbers.iter().all(|number| *number >= 100)
        && first.is_some_and(|first| steps.all(|step| step == first))
}

fn is_meant(tokens: &Tokens<'_>, place: &Range<usize>, length: usize) -> bool {
    let card = tokens.cues.before(Cue::Card, place.start, 40);
    match tokens.cues.before(Cue::OtherNumber, place.start, 40) {
        None => length > SHORT || card.is_some(),
        Some(other) => card.is_some_and(|card| card < other),
    }
}

/// The lengths of which there is a bit, from the longest that is possible downwards.
fn lengths(mut bits: u32, longest: usize) -> impl Iterator<Item = usize> {
    bits &= (2 << longest) - 1;
    std::iter::from_fn(move || {
        let length = bits.checked_ilog2()?;
        bits ^= 1 << length;
        Some(length as usize)
    })
}

/// How many digits the cards have of the issuers whose numbers begin with these: a bit for each length.
fn issued_lengths(front: [u8; 6]) -> u32 {
    // No issuer's numbers begin otherwise.
    if !matches!(front.first(), Some(b'2'..=b'6')) {
        return 0;
    }
    let [one, two, three, four, five, six] = front.map(|digit| u32::from(digit.wrapping_sub(b'0')));
    let two = one * 10 + two;
    let three = two * 10 + three;
    let four = three * 10 + four;
    let six = (four * 10 + five) * 10 + six;
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
            "4026991023749",
            "4412 4413 4414 4415",
        ] {
            assert_eq!(found(Detector::Card, other), Vec::<String>::new(), "{other}");
        }
        for text in ["Bestellung 12, Kreditkarte 4111111111111111", "visa 4026991023749"] {
            assert_eq!(found(Detector::Card, text).len(), 1, "{text}");
        }
    }
}
