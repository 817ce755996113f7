//! Cutting a long text into pieces.

use unicode_segmentation::UnicodeSegmentation;

/// Splits a text into pieces of at most `bytes` bytes (at least 4): at line ends if possible, else after white space, else
/// between graphemes, and between characters only where one grapheme alone is too long. Joined, the pieces are the text,
/// except that one line feed or space at each cut is dropped where there is one.
pub fn split_text(text: &str, bytes: usize) -> Vec<&str> {
    let bytes = bytes.max(4);
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > bytes {
        let (piece, tail) = rest.split_at(cut_at(rest, bytes));
        pieces.push(piece);
        rest = tail.strip_prefix(['\n', ' ']).unwrap_or(tail);
    }
    pieces.push(rest);
    pieces
}

/// The best border at or below `bytes`, which lies within the text; never zero. A separator is behind the border, where it
/// needs no room.
fn cut_at(text: &str, bytes: usize) -> usize {
    let window = text.floor_char_boundary(bytes);
    let (head, tail) = text.split_at(window);
    if tail.starts_with('\n') {
        return window;
    }
    if let Some(at) = head.rfind('\n').filter(|at| *at > 0) {
        return at;
    }
    if tail.starts_with(' ') {
        return window;
    }
    // A space far from the end would waste most of the piece.
    if let Some(at) = head.rfind(' ').filter(|at| *at > 0 && *at >= window / 2) {
        return at;
    }
    let border = text
        .grapheme_indices(true)
        .map(|(at, _)| at)
        .take_while(|at| *at <= window)
        .last();
    border.filter(|at| *at > 0).unwrap_or(window)
}
