//! Formatting codes from IRC become a tree; the tree becomes lines of bounded length without line breaks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use viaduct_irc::convert::{mirc, render, split};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let document = mirc::parse(&text);
    for line in render::render(&document, &|mention| mention.label.clone()) {
        for piece in split::split(&line, 400) {
            assert!(piece.len() <= 400 && !piece.contains(['\r', '\n', '\0']));
        }
    }
});
