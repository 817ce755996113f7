//! Reactions: Teams' six names, `<codepoint>_<name>`, and Unicode.

/// The names of the oldest reactions.
const NAMES: [(&str, &str); 6] = [
    ("like", "👍"),
    ("heart", "❤️"),
    ("laugh", "😆"),
    ("surprised", "😮"),
    ("sad", "🙁"),
    ("angry", "😠"),
];

/// What a reaction looks like; a name in colons where it is one of the tenant's own.
pub fn to_unicode(kind: &str) -> Option<String> {
    if kind.is_empty() || kind.len() > 120 || kind.contains(char::is_control) {
        return None;
    }
    if let Some((_, unicode)) = NAMES.iter().find(|(name, _)| *name == kind) {
        return Some((*unicode).to_owned());
    }
    if let Some(known) = emojis::get(kind) {
        return Some(known.as_str().to_owned());
    }
    let (points, name) = kind.split_once('_').unwrap_or((kind, kind));
    let letters: Option<String> = points
        .split('-')
        .map(|point| u32::from_str_radix(point, 16).ok().and_then(char::from_u32))
        .collect();
    let known = letters
        .filter(|_| points.len() >= 4)
        .and_then(|letters| emojis::get(&letters));
    match known {
        Some(known) => Some(known.as_str().to_owned()),
        None if !kind.is_ascii() => Some(kind.to_owned()),
        None => Some(format!(":{name}:")),
    }
}

/// Teams' kind of a reaction with a Unicode emoji.
pub fn to_kind(unicode: &str) -> Option<String> {
    let bare = |text: &str| text.replace('\u{fe0f}', "");
    if let Some((name, _)) = NAMES.iter().find(|(_, known)| bare(known) == bare(unicode)) {
        return Some((*name).to_owned());
    }
    let known = emojis::get(unicode).or_else(|| emojis::get(&format!("{}\u{fe0f}", bare(unicode))))?;
    let points: Vec<String> = bare(known.as_str())
        .chars()
        .map(|c| format!("{:x}", u32::from(c)))
        .collect();
    let name: String = known.name().chars().filter(char::is_ascii_alphanumeric).collect();
    Some(format!("{}_{}", points.join("-"), name.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_points_and_unicode_are_read() {
        for (kind, shown) in [
            ("like", "👍"),
            ("heart", "❤️"),
            ("1f440_eyes", "👀"),
            ("2705_whiteheavycheckmark", "✅"),
            ("👀", "👀"),
            ("partyparrot", ":partyparrot:"),
        ] {
            assert_eq!(to_unicode(kind).as_deref(), Some(shown), "{kind}");
        }
        for emoji in ["👍", "❤️", "👀", "🎉", "👩‍🚀"] {
            let kind = to_kind(emoji).unwrap();
            assert!(kind.is_ascii());
            assert_eq!(to_unicode(&kind).as_deref(), Some(emoji), "{kind}");
        }
        assert_eq!(to_kind("no emoji"), None);
        assert_eq!(to_unicode("a\nb"), None);
        assert_eq!(to_unicode(""), None);
    }
}
