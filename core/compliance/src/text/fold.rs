//! What a character looks like.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::confusable_detection::skeleton;

use super::table::{Known, known};

/// The code points of the digit zero in the scripts of the basic plane; nine more digits follow each.
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
];

/// Letters and digits in circles, squares and flags that have no decomposition: first code point, how many, and what the first
/// looks like.
const ENCLOSED: &[(u32, u32, char)] = &[
    (0x24f5, 9, '1'),
    (0x24ff, 1, '0'),
    (0x2776, 9, '1'),
    (0x2780, 9, '1'),
    (0x278a, 9, '1'),
    (0x1f10b, 1, '0'),
    (0x1f10c, 1, '0'),
    (0x1f150, 26, 'A'),
    (0x1f170, 26, 'A'),
    (0x1f1e6, 26, 'A'),
];

/// The text as the folded view shows it.
pub(crate) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().filter(|character| !is_invisible(*character)).nfkd() {
        fold_char(character, &mut out);
    }
    out
}

/// Appends what a decomposed character looks like.
pub(super) fn fold_char(character: char, out: &mut String) {
    if let '\n' | ' '..='~' = character {
        out.push(character);
        return;
    }
    match known(character).and_then(Known::look) {
        Some(look) => out.push_str(look),
        None => work_out(character, out),
    }
}

/// Appends what a decomposed character looks like, without looking it up.
pub(super) fn work_out(character: char, out: &mut String) {
    match character {
        '\n' | ' '..='~' => out.push(character),
        'ß' => out.push_str("ss"),
        'ẞ' => out.push_str("SS"),
        'ø' => out.push('o'),
        'Ø' => out.push('O'),
        'đ' => out.push('d'),
        'Đ' => out.push('D'),
        'ł' => out.push('l'),
        'Ł' => out.push('L'),
        'æ' => out.push_str("ae"),
        'Æ' => out.push_str("AE"),
        'œ' => out.push_str("oe"),
        'Œ' => out.push_str("OE"),
        'ı' => out.push('i'),
        // Small letters that look like small capitals, which readers take for Latin ones.
        'к' | 'κ' | 'ĸ' | 'ᴋ' => out.push('k'),
        'м' | 'ᴍ' => out.push('m'),
        'т' | 'τ' | 'ᴛ' => out.push('t'),
        'н' | 'ʜ' => out.push('h'),
        'в' | 'ʙ' => out.push('b'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{2043}' | '\u{30fb}' | '\u{b7}' | '\u{2022}' => {
            out.push('-');
        }
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{b4}' => out.push('\''),
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{ab}' | '\u{bb}' => out.push('"'),
        '\u{2044}' | '\u{2215}' => out.push('/'),
        '\u{2028}' | '\u{2029}' | '\u{85}' => out.push('\n'),
        _ if character.is_whitespace() => out.push(' '),
        _ if is_invisible(character) || is_combining_mark(character) => {}
        _ => match digit(character).or_else(|| enclosed(character)) {
            Some(plain) => out.push(plain),
            None if character.is_alphabetic() => out.push_str(&look(character)),
            None => out.push(character),
        },
    }
}

/// The character as the plain view shows it.
pub(super) fn plain_char(character: char) -> char {
    if character.is_whitespace() && character != '\n' {
        ' '
    } else {
        character
    }
}

fn digit(character: char) -> Option<char> {
    let code = u32::from(character);
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

fn enclosed(character: char) -> Option<char> {
    let code = u32::from(character);
    let (first, _, plain) = ENCLOSED
        .iter()
        .find(|(first, count, _)| (*first..first + count).contains(&code))?;
    char::from_u32(u32::from(*plain) + code - first)
}

/// The Latin letters that a letter is mistaken for, or else the letter in lower case.
fn look(letter: char) -> String {
    let mut buffer = [0; 4];
    let look: String = skeleton(letter.encode_utf8(&mut buffer))
        .filter(|c| !is_combining_mark(*c))
        .collect();
    match look.as_str() {
        // The standard's prototype of everything that is one vertical stroke is a small l.
        "l" if letter.is_uppercase() => "I".to_owned(),
        _ if !look.is_empty() && look.len() <= 2 && look.bytes().all(|byte| byte.is_ascii_alphanumeric()) => look,
        _ => letter.to_lowercase().collect(),
    }
}

/// Whether a reader does not see the character at all: controls, zero-width and direction characters, fillers, tags.
pub(super) fn is_invisible(character: char) -> bool {
    match character {
        '\n' | '\t' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' => character == '\r',
        _ if character.is_ascii() => character.is_ascii_control(),
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}
