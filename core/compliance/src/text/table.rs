//! What is known of characters, looked up instead of worked out: those of the first two planes (all scripts in use, and emoji),
//! worked out in blocks of 256 when one of them first occurs.

use std::sync::OnceLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use super::fold::{is_invisible, plain_char, work_out};

/// Longer looks are not kept, in bytes: three letters of a Korean syllable are.
const LOOK: usize = 9;

/// What is known of one character.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// Whether it belongs to the character before it: a mark, or something invisible.
    pub(super) joins: bool,
    /// Whether it is the same in every view.
    pub(super) verbatim: bool,
    /// What the plain view shows for it; none if it belongs to another, if that is not one character, or if its look is too
    /// long to be kept here.
    pub(super) plain: Option<char>,
    /// Whether its look is short enough to be kept here.
    short: bool,
    length: u8,
    look: [u8; LOOK],
}

impl Known {
    /// What it looks like, if that is known here.
    pub(super) fn look(&self) -> Option<&str> {
        let bytes = self.look.get(..usize::from(self.length)).filter(|_| self.short)?;
        std::str::from_utf8(bytes).ok()
    }

    fn of(character: char) -> Self {
        let joins = is_combining_mark(character) || is_invisible(character);
        let mut known = Self {
            joins,
            ..Self::default()
        };
        let mut look = String::new();
        decompose_compatible(character, |part| work_out(part, &mut look));
        // Few looks are longer; they are worked out each time.
        if let (Ok(length), Some(place)) = (u8::try_from(look.len()), known.look.get_mut(..look.len())) {
            place.copy_from_slice(look.as_bytes());
            known.length = length;
            known.short = true;
            known.plain = composed(character).filter(|_| !joins);
            known.verbatim = known.plain == Some(character) && look.chars().eq([character]);
        }
        known
    }
}

/// The one character that the plain view shows for a character; none if it shows several.
fn composed(character: char) -> Option<char> {
    let mut composed = std::iter::once(plain_char(character)).nfkc();
    composed.next().filter(|_| composed.next().is_none())
}

type Block = Box<[Known]>;

static BLOCKS: [OnceLock<Block>; 512] = [const { OnceLock::new() }; 512];

/// What is known of a character of the first two planes.
pub(super) fn known(character: char) -> Option<&'static Known> {
    let code = u32::from(character);
    let block = BLOCKS.get(usize::try_from(code >> 8).ok()?)?;
    let block = block.get_or_init(|| {
        let first = code & !0xff;
        let characters = (first..first + 0x100).map(char::from_u32);
        characters
            .map(|character| character.map(Known::of).unwrap_or_default())
            .collect()
    });
    block.get(usize::try_from(code & 0xff).ok()?)
}

/// Whether a character belongs to the one before it.
pub(super) fn joins(character: char) -> bool {
    match known(character) {
        Some(known) => known.joins,
        None => is_combining_mark(character) || is_invisible(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_up_and_working_out_are_one() {
        for character in (0..0x2_1000).filter_map(char::from_u32) {
            assert_eq!(
                joins(character),
                is_combining_mark(character) || is_invisible(character)
            );
            if let Some(known) = known(character)
                && let Some(look) = known.look()
            {
                let mut worked_out = String::new();
                decompose_compatible(character, |part| work_out(part, &mut worked_out));
                assert_eq!(look, worked_out);
                assert!(known.plain.is_none_or(|_| !known.joins));
                assert!(!known.verbatim || look.chars().eq(known.plain));
            }
        }
        assert_eq!(known('а').unwrap().look(), Some("a"), "Cyrillic");
        assert_eq!(known('ж').unwrap().look(), Some("ж"));
        assert!(known('ж').unwrap().verbatim);
        assert_eq!(known('ü').unwrap().look(), Some("u"));
        assert_eq!(known('а').unwrap().plain, Some('а'), "the plain view keeps it");
        assert_eq!(known('①').unwrap().plain, Some('1'));
        assert_eq!(known('\u{1d7d9}').unwrap().plain, Some('1'));
        assert_eq!(known('ﬃ').unwrap().plain, None, "three letters");
    }
}
