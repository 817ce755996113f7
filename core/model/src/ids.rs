//! Names chosen by the operator, and identifiers chosen by remote networks.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why a string is not an acceptable name or identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The string was empty.
    #[error("it is empty")]
    Empty,
    /// The string was longer than the bound, in bytes.
    #[error("it has {length} bytes, and at most {bound} are allowed")]
    TooLong {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        bound: usize,
    },
    /// The string has a character that is not allowed in a name.
    #[error("it contains {0:?}; a name has lower-case letters a-z, digits and '-', and starts with a letter")]
    Character(char),
}

/// Upper bound of a remote identifier, in bytes. Longer ones are refused at the border.
pub const ID_BOUND: usize = 1024;
/// Upper bound of a name chosen by the operator, in bytes.
pub const NAME_BOUND: usize = 48;

fn check_name(value: &str) -> Result<(), IdError> {
    let first = value.chars().next().ok_or(IdError::Empty)?;
    if value.len() > NAME_BOUND {
        return Err(IdError::TooLong {
            length: value.len(),
            bound: NAME_BOUND,
        });
    }
    if !first.is_ascii_lowercase() {
        return Err(IdError::Character(first));
    }
    match value
        .chars()
        .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'))
    {
        Some(other) => Err(IdError::Character(other)),
        None => Ok(()),
    }
}

fn check_id(value: &str) -> Result<(), IdError> {
    match value.len() {
        0 => Err(IdError::Empty),
        length if length > ID_BOUND => Err(IdError::TooLong {
            length,
            bound: ID_BOUND,
        }),
        _ => Ok(()),
    }
}

macro_rules! string_type {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes a string.
            ///
            /// # Errors
            ///
            /// [`IdError`] says which bound or character was violated.
            pub fn new(value: impl AsRef<str>) -> Result<Self, IdError> {
                let value = value.as_ref();
                $check(value)?;
                Ok(Self(Arc::from(value)))
            }

            /// The string itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(value: String) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

string_type!(
    /// The operator's name of one configured network, such as `acme-irc`.
    ///
    /// Lower-case letters, digits and `-`, starting with a letter, at most [`NAME_BOUND`] bytes: it becomes part of ghost
    /// user ids. The name [`NetworkName::matrix`] is reserved for the homeserver side.
    NetworkName,
    check_name
);
string_type!(
    /// The operator's name of one mirror. Same characters as a [`NetworkName`].
    MirrorName,
    check_name
);
string_type!(
    /// A conversation on its network, in the network's own spelling (room id, channel id, JID, `#channel`). Opaque.
    ChannelId,
    check_id
);
string_type!(
    /// A person on their network (user id, account, JID, nick). Opaque outside the network's own crate.
    PersonId,
    check_id
);
string_type!(
    /// A message or other event, unique within its [`Place`]. Opaque outside the network's own crate.
    MessageId,
    check_id
);

impl From<&MirrorName> for ChannelId {
    /// A mirror's name is always a valid channel id. The engine names a mirror's Matrix side by it, because the room itself can
    /// be upgraded to another one.
    fn from(name: &MirrorName) -> Self {
        Self(name.0.clone())
    }
}

impl PersonId {
    /// The id under which the hub itself speaks. No user of a homeserver has it: their ids begin with `@`.
    pub const HUB: &str = "viaduct";

    /// The hub's own id.
    pub fn hub() -> Self {
        Self(Arc::from(Self::HUB))
    }
}

impl NetworkName {
    /// The reserved name of the homeserver side.
    pub const MATRIX: &'static str = "matrix";

    /// The homeserver side as a network.
    pub fn matrix() -> Self {
        Self(Arc::from(Self::MATRIX))
    }

    /// Whether this is the homeserver side.
    pub fn is_matrix(&self) -> bool {
        self.as_str() == Self::MATRIX
    }
}

/// One conversation on one network: the only way the hub addresses a side of a mirror.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The configured network, or [`NetworkName::matrix`].
    pub network: NetworkName,
    /// The channel there, or the Matrix room id.
    pub channel: ChannelId,
}

