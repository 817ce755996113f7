//! What went wrong, as it is told: what, where, and what to do.

use std::fmt;

use anyhow::anyhow;

/// A problem with its remedy. Travels as an [`anyhow::Error`]; [`tell`] finds it again.
#[derive(Debug)]
pub struct Trouble {
    what: String,
    place: String,
    fix: String,
}

impl Trouble {
    /// What went wrong, where (may be empty), and what to do (may be empty).
    pub fn error(what: impl fmt::Display, place: impl fmt::Display, fix: impl fmt::Display) -> anyhow::Error {
        let trouble = Self {
            what: what.to_string(),
            place: place.to_string(),
            fix: fix.to_string(),
        };
        anyhow!(trouble)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Trouble {}

/// The error as text for the terminal, with all its causes.
pub fn tell(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        text.push_str("\n  because: ");
        text.push_str(&cause.to_string());
    }
    if let Some(trouble) = error.downcast_ref::<Trouble>() {
        for (label, value) in [("-->", &trouble.place), ("fix:", &trouble.fix)] {
            if !value.is_empty() {
                text.push_str("\n  ");
                text.push_str(label);
                text.push(' ');
                text.push_str(value);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_says_what_where_and_what_to_do() {
        let error = Trouble::error("the file is gone", "a.yaml", "write it");
        assert_eq!(tell(&error), "error: the file is gone\n  --> a.yaml\n  fix: write it");
        let error = anyhow!("inner").context("outer");
        assert_eq!(tell(&error), "error: outer\n  because: inner");
    }
}
