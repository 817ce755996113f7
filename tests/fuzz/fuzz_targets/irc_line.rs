//! A line from an IRC server: read, and if it is a message, written as exactly one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use viaduct_irc::client::line;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Some(message) = line::parse(&text) {
        let written = line::write(&message);
        let body = written.strip_suffix(b"\r\n").expect("a line end");
        assert!(!body.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')), "one line only");
    }
});
