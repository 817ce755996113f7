//! Cutting a styled line into pieces that fit into IRC lines.

use unicode_segmentation::UnicodeSegmentation;

use super::mirc::{Run, Style, transition};

/// The smallest useful limit, in bytes: styles and one character always fit.
pub const SMALLEST: usize = 64;

/// Cuts one line into texts of at most `limit` bytes each (at least [`SMALLEST`]): at spaces if it can be, else between
/// graphemes, and only if a single one is too long between characters. Each text carries its own formatting codes.
pub fn split(line: &[Run], limit: usize) -> Vec<String> {
    let mut cutter = Cutter {
        limit: limit.max(SMALLEST),
        out: Vec::new(),
        text: String::new(),
        style: Style::default(),
    };
    for run in line {
        for word in run.text.split_inclusive(' ') {
            if !cutter.add(run.style, word) {
                cutter.flush();
                if !cutter.add(run.style, word) {
                    cutter.pieces(run.style, word);
                }
            }
        }
    }
    cutter.flush();
    cutter.out
}

struct Cutter {
    limit: usize,
    out: Vec<String>,
    text: String,
    style: Style,
}

impl Cutter {
    /// Adds a piece if it fits.
    fn add(&mut self, style: Style, piece: &str) -> bool {
        if style == self.style {
            let fits = self.text.len() + piece.len() <= self.limit;
            if fits {
                self.text.push_str(piece);
            }
            return fits;
        }
        let codes = transition(self.style, style, piece.chars().next());
        let fits = self.text.len() + codes.len() + piece.len() <= self.limit;
        if fits {
            self.text.push_str(&codes);
            self.text.push_str(piece);
            self.style = style;
        }
        fits
    }

    fn flush(&mut self) {
        self.style = Style::default();
        if !self.text.is_empty() {
            self.out.push(std::mem::take(&mut self.text));
        }
    }

    fn pieces(&mut self, style: Style, word: &str) {
        for grapheme in word.graphemes(true) {
            if self.add(style, grapheme) {
                continue;
            }
            self.flush();
            if self.add(style, grapheme) {
                continue;
            }
            let mut buffer = [0; 4];
            for character in grapheme.chars() {
                let character = character.encode_utf8(&mut buffer);
                if !self.add(style, character) {
                    self.flush();
                    self.add(style, character);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::mirc;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_fit_and_nothing_is_lost(
            texts in proptest::collection::vec(("[a-z0-9, äß😀\u{301}]{0,80}", any::<bool>(), any::<bool>()), 0..5),
            limit in SMALLEST..200_usize,
        ) {
            let runs: Vec<Run> = texts
                .into_iter()
                .map(|(text, bold, monospace)| Run { style: Style { bold, monospace, ..Style::default() }, text })
                .collect();
            let pieces = split(&runs, limit);
            let mut back = String::new();
            for piece in &pieces {
                prop_assert!(piece.len() <= limit);
                prop_assert!(!piece.is_empty());
                back.extend(mirc::runs(piece).into_iter().map(|run| run.text));
            }
            let before: String = runs.into_iter().map(|run| run.text).collect();
            prop_assert_eq!(before, back);
        }
    }

    #[test]
    fn cuts_at_spaces_and_never_inside_a_family() {
        let family = "👩‍👩‍👧‍👦";
        let line = [Run::plain(format!("{} {}", "word ".repeat(12), family.repeat(4)))];
        let pieces = split(&line, 64);
        assert!(pieces.iter().all(|piece| piece.len() <= 64));
        assert_eq!(
            pieces.first().unwrap(),
            &"word "
                .repeat(12)
                .as_str()
                .to_owned()
                .chars()
                .chain(" ".chars())
                .collect::<String>()
        );
        assert!(pieces.iter().skip(1).all(|piece| piece.len() % family.len() == 0));
    }
}
