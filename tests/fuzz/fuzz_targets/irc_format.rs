//! Formatting codes from IRC become a tree; the tree becomes lines of bounded length without line breaks that lose no letter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use viaduct_irc::convert::{mirc, render, split};

const ROOM: usize = 400;

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

fuzz_target!(|data: &[u8]| {
    let document = mirc::parse(&String::from_utf8_lossy(data));
    let mut shown = String::new();
    for line in render::render(&document, &|mention| mention.label.clone()) {
        for piece in split::split(&line, ROOM) {
            assert!(piece.len() <= ROOM && !piece.contains(['\r', '\n', '\0']));
            shown.extend(mirc::runs(&piece).into_iter().map(|run| run.text));
        }
    }
    assert_eq!(letters(&shown), letters(&document.to_plain()));
});
