//! Access keys, tokens and passwords.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Cue, Tokens};

/// Beginnings of keys that services give out, and what follows them. The beginning is found by the automaton of the scan, so
/// that a pattern is only ever tried where it can match.
const KEYS: &[(&str, &str)] = &[
    ("akia", r"^A(?:KIA|SIA)[0-9A-Z]{16}\b"),
    ("asia", r"^A(?:KIA|SIA)[0-9A-Z]{16}\b"),
    ("ghp_", r"^ghp_[0-9A-Za-z]{36,}"),
    ("gho_", r"^gho_[0-9A-Za-z]{36,}"),
    ("ghs_", r"^ghs_[0-9A-Za-z]{36,}"),
    ("ghu_", r"^ghu_[0-9A-Za-z]{36,}"),
    ("ghr_", r"^ghr_[0-9A-Za-z]{36,}"),
    ("github_pat_", r"^github_pat_[0-9A-Za-z_]{22,}"),
    ("glpat-", r"^glpat-[0-9A-Za-z_-]{20,}"),
    ("xoxb-", r"^xoxb-[0-9A-Za-z-]{20,}"),
    ("xoxp-", r"^xoxp-[0-9A-Za-z-]{20,}"),
    ("xoxa-", r"^xoxa-[0-9A-Za-z-]{20,}"),
    ("xoxs-", r"^xoxs-[0-9A-Za-z-]{20,}"),
    ("xoxe", r"^xoxe[.-][0-9A-Za-z.-]{20,}"),
    ("xapp-", r"^xapp-[0-9]-[0-9A-Za-z-]{20,}"),
    (
        "hooks.slack.com/services/",
        r"^hooks\.slack\.com/services/[0-9A-Za-z/]{30,}",
    ),
    ("sk_live_", r"^sk_live_[0-9A-Za-z]{16,}"),
    ("rk_live_", r"^rk_live_[0-9A-Za-z]{16,}"),
    ("whsec_", r"^whsec_[0-9A-Za-z+/=]{24,}"),
    ("aiza", r"^AIza[0-9A-Za-z_-]{35}"),
    ("sk-proj-", r"^sk-proj-[0-9A-Za-z_-]{20,}"),
    ("sk-ant-", r"^sk-ant-[0-9A-Za-z_-]{20,}"),
    ("npm_", r"^npm_[0-9A-Za-z]{36}"),
    ("pypi-ageii", r"^pypi-AgEI[0-9A-Za-z_-]{40,}"),
    ("sg.", r"^SG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}"),
    ("dckr_pat_", r"^dckr_pat_[0-9A-Za-z_-]{20,}"),
    ("hvs.", r"^hvs\.[0-9A-Za-z_-]{24,}"),
    ("syt_", r"^syt_[0-9A-Za-z]+_[0-9A-Za-z]{16,}_[0-9A-Za-z]{6}"),
    (
        "ey",
        r"^eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}",
    ),
    ("accountkey=", r"^(?i:AccountKey)=[0-9A-Za-z+/=]{40,}"),
    ("://", r"^://[^\s/:@]{1,64}:[^\s/:@]{4,128}@[^\s/]+"),
];

/// The automaton's words for [`KEYS`].
pub(crate) fn key_words() -> impl Iterator<Item = (Cue, &'static str)> {
    KEYS.iter()
        .enumerate()
        .map(|(number, (word, _))| (Cue::Key(number), *word))
}

static PATTERNS: LazyLock<HashMap<usize, Regex>> = LazyLock::new(|| {
    KEYS.iter()
        .enumerate()
        .filter_map(|(number, (_, pattern))| Some((number, Regex::new(pattern).ok()?)))
        .collect()
});

/// After a word for a password: the value that is said to be it.
static VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"^([0-9A-Za-z_-]{0,24})["')\]]{0,2}[ \n]{0,2}(?:(?:for|fur|zum|zur|von|of) [^\n:=]{1,40})?"#,
        r#"(?:(?:is|ist|lautet|war|was|now|jetzt|neu|new)[ \n:]+|[:=]+>?[ \n]*|-> ?)["'`(\[]?([^\s"'`)\]]{8,200})"#
    ))
    .ok()
});

/// What a setting ends with that is about a secret and does not hold it.
const NOT_THE_SECRET: &[&str] = &[
    "name", "names", "ref", "file", "path", "type", "url", "uri", "id", "count", "length", "policy", "limit",
    "manager", "store",
];

/// Bytes of a text after a cue that are looked at.
const WINDOW: usize = 1024;

/// At most so many are looked for in one text.
const BOUND: usize = 300;

/// Keys by the forms that services give them, and what is said to be a password and is as irregular as one.
pub(super) fn find(tokens: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (start, end, cue) in tokens.cues.of(|cue| matches!(cue, Cue::Key(_) | Cue::Password)) {
        let place = match cue {
            Cue::Key(number) => key(tokens.text, start, number),
            // Some words are only such with a colon behind; the colon belongs to what follows.
            _ => password(tokens.text, end - usize::from(ends_with_sign(tokens.text, end))),
        };
        let is_new = |place: &Range<usize>| found.iter().all(|own| own.start >= place.end || place.start >= own.end);
        if let Some(place) = place.filter(is_new) {
            found.push(place);
            if found.len() > BOUND {
                break;
            }
        }
    }
    found.sort_by_key(|place| place.start);
    found
}

