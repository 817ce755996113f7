//! Numbers with right check digits, computed apart from the detectors' own code.

/// A small generator of numbers that look random and are the same in every run.
pub struct Chance(pub u64);

impl Chance {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of a list.
    pub fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }

    /// So many digits.
    pub fn digits(&mut self, count: usize) -> String {
        (0..count)
            .map(|_| char::from_digit(u32::try_from(self.below(10)).unwrap(), 10).unwrap())
            .collect()
    }

    /// So many characters of an alphabet.
    pub fn from(&mut self, alphabet: &str, count: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..count)
            .map(|_| alphabet[usize::try_from(self.below(alphabet.len() as u64)).unwrap()])
            .collect()
    }
}

pub fn value(character: char) -> u32 {
    character.to_digit(36).unwrap()
}

pub fn with_luhn(front: &str) -> String {
    let check = (0..10).find(|check| {
        let all = format!("{front}{check}");
        let sum: u32 = all
            .chars()
            .rev()
            .enumerate()
            .map(|(at, c)| {
                let digit = value(c) * (1 + u32::try_from(at % 2).unwrap());
                digit / 10 + digit % 10
            })
            .sum();
        sum.is_multiple_of(10)
    });
    format!("{front}{}", check.unwrap())
}

pub fn with_11_10(front: &str) -> String {
    let mut p = 10;
    for c in front.chars() {
        let s = (value(c) + p) % 10;
        p = (2 * if s == 0 { 10 } else { s }) % 11;
    }
    format!("{front}{}", (11 - p) % 10)
}

pub fn remainder_97(text: &str) -> u32 {
    text.chars()
        .flat_map(|c| value(c).to_string().chars().collect::<Vec<_>>())
        .fold(0, |rest, c| (rest * 10 + value(c)) % 97)
}

pub fn iban(chance: &mut Chance) -> String {
    let (country, account) = match chance.below(6) {
        0..=2 => ("DE", chance.digits(18)),
        3 => ("AT", chance.digits(16)),
        4 => (
            "NL",
            format!("{}{}", chance.from("ABCDEFGHIKLMNOPRSTUVW", 4), chance.digits(10)),
        ),
        _ => (
            "FR",
            format!(
                "{}{}{}",
                chance.digits(10),
                chance.from("0123456789ABCDEFGHM", 11),
                chance.digits(2)
            ),
        ),
    };
    let check = 98 - remainder_97(&format!("{account}{country}00"));
    grouped(chance, &format!("{country}{check:02}{account}"), 4)
}

pub fn grouped(chance: &mut Chance, text: &str, size: usize) -> String {
    let separator = chance.of(&["", " ", " ", "-"]);
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(size)
        .map(|chunk| chunk.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join(separator)
}

pub fn card(chance: &mut Chance) -> String {
    let front = match chance.below(4) {
        0 => format!("4{}", chance.digits(14)),
        1 => format!("5{}{}", 1 + chance.below(5), chance.digits(13)),
        2 => format!("37{}", chance.digits(12)),
        _ => format!("6011{}", chance.digits(11)),
    };
    let number = with_luhn(&front);
    if number.len() == 15 {
        number
    } else {
        grouped(chance, &number, 4)
    }
}

pub fn steuer_id(chance: &mut Chance) -> String {
    loop {
        let front = chance.digits(10);
        let counts: Vec<usize> = (0..10)
            .map(|digit| front.chars().filter(|c| value(*c) == digit).count())
            .collect();
        let repeated: Vec<&usize> = counts.iter().filter(|count| **count > 1).collect();
        if !front.starts_with('0') && matches!(repeated.as_slice(), [2 | 3]) {
            let number = with_11_10(&front);
            let parts = [number.get(..2), number.get(2..5), number.get(5..8), number.get(8..)];
            return parts.map(Option::unwrap).join(chance.of(&["", " "]));
        }
    }
}

pub fn cross(products: impl Iterator<Item = u32>) -> u32 {
    products.map(|product| product / 10 + product % 10).sum::<u32>() % 10
}

pub fn rvnr(chance: &mut Chance) -> String {
    let area = chance.of(&["02", "12", "15", "25", "38", "53", "65"]);
    let (day, month, year) = (1 + chance.below(28), 1 + chance.below(12), chance.digits(2));
    let (letter, serial) = (chance.from("ABCDEFGHIKLMNOPRSTUVWZ", 1), chance.digits(2));
    let place = value(letter.chars().next().unwrap()) - 9;
    let all = format!("{area}{day:02}{month:02}{year}{place:02}{serial}");
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let check = cross(all.chars().zip(weights).map(|(c, weight)| value(c) * weight));
    let gap = chance.of(&["", " "]);
    format!("{area}{gap}{day:02}{month:02}{year}{gap}{letter}{gap}{serial}{check}")
}

pub fn kvnr(chance: &mut Chance) -> String {
    let (letter, front) = (chance.from("ABCDEFGHIKLMNOPRSTUVWXYZ", 1), chance.digits(8));
    let place = value(letter.chars().next().unwrap()) - 9;
    let all = format!("{place:02}{front}");
    let check = cross(
        all.chars()
            .zip([1, 2].into_iter().cycle())
            .map(|(c, weight)| value(c) * weight),
    );
    format!("{letter}{front}{check}")
}

pub const SERIAL: &str = "0123456789CFGHJKLMNPRTVWXYZ";

pub fn with_icao(front: &str) -> String {
    let sum: u32 = front
        .chars()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(c, weight)| value(c) * weight)
        .sum();
    format!("{front}{}", sum % 10)
}

