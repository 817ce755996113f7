//! Which names are the same name: IRC compares nicks and channels without regard to case, by one of three tables.

use std::fmt;

/// The table a server announces as `CASEMAPPING`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Casemapping {
    /// Only a-z and A-Z are the same.
    Ascii,
    /// As [`Casemapping::Ascii`], and `{}|^` are the lower case of `[]\~`. What a server means that says nothing.
    #[default]
    Rfc1459,
    /// As [`Casemapping::Rfc1459`], without `^` and `~`.
    Rfc1459Strict,
}

impl Casemapping {
    /// The table of this announced name; unknown names compare like ASCII.
    pub fn from_token(token: &str) -> Self {
        match token.to_ascii_lowercase().as_str() {
            "rfc1459" => Self::Rfc1459,
            "rfc1459-strict" | "strict-rfc1459" => Self::Rfc1459Strict,
            _ => Self::Ascii,
        }
    }

    /// The form in which equal names are equal strings.
    pub fn fold(self, name: &str) -> Folded {
        Folded(name.chars().map(|character| self.lower(character)).collect())
    }

    /// Whether two names are the same name.
    pub fn same(self, one: &str, other: &str) -> bool {
        one.chars()
            .map(|character| self.lower(character))
            .eq(other.chars().map(|character| self.lower(character)))
    }

    fn lower(self, character: char) -> char {
        match (self, character) {
            (Self::Rfc1459 | Self::Rfc1459Strict, '[') => '{',
            (Self::Rfc1459 | Self::Rfc1459Strict, ']') => '}',
            (Self::Rfc1459 | Self::Rfc1459Strict, '\\') => '|',
            (Self::Rfc1459, '~') => '^',
            (_, other) => other.to_ascii_lowercase(),
        }
    }
}

/// A nick or channel name in the form in which equal names are equal strings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Folded(String);

impl Folded {
    /// The folded name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Casemapping;

    #[test]
    fn each_table_folds_what_it_says() {
        assert!(Casemapping::Rfc1459.same("Ann[x]\\~", "aNN{X}|^"));
        assert!(Casemapping::Rfc1459Strict.same("[a]", "{A}"));
        assert!(!Casemapping::Rfc1459Strict.same("~", "^"));
        assert!(!Casemapping::Ascii.same("[", "{"));
        assert_eq!(Casemapping::from_token("ascii"), Casemapping::Ascii);
        assert_eq!(Casemapping::default().fold("Ann[m]").as_str(), "ann{m}");
    }
}
