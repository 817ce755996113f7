//! XEP-0198 Stream Management: what has arrived on either side, so that a broken connection can be taken up again.
//!
//! Counted are stanzas only. An acknowledgement means here that the hub has read a stanza, not that it is stored: what was
//! read and not stored when the hub died is read again from the room's archive.

use std::collections::VecDeque;

use tokio_xmpp::Stanza;

/// With so many stanzas unacknowledged, none is sent until the server has acknowledged some.
const BOUND: usize = 1024;

/// What was sent and received over all connections of one stream.
#[derive(Debug, Default)]
pub struct Tally {
    received: u32,
    acknowledged: u32,
    unacknowledged: VecDeque<Stanza>,
    /// Whether an acknowledgement was asked for and has not come yet.
    asked: bool,
}

/// The server acknowledged what was never sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server acknowledged more stanzas than were sent to it")]
pub struct TooHigh;

impl Tally {
    /// A stanza was sent.
    pub fn sent(&mut self, stanza: Stanza) {
        self.unacknowledged.push_back(stanza);
    }

    /// A stanza was received.
    pub fn receive(&mut self) {
        self.received = self.received.wrapping_add(1);
    }

    /// How many were received, for the server.
    pub fn received(&self) -> u32 {
        self.received
    }

    /// The server has handled so many of ours.
    pub fn acknowledge(&mut self, handled: u32) -> Result<(), TooHigh> {
        self.asked = false;
        let new = usize::try_from(handled.wrapping_sub(self.acknowledged)).unwrap_or(usize::MAX);
        if new > self.unacknowledged.len() {
            return Err(TooHigh);
        }
        self.unacknowledged.drain(..new);
        self.acknowledged = handled;
        Ok(())
    }

    /// Whether nothing more is to be sent until some of it is acknowledged.
    pub fn is_full(&self) -> bool {
        self.unacknowledged.len() >= BOUND
    }

    /// Whether the server should be asked now, to be done if so.
    pub fn should_ask(&mut self) -> bool {
        let ask = !self.asked && !self.unacknowledged.is_empty();
        self.asked |= ask;
        ask
    }

    /// What the server may not have, in order; to be sent again over a resumed connection, and to be noted as sent anew.
    pub fn take_unacknowledged(&mut self) -> VecDeque<Stanza> {
        self.asked = false;
        std::mem::take(&mut self.unacknowledged)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xmpp_parsers::message::{Id, Message};

    use super::*;

    fn stanza(number: u32) -> Stanza {
        let mut message = Message::chat(None);
        message.id = Some(Id(number.to_string()));
        message.into()
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again() {
        let mut tally = Tally::default();
        for number in 0..5 {
            tally.sent(stanza(number));
        }
        assert!(tally.should_ask());
        assert!(!tally.should_ask(), "one question at a time");
        assert_eq!(tally.acknowledge(3), Ok(()));
        let again: Vec<Stanza> = tally.take_unacknowledged().into();
        assert_eq!(again, [stanza(3), stanza(4)]);
        for stanza in again {
            tally.sent(stanza);
        }
        assert_eq!(tally.acknowledge(6), Err(TooHigh));
        assert_eq!(tally.acknowledge(5), Ok(()));
        assert!(tally.take_unacknowledged().is_empty());
    }

    #[test]
    fn counts_wrap_around() {
        let mut tally = Tally {
            acknowledged: u32::MAX,
            received: u32::MAX,
            ..Tally::default()
        };
        tally.sent(stanza(0));
        tally.receive();
        assert_eq!((tally.acknowledge(0), tally.received()), (Ok(()), 0));
    }

    proptest! {
        #[test]
        fn any_acknowledgement_is_safe(sent in 0u32..20, handled: u32) {
            let mut tally = Tally::default();
            for number in 0..sent {
                tally.sent(stanza(number));
            }
            prop_assert_eq!(tally.acknowledge(handled).is_ok(), handled <= sent);
        }
    }
}
