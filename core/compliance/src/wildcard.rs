//! Patterns with `*`.

/// Whether `pattern`, in which `*` stands for any run of characters, describes the whole of `text`. Linear in both.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether any of the patterns describes the text.
pub(crate) fn any_wildcard(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| wildcard(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn wildcards() {
        assert!(wildcard("*", ""));
        assert!(wildcard("a*c", "abc"));
        assert!(wildcard("a*b*c", "a-b-b-c"));
        assert!(!wildcard("a*c", "abcd"));
        assert!(!wildcard("ab", "abc"));
        assert!(!wildcard("aa*aa", "aaa"));
    }
}
