//! The crate's metrics, named in one place.

use metrics::counter;

/// A stanza could not be read and was skipped.
pub fn unreadable_stanza() {
    counter!("viaduct_xmpp_unreadable_stanzas_total").increment(1);
}

/// A message was confirmed by the room's reflection.
pub fn reflected() {
    counter!("viaduct_xmpp_reflected_total").increment(1);
}

/// A message was not reflected in time; its outcome is unknown.
pub fn not_reflected() {
    counter!("viaduct_xmpp_not_reflected_total").increment(1);
}

/// So many archived messages were read to catch up.
pub fn caught_up(messages: u64) {
    counter!("viaduct_xmpp_archived_messages_total").increment(messages);
}

/// The hub's own seat in a room was lost.
pub fn room_lost() {
    counter!("viaduct_xmpp_rooms_lost_total").increment(1);
}

/// A client's broken connection was resumed.
pub fn resumed() {
    counter!("viaduct_xmpp_resumed_total").increment(1);
}
