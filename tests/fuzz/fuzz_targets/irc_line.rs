//! A line from an IRC server: read, and if it is a message, written as exactly one line that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use viaduct_irc::client::line::{self, Fields};

fuzz_target!(|data: &[u8]| {
    // What comes from a server was cut at its line ends before.
    let line = data
        .split(|byte| matches!(byte, 0 | b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    if let Some(message) = line::parse(&String::from_utf8_lossy(line)) {
        let written = line::write(&message);
        let body = written.strip_suffix(b"\r\n").expect("a line end");
        assert!(
            !body.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')),
            "one line only"
        );
        let back = line::parse(std::str::from_utf8(body).expect("text")).expect("a message");
        assert_eq!(back.name(), message.name());
        assert_eq!(back.parameters().len(), message.parameters().len());
    }
});
