//! A hash of letters and digits that is worked out for every run of a text by reading the text once.
//!
//! The hash of a text is a polynomial in [`FACTOR`], so that of a run is that of all up to its end without that of all before it.
//! It has no key: it chooses where to look, and what it lets by is proved by keyed hashes.

/// The multiplier, and what spreads its bits: any large odd numbers.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD: u64 = 0xd6e8_feb8_6659_fd93;

/// The hash of a text with one more byte, whose hash was this.
pub(super) const fn append(hash: u64, byte: u8) -> u64 {
    hash.wrapping_mul(FACTOR).wrapping_add(byte as u64)
}

/// The hash of a whole text.
pub(super) fn of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |hash, byte| append(hash, *byte))
}

/// What the hash of a text is multiplied by as so many bytes follow.
pub(super) const fn shift(bytes: usize) -> u64 {
    let (mut power, mut done) = (1_u64, 0);
    while done < bytes {
        power = power.wrapping_mul(FACTOR);
        done += 1;
    }
    power
}

/// The hash of a run: of all up to its end, without all before it, shifted by its length.
pub(super) const fn run(up_to: u64, before: u64, shift: u64) -> u64 {
    up_to.wrapping_sub(before.wrapping_mul(shift))
}

/// The same hash with its bits spread; no two become one.
pub(super) const fn spread(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(SPREAD)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_hash_of_a_run_is_that_of_its_bytes(bytes: Vec<u8>, run_bytes: Vec<u8>) {
            let before = of(&bytes);
            let up_to = run_bytes.iter().fold(before, |hash, byte| append(hash, *byte));
            prop_assert_eq!(run(up_to, before, shift(run_bytes.len())), of(&run_bytes));
        }
    }
}
