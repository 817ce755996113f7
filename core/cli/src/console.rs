//! The terminal: the one place that writes to standard output and error.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::trouble::Trouble;

/// Writes a text and a line end to standard output. A reader that went away is no error.
pub fn say(text: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end_matches('\n'))
        .and_then(|()| out.flush())
        .ok();
}

/// Writes a text and a line end to standard error.
pub fn complain(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Asks for a value on the terminal until one is acceptable.
///
/// # Errors
///
/// If there is no terminal (then `flag` is named as the way to give the value), or it was closed.
pub fn ask(question: &str, flag: &str, wrong: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let missing = || {
        Trouble::error(
            format!("{flag} is missing"),
            "",
            format!("give {flag}; there is no terminal to ask on"),
        )
    };
    if !io::stdin().is_terminal() {
        return Err(missing());
    }
    loop {
        write!(io::stderr().lock(), "{question}: ").ok();
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Err(missing());
        }
        match wrong(line.trim()) {
            None => return Ok(line.trim().to_owned()),
            Some(what) => complain(&what),
        }
    }
}
