//! The metrics of this crate, by name.

use metrics::{counter, gauge, histogram};

/// A line of the server was not used, and why: `too_long`, `ctcp_limit`, `direct_to_reader`, `members`.
pub fn dropped(reason: &'static str) {
    counter!("viaduct_irc_lines_dropped_total", "reason" => reason).increment(1);
}

/// So many messages were read from channels.
pub fn received(count: usize) {
    counter!("viaduct_irc_messages_received_total").increment(u64::try_from(count).unwrap_or(u64::MAX));
}

/// A delivery went out by a `puppet` or the `reader`.
pub fn sent(by: &'static str) {
    counter!("viaduct_irc_deliveries_sent_total", "by" => by).increment(1);
}

/// How many puppets are connected.
pub fn puppets(network: &str, count: usize) {
    gauge!("viaduct_irc_puppets", "network" => network.to_owned())
        .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

/// A connection was made (`reader` or `puppet`), or could not be.
pub fn connected(kind: &'static str, outcome: &'static str) {
    counter!("viaduct_irc_connections_total", "kind" => kind, "outcome" => outcome).increment(1);
}

/// How long the server took to confirm a delivery, in seconds.
pub fn confirmed(seconds: f64) {
    histogram!("viaduct_irc_confirm_seconds").record(seconds);
}
