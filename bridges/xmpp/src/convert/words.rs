//! What the hub says to people in its own words, in their language.

use viaduct_model::{Language, Place};

/// Instead of a message that only its readers' devices can decrypt.
pub const fn encrypted(language: Language) -> &'static str {
    language.pick(
        "[encrypted message: the bridge cannot read it]",
        "[verschlüsselte Nachricht: die Brücke kann sie nicht lesen]",
    )
}

/// Instead of an invitation to a call.
pub const fn call(language: Language, video: bool) -> &'static str {
    if video {
        language.pick(
            "[video call: join it with an XMPP client]",
            "[Videoanruf: mit einem XMPP-Programm teilnehmen]",
        )
    } else {
        language.pick(
            "[call: join it with an XMPP client]",
            "[Anruf: mit einem XMPP-Programm teilnehmen]",
        )
    }
}

/// Instead of a file that could not be passed on.
pub fn file(language: Language, name: &str) -> String {
    format!("[{}: {name}]", language.pick("file", "Datei"))
}

/// A message did not arrive, and why.
pub fn not_delivered(language: Language, reason: &str) -> String {
    format!("[{}: {reason}]", language.pick("not delivered", "nicht zugestellt"))
}

/// A message did not arrive at a place, and why.
pub fn not_arrived(language: Language, place: &Place, reason: &str) -> String {
    let words = language.pick("your message has not reached", "die Nachricht ist nicht angekommen bei");
    format!("[{words} {place}: {reason}]")
}

/// A message waits for somebody's leave to go to a place, and why.
pub fn held(language: Language, place: &Place, reason: &str) -> String {
    let words = language.pick(
        "your message is held back from",
        "die Nachricht wird zurückgehalten vor",
    );
    format!("[{words} {place}: {reason}]")
}

/// Nobody can say whether a message arrived at a place, and why.
pub fn perhaps_arrived(language: Language, place: &Place, reason: &str) -> String {
    let words = language.pick(
        "nobody can say whether your message has reached",
        "niemand kann sagen, ob die Nachricht angekommen ist bei",
    );
    format!("[{words} {place}: {reason}]")
}

/// What clients show that cannot withdraw messages.
pub const fn withdrawn(language: Language) -> &'static str {
    language.pick(
        "/me withdrew an earlier message, but this client does not support that.",
        "/me hat eine frühere Nachricht zurückgezogen, aber dieses Programm kann das nicht anzeigen.",
    )
}

/// A room is no more: why, and where it moved.
pub fn destroyed(language: Language, reason: Option<&str>, moved: Option<&str>) -> String {
    let mut text = language
        .pick("the room was destroyed", "der Raum wurde aufgelöst")
        .to_owned();
    if let Some(moved) = moved {
        text.push_str(language.pick("; it moved to ", "; er ist umgezogen nach "));
        text.push_str(moved);
    }
    text.push_str(": ");
    text.push_str(reason.unwrap_or(language.pick("no reason given", "ohne Angabe von Gründen")));
    text
}

/// Asks who a private message to the hub is for. `names` are those who are known to the sender.
pub fn whom(language: Language, names: &[&str]) -> String {
    let known = match names.first() {
        Some(first) => format!("{first}: …"),
        None => "@name:server …".to_owned(),
    };
    let mut text = format!(
        "{} {known}",
        language.pick(
            "[not delivered: several people write through this account. Say whom you mean at the beginning, or answer one of \
             their messages:]",
            "[nicht zugestellt: über dieses Konto schreiben mehrere Personen. Bitte am Anfang nennen, wer gemeint ist, oder auf \
             eine Nachricht antworten:]",
        )
    );
    if names.len() > 1 {
        text.push_str(language.pick(" (known: ", " (bekannt: "));
        text.push_str(&names.join(", "));
        text.push(')');
    }
    text
}

/// A file was left out of a message.
pub fn left_out(language: Language, name: &str) -> String {
    match language {
        Language::English => format!("the file {name} was left out"),
        Language::German => format!("die Datei {name} wurde weggelassen"),
    }
}

/// Somebody could not come in under their own name.
pub fn in_the_hubs_name(language: Language, reason: &str) -> String {
    format!(
        "{}: {reason}",
        language.pick("sent in the hub's name", "im Namen der Brücke gesendet")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_say_the_same_things() {
        let place = Place::new("net".parse().unwrap(), "room".parse().unwrap());
        let all = |language| {
            [
                encrypted(language).to_owned(),
                call(language, true).to_owned(),
                call(language, false).to_owned(),
                file(language, "a.txt"),
                not_delivered(language, "gone"),
                not_arrived(language, &place, "gone"),
                held(language, &place, "gone"),
                perhaps_arrived(language, &place, "gone"),
                withdrawn(language).to_owned(),
                destroyed(language, None, Some("b@c.example")),
                whom(language, &[]),
                whom(language, &["Ada", "Bert"]),
                left_out(language, "a.txt"),
                in_the_hubs_name(language, "full"),
            ]
        };
        let [german, english] = Language::ALL.map(all);
        for (german, english) in german.iter().zip(&english) {
            assert_ne!(german, english);
            for name in [
                "a.txt",
                "gone",
                "b@c.example",
                "@name:server",
                "Ada, Bert",
                "/me ",
                "full",
            ] {
                assert_eq!(german.contains(name), english.contains(name), "{german} / {english}");
            }
        }
    }
}
