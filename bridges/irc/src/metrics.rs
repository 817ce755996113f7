//! The metrics of this crate, by name.

use metrics::{Counter, Histogram, counter, gauge, histogram};

/// A line of the server was not used, and why: `too_long`, `ctcp_limit`, `direct_to_reader`, `members`.
pub fn dropped(reason: &'static str) {
    counter!("viaduct_irc_lines_dropped_total", "reason" => reason).increment(1);
}

/// What is counted for every message, looked up once.
pub struct Meters {
    /// Messages read from channels.
    pub received: Counter,
    /// Deliveries that went out by a puppet.
    pub by_puppet: Counter,
    /// Deliveries that went out by the reader.
    pub by_reader: Counter,
    /// How long the server took to confirm a delivery, in seconds.
    pub confirmed: Histogram,
}

impl Meters {
    /// Looks them up.
    pub fn new() -> Self {
        Self {
            received: counter!("viaduct_irc_messages_received_total"),
            by_puppet: counter!("viaduct_irc_deliveries_sent_total", "by" => "puppet"),
            by_reader: counter!("viaduct_irc_deliveries_sent_total", "by" => "reader"),
            confirmed: histogram!("viaduct_irc_confirm_seconds"),
        }
    }
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
