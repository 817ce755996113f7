//! XEP-0106 JID Escaping: any text as the local part of an address.

const ESCAPED: [char; 10] = [' ', '"', '&', '\'', '/', ':', '<', '>', '@', '\\'];

/// Escapes the characters that a local part cannot have. The backslash is always escaped, which the specification allows and
/// which makes the way back unique.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if ESCAPED.contains(&character) {
            out.extend(["\\", &format!("{:02x}", u32::from(character))]);
        } else {
            out.push(character);
        }
    }
    out
}

/// Undoes [`escape`]; sequences that are not escapes stay as they are.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let character = after
            .get(..2)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        match (character, after.get(2..)) {
            (Some(character), Some(tail)) if ESCAPED.contains(&character) => {
                out.push(character);
                rest = tail;
            }
            _ => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_matrix_id_becomes_a_local_part() {
        assert_eq!(escape("alice:example.org"), "alice\\3aexample.org");
        assert_eq!(unescape("a\\zz\\20b\\"), "a\\zz b\\");
    }

    proptest! {
        #[test]
        fn escaping_is_undone(text in ".{0,40}") {
            prop_assert_eq!(unescape(&escape(&text)), text);
        }

        #[test]
        fn unescaping_is_total(text in "[\\\\0-9a-fé]{0,40}") {
            let _total = unescape(&text);
        }
    }
}
