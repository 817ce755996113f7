//! How remote people's ids become Matrix user ids, and back.
//!
//! A localpart is `{prefix}{network}_{id}`: network names have no `_`, so the first one after the prefix ends them. Bytes of
//! the id that a localpart may not have are written `=xx` (hexadecimal), as the Matrix specification's appendix on mapping
//! other character sets suggests; `=` itself is one of them, so the mapping is reversible. An id that would make the user id
//! longer than 255 bytes becomes `=h` and a hash; who that is has to be remembered.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use sha2::{Digest, Sha256};
use viaduct_model::{NetworkName, Person, PersonId};

/// The longest user id, in bytes.
const USER_ID_BOUND: usize = 255;
/// How many hashed ids are remembered at most.
const HASHED_BOUND: usize = 10_000;

/// Maps people to ghosts.
#[derive(Debug)]
pub(crate) struct GhostNames {
    prefix: String,
    domain: String,
    bot: String,
    hashed: RwLock<HashMap<String, (NetworkName, PersonId)>>,
}

/// A ghost's user id, and whether its person has to be remembered because the id does not tell.
pub(crate) struct GhostName {
    pub(crate) mxid: String,
    pub(crate) newly_hashed: bool,
}

impl GhostNames {
    pub(crate) fn new(prefix: &str, domain: &str, bot: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            domain: domain.to_owned(),
            bot: format!("@{bot}:{domain}"),
            hashed: RwLock::default(),
        }
    }

    /// The user id of a person's ghost.
    pub(crate) fn ghost(&self, network: &NetworkName, id: &PersonId) -> GhostName {
        let plain = format!("@{}{network}_{}:{}", self.prefix, escaped(id.as_str()), self.domain);
        if plain.len() <= USER_ID_BOUND {
            return GhostName {
                mxid: plain,
                newly_hashed: false,
            };
        }
        let digest = Sha256::digest(id.as_str().as_bytes());
        let hash: String = digest.iter().take(16).flat_map(|byte| hex(*byte)).collect();
        let mxid = format!("@{}{network}_=h{hash}:{}", self.prefix, self.domain);
        GhostName {
            newly_hashed: self.remember(&mxid, network.clone(), id.clone()),
            mxid,
        }
    }

    /// Notes whom a hashed id stands for; whether that was news.
    pub(crate) fn remember(&self, mxid: &str, network: NetworkName, id: PersonId) -> bool {
        let mut hashed = self.hashed.write().unwrap_or_else(PoisonError::into_inner);
        hashed.len() < HASHED_BOUND && hashed.insert(mxid.to_owned(), (network, id)).is_none()
    }

    /// Who a user id is the ghost of.
    pub(crate) fn person(&self, mxid: &str) -> Option<(NetworkName, PersonId)> {
        let (network, id) = self.local(mxid)?.split_once('_')?;
        if id.starts_with("=h") {
            return self
                .hashed
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(mxid)
                .cloned();
        }
        Some((NetworkName::new(network).ok()?, PersonId::new(unescaped(id)?).ok()?))
    }

    /// Whether a user id is one of ours: a ghost or the bot.
    pub(crate) fn is_own(&self, mxid: &str) -> bool {
        mxid == self.bot || self.local(mxid).is_some()
    }

    /// The bot's user id.
    pub(crate) fn bot(&self) -> &str {
        &self.bot
    }

    /// The part of a ghost's localpart after the prefix.
    fn local<'a>(&self, mxid: &'a str) -> Option<&'a str> {
        let (local, domain) = mxid.strip_prefix('@')?.split_once(':')?;
        if domain == self.domain {
            local.strip_prefix(self.prefix.as_str())
        } else {
            None
        }
    }
}

/// The person a ghost of ours stands for, as far as a Matrix event tells.
pub(crate) fn ghost_person((network, id): (NetworkName, PersonId), name: Option<&str>) -> Person {
    let name = name.unwrap_or(id.as_str()).to_owned();
    Person {
        network,
        id,
        name,
        avatar: None,
        organisation: None,
        bot: false,
    }
}

fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0'))
}

fn escaped(id: &str) -> String {
    let mut out = String::with_capacity(id.len() + 8);
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => out.push(char::from(byte)),
            other => {
                out.push('=');
                out.extend(hex(other));
            }
        }
    }
    out
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'=' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
            out.push(u8::try_from(value).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> GhostNames {
        GhostNames::new("_via_", "example.org", "viaduct")
    }

    #[test]
    fn localparts_are_escaped() {
        let network = NetworkName::new("acme-slack").unwrap();
        let ghost = |id: &str| names().ghost(&network, &PersonId::new(id).unwrap()).mxid;
        assert_eq!(ghost("bob"), "@_via_acme-slack_bob:example.org");
        assert_eq!(ghost("U1"), "@_via_acme-slack_=551:example.org");
        assert_eq!(ghost("a=b@c/ü"), "@_via_acme-slack_a=3db=40c=2f=c3=bc:example.org");
    }

    #[test]
    fn long_ids_are_hashed_and_remembered() {
        let names = names();
        let network = NetworkName::new("x").unwrap();
        let id = PersonId::new("Ä".repeat(500)).unwrap();
        let ghost = names.ghost(&network, &id);
        assert!(ghost.newly_hashed && ghost.mxid.len() <= 255);
        assert!(!names.ghost(&network, &id).newly_hashed);
        assert_eq!(names.person(&ghost.mxid), Some((network, id)));
    }

    #[test]
    fn strangers_are_not_ghosts() {
        let names = names();
        for other in [
            "@_via_x_y:elsewhere.org",
            "@alice:example.org",
            "_via_x_y:example.org",
            "@_via_",
            "",
            "@_via_x:example.org",
        ] {
            assert_eq!(names.person(other), None, "{other}");
        }
        assert!(names.is_own("@viaduct:example.org"));
        assert!(!names.is_own("@viaduct:elsewhere.org"));
    }

    proptest! {
        #[test]
        fn ids_come_back(id in ".{1,300}", network in "[a-z][a-z0-9-]{0,20}") {
            let names = names();
            let (network, id) = (NetworkName::new(network).unwrap(), PersonId::new(id).unwrap_or(PersonId::new("x").unwrap()));
            let ghost = names.ghost(&network, &id);
            prop_assert!(ghost.mxid.len() <= 255);
            prop_assert!(names.is_own(&ghost.mxid));
            prop_assert_eq!(names.person(&ghost.mxid), Some((network, id)));
        }

        #[test]
        fn any_user_id_is_judged_without_panic(mxid in "\\PC*", tail in "[=a-f0-9_]{0,20}") {
            names().person(&mxid);
            names().person(&format!("@_via_x_{tail}:example.org"));
        }
    }
}
