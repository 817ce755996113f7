//! Short codes and Unicode emoji. Slack's names are mostly those that GitHub uses; where they differ, they are listed here.

use emojis::SkinTone;

/// Slack's names where they are others than the library's.
const OWN_NAMES: [(&str, &str); 22] = [
    ("simple_smile", "🙂"),
    ("slightly_smiling_face", "🙂"),
    ("hugging_face", "🤗"),
    ("face_with_rolling_eyes", "🙄"),
    ("thinking_face", "🤔"),
    ("robot_face", "🤖"),
    ("the_horns", "🤘"),
    ("face_palm", "🤦"),
    ("rolling_on_the_floor_laughing", "🤣"),
    ("face_with_raised_eyebrow", "🤨"),
    ("smiling_face_with_3_hearts", "🥰"),
    ("smiling_face_with_smiling_eyes_and_hand_covering_mouth", "🤭"),
    ("shushing_face", "🤫"),
    ("large_green_circle", "🟢"),
    ("large_yellow_circle", "🟡"),
    ("large_orange_circle", "🟠"),
    ("large_purple_circle", "🟣"),
    ("knife_fork_plate", "🍽️"),
    ("spock-hand", "🖖"),
    ("man-woman-girl-boy", "👨‍👩‍👧‍👦"),
    ("hankey", "💩"),
    ("sports_medal", "🏅"),
];

const TONES: [(&str, SkinTone); 5] = [
    ("skin-tone-2", SkinTone::Light),
    ("skin-tone-3", SkinTone::MediumLight),
    ("skin-tone-4", SkinTone::Medium),
    ("skin-tone-5", SkinTone::MediumDark),
    ("skin-tone-6", SkinTone::Dark),
];

/// Whether a text may be a short code: what Slack allows in names, and at most 100 bytes.
pub fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_lowercase() || c.is_ascii_digit() || "_-+':".contains(c))
}

/// The Unicode emoji of a short code, which may carry `::skin-tone-N`; none for the workspace's own and unknown ones.
pub fn to_unicode(code: &str) -> Option<String> {
    let (name, tone) = match code.split_once("::") {
        Some((name, tone)) => (name, Some(tone)),
        None => (code, None),
    };
    if let Some(flag) = name.strip_prefix("flag-") {
        return flag_of(flag);
    }
    let emoji = OWN_NAMES
        .iter()
        .find(|(own, _)| *own == name)
        .and_then(|(_, unicode)| emojis::get(unicode))
        .or_else(|| emojis::get_by_shortcode(name))
        .or_else(|| emojis::get_by_shortcode(&name.replace('-', "_")))?;
    let toned = tone.and_then(|tone| {
        let (_, tone) = TONES.iter().find(|(known, _)| *known == tone)?;
        emoji.with_skin_tone(*tone)
    });
    Some(toned.unwrap_or(emoji).as_str().to_owned())
}

fn flag_of(country: &str) -> Option<String> {
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let letter = |byte: u8| char::from_u32(0x1_f1e6 + u32::from(byte - b'a'));
    country.bytes().map(letter).collect()
}

/// Slack's short code of a Unicode emoji.
pub fn to_name(unicode: &str) -> Option<String> {
    let bare = unicode.replace('\u{fe0f}', "");
    if let Some((name, _)) = OWN_NAMES
        .iter()
        .find(|(_, own)| own.replace('\u{fe0f}', "") == bare && *own != "🙂")
    {
        return Some((*name).to_owned());
    }
    let letters: Vec<char> = bare.chars().collect();
    if letters.len() == 2 && letters.iter().all(|c| ('\u{1f1e6}'..='\u{1f1ff}').contains(c)) {
        let country = letters
            .iter()
            .filter_map(|c| char::from_u32(u32::from(*c) - 0x1_f1e6 + u32::from(b'a')));
        return Some(country.fold("flag-".to_owned(), |mut name, c| {
            name.push(c);
            name
        }));
    }
    let emoji = emojis::get(unicode)
        .or_else(|| emojis::get(&bare))
        .or_else(|| emojis::get(&format!("{bare}\u{fe0f}")))?;
    let plain = emoji.with_skin_tone(SkinTone::Default).unwrap_or(emoji);
    let name = plain.shortcode().or_else(|| emoji.shortcode())?;
    let tone = emoji
        .skin_tone()
        .and_then(|tone| TONES.iter().find(|(_, known)| *known == tone));
    Some(match tone {
        Some((tone, _)) => format!("{name}::{tone}"),
        None => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_no_trouble(text in any::<String>()) {
            drop(to_unicode(&text));
            drop(to_name(&text));
        }
    }

    #[test]
    fn names_and_emoji_lead_to_each_other() {
        for (name, emoji) in [
            ("thumbsup", "👍"),
            ("tada", "🎉"),
            ("flag-de", "🇩🇪"),
            ("thinking_face", "🤔"),
            ("heart", "❤️"),
        ] {
            assert_eq!(to_unicode(name).as_deref(), Some(emoji), "{name}");
        }
        assert_eq!(to_unicode("+1::skin-tone-2").as_deref(), Some("👍🏻"));
        assert_eq!(to_unicode("man-shrugging").as_deref(), Some("🤷‍♂️"));
        assert_eq!(to_unicode("party-parrot"), None);
        for emoji in ["👍", "🎉", "🇩🇪", "🤔", "❤️", "❤", "👍🏻"] {
            let name = to_name(emoji).unwrap();
            let back = to_unicode(&name).unwrap().replace('\u{fe0f}', "");
            assert_eq!(back, emoji.replace('\u{fe0f}', ""), "{name}");
        }
        assert_eq!(to_name("no emoji"), None);
    }

    #[test]
    fn the_table_holds_only_emoji() {
        for (name, emoji) in OWN_NAMES {
            assert!(emojis::get(emoji).is_some(), "{name}");
        }
    }
}
