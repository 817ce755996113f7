//! The two sides of a conversation, and the name of the channel that it is.

use viaduct_model::{ChannelId, PersonId};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::convert::names::RESOURCE;

/// Who somebody of the network talks with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// A puppet.
    Puppet(BareJid),
    /// The hub itself, for this Matrix person.
    Relayed(PersonId),
}

/// The two sides of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The hub's side.
    pub own: Own,
    /// The other person.
    pub other: Jid,
}

impl Own {
    /// Their name: neither an address nor an id of a Matrix person holds a blank, and only the latter begins with an `@`.
    pub fn name(&self) -> &str {
        match self {
            Self::Puppet(address) => address.as_str(),
            Self::Relayed(person) => person.as_str(),
        }
    }

    /// The address they send from; `hub` is the hub's own. None if it is impossible.
    pub fn speaker(&self, hub: &FullJid) -> Option<FullJid> {
        match self {
            Self::Puppet(address) => address.with_resource_str(RESOURCE).ok(),
            Self::Relayed(_) => Some(hub.clone()),
        }
    }
}

impl Pair {
    /// Reads a channel's name.
    pub fn read(channel: &ChannelId) -> Option<Self> {
        let (own, other) = channel.as_str().split_once(' ')?;
        let own = if own.starts_with('@') {
            Own::Relayed(PersonId::new(own).ok()?)
        } else {
            Own::Puppet(BareJid::new(own).ok()?)
        };
        Some(Self {
            own,
            other: Jid::new(other).ok()?,
        })
    }

    /// The channel's name.
    pub fn channel(&self) -> Option<ChannelId> {
        ChannelId::new(format!("{} {}", self.own.name(), self.other)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_name_both_sides() {
        for own in [
            Own::Puppet(BareJid::new("a\\3ahs@b.example").unwrap()),
            Own::Relayed(PersonId::new("@ada:hs.example").unwrap()),
        ] {
            let pair = Pair {
                own,
                other: Jid::new("r@c.example/Bob B").unwrap(),
            };
            assert_eq!(Pair::read(&pair.channel().unwrap()), Some(pair));
        }
        assert_eq!(Pair::read(&ChannelId::new("r@c.example").unwrap()), None);
    }
}
