//! Private keys.

use std::ops::Range;

use super::{Cue, Tokens};

/// The first lines of private keys in their usual forms, up to the end of the key if it is there.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (start, end, _) in tokens.cues.of(|cue| cue == Cue::PrivateKey) {
        if found.last().is_some_and(|place| start < place.end) {
            continue;
        }
        let Some((head, tail)) = tokens.text.split_at_checked(end) else {
            continue;
        };
        let length = if head.ends_with("-----BEGIN") || head.to_ascii_lowercase().ends_with("-----begin") {
            pem(tail)
        } else {
            Some(tail.find(char::is_whitespace).unwrap_or(tail.len()))
        };
        found.extend(length.map(|length| start..end + length));
    }
    found
}

/// How far a key goes on after its `-----BEGIN`; none if it is not a private one.
fn pem(tail: &str) -> Option<usize> {
    let line = tail.find('\n').unwrap_or(tail.len()).min(80);
    let title = tail.get(..line)?.to_ascii_uppercase();
    if !title.contains("PRIVATE KEY") {
        return None;
    }
    let closing = tail.find("-----END").and_then(|at| {
        let rest = tail.get(at + 8..)?;
        Some(at + 8 + rest.find("-----")? + 5)
    });
    Some(closing.unwrap_or(tail.len()))
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, found};

    #[test]
    fn keys_are_found_whole() {
        for sort in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
            let key = format!("-----BEGIN {sort}PRIVATE KEY-----\nMIIEvQ==\n-----END {sort}PRIVATE KEY-----");
            assert_eq!(found(Detector::PrivateKey, &format!("hier:\n{key}\nbitte")), [key]);
        }
        assert_eq!(
            found(Detector::PrivateKey, "-----BEGIN PRIVATE KEY-----\nMII").len(),
            1,
            "an unfinished key"
        );
        assert!(found(Detector::PrivateKey, "-----BEGIN CERTIFICATE-----\nMII").is_empty());
        assert!(found(Detector::PrivateKey, "-----BEGIN PUBLIC KEY-----\nMII").is_empty());
    }
}
