//! Nicks for people from other sides.

/// What a nick template's placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// `{name}`: the display name.
    pub name: &'a str,
    /// `{localpart}`: the part of a Matrix id in front of the colon; the whole id on other networks.
    pub localpart: &'a str,
    /// `{domain}`: what follows the colon.
    pub domain: &'a str,
}

impl<'a> Names<'a> {
    /// Takes an id such as `@ann:example.org` apart.
    pub fn of(name: &'a str, id: &'a str) -> Self {
        let bare = id.strip_prefix('@').unwrap_or(id);
        let (localpart, domain) = bare.split_once(':').unwrap_or((bare, ""));
        Self {
            name,
            localpart,
            domain,
        }
    }
}

/// Whether every server takes this character in a nick.
fn allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_[]{}\\|^`".contains(character)
}

/// Letters that are commonly written with others where only ASCII is possible.
fn spelled(character: char) -> Option<&'static str> {
    Some(match character {
        'ä' | 'æ' => "ae",
        'ö' | 'ø' | 'œ' => "oe",
        'ü' => "ue",
        'Ä' | 'Æ' => "Ae",
        'Ö' | 'Ø' | 'Œ' => "Oe",
        'Ü' => "Ue",
        'ß' => "ss",
        'á' | 'à' | 'â' | 'ã' | 'å' | 'ą' => "a",
        'Á' | 'À' | 'Â' | 'Ã' | 'Å' => "A",
        'é' | 'è' | 'ê' | 'ë' | 'ę' | 'ě' => "e",
        'É' | 'È' | 'Ê' | 'Ë' => "E",
        'í' | 'ì' | 'î' | 'ï' | 'ı' => "i",
        'Í' | 'Ì' | 'Î' | 'Ï' | 'İ' => "I",
        'ó' | 'ò' | 'ô' | 'õ' => "o",
        'Ó' | 'Ò' | 'Ô' | 'Õ' => "O",
        'ú' | 'ù' | 'û' | 'ů' => "u",
        'Ú' | 'Ù' | 'Û' => "U",
        'ç' | 'ć' | 'č' => "c",
        'Ç' | 'Č' => "C",
        'ñ' | 'ń' | 'ň' => "n",
        'Ñ' => "N",
        'š' | 'ś' | 'ş' => "s",
        'Š' | 'Ş' => "S",
        'ž' | 'ź' | 'ż' => "z",
        'Ž' => "Z",
        'ł' => "l",
        'Ł' => "L",
        'ğ' => "g",
        'ř' => "r",
        'ý' | 'ÿ' => "y",
        _ => return None,
    })
}

fn cleaned(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars().take(200) {
        match spelled(character) {
            Some(letters) => out.push_str(letters),
            None if allowed(character) => out.push(character),
            None if character == ' ' || character == '.' => out.push('_'),
            None => {}
        }
    }
    out
}

/// The nick for a person: the template filled, spelled in characters every server takes, at most `limit` bytes (at least
/// 4). The `attempt`-th (from 0) differs from all before it, for nicks that are taken. What the template says around the
/// names is kept; the names are shortened.
pub fn nick(template: &str, names: Names<'_>, limit: usize, attempt: u32) -> String {
    let limit = limit.max(4);
    let (before, key, after) = ["{name}", "{localpart}"]
        .iter()
        .filter_map(|key| template.split_once(key).map(|(before, after)| (before, *key, after)))
        .min_by_key(|(before, _, _)| before.len())
        .unwrap_or((template, "", ""));
    let rest = |text: &str| {
        let text = text
            .replace("{domain}", names.domain)
            .replace("{localpart}", names.localpart)
            .replace("{name}", names.name);
        cleaned(&text)
    };
    let (before, after) = (rest(before), rest(after));
    let mut core = cleaned(if key == "{localpart}" {
        names.localpart
    } else {
        names.name
    });
    if core.trim_matches('_').is_empty() && !key.is_empty() {
        core = cleaned(names.localpart);
    }
    if core.is_empty() && before.is_empty() {
        "guest".clone_into(&mut core);
    }
    let number = if attempt == 0 {
        String::new()
    } else {
        attempt.to_string()
    };
    let tail = format!("{number}{after}");
    let tail: String = if tail.len() < limit { tail } else { number };
    let head = format!("{before}{core}");
    let head = match head.chars().next() {
        Some(first) if first.is_ascii_digit() || first == '-' => format!("_{head}"),
        _ => head,
    };
    // All ASCII by now, so that characters are bytes.
    let room = limit.saturating_sub(tail.len()).max(1);
    let mut out: String = head.chars().take(room).collect();
    out.push_str(&tail);
    out.chars().take(limit).collect()
}

/// Whether a nick can be sent without breaking a line: not empty, no blanks, no marks of other meanings.
pub fn is_sendable(nick: &str) -> bool {
    !nick.is_empty()
        && nick.len() <= 128
        && !nick.starts_with([':', '#', '&', '@', '+', '~', '%', '$'])
        && nick
            .chars()
            .all(|character| !character.is_whitespace() && !character.is_control() && !"!@,*?".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn templates() {
        let names = Names::of("Jörg Ärger", "@joerg.a:example.org");
        assert_eq!(nick("{name}[m]", names, 30, 0), "Joerg_Aerger[m]");
        assert_eq!(nick("{name}[m]", names, 9, 0), "Joerg_[m]");
        assert_eq!(nick("{name}[m]", names, 9, 12), "Joer12[m]");
        assert_eq!(nick("{localpart}|{domain}", names, 40, 0), "joerg_a|example_org");
        assert_eq!(nick("{name}[m]", Names::of("李", "@li:x"), 9, 0), "li[m]");
        assert_eq!(nick("{name}", Names::of("李", "@李:x"), 9, 0), "guest");
        assert_eq!(nick("{name}", Names::of("4ever", "@a:x"), 9, 0), "_4ever");
    }

    proptest! {
        #[test]
        fn every_nick_is_sendable_and_distinct(name in any::<String>(), id in any::<String>(), limit in 0_usize..40, attempt in 0_u32..90) {
            let names = Names::of(&name, &id);
            let one = nick("{name}[m]", names, limit, attempt);
            prop_assert!(is_sendable(&one), "{one:?}");
            prop_assert!(one.len() <= limit.max(4));
            prop_assert_ne!(one, nick("{name}[m]", names, limit, attempt + 1));
        }
    }
}