/// The key that begins here.
fn key(text: &str, start: usize, number: usize) -> Option<Range<usize>> {
    let found = PATTERNS.get(&number)?.find(window(text, start))?;
    Some(start + found.start()..start + found.end())
}

fn ends_with_sign(text: &str, end: usize) -> bool {
    text.get(..end).is_some_and(|head| head.ends_with([':', '=']))
}

/// The password that is told after a word for it, which ends here.
fn password(text: &str, end: usize) -> Option<Range<usize>> {
    let captures = VALUE.as_ref()?.captures(window(text, end))?;
    let suffix = captures
        .get(1)
        .map(|suffix| suffix.as_str().to_ascii_lowercase())
        .unwrap_or_default();
    if NOT_THE_SECRET.iter().any(|end| suffix.ends_with(end)) {
        return None;
    }
    let value = captures.get(2)?;
    // What ends a sentence is not part of it; people do end passwords with an exclamation mark.
    let word = value.as_str().trim_end_matches(['.', ',', ';', '?', '<', '>']);
    // In an address, the next setting begins behind it.
    let word = match word.split_once('&') {
        Some((word, next)) if next.contains('=') => word,
        _ => word,
    };
    let start = end + value.start();
    is_irregular(word).then(|| start..start + word.len())
}

fn window(text: &str, start: usize) -> &str {
    let end = text.floor_char_boundary(start.saturating_add(WINDOW));
    text.get(start..end).unwrap_or_default()
}

/// Whether a word looks like a password rather than like a word: enough different characters, letters mixed with digits or
/// with signs inside, and not an address or a placeholder.
fn is_irregular(value: &str) -> bool {
    let has = |test: fn(char) -> bool| value.chars().any(test);
    let letters = has(|c| c.is_ascii_alphabetic());
    let digits = has(|c| c.is_ascii_digit());
    let both_cases = has(|c| c.is_ascii_uppercase()) && has(|c| c.is_ascii_lowercase());
    let signs = value
        .chars()
        .filter(|c| c.is_ascii_punctuation() && !matches!(c, '-' | '_' | '.' | '/' | ':'))
        .count();
    let placeholder =
        value.starts_with(['<', '$', '{', '%', '/', '~', '.']) || value.contains("://") || value.contains("...");
    let mixed = (letters && digits) || (both_cases && signs > 0) || (letters && signs > 1);
    !placeholder && !is_call(value) && mixed && value.len() >= 8 && entropy(value) >= 2.7
}

/// Whether it is a call in a program, such as `os.Getenv(`.
fn is_call(value: &str) -> bool {
    let name = value.split_once('(').map(|(name, _)| name);
    name.is_some_and(|name| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':'))
    })
}

/// Shannon entropy in bits a character.
fn entropy(value: &str) -> f64 {
    let mut counts: HashMap<char, u32> = HashMap::new();
    for character in value.chars() {
        *counts.entry(character).or_default() += 1;
    }
    let all = f64::from(u32::try_from(value.chars().count()).unwrap_or(u32::MAX).max(1));
    counts
        .values()
        .map(|count| f64::from(*count) / all)
        .map(|share| -share * share.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{KEYS, PATTERNS};
    use crate::detect::{Detector, found};

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), KEYS.len());
        assert!(super::VALUE.is_some());
    }

    #[test]
    fn keys_are_found() {
        for key in [
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_0123456789abcdefghijABCDEFGHIJ012345",
            "glpat-abcdefghij0123456789",
            "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        ] {
            assert_eq!(found(Detector::Secret, &format!("use {key} please")), [key]);
        }
    }

    #[test]
    fn passwords_are_found() {
        for (text, value) in [
            ("Das Passwort ist Sommer2026!", "Sommer2026!"),
            ("password: hunter2-hunter3", "hunter2-hunter3"),
            ("DB_PASSWORD=\"s3cr3t-Value\"", "s3cr3t-Value"),
            ("api_key = 9f8e7d6c5b4a39281706", "9f8e7d6c5b4a39281706"),
            ("Passwort für den Server: Xk9$wq2LmP", "Xk9$wq2LmP"),
            ("pw: Blau3r-Elefant77", "Blau3r-Elefant77"),
            ("https://bob:Tr0ub4dor@example.org/x", "://bob:Tr0ub4dor@example.org"),
            ("/login?token=9f8e7d6c5b4a3928&next=home", "9f8e7d6c5b4a3928"),
        ] {
            assert_eq!(found(Detector::Secret, text), [value], "{text}");
        }
    }

    #[test]
    fn talk_about_passwords_is_not() {
        for text in [
            "Das Passwort ist abgelaufen",
            "password: <your-password>",
            "Please reset the token: it expired yesterday",
            "passwort: siehe KeePass",
            "token = getToken(request)",
            r#"secret := os.Getenv("JWT_SECRET")"#,
            "secretName: my-app-db-credentials-v2",
            "password_file: /run/secrets/db1",
            "pwd: /home/user1/projects",
            "token_type: bearer2",
            "PASSWORD=${DB_PASSWORD_1}",
            "if (token != null && token.length > 0)",
            "/items?token=next&limit=100",
            "the secret is out, see https://example.org/secret",
        ] {
            assert_eq!(found(Detector::Secret, text), Vec::<String>::new(), "{text}");
        }
    }
}
