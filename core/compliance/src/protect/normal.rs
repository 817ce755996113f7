//! A folded text without what separates its letters and digits, and where its atoms are.

use super::rolling;

/// At most so many bytes may stand between two atoms of one value.
const GAP: usize = 4;
/// From this character on scripts are written without spaces: each character is an atom.
const SIGNS: char = '\u{2e80}';

/// The letters and digits of a folded text, in small letters.
#[derive(Debug, Default)]
pub(crate) struct Normal {
    pub(crate) bytes: Vec<u8>,
    pub(crate) atoms: Vec<Atom>,
    /// The rolling hash of all bytes.
    hash: u64,
}

/// A run of letters, or of digits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Atom {
    /// Where it begins in [`Normal::bytes`].
    pub(crate) at: usize,
    /// The rolling hash of all bytes before it.
    pub(crate) before: u64,
    /// Where it begins and ends in the text.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether a value may go on with the next one.
    pub(crate) joined: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Sign,
}

impl Class {
    fn of(character: char) -> Option<Self> {
        match character {
            'a'..='z' | 'A'..='Z' => Some(Self::Letter),
            '0'..='9' => Some(Self::Digit),
            _ if character.is_ascii() || !character.is_alphanumeric() => None,
            SIGNS.. => Some(Self::Sign),
            _ => Some(Self::Letter),
        }
    }
}

impl Normal {
    /// Normalises a text that is folded already.
    pub(crate) fn of(folded: &str) -> Self {
        let mut normal = Self {
            bytes: Vec::with_capacity(folded.len()),
            atoms: Vec::with_capacity(folded.len() / 5),
            hash: 0,
        };
        let mut before = None;
        for (start, character) in folded.char_indices() {
            let class = Class::of(character);
            if class.is_some() {
                if class != before || class == Some(Class::Sign) {
                    normal.begin(start);
                }
                normal.push(character, start);
            }
            before = class;
        }
        normal
    }

    fn begin(&mut self, start: usize) {
        if let Some(last) = self.atoms.last_mut() {
            last.joined = start - last.end <= GAP;
        }
        self.atoms.push(Atom {
            at: self.bytes.len(),
            before: self.hash,
            start,
            end: start,
            joined: false,
        });
    }

    fn push(&mut self, character: char, start: usize) {
        if character.is_ascii() {
            self.push_byte(character.to_ascii_lowercase() as u8);
        } else {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).bytes();
            bytes.for_each(|byte| self.push_byte(byte));
        }
        if let Some(last) = self.atoms.last_mut() {
            last.end = start + character.len_utf8();
        }
    }

    fn push_byte(&mut self, byte: u8) {
        self.hash = rolling::append(self.hash, byte);
        self.bytes.push(byte);
    }

    /// Where the atom of this number ends in [`Normal::bytes`], and the rolling hash of all bytes up to there.
    pub(crate) fn end_of(&self, atom: usize) -> (usize, u64) {
        let next = self.atoms.get(atom + 1);
        next.map_or((self.bytes.len(), self.hash), |next| (next.at, next.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atoms(text: &str) -> Vec<String> {
        let normal = Normal::of(text);
        (0..normal.atoms.len())
            .map(|number| {
                let atom = normal.atoms[number];
                let bytes = &normal.bytes[atom.at..normal.end_of(number).0];
                let mark = if atom.joined { "+" } else { "" };
                format!("{}{mark}", std::str::from_utf8(bytes).unwrap())
            })
            .collect()
    }

    #[test]
    fn letters_digits_and_signs_are_apart() {
        assert_eq!(atoms("KD-4711/08x"), ["kd+", "4711+", "08+", "x"]);
        assert_eq!(atoms("a     b"), ["a", "b"], "too far apart");
        assert_eq!(atoms("北京x"), ["北+", "京+", "x"]);
        assert_eq!(atoms(" .,"), Vec::<String>::new());
    }
}