impl Place {
    /// A channel on a network.
    pub fn new(network: NetworkName, channel: ChannelId) -> Self {
        Self { network, channel }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.channel)
    }
}

/// Names one event's way to one destination. The same source event and destination always give the same key, so that a
/// repeated attempt can be recognised by the network or looked up there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryKey(String);

impl DeliveryKey {
    /// The key of the event `id`, which happened at `source`, on its way to `destination`: 32 hexadecimal digits.
    pub fn derive(source: &Place, id: &MessageId, destination: &Place) -> Self {
        let mut hash = Sha256::new();
        for part in [
            source.network.as_str(),
            source.channel.as_str(),
            id.as_str(),
            destination.network.as_str(),
            destination.channel.as_str(),
        ] {
            // The length goes in front of each part: no two lists of parts hash alike.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut key = String::with_capacity(32);
        for byte in digest.iter().take(16) {
            for digit in [byte >> 4, byte & 15] {
                key.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        Self(key)
    }

    /// Takes a key as a network gave it back. It is only ever compared, so any string is allowed.
    pub fn from_remote(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary;

    proptest! {
        #[test]
        fn keys_are_equal_only_for_the_same_way(
            one in (arbitrary::place(), arbitrary::message_id(), arbitrary::place()),
            other in (arbitrary::place(), arbitrary::message_id(), arbitrary::place()),
        ) {
            let key = |way: &(Place, MessageId, Place)| DeliveryKey::derive(&way.0, &way.1, &way.2);
            prop_assert_eq!(key(&one) == key(&other), one == other);
            prop_assert_eq!(key(&one).as_str().len(), 32);
            prop_assert!(key(&one).as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
        }

        #[test]
        fn names_and_ids_are_total(text in any::<String>()) {
            if let Ok(name) = NetworkName::new(&text) {
                prop_assert_eq!(name.as_str(), text.as_str());
                prop_assert!(text.len() <= NAME_BOUND);
            }
            prop_assert_eq!(PersonId::new(&text).is_ok(), !text.is_empty() && text.len() <= ID_BOUND);
        }
    }

    #[test]
    fn names_are_checked() {
        assert!(NetworkName::new("acme-irc2").is_ok());
        assert_eq!(NetworkName::new(""), Err(IdError::Empty));
        assert_eq!(NetworkName::new("Acme"), Err(IdError::Character('A')));
        assert_eq!(NetworkName::new("2a"), Err(IdError::Character('2')));
        assert_eq!(NetworkName::new("a_b"), Err(IdError::Character('_')));
        assert!(matches!(
            MessageId::new("x".repeat(ID_BOUND + 1)),
            Err(IdError::TooLong { .. })
        ));
    }

    #[test]
    fn a_key_depends_on_every_part_and_on_their_borders() {
        let place = |network: &str, channel: &str| {
            Place::new(NetworkName::new(network).unwrap(), ChannelId::new(channel).unwrap())
        };
        let id = |value: &str| MessageId::new(value).unwrap();
        let key = DeliveryKey::derive(&place("a", "b"), &id("c"), &place("d", "e"));
        assert_eq!(key, DeliveryKey::derive(&place("a", "b"), &id("c"), &place("d", "e")));
        assert_eq!(key.as_str().len(), 32);
        for other in [
            DeliveryKey::derive(&place("a", "bc"), &id("c"), &place("d", "e")),
            DeliveryKey::derive(&place("ab", "b"), &id("c"), &place("d", "e")),
            DeliveryKey::derive(&place("a", "b"), &id("cd"), &place("d", "e")),
            DeliveryKey::derive(&place("a", "b"), &id("c"), &place("d", "ee")),
        ] {
            assert_ne!(key, other);
        }
    }
}
