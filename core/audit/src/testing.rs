//! Chance and entries for tests.

use viaduct_model::{ChannelId, Entropy, EventKind, MessageId, MirrorName, NetworkName, Place, Timestamp};

use crate::{Action, Entry};

/// Always the same bytes.
#[derive(Debug)]
pub struct Chance;

impl Entropy for Chance {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

/// Always the same other bytes.
#[derive(Debug)]
pub struct Other;

impl Entropy for Other {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(9);
    }
}

/// An entry with most fields set.
pub fn delivered(number: u64) -> Entry {
    let place =
        |network: &str, channel: &str| Place::new(NetworkName::new(network).unwrap(), ChannelId::new(channel).unwrap());
    let mut entry = Entry::new(Timestamp(1_782_950_400_123 + number), Action::Delivered);
    entry.partner = Some("acme".to_owned());
    entry.mirror = Some(MirrorName::new("project").unwrap());
    entry.from = Some(place("matrix", "!room:example.org"));
    entry.to = Some(place("acme-irc", "#project"));
    entry.event = Some(MessageId::new(format!("$event{number}")).unwrap());
    entry.ids = vec![MessageId::new(format!("m{number}")).unwrap()];
    entry.kind = Some(EventKind::Message);
    entry
}

/// An entry with little.
pub fn small(number: u64) -> Entry {
    Entry::new(Timestamp(number), Action::Accepted)
}
