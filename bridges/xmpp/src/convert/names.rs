//! Nicks and addresses of people.

use sha2::{Digest, Sha256};
use unicode_segmentation::UnicodeSegmentation;
use viaduct_model::{MessageId, NetworkName, Person, PersonId};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::xep::xep0106_jid_escaping::{escape, unescape};

/// The longest nick offered to a room, in bytes; rooms commonly refuse longer ones.
const NICK_BOUND: usize = 64;

/// The resource of everything that a component connects.
pub const RESOURCE: &str = "viaduct";

/// The resource that the hub asks for as a client. It is not that of puppets.
pub const ACCOUNT_RESOURCE: &str = "viaduct-hub";

/// The local part of the hub's own address. No puppet's is like it: theirs have an escaped `:`, a `!`, or a `p-` in front.
pub const OWN_LOCAL: &str = "viaduct";

/// A nick as rooms accept it: without control characters and white space at its ends, bounded, never empty.
pub fn clean_nick(name: &str) -> Option<String> {
    let mut nick = String::new();
    for cluster in name.trim().graphemes(true) {
        if nick.len() + cluster.len() > NICK_BOUND {
            break;
        }
        if cluster.chars().any(|c| c.is_control() || is_invisible(c)) {
            continue;
        }
        nick.push_str(if cluster.chars().all(char::is_whitespace) {
            " "
        } else {
            cluster
        });
    }
    let nick = nick.trim().to_owned();
    // The resource profile refuses some characters that cannot be listed here; what it refuses is no nick.
    let possible = FullJid::new(&format!("room@service/{nick}")).ok()?;
    Some(possible.resource().to_string()).filter(|nick| !nick.is_empty())
}

/// Characters that show nothing and can make two nicks look alike, or turn the direction of the text around them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

/// The nick a puppet asks for, by the operator's template; `attempt` counts from 0.
pub fn puppet_nick(template: &str, person: &Person, attempt: u32) -> String {
    let text = template
        .replace("{id}", person.id.as_str())
        .replace("{name}", &person.name);
    let base = clean_nick(&text)
        .or_else(|| clean_nick(person.id.as_str()))
        .unwrap_or_else(|| format!("guest-{}", short_hash(person.id.as_str())));
    if attempt == 0 {
        base
    } else {
        format!("{base} ({})", attempt + 1)
    }
}

/// The address of the puppet of a person: readable where possible, and the same in every session.
pub fn puppet_address(domain: &str, person: &Person) -> Option<BareJid> {
    let local = if person.network.is_matrix() {
        escape(person.id.as_str().trim_start_matches('@'))
    } else {
        // Matrix ids have no '!', so that no two people share an address.
        escape(&format!("{}!{}", person.network, person.id))
    };
    let hashed = || format!("p-{}", short_hash(&format!("{}/{}", person.network, person.id)));
    BareJid::new(&format!("{local}@{domain}"))
        .or_else(|_| BareJid::new(&format!("{}@{domain}", hashed())))
        .ok()
}

/// The Matrix person whose puppet has this address.
pub fn matrix_person(address: &BareJid) -> Option<String> {
    let local = unescape(address.node()?.as_str());
    (local.contains(':') && !local.contains('!')).then(|| format!("@{local}"))
}

/// The id of a person with a known real address.
pub fn person_by_address(address: &BareJid) -> Option<PersonId> {
    PersonId::new(address.as_str()).ok()
}

/// The id of a person known by their occupant-id only. An address has no `:` in its local part, so this is never one.
pub fn person_by_occupant(room: &BareJid, occupant: &str) -> Option<PersonId> {
    let id = format!("occupant:{room}/{occupant}");
    PersonId::new(&id)
        .or_else(|_| PersonId::new(format!("occupant:{room}/{}", short_hash(occupant))))
        .ok()
}

/// The id of a person known by their nick only.
pub fn person_by_nick(room: &BareJid, nick: &str) -> Option<PersonId> {
    let id = format!("{room}/{nick}");
    PersonId::new(&id)
        .or_else(|_| PersonId::new(format!("{room}/{}", short_hash(nick))))
        .ok()
}

/// A person of this network.
pub fn person(network: &NetworkName, id: PersonId, name: &str, address: Option<&Jid>) -> Person {
    Person {
        network: network.clone(),
        id,
        name: name.to_owned(),
        avatar: None,
        organisation: address.map(|address| address.domain().to_string()),
        bot: false,
    }
}

/// The id of a message in a place that gives none itself: from its sender and the id its sender gave it.
pub fn made_id(sender: &str, id: &str) -> Option<MessageId> {
    MessageId::new(format!("{sender} {id}"))
        .or_else(|_| MessageId::new(short_hash(&format!("{sender} {id}"))))
        .ok()
}

/// 32 hexadecimal digits that stand for a text.
pub fn short_hash(text: &str) -> String {
    hex(Sha256::digest(text.as_bytes()).get(..16).unwrap_or_default())
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0'))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn someone(network: &str, id: &str, name: &str) -> Person {
        let id = PersonId::new(id).unwrap();
        Person {
            name: name.into(),
            ..person(&NetworkName::new(network).unwrap(), id, name, None)
        }
    }

    #[test]
    fn a_matrix_person_has_a_readable_address_that_leads_back() {
        let address = puppet_address("m.example", &someone("matrix", "@alice:hs.example", "Alice")).unwrap();
        assert_eq!(address.as_str(), "alice\\3ahs.example@m.example");
        assert_eq!(matrix_person(&address).as_deref(), Some("@alice:hs.example"));
        let other = puppet_address("m.example", &someone("acme-irc", "bob", "Bob")).unwrap();
        assert_eq!(matrix_person(&other), None);
    }

    #[test]
    fn nicks_are_cleaned_and_numbered() {
        assert_eq!(clean_nick(" A\u{202e}l\u{7}ice\n ").as_deref(), Some("Alice"));
        assert_eq!(clean_nick("\u{200b}"), None);
        let person = someone("matrix", "@alice:hs", "Alice");
        assert_eq!(puppet_nick("{name}", &person, 0), "Alice");
        assert_eq!(puppet_nick("{name} [m]", &person, 1), "Alice [m] (2)");
        assert_eq!(
            puppet_nick("{name}", &someone("matrix", "@alice:hs", "\u{200b}"), 0),
            "@alice:hs"
        );
    }

    proptest! {
        #[test]
        fn every_person_gets_an_address_and_a_nick(id in ".{1,100}", name in ".{0,100}") {
            let Ok(id) = PersonId::new(&id) else { return Ok(()) };
            let person = Person { name, ..person(&NetworkName::new("net").unwrap(), id, "", None) };
            prop_assert!(puppet_address("m.example", &person).is_some());
            let nick = puppet_nick("{name}", &person, 3);
            let address = format!("r@c/{nick}");
            prop_assert!(FullJid::new(&address).is_ok());
        }
    }
}