pub fn identity_card(chance: &mut Chance) -> String {
    let front = format!(
        "{}{}{}",
        chance.from("LMNPRTVWXY", 1),
        chance.from("0123456789", 2),
        chance.from(SERIAL, 6)
    );
    if chance.below(2) == 0 { front } else { with_icao(&front) }
}

pub fn passport(chance: &mut Chance) -> String {
    match chance.below(3) {
        0 => format!("C{}{}", chance.digits(2), chance.from(SERIAL, 6)),
        1 => chance.digits(9),
        _ => format!(
            "{}{}{}",
            chance.digits(2),
            chance.from("ABCDEFGHJK", 2),
            chance.digits(5)
        ),
    }
}

pub fn vat_id(chance: &mut Chance) -> String {
    match chance.below(4) {
        0 | 1 => format!(
            "DE{}",
            with_11_10(&format!("{}{}", 1 + chance.below(9), chance.digits(7)))
        ),
        2 => format!("FR{}", chance.digits(11)),
        _ => format!("NL{}B{}", chance.digits(9), chance.digits(2)),
    }
}

pub const WORD: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

pub fn secret(chance: &mut Chance) -> String {
    match chance.below(8) {
        0 => format!("AKIA{}", chance.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        1 => format!("ghp_{}", chance.from(WORD, 36)),
        2 => format!(
            "xoxb-{}-{}-{}",
            chance.digits(12),
            chance.digits(12),
            chance.from(WORD, 24)
        ),
        3 => format!("glpat-{}", chance.from(WORD, 20)),
        4 => format!(
            "{}: {}7a",
            chance.of(&["Passwort", "password", "Kennwort", "API-Key"]),
            chance.from(WORD, 12)
        ),
        5 => format!(
            "{} {}!9x",
            chance.of(&["das Passwort ist", "the password is", "Passwort lautet"]),
            chance.from(WORD, 9)
        ),
        6 => format!("postgres://app:{}@db.example.org/app", chance.from(WORD, 14)),
        _ => format!(
            "eyJ{}.eyJ{}.{}",
            chance.from(WORD, 20),
            chance.from(WORD, 40),
            chance.from(WORD, 43)
        ),
    }
}

pub fn private_key(chance: &mut Chance) -> String {
    let sort = chance.of(&["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "]);
    format!(
        "-----BEGIN {sort}PRIVATE KEY-----\n{}\n-----END {sort}PRIVATE KEY-----",
        chance.from(WORD, 64)
    )
}

pub fn remainder_is_good(characters: &[char]) -> bool {
    let bare: String = characters.iter().filter(|c| c.is_ascii_alphanumeric()).collect();
    let (head, tail) = bare.split_at(4);
    remainder_97(&format!("{tail}{head}")) == 1
}
